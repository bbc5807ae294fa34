"""A line of an annotated log."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap.model.kernel import Instruction, ResolvedFrame
from kdumpwrap.model.scope import Variables


class Mark(NamedTuple):
    """A place in the code that a line names."""

    end: int  # offset in the line, in bytes, at which the text is inserted
    frame: ResolvedFrame


class Line(NamedTuple):
    """One line of the log."""

    raw: bytes  # with its newline
    marks: Tuple[Mark, ...] = ()
    variables: Optional[Variables] = None  # at the instruction pointer that the line names
    instructions: Tuple[Instruction, ...] = ()  # of the code bytes that end with this line
