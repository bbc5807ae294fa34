"""The symbol table as nm prints it."""

import re
from contextlib import suppress
from itertools import groupby
from typing import Collection, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from kdumpwrap.model.kernel import Symbol
from kdumpwrap.parse.readelf import Elf
from kdumpwrap.regex import regex

# scripts/kallsyms.c leaves these out of the kernel's own table, so no size that a log prints ends at them:
# assembler-local labels and the mapping symbols of arm64
_NO_KALLSYM = regex(rb"\.L|\$")

# types of a symbol that code can have: T/t text, W/w weak, V/v weak object, i an ifunc
_ROW = regex(rb"^([0-9a-f]+) [tTwWi] (?!\.L|\$)(\S+)$", re.M)
_ANY_ROW = regex(rb"^([0-9a-f]+) [B-TV-Zb-z] (?!\.L|\$)(\S+)$", re.M)


NAMESAKES = 100  # functions of one name that are told apart; Debian's 6.1 vmlinux has 17 called jhash
_ALTERNATIVES = 100  # names up to which one expression is faster than a test of each row
_FAR = 4096  # rows between a function and the next one that counts; no kernel has more
_LARGE = 10_000  # rows: a vmlinux, whose linker script ends with the symbol _end


def is_whole(text: bytes, known: Optional[Elf] = None) -> bool:
    """Whether ``nm -n`` printed all symbols of a vmlinux, of which readelf tells what is ``known``.

    nm leaves out those of files and sections, on arm64 and others more, but none that is not local. A vmlinux 6.1 of
    Debian has 118,816 entries, 47 sections and 2,164 files among them: 116,605 rows.
    """
    if not text.endswith(b"\n"):
        return False
    rows = text.count(b"\n")
    if known is not None and rows < known.shared:
        return False
    if known is not None and known.symbols is not None and known.machine == "x86_64":
        files = 4 + known.symbols // 16
        return rows + files + known.sections + 1 >= known.symbols
    return rows < _LARGE or text.rfind(b" _end\n") >= 0


def parse(text: bytes, names: Collection[str]) -> Dict[str, Tuple[Symbol, ...]]:
    """The functions called ``names`` in the output of ``nm -n`` on a vmlinux; a name may stand for several.

    Of a name that stands for more than NAMESAKES, NAMESAKES + 1 are given.

    The size is the distance to the next higher symbol, as the kernel's kallsyms counts. Sample (binutils 2.40)::

        ffffffff818a6f00 T iptunnel_xmit
        ffffffff818a7140 t ip_tun_opts_nlsize
    """
    found: Dict[bytes, List[Symbol]] = {}
    for match in _rows(text, {name.encode("utf-8", "surrogateescape") for name in names}):
        symbols = found.setdefault(match[2], [])
        if len(symbols) <= NAMESAKES:
            start = int(match[1], 16)
            symbols.append(
                Symbol(match[2].decode("utf-8", "surrogateescape"), start, _distance(text, match.end(), start))
            )
    return {name.decode("utf-8", "surrogateescape"): tuple(symbols) for name, symbols in found.items()}


def _rows(text: bytes, names: Set[bytes]) -> "Iterator[re.Match[bytes]]":
    """The rows of the functions ``names``."""
    if len(names) > _ALTERNATIVES:
        yield from (match for match in _ROW.finditer(text) if match[2] in names)
        return
    # one expression for all names, those with the same first letter together: 100,000 rows in 5 ms, not 40
    wanted = b"|".join(
        re.escape(letter) + b"(?:" + b"|".join(re.escape(name[1:]) for name in group) + b")"
        for letter, group in groupby(sorted(names), lambda name: name[:1])
    )
    for hit in re.finditer(rb" [tTwWi] (?:" + wanted + rb")$", text, re.M):
        match = _ROW.match(text, text.rfind(b"\n", 0, hit.start()) + 1)
        if match:
            yield match


def address(text: bytes, name: str) -> Optional[int]:
    """The address of ``name``, code or data, in the output of nm; None when it is not there."""
    row = regex(rb"^([0-9a-f]+) [A-Za-z] " + re.escape(name.encode()) + rb"$", re.M)
    end = text.find(b" " + name.encode() + b"\n")
    match = row.match(text, text.rfind(b"\n", 0, end) + 1) if end >= 0 else None
    return int(match[1], 16) if match else None


