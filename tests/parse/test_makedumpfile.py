"""A vmcore that has no dmesg beside it: its log, its VMCOREINFO, and what may be wrong with it."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from conftest import Lab, RunCli, ToolDir

from kdumpwrap.parse import makedumpfile

# printed by makedumpfile 1.7.2 with -D --dump-dmesg on a kdump-compressed dump, shortened
SAID = """\
makedumpfile: version 1.7.2 (released on 20 Oct 2022)
command line: makedumpfile -D --dump-dmesg vmcore log

diskdump main header
  signature        : KDUMP
  header_version   : 6
  status           : {status}
  block_size       : 4096
kdump sub header
  phys_base        : 0xffffffffff200000
  offset_vmcoreinfo: 0x1348
VMCOREINFO   :
  OSRELEASE=6.1.0-47-cloud-amd64
  BUILD-ID=4f61d8f6405b1c6eed15a7a3e2e27067394202d3
  PAGESIZE=4096
page_size    : 4096
  SYMBOL(init_uts_ns)=ffffffff98df9960
  KERNELOFFSET=16200000
  NUMBER(KERNEL_IMAGE_SIZE)=1073741824

The kernel version is not supported.
The makedumpfile operation may be incomplete.
"""
BUILD_ID = "4f61d8f6405b1c6eed15a7a3e2e27067394202d3"


def test_what_vmcoreinfo_tells() -> None:
    told = makedumpfile.parse(SAID.format(status=2))
    assert told == makedumpfile.Vmcoreinfo("6.1.0-47-cloud-amd64", BUILD_ID, 0x16200000, False)
    assert makedumpfile.parse(SAID.format(status=10)).incomplete  # DUMP_DH_COMPRESSED_INCOMPLETE


@pytest.mark.parametrize(
    "text", ["", "OSRELEASE=\n", "KERNELOFFSET=xyz\n", "status : 99999999999\n", "\0" * 100, "  OSRELEASE=a b\n"]
)
def test_what_is_not_told_is_none(text: str) -> None:
    assert makedumpfile.parse(text) == makedumpfile.Vmcoreinfo()


# standard error of makedumpfile 1.7.2
CAUSES = {
    "readpage_kdump_compressed: Can't read cut50. No such file or directory\n"
    "readmem: type_addr: 1, addr:17e10ff8, size:8\n": "cut off",
    "__read_disk_dump_header: Can't read a file(empty). No such file or directory\n": "cut off",
    "check_elf_format: Can't get valid ehdr.\n": "not a vmcore",
    "dump_dmesg: Can't find some symbols for log_buf.\n": "without VMCOREINFO: not the dump of a kernel",
    "\nsomething_new: Broke in a new way.\n": "makedumpfile says something_new: Broke in a new way.",
    "": "makedumpfile failed",
}


@pytest.mark.parametrize(("said", "meaning"), CAUSES.items(), ids=CAUSES.values())
def test_why_makedumpfile_failed(said: str, meaning: str) -> None:
    assert makedumpfile.cause(said) == meaning


# ---------------------------------------------------------------- files that are no dump, or not all of one

Make = Callable[[Path], object]
WRONG: Dict[str, "tuple[Make, str]"] = {
    "empty": (lambda file: file.touch(), "empty"),
    "random": (lambda file: file.write_bytes(os.urandom(100_000)), "not a vmcore"),
    "text": (lambda file: file.write_text("[    0.000000] Linux version 5.14.0 \n" * 100), "not a vmcore"),
    "a program": (lambda file: shutil.copyfile("/bin/true", file), "without VMCOREINFO: not the dump of a kernel"),
    "a header alone": (lambda file: file.write_bytes(b"KDUMP   " + bytes(56)), "cut off"),
    "flattened, without end": (
        lambda file: file.write_bytes(b"makedumpfile\0\0\0\0" + bytes(100_000)),
        "cut off: the flattened dump has no end",
    ),
    "gzip without end": (
        lambda file: file.write_bytes(gzip.compress(os.urandom(50_000))[:30_000]),
        "cannot be unpacked: gzip failed",
    ),
    "gzip of a text": (lambda file: file.write_bytes(gzip.compress(b"a text\n" * 1000)), "not a vmcore"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_no_whole_dump_gets_one_line(what: str, tmp_path: Path, run_cli: RunCli) -> None:
    make, message = WRONG[what]
    directory = tmp_path / "127.0.0.1-2023-12-20-10:51:07"
    directory.mkdir()
    vmcore = directory / "vmcore"
    make(vmcore)
    for command in ("analyze", "dmesg"):
        result = run_cli(command, directory, env={"TMPDIR": str(tmp_path)}, timeout=60)
        assert (result.status, result.stdout) == (1, "")
        lines = [line for line in result.stderr.splitlines() if not line.startswith("hint: ")]
        assert len(lines) == 1
        assert lines[0].startswith(f"kdumpwrap: {vmcore}: {message}")
    assert sorted(tmp_path.iterdir()) == [directory]  # nothing stays in the temporary directory


def test_room_is_looked_at_before_a_flattened_dump_is_rearranged(tmp_path: Path, run_cli: RunCli) -> None:
    vmcore = tmp_path / "vmcore.flat"
    with vmcore.open("wb") as file:
        file.write(b"makedumpfile\0\0\0\0")
        file.seek(shutil.disk_usage(tmp_path).free)  # a hole: it takes no room itself
        file.write(b"\xff" * 16)
    result = run_cli("dmesg", vmcore, env={"TMPDIR": str(tmp_path)}, timeout=60)
    assert result.status == 1
    assert "rearranging it takes" in result.stderr
    assert "TMPDIR=" in result.stderr


def test_without_makedumpfile_and_crash_it_is_said_what_to_install(
    tmp_path: Path, run_cli: RunCli, tool_dir: ToolDir
) -> None:
    (tmp_path / "vmcore").write_bytes(b"KDUMP   " + bytes(100))
    result = run_cli("dmesg", tmp_path / "vmcore", env=tool_dir.alone)
    assert result.status == 1
    assert "makedumpfile is not installed" in result.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("exit 0", "makedumpfile failed"),
        ("echo 'x: It broke.' >&2; exit 1", "x: It broke."),
        ("kill -9 $$", "signal 9"),
    ],
)
def test_a_makedumpfile_that_fails(body: str, message: str, tmp_path: Path, run_cli: RunCli, tool_dir: ToolDir) -> None:
    tool_dir.fake("makedumpfile", body)
    (tmp_path / "vmcore").write_bytes(b"KDUMP   " + bytes(100))
    result = run_cli("dmesg", tmp_path / "vmcore", env=tool_dir.first)
    assert result.status == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


# ---------------------------------------------------------------- real dumps


def flatten(vmcore: Path, into: Path) -> None:
    """What kdump sends over ssh: ``makedumpfile -F``."""
    with into.open("wb") as file:
        subprocess.run(["makedumpfile", "-F", "-c", "-d", "31", str(vmcore)], stdout=file, check=True)


def answer(run_cli: RunCli, lab: Lab, target: Path, status: int = 0) -> Dict[str, Any]:
    result = run_cli("analyze", "--json", "--root", lab.root, "--module-dir", lab.module_dir, target)
    assert result.status == status, result.stderr
    found: Dict[str, Any] = json.loads(result.stdout)
    return found


def told(found: Dict[str, Any]) -> List[Any]:
    """What must be the same however the log was come by: vmcore-dmesg and makedumpfile indent a record differently."""
    return [found["kernel"]["release"], found["signature"], found["fatal"], found["reports"]]


@pytest.mark.lab
def test_the_log_in_a_vmcore_says_what_the_dmesg_says(lab: Lab, tmp_path: Path, run_cli: RunCli) -> None:
    vmcore = lab.crashes["iptunnel"] / "vmcore"
    beside = answer(run_cli, lab, lab.crashes["iptunnel"])
    build_id = beside["kernel"]["build_id"]
    shapes: Dict[str, Make] = {
        "vmcore": lambda file: shutil.copyfile(vmcore, file),
        "vmcore.flat": lambda file: flatten(vmcore, file),
        "dump.202312201051.gz": lambda file: file.write_bytes(
            gzip.compress((tmp_path / "1/vmcore.flat").read_bytes(), 1)
        ),
    }
    for number, (name, make) in enumerate(shapes.items()):
        (tmp_path / str(number)).mkdir()
        make(tmp_path / str(number) / name)
        found = answer(run_cli, lab, tmp_path / str(number))
        assert found["crash"]["dmesg"] is None
        assert found["kernel"]["build_id"] == build_id
        assert int(found["kernel"]["kaslr_offset"], 16) % 0x200000 == 0
        assert told(found) == told(beside), name


@pytest.mark.lab
def test_crash_takes_what_makedumpfile_refuses(lab: Lab, tmp_path: Path, run_cli: RunCli, tool_dir: ToolDir) -> None:
    whole = (lab.crashes["null_deref"] / "vmcore").read_bytes()
    vmcore = tmp_path / "vmcore"
    vmcore.write_bytes(whole[: len(whole) * 95 // 100])
    found = answer(run_cli, lab, vmcore, status=3)
    assert [problem["message"] for problem in found["problems"]] == [f"{vmcore}: cut off; crash got the log out of it"]
    assert told(found) == told(answer(run_cli, lab, lab.crashes["null_deref"]))
    vmcore.write_bytes(whole[: len(whole) // 2])
    result = run_cli("analyze", "--root", lab.root, vmcore)
    assert result.status == 1
    assert result.stderr.startswith(f"kdumpwrap: {vmcore}: cut off, and crash does not get at its log")


@pytest.mark.lab
def test_the_vmlinux_must_be_of_the_build_that_vmcoreinfo_names(lab: Lab, tmp_path: Path, run_cli: RunCli) -> None:
    vmcore = tmp_path / "vmcore"
    head = (lab.crashes["null_deref"] / "vmcore").read_bytes()
    at = head.index(b"BUILD-ID=") + len(b"BUILD-ID=")
    other = bytes(ord("1") if byte == ord("0") else byte for byte in head[at : at + 40])
    vmcore.write_bytes(head[:at] + other + head[at + 40 :])
    found = answer(run_cli, lab, vmcore, status=3)
    assert found["kernel"]["build_id"] == other.decode()
    assert "not the build that crashed" in found["problems"][0]["message"]
