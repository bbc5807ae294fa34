"""The instructions that a kernel swaps for others when it starts: .altinstructions, as ``objdump -s -r`` prints it.

Each entry names the place of the bytes that are replaced, and that of their replacement. Both places are relative to
the field that names them; in a module the fields are relocations. Kernel sources: arch/*/include/asm/alternative.h.
"""

from bisect import bisect_left
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.regex import regex

SECTIONS = (".altinstructions", ".altinstr_replacement")

Bytes = Tuple[Optional[int], ...]  # None: a byte that is not known, which fits any


class Site(NamedTuple):
    """``length`` bytes at ``address`` that may become ``replacement``, filled up with no-ops."""

    address: int
    length: int
    replacement: Optional[Bytes]  # None: the kernel computes it, or it lies elsewhere
    origin: Optional[int]  # the address that relative branches in the replacement count from, if it is known


class Section(NamedTuple):
    """The bytes of a section from ``address`` on, and its relocations: offset -> (section or symbol, offset in it)."""

    address: int
    data: bytes
    relocations: Dict[int, Tuple[str, int]]


class _Layout(NamedTuple):
    """One ``struct alt_instr``: two s32 places, then a feature's number, then the two lengths."""

    size: int
    length: int  # offset of the length of the replaced bytes
    replaced: int  # offset of the length of the replacement
    near: bool = True  # replacements lie in .altinstr_replacement, and length 0 means none; else a function's result
    big_endian: bool = False


_LAYOUTS: Dict[str, Sequence[_Layout]] = {
    # u16 cpuid, u8 instrlen, u8 replacementlen; 4.18 has u8 padlen behind them; 6.3 and later u32 ft_flags before them
    "x86_64": (_Layout(12, 10, 11), _Layout(13, 10, 11), _Layout(14, 12, 13)),
    # u16 cpufeature, u8 orig_len, u8 alt_len
    "aarch64": (_Layout(12, 10, 11, near=False),),
    # u16 facility, u8 instrlen; 4.18 has u8 replacementlen behind them; 6.10 and later u32 feature before them
    "s390x": (
        _Layout(12, 10, 11, big_endian=True),
        _Layout(11, 10, 10, big_endian=True),
        _Layout(13, 12, 12, big_endian=True),
    ),
}

# " ffffffff8329d410 0f22df0f 20d8e8c5 a471fee8 10a571fe  .\"...": an address of 4 to 16 digits, four words at most
_HEX = regex(r"^ (?P<address>[0-9a-f]{4,16}) (?P<words>[0-9a-f ]{35}) ")
# "Contents of section .altinstructions:"
_CONTENTS = "Contents of section "
# "RELOCATION RECORDS FOR [.altinstructions]:"
_RECORDS = "RELOCATION RECORDS FOR ["
# "0000000000000004 R_X86_64_PC32     .text+0x0000000000000c83"
_RECORD = regex(r"^(?P<offset>[0-9a-f]{8,16}) R_\S+ +(?P<target>[^\s+-]+)(?P<addend>[+-]0x[0-9a-f]+)?$")


def parse(found: Mapping[str, Section], arch: Optional[str], section: Optional[str] = None) -> Tuple[Site, ...]:
    """The sites that the two ``SECTIONS`` among ``found`` list, sorted by address.

    ``section``: of a module only those in this one, whose addresses count from its start. The size of an entry differs
    from kernel to kernel: the one with which all entries are valid is taken; () when there is none.
    """
    if SECTIONS[0] not in found:
        return ()
    if section is None:  # a vmlinux may have kept its relocations (--emit-relocs); its fields are filled in
        found = {name: part._replace(relocations={}) for name, part in found.items()}
    for layout in _LAYOUTS.get(arch or "", ()):
        sites = _sites(found[SECTIONS[0]], found.get(SECTIONS[1]), layout, section)
        if sites:
            return tuple(sorted(sites, key=lambda site: site.address))
    return ()


def sections(text: str) -> Dict[str, Section]:
    """The output of ``objdump -s -r -j …``, by section."""
    data: Dict[str, bytearray] = {}
    start: Dict[str, int] = {}
    records: Dict[str, Dict[int, Tuple[str, int]]] = {}
    contents = record = ""
    for line in text.splitlines():
        if line.startswith(_CONTENTS):
            contents, record = line[len(_CONTENTS) :].rstrip(":"), ""
        elif line.startswith(_RECORDS):
            contents, record = "", line[len(_RECORDS) :].rstrip("]:")
        elif record:
            entry = _RECORD.match(line)
            if entry:
                place = (entry["target"], int(entry["addend"] or "0", 16))
                records.setdefault(record, {})[int(entry["offset"], 16)] = place
        elif contents:
            row = _HEX.match(line)
            if row and len(row["words"].replace(" ", "")) % 2 == 0:
                start.setdefault(contents, int(row["address"], 16))
                data.setdefault(contents, bytearray()).extend(bytes.fromhex(row["words"].replace(" ", "")))
    return {name: Section(start[name], bytes(data[name]), records.get(name, {})) for name in data}


def _sites(table: Section, replacements: Optional[Section], layout: _Layout, section: Optional[str]) -> List[Site]:
    """The sites read with ``layout``; none when it cannot be the right one."""
    sites: List[Site] = []
    records = sorted(replacements.relocations) if replacements else []
    if len(table.data) % layout.size:
        return sites
    for at in range(0, len(table.data), layout.size):
        length, replaced = table.data[at + layout.length], table.data[at + layout.replaced]
        where, address = _place(table, at, layout)
        there, origin = _place(table, at + 4, layout)
        body = _body(replacements, records, there, origin, replaced)
        if not length or replaced > length or (body is None and layout.near):
            return []
        if where == section:
            sites.append(
                Site(address, length, body if replaced or layout.near else None, origin if there is None else None)
            )
    return sites


def _place(table: Section, at: int, layout: _Layout) -> Tuple[Optional[str], int]:
    """The place that the field at ``at`` names: an address, or in a module a section and the offset in it."""
    if table.relocations:
        return table.relocations.get(at, ("", 0))
    distance = int.from_bytes(table.data[at : at + 4], "big" if layout.big_endian else "little", signed=True)
    return None, table.address + at + distance


def _body(
    replacements: Optional[Section], records: Sequence[int], there: Optional[str], origin: int, length: int
) -> Optional[Bytes]:
    """The ``length`` bytes at ``origin``; None when they lie outside of .altinstr_replacement.

    ``records`` are the places of its relocations, sorted.
    """
    if not length:
        return ()
    if replacements is None or there not in (None, SECTIONS[1]):
        return None
    first = origin - replacements.address
    if not 0 <= first <= len(replacements.data) - length:
        return None
    body: List[Optional[int]] = list(replacements.data[first : first + length])
    for offset in records[bisect_left(records, first - 3) : bisect_left(records, first + length)]:
        for at in range(max(offset - first, 0), min(offset - first + 4, length)):
            body[at] = None
    return tuple(body)
