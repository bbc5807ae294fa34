"""A hint with a command of ours keeps the options of the call: pasted, it does what was meant, on the same host."""

import ast
import shlex
import subprocess
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Dict, Iterator, Tuple

import pytest
from conftest import RunCli, environment

from kdumpwrap import shell
from kdumpwrap.cli import app, options
from kdumpwrap.fetch.order import Order

EL = "5.14.0-503.el9.x86_64"
LOG = f"""\
[    0.000000] Linux version {EL} (mockbuild@x) (gcc) #1 SMP
[  100.000000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[  100.000003] CPU: 1 PID: 112 Comm: sh Not tainted {EL} #1
[  100.000004] RIP: 0010:f+0x10/0x41
"""


@pytest.fixture
def called() -> Iterator[None]:
    """The call has every option there is."""
    words = dict.fromkeys(options.REPEATED.values(), ())
    shell.called({**words, "--root": [Path("/mnt/a b")], "--module-dir": ["/m", "-n"], "--release": ["5.14"]})
    yield
    shell.called({})


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("kdumpwrap list {}", "kdumpwrap list --root '/mnt/a b' X"),
        ("sudo kdumpwrap doctor", "sudo kdumpwrap doctor --root '/mnt/a b'"),
        ("{} && kdumpwrap fetch", "X && kdumpwrap fetch --all --root '/mnt/a b' --module-dir /m --module-dir ./-n"),
        ("kdumpwrap merge {}", "kdumpwrap merge X"),
        ("run kdumpwrap there, on {}", "run kdumpwrap there, on X"),
    ],
)
@pytest.mark.usefixtures("called")
def test_a_command_gets_the_options_that_it_takes(template: str, filled: str) -> None:
    assert shell.hint(template, *(["X"] if "{}" in template else [])) == filled


@pytest.mark.usefixtures("called")
def test_no_option_is_added_to_what_is_filled_in() -> None:
    assert shell.hint("less {}", "kdumpwrap list") == "less 'kdumpwrap list'"
    inner = shell.hint("kdumpwrap list")
    assert shell.hint("{}; or {}", inner, shell.NONE) == f"{inner}; or "


@pytest.mark.parametrize("command", app.COMMANDS)
def test_each_command_takes_the_options_that_hints_give_it(command: str) -> None:
    module, function = app.COMMANDS[command]
    parameters = signature(getattr(import_module(f"kdumpwrap.cli.{module}"), function)).parameters
    takes = {options.REPEATED[name] for name in parameters if name in options.REPEATED}
    takes -= {"--release"} if command == "batch" else set()  # patterns, of what is wanted
    assert set(shell.LOOK_UP.get(command, ())) == takes


def test_no_hint_is_made_before_the_call_is_known() -> None:
    for file in Path(shell.__file__).parent.rglob("*.py"):
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
                made = [ast.dump(one) for one in calls if ast.dump(one.func).endswith("attr='hint', ctx=Load())")]
                assert not [one for one in made if "kdumpwrap " in one], file


@pytest.mark.usefixtures("called")
def test_an_order_is_given_again_whole() -> None:
    many = "--root '/mnt/a b' --module-dir /m --module-dir ./-n"
    assert Order(EL).again == f"kdumpwrap fetch --all {many} {EL}"
    assert Order(EL, "/c", analysis=True).again.endswith("--debuginfod --fetch /c")


# ---------------------------------------------------------------- by every command, pasted


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with a crash that has no vmcore, and whose name a shell would take apart."""
    crash = tmp_path / "a host/var/crash/127.0.0.1-2024-01-31-10:00:00"
    crash.mkdir(parents=True)
    (crash / "vmcore-dmesg.txt").write_text(LOG)
    (tmp_path / "a host/etc").mkdir()
    (tmp_path / "a host/etc/os-release").write_text("ID=centos\nVERSION_ID=9\nPRETTY_NAME=CentOS\n")
    (tmp_path / "modules").mkdir()
    return tmp_path / "a host"


# the words behind --root, and what is pasted; CRASH and MODULES are paths
CALLS: Dict[str, Tuple[str, str]] = {
    "list": ("list nowhere", "kdumpwrap doctor --root ROOT"),
    "analyze": ("analyze gone", "kdumpwrap list --root ROOT"),
    "annotate": ("annotate gone", "kdumpwrap list --root ROOT"),
    "pack": ("pack --module-dir MODULES gone", "kdumpwrap list --root ROOT"),
    "dmesg": ("dmesg gone", "kdumpwrap list --root ROOT"),
    "crash": ("crash --module-dir MODULES CRASH -c bt", "kdumpwrap list --root ROOT"),
    "fetch": ("fetch --module-dir MODULES gone", "kdumpwrap list --root ROOT"),
    "batch": ("batch --host nobody", "kdumpwrap list --root ROOT CRASHES"),
    "doctor": ("doctor", "kdumpwrap doctor --root ROOT --fix"),
    "what is fetched": (
        "analyze --module-dir MODULES CRASH",
        "kdumpwrap fetch --root ROOT --module-dir MODULES CRASH",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_to_be_typed_is_about_the_same_host(name: str, root: Path, run_cli: RunCli) -> None:
    typed, wanted = CALLS[name]
    crash = next(root.glob("var/crash/*"))
    paths = {"ROOT": root, "CRASHES": crash.parent, "CRASH": crash, "MODULES": root.parent / "modules"}
    command, *rest = (str(paths.get(word, word)) for word in typed.split())
    done = run_cli(command, "--root", root, *rest, cwd=root.parent)
    said = " ".join(shlex.quote(str(paths.get(word, word))) for word in wanted.split())
    told = [line.rpartition("hint: ")[2] for line in done.stderr.splitlines() if line.startswith("hint: ")]
    told += [line.rpartition("as a script: ")[2] for line in done.stdout.splitlines()]
    assert said in told
    pasted = shell_run(f"{said} {'--dry-run' if 'fetch' in wanted else ''}", root.parent)
    assert "Traceback" not in pasted and "No such option" not in pasted
    if wanted.startswith("kdumpwrap list"):
        assert str(crash) in pasted
    if wanted.startswith("kdumpwrap doctor"):
        assert "CentOS" in pasted


def shell_run(command: str, directory: Path) -> str:
    """What a shell prints that reads ``command``."""
    script = f'kdumpwrap() {{ {shlex.quote(sys.executable)} -m kdumpwrap "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        env=environment(),
        check=False,
    )
    return done.stdout
