"""The registers of an oops as a core file, which gdb reads: one thread, no memory.

A layout (in arch.table) is the kernel's ``struct elf_prstatus`` (include/linux/elfcore.h)
with each machine's ``elf_gregset_t``.
"""

import struct
from typing import Dict, Mapping, Optional, Tuple

from kdumpwrap.arch.table import ARCHES, Layout

_HEADER, _SEGMENT = 64, 56  # sizes of Elf64_Ehdr and Elf64_Phdr
_BEFORE = 112  # bytes of struct elf_prstatus in front of its registers
_MASK = (1 << 64) - 1
_ET_CORE, _PT_NOTE, _NT_PRSTATUS = 4, 4, 1


LAYOUTS: Dict[str, Layout] = {name: row.core for name, row in ARCHES.items() if row.core is not None}


def core(arch: str, registers: Mapping[str, int], pc: int) -> bytes:
    """A core file of one thread at the link-time address ``pc``; registers that are not given are 0.

    Raises KeyError for a machine without a layout. gdb 13.1 says of it "Program terminated with signal 0".
    """
    layout = LAYOUTS[arch]
    widths = layout.widths or (8,) * len(layout.registers)
    values = dict(registers, **{layout.pc: pc})
    gregset = b"".join(
        _number(layout.order, width, values.get(name, 0)) for name, width in zip(layout.registers, widths)
    )
    status = bytes(_BEFORE) + gregset + bytes(8)  # pr_fpvalid and padding
    note = struct.pack(f"{layout.order}III", 5, len(status), _NT_PRSTATUS) + b"CORE\0\0\0\0" + status
    data = 1 if layout.order == "<" else 2
    header = b"\x7fELF" + bytes((2, data, 1)) + bytes(9)
    header += struct.pack(
        f"{layout.order}HHIQQQIHHHHHH",
        *(_ET_CORE, layout.machine, 1, 0, _HEADER, 0, layout.flags, _HEADER, _SEGMENT, 1, 0, 0, 0),
    )
    at = _HEADER + _SEGMENT
    segment = struct.pack(f"{layout.order}IIQQQQQQ", _PT_NOTE, 4, at, 0, 0, len(note), 0, 4)
    return header + segment + note


def marks(arch: str) -> Dict[str, int]:
    """A distinct value for each register of ``arch``; its lower 4, 2 or 1 bytes are distinct too."""
    names = [name for name in LAYOUTS[arch].registers if name and name not in _NO_VALUES]
    return {name: int.from_bytes(bytes([0x21 + number]) * 8, "little") for number, name in enumerate(names)}


_NO_VALUES = ("rip", "pc", "nip", "psw", "eflags", "pstate", "msr", "fs", "gs", "xer", "cr")


def _number(order: str, width: int, value: int) -> bytes:
    return (value & _MASK).to_bytes(width, "little" if order == "<" else "big") if width == 8 else bytes(width)


def spelled(arch: str, registers: Mapping[str, int]) -> Dict[str, int]:
    """``registers`` by the names of ``LAYOUTS``: a log's ``r8`` is ``r08`` there, its ``x30`` is ``lr``."""
    layout = LAYOUTS[arch].registers
    found: Dict[str, int] = {}
    for name, value in registers.items():
        known = _spelling(name, layout)
        if known is not None:
            found[known] = value
    return found


def _spelling(name: str, layout: Tuple[str, ...]) -> Optional[str]:
    other = {"x30": "lr", "r8": "r08", "r9": "r09"}.get(name, name)
    return next((spelling for spelling in (name, other) if spelling in layout), None)
