"""A session with crash(8) on a pseudo-terminal: its start, its answers, the hand-over to the user, its end.

Measured with crash 8.0.2. It exits with 0 only after ``quit``. Lack of memory, a dump that is cut off and the end of
its input all give 1, often without a message, so callers check the End of a session.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from types import FrameType
from typing import List, NamedTuple, Optional, Sequence, TextIO, Tuple

import pexpect

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.tools import crash_child, recording
from kdumpwrap.tools.argv import Argument, strings
from kdumpwrap.tools.argv import options as words
from kdumpwrap.tools.crash_program import executable

_PROMPT = b"crash> "
_ASKED = b"(y or n) "  # gdb, on a terminal: "Quit this debugging session? (y or n) "
_GDB_FAILED = b"A problem internal to GDB has been detected"
_READ = 1 << 16
LARGEST = 64 << 20  # bytes of one answer; the largest kernel log has 32 MB
_SHOWN = 1 << 20  # bytes of an answer without end that are kept
_INTERRUPTED = 5.0  # seconds for crash to come back after Ctrl-C
_GRACE = 10.0  # seconds for a prompt after an answer, and for the exit after quit
_POLL = 0.5
_TAIL = 4096  # bytes in which gdb's message stands before its question


class Reply(NamedTuple):
    """The whole output of crash for one command; ``expired``: until the time limit interrupted it."""

    output: str
    seconds: float
    expired: bool = False


class End(NamedTuple):
    """The end of crash: by ``status`` (exit status) or ``signal``; neither is set when it had to be killed by us."""

    status: Optional[int]
    signal: Optional[int]


class CrashDied(Exception):
    """crash ended, or did not answer in time and was killed. ``text`` is its output since the command.

    ``endless``: it was killed since it printed more than LARGEST bytes; ``text`` is the beginning of that.
    """

    def __init__(self, text: str, end: End, seconds: float, *, endless: bool = False) -> None:
        super().__init__(text)
        self.endless = endless
        self.text = text
        self.end = end
        self.seconds = seconds

    @property
    def expired(self) -> bool:
        """Whether the time limit ended it."""
        return self.end.status is None and self.end.signal is None and not self.endless


class CrashSession:
    """One crash process, with a current directory and a home that nobody else writes to.

    A context manager: the process is gone afterwards, whatever happened.
    """

    def __init__(
        self,
        tool: str,
        options: Sequence[Argument],
        files: Tuple[Path, Path],
        current: Path,
        home: Path,
        *,
        interactive: bool = False,
    ) -> None:
        """Starts ``tool`` on ``files``, vmlinux and vmcore; raises ToolMissing. Wait for it with ``start``.

        ``interactive`` is for ``hand_over``: the user's home and kind of terminal.
        """
        # -s: no banner, no pager. Both files are named: with one, crash opens the memory of the running kernel
        argv = [executable(tool), *strings([*words("-s --no_crashrc"), *options, *files])]
        self._noted = recording.note(argv)
        self._command = self._noted[0]
        self._asked: List[str] = []
        if not interactive:
            self._noted[0] = self._command._replace(source="/dev/null")
        rows, columns = _window() if interactive else (24, 80)
        try:
            self._child: pexpect.spawn[bytes] = pexpect.spawn(
                argv[0],
                argv[1:],
                cwd=str(current),
                env=crash_child.environment(None if interactive else home),
                maxread=_READ,
                timeout=None,
                dimensions=(rows, columns),
                preexec_fn=crash_child.prepare if interactive else crash_child.prepare_mute,
            )
        except pexpect.ExceptionPexpect as error:
            raise KdumpwrapError(f"{tool} cannot be started: {str(error).splitlines()[0]}") from None
        self._child.delaybeforesend = None
        self._child.ptyproc.delayafterclose = 0  # type: ignore[attr-defined] # whatever is closed has ended before
        self._token = secrets.randbits(62) | 1
        self._end: Optional[End] = None
        self._unread = b""  # output behind the last mark

    def __enter__(self) -> "CrashSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, timeout: float) -> Reply:
        """The output of crash until its first prompt. Raises CrashDied."""
        return self._read(_PROMPT, timeout, at_end=True)

    def ask(self, command: str, timeout: float) -> Reply:
        """The answer to ``command``. Raises CrashDied with the part that was printed.

        The answer is whole: crash has gone on to the next command, an ``eval`` of a number that nobody else knows. A
        prompt would prove nothing, since any log may hold one. What takes longer than ``timeout`` seconds is
        interrupted as Ctrl-C does, and killed when that does not help.
        """
        self._asked.append(command)
        self._noted[0] = self._command._replace(fed=(*self._asked, "quit"))
        start = time.monotonic()
        self._type(command)
        sentinel = self._sentinel()
        try:
            reply = self._read(sentinel, timeout)
        except _Expired as expired:
            # what was typed ahead is lost with the interrupt
            self._child.sendintr()
            try:
                rest = self._read(self._sentinel(), _INTERRUPTED)
            except CrashDied as gone:  # still there, or ended by our Ctrl-C: the time limit is the cause of both
                self.kill()
                text, seconds = expired.text + gone.text, time.monotonic() - start
                raise CrashDied(text, End(None, None), seconds, endless=gone.endless) from None
            reply = Reply(expired.text + rest.output, 0, expired=True)
        self._read(_PROMPT, _GRACE, at_end=True)
        return reply._replace(output=_without_prompt(reply.output), seconds=time.monotonic() - start)

    def feed(self, commands: Path, timeout: float) -> None:
        """Makes crash run the commands in a file, before ``hand_over``; their output is not shown."""
        with commands.open("a") as file:
            sentinel = self._sentinel(file)
        self._type(f"< {commands}")
        self._read(sentinel, timeout)
        self._read(_PROMPT, _GRACE, at_end=True)

    def quit(self) -> End:
        """Ends crash with ``quit`` and returns its End."""
        if self._end is None:
            self._type("quit")
            self._drain()
        return self._ended()

    def hand_over(self, greeting: str) -> End:
        """Connects crash to the user's terminal until it ends: keys, Ctrl-C and the window's size are passed on.

        ``greeting`` is what ``start`` read before the prompt.
        """
        os.write(sys.stdout.fileno(), greeting.replace("\r\n", "\n").encode("utf-8", "replace") + _PROMPT)
        previous = signal.signal(signal.SIGWINCH, self._resize)
        try:
            self._resize(signal.SIGWINCH, None)
            self._child.interact(escape_character=None)
        except OSError:  # the user's terminal is gone
            self.kill()
        finally:
            signal.signal(signal.SIGWINCH, previous)
        return self._ended()

    def kill(self) -> None:
        """Ends crash and what it started, at once."""
        if self._end is None and self._child.isalive():
            if self._child.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            self._end = End(None, None)
        self._child.close(force=True)

    def _type(self, line: str) -> None:
        with contextlib.suppress(OSError):  # crash has ended; the next read finds out how
            self._child.send(line.encode("ascii") + b"\n")

    def _sentinel(self, file: Optional[TextIO] = None) -> bytes:
        """Types (or writes) a command whose answer marks the end of the one before; the mark."""
        self._token = (self._token + 2) & ((1 << 62) - 1)
        command = f"eval {self._token:#x}"
        if file is None:
            self._type(command)
        else:
            file.write(f"{command}\n")
        return b"hexadecimal: %x" % self._token

    def _read(self, mark: bytes, timeout: float, *, at_end: bool = False) -> Reply:
        """The output before ``mark``; with ``at_end`` the mark must be the last output."""
        start = time.monotonic()
        chunks: List[bytes] = []
        tail = b""
        size = 0
        data, self._unread = self._unread, b""
        while True:
            if data:
                chunks.append(data)
                size += len(data)
                tail = (tail + data)[-max(len(data) + len(mark), _TAIL) :]
                new = max(0, len(tail) - len(data) - len(mark))
                if tail.endswith(mark) if at_end else tail.find(mark, new) >= 0:
                    before, _, self._unread = b"".join(chunks).rpartition(mark)
                    return Reply(_decoded(before), time.monotonic() - start)
            if size > LARGEST:
                self.kill()
                text = _decoded(b"".join(chunks)[:_SHOWN])
                raise CrashDied(text, End(None, None), time.monotonic() - start, endless=True)
            left = start + timeout - time.monotonic()
            if left <= 0:
                raise _Expired(_decoded(b"".join(chunks)), End(None, None), timeout)
            try:
                data = self._child.read_nonblocking(_READ, min(left, _POLL))
            except pexpect.TIMEOUT:
                # crash waits at a question: output of a log would go on, or end with a prompt
                if tail.endswith(_ASKED) and _GDB_FAILED in tail:
                    self._type("n" if b"core file" in tail.rpartition(b"\n")[2] else "y")
                    tail = b""
                data = b""
            except (pexpect.EOF, OSError):
                raise CrashDied(_decoded(b"".join(chunks)), self._ended(), time.monotonic() - start) from None

    def _drain(self) -> None:
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline:
            try:
                self._child.read_nonblocking(_READ, _POLL)
            except pexpect.TIMEOUT:
                continue
            except (pexpect.EOF, OSError):
                return

    def _ended(self) -> End:
        deadline = time.monotonic() + _GRACE
        while self._end is None:
            if not self._child.isalive():
                self._end = End(self._child.exitstatus, self._child.signalstatus)
            elif time.monotonic() > deadline:
                self.kill()
            else:
                time.sleep(0.01)
        return self._end

    def _resize(self, _signal: int, _frame: Optional[FrameType]) -> None:
        if not self._child.closed:
            self._child.setwinsize(*_window())


class _Expired(CrashDied):
    """The time limit is over and crash still runs."""


def _window() -> Tuple[int, int]:
    """Rows and columns of the user's terminal."""
    try:
        rows, columns, *_ = struct.unpack("HHHH", fcntl.ioctl(sys.stdin.fileno(), termios.TIOCGWINSZ, b"\0" * 8))
    except (OSError, ValueError):
        rows = columns = 0
    return rows or 24, columns or 80


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _without_prompt(answer: str) -> str:
    return answer[: -len(_PROMPT)] if answer.endswith(_PROMPT.decode()) else answer
