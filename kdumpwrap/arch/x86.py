"""x86 in AT&T syntax, as objdump prints it: sources first, the destination last."""

from typing import List, Optional, Sequence, Tuple

from kdumpwrap.arch.operation import Accessed, Memory, Operation, OperationKind, number, place, split
from kdumpwrap.regex import regex

_PREFIXES = frozenset(
    "lock rep repz repnz repe repne bnd notrack data16 addr32 xacquire xrelease rex.W cs ds es ss fs gs".split()
)
_LEGACY = ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")
# "%gs:0x7e772065(%rip)", "0x18(%rax,%rbx,8)", "-0x7d5f8470(,%rax,8)", "%es:(%rdi)", "0xffffffff82000000"
_MEMORY = regex(
    r"^\*?(?:%(?P<segment>[cdefgs]s):)?(?P<displacement>-?(?:0x[0-9a-f]+|\d+))?"
    r"(?:\((?:%(?P<base>\w+))?(?:,(?:%(?P<index>\w+))?(?:,(?P<scale>[1248]))?)?\))?$"
)
_REGISTER = regex(r"%(\w+)")
_SUFFIX = {"b": 1, "w": 2, "l": 4, "q": 8}
# "movzbl", "movswq", "movslq", "movsbl": the source is as wide as the letter behind z or s
_EXTENDS = regex(r"^mov[zs](?P<from>[bwl])[wlq]$")

_READS_ONLY = regex(
    r"^(?:cmp(?!xchg)|test|bt|ucomis|comis|ptest|scas|verr|verw|lldt|ltr|lgdt|lidt|lmsw|fld|fild|ldmxcsr)"
)
_NO_ACCESS = regex(r"^(?:lea|nop|prefetch|invlpg|endbr|clflush|clwb)")
_WRITES = regex(
    r"^(?:(?:v?mov|set|stos|fst|fist|fnst|stmxcsr|sgdt|sidt|sldt|str\b|smsw|pop|xsave|fxsave|v?extract|v?maskmov)\w*)"
)
_STRING = regex(r"^(?:movs|stos|lods|cmps|scas|ins|outs)[bwlq]?$")
_DIVIDES = regex(r"^i?div[bwlq]?$")
_BRANCH = regex(r"^(?:j[a-z]+|loop\w*|xbegin)$")
_UNSUFFIXED = frozenset(
    "call ret push pop mul imul sub shl sal rol shr sar sbb and add adc bt xadd nop int leave".split()
)


def parse(text: str) -> Operation:
    """The parsed instruction, such as ``addq $0x1,0x10(%rax)``. Any text gives an Operation."""
    words = text.split(" ")
    prefixes: List[str] = []
    while len(words) > 1 and words[0] in _PREFIXES:
        prefixes.append(words.pop(0))
    mnemonic, rest = words[0], " ".join(words[1:])
    operands = split(rest.partition(" #")[0])
    kind, target = _kind(mnemonic, operands)
    memory = _memory(mnemonic, operands, kind)
    if kind == "other" and mnemonic in ("push", "pushq", "pushf", "pushfq"):
        memory += (Memory("the stack", "write", 8, "rsp", displacement=-8, implied=True),)
    if kind == "call":
        memory += (Memory("the stack", "write", 8, "rsp", displacement=-8, implied=True),)
    if kind == "return" or (kind == "other" and mnemonic in ("pop", "popq", "popf", "popfq")):
        memory += (Memory("the stack", "read", 8, "rsp", implied=True),)
    return Operation(
        mnemonic,
        operands,
        memory,
        _destination(mnemonic, operands, kind),
        tuple(dict.fromkeys(register(name) for operand in operands for name in _REGISTER.findall(operand))),
        kind,
        target,
        operands[0] if kind == "divide" and operands else None,
    )


def register(name: str) -> str:
    """The whole register that ``name`` (without %) is a part of, as logs name it: ``rax`` for eax, ``r08`` for r8d."""
    if name[:1] == "r" and name[1:2].isdigit():
        digits = name[1:].rstrip("bwdl")
        return f"r{int(digits):02}" if digits.isdigit() and len(digits) < 3 else name
    core = name[1:] if name[:1] in ("r", "e") else name
    if core in _LEGACY:
        return f"r{core}"
    if len(name) == 2 and name[1] in "lh" and name[0] in "abcd":
        return f"r{name[0]}x"
    return f"r{name[:2]}" if len(name) == 3 and name[2] == "l" and name[:2] in _LEGACY else name


