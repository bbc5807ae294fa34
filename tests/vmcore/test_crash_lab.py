"""Real crash(8) on real vmcores: whole, cut off, of another kernel, and on a machine that is too small."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

import pexpect
import pytest
from conftest import NEWER, Lab, Result, RunCli, environment
from handmade import change

from kdumpwrap import analyze
from kdumpwrap.debuginfo import Search
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.render import keys
from kdumpwrap.render import vmcore as renderer
from kdumpwrap.render.walker import walk
from kdumpwrap.tools import crash_child
from kdumpwrap.vmcore import memory, withcrash

pytestmark = pytest.mark.lab

CASES = (
    "iptunnel sysrq null_deref bug_on list_del divide softlockup warn_then_oops distmod memcpy uaf list_poison".split()
)
COMMANDS = ("bt", "log")
CGROUP_LIMITS = ("memory.limit_in_bytes", "memory.max")
OWN = 45 << 20  # bytes that kdumpwrap itself takes in the cgroup of its crash


class Answered(NamedTuple):
    """What a run with --json said."""

    outputs: Dict[str, str]
    complete: Dict[str, bool]
    result: Result


def ask(
    run_cli: RunCli, lab: Lab, target: Path, commands: Sequence[str], *options: str, prefix: Sequence[str] = ()
) -> Answered:
    asked = [word for command in commands for word in ("-c", command)]
    env = {"CRASH": lab.crash}
    result = run_cli("crash", target, "--root", lab.root, "--json", *options, *asked, prefix=prefix, env=env)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return Answered(
        {row["command"]: row["output"] for row in rows}, {row["command"]: row["complete"] for row in rows}, result
    )


@pytest.fixture(scope="session")
def whole(run_cli: RunCli, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """The answers of crash itself, with all the memory there is, each in a file of its own."""
    directory = tmp_path_factory.mktemp("whole")
    script = directory / "script"
    script.write_text("".join(f"{command} > {directory / command}\n" for command in COMMANDS) + "quit\n")
    vmcore = lab.crashes["iptunnel"] / "vmcore"
    argv = [lab.crash, "-s", "--no_crashrc", "-i", str(script), str(lab.vmlinux), str(vmcore)]
    subprocess.run(
        argv,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    return {command: (directory / command).read_text() for command in COMMANDS}


# ---------------------------------------------------------------- what crash says of each crash


@pytest.mark.parametrize("case", CASES)
def test_crash_and_the_log_tell_the_same(lab: Lab, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRASH", lab.crash)
    search = Search(lab.root, None, (lab.module_dir,), ())
    analysis = analyze.analyze(str(lab.crashes[case]), search)
    report = analysis.findings[analysis.subject or 0].resolution
    outcome = withcrash.ask(analysis, search)
    facts = withcrash.facts(analysis, search, outcome)

    assert facts.rung == "plain"
    assert facts.system is not None
    assert facts.system.release == lab.release
    assert facts.panic_task is not None
    assert (facts.panic_task.pid, facts.panic_task.comm) == (report.report.pid, report.report.comm)
    assert len(facts.other_cpus) == 1
    assert {row.name for row in facts.memory} >= {"TOTAL MEM", "FREE", "SLAB"}
    tainted = () if case == "sysrq" else (("xxxwan", "OE"),)
    assert facts.modules == tainted

    frames = [row.frame for row in facts.panic_task.frames]
    logged = certain(report)
    common = [frame for frame in logged if place(frame) in map(place, frames)]
    # a frame at the border of two stacks stands in both of them
    again = [place(frame) for frame in frames if place(frame) in map(place, common)]
    assert list(dict.fromkeys(again)) == list(dict.fromkeys(map(place, common)))
    # every frame that crash prints is there; frames that it loses (8.0.2 guesses the size of a frame, and may take a
    # stale address for the caller) are said, and are none that it printed
    printed = next(answer.output for answer in outcome.answers if answer.command == "bt -s -l -x")
    assert len(re.findall(r"^ *#\d+ |\[exception RIP: (?!unknown)", printed, re.M)) == len(frames)
    # above the first common one the log shows its way to dump_stack(), crash its own into the capture kernel
    lost = [frame for frame in logged[logged.index(common[0]) :] if frame not in common]
    assert not [frame for frame in lost if re.search(rf" {re.escape(frame.symbol or '?')}(\+\w+)? at ", printed)]
    assert len(common) >= 3
    if case == "iptunnel":
        assert all(frame in common for frame in logged if frame.context == "IRQ")
    clocks = [one for one in facts.differences if one.what == "uptime"]
    assert bool(clocks) == (lab.path.name == NEWER)  # crash 8.0.6 takes its 250 Hz for 1000
    found = [one for one in facts.differences if one not in clocks]
    assert [(one.what, [word.partition("+")[0] for word in one.log.split(", ")]) for one in found] == (
        [("call trace", [frame.symbol for frame in lost])] if lost else []
    )

    doubtful = {place(frame) for frame in report.trace if not frame.certain} - set(map(place, logged))
    assert all(frame.certain != (place(frame) in doubtful) for frame in frames)

    # the same lines by either way, and crash's own word is the innermost of an inline chain (of a module's, not always:
    # for a division it names the function's end, 237 for 229)
    lines = {place(frame): frame.locations for frame in frames}
    for frame in common:
        assert lines[place(frame)] == frame.locations
    for row in facts.panic_task.frames:
        if row.frame.exact and row.file is not None and row.frame.module is None:
            inner = row.frame.locations[0]
            assert (Path(inner.file or "").name, inner.line) == (Path(row.file).name, row.line)

    text = renderer.text(facts)
    assert "Backtrace of the panic task" in text
    value = json.loads(json.dumps(walk(facts, keys.VMCORE)))
    assert value["panic_task"]["pid"] == report.report.pid
    assert value["panic_task"]["frames"][0]["symbol"] == "machine_kexec"
    assert f"crash-task\t{report.report.pid}\t" in renderer.raw(facts)
    # crash 8.0.2 finds only the running tasks of this kernel
    few = facts.system.tasks is not None and facts.system.tasks < 10
    assert any("`ps -m` is not whole" in problem.message for problem in facts.problems) == few


def test_analyze_with_crash(run_cli: RunCli, lab: Lab) -> None:
    where = ("--root", lab.root, "--module-dir", lab.module_dir, lab.crashes["sysrq"])
    value = json.loads(run_cli("analyze", "--with-crash", "--json", *where, env={"CRASH": lab.crash}).stdout)
    assert value["vmcore"]
    assert value["vmcore"]["system"]["panic"] == "Kernel panic - not syncing: sysrq triggered crash"
    without = json.loads(run_cli("analyze", "--json", *where).stdout)
    assert value["reports"] == without["reports"]
    missing = run_cli("analyze", "--with-crash", *where, env={"CRASH": "/nowhere/crash"})
    assert missing.status == 3
    assert missing.stdout == run_cli("analyze", *where).stdout
    assert "/nowhere/crash is not installed" in missing.stderr


def test_what_only_the_vmcore_knows(
    lab: Lab, whole: Dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log where there was none beside the vmcore, and what the fault's address lies in: here, in the task."""
    monkeypatch.setenv("CRASH", lab.crash)
    vmcore = tmp_path / "vmcore"
    shutil.copyfile(lab.crashes["iptunnel"] / "vmcore", vmcore)
    search = Search(lab.root, None, (lab.module_dir,), ())
    analysis = analyze.analyze(str(vmcore), search)
    header = re.match(r"PID: \d+ +TASK: (?P<task>[0-9a-f]+)", whole["bt"])
    assert header
    task, number = int(header["task"], 16), analysis.subject or 0
    findings = list(analysis.findings)
    findings[number] = change(findings[number], fault_address=task + 24)
    facts = withcrash.learn(analysis._replace(findings=tuple(findings)), search)
    assert facts.log == whole["log"]
    assert facts.slab is not None
    assert (facts.slab.cache, facts.slab.start, facts.slab.offset, facts.slab.allocated) == (
        "task_struct",
        task,
        24,
        True,
    )
    assert facts.panic_task is not None
    assert facts.panic_task.task == task


