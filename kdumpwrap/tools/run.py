"""The one place where a process is started and waited for (crash(8), which wants a terminal, has its own)."""

import os
import shlex
import subprocess
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.errors import ToolFailed, ToolMissing, ToolTimeout

TIMEOUT = 120.0  # seconds; addr2line on a 600 MB vmlinux takes 0.5 s, on a slow disk and a small machine 30
TIMEOUT_VARIABLE = "KDUMPWRAP_TIMEOUT"  # another limit, in seconds

_history: List[str] = []
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
) -> Output:
    """What ``argv`` prints, fed with ``stdin`` (nothing: an end of file at once).

    ``timeout`` is in seconds; None: $KDUMPWRAP_TIMEOUT, else 120. Raises ToolMissing (the hint installs ``package``),
    ToolTimeout, or ToolFailed for an exit status outside ``ok``.
    """
    if timeout is None:
        timeout = _limit()
    note(argv)
    start = time.monotonic()
    try:
        done = subprocess.run(
            list(argv), input=stdin, capture_output=True, timeout=timeout, env=environment(), check=False
        )
    except (FileNotFoundError, NotADirectoryError):
        raise missing(argv[0], package) from None
    except OSError as error:
        raise ToolFailed(argv, f"{argv[0]} cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ToolTimeout(
            argv, f"{argv[0]} did not end within {timeout:g} s and was stopped", shlex.join(argv)
        ) from None
    stderr = done.stderr.decode("utf-8", "backslashreplace")
    if done.returncode not in ok:
        raise ToolFailed(argv, f"{argv[0]} failed{_reason(done.returncode, stderr)}", shlex.join(argv))
    return Output(done.stdout, stderr, time.monotonic() - start)


def missing(tool: str, package: str = "") -> ToolMissing:
    """The error for a program that is not there."""
    from kdumpwrap.packages import install

    return ToolMissing(f"{tool} is not installed", install(package or tool))


def environment() -> Dict[str, str]:
    """The environment of every tool: messages in English, no download of debuginfo behind our back."""
    env = dict(os.environ, LC_ALL="C", TERM="dumb")
    for name in ("DEBUGINFOD_URLS", "LANGUAGE", "POSIXLY_CORRECT"):
        env.pop(name, None)
    return env


def note(argv: Sequence[str]) -> None:
    """Remember that ``argv`` is being run, and tell those who watch."""
    command = shlex.join(argv)
    _history.append(command)
    for watcher in _watchers:
        watcher(command)


def watch(watcher: Callable[[str], object]) -> None:
    """Have ``watcher`` called with each command that is started from now on."""
    _watchers.append(watcher)


def history() -> Tuple[str, ...]:
    """Every command run so far, ready to be pasted into a shell."""
    return tuple(_history)


def _limit() -> float:
    try:
        return float(os.environ[TIMEOUT_VARIABLE])
    except (KeyError, ValueError):
        return TIMEOUT


def _reason(status: int, stderr: str) -> str:
    """`` (exit status 1): the first line of stderr``."""
    first = next((line.strip() for line in stderr.splitlines() if line.strip()), "")
    how = f" (signal {-status})" if status < 0 else f" (exit status {status})"
    return f"{how}: {first}" if first else how
