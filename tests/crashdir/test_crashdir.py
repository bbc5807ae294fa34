"""Where crashes lie and what they consist of: every shape of directory, and what may lie about among them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import pytest
from conftest import RunCli, environment

from kdumpwrap import shell
from kdumpwrap.crashdir import crashname, finder
from kdumpwrap.crashdir.release import release_in, release_of
from kdumpwrap.errors import KdumpwrapError, NoCrash
from kdumpwrap.host import kdumpconf

LOG = "[    0.000000] Linux version 5.14.0-503.el9.x86_64 (mockbuild@x) #1\n[    9.000000] BUG: kernel NULL pointer\n"


def put(directory: Path, *names: str, text: str = LOG) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).write_text(text)
    return directory


# ---------------------------------------------------------------- names

NAMES = {
    "127.0.0.1-2023-12-20-10:51:07": ("127.0.0.1", "2023-12-20T10:51:07"),  # el6, el7.1 and later
    "10.1.2.3-2023-12-20-10:51:07": ("10.1.2.3", "2023-12-20T10:51:07"),  # nfs, ssh
    "fe80::5054:ff:fe12:3456%eth0-2023-12-20-10:51:07": ("fe80::5054:ff:fe12:3456%eth0", "2023-12-20T10:51:07"),
    "127.0.0.1-2023-12-20-10_51_07": ("127.0.0.1", "2023-12-20T10:51:07"),  # copied to a file system without colons
    "vmcore-127.0.0.1-2023-12-20-10:51:07": ("127.0.0.1", "2023-12-20T10:51:07"),  # ABRT
    "127.0.0.1-2014.06.01-10:51:07": ("127.0.0.1", "2014-06-01T10:51:07"),  # el7.0
    "127.0.0.1-01.06.12-10:51:07": ("127.0.0.1", "2012-06-01T10:51:07"),  # before that
    "202312201051": (None, "2023-12-20T10:51:00"),  # Debian
    "db-3.example.com-202312201051": ("db-3.example.com", "2023-12-20T10:51:00"),
    "2023-12-20-10-51": (None, "2023-12-20T10:51:00"),  # SUSE
    "2023-12-20-10:51": (None, "2023-12-20T10:51:00"),
    "web1-2023-12-20-10-51": ("web1", "2023-12-20T10:51:00"),
    "two\nlines-2023-12-20-10:51:07": ("two\nlines", "2023-12-20T10:51:07"),
    "kdump-test-1703069467": (None, None),
    "127.0.0.1-2023-13-40-10:51:07": (None, None),  # no such day
    "6800374983451541505": (None, None),  # an ERST record
    "lost+found": (None, None),
    "": (None, None),
}


@pytest.mark.parametrize(("name", "told"), NAMES.items(), ids=[repr(name) for name in NAMES])
def test_a_name_tells_host_and_time(name: str, told: Tuple[Optional[str], Optional[str]]) -> None:
    assert crashname.parse(name) == told


@pytest.mark.parametrize("name", ["1703069467", "170306946700001"])
def test_pstore_names_a_directory_after_the_seconds_since_1970(name: str) -> None:
    assert crashname.parse(name) == (None, time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(1703069467)))


# ---------------------------------------------------------------- files of one crash

# files in the directory -> the log and the dump that are taken, and what was not finished
SHAPES: Dict[str, Tuple[List[str], Optional[str], Optional[str], Tuple[str, ...]]] = {
    "centos": (["vmcore", "vmcore-dmesg.txt", "kexec-dmesg.log"], "vmcore-dmesg.txt", "vmcore", ()),
    "saving the log": (
        ["vmcore-dmesg-incomplete.txt"],
        "vmcore-dmesg-incomplete.txt",
        None,
        ("vmcore-dmesg-incomplete.txt",),
    ),
    "saving the core": (
        ["vmcore-dmesg.txt", "vmcore-incomplete"],
        "vmcore-dmesg.txt",
        "vmcore-incomplete",
        ("vmcore-incomplete",),
    ),
    "finished meanwhile": (["vmcore", "vmcore-incomplete"], None, "vmcore", ("vmcore-incomplete",)),
    "ssh": (["vmcore.flat", "vmcore-dmesg.txt"], "vmcore-dmesg.txt", "vmcore.flat", ()),
    "powernv": (["vmcore", "vmcore-dmesg.txt", "opalcore"], "vmcore-dmesg.txt", "vmcore", ()),
    "exadata": (["db01.vmcore"], None, "db01.vmcore", ()),
    "debian": (["dmesg.202312201051", "dump.202312201051"], "dmesg.202312201051", "dump.202312201051", ()),
    "debian, compressed": (["dump.202312201051.gz"], None, "dump.202312201051.gz", ()),
    "debian, saving": (["dump-incomplete.lz4"], None, "dump-incomplete.lz4", ("dump-incomplete.lz4",)),
    "debian, copied": (["vmcore.202312201051"], None, "vmcore.202312201051", ()),
    "suse": (["dmesg", "vmcore", "README.txt"], "dmesg", "vmcore", ()),
    "suse, old": (["dmesg.txt", "vmcore"], "dmesg.txt", "vmcore", ()),
    "abrt": (["backtrace", "dmesg", "kernel", "vmcore-dmesg.txt"], "vmcore-dmesg.txt", None, ()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_files_of_a_crash(shape: str, tmp_path: Path) -> None:
    names, dmesg, vmcore, incomplete = SHAPES[shape]
    path = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", *names)
    (entry,) = finder.scan(tmp_path).entries
    assert entry.crash.path == str(path)
    assert entry.crash.dmesg == (f"{path}/{dmesg}" if dmesg else None)
    assert entry.crash.vmcore == (f"{path}/{vmcore}" if vmcore else None)
    assert entry.incomplete == incomplete
    assert finder.find(str(path)) == entry.crash


def test_the_capture_kernels_log_is_never_the_crashs(tmp_path: Path, run_cli: RunCli) -> None:
    path = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "kexec-dmesg.log")
    (entry,) = finder.scan(tmp_path).entries
    assert (entry.crash.dmesg, entry.crash.vmcore) == (None, None)
    for target in (path, path / "kexec-dmesg.log"):
        with pytest.raises(NoCrash, match=r"saved neither|of the kernel that saved"):
            finder.find(str(target))
    assert "nothing was saved" in run_cli("list", tmp_path).stdout


def test_an_empty_log_is_none_where_there_is_a_vmcore(tmp_path: Path) -> None:
    path = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore")
    (path / "vmcore-dmesg.txt").touch()
    assert finder.find(str(path)).dmesg is None
    (path / "vmcore").write_text("")
    assert finder.find(str(path)).dmesg == f"{path}/vmcore-dmesg.txt"


def test_pstores_directories_one_in_the_other(tmp_path: Path) -> None:
    put(tmp_path / "1703069467/001", "dmesg.txt", "dmesg-efi-170306946700001")
    put(tmp_path / "1703069467/002", "dmesg.txt")
    put(tmp_path / "6800374983451541505", "dmesg.txt")
    entries = finder.scan(tmp_path).entries
    assert [Path(entry.crash.path).name for entry in entries] == ["001", "002", "6800374983451541505"]
    assert entries[0].crash.time == crashname.clock(1703069467)


def test_a_servers_directory_for_each_host(tmp_path: Path) -> None:
    put(tmp_path / "web1/127.0.0.1-2023-12-21-10:51:07", "vmcore-dmesg.txt")
    put(tmp_path / "web2/127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    put(tmp_path / "kdump-test-1/127.0.0.1-2023-12-19-10:51:07", "vmcore-dmesg.txt", "vmcore-creation.status")
    paths = [Path(entry.crash.path).parent.name for entry in finder.scan(tmp_path).entries]
    assert paths == ["kdump-test-1", "web2", "web1"]


def test_a_directory_that_is_a_crash_itself(tmp_path: Path) -> None:
    path = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    (entry,) = finder.scan(path).entries
    assert entry.crash.path == str(path)


def test_the_dmesg_beside_a_vmcore_is_its_log(tmp_path: Path) -> None:
    path = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore", "vmcore-dmesg.txt")
    crash = finder.find(str(path / "vmcore"))
    assert (crash.dmesg, crash.vmcore) == (f"{path}/vmcore-dmesg.txt", f"{path}/vmcore")


# ---------------------------------------------------------------- what lies about


def test_links_loops_and_strange_names(tmp_path: Path, run_cli: RunCli) -> None:
    real = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    elsewhere = put(tmp_path.parent / f"{tmp_path.name}-elsewhere/127.0.0.1-2023-12-19-10:51:07", "vmcore-dmesg.txt")
    (tmp_path / "latest").symlink_to(real.name)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "up").symlink_to(".")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to(elsewhere)
    (tmp_path / "linked-again").symlink_to(elsewhere)
    (tmp_path / "vmcore-dmesg.txt.bak").write_text(LOG)
    put(tmp_path / "a\nb\x1b[31m-2023-12-21-10:51:07", "vmcore-dmesg.txt")
    put(tmp_path / os.fsdecode(b"\xff\xfe-2023-12-22-10:51:07"), "vmcore-dmesg.txt")
    found = finder.scan(tmp_path)
    assert not found.unreadable
    assert len(found.entries) == 4  # the linked one once, under either name
    for option in ((), ("--raw",), ("--json",)):
        listed = run_cli("list", *option, tmp_path)
        assert (listed.status, listed.stderr) == (0, "")
        assert len(listed.stdout.splitlines()) == 4
        assert "\x1b" not in listed.stdout


def test_a_fifo_in_the_place_of_the_log_is_listed_and_not_waited_for(tmp_path: Path) -> None:
    path = put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore")
    os.mkfifo(path / "vmcore-dmesg.txt")
    (entry,) = finder.scan(tmp_path).entries
    assert release_of(entry.crash) is None


def test_unreadable_directories_are_named(tmp_path: Path, run_cli: RunCli, powerless: Sequence[str]) -> None:
    put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    closed = put(tmp_path / "127.0.0.1-2023-12-21-10:51:07", "vmcore-dmesg.txt")
    closed.chmod(0)
    listed = run_cli("list", "--raw", tmp_path, prefix=powerless)
    closed.chmod(0o700)
    assert listed.status == 3, listed.stderr
    assert len(listed.stdout.splitlines()) == 1
    assert f"{closed}: Permission denied" in listed.stderr


@pytest.mark.parametrize("target", ["nowhere", "file"])
def test_a_place_that_is_none(target: str, tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "file").write_text("")
    listed = run_cli("list", tmp_path / target)
    assert listed.status == 1
    assert listed.stderr.startswith(f"kdumpwrap: {tmp_path / target}: no such directory\n")


# ---------------------------------------------------------------- list


def test_list_tells_what_is_missing_newest_last(tmp_path: Path, run_cli: RunCli) -> None:
    put(tmp_path / "10.0.0.2-2023-12-21-10:51:07", "vmcore-dmesg-incomplete.txt")
    put(tmp_path / "10.0.0.1-2023-12-20-10:51:07", "vmcore", "vmcore-dmesg.txt")
    vmcore = put(tmp_path / "10.0.0.3-2023-12-22-10:51:07") / "vmcore"
    vmcore.write_bytes(b"KDUMP   " + bytes(5000) + b"\0OSRELEASE=4.18.0-553.el8_10.x86_64\nBUILD-ID=00\n")
    lines = run_cli("list", tmp_path).stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert lines[0].split()[3] == "5.14.0-503.el9.x86_64"
    assert lines[1].endswith("(no vmcore, vmcore-dmesg-incomplete.txt)")
    assert lines[2].split()[3] == "4.18.0-553.el8_10.x86_64"  # VMCOREINFO
    assert lines[2].endswith("(no dmesg)")
    rows = [line.split("\t") for line in run_cli("list", "--raw", tmp_path).stdout.splitlines()]
    size = str(len(LOG))
    path = str(tmp_path / "10.0.0.1-2023-12-20-10:51:07")
    assert rows[0] == ["2023-12-20T10:51:07", "10.0.0.1", "5.14.0-503.el9.x86_64", size, "1", path, "", "", "", ""]
    assert [row[3] for row in rows] == [size, "", str(vmcore.stat().st_size)]
    objects = [json.loads(line) for line in run_cli("list", "--json", tmp_path).stdout.splitlines()]
    assert [one["missing"] for one in objects] == [[], ["no vmcore", "vmcore-dmesg-incomplete.txt"], ["no dmesg"]]


def test_listing_costs_little_more_than_ls(tmp_path: Path, run_cli: RunCli) -> None:
    for number in range(3000):
        put(
            tmp_path / f"10.0.{number // 250}.7-2023-12-20-10:{number % 60:02}:{number % 59:02}-{number}",
            "vmcore-dmesg.txt",
        )
    run_cli("list", tmp_path / "nowhere")  # bytecode and caches

    def seconds(command: Callable[[], object]) -> float:
        start = time.monotonic()
        command()
        return time.monotonic() - start

    ls = min(
        seconds(
            lambda: subprocess.run(
                ["ls", "-lR", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True
            )
        )
        for _ in "12"
    )
    ours = min(seconds(lambda: run_cli("list", tmp_path)) for _ in "1234")
    assert ours < ls + 1


# ---------------------------------------------------------------- kdump.conf


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "/var/crash"),
        ("path /srv/crash\n", "/srv/crash"),
        ("#path /srv/crash\n", "/var/crash"),
        ("path /srv/a\npath /srv/b # the last one wins\n", "/srv/b"),
        ('\tpath\t"/srv/with space"  \n', "/srv/with space"),
        ("path\n", "/var/crash"),
        ("pathology /srv/x\n", "/var/crash"),
    ],
)
def test_path_of_kdump_conf(text: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/kdump.conf").write_text(text)
    assert finder.default_paths(tmp_path) == (tmp_path / path.lstrip("/"),)


def test_path_is_below_the_targets_mount_point(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/kdump.conf").write_text("xfs UUID=0b1c-77\npath /crash\n")
    (tmp_path / "etc/fstab").write_text(
        "# a comment\n/dev/vda1 / xfs defaults 0 0\nUUID=0b1c-77 /mnt/dumps xfs defaults 0 0\n"
    )
    (tmp_path / "mnt/dumps/crash").mkdir(parents=True)
    assert finder.default_paths(tmp_path) == (tmp_path / "mnt/dumps/crash",)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ssh kdump@server\npath /srv/crash\n", "kdump@server:/srv/crash: run kdumpwrap there"),
        ("raw /dev/vdb\ncore_collector makedumpfile -Fld31\n", "/dev/vdb: makedumpfile -R vmcore </dev/vdb"),
        ("raw /dev/vdb\ncore_collector dd bs=1M\n", "/dev/vdb: dd if=/dev/vdb of=vmcore bs=1M"),
    ],
)
def test_crashes_that_go_elsewhere(text: str, hint: str, tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/kdump.conf").write_text(text)
    analyzed = run_cli("analyze", "--root", tmp_path)
    assert analyzed.status == 1
    assert hint in analyzed.stderr
    finder.default_paths(tmp_path)[0].mkdir(parents=True)
    listed = run_cli("list", "--root", tmp_path)
    assert (listed.status, listed.stdout) == (0, "")
    assert hint in listed.stderr


def test_the_core_collector_tells_whether_the_stream_is_flattened() -> None:
    for collector, flattened in (
        ("makedumpfile -F -l -d 31", 1),
        ("makedumpfile -l -d 31", 0),
        ("scp", 0),
        ("cp -F", 0),
    ):
        assert kdumpconf.parse(f"core_collector {collector}").flattened == bool(flattened)


def test_a_crash_is_known_by_its_name_alone(tmp_path: Path, run_cli: RunCli) -> None:
    name = "127.0.0.1-2023-12-20-10:51:07"
    crash = put(tmp_path / "host/var/crash" / name, "vmcore-dmesg.txt")
    put(tmp_path / "host/etc" / name, "vmcore-dmesg.txt")
    assert finder.find(name, tmp_path / "host").path == str(crash)
    for target in ("127.0.0.1-2023-12-20-10:51:08", f"etc/{name}", f"../etc/{name}"):
        done = run_cli("dmesg", target, "--root", tmp_path / "host", cwd=tmp_path)
        assert done.status == 1
        assert done.stderr == (
            f"kdumpwrap: {target}: no such file or directory\nhint: kdumpwrap list --root {tmp_path}/host\n"
        )
    own = put(tmp_path / name, "vmcore-dmesg.txt")  # what lies in the working directory comes first
    done = run_cli("dmesg", "--raw", name, "--root", tmp_path / "host", cwd=own.parent)
    assert f"crash\t{name}\n" in done.stdout


def test_a_tree_in_the_place_of_a_directory_of_crashes(tmp_path: Path, run_cli: RunCli) -> None:
    put(tmp_path / "host/var/crash/127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    done = run_cli("list", tmp_path / "host")
    assert f"{tmp_path}/host: no crash here\nhint: kdumpwrap list --root {tmp_path}/host\n" in done.stderr
    (tmp_path / "empty").mkdir()
    assert "--root" not in run_cli("list", tmp_path / "empty").stderr


def test_no_hint_names_the_command_that_says_the_same_again(tmp_path: Path, run_cli: RunCli) -> None:
    put(tmp_path / "host/var/crash/127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    (tmp_path / "empty").mkdir()
    hints = {
        tmp_path / "host/var/crash": f"kdumpwrap list {tmp_path}/host/var/crash",
        tmp_path / "host": f"kdumpwrap list --root {tmp_path}/host",
        tmp_path / "empty": "kdumpwrap list",
    }
    for directory, hint in hints.items():
        assert f"\nhint: {hint}\n" in run_cli("analyze", directory).stderr
    assert run_cli("batch", tmp_path / "empty").stderr.endswith("no crash here\nhint: kdumpwrap list\n")
    assert "\nhint: kdumpwrap doctor --root " in run_cli("batch", "--root", tmp_path / "empty").stderr


def test_a_log_without_a_report_can_be_looked_at(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "a log").write_text("hello\n")
    for command in ("analyze", "dmesg", "pack"):
        done = run_cli(command, tmp_path / "a log", cwd=tmp_path)
        assert f"in this log\nhint: less '{tmp_path}/a log'; or kdumpwrap list\n" in done.stderr
    done = run_cli("annotate", "--only-report", "-", stdin="hello\n")
    assert done.stderr == "kdumpwrap: standard input: no report of a crash in this log\nhint: kdumpwrap list\n"


def test_titles_stand_above_the_list_on_a_terminal_alone(tmp_path: Path, run_cli: RunCli) -> None:
    put(tmp_path / "127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    command = shell.join([sys.executable, "-m", "kdumpwrap", "list", str(tmp_path)])
    done = subprocess.run(["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          env=environment(), universal_newlines=True, check=True)  # fmt: skip
    titles, row = done.stdout.splitlines()
    assert titles.split() == ["TIME", "HOST", "RELEASE", "VMCORE", "DMESG", "PATH"]
    assert titles.index("PATH") == row.index(str(tmp_path)) and titles.index("HOST") == row.index("127.0.0.1")
    assert "TIME" not in run_cli("list", tmp_path).stdout


def test_the_newest_crash_is_the_default(tmp_path: Path) -> None:
    put(tmp_path / "var/crash/127.0.0.1-2023-12-20-10:51:07", "vmcore-dmesg.txt")
    newest = put(tmp_path / "var/crash/127.0.0.1-2024-12-20-10:51:07", "vmcore-dmesg.txt")
    put(tmp_path / "var/crash/127.0.0.1-2025-12-20-10:51:07", "kexec-dmesg.log")  # of which nothing was saved
    assert finder.find(None, tmp_path).path == str(newest)
    with pytest.raises(KdumpwrapError, match="no such directory"):
        finder.find(None, tmp_path / "etc")


@pytest.mark.parametrize("log", [b"tainted: " + b" " * 60_000, b"tainted " + b"1" * 60_000, b"tainted: A " * 6_000])
def test_the_release_is_looked_for_in_linear_time(log: bytes) -> None:
    start = time.process_time()
    assert release_in(log, log) is None
    assert time.process_time() - start < 0.5


def test_the_release_of_a_cut_log() -> None:
    line = b"CPU: 0 PID: 1 Comm: sh Kdump: loaded Tainted: G           OE    5.14.0-503.el9.x86_64 #1\n"
    assert release_in(b"", line) == "5.14.0-503.el9.x86_64"
