"""nm begins before the command line is read, where what that asks for is plain."""

import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import pytest
from conftest import RunCli, ToolDir, environment

from kdumpwrap.cli import app, early
from kdumpwrap.crashdir import finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.example import worked
from kdumpwrap.symbolize import opening
from kdumpwrap.tools.recording import Recording

TOP = Path(__file__).parents[2]
ROOT = worked.root()
CRASH = next((ROOT / "var/crash").iterdir())
LOG = CRASH / "vmcore-dmesg.txt"
VMLINUX = next(ROOT.glob("usr/lib/debug/lib/modules/*/vmlinux"))


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("KDUMPWRAP_")]:
        monkeypatch.delenv(name)
    yield
    opening._foreseen.clear()


def foreseen(*words: object) -> Optional[Path]:
    """The file that nm has begun on."""
    early.begin("analyze", [*map(str, words)])
    begun = [one.begun for one in opening._foreseen if one.begun is not None]
    return begun[0].path if begun else None


@pytest.mark.parametrize(
    "words",
    [
        ("--root", ROOT, CRASH),
        (f"--root={ROOT}", "--json", "--no-variables", LOG),
        (CRASH, "--module-dir", "/nowhere", "--root", ROOT),
        ("--vmlinux", VMLINUX, LOG),
    ],
)
def test_what_is_plain_is_begun(words: List[object]) -> None:
    assert foreseen(*words) == VMLINUX


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--root", ROOT),
        ("--root", ROOT, "-"),
        ("--root", ROOT, CRASH, CRASH),
        ("--root", ROOT, "-v", CRASH),
        ("--root", ROOT, "--html", "page", CRASH),
        ("--root", "/nowhere", CRASH),
        ("--root", ROOT, CRASH / "nothing"),
        ("--root", ROOT, "/dev/null"),
        ("--root", ROOT, "a\0b"),
    ],
)
def test_what_is_not_plain_is_left_alone(words: List[object]) -> None:
    assert foreseen(*words) is None


def test_nm_begins_on_the_kernel_that_resolve_asks() -> None:
    release = VMLINUX.parent.name
    for words in (["--vmlinux", str(VMLINUX), "f+0x1"], ["--root", str(ROOT), f"--release={release}", "f+0x1"]):
        early.begin("resolve", words)
        assert opening._foreseen.pop().begun is not None
    early.begin("disasm", ["--root", str(ROOT), "f+0x1"])  # of the running kernel there is none below this root
    early.begin("disasm", ["--vmlinux", str(VMLINUX)])
    assert not opening.foreseen()


def test_nothing_is_read_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    assert foreseen("--vmlinux", VMLINUX, tmp_path / "log") is None


@pytest.mark.parametrize("name", ["KDUMPWRAP_ROOT", "KDUMPWRAP_VMLINUX", "KDUMPWRAP_VERBOSE", "KDUMPWRAP_RELEASE"])
def test_what_the_environment_steers_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert foreseen("--root", ROOT, CRASH) is None


def test_a_wrong_guess_changes_nothing(tmp_path: Path) -> None:
    other = Path(shutil.copy(str(VMLINUX), str(tmp_path)))
    assert foreseen("--vmlinux", VMLINUX, LOG) == VMLINUX
    with Recording() as recording:
        begun = opening.begin(None, Search(vmlinux=other))
        assert begun.vmlinux.result(60).path == other
    assert [command.argv[-1] for command in recording.commands if command.argv[0] == "nm"] == [str(other)]


TYPER = """
import os, pathlib, time
for _ in range(500):
    if pathlib.Path({started!r}).exists():
        os._exit(7)
    time.sleep(0.01)
"""


@pytest.mark.parametrize("words", [("analyze", "--root", ROOT, CRASH), ("resolve", "--vmlinux", VMLINUX, "a+0x1/0x2")])
def test_nm_is_at_work_before_typer_is_loaded(
    words: Tuple[object, ...], run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    tool_dir.fake("nm", f'echo >{started}; exec {shutil.which("nm")} "$@"')
    (tmp_path / "typer.py").write_text(TYPER.format(started=str(started)))
    env = {**tool_dir.first, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(TOP)])}
    assert run_cli(*map(str, words), env=env).status == 7


SIGNALLED = """
import os, pathlib, signal, time
while not pathlib.Path({started!r}).exists():
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""


def test_a_signal_before_the_command_line_is_read_ends_nm(run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    started = tmp_path / "started"
    tool_dir.fake("nm", f"echo $$ >{started}.new; mv {started}.new {started}; exec sleep 600")
    (tmp_path / "typer.py").write_text(SIGNALLED.format(started=str(started)))
    env = {**tool_dir.first, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(TOP)])}
    done = run_cli("analyze", "--root", ROOT, CRASH, env=env)
    assert (done.status, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")
    nm = Path("/proc", started.read_text().strip(), "stat")
    end = time.monotonic() + 5
    while nm.exists() and nm.read_text().split()[2] != "Z" and time.monotonic() < end:
        time.sleep(0.01)
    assert not nm.exists() or nm.read_text().split()[2] == "Z"


@pytest.mark.parametrize("words", [("--version",), ("dmesg", CRASH)])
def test_what_needs_no_nm_loads_nothing_for_it(words: List[object], run_cli: RunCli) -> None:
    done = run_cli(*map(str, words), env={"PYTHONVERBOSE": "1"})  # each import is told on standard error
    assert done.status == 0 and "kdumpwrap.cli.app" in done.stderr and "kdumpwrap.cli.early" not in done.stderr


def test_a_module_alone_needs_no_vmlinux(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "part.c").write_text("int twice(int a) { return 2 * a; }\n")
    subprocess.run(["gcc", "-g", "-O2", "-c", "-o", "part.ko", "part.c"], cwd=str(tmp_path), check=True)
    words = ("resolve", "--vmlinux", "/no/vmlinux", "--module-dir", tmp_path, "twice+0x1 [part]")
    done = run_cli(*map(str, words))
    assert (done.status, done.stderr) == (0, "") and "part.c:1" in done.stdout


LATER = """
case "$*" in *XxxWan*)
	for _ in $(seq 200); do [ ! -e {started} ] || exec {real} "$@"; sleep 0.05; done; echo too soon >{early};;
