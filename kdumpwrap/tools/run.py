"""The one place where a process is started and waited for (crash(8), which wants a terminal, has its own)."""

import contextlib
import os
import resource
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, BinaryIO, Dict, Mapping, NamedTuple, Optional, Sequence, Set, Tuple, Union

from kdumpwrap import shell
from kdumpwrap.errors import ToolFailed, ToolMissing, ToolStopped, ToolTimeout
from kdumpwrap.host.files import open_file
from kdumpwrap.tools.argv import Argument, strings
from kdumpwrap.tools.memfile import in_memory, seal, size
from kdumpwrap.tools.recording import feed, note

TIMEOUT = 120.0  # seconds; addr2line on a 600 MB vmlinux takes 0.5 s, on a slow disk and a small machine 30
LONGEST = 1e6  # seconds, more than eleven days; the system cannot wait for infinitely many
TIMEOUT_VARIABLE = "KDUMPWRAP_TIMEOUT"  # another limit, in seconds
LARGEST = 64 << 20  # bytes that a tool may print; nm prints 8 MB of a vmlinux with 150,000 symbols
MEMORY = 4 << 30  # bytes of address space; addr2line takes 1.3 GB of a vmlinux of 600 MB
_MESSAGE = 300  # characters of a tool's complaint that are passed on
_COMPLAINTS = 1 << 16  # bytes of standard error that are read
# huge pages, where glibc 2.35 or newer finds any, save nm, objdump and eu-addr2line a tenth of their time; one of arm64
# may have 512 MiB
_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if os.uname().machine == "x86_64" else {}
_LOOK = 0.02  # seconds between two looks at what a program has printed

running: Set["subprocess.Popen[bytes]"] = set()
_starting: Set[object] = set()  # one for each thread that is about to add to ``running``
_SOON = 1.0  # seconds in which a program is started
_stopped = False


# for tools.pipe, which connects two of them
DEVNULL, PIPE, Expired = subprocess.DEVNULL, subprocess.PIPE, subprocess.TimeoutExpired
Process = subprocess.Popen


