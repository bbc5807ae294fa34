"""The names of what instructions reach by an absolute address: objdump prints them for relative ones alone."""

import re
from typing import Sequence, Tuple

from kdumpwrap.model.kernel import Instruction
from kdumpwrap.parse import nm

# "call *0xffffffff82025ac8" (binutils 2.40), "callq *0xffffffff82025ac8" (2.30): 4.18 calls pv_lock_ops+8 like this
_INDIRECT = re.compile(r"^(?:call|jmp)q? +\*0x(?P<address>[0-9a-f]{16})$")


def named(rows: Sequence[Instruction], symbols: bytes) -> Tuple[Instruction, ...]:
    """``rows`` of a vmlinux, where each call through an absolute address has its name as objdump would comment it.

    ``symbols`` is the output of ``nm -n``.
    """
    return tuple(_named(row, symbols) for row in rows)


def _named(row: Instruction, symbols: bytes) -> Instruction:
    match = _INDIRECT.match(row.text) if row.comment is None and not row.relocations else None
    name = nm.place_name(symbols, int(match["address"], 16)) if match else None
    return row._replace(comment=f"{match['address']} <{name}>") if match and name else row
