"""The names of the variables that instructions reach, where objdump prints an address or a place in a section."""

from typing import Sequence, Tuple

from kdumpwrap.model.kernel import Instruction, Relocation, Symbol
from kdumpwrap.parse import nm
from kdumpwrap.regex import regex

# "call *0xffffffff82025ac8" (binutils 2.40), "callq *0xffffffff82025ac8" (2.30): 4.18 calls pv_lock_ops+8 like this
# mov $0xffffffff82a1c280,%rdi: the address of a variable, as an argument
_CONSTANT = regex(r"^movq? +\$0x(?P<address>ffffffff(?:8[1-9a-f]|[9ab][0-9a-f])[0-9a-f]{6}),%r\w+$")
_INDIRECT = regex(r"^(?:call|jmp)q? +\*0x(?P<address>[0-9a-f]{16})$")


def named(rows: Sequence[Instruction], symbols: bytes) -> Tuple[Instruction, ...]:
    """``rows`` of a vmlinux, where an absolute address has its name as objdump would comment it.

    ``symbols`` is the output of ``nm -n``.
    """
    return tuple(_named(row, symbols) for row in rows)


def _named(row: Instruction, symbols: bytes) -> Instruction:
    match = (
        (_INDIRECT.match(row.text) or _CONSTANT.match(row.text))
        if row.comment is None and not row.relocations
        else None
    )
    name = nm.place_name(symbols, int(match["address"], 16)) if match else None
    return row._replace(comment=f"{match['address']} <{name}>") if match and name else row


# 9c: R_X86_64_32S  .bss+0x10        11: R_X86_64_PC32  .data+0x54        2e: R_390_PC32DBL  .data+0x2
_PLACE = regex(r"^(?P<section>\.[\w.]+)(?:(?P<sign>[+-])0x(?P<addend>[0-9a-f]{1,16}))?$")


def of_module(rows: Sequence[Instruction], variables: Sequence[Symbol]) -> Tuple[Instruction, ...]:
    """``rows`` of a module, where relocations name one of its ``variables`` instead of a place in a section."""
    return tuple(
        row._replace(relocations=tuple(_renamed(row, one, variables) for one in row.relocations))
        if row.relocations
        else row
        for row in rows
    )


def _renamed(row: Instruction, found: Relocation, variables: Sequence[Symbol]) -> Relocation:
    match = _PLACE.match(found.target)
    if match is None:
        return found
    offset = int(match["addend"] or "0", 16) * (-1 if match["sign"] == "-" else 1)
    if found.type.startswith("R_X86_64_PC"):  # counts from the end of the instruction
        offset += row.address + len(row.data) - found.address
    elif found.type.startswith("R_390_PC"):  # counts from its start
        offset -= found.address - row.address
    for symbol in variables:
        if symbol.section == match["section"] and 0 <= offset - symbol.address < (symbol.size or 0):
            inside = offset - symbol.address
            return found._replace(target=f"{symbol.name}+{inside:#x}" if inside else symbol.name)
    return found
