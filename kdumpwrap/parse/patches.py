"""The instructions that a kernel rewrites when it starts, as the sections of its file list them.

Kernel sources: arch/x86/include/asm/{alternative,paravirt_types,runtime-const}.h, arch/x86/kernel/callthunks.c.
"""

import re
from types import MappingProxyType
from typing import Collection, Dict, Mapping, NamedTuple, Optional, Tuple

from kdumpwrap.parse import alternatives
from kdumpwrap.parse.alternatives import Section, Site
from kdumpwrap.regex import regex

_PARAVIRT = ".parainstructions"  # up to 6.7; later these calls are alternatives
_CALLS = ".call_sites"  # of a kernel with call depth tracking: 6.2 and later, el9
_FIXUPS = "__ex_table"
_FIXUP_ENTRIES = (12, 8)  # bytes: s32 instruction, s32 fixup, then s32 handler or data; the last one since 4.6
_CONSTANT = regex(r"^runtime_(?P<kind>ptr|shift)_\w+$", re.ASCII)  # 6.11 and later, el9: runtime_ptr_USER_PTR_MAX
_CONSTANT_SIZES = {"ptr": 8, "shift": 1}  # bytes of the immediate that becomes the constant
_PARAVIRT_ENTRY = 16  # bytes: u64 address, u8 type, u8 length, u16 clobbers, padding


class Patches(NamedTuple):
    """The places in one file (of a module: in one section of it) that the kernel rewrites."""

    alternatives: Tuple[Site, ...] = ()
    paravirt: Mapping[int, int] = MappingProxyType({})  # calls through pv_…ops: address -> length
    constants: Mapping[int, int] = MappingProxyType({})  # immediates that become runtime constants: address -> length
    fixups: Optional[Mapping[int, int]] = (
        None  # of a vmlinux: address of an instruction that may fault -> address of its fixup; None: unknown
    )
    calls_tracked: bool = False  # whether calls can be moved for call depth tracking


def wanted(names: Collection[str]) -> Tuple[str, ...]:
    """The sections, of ``names``, whose contents ``parse`` reads."""
    known = (*alternatives.SECTIONS, _PARAVIRT, _FIXUPS)
    return tuple(name for name in names if name in known or _CONSTANT.match(name))


def parse(text: str, names: Collection[str], arch: Optional[str], section: Optional[str] = None) -> Patches:
    """The places that ``objdump -s -r -j …`` of the ``wanted`` sections lists; ``names`` are all sections of the file.

    ``section``: of a module only those in this one, whose addresses count from its start.
    """
    found = alternatives.sections(text)
    return Patches(
        alternatives.parse(found, arch, section),
        _paravirt(found[_PARAVIRT], section) if _PARAVIRT in found else {},
        _constants(found),
        _fixups(found.get(_FIXUPS, Section(0, b"", {}))) if section is None else None,
        _CALLS in names,
    )


def _paravirt(table: Section, section: Optional[str]) -> Dict[int, int]:
    """Sample (6.1, x86-64), a call of 6 bytes: `` ffffffff8324b500 23c20483 ffffffff 2d06ff01 00000000``."""
    calls: Dict[int, int] = {}
    for at in range(0, len(table.data) - _PARAVIRT_ENTRY + 1, _PARAVIRT_ENTRY):
        where: Optional[str] = None
        if section is None:
            address = int.from_bytes(table.data[at : at + 8], "little")
        else:
            where, address = table.relocations.get(at, ("", 0))
        if where == section:
            calls[address] = table.data[at + 9]
    return calls


def _constants(found: Mapping[str, Section]) -> Dict[int, int]:
    """Each entry is the distance from itself to an immediate. Modules have none.

    Sample (6.12, x86-64), of a ``shr $0xc,%r``: `` ffffffff836ca560 dfd6d9fd 66f1d9fd 4cf5d9fd 9a13dafd``.
    """
    places: Dict[int, int] = {}
    for name, table in found.items():
        match = _CONSTANT.match(name)
        if match:
            for at in range(0, len(table.data) - 3, 4):
                distance = int.from_bytes(table.data[at : at + 4], "little", signed=True)
                places[table.address + at + distance] = _CONSTANT_SIZES[match["kind"]]
    return places


def _fixups(table: Section) -> Optional[Dict[int, int]]:
    """The fixup of each instruction; None when no size of an entry fits. Entries are in the order of instructions.

    A field counts from its own address.

    Sample (6.1, x86-64): `` ffffffff82434570 89c3bcfe 87c3bcfe 08000000 d9c3bcfe``.
    """
    for size in _FIXUP_ENTRIES:
        rows = range(0, len(table.data) - size + 1, size)
        places = [(_relative(table, at), _relative(table, at + 4)) for at in rows]
        if len(table.data) % size == 0 and places == sorted(places):
            return dict(places)
    return None


def _relative(table: Section, at: int) -> int:
    return table.address + at + int.from_bytes(table.data[at : at + 4], "little", signed=True)
