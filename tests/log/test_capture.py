"""Why there is no whole vmcore: the capture kernel's log, by the words of its kernel, makedumpfile and kdump.

The texts of el7 to el10 and Debian in data/capture are written from the messages of their scripts: dracut-kdump.sh and
kdump-lib-initramfs.sh of kexec-tools 2.0.15, 2.0.20, 2.0.27 and kdump-utils 1.0.50, kdump-config of kdump-tools 1.8.1,
SUSE's save_dump.sh (not compared with a release of it).
Those that begin with "lab-" are of real crashes, boots shortened.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import List, Optional, Tuple

import pytest
from conftest import TESTS, RunCli

from kdumpwrap import capturelog
from kdumpwrap.crashdir import finder
from kdumpwrap.example import worked
from kdumpwrap.explain import nodump
from kdumpwrap.model.capture import Capture
from kdumpwrap.model.crash import Crash
from kdumpwrap.parse import kdump

DATA = TESTS / "data/capture"
MIB = 1 << 20


def read(name: str) -> Capture:
    found = kdump.capture(((DATA / name).read_bytes(),), console=name.endswith(".console"))
    assert found is not None
    return found


# file, cause, line, what it is about
TEXTS: List[Tuple[str, Optional[str], Optional[int], Optional[str]]] = [
    ("el7-space.console", "space", 11, "/sysroot//var/crash/127.0.0.1-2023-12-20-10:51:07/vmcore-incomplete"),
    ("el7-oom.console", "memory", 7, "makedumpfile"),
    ("el7-ssh.console", "network", 5, "10.0.0.9"),
    ("el7-device.console", "device", 6, "/dev/disk/by-uuid/4f36a0b7-9f6a-4c11-a5b1-0a6e7b1f4a11"),
    ("el8-space.log", "space", 12, "/kdumproot/data/var/crash/127.0.0.1-2023-12-20-10:51:05/vmcore-incomplete"),
    ("el8-unsaid.log", "failed", 7, None),
    ("el8-mount.log", "mount", 2, "btrfs"),
    ("el8-lvm.console", "device", 8, "/dev/mapper/data-crash"),
    ("el9-oom.log", "memory", 3, "makedumpfile"),
    ("el9-killed.log", "killed", 3, None),
    ("el9-device.console", "device", 4, "/dev/mapper/mpatha1"),
    ("el9-luks.console", "device", 3, "luks-8a3b0f6e-2f36-4c9b-9c1e-5d6c2c8a1f00"),
    ("el9-nfs.console", "network", 3, "10.0.0.9:/export/crash"),
    ("el9-ssh.console", "network", 4, "10.0.0.9"),
    ("el10-saved.log", None, None, None),
    ("el10-collector.log", "makedumpfile", 5, None),
    ("ppc64le-fadump.console", "failed", 5, None),
    ("debian-nfs.console", "network", 4, "dumps:/export"),
    ("debian-failed.console", "space", 5, None),
    ("suse-space.console", "space", 13, "/kdump/mnt1/var/crash/2023-12-20-10:51/vmcore"),
    ("suse-unsaid.console", "failed", 11, None),
    ("lab-memory.console", "memory", 65, None),
    ("lab-nospace.console", "space", 70, "/disk/var/crash/127.0.0.1-2024-03-01-10:00:14/vmcore-incomplete"),
    ("lab-nodevice.console", "device", 64, "/dev/vda"),
    ("lab-killed.console", "killed", 60, None),
    ("lab-cut.console", "cut", 61, None),
    ("lab-crashed.console", "crash", 84, None),
]


@pytest.mark.parametrize(("name", "cause", "line", "subject"), TEXTS, ids=[text[0] for text in TEXTS])
def test_the_cause_and_the_line_that_it_rests_on(
    name: str, cause: Optional[str], line: Optional[int], subject: Optional[str]
) -> None:
    found = read(name)
    assert (found.cause, found.subject) == (cause, subject)
    if found.said is None:
        assert line is None
        assert found.saved
    else:
        assert line is not None
        assert found.said.number == line
        text = (DATA / name).read_text().splitlines()[line - 1]
        assert found.said.text == re.sub(r"^Dec 20 \S+ db1 |^Mar 12 \S+ db1 ", "", text)[:240]


def test_every_text_is_read_by_a_test() -> None:
    assert {text[0] for text in TEXTS} | {"lab-absent.console"} == {file.name for file in DATA.iterdir()}


def test_of_real_consoles_the_first_kernels_crash_is_the_subject(run_cli: RunCli) -> None:
    """Whatever became of its capture kernel; where none was loaded nothing is said of one."""
    logs = sorted(DATA.glob("lab-*.console"))
    for log, line in zip(logs, run_cli("dmesg", "--json", *logs).stdout.splitlines()):
        value = json.loads(line)
        fatal = value["reports"][value["fatal"]]
        assert (fatal["kind"], fatal["ip"]["symbol"]) == ("null-pointer", "wan_next_seq"), log
        assert (value["capture"] is None) == (log.name == "lab-absent.console")
        assert ("There is no whole vmcore: " in fatal["explanation"][-1]) == (log.name != "lab-absent.console")


def test_what_was_missing_in_numbers() -> None:
    assert (read("el9-oom.log").memory, read("el9-oom.log").used) == (196220 << 10, 41984 << 10)
    assert read("el7-oom.console").memory == (1030592 - 896736) << 10  # the rest is the memory of the other kernel
    assert read("el8-space.log").percent == 71.0
    assert nodump.needed(read("el8-space.log"), 710 * MIB) == 1000 * MIB
    assert read("ppc64le-fadump.console").fadump
    assert not read("el9-oom.log").fadump


def test_numbers_of_no_sense_are_not_told() -> None:
    text = (
        b"Memory: 1k/2k available (1k a, 99999999999999k absent)\nCopying data : [999.999 %]\n"
        b"Out of memory: Killed process 612 (makedumpfile) total-vm:1kB\n"
    )
    found = kdump.capture((text,))
    assert found is not None and found.memory is None and (found.percent or 0) <= 100


def test_a_driver_that_failed_is_named_beside_the_device_that_did_not_appear() -> None:
    found = read("el9-device.console")
    assert found.firmware == "bnx2x/bnx2x-e2-7.13.21.0.fw"
    assert "Before that a driver failed: " in (nodump.sentence(found) or "")
    driver = read("el7-device.console").driver
    assert driver is not None
    assert driver.number == 3
    assert read("el8-unsaid.log").driver is None  # regulatory.db, which every boot looks for


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        (
            r"systemd[1]: Timed out waiting for device dev-disk-by\x2duuid-0b1c\x2d77.device.",
            "/dev/disk/by-uuid/0b1c-77",
        ),
        ("mount: /kdumproot: special device /dev/vdb1 does not exist.", "/dev/vdb1"),
        ("mount: /kdumproot: can't find UUID=0b1c-77.", "UUID=0b1c-77"),
        ("mount: mounting /dev/vda on /disk failed: No such file or directory", "/dev/vda"),
        (r'x: /lib/dracut/hooks/initqueue/finished/devexists-\x2fdev\x2fvdb1.sh: "[ -e "/dev/vdb1" ]"', "/dev/vdb1"),
    ],
)
def test_the_device_has_its_path(line: str, subject: str) -> None:
    found = kdump.capture((f"{line}\nkdump: saving vmcore failed\n".encode(),))
    assert found is not None
    assert (found.cause, found.subject) == ("device", subject)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("success 1732612345\n", ("success", 1732612345)),
        ("fail 1732612345 5.14\n", ("fail", 1732612345)),
        ("manual\n", ("manual", None)),
        ("clear", ("clear", None)),
        ("successful\n", None),
        ("", None),
    ],
)
def test_the_status_of_a_test_of_kdump(text: str, told: Optional[Tuple[str, Optional[int]]]) -> None:
    assert kdump.creation(text) == told


@pytest.mark.timing
@pytest.mark.parametrize(
    ("piece", "times"),
    [
        (b"\xff\0", 2000),
        (b"mount: ", 900),
        (b"a@", 2000),
        (b"Out of memory: Kill ", 200),
        (b"kdump.sh: line 1: 2 ", 200),
        (b"Command line: ", 1000),
    ],
)
def test_a_line_four_times_as_long_takes_four_times_the_time(piece: bytes, times: int) -> None:
    def seconds(times: int) -> float:
        log = b"Linux version 6\nCommand line: elfcorehdr=1\n" + (piece * times + b"\n") * 100
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            kdump.capture((log,), console=True)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(4 * times) < 8 * seconds(times) + 0.02  # quadratic: 16 times


# ---------------------------------------------------------------- list, analyze, dmesg, batch


@pytest.fixture
def crash(tmp_path: Path) -> Path:
    """A crash of el7 whose vmcore is not whole: the package's own, and the log of el8's capture kernel."""
    shutil.copytree(worked.root(), tmp_path / "host")
    (directory,) = (tmp_path / "host/var/crash").iterdir()
    for vmcore in directory.glob("vmcore"):
        vmcore.unlink()
    (directory / "vmcore-incomplete").write_bytes(b"KDUMP   " + bytes(71 * MIB))
    shutil.copy(str(DATA / "el8-space.log"), str(directory / "kexec-dmesg.log"))
    return directory


def rows(run_cli: RunCli, root: Path) -> List[List[str]]:
    return [line.split("\t") for line in run_cli("list", "--raw", "--root", root).stdout.splitlines()]


def test_list_says_what_is_missing_and_why(crash: Path, run_cli: RunCli) -> None:
    root = crash.parent.parent.parent
    why = "no space left on the target: 71 MiB written, 71 % of some 101 MiB"
    ((*_, path, missing, cause, told, test),) = rows(run_cli, root)
    assert (path, missing, cause, told, test) == (str(crash), "vmcore-incomplete", "space", why, "")
    assert f"{crash}  (vmcore-incomplete: {why})" in run_cli("list", "--root", root).stdout
    value = json.loads(run_cli("list", "--json", "--root", root).stdout)
    assert value["why"] == why
    assert value["capture"]["said"]["line"] == 12
    assert value["test"] is None
    (crash / "vmcore-incomplete").rename(crash / "vmcore")  # a whole one: nothing is asked
    ((*_, missing, cause, told, test),) = rows(run_cli, root)
    assert (missing, cause, told, test) == ("", "", "", "")


@pytest.mark.parametrize("command", ["analyze", "dmesg"])
def test_why_names_the_line(command: str, crash: Path, run_cli: RunCli) -> None:
    root = crash.parent.parent.parent
    page = run_cli(command, "--root", root, crash).stdout
    why = page.partition("\nWhy\n")[2].partition("\n\n")[0].splitlines()[-1].strip()
    assert why.startswith(
        "There is no whole vmcore: no space left on the target: 71 MiB written, 71 % of some 101 MiB "
    )
    assert "(kexec-dmesg.log line 12: kdump.sh[577]: Can't write the dump file(" in why
    value = json.loads(run_cli(command, "--json", "--root", root, crash).stdout)
    assert value["reports"][value["fatal"] or 0]["explanation"][-1] == why
    assert value["capture"]["cause"] == "space"
    raw = run_cli(command, "--raw", "--root", root, crash).stdout
    assert "\ncapture\tspace\t12\tkdump.sh[577]: Can't write" in raw


def test_batch_says_the_same_and_an_answer_ends_with_the_log(crash: Path, run_cli: RunCli) -> None:
    root = crash.parent.parent.parent
    (line,) = run_cli("batch", "--save", "--json", "--root", root).stdout.splitlines()
    assert json.loads(line)["capture"]["cause"] == "space"
    shutil.copy(str(DATA / "el9-oom.log"), str(crash / "kexec-dmesg.log"))
    (line,) = run_cli("batch", "--save", "--json", "--root", root).stdout.splitlines()
    assert json.loads(line)["capture"]["cause"] == "memory"


def test_where_nothing_was_saved_the_error_says_why(tmp_path: Path, run_cli: RunCli) -> None:
    directory = tmp_path / "127.0.0.1-2023-12-20-10:51:05"
    directory.mkdir()
    shutil.copy(str(DATA / "el9-oom.log"), str(directory / "kexec-dmesg.log"))
    said = f"{directory}: kdump saved neither the vmcore nor its dmesg: the capture kernel ran out of memory: it had"
    for command, path in (("analyze", directory), ("batch", tmp_path)):
        result = run_cli(command, path)
        assert result.status == 1
        assert said in result.stderr
    assert "(nothing was saved: the capture kernel ran out of memory" in run_cli("list", tmp_path).stdout


def test_a_console_holds_both_kernels(run_cli: RunCli) -> None:
    """The crash is the first kernel's, although the capture kernel died last; what that said stands under Why."""
    crashed = (worked.root() / "var/crash").glob("*/vmcore-dmesg.txt")
    log = next(crashed).read_bytes() + (DATA / "el7-oom.console").read_bytes()
    log += b"[   10.2] Kernel panic - not syncing: System is deadlocked on memory\n"
    value = json.loads(run_cli("dmesg", "--json", "-", stdin=log).stdout)
    assert value["reports"][value["fatal"]]["kind"] == "page-fault"
    before = log.partition(b"Linux version 3.10.0-1160")[0].count(b"\n")
    assert (value["capture"]["cause"], value["capture"]["said"]["line"]) == ("memory", before + 7)
    assert value["capture"]["file"] == "-"
    assert "the capture kernel ran out of memory" in value["reports"][value["fatal"]]["explanation"][-1]


