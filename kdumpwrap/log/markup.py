"""The markup that a web page, a mail program or a console left in a log: each sort found is undone in all lines."""

import re
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

from kdumpwrap.log import layout
from kdumpwrap.log.layout import Row
from kdumpwrap.regex import regex

LONGEST = 4 << 20  # bytes of a log that a person may have pasted; a longer one comes from a machine

# ---------------------------------------------------------------- JSON: "…\n[    1.234567] RIP: …\n"

_JSON_ESCAPE = regex(rb'\\(?:u([0-9a-fA-F]{4})|(["\\/nrtbf]))')
_JSON_PLAIN = {b"n": b"\n", b"r": b"", b"t": b"\t", b"b": b"", b"f": b""}
_FEW = 5  # "\n", in a text that has no more lines than that


def _is_json(data: bytes) -> bool:
    most = data.count(b"\\")
    return most >= _FEW and data.count(b"\n") <= most and data.count(b"\\n") >= max(_FEW, data.count(b"\n"))


def _json(rows: Iterable[Row]) -> Iterator[Row]:
    def plain(match: "re.Match[bytes]") -> bytes:
        if match[1]:
            return chr(int(match[1], 16)).encode("utf-8", "replace")
        return _JSON_PLAIN.get(match[2], match[2])

    for number, row in rows:
        for part in _JSON_ESCAPE.sub(plain, row).split(b"\n"):
            yield number, part


# ---------------------------------------------------------------- quoted-printable: "=3D", "=" at the end of a line

_HEX = regex(rb"=([0-9A-F]{2})")
_ENCODED = regex(rb"=(?:[0-9A-F]{2}|[ \t]*\r?(?:\n|\Z))")
_SIGN = regex(rb"=(?:3D|\n)")
_SOFT = regex(rb"^[^\n]{50,75}=[ \t]*\r?$", re.M)
_HEADER = regex(rb"^Content-Transfer-Encoding: *quoted-printable", re.I | re.M)
_NEARLY_ALL = 0.8  # of the "=": the encoding leaves none as it is, but in a mail's header
_LONG = 1 << 16  # bytes of a line put together


def _is_quoted_printable(data: bytes) -> bool:
    if b"quoted-printable" in data and _HEADER.search(data):
        return True
    if not _SIGN.search(data) or (b"=3D" not in data and len(_SOFT.findall(data)) <= 1):
        return False
    return len(_ENCODED.findall(data)) >= _NEARLY_ALL * data.count(b"=")


def _quoted_printable(rows: Iterable[Row]) -> Iterator[Row]:
    def joined(parts: List[bytes]) -> bytes:
        return _HEX.sub(lambda match: bytes([int(match[1], 16)]), b"".join(parts)).replace(b"\n", b"\r")

    parts: List[bytes] = []
    first = held = 0
    for number, row in rows:
        row = row.rstrip()
        soft = row.endswith(b"=") and held < _LONG
        first = first if parts else number
        parts.append(row[:-1] if soft else row)
        held += len(row)
        if not soft:
            yield first, joined(parts)
            parts, held = [], 0
    if parts:
        yield first, joined(parts)


# ---------------------------------------------------------------- HTML: <br>, <span class="nt">, &nbsp;

_ENTITY = regex(rb"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8}\d?);")
# "<IRQ>", "<TASK>", "<#DF>", "<4>", "<0f>" and "<ffffffff81000000>" are the kernel's
_TAG = regex(
    rb"</?(?P<name>a|abbr|address|article|b|blockquote|body|br|center|code|dd|del|div|dl|dt|em|font|h[1-6]|head|hr|html|"
    rb"i|img|ins|kbd|li|link|main|meta|ol|p|pre|s|samp|section|small|span|strong|sub|sup|table|tbody|td|th|thead|title|"
    rb"tr|tt|u|ul|var|wbr)(?:\s[^<>\n]{0,2000})?/?>|<!--[^\n]{0,2000}?-->",
    re.I,
)
_BREAKS = frozenset(
    b"address article blockquote body br center dd div dl dt h1 h2 h3 h4 h5 h6 head hr html li main ol p pre section "
    b"table tbody td th thead title tr ul".split()
)
# a pattern that begins with a fixed byte is searched for at the speed of that byte
_ANY_TAG = regex(rb"<(?:/|br|BR|p>|P>)")


