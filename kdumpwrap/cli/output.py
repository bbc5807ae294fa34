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
    """Nobody reads standard output any more. No OSError: click takes those for its own and ends with status 1."""


def prepare() -> None:
    """Make both streams take any text, however we were started; standard input is empty when it is closed ("<&-")."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us (">&-")
            stream = open(os.devnull, "w")  # noqa: SIM115, PTH123
        if isinstance(stream, io.TextIOWrapper):
            lines = stream.line_buffering
            buffer = stream.detach()
            if isinstance(buffer, io.RawIOBase):  # python -u: a signal would cut what is written
                buffer, lines = io.BufferedWriter(buffer), True
            stream = io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=lines)
            setattr(sys, name, stream)


def out(rendered: str) -> None:
    """Write to standard output at once: a reader at the other end of a pipe sees each crash as it is done.

    Raises ReaderGone when that reader has gone, KdumpwrapError when there is no room for more.
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


def give_up(stream: Optional[TextIO] = None) -> None:
    """Write no more: Python would try what is left once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


def problems(found: "Iterable[Problem]") -> None:
    """Each problem on standard error, with what to type."""
    for problem in found:
        error(problem.message, problem.hint)


def error(message: str, hint: Hint = NONE) -> None:
    """``kdumpwrap: message``, and ``hint: …`` under it."""
    from kdumpwrap.render import text

    with contextlib.suppress(OSError):  # a terminal that is gone, a full disk: there is nobody else to tell
        sys.stderr.write(f"kdumpwrap: {text.clean(message)}\n")
        if hint:
            sys.stderr.write(f"hint: {text.clean(hint)}\n")


def teller() -> "Optional[Callable[[str], object]]":
    """What shows a line of progress on standard error, the next in its place, "" for none; None off a terminal."""
    if not sys.stderr.isatty():
        return None
    from kdumpwrap.render import text

    def tell(line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text.clean(line)}")
        sys.stderr.flush()

    return tell


def style() -> "Style":
    """Colours when standard output is a terminal that has them and nobody said NO_COLOR."""
    from kdumpwrap.render import text

    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return text.COLOUR if wanted else text.PLAIN


def show_commands(verbose: bool) -> None:
    """With -v, show each command on standard error as it starts, ready to be pasted into a shell."""
    if verbose:
        from kdumpwrap.render import text
        from kdumpwrap.tools import recording

        recording.watch(lambda command: sys.stderr.write(f"+ {text.clean(command)}\n"))