def test_of_several_capture_kernels_on_a_console_the_last_counts() -> None:
    logs = [(DATA / name).read_bytes() for name in ("el9-device.console", "el7-space.console")]
    normal = b"[    0.000000] Linux version 5.14.0 (x) y\n[    0.000000] Command line: root=/dev/vda\n"
    found = kdump.capture((logs[0] + normal + logs[1] + normal + b"cp: x: No space left on device\n",), console=True)
    assert found is not None
    assert found.said is not None
    assert (found.cause, found.percent) == ("space", 43.2)
    assert kdump.capture((normal,), console=True) is None


@pytest.mark.parametrize("name", ["5.14.0-427.el9.x86_64", "4.18.0-305.el8.x86_64"])
def test_no_log_at_all_says_that_the_capture_kernel_came_to_no_end(name: str, crash: Path) -> None:
    (crash / "kexec-dmesg.log").unlink()
    assert capturelog.beside(found(crash)) is None  # el7, which keeps none
    (crash / "vmcore-dmesg.txt").write_text(f"[    0.000000] Linux version {name} (x) y\n")
    assert capturelog.beside(found(crash)) == Capture("cut")
    (crash / "vmcore-dmesg.txt").write_text("[    0.000000] Linux version 4.18.0-240.22.1.el8_3.x86_64 (x) y\n")
    assert capturelog.beside(found(crash)) is None


