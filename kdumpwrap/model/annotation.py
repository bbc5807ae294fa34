"""A line of a log and what is known of it."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import ResolvedFrame


class Mark(NamedTuple):
    """A place in the code that a line names."""

    end: int  # bytes of the line up to where the text goes
    frame: ResolvedFrame


class Line(NamedTuple):
    """One line of the log."""

    raw: bytes  # with its newline
    marks: Tuple[Mark, ...] = ()
    stopped: Optional[Finding] = None  # whose instruction pointer the line names
    dumped: Optional[Finding] = None  # whose code bytes end with this line