def certain(report: Resolution) -> List[ResolvedFrame]:
    return [frame for frame in report.frames if frame.certain]


def place(frame: ResolvedFrame) -> Tuple[object, ...]:
    return frame.module, frame.section, frame.address


def test_answers_are_what_crash_itself_prints(run_cli: RunCli, lab: Lab, whole: Dict[str, str]) -> None:
    found = ask(run_cli, lab, lab.crashes["iptunnel"], COMMANDS)
    assert found.outputs == whole
    assert (found.result.status, found.result.stderr) == (0, "")


def test_modules_lines_are_there_when_their_files_are(run_cli: RunCli, lab: Lab) -> None:
    found = ask(run_cli, lab, lab.crashes["null_deref"], ["bt -l", "mod"], "--module-dir", str(lab.module_dir))
    assert re.search(r"xxxwan\.c: \d+$", found.outputs["bt -l"], re.M)
    assert re.search(r"^[0-9a-f]+  xxxwan .*xxxwan\.debug\.ko *$", found.outputs["mod"], re.M)


@pytest.mark.parametrize("name", [".crashrc", ".gdbinit"])
def test_commands_lying_in_the_current_directory_are_not_run(
    run_cli: RunCli, lab: Lab, tmp_path: Path, name: str
) -> None:
    vmcore, trace = lab.crashes["iptunnel"] / "vmcore", tmp_path / "trace"
    (tmp_path / name).write_text(f"{'!' if name == '.crashrc' else 'shell '}touch {trace}\n")
    env = {**os.environ, "HOME": str(tmp_path)}
    argv = [lab.crash, "-s", "--minimal", str(lab.vmlinux), str(vmcore)]
    subprocess.run(
        argv,
        cwd=tmp_path,
        env=env,
        input=b"quit\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    assert trace.exists()  # crash itself runs them
    trace.unlink()
    args = ("crash", vmcore, "--root", lab.root, "--rung", "minimal", "--raw", "-c", "eval 7")
    result = run_cli(*args, cwd=tmp_path, env={"HOME": str(tmp_path), "CRASH": lab.crash})
    assert (result.status, result.stdout.split()[:2]) == (0, ["hexadecimal:", "7"])
    assert not trace.exists()


def test_a_session_at_the_terminal(lab: Lab) -> None:
    log = (lab.crashes["bug_on"] / "vmcore-dmesg.txt").read_text()
    rip = re.search(r"RIP: 0010:(?P<symbol>\S+)\+(?P<offset>0x[0-9a-f]+)/", log)
    assert rip
    args = ["-m", "kdumpwrap", "crash", str(lab.crashes["bug_on"]), "--root", str(lab.root)]
    args += ["--module-dir", str(lab.module_dir)]
    env = {**environment(), "TERM": "xterm", "CRASH": lab.crash}
    with pexpect.spawn(sys.executable, args, env=env, timeout=120, dimensions=(30, 100), encoding="utf-8") as user:
        user.expect_exact("crash> ")
        user.send("bt -l\r")
        user.expect_exact(f"[exception RIP: {rip['symbol']}+{int(rip['offset'], 16)}]")
        user.expect(r"xxxwan\.c: \d+")  # its module was loaded before the terminal was handed over
        user.expect_exact("crash> ")
        user.setwinsize(50, 133)
        time.sleep(0.3)
        user.send("!stty size\r")
        user.expect_exact("50 133\r\n")
        user.expect_exact("crash> ")
        user.send("repeat -1 eval 7\r")
        user.expect_exact("hexadecimal: 7")
        user.send("\x03")
        user.expect_exact("crash> ")
        user.send("\x1b[A\x1b[A\r")  # two lines up in the history
        user.expect_exact("50 133\r\n")
        user.expect_exact("crash> ")
        user.send("quit\r")
        user.expect(pexpect.EOF)
        user.wait()
        assert user.exitstatus == 0


# ---------------------------------------------------------------- a small machine


def peak(run: "pexpect.spawn[str]", name: str) -> int:
    """Bytes of a field of /proc/PID/status."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{run.pid}/status").read_text(), re.M)
    assert found
    return int(found[1]) << 10


@pytest.mark.parametrize("copied", [True, False])
def test_the_estimate_of_what_crash_takes(lab: Lab, tmp_path: Path, copied: bool) -> None:
    """Measured while crash waits at its prompt; of a vmlinux without relocations it maps what it else copies."""
    vmlinux = lab.vmlinux
    if not copied:
        vmlinux = tmp_path / "vmlinux"
        subprocess.run(["objcopy", "--remove-relocations=.debug_*", str(lab.vmlinux), str(vmlinux)], check=True)
    sizes = memory.vmlinux(vmlinux)
    vmcore = lab.crashes["iptunnel"] / "vmcore"
    env = crash_child.environment(tmp_path)
    for options in ([], ["--minimal"]):
        argv = ["-s", "--no_crashrc", *options, str(vmlinux), str(vmcore)]
        with pexpect.spawn(lab.crash, argv, env=env, cwd=str(tmp_path), timeout=120, encoding="utf-8") as run:
            run.expect_exact("crash> ")
            for need, name in ((sizes.need("address space"), "VmPeak"), (sizes.need("resident"), "RssAnon")):
                assert (need.minimal if options else need.start) == pytest.approx(peak(run, name), rel=0.2), name
                if not options:
                    assert need.start == pytest.approx(peak(run, name), rel=0.05), name


@pytest.mark.parametrize(
    ("share", "of", "answered"),
    [
        (0.8, "minimal", ""),
        (0.9, "minimal", ""),
        (1.05, "minimal", "log"),
        (0.97, "start", "log"),
        (1.1, "work", "bt log"),
    ],
)
def test_under_a_limit_of_memory(
    run_cli: RunCli, lab: Lab, whole: Dict[str, str], tmp_path: Path, share: float, of: str, answered: str
) -> None:
    crash = lab.crashes["iptunnel"]
    before = set(crash.iterdir())
    asked = [word for command in COMMANDS for word in ("-c", command)]
    need = memory.vmlinux(lab.vmlinux).need("address space")
    limit = int(share * getattr(need, of)) >> 20 << 20
    prefix = ("prlimit", f"--as={limit}", "--core=unlimited", "--")
    env = {"CRASH": lab.crash}
    result = run_cli("crash", crash, "--root", lab.root, "--json", *asked, cwd=tmp_path, prefix=prefix, env=env)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["command"] for row in rows if row["complete"]] == answered.split()
    for row in rows:
        if row["complete"]:
            assert row["output"] == whole[row["command"]]
    assert list(tmp_path.iterdir()) == []
    assert set(crash.iterdir()) == before
    if answered == "bt log":
        assert (result.status, result.stderr) == (0, "")
        return
    assert result.status == (3 if answered else 1)
    first = result.stderr.splitlines()[0]
    size = f"{lab.vmlinux.stat().st_size / 1e6:.0f}"
    assert first.startswith(f"kdumpwrap: not enough memory for crash: with this vmlinux ({size} MB) it takes about ")
    assert int(first.partition("about ")[2].split()[0]) == round(need.work / 1e6)
    assert f"{limit / 1e6:.0f} MB are there (ulimit -v)" in first
    if answered:
        assert "crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone" in result.stderr


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
def test_what_memory_lacks_is_not_put_down_to_the_vmlinux(run_cli: RunCli, lab: Lab, share: float) -> None:
    """Of a vmlinux whose debug information does not fit crash says that there is none."""
    limit = int(share * memory.vmlinux(lab.vmlinux).need("address space").start)
    found = ask(run_cli, lab, lab.crashes["iptunnel"], ["bt"], prefix=("prlimit", f"--as={limit}", "--"))
    assert found.result.stderr.startswith("kdumpwrap: not enough memory for crash: with this vmlinux (")
    assert "no debug information" not in found.result.stderr


def test_a_backtrace_without_the_frames_in_modules_is_not_whole(run_cli: RunCli, lab: Lab) -> None:
    """crash --no_modules leaves them out without a word."""
    commands = ("bt", "log", "kmem -i", "sym iptunnel_xmit", "sym wan_next_seq", "rd ffffffffc0629512", "mod -t")
    plain, reduced, least = (
        ask(run_cli, lab, lab.crashes["null_deref"], commands, "--rung", rung)
        for rung in ("plain", "reduced", "minimal")
    )
    assert "[xxxwan]" in plain.outputs["bt"]
    assert "[xxxwan]" not in reduced.outputs["bt"]
    assert all(plain.complete.values())
    for found, lacking in ((reduced, ("bt", "sym wan_next_seq", "mod -t")), (least, (*commands[4:], "bt", "kmem -i"))):
        assert {command for command in commands if not found.complete[command]} == set(lacking)
        same = [command for command in commands if command not in lacking]
        assert [found.outputs[command] for command in same] == [plain.outputs[command] for command in same]
        assert "truncated" not in found.result.stderr
        assert found.result.status == 3


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup of our own, of version 1 or 2."""
    mounted = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
    group = next((path for path in mounted if (path / "memory.stat").exists()), mounted[1]) / f"kdumpwrap-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"needs a memory cgroup that may be written to: {error}")
    try:
        if not any((group / name).exists() for name in CGROUP_LIMITS):
            pytest.skip("needs a cgroup with the memory controller")
        yield group
    finally:
        group.rmdir()


@pytest.mark.parametrize(
    ("share", "of", "answered"),
    [(0.7, "minimal", ""), (1.0, "minimal", "log"), (0.95, "start", "log"), (1.4, "work", "bt log")],
)
def test_in_a_cgroup_with_a_limit(
    run_cli: RunCli, lab: Lab, whole: Dict[str, str], cgroup: Path, share: float, of: str, answered: str
) -> None:
    """The kernel kills crash when it takes more, with SIGKILL: it says nothing itself."""
    limit = next(name for name in CGROUP_LIMITS if (cgroup / name).exists())
    need = memory.vmlinux(lab.vmlinux).need("resident")
    (cgroup / limit).write_text(str(int(share * getattr(need, of)) + OWN))
    prefix = ("sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(cgroup))
    found = ask(run_cli, lab, lab.crashes["iptunnel"], COMMANDS, prefix=prefix)
    assert [command for command in COMMANDS if found.complete[command]] == answered.split()
    assert all(found.outputs[command] == whole[command] for command in COMMANDS if found.complete[command])
    if answered == "bt log":
        assert (found.result.status, found.result.stderr) == (0, "")
        return
    assert found.result.status == (3 if answered else 1)
    first = found.result.stderr.splitlines()[0]
    cause = "crash was killed (signal 9), most likely for its memory" if of == "start" else "not enough memory"
    assert first.startswith(f"kdumpwrap: {cause}")
    size, work, minimal = (f"{part / 1e6:.0f} MB" for part in (lab.vmlinux.stat().st_size, need.work, need.minimal))
    assert f"with this vmlinux ({size}) it takes about {work} of memory, {minimal} with --minimal; " in first
    assert first.endswith(f" MB are there (cgroup {limit})")


# ---------------------------------------------------------------- what is wrong with the files


def damaged(lab: Lab, tmp_path: Path, share: float) -> Path:
    """The crash with the first ``share`` of its vmcore."""
    directory = tmp_path / "127.0.0.1-2024-02-05-10:51:14"
    directory.mkdir()
    vmcore = lab.crashes["iptunnel"] / "vmcore"
    (directory / "vmcore").write_bytes(vmcore.read_bytes()[: int(vmcore.stat().st_size * share)])
    return directory


@pytest.mark.parametrize("percent", [50, 60, 75, 90, 97])
def test_a_truncated_vmcore(run_cli: RunCli, lab: Lab, whole: Dict[str, str], tmp_path: Path, percent: int) -> None:
    directory = damaged(lab, tmp_path, percent / 100)
    found = ask(run_cli, lab, directory, COMMANDS)
    first = found.result.stderr.splitlines()[0]
    assert first.startswith(f"kdumpwrap: {directory / 'vmcore'} is truncated")
    assert "another kernel" not in found.result.stderr
    assert not found.complete["bt"]
    if found.complete["log"]:  # from 90 % on its pages are there, and --minimal reads them
        assert found.outputs["log"] == whole["log"]
    assert found.complete["log"] == (percent >= 90)
    assert found.result.status == (3 if percent >= 75 else 1)


def test_random_bytes_are_no_dump(run_cli: RunCli, lab: Lab, tmp_path: Path) -> None:
    directory = damaged(lab, tmp_path, 0)
    (directory / "vmcore").write_bytes(os.urandom(1 << 20))
    found = ask(run_cli, lab, directory, ["bt"], "--vmlinux", str(lab.vmlinux))
    assert found.result.status == 1
    assert found.result.stderr.startswith(f"kdumpwrap: {directory / 'vmcore'} is not a kernel dump\n")


@pytest.mark.parametrize("rung", ["plain", "minimal"])
def test_another_kernels_vmlinux(run_cli: RunCli, lab: Lab, rung: str) -> None:
    other = lab.second_vmlinux
    found = ask(run_cli, lab, lab.crashes["iptunnel"], ["log"], "--vmlinux", str(other), "--rung", rung)
    assert (found.result.status, found.complete["log"], found.outputs["log"]) == (1, False, "")
    assert found.result.stderr.startswith(f"kdumpwrap: {other} is another kernel's vmlinux")
    assert f"which crashed with {lab.release}\n" in found.result.stderr


def test_a_vmlinux_without_debug_information(run_cli: RunCli, lab: Lab, tmp_path: Path) -> None:
    stripped = tmp_path / "vmlinux"
    subprocess.run(["strip", "--strip-debug", "-o", str(stripped), str(lab.vmlinux)], check=True)
    found = ask(run_cli, lab, lab.crashes["iptunnel"], ["bt"], "--vmlinux", str(stripped))
    assert found.result.status == 1
    assert found.result.stderr.startswith(f"kdumpwrap: {stripped} has no debug information\nhint: ")


def test_crash_is_killed_while_it_answers(run_cli: RunCli, lab: Lab, whole: Dict[str, str]) -> None:
    crash, kill = lab.crashes["iptunnel"], "!kill -9 $PPID"
    found = ask(run_cli, lab, crash, [kill, "log"], "--rung", "minimal")
    assert found.result.stderr.startswith("kdumpwrap: crash was killed (signal 9)\n")
    assert (found.complete[kill], found.complete["log"]) == (False, True)
    assert found.outputs["log"] == whole["log"]
    assert found.result.status == 3


def test_a_command_that_never_ends(run_cli: RunCli, lab: Lab, whole: Dict[str, str]) -> None:
    options = ("--rung", "minimal", "--timeout", "15")
    found = ask(run_cli, lab, lab.crashes["iptunnel"], ["!sleep 1000", "log"], *options)
    assert "crash did not answer within 15 s (time limit)" in found.result.stderr.splitlines()[0]
    assert found.complete == {"!sleep 1000": False, "log": True}
    assert found.outputs["log"] == whole["log"]


def test_an_answer_of_16_megabytes(run_cli: RunCli, lab: Lab) -> None:
    found = ask(run_cli, lab, lab.crashes["iptunnel"], ["rd _stext 450000"], "--rung", "minimal")
    lines = found.outputs["rd _stext 450000"].splitlines()
    assert (found.result.status, len(lines)) == (0, 225000)
    assert len(found.outputs["rd _stext 450000"]) > 16_000_000
    addresses = [int(line.partition(":")[0], 16) for line in (lines[0], lines[-1])]
    assert addresses[1] - addresses[0] == 16 * 224999
