"""What anybody can type or set, however odd: an answer or one line that says what is wrong, and never a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator, List, Mapping, Optional, Tuple

import pytest
from conftest import TESTS, Result, RunCli, ToolDir, environment

from kdumpwrap import resolve
from kdumpwrap.errors import UsageError
from kdumpwrap.example import worked

LONG = "n" * 300
LOG = next(worked.root().glob("var/crash/*/vmcore-dmesg.txt"))
CRASH = str(LOG.parent)
ROOT = ("--root", str(worked.root()))


# loads all once, and runs each command line that it is given in a process forked off: Python's start is not the point
SERVER = """
import json, os, sys, traceback
from kdumpwrap.cli import app
for line in sys.stdin:
    words, env, cwd, streams = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            for number, path in enumerate(streams, 1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "rww"[number]) for number in range(3))
            sys.argv = ["kdumpwrap", *words]
            os.chdir(cwd)
            os.environ.clear()
            os.environ.update(env)
            app.main()
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(os.WEXITSTATUS(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Result]]:
    streams = [tmp_path_factory.mktemp("server") / name for name in ("stdout", "stderr")]
    argv = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True, env=environment()
    ) as process:
        assert process.stdin and process.stdout

        def run(*words: object, env: Optional[Mapping[str, str]] = None, cwd: Optional[Path] = None) -> Result:
            assert process.stdin and process.stdout
            asked = [*map(str, words)], environment(env), str(cwd or TESTS), [*map(str, streams)]
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            status = int(process.stdout.readline())
            return Result(status, *(path.read_bytes().decode("utf-8", "backslashreplace") for path in streams))

        yield run
        process.stdin.close()


@pytest.fixture
def run_cli(server: Callable[..., Result]) -> Callable[..., Result]:
    return server


def sane(done: Result) -> Result:
    assert "Traceback" not in done.stderr
    assert done.status in (0, 1, 2, 3)
    assert done.stdout or done.stderr
    return done


# ---------------------------------------------------------------- streams that are closed


@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize(
    "command",
    [
        ["dmesg", "-"],
        ["analyze", "-"],
        ["merge", "-"],
        ["crash", CRASH],
        ["crash"],
        ["batch", *ROOT],
        ["analyze", "--example", "--json"],
        ["list", *ROOT],
        ["doctor"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_streams_that_are_closed(command: List[str], closed: Tuple[int, ...], tmp_path: Path) -> None:
    """``kdumpwrap … <&-``, as cron jobs and careless daemons start programs."""
    complaint = tmp_path / "stderr"
    redirect = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    redirect += "" if 2 in closed else f" 2>{complaint}"
    redirect += "" if 1 in closed else " >/dev/null"
    argv = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "kdumpwrap", *command]
    done = subprocess.run(argv, env=environment(), timeout=60, check=False)
    assert done.returncode in (0, 1, 2, 3)
    said = complaint.read_text() if complaint.exists() else ""
    assert "Traceback" not in said
    if command[-1] == "-" and 0 in closed and 2 not in closed:
        assert re.match("kdumpwrap: (standard input: no report|no crash in what was given)", said)


# ---------------------------------------------------------------- limits of time


@pytest.mark.parametrize("value", ["inf", "nan", "1e300", "-1", "x", "9" * 400])
def test_time_limits(value: str, run_cli: RunCli) -> None:
    done = sane(run_cli("analyze", "--example", env={"KDUMPWRAP_TIMEOUT": value}))
    assert "include/net/ip_tunnels.h:462" in done.stdout
    variables = {"KDUMPWRAP_DEBUGINFOD_TIMEOUT": value, "DEBUGINFOD_URLS": "http://127.0.0.1:1"}
    sane(run_cli("analyze", "--debuginfod", *ROOT, CRASH, env=variables))


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "-1", ""])
def test_the_time_limit_of_crash(value: str, tmp_path: Path, tool_dir: ToolDir, run_cli: RunCli) -> None:
    crash = tmp_path / "127.0.0.1-2024-01-01-10:00:00"
    crash.mkdir()
    (crash / "vmcore").write_bytes(b"KDUMP   " + bytes(4096))
    vmlinux = next(worked.root().rglob("vmlinux"))
    env = {"CRASH": str(tool_dir.fake("crash", "echo crash: no such thing; exit 1"))}
    command = ("crash", crash, "-c", "sys", "--vmlinux", vmlinux)
    done = sane(run_cli(*command, "--timeout", value, env=env))
    assert done.status == (1 if value in ("inf", "1e999") else 2)
    # set in the environment, an empty value is none
    done = sane(run_cli(*command, env={**env, "KDUMPWRAP_CRASH_TIMEOUT": value}))
    assert done.status == (1 if value in ("inf", "1e999", "") else 2)


