"""The layout of a log whose lines a chat program joined to paragraphs, or a console cut at a column."""

import itertools
from typing import Callable, Iterable, Iterator, List, Tuple

from kdumpwrap.regex import regex

Row = Tuple[int, bytes]  # number of the line in the file, text
_LONG = 1 << 16  # bytes of a line put together

# ---------------------------------------------------------------- lines that a chat program made paragraphs of

# RIP: 0010:f+0x1/0x2 Code: 00 00 48 …       Not tainted 5.14.0-478.el9.x86_64 #1 Hardware name: Red Hat KVM
_JOINED = regex(
    rb"(?:(?<=[^\s:>\]])|(?<=[a-z]\])) +(?=(?:CPU: \d{1,6} (?:UID: \d+ )?PID: \d|Hardware name: \S|RIP: [0-9a-f]{4}:|"
    rb"Code: (?:[0-9a-f]{2} ){4}|"
    rb"RSP: [0-9a-f]{4}:|RAX: [0-9a-f]{16}|RDX: [0-9a-f]{16}|RBP: [0-9a-f]{16}|R10: [0-9a-f]{16}|R13: [0-9a-f]{16}|"
    rb"FS: {1,2}[0-9a-f]{16}|CS: {1,2}[0-9a-f]{4} |CR2: [0-9a-f]{16}|Workqueue: \w|Call Trace:|WARNING: CPU: \d|"
    rb"Modules linked in:|---\[ end trace|</?(?:TASK|IRQ|NMI)>))"
)
_FRAMES = regex(
    rb"(?<![\s?])(?<!>\])[ \t]+(?=(?:\[<[0-9a-f]{16}>\] )?(?:\? )?[A-Za-z_][\w.]{0,200}\+0x[0-9a-f]+/0x[0-9a-f]+)"
)
_OFTEN = (b"CPU: ", b"Hardware name: ", b"RIP: ", b"Code: ", b"RAX: ", b"RSP: ", b"Call Trace:", b"Modules linked in:")
_REPORTS = (b"Hardware name: ", b"RIP: ")  # of which the first that a log holds shows where its reports are
_NEAR = 1 << 13  # bytes before and behind these in which the others stand
_MANY = 3  # frames in one line, or lines in one paragraph


def is_joined(data: bytes) -> bool:
    """Whether a chat program joined the lines of ``data`` to paragraphs."""
    word = next((word for word in _REPORTS if word in data), None)
    if word is None:
        return False
    start, stop = max(0, data.find(word) - _NEAR), data.rfind(word) + _NEAR
    found = 0
    for word in _OFTEN:
        at = data.find(word, start, stop)
        while at >= 0 and found < _MANY:
            found += bool(_JOINED.match(data, at - 1))
            at = data.find(word, at + 1, stop)
    return found >= _MANY


def paragraphs(rows: Iterable[Row]) -> Iterator[Row]:
    """``rows`` with the lines of each paragraph apart again, under its number."""
    for number, row in rows:
        for part in _JOINED.split(row):
            frames = _FRAMES.split(part) if part.count(b"+0x") >= _MANY - 1 else [part]
            for frame in frames:
                yield number, frame


# ---------------------------------------------------------------- a console that cut its lines at a fixed column

_WIDTHS = range(72, 201)
_STAMPED = regex(rb"(?:<\d{1,3}>)?\[ {0,8}\d{1,9}\.\d{6}\]")
_GLANCE = 1 << 12  # bytes in which a longer line shows that there is no such column
_LEAST = 3  # lines of the full width
_SAMPLE = 20  # of which that many are looked at first


def column(data: bytes) -> int:
    """The column at which a console cut the lines; 0 when none did.

    In a cut log no line is longer, and a line without the kernel's time stands behind a full one only.
    """
    if max(map(len, data[:_GLANCE].split(b"\n"))) > _WIDTHS[-1] or data.count(b"\n") * _WIDTHS[-1] < len(data):
        return 0
    rows = data.replace(b"\r\n", b"\n").split(b"\n") if b"\r\n" in data else data.split(b"\n")
    lengths = list(map(len, rows))
    width = max(lengths)
    if width not in _WIDTHS or lengths.count(width) < _LEAST:
        return 0
    first = (rows[at + 1] for at, length in enumerate(lengths[:-1]) if length == width)
    if sum(not _STAMPED.match(row) for row in itertools.islice(first, _SAMPLE)) < _LEAST:
        return 0
    full = pieces = stamped = odd = 0
    for before, row in zip([b"", *rows], rows):
        has = bool(_STAMPED.match(row))
        stamped += has
        full += len(row) == width
        if row.strip() and not has:
            pieces += len(before) == width
            odd += len(before) != width
    return width if full >= _LEAST and pieces >= _LEAST and stamped >= pieces and odd * 10 <= pieces else 0


def columns(width: int) -> Callable[[Iterable[Row]], Iterator[Row]]:
    """What joins the lines that a console cut at ``width``; a line has the number of its first piece."""

    def undo(rows: Iterable[Row]) -> Iterator[Row]:
        parts: List[bytes] = []
        first = held = 0
        full = False
        for number, row in rows:
            row = row.rstrip(b"\r")
            if parts and not (full and held < _LONG and not _STAMPED.match(row)):
                yield first, b"".join(parts)
                parts, held = [], 0
            first = first if parts else number
            parts.append(row)
            held += len(row)
            full = len(row) == width
        if parts:
            yield first, b"".join(parts)

    return undo
