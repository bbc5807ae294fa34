"""Two programs of which the second reads what the first writes: ``rpm2cpio PACKAGE | cpio -i``."""

import contextlib
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple, Sequence, Tuple

from kdumpwrap.errors import ToolFailed, ToolStopped
from kdumpwrap.tools import recording
from kdumpwrap.tools import run as programs
from kdumpwrap.tools.argv import Argument, strings
from kdumpwrap.tools.memfile import in_memory

_LEAST = 1.0  # seconds for the first program to end after the second


class Command(NamedTuple):
    """A program and its arguments."""

    tool: str
    arguments: Sequence[Argument]

    @property
    def argv(self) -> Tuple[str, ...]:
        """The words, as the system takes them."""
        return (self.tool, *strings(self.arguments))


def pipe(first: Command, second: Command, *, directory: Path, timeout: float, ok: Tuple[int, ...] = (0,)) -> str:
    """The standard error of ``second``, which reads what ``first`` writes; both run in ``directory``.

    ``ok`` are the exit statuses of ``second`` that count as success. Raises ToolMissing, ToolTimeout, ToolStopped or
    ToolFailed; where both fail, as a rule that of ``first``: the second failed on an incomplete input.
    """
    timeout, start = programs.limited(timeout), time.monotonic()
    recording.note(first.argv, directory=directory, reader=second.argv)
    with contextlib.ExitStack() as files:
        sink, complaints, own = (files.enter_context(in_memory(name)) for name in ("stdout", "first", "second"))
        writer = programs.popen(first.argv, programs.DEVNULL, programs.PIPE, complaints, "", None, directory=directory)
        try:
            with writer:
                assert writer.stdout is not None  # noqa: S101 (a pipe was asked for)
                reader = programs.popen(second.argv, writer.stdout, sink, own, "", None, directory=directory)
                writer.stdout.close()  # only the reader holds it then: its end gives the writer SIGPIPE
                try:
                    reader.wait(timeout)
                    writer.wait(max(_LEAST, timeout - (time.monotonic() - start)))
                finally:
                    _end(reader)
                    _end(writer)
        except programs.Expired:
            raise programs.late(first.argv, timeout) from None
        finally:
            _end(writer)
        try:
            programs.checked(first.argv, writer.returncode, sink, complaints, start, (0,), None, keep=False)
        except ToolStopped:  # by SIGPIPE: the reader ended first, and its error has the cause
            programs.checked(second.argv, reader.returncode, sink, own, start, ok, None, keep=False)
            raise
        except ToolFailed as error:
            if reader.returncode not in ok and _says_full(own):
                programs.checked(second.argv, reader.returncode, sink, own, start, ok, None, keep=False)
            raise error
        return programs.checked(second.argv, reader.returncode, sink, own, start, ok, None, keep=False).stderr


def _end(process: "programs.Process[bytes]") -> None:
    programs.running.discard(process)
    if process.poll() is None:
        process.kill()
        process.wait()


def _says_full(file: BinaryIO) -> bool:
    """Whether the standard error in ``file`` reports a full file system."""
    file.seek(0)
    return b"No space left" in file.read(1 << 16)
