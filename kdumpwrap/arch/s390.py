"""s390x, as objdump prints it: ``lg %r2,16(%r2)``, ``mvc 0(8,%r1),0(%r2)``."""

import re
from typing import List, Mapping, Optional, Sequence, Tuple

from kdumpwrap.arch.operation import Accessed, Memory, Operation, OperationKind, number, place, split
from kdumpwrap.regex import regex

# "16(%r2)", "0(%r1,%r2)" (index, base), "0(8,%r1)" (length, base), "952" (in the low core)
_MEMORY = regex(r"^(?P<displacement>-?\d+)(?:\((?:(?P<first>%r\d+|\d+),)?(?P<base>%r\d+)\))?$")
_REGISTER = regex(r"%(r\d+)")
_WRITES = regex(r"^(?:st(?!ap|idp|sm|pq|si)|mv(?:i|iy|c|hi|ghi|hhi|cl|st)\b|std?y?$)")
_BOTH = regex(r"^(?:oi|ni|xi|oiy|niy|xiy|asi|agsi|alsi|algsi|oc|nc|xc|ap|cs|csy|csg|cds|cdsg|la[anox]\w*|ts)$")
# opcodes whose last operand is a number or a place that is not read
_ADDRESS_ONLY = regex(r"^(?:exr?l?$|la$|lay$|larl|sll|srl|sra|sla|sllg|srlg|srag|slag|rll|rllg|brc?l?|bras|pfd)")
_BRANCH = regex(r"^(?:j[a-z]+|jg[a-z]+|brct\w*|c\w*rj\w*|c\w*ij\w*)$")
_SIZES = (
    (regex(r"^(?:oi|ni|xi|oiy|niy|xiy|mvi|mviy|cli|cliy|tm|tmy|ic|icy|stc|stcy|lb|lgb|llc|llgc|ts)$"), 1),
    (regex(r"^(?:lh|lhy|lgh|llh|llgh|sth|sthy|ah|sh|mh|ch|mvhhi|chhsi|clhhsi)$"), 2),
    (regex(r"^(?:mvghi|agsi|algsi|cghsi|clghsi|\w*g|lpswe|laag|lang|laog|laxg)$"), 8),
    (regex(r""), 4),
)

EXECUTES = ("ex", "exrl")  # they run another instruction, whose length byte a register may change


def is_storage(mnemonic: str) -> bool:
    """Whether the instruction works on two places in memory, with a length in its second byte."""
    return mnemonic in ("mvc", "clc", "xc", "oc", "nc", "tr", "trt", "mvz", "mvn", "ed", "edmk")


def address(text: str, registers: Mapping[str, int]) -> Optional[int]:
    """The address of ``16(%r2)`` or ``0(%r1,%r2)``; None when a register is not known."""
    match = _MEMORY.match(text)
    names = [name[1:] for name in (match["first"], match["base"]) if name and name != "%r0"] if match else []
    if match is None or any(name not in registers for name in names):
        return None
    return sum((registers[name] for name in names), number(match["displacement"]) or 0)


def parse(text: str) -> Operation:
    """The parsed instruction, such as ``oi 31(%r2),1``. Any text gives an Operation."""
    mnemonic, _, rest = text.partition(" ")
    operands = split(rest.partition(" #")[0])
    kind, target = _kind(mnemonic, operands)
    memory: List[Memory] = []
    if kind == "other" and not _ADDRESS_ONLY.match(mnemonic):
        for at, operand in enumerate(operands):
            match = _MEMORY.match(operand)
            if match is None or (at and match["base"] is None and _takes_number(mnemonic, operands)):
                continue
            memory.append(_one(mnemonic, operand, at, match))
    first = operands[0] if operands else ""
    sets = None
    if kind == "call":
        sets = "r2"
    elif _REGISTER.fullmatch(first) and not mnemonic.startswith(("st", "c", "tm", "ltr", "ltgr")):
        sets = first[1:]
    uses = tuple(dict.fromkeys(name for operand in operands for name in _REGISTER.findall(operand)))
    return Operation(mnemonic, operands, tuple(memory), sets, uses, kind, target)


def _one(mnemonic: str, operand: str, at: int, match: "re.Match[str]") -> Memory:
    first = match["first"] or ""
    length = int(first) if first.isdigit() else None
    if length is None and not mnemonic.startswith(("mvc", "xc", "oc", "nc", "clc")):
        length = next(size for pattern, size in _SIZES if pattern.match(mnemonic))
    return Memory(
        operand,
        _access(mnemonic, at),
        length,
        match["base"][1:] if match["base"] not in (None, "%r0") else None,
        first[1:] if first.startswith("%") else None,
        1,
        number(match["displacement"]) or 0,
    )


def _takes_number(mnemonic: str, operands: Sequence[str]) -> bool:
    """Whether the last operand is a number (``oi 31(%r2),1``, ``aghi %r3,1``), not a place in the low core."""
    immediate = bool(re.match(r"\w*(?:h?i|sm[ab]?|m)y?$", mnemonic)) or "(" in operands[0]
    return immediate or len(operands) > 2


def _kind(mnemonic: str, operands: Sequence[str]) -> Tuple[OperationKind, Optional[int]]:
    target = place(operands[-1]) if operands else None
    if mnemonic in ("brasl", "bras", "basr"):
        return "call", target
    if mnemonic in ("j", "jg", "br"):
        return ("return", None) if operands == ("%r14",) else ("jump", target)
    if _BRANCH.match(mnemonic) and mnemonic != "jnop":
        return "branch", target
    return ("trap", None) if mnemonic in ("mc", ".long") else ("other", target if mnemonic == "exrl" else None)


def _access(mnemonic: str, at: int) -> Accessed:
    if (_BOTH.match(mnemonic) and at == 0) or (mnemonic.startswith(("cs", "la", "cds")) and _BOTH.match(mnemonic)):
        return "read-write"
    return "write" if _WRITES.match(mnemonic) and (at == 0 or mnemonic.startswith("st")) else "read"