def found(directory: Path) -> Crash:
    crash = finder.inspect(directory)
    assert crash is not None
    return crash


def test_a_log_that_is_cut_off_too_speaks_of_a_full_disk(crash: Path, tmp_path: Path) -> None:
    log = crash / "kexec-dmesg.log"
    log.write_bytes((DATA / "el8-space.log").read_bytes()[:700])
    told = capturelog.beside(found(crash))
    assert told is not None
    assert (told.cause, told.cut) == ("cut", True)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1M", "kdumpwrap-test", str(disk)]
    if subprocess.run(mount, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False).returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        full = disk / crash.name
        full.mkdir()
        (full / "vmcore-incomplete").write_bytes(b"KDUMP   ")
        (full / "kexec-dmesg.log").write_bytes(b"")
        told = capturelog.beside(found(full))
        assert told is not None
        assert (told.cause, told.cut) == ("space", True)
        assert nodump.brief(told).startswith("no space left on the target: ")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["console.log", "ttyS0.console"])
def test_a_console_s_log_beside_a_crash_is_read_where_kdump_kept_none(name: str, crash: Path, run_cli: RunCli) -> None:
    """It is no log of the crash, which it may tell of too, and none of kdump's own comes after it."""
    root = crash.parent.parent.parent
    console = crash / name
    log = (crash / "kexec-dmesg.log").read_bytes()
    shutil.copy(str(DATA / "lab-killed.console"), str(console))
    assert rows(run_cli, root)[0][7] == "space"
    (crash / "kexec-dmesg.log").unlink()
    assert rows(run_cli, root)[0][7] == "killed"
    value = json.loads(run_cli("analyze", "--json", "--root", root, crash).stdout)
    assert value["reports"][value["fatal"]]["ip"]["symbol"] == "iptunnel_xmit"
    assert (value["capture"]["cause"], value["capture"]["file"]) == ("killed", str(console))
    console.write_bytes((DATA / "lab-killed.console").read_bytes().partition(b"reset_devices")[0])
    assert rows(run_cli, root)[0][7] == "", "no capture kernel speaks in it"
    (crash / "vmcore-incomplete").rename(crash / "vmcore")
    console.write_bytes(log)
    assert rows(run_cli, root)[0][6:9] == ["", "", ""]


