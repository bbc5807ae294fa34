"""Modules: the fields that the module loader fills in, which the file leaves empty."""

from typing import List, Optional

from kdumpwrap.codecheck.bits import Bytes
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.regex import regex

_FULL = 0xFFFFFFFF
# bits of a 32-bit word that a relocation of this kind fills in (ELF for the Arm 64-bit architecture; ELFv2 of POWER)
_WORDS = {
    "AARCH64": (
        (regex(r"CALL26|JUMP26"), 0x03FFFFFF),
        (regex(r"CONDBR19|LD_PREL_LO19"), 0x00FFFFE0),
        (regex(r"TSTBR14"), 0x0007FFE0),
        (regex(r"ADR_"), 0x60FFFFE0),
        (regex(r"LO12"), 0x003FFC00),
        (regex(r"MOVW"), 0x001FFFE0),
    ),
    "PPC64": (
        (regex(r"REL24"), 0x03FFFFFC),
        (regex(r"REL14"), 0x0000FFFC),
        (regex(r"16"), 0x0000FFFF),
    ),
}
# bytes that a relocation of x86 or s390x fills in, by the number in its name: "R_X86_64_PC32", "R_390_PLT32DBL"
_SIZES = {"8": 1, "12": 2, "16": 2, "20": 3, "24": 3, "32": 4, "64": 8}
_NUMBER = regex(r"^R_(?:X86_64|386|390)_[A-Z]*?(?P<bits>\d+)?[A-Z]*$")


def filled(row: Instruction, live: Bytes) -> Bytes:
    """``row.data`` with the relocated fields as ``live`` has them."""
    if not row.relocations:
        return row.data
    data: List[Optional[int]] = list(row.data)
    for relocation in row.relocations:
        at = relocation.address - row.address
        kind = relocation.type.partition("_")[2]
        for machine, masks in _WORDS.items():
            if kind.startswith(machine) and len(row.data) == 4:
                mask = next((mask for name, mask in masks if name.search(kind)), _FULL)
                for place, byte in enumerate(mask.to_bytes(4, "little")):
                    data[place] = _mixed(row.data[place], live[place], byte)
                break
        else:
            for place in range(max(at, 0), min(at + _size(relocation.type), len(data))):
                data[place] = live[place]
    return tuple(data)


def _mixed(byte: int, live: Optional[int], mask: int) -> Optional[int]:
    if mask and live is None:
        return None
    return byte & ~mask | (live or 0) & mask


def _size(kind: str) -> int:
    found = _NUMBER.match(kind)
    return _SIZES.get(found["bits"] or "", 4) if found else 4
