"""The parts of a long log that may hold a report, found by a substring search."""

from enum import Enum
from typing import Callable, Iterable, Iterator, List, NamedTuple, Tuple

from kdumpwrap.log import clock
from kdumpwrap.log.kinds import SHORT_TRIGGERS, TRIGGERS
from kdumpwrap.regex import regex

# One of these stands in or near the first line of every report, and in lines with a fact about all reports. Long words
# with rare letters are found fastest.
_WORDS = (
    *TRIGGERS,
    b"Linux version ",
    clock.WORD,
    b" invoked oom-killer",  # the table in front of a panic for want of memory
    b"elfcorehdr=",  # on the command line of a capture kernel
    b" taint",  # loading out-of-tree module taints kernel
)
# The bytes that most of a log consists of. A stretch without them is an eighth as long. When a word without them is not
# in that shorter stretch, the word is not in the stretch. A search for each word in the whole log takes twice as long.
_DULL = bytes(byte for byte in range(256) if chr(byte) not in "BUOKINSAWEVkvwbhjmpu-=")
_RESTS = tuple((word, word.translate(None, _DULL)) for word in _WORDS)
_STRETCH = 1 << 16  # bytes
_ACROSS = max(map(len, _WORDS)) - 1  # bytes of the next stretch into which a word may reach
_DIE = b"[#"  # every die(): "Oops: 0000 [#1] SMP", "Internal error: Oops - undefined instruction: … [#2]"
_RARE = 1000  # bytes to each "#": from there on one byte is found ten times faster than both
# These are the only trigger only where a mail, a web page or a person cut the log: in short logs, and in none that
# begins with the kernel's first line, as those that kdump saves do. " Comm: ": a report whose head was left out
_MORE_WORDS = (*SHORT_TRIGGERS, b": 0000 [", b" Comm: ")
_SHORT = 1 << 20  # bytes at the start of a log in which the latter are looked for

HEAD = 64  # lines at the start of a log that are always looked at: the log may begin in the middle of a report
QUIET = 120  # lines without any sign of a report, after which it is over
BEFORE = 16  # lines in front of a trigger that are looked at as well
LONGEST = 1 << 16  # bytes of a line that are kept

# what the lines of a report have in common: symbol+0x1/0x2, register dumps, their titles, the next headline
_REPORT = regex(
    rb"\+0x[0-9a-f]{1,8}/0x|: [0-9a-f]{16}|all [Tt]race|\[<[0-9a-f]|[CI]P: |Code:|CPU: \d|linked in:|end trace|ainted|"
    rb"oom|0kB|\] +\d+ +\d+ +\d+ |BUG|WARNING:|INFO:|panic - |PANIC|Oops| to handle |LOCKUP|UBSAN|Hardware Error"
)
# the first line of a kernel: no report goes on behind it, and none begins with the next lines of a boot
_BANNER = regex(rb"(?:^|[\]>:] ?)Linux version \d")
_FIRST = regex(rb"\[ {4}0\.000000\] Linux version \d")
# Panic#1 Part3: what pstore writes before each of its blocks
PSTORE = regex(rb"\s{0,8}[A-Z][a-z]{2,12}#(?P<count>\d{1,4}) Part(?P<part>\d{1,4})\s*$")


class Wanted(Enum):
    """The worth of a line outside of any report."""

    NO = 0
    ALONE = 1  # the line is wanted, its neighbours are not
    BEGINS = 2  # a report, a boot or a table begins here


class Line(NamedTuple):
    number: int  # in the file, from 1
    data: bytes  # without its newline, at most LONGEST bytes
    gap: bool = False  # lines before this one were passed over


class _Piece(NamedTuple):
    """Whole lines: ``data[start:end]``."""

    data: bytes
    start: int
    end: int


