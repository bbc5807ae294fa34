"""Ctrl-C, SIGTERM and SIGHUP, wherever in the program they arrive: it ends, and says nothing of its insides."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import pytest
from conftest import environment
from processes import ran

# Python throws a generator away, and cannot raise what its last lines raise
IN_A_DESTRUCTOR = """
import os, sys, time
from kdumpwrap.cli import signals

def cleaning_up():
    try:
        yield
    finally:
        os.kill(os.getpid(), int(sys.argv[1]))

signals.listen()
try:
    found = cleaning_up()
    next(found)
    del found
    time.sleep(20)
except KeyboardInterrupt:
    signals.leave(0)
"""
WHILE_LOADING = """
import os, signal, sys, types
from kdumpwrap.cli import signals

signals.listen()
sys.modules["kdumpwrap.tools.run"] = types.ModuleType("what stands there while it is being loaded")
try:
    os.kill(os.getpid(), signal.SIGTERM)
except KeyboardInterrupt:
    signals.leave(0)
"""
BUG_IN_A_DESTRUCTOR = """
from kdumpwrap.cli import signals

class Thing:
    def __del__(self):
        raise ValueError("a bug")

signals.listen()
Thing()
"""
AT_WORK = """
import sys
from kdumpwrap.batch import workers
from kdumpwrap.cli import signals

def pieces():
    try:
        yield "x" * 100
    finally:
        sum(range(1000))

signals.listen()
try:
    print("ready", flush=True)
    for found in workers.each(lambda number: next(pieces()), range(10**6), 2):
        pass
except KeyboardInterrupt:
    signals.leave(0)
"""
AT_TOOLS = """
import sys
from kdumpwrap.batch import workers
from kdumpwrap.cli import signals
from kdumpwrap.errors import ToolFailed
from kdumpwrap.tools.argv import options
from kdumpwrap.tools.run import run

def tried(number):
    for attempt in range(3):  # as another program does what the first one could not
        try:
            return run("sleep", options("1000"))
        except ToolFailed:
            pass

signals.listen()
try:
    print("ready", flush=True)
    for found in workers.each(tried, range(1000), 2):
        pass
except KeyboardInterrupt:
    signals.leave(0)
"""
STARTING = """
import contextlib, signal, subprocess, threading, time
from kdumpwrap.cli import signals
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.tools import run
from kdumpwrap.tools.argv import options

class Slow(subprocess.Popen):  # as on a machine at work
    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        print("ready", flush=True)
        time.sleep(0.3)
        begun.set()

begun = threading.Event()
subprocess.Popen = Slow
signals.listen()

def sleeps():
    with contextlib.suppress(KdumpwrapError):  # it is ended
        run.run("sleep", options("1000"))

threading.Thread(target=sleeps, daemon=True).start()
try:
    begun.wait()
    time.sleep(20)
except KeyboardInterrupt:
    signals.leave(1)
"""


@pytest.mark.skipif(sys.version_info < (3, 8), reason="older Pythons have no sys.unraisablehook, and lose it")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_arrives_in_a_destructor_is_heard(number: signal.Signals) -> None:
    argv = [sys.executable, "-c", IN_A_DESTRUCTOR, str(int(number))]
    start = time.monotonic()
    done = ran(argv, env=environment(), timeout=60)
    assert (done.returncode, done.stderr) == (128 + number, "")
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("loaded", ["typer", "signal"])
def test_ctrl_c_before_anything_was_done(tmp_path: Path, loaded: str) -> None:
    (tmp_path / f"{loaded}.py").write_text("import _signal, os; os.kill(os.getpid(), _signal.SIGINT)")
    argv = [sys.executable, "-m", "kdumpwrap", "list"]
    path = f"{tmp_path}:{Path(__file__).parent.parent.parent}"
    done = ran(argv, env=environment({"PYTHONPATH": path}), timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_signal_while_we_are_being_loaded() -> None:
    argv = [sys.executable, "-c", WHILE_LOADING]
    done = ran(argv, env=environment(), timeout=60)
    assert (done.returncode, done.stderr) == (143, "")


def test_a_bug_in_a_destructor_keeps_its_traceback() -> None:
    argv = [sys.executable, "-c", BUG_IN_A_DESTRUCTOR]
    done = ran(argv, env=environment(), timeout=60)
    assert "ValueError: a bug" in done.stderr


def test_processes_end_quietly_at_any_moment() -> None:
    for milliseconds in range(0, 60, 3):
        with ready(AT_WORK) as process:
            time.sleep(milliseconds / 1000)
            os.killpg(process.pid, signal.SIGTERM)  # as systemd does: the processes that do the work get it too
            _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (143, "")


def test_processes_start_no_tool_once_they_are_to_end() -> None:
    with ready(AT_TOOLS) as process:
        time.sleep(1)
        start = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (143, "")
    assert time.monotonic() - start < 15
    assert ends(process.pid)


def test_a_tool_that_is_just_being_started_is_ended_too() -> None:
    with ready(STARTING) as process:
        process.terminate()
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (143, "")
    assert ends(process.pid)


@contextlib.contextmanager
def ready(program: str) -> "Iterator[subprocess.Popen[str]]":
    """The process of a Python ``program``, in a session of its own, once it has printed that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def ends(session: int) -> bool:
    """Whether nothing of a session runs any more; what was killed has ten seconds to end."""
    for _ in range(100):
        if not any(runs_in(stat, session) for stat in Path("/proc").glob("[1-9]*/stat")):
            return True
        time.sleep(0.1)
    return False


def runs_in(stat: Path, session: int) -> bool:
    """Whether a process runs in ``session``, by its /proc/PID/stat: "4242 (comm) S parent group session …"."""
    try:
        state, _, _, its = stat.read_text().rpartition(")")[2].split()[:4]
    except OSError:  # it has ended
        return False
    return int(its) == session and state not in "ZX"  # a zombie has ended; nobody has asked for its status yet