def enclosing(text: bytes, place: int) -> Optional[Symbol]:
    """The function that contains the address ``place`` in the output of ``nm -n``."""
    end = _after(text, place)
    for _ in range(_FAR):
        if end <= 0:
            break
        begin = text.rfind(b"\n", 0, end - 1) + 1
        match = _ROW.match(text, begin)
        if match:
            start = int(match[1], 16)
            size = _distance(text, match.end(), start)
            if size is not None and place >= start + size:
                return None
            return Symbol(match[2].decode("utf-8", "backslashreplace"), start, size)
        end = begin
    return None


def place_name(text: bytes, place: int) -> Optional[str]:
    """The name of the address ``place``, code or data, in the output of ``nm -n``: ``pv_lock_ops+0x8``; or None."""
    end = _after(text, place)
    best: Optional[Tuple[int, str]] = None
    while end > 0:
        begin = text.rfind(b"\n", 0, end - 1) + 1
        match = _ANY_ROW.match(text, begin)
        end = begin
        if not match:
            continue
        found = (int(match[1], 16), match[2].decode("utf-8", "backslashreplace"))
        if best is not None and found[0] != best[0]:
            break
        if best is None or best[1].startswith("_"):  # "__start_ro_after_init" stands where "pv_ops" begins
            best = found
    if best is None:
        return None
    return f"{best[1]}+{place - best[0]:#x}" if place > best[0] else best[1]


def _after(text: bytes, place: int) -> int:
    """Where the first row with an address above ``place`` begins, by halving: the rows are sorted."""
    low, high = 0, len(text)
    while low < high:
        middle = text.rfind(b"\n", 0, (low + high) // 2) + 1
        end = text.find(b"\n", middle)
        end = len(text) if end < 0 else end + 1
        digits = text[middle:end].split(b" ", 1)[0]
        if not digits or int(digits, 16) <= place:  # an undefined symbol has no address: it stands on top
            low = end
        else:
            high = middle
    return low


def _distance(text: bytes, position: int, start: int) -> Optional[int]:
    """Bytes from ``start`` to the next symbol that has another address, in sorted nm output."""
    for _ in range(_FAR):
        begin = position + 1
        if begin >= len(text):
            break
        position = text.find(b"\n", begin)
        if position < 0:
            position = len(text)
        head, _, name = text[begin:position].partition(b" ")
        if name[:1] in b"aUN" or _NO_KALLSYM.match(name[2:]):
            continue
        try:
            distance = int(head, 16) - start
        except ValueError:
            continue
        if distance > 0:
            return distance
    return None


def parse_sections(text: str) -> Tuple[Symbol, ...]:
    """Every function in the output of ``nm -f sysv`` on a module, with the section its address counts from.

    In a relocatable file all sections start at 0: a symbol is its section and its address, never the address
    alone. Sample (binutils 2.40)::

        send4               |0000000000000070|   t  |              FUNC|00000000000000c5|     |.text
    """
    rows: Dict[str, Dict[int, List[str]]] = {}
    for row in _columns(text):
        if row.kind in ("t", "T", "w", "W", "i") and not row.name.startswith((".L", "$")) and "text" in row.section:
            rows.setdefault(row.section, {}).setdefault(row.value, []).append(row.name)
    symbols: List[Symbol] = []
    for section, by_address in rows.items():
        starts = sorted(by_address)
        ends: List[Optional[int]] = [*starts[1:], None]
        for start, end in zip(starts, ends):
            size = None if end is None else end - start
            symbols.extend(Symbol(name, start, size, section) for name in by_address[start])
    return tuple(symbols)


def parse_variables(text: str) -> Tuple[Symbol, ...]:
    """Every variable in the same output, with its own size: ``wan_link_lock``, 4 bytes at 0x10 of .bss."""
    return tuple(
        Symbol(row.name, row.value, row.size, row.section)
        for row in _columns(text)
        if row.kind in tuple("bBdDrRgGsSvV") and row.size and not row.name.startswith((".L", "$"))
    )


class _Row(NamedTuple):
    name: str
    value: int
    kind: str
    size: int
    section: str


def _columns(text: str) -> Iterator[_Row]:
    for line in text.splitlines():
        columns = line.split("|")
        if len(columns) != 7:
            continue
        name, value, kind, size, section = (columns[i].strip() for i in (0, 1, 2, 4, 6))
        with suppress(ValueError):
            yield _Row(name, int(value, 16), kind, int(size or "0", 16), section)
