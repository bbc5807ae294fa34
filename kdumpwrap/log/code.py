"""The instruction bytes that an oops prints, in the order in which they lie in memory."""

from functools import lru_cache
from typing import List, Optional, Tuple

from kdumpwrap.log.trace import SHARED
from kdumpwrap.model.log import Code
from kdumpwrap.regex import regex

_MAX = 256  # words or lines of one dump; the kernel prints at most 64 words

# Code: 00 0f 1f 44 00 00 <48> 39 72 58                        x86
# Code: d50323bf d65f03c0 aa1e03e9 d503201f (b9401c02)          arm64; arm and riscv with 8 or 4 digits
# 7c0803a6 4e800020 7c0802a6 60000000 <8143001c> 7c691b78       powerpc, under "Instruction dump:"
_WORD = regex(r"(?P<open>[<(]?)(?P<word>[0-9a-f]{8}|[0-9a-f]{4}|[0-9a-f]{2}|X{8}|\*{8}|\?\?)(?P<close>[>)]?)$")

# >000003ff7fd10aca: 9601201f		oi	31(%r2),1                       s390, a line of "Krnl Code:"
_S390 = regex(
    r"(?:Krnl Code:)?\s{0,24}(?P<mark>[#>*]?)(?P<address>[0-9a-f]{16}): (?P<bytes>(?:[0-9a-f]{4} ?){1,3})(?:\s|$)"
)


# how the first line of a dump begins
_BEGINS = ("Code: ", "Instruction dump:", "Krnl Code:")


class Dump:
    """The dumped code bytes of one report."""

    def __init__(self) -> None:
        self._words: Optional[List[str]] = None  # None: no dump has begun
        self._krnl: List[Tuple[str, int, bytes]] = []

    def __bool__(self) -> bool:
        return bool(self._words or self._krnl)

    def expects(self, text: str, *, goes_on: bool) -> bool:
        """Whether ``text`` begins a dump; ``goes_on``: or goes on with one of s390, since it stands behind it."""
        return text.startswith(_BEGINS) or (goes_on and bool(self._krnl))

    def begins_rows(self, text: str) -> bool:
        """Whether the rows of powerpc's dump follow; those of a second dump do not count."""
        return text.startswith("Instruction dump:") and self._words is None and not self._krnl

    def read(self, text: str, raw: str, *, own: bool) -> bool:
        """Read a line of the dump; False when it is none. ``own``: the words of a "Code:" line are the report's."""
        if text.startswith("Krnl Code:") or self._krnl:
            found = s390_line(raw)
            if found and len(self._krnl) < _MAX:
                self._krnl.append(found)
            return found is not None
        if self.begins_rows(text):
            self._words = []
        elif self._words is None and own:
            found_words = words(text[6:])
            self._words = None if found_words is None else list(found_words)
        return True

    def row(self, text: str) -> bool:
        """Read a row of powerpc's dump; False when it is none."""
        found = words(text)
        if not found or self._words is None or len(self._words) >= _MAX:
            return False
        self._words.extend(found)
        return True

    def code(self, little: bool) -> Optional[Code]:
        """The bytes, where there are any and the one at the instruction pointer is marked; ``little`` as in `parse`."""
        if self._krnl:
            return s390(self._krnl)
        return parse(tuple(self._words), little) if self._words else None


@lru_cache(maxsize=SHARED)
def words(text: str) -> Optional[Tuple[str, ...]]:
    """The words of ``text`` when it holds nothing but dumped words, their marks kept; else None."""
    found = text.split()
    if len(found) > 1 and not _WORD.match(found[-1]):
        found.pop()  # cut, with the line
    if not found or len(found) > _MAX or not all(_WORD.match(word) for word in found):
        return None
    return tuple(found)


@lru_cache(maxsize=SHARED)
def parse(found: Tuple[str, ...], little: bool = True) -> Optional[Code]:
    """``found`` (see `words`) as bytes; None when the word at the instruction pointer is not marked or not readable.

    ``little``: the byte order in which the machine stores a word of four (or two) bytes.
    """
    parsed: List[Tuple[bytes, bool]] = []
    for word in found:
        match = _WORD.match(word)
        if match is None:
            return None
        trapped = bool(match["open"])
        if match["word"][0] in "X*?":
            if trapped:
                return None
            if any(mark for _, mark in parsed):
                break
            parsed.clear()  # nothing before an unreadable word joins what comes after it
            continue
        data = bytes.fromhex(match["word"])
        parsed.append((data[::-1] if little else data, trapped))
    at = next((i for i, (_, mark) in enumerate(parsed) if mark), None)
    if at is None:
        return None
    unit = len(parsed[at][0])
    before = b"".join(data for data, _ in parsed[:at])
    return Code(before + b"".join(data for data, _ in parsed[at:]), len(before), unit)


def s390_line(text: str) -> Optional[Tuple[str, int, bytes]]:
    """Mark ("#", ">" or ""), address and bytes of one line of "Krnl Code:"."""
    match = _S390.match(text)
    if match is None:
        return None
    return match["mark"], int(match["address"], 16), bytes.fromhex(match["bytes"].replace(" ", ""))


def s390(lines: List[Tuple[str, int, bytes]]) -> Optional[Code]:
    """The lines of "Krnl Code:" as one piece; None when ">" marks none of them."""
    data = b""
    trap: Optional[int] = None
    following: Optional[int] = None
    for mark, address, content in lines:
        if following is not None and address != following:
            if trap is not None:
                break
            data = b""
        if mark == ">":
            trap = len(data)
        data += content
        following = address + len(content)
    return None if trap is None else Code(data, trap)
