"""Standard output and standard error: the only place where kdumpwrap writes, and where -v is switched on."""

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, Optional, TextIO

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.shell import NONE, Hint

if TYPE_CHECKING:
    from kdumpwrap.model.crash import Problem
    from kdumpwrap.render.text import Style


class ReaderGone(Exception):
    """The reader of standard output is gone. It is no OSError: click would catch that and exit with status 1."""


def prepare() -> None:
    """Make both output streams take any text. A closed standard input ("<&-") becomes an empty one."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the caller closed it (">&-")
            stream = open(os.devnull, "w")  # noqa: SIM115, PTH123
        if isinstance(stream, io.TextIOWrapper):
            lines = stream.line_buffering
            buffer = stream.detach()
            if isinstance(buffer, io.RawIOBase):  # python -u: a signal could cut a write
                buffer, lines = io.BufferedWriter(buffer), True
            stream = io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=lines)
            setattr(sys, name, stream)


def out(rendered: str) -> None:
    """Write to standard output at once: a reader at the other end of a pipe sees each crash as it is done.

    Raises ReaderGone when the reader is gone, KdumpwrapError when the disk is full or a write fails.
    """
    with _written():
        sys.stdout.write(rendered)
        sys.stdout.flush()


def out_bytes(data: bytes) -> None:
    """Write ``data`` as it is, at once; raises as ``out`` does."""
    with _written():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        give_up()
        raise ReaderGone() from None
    except OSError as failure:
        give_up()
        raise KdumpwrapError(f"standard output: {failure.strerror}") from None


def is_writable() -> bool:
    """Whether standard output takes what was written to it."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        return True
    return False


def give_up(stream: Optional[TextIO] = None) -> None:
    """Discard the rest of the output: Python would try to write it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


def problems(found: "Iterable[Problem]") -> None:
    """Print each problem with its hint on standard error."""
    for problem in found:
        error(problem.message, problem.hint)


def error(message: str, hint: Hint = NONE) -> None:
    """Print ``kdumpwrap: message`` and, below it, ``hint: …`` on standard error."""
    from kdumpwrap.render import text

    with contextlib.suppress(OSError):  # the terminal is gone or the disk full: no other stream is left
        sys.stderr.write(f"kdumpwrap: {text.clean(message)}\n")
        if hint:
            sys.stderr.write(f"hint: {text.clean(hint)}\n")


def teller() -> "Optional[Callable[[str], object]]":
    """A function that replaces the line of progress on standard error ("": clears it); None off a terminal."""
    if not sys.stderr.isatty():
        return None
    from kdumpwrap.render import text

    def tell(line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text.clean(line)}")
        sys.stderr.flush()

    return tell


def style() -> "Style":
    """Colours when standard output is a terminal that has them, and NO_COLOR is not set."""
    from kdumpwrap.render import text

    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return text.COLOUR if wanted else text.PLAIN


def show_commands(verbose: bool) -> None:
    """With -v, show each command on standard error as it starts, ready to be pasted into a shell."""
    if verbose:
        from kdumpwrap.render import text
        from kdumpwrap.tools import recording

        recording.watch(lambda command: sys.stderr.write(f"+ {text.clean(command)}\n"))
