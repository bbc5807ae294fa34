"""ppc64le, as objdump prints it: ``ld r9,24(r31)``, ``ldx r9,r10,r11``."""

import re
from typing import Optional, Sequence, Tuple

from kdumpwrap.arch.operation import Accessed, Memory, Operation, OperationKind, number, place, split
from kdumpwrap.regex import regex

# "24(r31)", "-8(r1)", "0(0)"
_DISPLACED = regex(r"^(?P<displacement>-?\d+)\((?P<base>r\d+|0)\)$")
_REGISTER = regex(r"\b(r\d+)\b")
# l or st, the width, then "u" (update), "x" (indexed), "arx" (reserve), "brx" (byte-reversed)
_ACCESS = regex(r"^(?P<what>l|st)(?P<width>b|h|w|d|q|fs|fd|v|xv)(?P<rest>\w*)\.?$")
_WIDTH = {"b": 1, "h": 2, "w": 4, "d": 8, "q": 16, "fs": 4, "fd": 8, "v": 16, "xv": 16}
_BRANCH = regex(r"^b(?:eq|ne|lt|gt|le|ge|so|ns|un|nu|dnz|dz|c|t|f)\w*[+-]?$")
_INDEXED = regex(r"x\d?$")


def parse(text: str) -> Operation:
    """The parsed instruction, such as ``ld r9,24(r31)``. Any text gives an Operation."""
    mnemonic, _, rest = text.partition(" ")
    operands = split(rest.partition(" #")[0])
    kind, target = _kind(mnemonic, operands)
    memory = _memory(mnemonic, operands)
    first = operands[0] if operands else ""
    sets = None
    if kind == "call":
        sets = "r3"
    elif _REGISTER.fullmatch(first) and not mnemonic.startswith(("st", "cmp", "t", "mt")):
        sets = first
    uses = tuple(dict.fromkeys(name for operand in operands for name in _REGISTER.findall(operand)))
    return Operation(mnemonic, operands, memory, sets, uses, kind, target)


def _kind(mnemonic: str, operands: Sequence[str]) -> Tuple[OperationKind, Optional[int]]:
    target = place(operands[-1]) if operands else None
    if mnemonic in ("bl", "bctrl", "bcl", "bla"):
        return "call", target
    if mnemonic in ("b", "bctr", "ba"):
        return "jump", target
    if mnemonic in ("blr", "rfid", "hrfid", "rfscv"):
        return "return", None
    if _BRANCH.match(mnemonic) and not mnemonic.endswith("lr"):
        return "branch", target
    return ("trap", None) if re.match(r"t[dw]\w*$|trap$", mnemonic) else ("other", None)


def _memory(mnemonic: str, operands: Sequence[str]) -> Tuple[Memory, ...]:
    match = _ACCESS.match(mnemonic)
    if match is None or mnemonic in ("lwsync", "lis", "li"):
        return ()
    access: Accessed = "read" if match["what"] == "l" else "write"
    size = _WIDTH[match["width"]]
    if len(operands) == 2:
        displaced = _DISPLACED.match(operands[1])
        if displaced:
            base = displaced["base"] if displaced["base"] != "0" else None
            return (Memory(operands[1], access, size, base, displacement=number(displaced["displacement"]) or 0),)
    if len(operands) >= 3 and _INDEXED.search(mnemonic.rstrip(".")):
        base, index = operands[1], operands[2]
        if _REGISTER.fullmatch(index):
            text = f"{base},{index}"
            return (Memory(text, access, size, base if base != "0" else None, index),)
    return ()
