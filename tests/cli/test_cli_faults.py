"""Bad input and bad tools: each gives one clear line or a partial report; never a traceback, a hang, or silence."""

import json
import os
import pty
import random
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import pytest
from conftest import MEASURED, Lab, Result, RunCli, ToolDir, environment

from kdumpwrap.example import worked

REAL_TOOLS = ("nm", "objdump", "addr2line", "readelf")
QUICK = 20.0  # seconds: what a run may take in which a tool hangs for as long as it is let


@dataclass(frozen=True)
class Host:
    """A copy of the worked example's host, to be damaged. Its vendor's module has no debuginfo: exit 3 at best."""

    root: Path

    @property
    def log(self) -> Path:
        return next(self.root.glob("var/crash/*/vmcore-dmesg.txt"))

    @property
    def vmlinux(self) -> Path:
        return next(self.root.glob("usr/lib/debug/lib/modules/*/vmlinux"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(Path(shutil.copytree(worked.root(), tmp_path / "host")))


def complaints(result: Result) -> List[str]:
    """What stderr complains of, without the one thing that is always missing; stderr holds nothing else but hints."""
    lines = result.stderr.splitlines()
    assert all(re.match(r"(kdumpwrap|hint): \S", line) for line in lines), result.stderr
    found = [line[len("kdumpwrap: ") :] for line in lines if line.startswith("kdumpwrap: ")]
    return [line for line in found if line != "no debuginfo for the module XxxWan"]


def assert_refused(result: Result, reason: str) -> None:
    """Nothing was analysed, and one line says why."""
    assert (result.status, result.stdout) == (1, "")
    (line,) = complaints(result)
    assert re.search(reason, line)


def assert_partial(result: Result, reason: str) -> None:
    """The report is there, and what it lacks is said."""
    assert result.status == 3
    assert "BUG: unable to handle kernel paging request at ffffb1c0c2345688" in result.stdout
    assert "send4+0xf2/0x1b0 [XxxWan]" in result.stdout
    assert any(re.search(reason, line) for line in complaints(result)), result.stderr


def test_the_undamaged_host_lacks_only_the_vendors_module(host: Host, run_cli: RunCli) -> None:
    """Or the tests below would find complaints that have nothing to do with their damage."""
    result = run_cli("analyze", "--root", host.root)
    assert_partial(result._replace(stderr=result.stderr + "kdumpwrap: and the damage"), "damage")
    assert complaints(result) == []


# ---------------------------------------------------------------- the crash


def test_no_such_path(tmp_path: Path, run_cli: RunCli) -> None:
    assert_refused(run_cli("analyze", tmp_path / "nowhere"), "nowhere: no such file or directory")


def test_no_crash_on_this_host(tmp_path: Path, run_cli: RunCli) -> None:
    assert_refused(run_cli("analyze", "--root", tmp_path), "var/crash: no such directory")
    (tmp_path / "var/crash").mkdir(parents=True)
    assert_refused(run_cli("analyze", "--root", tmp_path), "var/crash: no crash")


def test_empty_directory(tmp_path: Path, run_cli: RunCli) -> None:
    assert_refused(run_cli("analyze", tmp_path), "neither a vmcore nor its dmesg")


BOOT = b"[    0.000000] Linux version 4.18.0-305.el8.x86_64 (x)\n[    1.5] usb 1-1: new device\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n \n", id="blank"),
        pytest.param(bytes(random.Random(7).choices(range(256), k=300_000)), id="binary"),
        pytest.param(bytes(200_000), id="zeroes"),
        pytest.param(b"A" * 1_000_000, id="one line of a megabyte"),
        pytest.param(BOOT, id="no crash"),
        pytest.param(BOOT.decode().encode("utf-16"), id="another encoding"),
    ],
)
@pytest.mark.parametrize("source", ["directory", "file", "stdin"])
def test_log_without_a_crash(content: bytes, source: str, tmp_path: Path, run_cli: RunCli) -> None:
    log = tmp_path / "vmcore-dmesg.txt"
    log.write_bytes(content)
    path = {"directory": str(tmp_path), "file": str(log), "stdin": "-"}[source]
    stdin = content if source == "stdin" else b""
    assert_refused(run_cli("analyze", path, stdin=stdin), "no report of a crash")
    as_json = run_cli("analyze", "--json", path, stdin=stdin)
    found = json.loads(as_json.stdout)
    assert (as_json.status, found["reports"], found["fatal"]) == (1, [], None)
    assert "no report of a crash" in found["problems"][0]["message"]