@pytest.mark.parametrize("value", ["999999w", "999999d", "0h", "9999-12-31", "0001-01-01"])
def test_times_long_ago_and_far_ahead(value: str, run_cli: RunCli) -> None:
    done = sane(run_cli("batch", *ROOT, "--since", value))
    assert done.status in ((0, 3) if value in ("999999w", "999999d", "0001-01-01") else (0, 1, 3))


@pytest.mark.parametrize("value", ["w", "-1d", "٣d", "9999999w", "0000-01-01"])
def test_what_is_no_time(value: str, run_cli: RunCli) -> None:
    assert sane(run_cli("batch", *ROOT, "--since", value)).status == 2


# ---------------------------------------------------------------- symbols and names


@pytest.mark.parametrize(
    ("text", "offset"), [("f+09", 9), ("f+010", 10), ("f+0x09", 9), ("f+0X1f", 31), ("f+0", 0), ("f", 0), ("f+00", 0)]
)
def test_offsets_are_decimal_or_hexadecimal(text: str, offset: int) -> None:
    assert resolve.parse(text).offset == offset
    assert resolve.parse(f"{text}/0x10" if "+" in text else f"{text}+{offset}/0x10").size == 16


@pytest.mark.parametrize(
    "text", ["f+0x", "f+" + "9" * 30, "f+0x" + "f" * 17, "f+1/" + "9" * 5000, "+", "", "f+1/", "f+-1"]
)
def test_what_is_no_offset(text: str) -> None:
    with pytest.raises(UsageError):
        resolve.parse(text)


ODD = [
    "f+09",
    "f+0xffffffffffffffff",
    "f+9223372036854775807",
    LONG,
    f"f [{LONG}]",
    f"{LONG}+0x1/0x2",
    "f+0x1/0x0",
    "\udcff",
]


@pytest.mark.parametrize("text", [*ODD, "iptunnel_xmit+0xffffffffffffffff", "-- -x", "a" * 100_000], ids=range(11))
def test_odd_expressions(text: str, run_cli: RunCli) -> None:
    for command in (["resolve"], ["disasm", "--caller", "--all"]):
        sane(run_cli(*command, *ROOT, "--release", "4.19.113-88.8bs.el7.x86_64", "--", text))


@pytest.mark.parametrize("name", [LONG, "/".join([LONG] * 20), "a\udcff", ""], ids=range(4))
def test_odd_names_wherever_a_name_is_taken(name: str, tmp_path: Path, run_cli: RunCli) -> None:
    os.chdir(tmp_path)
    for command in (
        ["analyze", "--", name],
        ["dmesg", "--", name],
        ["list", "--", name],
        ["batch", "--", name],
        ["merge", "--", name],
        ["crash", "-c", "sys", "--", name],
        ["list", f"--root={name}"],
        ["doctor", f"--root={name}"],
        ["batch", *ROOT, f"--html={name}"],
        ["batch", *ROOT, f"--host={name}", f"--release={name}"],
        *(
            ["analyze", *ROOT, f"{option}={name}", CRASH]
            for option in ("--vmlinux", "--module-dir", "--source-dir", "--html")
        ),
        ["resolve", *ROOT, f"--release={name}", "f"],
        ["disasm", *ROOT, f"--vmlinux={name}", "f"],
    ):
        sane(run_cli(*command, cwd=tmp_path))


def test_a_log_full_of_long_names(tmp_path: Path, run_cli: RunCli) -> None:
    crash = tmp_path / "127.0.0.1-2024-01-01-10:00:00"
    crash.mkdir()
    log = LOG.read_text().replace("XxxWan", "m" * 300).replace("iptunnel_xmit", "f" * 300)
    (crash / "vmcore-dmesg.txt").write_text(log.replace("4.19.113-88.8bs.el7.x86_64", "4.19.113-" + "r" * 300))
    for command in (
        ["analyze"],
        ["dmesg"],
        ["batch", "--save"],
        ["list"],
        ["analyze", "--markdown"],
        ["analyze", "--json"],
    ):
        sane(run_cli(*command, *ROOT, crash if command[0] != "list" else tmp_path))
