"""The few stretches of a long log that are worth a careful look, found at the speed of a substring search."""

import re
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional

from kdumpwrap.parse import dmesg

# One of these stands in the first line of every report that parse.headline knows.
TRIGGERS = (
    b"BUG",  # BUG:, kernel BUG at, [ BUG: …, soft lockup, KASAN and its kin, SLUB, LBUG
    b"WARNING",
    b"INFO: ",  # hung tasks, RCU stalls, old lockdep
    b"Kernel panic",
    b"PANIC",  # double fault, SPL
    b"[#",  # every die(): "Oops: 0000 [#1] SMP"
    b"Oops",
    b"general protection",
    b"nable to handle",
    b"LOCKUP",
    b"UBSAN",
    b"Hardware Error",
    b"tack overflow",
    b"stack space",
    b"VERIFY",  # SPL
    b"LustreError",
    b"unchecked MSR",
    b"unreferenced object",
    b"Bad mode in",
    b"SError",
    b"Slab ",
)
BANNER = b"Linux version "

HEAD = 64  # lines at the start of a log that are always looked at: the log may begin in the middle of a report
QUIET = 120  # lines without any sign of a report, after which it is over
LONGEST = 1 << 16  # bytes of a line that are kept while its end is looked for

# what the lines of a report have in common: symbol+0x1/0x2, register dumps, their titles, the next headline
_REPORT = re.compile(
    rb"\+0x[0-9a-f]{1,8}/0x|[0-9a-f]{16} |all [Tt]race|\[<[0-9a-f]|[CI]P: |Code:|CPU: |in use|linked in|"
    rb"BUG|WARNING|INFO:|panic|PANIC|Oops|nable to handle|LOCKUP|UBSAN|Hardware Error|tack overflow|end trace|Tainted"
)


class Line(NamedTuple):
    number: int  # in the file, from 1
    data: bytes
    gap: bool  # lines before this one were passed over


def lines(blocks: Iterable[bytes], wanted: Callable[[bytes], bool]) -> Iterator[Line]:
    """The lines of the log that may belong to a report, in order, the rest passed over.

    ``wanted`` takes a line that holds a trigger word and says whether a report (or a banner) begins there.
    Never more than a block and a line are held.
    """
    number = 1  # of the first line in `data`
    quiet = QUIET - HEAD  # lines since the last sign of a report; QUIET: outside
    gap = False
    for data in _whole_lines(blocks):
        position = 0
        triggers: Optional[List[int]] = None
        while position < len(data):
            if quiet >= QUIET:
                if triggers is None:
                    triggers = _hits(data, position)
                start = _next_wanted(data, position, triggers, wanted)
                number += data.count(b"\n", position, start)
                gap = gap or start > position
                position = start
                quiet = 0
                continue
            end = data.find(b"\n", position)
            end = len(data) if end < 0 else end
            line = data[position:end]
            quiet = 0 if _REPORT.search(line[: dmesg.MAX_LINE]) else quiet + 1
            yield Line(number, line, gap)
            gap = False
            number += 1
            position = end + 1


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut after newlines only. What is over LONGEST in a line is left out."""
    rest = b""
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if not cut:
            rest += block[: max(0, LONGEST - len(rest))]
            continue
        yield rest + block[:cut] if rest else block[:cut] if cut < len(block) else block
        rest = block[cut:][:LONGEST]
    if rest:
        yield rest


def _hits(data: bytes, position: int) -> List[int]:
    """Where trigger words stand in ``data`` from ``position`` on, backwards: the next one is the last."""
    found: List[int] = []
    for word in (*TRIGGERS, BANNER):
        at = data.find(word, position)
        while at >= 0:
            found.append(at)
            end = data.find(b"\n", at)  # one hit in a line will do
            at = data.find(word, end) if end >= 0 else -1
    found.sort(reverse=True)
    return found


def _next_wanted(data: bytes, position: int, hits: List[int], wanted: Callable[[bytes], bool]) -> int:
    """Offset of the next line where something begins, at least ``position``; the end of ``data`` if none does."""
    seen = -1
    while hits:
        hit = hits.pop()
        if hit < position or hit < seen:
            continue
        start = max(data.rfind(b"\n", position, hit) + 1, position)
        seen = data.find(b"\n", hit)
        seen = len(data) if seen < 0 else seen
        if wanted(data[start:seen]):
            return start
    return len(data)