def test_log_cut_anywhere(host: Host, tmp_path: Path, run_cli: RunCli) -> None:
    """At every twentieth byte: what stands there is told, and nothing else happens."""
    whole = host.log.read_bytes()
    start = whole.index(b"BUG: unable")
    logs = []
    for end in range(start, len(whole), 20):
        logs.append(tmp_path / f"{end}.txt")
        logs[-1].write_bytes(whole[:end])
    result = run_cli("analyze", "--json", "--root", host.root, *logs)
    assert result.status == 3
    assert "Traceback" not in result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == len(logs)
    for log, analysis in zip(logs, found):
        assert analysis["crash"]["path"] == str(log)
        text = log.read_bytes()
        if b"ffffb1c0c2345688\n" in text:
            assert analysis["reports"][0]["fault_address"] == "0xffffb1c0c2345688"
        if b"iptunnel_xmit+0x17d/0x1c0\n" in text:
            assert analysis["reports"][0]["ip"]["symbol"] == "iptunnel_xmit"
    frames = [len(analysis["reports"][0]["trace"]) for analysis in found if analysis["reports"]]
    assert frames == sorted(frames)
    assert frames[-1] > 8


def test_log_of_100_megabytes(host: Host, tmp_path: Path, run_cli: RunCli) -> None:
    """A chatty driver before the crash: the same answer, and memory that does not grow with the log."""
    line = b"[    2.%06d] chatty 0000:00:1f.0: link is up at 10 Gbit/s, full duplex, flow control off\n"
    log = tmp_path / "vmcore-dmesg.txt"
    block = b"".join(line % number for number in range(10_000))
    with log.open("wb") as file:
        while file.tell() < 100 << 20:
            file.write(block)
        file.write(host.log.read_bytes())
    result = run_cli("analyze", "--root", host.root, log, prefix=MEASURED)
    *said, peak = result.stderr.splitlines()
    assert_partial(result._replace(stderr="\n".join([*said, "kdumpwrap: x"])), "x")
    assert "include/net/ip_tunnels.h:462" in result.stdout
    assert int(peak) < 150 << 10


def test_log_that_is_not_utf8(host: Host, run_cli: RunCli) -> None:
    text = host.log.read_bytes().replace(b"Comm: wan_client", b"Comm: \xff\xfewan\xc3\x28")
    text = text.replace(b"Call Trace:", b"\x80\x81\xff\n[ 1823.280235] Call Trace:")
    result = run_cli("analyze", "--json", "--root", host.root, "-", stdin=text)
    report = json.loads(result.stdout)["reports"][0]
    assert complaints(result) == []
    assert report["comm"].endswith("wan\\xc3(")
    assert [frame["symbol"] for frame in report["trace"]][:2] == ["send4", "hfunc_out6"]


def test_log_with_crlf_and_nul_bytes(host: Host, run_cli: RunCli) -> None:
    text = host.log.read_bytes().replace(b"\n", b"\r\n").replace(b"Call Trace", b"\x00\x00Call Trace")
    result = run_cli("analyze", "--json", "--root", host.root, "-", stdin=text)
    assert json.loads(result.stdout)["reports"][0]["trace"][0]["symbol"] == "send4"


def test_unreadable_log(host: Host, powerless: Sequence[str], run_cli: RunCli) -> None:
    close(host.log)
    assert_refused(run_cli("analyze", "--root", host.root, prefix=powerless), "vmcore-dmesg.txt: Permission denied")


def test_unreadable_directory(host: Host, powerless: Sequence[str], run_cli: RunCli) -> None:
    close(host.log.parent)
    assert_refused(run_cli("analyze", "--root", host.root, host.log.parent, prefix=powerless), "Permission denied")


def close(path: Path) -> None:
    """Nobody but root with all its rights can read it."""
    path.chmod(0)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)


@pytest.mark.parametrize("direct", [True, False], ids=["named", "in its directory"])
@pytest.mark.parametrize("kind", ["fifo", "link to a fifo", "device", "link to itself", "directory", "socket"])
def test_no_regular_file_in_the_place_of_the_log(kind: str, direct: bool, tmp_path: Path, run_cli: RunCli) -> None:
    """A FIFO would hang us, a device feed us for ever."""
    crash = tmp_path / "127.0.0.1-2024-01-01-00:00:00"
    crash.mkdir()
    log = crash / "vmcore-dmesg.txt"
    if kind == "directory":
        log.mkdir()
        if direct:
            return  # that is an empty crash directory
    elif kind == "device":
        log.symlink_to("/dev/zero")
    elif kind == "link to itself":
        log.symlink_to(log.name)
    elif kind == "socket":
        import socket

        here = Path.cwd()
        os.chdir(crash)  # the name of a socket is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(log.name)
        os.chdir(here)
    else:
        os.mkfifo(crash / "pipe" if kind.startswith("link") else log)
        if kind.startswith("link"):
            log.symlink_to("pipe")
    start = time.monotonic()
    result = run_cli("analyze", log if direct else crash)
    assert_refused(result, "not a regular file|Is a directory|symbolic links|No such device")
    assert time.monotonic() - start < QUICK


