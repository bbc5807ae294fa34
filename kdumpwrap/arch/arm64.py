"""aarch64, as objdump prints it: ``ldr x0, [x1, #24]``."""

import re
from typing import List, Optional, Sequence, Tuple

from kdumpwrap.arch.operation import Accessed, Memory, Operation, OperationKind, number, place, split
from kdumpwrap.regex import regex

# "[x1, #24]", "[sp, #-32]!", "[x0, x1, lsl #3]", "[x0, w1, sxtw #2]", "[x4]"
_MEMORY = regex(
    r"^\[(?P<base>x\d+|sp)(?:, #(?P<displacement>-?(?:0x[0-9a-f]+|\d+)))?"
    r"(?:, (?P<index>[xw]\d+|xzr)(?:, (?P<shift>lsl|[su]xt[wx])(?: #(?P<bits>\d+))?)?)?\]!?$"
)
_REGISTER = regex(r"\b([xw]\d+|sp|lr)\b")
_ATOMIC = regex(r"^(?:ld(?:add|set|clr|eor|smax|smin|umax|umin)|st(?:add|set|clr|eor)|swp|cas)")
_BRANCH = regex(r"^(?:b\.\w+|cbn?z|tbn?z)$")


def parse(text: str) -> Operation:
    """The parsed instruction, such as ``ldr x0, [x1, #24]``. Any text gives an Operation."""
    mnemonic, _, rest = text.partition(" ")
    operands = split(rest.partition(" //")[0])
    kind, target = _kind(mnemonic, operands)
    memory: List[Memory] = []
    if mnemonic.startswith(("ld", "st", "swp", "cas")):
        for operand in operands:
            match = _MEMORY.match(operand)
            if match:
                scale = 1 << int(match["bits"] or "0")
                index = register(match["index"]) if match["index"] and match["index"] != "xzr" else None
                wide = not (match["index"] or "").startswith("w")
                memory.append(
                    Memory(
                        operand,
                        _access(mnemonic),
                        _size(mnemonic, operands),
                        match["base"],
                        index if wide else None,
                        scale,
                        number(match["displacement"] or "0") or 0,
                        None if wide else "w",  # a 32-bit index: its extension is not computed here
                    )
                )
    sets = None
    first = operands[0] if operands else ""
    if kind == "call":
        sets = "x0"
    elif _REGISTER.fullmatch(first) and not mnemonic.startswith(("st", "cmp", "cmn", "tst", "cb", "tb", "ccmp")):
        sets = register(first)
    uses = tuple(dict.fromkeys(register(name) for operand in operands for name in _REGISTER.findall(operand)))
    return Operation(mnemonic, operands, tuple(memory), sets, uses, kind, target)


def register(name: str) -> str:
    """The register as a log names it: ``x3`` for w3."""
    return f"x{name[1:]}" if name[:1] == "w" else {"lr": "x30"}.get(name, name)


def _kind(mnemonic: str, operands: Sequence[str]) -> Tuple[OperationKind, Optional[int]]:
    target = place(operands[-1]) if operands else None
    if mnemonic in ("bl", "blr"):
        return "call", target if mnemonic == "bl" else None
    if mnemonic in ("b", "br"):
        return "jump", target if mnemonic == "b" else None
    if _BRANCH.match(mnemonic):
        return "branch", target
    if mnemonic in ("ret", "eret"):
        return "return", None
    return ("trap", None) if mnemonic in ("brk", "udf") else ("other", None)


def _access(mnemonic: str) -> Accessed:
    if _ATOMIC.match(mnemonic):
        return "read-write"
    return "read" if mnemonic.startswith("ld") else "write"


def _size(mnemonic: str, operands: Sequence[str]) -> Optional[int]:
    core = mnemonic.rstrip("r") if mnemonic.endswith("r") else mnemonic
    if core.endswith("sw"):
        return 4
    if core.endswith("b"):
        return 1
    if core.endswith("h"):
        return 2
    skip = 1 if re.match(r"st[lx]*xr|stxp", mnemonic) else 0  # the first is where the success goes
    value = operands[skip] if len(operands) > skip else ""
    one = {"x": 8, "w": 4, "s": 4, "d": 8, "q": 16}.get(value[:1])
    return one * 2 if one and mnemonic.startswith(("ldp", "stp", "ldxp", "stxp", "ldnp", "stnp")) else one
