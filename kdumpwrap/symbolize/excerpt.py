"""Excerpts: the instructions round the marked one, and the lines of the source round the faulting one."""

from typing import Mapping, Optional, Sequence, Tuple

from kdumpwrap import sources
from kdumpwrap.debuginfo import Search
from kdumpwrap.model.kernel import Instruction, Location, Source
from kdumpwrap.model.location import telling
from kdumpwrap.symbolize.objects import CodeAddress, Section

_BEFORE, _AFTER = 8, 5  # instructions shown round the marked one


def marked(rows: Sequence[Instruction], address: int) -> Tuple[Instruction, ...]:
    """``rows`` with the one that contains ``address`` marked as the faulting one."""
    return tuple(row._replace(fault=row.address <= address < row.address + len(row.data)) for row in rows)


def excerpt(rows: Sequence[Instruction]) -> Tuple[Instruction, ...]:
    """The marked instruction with some before and after it; () when none is marked."""
    for position, row in enumerate(rows):
        if row.fault:
            return tuple(rows[max(0, position - _BEFORE) : position + _AFTER + 1])
    return ()


def lined(
    rows: Sequence[Instruction], section: Section, located: Mapping[CodeAddress, Sequence[Location]]
) -> Tuple[Instruction, ...]:
    """``rows`` with file and line of the innermost function at each address."""
    chains = [(row, located.get(CodeAddress(section, row.address), ())) for row in rows]
    return tuple(row._replace(file=chain[0].file, line=chain[0].line) if chain else row for row, chain in chains)


def source(chain: Sequence[Location], release: Optional[str], search: Search) -> Optional[Source]:
    """The lines round a resolved address: of the most telling function of its inline chain whose file is here."""
    best = telling(chain)
    for place in dict.fromkeys((*([best] if best else []), *chain)):
        if place.file is not None and place.line is not None:
            found = sources.find(place.file, place.line, release, search, column=place.column)
            if found:
                return found
    return None