def _is_html(data: bytes) -> bool:
    if not _ANY_TAG.search(data):
        return False
    found = _TAG.finditer(data)
    return sum(1 for _ in zip(range(2), found)) > 1


def _tags(rows: Iterable[Row]) -> Iterator[Row]:
    def plain(match: "re.Match[bytes]") -> bytes:
        return b"\n" if (match["name"] or b"").lower() in _BREAKS else b""

    for number, row in rows:
        text, tags = _TAG.subn(plain, row)
        for part in text.split(b"\n"):
            if part.strip() or not tags:  # a line of tags alone stood for none
                yield number, part


_ANY_ENTITY = regex(rb"&(?:lt;|gt;|amp;|nbsp;|quot;|#)")


def _has_entities(data: bytes) -> bool:
    return bool(_ANY_ENTITY.search(data) and _ENTITY.search(data))


def _entities(rows: Iterable[Row]) -> Iterator[Row]:
    from html import unescape  # few logs need it, and it takes 2 ms to load

    def plain(match: "re.Match[bytes]") -> bytes:
        text = unescape(match[0].decode("ascii"))
        return text.replace("\xa0", " ").replace("\n", "\r").encode("utf-8", "replace")

    for number, row in rows:
        yield number, _ENTITY.sub(plain, row) if b"&" in row else row


# ---------------------------------------------------------------- Markdown: "\[\<ffffffff810ae640\>\] warn\_slowpath"

_ESCAPED = regex(rb"\\([!-/:-@\[-`{-~])")
_MARKDOWN = regex(rb"\\(?:[<>\[\]#(]|(?<=[a-z\d]\\)_[a-z\d])")  # "\_SB.PCI0" is ACPI's


def _is_markdown(data: bytes) -> bool:
    return sum(1 for _ in zip(range(_FEW), _MARKDOWN.finditer(data))) >= _FEW


def _markdown(rows: Iterable[Row]) -> Iterator[Row]:
    for number, row in rows:
        yield number, _ESCAPED.sub(rb"\1", row) if b"\\" in row else row


_UNDO: Tuple[Tuple[Callable[[bytes], bool], Callable[[Iterable[Row]], Iterator[Row]]], ...] = (
    (_is_json, _json),
    (_is_quoted_printable, _quoted_printable),
    (_is_html, _tags),
    (_has_entities, _entities),
    (_has_entities, _entities),  # "&amp;lt;": a page that shows the source of another one
    (_is_markdown, _markdown),
    (layout.is_joined, layout.paragraphs),
)


# what is in each line or in none: both ends of a long log show it
_EVERYWHERE = (_is_json, _is_quoted_printable, layout.is_joined)
_END = 1 << 16


def _ends(data: bytes) -> bytes:
    """The first and the last lines of a long log, all of a short one."""
    if len(data) <= 4 * _END:
        return data
    return data[: data.rfind(b"\n", 0, _END) + 1 or _END] + data[data.rfind(b"\n", 0, -_END) + 1 or -_END :]


class Undone:
    """A log's bytes with all markup undone, and where each of its lines stood before."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._numbers: Optional[Sequence[int]] = None
        self.web = False  # it was the source of a web page

    def __iter__(self) -> Iterator[bytes]:
        held: List[bytes] = []
        size = 0
        for block in self._blocks:
            if size > LONGEST:
                yield block
                continue
            held.append(block)
            size += len(block)
            if size > LONGEST:
                yield b"".join(held)
                held = []
        if held:
            yield self._undone(b"".join(held))

    def _undone(self, data: bytes) -> bytes:
        absent: Optional[Callable[[bytes], bool]] = None
        for shows, undo in _UNDO:
            if shows is absent:  # twice in a row, and the first time there was none
                continue
            if not shows(_ends(data) if shows in _EVERYWHERE else data):
                absent = shows
            else:
                self.web = self.web or undo is _tags
                data = self._applied(undo, data)
        width = layout.column(data)
        return self._applied(layout.columns(width), data) if width else data

    def _applied(self, undo: Callable[[Iterable[Row]], Iterator[Row]], data: bytes) -> bytes:
        rows = data.split(b"\n")
        known = self._numbers or range(1, len(rows) + 1)
        done = list(undo(zip(known, rows)))
        self._numbers = [number for number, _ in done]
        return b"\n".join(row for _, row in done)

    def number(self, line: int) -> int:
        """The number in the file of the line that now has number ``line``."""
        return line if self._numbers is None or line > len(self._numbers) else self._numbers[line - 1]