class Output(NamedTuple):
    """The output of a program. ``stderr`` is kept apart: binutils warn there and still exit 0."""

    stdout: bytes
    stderr: str
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as text; what is not UTF-8 stands as ``\\xNN``."""
        return self.stdout.decode("utf-8", "backslashreplace")


def run(
    tool: str,
    arguments: Sequence[Argument] = (),
    *,
    stdin: bytes = b"",
    timeout: Optional[float] = None,
    ok: Tuple[int, ...] = (0,),
    package: str = "",
    source: Optional[Path] = None,
    sink: Optional[Path] = None,
    limit: Optional[int] = LARGEST,
    memory: int = MEMORY,
    variables: Optional[Mapping[str, str]] = None,
    directory: Path = Path("/"),
) -> Output:
    """The output of the program ``tool``, fed with ``stdin`` (nothing: an end of file) or the file ``source``.

    ``tool`` is a name that is looked up on PATH, or a path; ``arguments`` are paths, which it gets as absolute ones,
    and words made by ``kdumpwrap.tools.argv``. It runs in ``directory``, with ``variables`` added to its environment.
    With ``sink`` standard output is written to that new file, and ``stdout`` of the result is empty.
    ``limit`` is how many bytes it may print, and write to any file; None: print LARGEST, and write as many as it likes.
    ``memory`` is how many of address space it may take.
    ``timeout`` is in seconds; None: 120. $KDUMPWRAP_TIMEOUT changes that, and shortens a given one. Raises ToolMissing
    (the hint installs ``package``), ToolTimeout, ToolStopped when a signal ended it or it could not be started, or
    ToolFailed for an exit status outside ``ok`` and for more than ``limit`` bytes.
    """
    timeout = limited(timeout)
    argv = [tool, *strings(arguments)]
    feed(note(argv, source, sink, variables, directory), stdin)
    start = time.monotonic()
    with contextlib.ExitStack() as files:
        try:
            fed = files.enter_context(_opened(source) if source else in_memory("stdin"))
            caught = files.enter_context(sink.open("xb") if sink else in_memory("stdout"))
            complaints = files.enter_context(in_memory("stderr"))
        except OSError as error:
            raise ToolStopped(f"{error.filename or tool + ' cannot be started'}: {error.strerror}") from None
        if stdin:
            fed.write(stdin)
            fed.seek(0)
        process = popen(argv, fed, caught, complaints, package, limit, variables, memory, directory)
        with process:
            try:
                if limit is None:
                    _watch(process, argv, timeout, [complaints] if sink else [caught, complaints])
                else:
                    _wait(process, timeout)
            except subprocess.TimeoutExpired:
                raise late(argv, timeout) from None
            finally:
                running.discard(process)
                if process.returncode is None:
                    process.kill()
                    process.wait()
                for file in (caught, complaints):
                    seal(file)
        return checked(argv, process.returncode, caught, complaints, start, ok, limit, keep=sink is None)


def _opened(source: Path) -> BinaryIO:
    """A file that a program is fed with, which may lie in a crash directory."""
    return os.fdopen(open_file(source, limit=None), "rb")


def _wait(process: "subprocess.Popen[bytes]", timeout: float) -> None:
    """Wait until the process ends; raises TimeoutExpired after ``timeout`` seconds.

    Popen.wait with a timeout polls, in the end every 0.05 s, which is as long as nm takes.
    """
    with contextlib.suppress(AttributeError, OSError):  # Linux has that since 5.3, Python since 3.9
        ended = os.pidfd_open(process.pid)  # novm: see above
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.poll(timeout * 1000)
            timeout = 0
        finally:
            os.close(ended)
    process.wait(timeout)


def _watch(
    process: "subprocess.Popen[bytes]", argv: Sequence[str], timeout: float, printed: Sequence[BinaryIO]
) -> None:
    """Wait for a program that may write files of any size. Raises ToolFailed when it ``printed`` more than LARGEST."""
    end = time.monotonic() + timeout
    while max(map(size, printed)) <= LARGEST:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(_LOOK, max(0.0, end - time.monotonic())))
            return
        if time.monotonic() >= end:
            raise subprocess.TimeoutExpired(argv, timeout)
    raise _endless(argv, LARGEST)


def stop_all() -> None:
    """End every program that ``run`` waits for, and each that it starts later, so that no thread waits on."""
    global _stopped  # noqa: PLW0603 (called by a signal's handler)
    _stopped = True
    for process in tuple(running):
        process.kill()


def settle() -> None:
    """After ``stop_all``, wait for the threads that are starting a program: each of them ends it."""
    end = time.monotonic() + _SOON
    while _starting and time.monotonic() < end:
        time.sleep(0.002)


def stopped() -> bool:
    """Whether ``stop_all`` was called."""
    return _stopped


def popen(
    argv: Sequence[str],
    stdin: Union[int, IO[bytes]],
    stdout: Union[int, IO[bytes]],
    stderr: BinaryIO,
    package: str,
    limit: Optional[int],
    variables: Optional[Mapping[str, str]] = None,
    memory: Optional[int] = MEMORY,
    directory: Path = Path("/"),
) -> "subprocess.Popen[bytes]":
    """The process of ``argv``, among those that ``stop_all`` ends. Raises ToolMissing or ToolStopped."""
    # a path counts from our directory; a name is looked up on PATH, where "." means / and not a crash's directory
    program = str(Path(argv[0]).absolute()) if "/" in argv[0] else argv[0]
    start = object()
    _starting.add(start)
    try:
        process = subprocess.Popen(
            [program, *argv[1:]],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**environment(), **(variables or {})},
            cwd=str(directory),
        )
    except (FileNotFoundError, NotADirectoryError):
        raise missing(argv[0], package) from None
    except (OSError, ValueError) as error:  # ValueError: an embedded NUL byte
        reason = getattr(error, "strerror", None) or error
        raise ToolStopped(f"{argv[0]} cannot be started: {reason}") from None
    else:
        running.add(process)
        if _stopped:  # a thread may start another program after stop_all()
            process.kill()
    finally:
        _starting.discard(start)
    bound(process.pid, limit, memory)
    return process


def bound(pid: int, limit: Optional[int], memory: Optional[int] = None) -> None:
    """Let the process write no file longer than ``limit`` bytes, what it prints included, and leave no core."""
    bounds = [(resource.RLIMIT_CORE, 0)]
    bounds += [(resource.RLIMIT_FSIZE, limit)] if limit is not None else []
    bounds += [(resource.RLIMIT_AS, memory)] if memory is not None else []
    for kind, most in bounds:
        with contextlib.suppress(OSError, ValueError):  # it has ended already, or its own limit is lower
            resource.prlimit(pid, kind, (most, most))


def checked(
    argv: Sequence[str],
    status: int,
    stdout: BinaryIO,
    stderr: BinaryIO,
    start: float,
    ok: Tuple[int, ...],
    limit: Optional[int],
    *,
    keep: bool,
) -> Output:
    """The output of a program that ended with ``status``; ``keep``: with its standard output."""
    if limit is not None and (status == -signal.SIGXFSZ or max(map(size, (stdout, stderr))) >= limit):
        stdout.truncate(min(limit, size(stdout)))  # a quick program may write more before its limit is set
        raise _endless(argv, limit)
    stderr.seek(0)
    errors = stderr.read(_COMPLAINTS).decode("utf-8", "backslashreplace")
    if status not in ok:
        kind = ToolStopped if status < 0 else ToolFailed
        said = next((line.strip() for line in errors.splitlines() if line.strip()), "")
        raise kind(f"{argv[0]} failed{_reason(status, said)}", shell.join(argv), said)
    if keep:
        stdout.seek(0)
    return Output(stdout.read() if keep else b"", errors, time.monotonic() - start)


def _endless(argv: Sequence[str], limit: int) -> ToolFailed:
    return ToolFailed(f"{argv[0]} wrote more than {limit >> 20} MiB and was stopped", shell.join(argv))


def late(argv: Sequence[str], timeout: float) -> ToolTimeout:
    return ToolTimeout(f"{argv[0]} did not end within {timeout:g} s and was stopped", shell.join(argv))


def missing(tool: str, package: str = "") -> ToolMissing:
    """The error for a program that is not there."""
    from kdumpwrap.host.packages import install

    return ToolMissing(f"{tool} is not installed", install(package or tool), package or tool)


def environment() -> Dict[str, str]:
    """The environment of every tool: messages in English, no automatic download of debuginfo."""
    env = {**_HUGE_PAGES, **os.environ, "LC_ALL": "C", "TERM": "dumb"}
    for name in ("DEBUGINFOD_URLS", "LANGUAGE", "POSIXLY_CORRECT"):
        env.pop(name, None)
    return env


def limited(timeout: Optional[float]) -> float:
    """The time limit in seconds of a command with ``timeout``: the environment can only shorten a given one."""
    try:
        limit = float(os.environ[TIMEOUT_VARIABLE])
    except (KeyError, ValueError):
        limit = 0.0
    if not limit > 0:  # or NaN
        return TIMEOUT if timeout is None else timeout
    return min(limit, LONGEST if timeout is None else timeout)


def _reason(status: int, first: str) -> str:
    """`` (exit status 1): the first line of stderr``."""
    first = first if len(first) <= _MESSAGE else f"{first[:_MESSAGE]}…"
    how = f" (signal {-status})" if status < 0 else f" (exit status {status})"
    return f"{how}: {first}" if first else how