# ---------------------------------------------------------------- the vmlinux


def boot_image(_: Host) -> bytes:
    """The head of a bzImage: enough to be known for one."""
    image = bytearray(4096)
    image[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    return bytes(image)


def another_release(host: Host) -> bytes:
    return host.vmlinux.read_bytes().replace(b"4.19.113-88.8bs", b"4.19.114-90.1bs")


def another_machine(host: Host) -> bytes:
    """The same file with e_machine EM_AARCH64."""
    file = bytearray(host.vmlinux.read_bytes())
    file[18:20] = (183).to_bytes(2, "little")
    return bytes(file)


def stripped(host: Host, option: str) -> bytes:
    copy = host.root / "stripped"
    subprocess.run(["objcopy", option, str(host.vmlinux), str(copy)], check=True)
    return copy.read_bytes()


VMLINUXES = {
    "vmlinuz": (boot_image, "a vmlinuz; a vmlinux with debug information is needed", True),
    "text": (lambda host: b"this is the kernel, believe me\n" * 100, "not an ELF file", True),
    "short": (lambda host: b"no\n", "not an ELF file", True),
    "empty": (lambda host: b"", "not an ELF file", True),
    "cut": (lambda host: host.vmlinux.read_bytes()[:3000], "readelf told only a part of", True),
    "stripped": (lambda host: stripped(host, "--strip-all"), "stripped of its symbols", True),
    "without lines": (lambda host: stripped(host, "--strip-debug"), "no debug information, so no lines", True),
    "of another kernel": (
        another_release,
        r"vmlinux of 4\.19\.114-90\.1bs\S*, the crash is of 4\.19\.113-88\.8bs",
        True,
    ),
    "of another machine": (another_machine, "made for aarch64, the crash is of x86_64", False),
}


@pytest.mark.parametrize("place", ["--vmlinux", "in its place"])
@pytest.mark.parametrize("kind", VMLINUXES)
def test_wrong_vmlinux(kind: str, place: str, host: Host, tmp_path: Path, run_cli: RunCli) -> None:
    """It is noticed and named, with the package that holds the right one; the report comes without its help."""
    make, reason, package = VMLINUXES[kind]
    content = make(host)
    option: List[str] = []
    if place == "--vmlinux":
        (tmp_path / "vmlinux").write_bytes(content)
        option = ["--vmlinux", str(tmp_path / "vmlinux")]
    else:
        host.vmlinux.write_bytes(content)
    result = run_cli("analyze", *option, "--root", host.root)
    assert_partial(result, reason)
    assert ("hint: debuginfo-install kernel-4.19.113-88.8bs.el7" in result.stderr) == package


@pytest.mark.parametrize("kind", ["nothing", "directory", "fifo", "unreadable"])
def test_no_vmlinux_where_one_is_named(
    kind: str, host: Host, tmp_path: Path, powerless: Sequence[str], run_cli: RunCli
) -> None:
    path = tmp_path / "vmlinux"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "unreadable":
        shutil.copy(host.vmlinux, path)
        close(path)
    result = run_cli("analyze", "--vmlinux", path, "--root", host.root, prefix=powerless)
    reasons = {"nothing": "no such file", "unreadable": "not readable", "directory": "Is a directory"}
    assert_partial(result, f"{path}.* {reasons.get(kind, 'not a regular file')}")


@pytest.mark.lab
def test_the_vmlinuz_that_boots_is_no_vmlinux(lab: Lab, run_cli: RunCli) -> None:
    image = lab.root / "boot" / f"vmlinuz-{lab.release}"
    result = run_cli("analyze", "--vmlinux", image, "--root", lab.root, lab.crashes["bug_on"])
    assert result.status == 3
    assert f"kdumpwrap: {image}: a vmlinuz;" in result.stderr
    assert f"hint: apt install linux-image-{lab.release}-dbg" in result.stderr


@pytest.mark.lab
def test_the_vmlinux_of_another_build_is_noticed(lab: Lab, run_cli: RunCli) -> None:
    other = lab.second_vmlinux
    result = run_cli("analyze", "--vmlinux", other, "--root", lab.root, lab.crashes["list_del"])
    assert result.status == 3
    assert f"the vmlinux of {other.parent.name}, the crash is of {lab.release}" in result.stderr
    assert f"hint: apt install linux-image-{lab.release}-dbg" in result.stderr


# ---------------------------------------------------------------- the tools

FAILINGS = {
    "missing": None,
    "failing": 'echo "$0: Memory exhausted" >&2; exit 1',
    "hanging": "exec /bin/sleep 600",
    "hanging in a child": "/bin/sleep 600; echo late",
    "killed": "kill -9 $$",
    "silent": "exit 0",
    "babbling": "exec /usr/bin/head -c 300000 /dev/urandom",
    "complaining": "/usr/bin/head -c 3000000 /dev/zero | /usr/bin/tr '\\0' E >&2; exit 1",
}


@pytest.mark.parametrize("failing", FAILINGS)
@pytest.mark.parametrize("tool", REAL_TOOLS)
def test_broken_tool(tool: str, failing: str, host: Host, tool_dir: ToolDir, run_cli: RunCli) -> None:
    """The rest of the report is there, the tool is named, and nobody waits for it."""
    tool_dir.real(*(name for name in REAL_TOOLS if name != tool))
    script = FAILINGS[failing]
    if script is not None:
        tool_dir.fake(tool, script)
    start = time.monotonic()
    result = run_cli("analyze", "--root", host.root, env={**tool_dir.alone, "KDUMPWRAP_TIMEOUT": "1"})
    assert time.monotonic() - start < QUICK
    reasons = {"missing": f"{tool} is not installed", "hanging": f"{tool} did not end within 1 s"}
    nothing_known = f"{tool} printed no|{tool} told only a part of"
    reasons.update(dict.fromkeys(("silent", "babbling"), nothing_known), killed=rf"{tool} failed \(signal 9\)")
    reasons["hanging in a child"] = reasons["hanging"]
    assert_partial(result, reasons.get(failing, rf"{tool} failed \(exit status 1\)"))
    assert len(result.stderr) < 5000
    if failing == "missing":
        assert re.search(r"^hint: \S+ install binutils$", result.stderr, re.MULTILINE)


@pytest.mark.parametrize("failing", [name for name in FAILINGS if name != "missing"])
def test_addr2line_knows_where_eu_addr2line_is_broken(
    failing: str, host: Host, tool_dir: ToolDir, run_cli: RunCli
) -> None:
    tool_dir.real(*REAL_TOOLS)
    tool_dir.fake("eu-addr2line", FAILINGS[failing] or "")
    result = run_cli("analyze", "--root", host.root, env={**tool_dir.alone, "KDUMPWRAP_TIMEOUT": "1"})
    assert_partial(result, "eu-addr2line (did not end|failed|printed no)")
    assert "include/net/ip_tunnels.h:462 (iptunnel_xmit_stats, inlined in iptunnel_xmit at" in result.stdout


def test_without_eu_addr2line_nothing_is_missing(host: Host, tool_dir: ToolDir, run_cli: RunCli) -> None:
    tool_dir.real(*REAL_TOOLS)
    result = run_cli("analyze", "-v", "--root", host.root, env=tool_dir.alone)
    assert "include/net/ip_tunnels.h:462 (iptunnel_xmit_stats, inlined in iptunnel_xmit at" in result.stdout
    assert "+ addr2line -a -i -f -e" in result.stderr and "eu-addr2line" not in result.stderr


@pytest.mark.parametrize("variable", ["NM", "OBJDUMP", "ADDR2LINE"])
def test_tool_named_in_the_environment_is_missing(variable: str, host: Host, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--root", host.root, env={variable: "/opt/none/such-tool"})
    assert_partial(result, "/opt/none/such-tool is not installed")


def test_no_tool_at_all(host: Host, tool_dir: ToolDir, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--root", host.root, env=tool_dir.alone)
    assert_partial(result, "is not installed")


def test_no_room_for_temporary_files(host: Host, run_cli: RunCli) -> None:
    """Nothing of the worked example needs one, except the Code: line without debuginfo."""
    host.vmlinux.unlink()
    result = run_cli("analyze", "--root", host.root, env={"TMPDIR": "/proc/none"}, cwd=Path("/proc"))
    assert_partial(result, "no debuginfo")


# ---------------------------------------------------------------- where the answer goes


def test_stdout_closed_early(host: Host, run_cli: RunCli) -> None:
    """`kdumpwrap analyze | head -1`: silence. A hundred crashes are more than a pipe holds."""
    for output in ([], ["--raw"], ["--json"]):
        command = [sys.executable, "-m", "kdumpwrap", "analyze", *output, "--root", str(host.root)]
        with subprocess.Popen(
            [*command, *[str(host.log)] * 100], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            stderr = process.stderr.read().decode()
        assert process.returncode == 141
        assert "Broken" not in stderr and "Traceback" not in stderr and "Exception" not in stderr
        assert len(stderr.splitlines()) < 300


def test_stdout_closed_from_the_start(host: Host, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--root", host.root, prefix=["sh", "-c", 'exec "$@" >&-', "sh"])
    assert "Traceback" not in result.stderr


def test_stdout_on_a_full_disk(host: Host, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--root", host.root, prefix=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert result.status == 1
    assert complaints(result)[-1].endswith("No space left on device")


def test_help_on_a_full_disk(run_cli: RunCli) -> None:
    result = run_cli("--help", prefix=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    assert (result.status, result.stderr) == (1, "kdumpwrap: standard output: No space left on device\n")


def test_a_complaint_on_a_full_disk(run_cli: RunCli) -> None:
    assert run_cli("list", "--nope", prefix=["sh", "-c", 'exec "$@" 2>/dev/full', "sh"]).status == 2
    assert run_cli("list", "/nowhere", prefix=["sh", "-c", 'exec "$@" 2>/dev/full', "sh"]).status == 1


# ---------------------------------------------------------------- hostile names

COMM = "red\x1b\x07\x9b1m [bold]\t[/x]"
MODULE = "[bold]\x1b]0;title\x07"


@pytest.fixture
def hostile(host: Host) -> Host:
    """comm and a module's name hold what a terminal or rich's markup would act upon."""
    text = host.log.read_text().replace("wan_client", COMM).replace("[XxxWan]", f"[{MODULE}]", 1)
    text = text.replace("XxxWan(OE)", f"XxxWan(OE) {MODULE}(OE)")
    host.log.write_text(text)
    return host


def test_hostile_names_in_a_pipe(hostile: Host, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--root", hostile.root)
    assert result.status == 3
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", result.stdout + result.stderr)
    assert "[bold]" in result.stdout
    assert "red\\x1b\\x07\\x9b1m [bold] " in result.stdout


def test_hostile_names_in_raw_lines(hostile: Host, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--raw", "--root", hostile.root)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", result.stdout)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row for row in rows if row[0] == "comm"] == [["comm", "red\\x1b\\x07\\x9b1m [bold]\\t[/x]"]]
    assert all(len(row) == 12 for row in rows if row[0] == "frame")


def test_hostile_names_in_json(hostile: Host, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--json", "--root", hostile.root)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", result.stdout)
    assert json.loads(result.stdout)["reports"][0]["comm"] == COMM


def test_hostile_names_on_a_terminal(hostile: Host) -> None:
    """There is colour, but none that the log asked for."""
    shown = on_terminal(["analyze", "--root", str(hostile.root)])
    assert re.search(r"\x1b\[[0-9;]*m", shown)
    assert "red\\x1b\\x07\\x9b1m" in shown
    assert "[bold]" in shown
    assert not re.search(r"[\x07\x9b]", shown)
    assert not re.search(r"\x1b(?!\[[0-9;?]*[a-zA-Z])", shown)


def test_no_colour_on_a_terminal_that_wants_none(host: Host) -> None:
    assert "\x1b[" not in on_terminal(["analyze", "--root", str(host.root)], {"NO_COLOR": "1"})


def on_terminal(arguments: List[str], env: Optional[Dict[str, str]] = None) -> str:
    """What a terminal gets, both streams together."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kdumpwrap", *arguments]
    wanted = environment({"TERM": "xterm-256color", **(env or {})})
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=wanted) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not block:
                break
            shown += block
    os.close(ours)
    assert process.returncode == 3
    return shown.decode("utf-8", "backslashreplace")


# ---------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze", "--raw", "--json"],
        ["analyze", "--nonsense"],
        ["nonsense"],
        ["analyze", "--vmlinux"],
        ["resolve"],
        ["resolve", "not a symbol!"],
        ["resolve", "f+0xzz"],
        ["disasm"],
    ],
    ids=" ".join,
)
def test_wrong_command_line(arguments: List[str], run_cli: RunCli) -> None:
    result = run_cli(*arguments)
    assert (result.status, result.stdout) == (2, "")
    assert re.match(r"(kdumpwrap: |[Uu]sage: |Error: )", result.stderr)
    assert "Traceback" not in result.stderr


def test_one_bad_crash_among_good_ones(host: Host, tmp_path: Path, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--raw", "--root", host.root, tmp_path / "none", host.log)
    assert result.status == 3
    assert result.stdout.startswith(f"crash\t{host.log}\n")
    assert complaints(result) == [f"{tmp_path}/none: no such file or directory"]
