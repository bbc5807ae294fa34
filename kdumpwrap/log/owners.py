"""The owners of a log's references: the report, the stack and the kernel that each belongs to (pure)."""

from bisect import bisect_right
from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from kdumpwrap.log import banner, reference, trace
from kdumpwrap.log import line as dmesg
from kdumpwrap.log.reference import Reference
from kdumpwrap.model.log import Frame, Log, Report

References = Dict[int, Tuple[Reference, ...]]  # by the index of the line
_BANNER = banner.WORD.encode()

Name = Tuple[Optional[str], Optional[int], Optional[str]]  # symbol, offset, module


class Where(NamedTuple):
    """A reference: the index of its line, its position among those of the line."""

    row: int
    position: int


class Stack(NamedTuple):
    """Frames of one trace, or one reference, that belong to no report."""

    line: int  # from 1
    where: Tuple[Where, ...]
    frames: Tuple[Frame, ...]


class Releases:
    """The release of the kernel at each line: that of the last report or boot before it, else the first one known."""

    def __init__(self, rows: Sequence[bytes], log: Log, before: Optional[str]) -> None:
        """``rows`` are the lines that ``log`` was read from; ``before`` is the release of the kernel before them."""
        told = [(report.line, report.release) for report in log.reports if report.release]
        for index, row in enumerate(rows):
            for line in dmesg.parse(index + 1, row) if _BANNER in row else ():
                found = banner.parse(line.text)
                if found is not None and found.release:
                    told.append((line.number, found.release))
        self._lines = [line for line, _ in sorted(told)]
        self._releases = [release for _, release in sorted(told)]
        self._first = before or (self._releases[0] if told else log.release)
        self.last = self._releases[-1] if told else self._first

    def at(self, line: int) -> Optional[str]:
        """The release of the kernel that printed line ``line``, counted from 1."""
        index = bisect_right(self._lines, line)
        return self._releases[index - 1] if index else self._first


def references(rows: Sequence[bytes]) -> References:
    """The references in the lines ``rows``."""
    found = ((index, reference.references(row, rows[index - 1] if index else b"")) for index, row in enumerate(rows))
    return {index: several for index, several in found if several}


def owned(reports: Sequence[Report], found: References) -> List[List[Where]]:
    """The references that are frames, for each report; no reference belongs to two reports."""
    taken: Set[Where] = set()
    every: List[List[Where]] = []
    for report in reports:
        names = set(map(name, report.frames))
        every.append([])
        for index in range(report.line - 1, last_line(report)):
            for position, one in enumerate(found.get(index, ())):
                where = Where(index, position)
                if where not in taken and name(one.frame) in names:
                    taken.add(where)
                    every[-1].append(where)
    return every


def stacks(found: References, taken: Set[Where]) -> List[Stack]:
    """The references that are not ``taken``: frames on lines that follow each other are one stack."""
    made: List[Stack] = []
    following = -1  # index of the line on which the open stack goes on
    for index in sorted(found):
        for position, one in enumerate(found[index]):
            where = Where(index, position)
            if where in taken:
                continue
            if one.kind == "frame" and index == following:
                stack = made.pop()
                frame = replace(one.frame, exact=trace.is_exact(one.frame, stack.frames[-1]))
                made.append(Stack(stack.line, (*stack.where, where), (*stack.frames, frame)))
            else:
                made.append(Stack(index + 1, (where,), (one.frame,)))
            following = index + 1 if one.kind == "frame" else -1
    return made


def name(frame: Frame) -> Name:
    """The key of a frame within one report."""
    return frame.symbol, frame.offset, frame.module


def last_line(report: Report) -> int:
    """Number of the last line of ``report``."""
    return report.line if report.last_line is None else report.last_line
