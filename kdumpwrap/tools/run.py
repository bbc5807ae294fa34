"""The one place where a process is started and waited for (crash(8), which wants a terminal, has its own)."""

import base64
import contextlib
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import BinaryIO, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from kdumpwrap.errors import ToolFailed, ToolMissing, ToolTimeout

TIMEOUT = 120.0  # seconds; addr2line on a 600 MB vmlinux takes 0.5 s, on a slow disk and a small machine 30
TIMEOUT_VARIABLE = "KDUMPWRAP_TIMEOUT"  # another limit, in seconds
_MESSAGE = 300  # characters of a tool's complaint that are passed on

_history: List[List[str]] = []  # of each command its line, in a list of its own: threads add to it side by side
_running: Set["subprocess.Popen[bytes]"] = set()
_stopped = False
_watchers: List[Callable[[str], object]] = []


class Output(NamedTuple):
    """What a program printed. ``stderr`` is kept apart: binutils warn there and still exit 0."""

    stdout: bytes
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as text; what is not UTF-8 stands as ``\\xNN``."""
        return self.stdout.decode("utf-8", "backslashreplace")


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: Optional[float] = None,
    ok: Tuple[int, ...] = (0,),
    package: str = "",
    source: Optional[Path] = None,
    sink: Optional[Path] = None,
) -> Output:
    """What ``argv`` prints, fed with ``stdin`` (nothing: an end of file at once) or the file ``source``.

    With ``sink`` standard output is written to that new file, and ``stdout`` of the result is empty.
    ``timeout`` is in seconds; None: 120. $KDUMPWRAP_TIMEOUT changes that, and shortens a given one. Raises ToolMissing
    (the hint installs ``package``), ToolTimeout, or ToolFailed for an exit status outside ``ok``.
    """
    timeout = _limit(timeout)
    _fed(note(argv, source, sink), stdin)
    start = time.monotonic()
    with contextlib.ExitStack() as files:
        try:
            fed = files.enter_context(source.open("rb")) if source else None
            # not a pipe: nm fills one 1200 times over, each time until we have woken up
            caught: BinaryIO = sink.open("xb") if sink else os.fdopen(os.memfd_create("stdout"), "w+b")
            files.enter_context(caught)
        except OSError as error:
            raise ToolFailed(argv, f"{error.filename}: {error.strerror}") from None
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if fed is None else fed,
                stdout=caught,
                stderr=subprocess.PIPE,
                env=environment(),
            )
        except (FileNotFoundError, NotADirectoryError):
            raise missing(argv[0], package) from None
        except OSError as error:
            raise ToolFailed(argv, f"{argv[0]} cannot be started: {error.strerror}") from None
        with process:
            _running.add(process)
            if _stopped:  # and who called us may try another program
                process.kill()
            try:
                _, stderr = process.communicate(None if fed is not None else stdin, timeout)
            except subprocess.TimeoutExpired:
                raise _late(argv, timeout) from None
            finally:
                _running.discard(process)
                if process.returncode is None:
                    process.kill()
                    process.wait()
        stdout = b""
        if not sink:
            caught.seek(0)
            stdout = caught.read()
    return _checked(argv, process.returncode, stdout, stderr, start, ok)


def stop_all() -> None:
    """End every program that ``run`` waits for, and all that it will be told to start: whoever waits has to end."""
    global _stopped  # noqa: PLW0603 (called by a signal's handler)
    _stopped = True
    for process in tuple(_running):
        process.kill()


def stopped() -> bool:
    """Whether ``stop_all`` was called."""
    return _stopped


class Started:
    """A program that was started before all that it shall read is known: what it loads meanwhile costs no time."""

    def __init__(self, argv: Sequence[str], first: bytes = b"", *, package: str = "") -> None:
        """Start ``argv`` and feed it ``first`` (see ``feed``). Raises ToolMissing or ToolFailed."""
        self.argv = tuple(argv)
        self._noted = note(argv)
        self.fed = b""  # what the program was given to read
        self._start = time.monotonic()
        try:
            self._process = subprocess.Popen(
                list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
            )
        except (FileNotFoundError, NotADirectoryError):
            raise missing(argv[0], package) from None
        except OSError as error:
            raise ToolFailed(argv, f"{argv[0]} cannot be started: {error.strerror}") from None
        _running.add(self._process)
        if _stopped:
            self._process.kill()
        self.feed(first)

    def feed(self, text: bytes) -> None:
        """Give the program a part of what it shall read: a few kilobytes, which a pipe takes without waiting."""
        self.fed += text
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended already: finish() will tell how
                os.write(self._process.stdin.fileno(), text)  # past the buffer, which would try once more at close()

    def finish(self, rest: bytes, *, timeout: Optional[float] = None) -> Output:
        """Feed the ``rest``, wait, and give what the program printed; time limit and errors are those of ``run``."""
        timeout = _limit(timeout)
        self.fed += rest
        _fed(self._noted, self.fed)
        try:
            stdout, stderr = self._process.communicate(rest, timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise _late(self.argv, timeout) from None
        finally:
            _running.discard(self._process)
        return _checked(self.argv, self._process.returncode, stdout, stderr, self._start, (0,))

    def stop(self) -> None:
        """End the program, if it still runs. What it left running may hold its pipes open: they are not waited for."""
        _running.discard(self._process)
        if self._process.returncode is None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # flushing what was meant for the program
                        pipe.close()
            self._process.wait()


def _checked(
    argv: Sequence[str], status: int, stdout: bytes, stderr: bytes, start: float, ok: Tuple[int, ...]
) -> Output:
    errors = stderr.decode("utf-8", "backslashreplace")
    if status not in ok:
        raise ToolFailed(argv, f"{argv[0]} failed{_reason(status, errors)}", shlex.join(argv))
    return Output(stdout, errors, time.monotonic() - start)


def _late(argv: Sequence[str], timeout: float) -> ToolTimeout:
    return ToolTimeout(argv, f"{argv[0]} did not end within {timeout:g} s and was stopped", shlex.join(argv))


def missing(tool: str, package: str = "") -> ToolMissing:
    """The error for a program that is not there."""
    from kdumpwrap.host.packages import install

    return ToolMissing(f"{tool} is not installed", install(package or tool))


def environment() -> Dict[str, str]:
    """The environment of every tool: messages in English, no download of debuginfo behind our back."""
    env = dict(os.environ, LC_ALL="C", TERM="dumb")
    for name in ("DEBUGINFOD_URLS", "LANGUAGE", "POSIXLY_CORRECT"):
        env.pop(name, None)
    return env


def note(argv: Sequence[str], source: Optional[Path] = None, sink: Optional[Path] = None) -> List[str]:
    """Remember that ``argv`` is being run, and tell those who watch. Returns its entry in the history."""
    command = shlex.join(argv)
    command += f" <{shlex.quote(str(source))}" if source else ""
    command += f" >{shlex.quote(str(sink))}" if sink else ""
    entry = [command]
    _history.append(entry)
    for watcher in _watchers:
        watcher(command)
    return entry


def _fed(entry: List[str], stdin: bytes) -> None:
    """Have the history say what a command was fed with."""
    if stdin and stdin.isascii():
        entry[0] = fed(entry[0], stdin.decode().splitlines())


def fed(command: str, lines: Sequence[str]) -> str:
    """``printf '%s\\n' 0x1 0x2 | addr2line …``."""
    return f"printf '%s\\n' {shlex.join(lines)} | {command}"


def wrote(path: Path, data: bytes) -> None:
    """Have the history say how to make a file of ours that a command reads."""
    _history.append([f"echo {base64.b64encode(data).decode()} | base64 -d >{shlex.quote(str(path))}"])


def watch(watcher: Callable[[str], object]) -> None:
    """Have ``watcher`` called with each command that is started from now on."""
    _watchers.append(watcher)


def history() -> Tuple[str, ...]:
    """Every command run so far, ready to be pasted into a shell."""
    return tuple(entry[0] for entry in _history)


def _limit(timeout: Optional[float]) -> float:
    """The time limit of a command that was given ``timeout``: what the environment says can only shorten that."""
    try:
        limit = float(os.environ[TIMEOUT_VARIABLE])
    except (KeyError, ValueError):
        limit = 0.0
    if not limit > 0:  # nor a number
        return TIMEOUT if timeout is None else timeout
    return limit if timeout is None else min(limit, timeout)


def _reason(status: int, stderr: str) -> str:
    """`` (exit status 1): the first line of stderr``."""
    first = next((line.strip() for line in stderr.splitlines() if line.strip()), "")
    first = first if len(first) <= _MESSAGE else f"{first[:_MESSAGE]}…"
    how = f" (signal {-status})" if status < 0 else f" (exit status {status})"
    return f"{how}: {first}" if first else how