def test_a_test_of_kdump_is_told_from_a_crash(crash: Path, run_cli: RunCli) -> None:
    (crash / "vmcore-creation.status").write_text("success 1732612345\n")
    root = crash.parent.parent.parent
    assert rows(run_cli, root)[0][-1] == "success"
    assert "(test of kdump: success; vmcore-incomplete: " in run_cli("list", "--root", root).stdout
    assert json.loads(run_cli("list", "--json", "--root", root).stdout)["test"] == {
        "outcome": "success",
        "time": 1732612345,
    }


def test_a_log_that_is_a_link_or_a_pipe_is_not_waited_for(crash: Path, run_cli: RunCli) -> None:
    (crash / "kexec-dmesg.log").unlink()
    (crash / "kexec-dmesg.log").symlink_to("/etc/shadow")
    assert rows(run_cli, crash.parent.parent.parent)[0][7] == ""
    (crash / "kexec-dmesg.log").unlink()
    os.mkfifo(str(crash / "kexec-dmesg.log"))
    assert rows(run_cli, crash.parent.parent.parent)[0][7] == ""


def test_names_of_hosts_are_hidden(crash: Path, run_cli: RunCli) -> None:
    shutil.copy(str(DATA / "debian-nfs.console"), str(crash / "kexec-dmesg.log"))
    for option in ("--json", "--raw", "--markdown"):
        shown = run_cli("analyze", "--redact", option, "--root", crash.parent.parent.parent, crash).stdout
        assert "was not reached, or refused (host-" in shown, option
        assert "dumps" not in shown
