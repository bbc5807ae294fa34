"""The lines of a log round a report, as a page shows them."""

from collections import deque
from typing import Deque, Iterator, List, Tuple

from kdumpwrap.model.log import Report

BEFORE, AFTER = 12, 4  # lines shown before and behind a report
MOST = 400  # lines shown at most; the middle of a longer report is left out
_TAIL = 60  # of these, lines at the end

Numbered = Tuple[Tuple[int, str], ...]


def around(report: Report, blocks: Iterator[bytes]) -> Numbered:
    """The lines of a log round ``report``, numbered from 1. The middle of a long report is left out."""
    last = report.last_line if report.last_line is not None else report.line + MOST // 2
    head = max(1, report.line - BEFORE)
    shown: List[Tuple[int, str]] = []
    tail: Deque[Tuple[int, str]] = deque(maxlen=_TAIL)
    for number, line in enumerate(_lines(blocks), 1):
        if number > last + AFTER:
            break
        if number >= head:
            row = (number, line.decode("utf-8", "backslashreplace").rstrip("\r"))
            if len(shown) < MOST - _TAIL:
                shown.append(row)
            else:
                tail.append(row)
    return (*shown, *tail)


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a log, cut to 4096 bytes each: a line may be megabytes long."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from (line[:4096] for line in whole)
        rest = rest[:4096]
    if rest:
        yield rest