def lines(blocks: Iterable[bytes], wanted: Callable[[bytes], Wanted]) -> Iterator[Line]:
    """The lines of the log that may belong to a report, in order, the rest passed over.

    ``wanted`` takes a line that holds a trigger word and returns its worth. Never more than a block and a few lines
    are held, and where the blocks are cut makes no difference.
    """
    number = 1  # of the line at `position`
    told = 0  # number of the last line that was yielded
    offset = 0  # of the piece in the log
    quiet = QUIET - HEAD  # lines since the last sign of a report; QUIET: outside of any
    passed: List[Line] = []  # the last lines passed over, at most BEFORE
    handed_on = True  # by people and their programs, which cut and wrap
    blocks_of_pstore = False  # then all lines count: a report may go on in a later block
    for piece in _pieces(blocks):
        data, position, end = piece
        hits: List[int] = []
        searched = False
        handed_on = handed_on and not (offset == 0 and _FIRST.match(data, position))
        while position < end:
            if quiet >= QUIET:
                if not searched:
                    short = _SHORT - offset if handed_on else 0
                    hits, searched = _hits(piece, position, min(end, piece.start + max(short, 0))), True
                start, sort = _next(piece, position, hits, wanted)
                near = _before(data, position, start)
                number += data.count(b"\n", position, near)
                passed.extend(Line(number + i, row) for i, row in enumerate(_rows(data[near:start])))
                del passed[:-BEFORE]
                number += data.count(b"\n", near, start)
                position = start
                if sort is Wanted.ALONE:
                    stop = data.find(b"\n", position, end)
                    stop = end if stop < 0 else stop
                    yield Line(number, data[position : min(stop, position + LONGEST)], number > told + 1)
                    told = number
                    number += 1
                    position = stop + 1
                    passed = []
                elif start < end:
                    quiet = 0
                    for line in passed:
                        yield line._replace(gap=line.number > told + 1)
                        told = line.number
                    passed = []
                continue
            stop = data.find(b"\n", position, end)
            stop = end if stop < 0 else stop
            row = data[position : min(stop, position + LONGEST)]
            blocks_of_pstore = blocks_of_pstore or (number <= HEAD and bool(PSTORE.match(row)))
            sign = blocks_of_pstore or _REPORT.search(row)
            quiet = 0 if sign else QUIET if b"Linux version " in row and _BANNER.search(row) else quiet + 1
            yield Line(number, row, number > told + 1)
            told = number
            number += 1
            position = stop + 1
        offset += piece.end - piece.start


def _rows(chunk: bytes) -> List[bytes]:
    """The lines of ``chunk``, which ends behind a newline or with the log."""
    rows = chunk.split(b"\n")
    return [row[:LONGEST] for row in (rows if rows[-1] else rows[:-1])]


def _pieces(blocks: Iterable[bytes]) -> Iterator[_Piece]:
    """The same bytes, cut behind newlines only; of a line that spans blocks LONGEST bytes and the end are kept."""
    rest: List[bytes] = []
    held = 0
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        start = 0
        if rest and cut:
            start = block.index(b"\n") + 1
            joined = b"".join((*rest, block[max(0, start - LONGEST) : start]))
            yield _Piece(joined, 0, len(joined))
            rest, held = [], 0
        if cut > start:
            yield _Piece(block, start, cut)
        if cut < len(block) and held < LONGEST:
            rest.append(block[cut : cut + LONGEST - held])
            held += len(rest[-1])
    if rest:
        joined = b"".join(rest)
        yield _Piece(joined, 0, len(joined))


def _hits(piece: _Piece, position: int, more: int) -> List[int]:
    """Where trigger words stand from ``position`` on, not all of a line's; backwards: the next one is last.

    In front of ``more`` the words that mails and web pages leave alone count too.
    """
    data, _, end = piece
    found: List[int] = []
    for start in range(position, end, _STRETCH):
        stop = min(start + _STRETCH + _ACROSS, end)
        rest = data[start:stop].translate(None, _DULL)
        _find([word for word, own in _RESTS if own in rest], data, start, stop, found)
    if data.count(b"#", position, end) * _RARE < end - position:
        at = data.find(b"#", position, end)
        while at >= 0:
            if data[at - 1 : at + 1] == _DIE:
                found.append(at)
            at = data.find(b"#", at + 1, end)
    else:
        _find((_DIE,), data, position, end, found)
    _find(_MORE_WORDS, data, position, more, found)
    found.sort(reverse=True)
    return found


def _find(words: Iterable[bytes], data: bytes, start: int, stop: int, found: List[int]) -> None:
    """Add to ``found`` where ``words`` stand in ``data[start:stop]``; of each one in a line."""
    for word in words:
        at = data.find(word, start, stop)
        while at >= 0:
            found.append(at)
            newline = data.find(b"\n", at, stop)
            at = data.find(word, newline, stop) if newline >= 0 else -1


def _next(piece: _Piece, position: int, hits: List[int], wanted: Callable[[bytes], Wanted]) -> Tuple[int, Wanted]:
    """Offset of the next line that is wanted, from ``position`` on, and what for; the piece's end if there is none."""
    data, _, end = piece
    asked = position  # the end of the line that was asked for last
    while hits:
        hit = hits.pop()
        if hit < asked:
            continue
        start = data.rfind(b"\n", position, hit) + 1 or position
        newline = data.find(b"\n", hit, end)
        asked = end if newline < 0 else newline
        sort = wanted(data[start : min(asked, start + LONGEST)])
        if sort is not Wanted.NO:
            return start, sort
    return end, Wanted.NO


def _before(data: bytes, position: int, start: int) -> int:
    """Offset of the line up to BEFORE lines before the one at ``start``, but not before ``position``."""
    for _ in range(BEFORE):
        if start <= position:
            break
        start = data.rfind(b"\n", position, start - 1) + 1 or position
    return start