esac
exec {real} "$@"
"""


@pytest.mark.skipif(shutil.which("eu-addr2line") is None, reason="needs elfutils")
def test_eu_addr2line_is_at_work_before_modules_are_opened(run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    """It takes longest of all tools."""
    started, early_one = tmp_path / "started", tmp_path / "early"
    tool_dir.fake("readelf", LATER.format(started=started, early=early_one, real=shutil.which("readelf")))
    tool_dir.fake("eu-addr2line", f'touch {started}; exec {shutil.which("eu-addr2line")} "$@"')
    shutil.copy(str(VMLINUX), str(tmp_path / "XxxWan.ko"))  # it is refused, once readelf has read it
    words = ("analyze", "--no-variables", "--root", ROOT, "--module-dir", tmp_path, CRASH)
    done = run_cli(*map(str, words), env=tool_dir.first)
    assert done.status == 3 and started.exists() and not early_one.exists(), done.stderr


@pytest.mark.parametrize("command", ["resolve", "disasm"])
def test_a_symbol_costs_one_nm(command: str, run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    tool_dir.fake("nm", f'echo "$*" >>{tmp_path}/asked; exec {shutil.which("nm")} "$@"')
    done = run_cli(command, "--vmlinux", VMLINUX, "iptunnel_xmit+0x17d/0x1c0", env=tool_dir.first)
    assert done.status == 0 and (tmp_path / "asked").read_text().count(str(VMLINUX)) == 1


def test_it_runs_once_and_is_told_as_any_other(run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    tool_dir.fake("nm", f'echo "$*" >>{tmp_path}/asked; exec {shutil.which("nm")} "$@"')
    words = ("analyze", "--markdown", "--no-variables", "--root", ROOT, CRASH)
    page = run_cli(*words, env=tool_dir.first).stdout
    assert (tmp_path / "asked").read_text().count(str(VMLINUX)) == 1
    assert len(re.findall(r"^nm -n .*vmlinux$", page, re.M)) == 1


LOOK = """
import os, sys
from kdumpwrap.cli import app, early
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)
early.begin("analyze", sys.argv[1:])
"""


def test_a_crash_that_cannot_be_looked_at_is_said_as_any_other(open_dir: Path, run_cli: RunCli) -> None:
    done = run_cli("analyze", "a" * 300)
    assert done.status == 1 and done.stderr.startswith("kdumpwrap: "), done.stderr
    (open_dir / "closed").mkdir(0)
    subprocess.run([sys.executable, "-c", LOOK, str(open_dir / "closed/crash")], env=environment(), check=True)


@pytest.mark.parametrize("words", [("analyze", "--raw", "--json"), ("annotate", "--json")])
def test_nm_does_not_outlive_a_wrong_command_line(
    words: Tuple[str, ...], run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path
) -> None:
    tool_dir.fake("nm", f"echo $$ >{tmp_path}/pid; exec sleep 20 >/dev/null 2>&1")
    done = run_cli(*words, "--root", ROOT, CRASH, env=tool_dir.first)
    assert done.status == 2
    for _ in range(100):
        try:
            if not Path("/proc", (tmp_path / "pid").read_text().strip(), "cmdline").read_bytes():
                return  # it has ended, and nobody has waited for it yet
        except FileNotFoundError:
            return
        time.sleep(0.02)
    pytest.fail("nm is still there")


def test_it_knows_the_options_as_the_command_line_has_them() -> None:
    """A value of an option that is not known would be taken for a crash, so such an option ends the guess."""
    steering, takes_value = set(), {}
    for command in ("analyze", "annotate", "resolve", "disasm"):
        (one,) = app._app(command).registered_commands
        assert one.callback is not None
        for parameter in inspect.signature(one.callback).parameters.values():
            names = getattr(parameter.default, "param_decls", None) or ()
            steering |= {parameter.default.envvar} if names else set()
            for name in (name for name in "/".join(names).split("/") if name.startswith("-")):
                takes_value[name] = "bool" not in str(parameter.annotation)
    assert {"--root", "--vmlinux", "-v", "--no-variables"} < set(takes_value)
    assert not [name for name in early._VALUED if not takes_value[name]]
    assert not [name for name in early._FLAGS if takes_value[name]]
    assert set(early._STEERING) < steering
    unknown = set(takes_value) - {*early._VALUED, *early._FLAGS}
    assert not [name for name in unknown if early._asked([name, str(CRASH)], {})]


def test_it_runs_once_where_the_log_names_no_release(run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    tool_dir.fake("nm", f'echo "$*" >>{tmp_path}/asked; exec {shutil.which("nm")} "$@"')
    (tmp_path / "log").write_text(re.sub(r"\S*el7\.x86_64\S*", "", LOG.read_text()))
    assert release_of(finder.find(str(tmp_path / "log"), ROOT)) is None
    run_cli("analyze", "--vmlinux", VMLINUX, tmp_path / "log", env=tool_dir.first)
    assert (tmp_path / "asked").read_text().count(str(VMLINUX)) == 1
