"""What is shown round a place in the code: some instructions, the marked one among them, and lines of the source."""

from typing import List, Optional, Sequence, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.model import Frame, Instruction, Location, Source
from kdumpwrap.symbolize import Symbolizer
from kdumpwrap.where import telling

BEFORE, AFTER = 8, 5  # instructions shown round the marked one


def marked(rows: Sequence[Instruction], address: int) -> Tuple[Instruction, ...]:
    """``rows`` with the one that contains ``address`` marked as the faulting one."""
    return tuple(row._replace(fault=row.address <= address < row.address + len(row.data)) for row in rows)


def excerpt(rows: Sequence[Instruction], before: int = BEFORE, after: int = AFTER) -> Tuple[Instruction, ...]:
    """The marked instruction with some before and after it; nothing when none is marked."""
    for position, row in enumerate(rows):
        if row.fault:
            return tuple(rows[max(0, position - before) : position + after + 1])
    return ()


def source(frame: Optional[Frame], symbolizer: Symbolizer) -> Optional[Source]:
    """The lines round a resolved frame: of the most telling function of its inline chain whose file is here."""
    if frame is None:
        return None
    best = telling(frame.locations)
    chain: List[Location] = [best] if best else []
    for place in (*chain, *frame.locations):
        if place.file is not None and place.line is not None:
            found = debuginfo.source(place.file, place.line, symbolizer.release, symbolizer.places)
            if found:
                return found
    return None