def width(name: str) -> Optional[int]:
    """The bytes of the register ``name`` (without %); None for another name."""
    if name.startswith("xmm"):
        return 16
    if name.startswith("ymm"):
        return 32
    if name.startswith("zmm"):
        return 64
    if name[:1] == "r":
        return {"d": 4, "w": 2, "b": 1, "l": 1}.get(name[-1], 8) if name[1:2].isdigit() else 8
    if name[:1] == "e" and name[1:] in _LEGACY:
        return 4
    if name in _LEGACY:
        return 2
    return 1 if name[-1:] in ("l", "h") else None


def _kind(mnemonic: str, operands: Sequence[str]) -> Tuple[OperationKind, Optional[int]]:
    target = place(operands[0]) if len(operands) == 1 else None
    if mnemonic in ("call", "callq", "lcall"):
        return "call", target
    if mnemonic in ("jmp", "jmpq", "ljmp"):
        return "jump", target
    if _BRANCH.match(mnemonic):
        return "branch", target
    if mnemonic in ("ret", "retq", "iret", "iretq", "sysret", "lret"):
        return "return", None
    if mnemonic in ("ud2", "ud1", "ud0", "int3", "ud2a", "ud2b"):
        return "trap", None
    if _DIVIDES.match(mnemonic):
        return "divide", None
    return "other", None


def _memory(mnemonic: str, operands: Sequence[str], kind: OperationKind) -> Tuple[Memory, ...]:
    if _NO_ACCESS.match(mnemonic) or (kind in ("branch", "trap")):
        return ()
    found: List[Memory] = []
    last = len(operands) - 1
    for at, operand in enumerate(operands):
        direct = kind in ("call", "jump") and not operand.startswith("*")
        match = None if direct or (operand[:1] in ("$", "%") and ":" not in operand) else _MEMORY.match(operand)
        if match is None or not (match["displacement"] or match["base"] or match["index"]):
            continue
        if kind in ("call", "jump") and "(" not in operand and match["displacement"] is None:
            continue
        found.append(
            Memory(
                operand.lstrip("*"),
                _access(mnemonic, at, last, kind),
                8 if kind in ("call", "jump") else _size(mnemonic, operands, operand),
                register(match["base"]) if match["base"] else None,
                register(match["index"]) if match["index"] else None,
                int(match["scale"] or "1"),
                number(match["displacement"] or "0") or 0,
                match["segment"] if match["segment"] in ("fs", "gs") else None,
            )
        )
    return tuple(found)


def _access(mnemonic: str, at: int, last: int, kind: OperationKind) -> Accessed:
    if at != last or kind in ("call", "jump", "divide"):
        return "read-write" if mnemonic.startswith(("xchg", "xadd")) else "read"
    if _READS_ONLY.match(mnemonic) and not mnemonic.startswith(("bts", "btr", "btc")):
        return "read"
    if mnemonic.startswith(("push", "mul", "imul", "lods", "cmps")):
        return "read"
    return "write" if _WRITES.match(mnemonic) else "read-write"


def _size(mnemonic: str, operands: Sequence[str], memory: str) -> Optional[int]:
    extends = _EXTENDS.match(mnemonic)
    if extends:
        return _SUFFIX[extends["from"]]
    if mnemonic.startswith("set"):
        return 1
    if mnemonic.startswith(("cmpxchg16b", "movaps", "movups", "movdq", "movntdq")):
        return 16
    if mnemonic.startswith("cmpxchg8b"):
        return 8
    registers = [operand[1:] for operand in operands if operand.startswith("%") and ":" not in operand]
    shifts = mnemonic.startswith(("sh", "sa", "ro", "rc")) and registers == ["cl"]
    if registers and not shifts and memory not in registers:
        return width(registers[-1])
    if mnemonic not in _UNSUFFIXED and mnemonic[-1:] in _SUFFIX:
        return _SUFFIX[mnemonic[-1]]
    return 8 if mnemonic in ("push", "pop") else None


def _destination(mnemonic: str, operands: Sequence[str], kind: OperationKind) -> Optional[str]:
    if kind == "call":
        return "rax"
    if kind != "other" or not operands or _READS_ONLY.match(mnemonic) or mnemonic.startswith("push"):
        return None
    last = operands[-1]
    return register(last[1:]) if last.startswith("%") and ":" not in last else None
