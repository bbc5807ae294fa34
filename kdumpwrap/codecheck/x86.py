"""Instructions that an x86 kernel rewrites while it runs: ftrace, static keys and calls, thunks, paravirt, UP locks.

Each rule names the instruction in the vmlinux and the exact forms it may take; whatever is not listed is no rewriting.
Kernel sources: arch/x86/kernel/{alternative,static_call,jump_label,paravirt,ftrace}.c of 3.10 to 6.12.
"""

from typing import Callable, Optional, Sequence, Tuple

from kdumpwrap.codecheck.bits import Bytes, fits, pattern
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.regex import regex

_TEXT = {  # no-ops by length: P6's, K8's, the generic ones
    1: ("90",),
    2: ("66 90",),
    3: ("0f 1f 00", "66 66 90"),
    4: ("0f 1f 40 00", "66 66 66 90", "8d 74 26 00", "66 0f 1f 00"),
    5: ("0f 1f 44 00 00", "66 66 66 66 90", "3e 8d 74 26 00"),
    6: ("66 0f 1f 44 00 00", "8d b6 00 00 00 00"),
    7: ("0f 1f 80 00 00 00 00", "8d b4 26 00 00 00 00"),
    8: ("0f 1f 84 00 00 00 00 00", "3e 8d b4 26 00 00 00 00"),
    9: ("66 0f 1f 84 00 00 00 00 00",),
    10: ("66 2e 0f 1f 84 00 00 00 00 00",),
    11: ("66 66 2e 0f 1f 84 00 00 00 00 00",),
}
_NOPS = {length: tuple(map(pattern, texts)) for length, texts in _TEXT.items()}
_LONGEST_NOP = max(_NOPS)

PARAVIRT = "a paravirt call"

_CALL, _JUMP, _SHORT = pattern("e8 ?? ?? ?? ??"), pattern("e9 ?? ?? ?? ??"), pattern("eb ??")
_RETURNS = (pattern("c3 cc cc cc cc"), pattern("c3 90 90 90 90"), _JUMP)
_ZERO = (pattern("2e 2e 2e 31 c0"), pattern("66 66 48 31 c0"))  # a static call that is to return 0
_ENDBR = pattern("f3 0f 1e fa")
_SEALED = (pattern("66 0f 1f 00"), pattern("0f 1f 40 00"))  # IBT: no indirect call may land here

_FENTRY = regex(r"^(?:__fentry__|_?_?mcount|ftrace_(?:regs_)?caller)$")
_RETURN_THUNK = regex(r"^(?:__x86|srso|srso_alias|retbleed|its|zen|entry)_(?:untrain_)?(?:return_thunk|ret)$")
# "__x86_indirect_thunk_rax" or, for the first of them, "…_array"; "__x86_indirect_call_thunk_r11"
_THUNKS = 0x1000  # bytes: what all thunks of a kernel take at most
_IMAGE = 1 << 25  # bytes: what the text of a kernel takes at most
_RETPOLINE = regex(r"^__x86_indirect_(?:\w+_)?thunk_(?P<register>array|r\w+)$")
_STATIC_CALL = regex(r"^__SC[TK]__")
_PARAVIRT = regex(r"^pv_\w*ops$")  # "pv_ops" of 5.0 and later, "pv_irq_ops", "pv_cpu_ops" before
_NATIVE = tuple(  # what a call through them becomes where the kernel runs on the bare machine, before the no-ops
    map(
        pattern,
        (
            "fa",  # cli
            "fb",  # sti
            "57 9d",  # push %rdi; popf
            "9c 58",  # pushf; pop %rax
            "89 f8",  # mov %edi,%eax
            "48 89 f8",  # mov %rdi,%rax
            "31 c0",  # xor %eax,%eax
            "48 31 c0",  # xor %rax,%rax
            "c6 07 00",  # movb $0x0,(%rdi)
            "0f 20 d0",  # mov %cr2,%rax
            "0f 20 d8",  # mov %cr3,%rax
            "0f 22 df",  # mov %rdi,%cr3
            "0f 01 3f",  # invlpg (%rdi)
            "0f 06",  # clts
            "0f 09",  # wbinvd
            "0f 0b",  # ud2: there is no function to call
            "0f 01 f8",  # swapgs
            "0f 01 f8 48 0f 07",  # swapgs; sysretq
            "0f 01 f8 0f 07",  # swapgs; sysretl
            "0f 01 f8 fb 0f 35",  # swapgs; sti; sysexit
            "48 cf",  # iretq
        ),
    )
)
# "ffffffff8106b4d0 <__fentry__>" in the operands, "ffffffff82a39d40 <pv_ops+0x200>" in the comment
_NAME = regex(r"<(?P<name>[^>+]+)(?:\+0x[0-9a-f]+)?>")
_ADDEND = regex(r"[+-]0x[0-9a-f]+$")

_REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))


def rewritten(row: Instruction, live: Bytes, entry: bool) -> Optional[str]:
    """The change that the kernel made to ``row`` so that it reads ``live`` (as long); None: nothing known.

    ``entry``: the instruction is the first of its function.
    """
    name = _target(row)
    for rule in _RULES:
        what = rule(row, live, name)
        if what is not None:
            return what
    if entry and is_nops(row.data) and len(row.data) == 5 and fits(live, _CALL):
        return "ftrace's call in the place of a nop"
    if live[0] == 0xCC and fits(live[1:], row.data[1:]):
        return "a breakpoint (kprobe)"
    return None


def is_nops(live: Bytes) -> bool:
    """Whether ``live`` may be nothing but no-ops, one after the other."""
    reached = [True] + [False] * len(live)
    for at in range(len(live)):
        if reached[at]:
            for length, forms in _NOPS.items():
                if at + length <= len(live) and any(fits(live[at : at + length], form) for form in forms):
                    reached[at + length] = True
            if len(live) - at > _LONGEST_NOP and _is_skipped(live[at:]):
                reached[-1] = True
    return reached[-1]


def _is_skipped(live: Bytes) -> bool:
    """Whether ``live`` is a jump over the breakpoints behind it: what 6.4 and later write where no no-op is as long."""
    return fits(live, (0xEB, len(live) - 2, *(0xCC for _ in live[2:])))


def _fentry(_: Instruction, live: Bytes, name: str) -> Optional[str]:
    if _FENTRY.match(name) and len(live) == 5 and (is_nop(live) or fits(live, _CALL)):
        return "ftrace's call at the function's start"
    return None


def _return_thunk(row: Instruction, live: Bytes, name: str) -> Optional[str]:
    if row.data[:1] == b"\xe9" and _RETURN_THUNK.match(name) and any(fits(live, form) for form in _RETURNS):
        return "a return thunk"
    return None


def _retpoline(row: Instruction, live: Bytes, name: str) -> Optional[str]:
    found = _RETPOLINE.match(name)
    register = found["register"].replace("array", "rax") if found else ""
    if register not in _REGISTERS or len(live) < 5:
        return None
    number = _REGISTERS.index(register)
    opcode = next((byte for byte in row.data if byte not in (0x2E, 0x3E)), 0)  # cs prefix: padding
    if opcode == 0xE8:
        good = _indirect(live, 0xD0 + number % 8, number > 7, is_nops)
        good = good or _another_thunk(row, live)
    elif opcode == 0xE9:
        good = _indirect(live, 0xE0 + number % 8, number > 7, is_filler)
        good = good or _another_thunk(row, live)
    elif opcode != 0x0F:
        good = False
    else:  # jcc: the opposite condition over the indirect jump
        jcc = (row.data[-5] & 0x0F | 0x70) ^ 1
        good = fits(live[:1], (jcc,)) and _indirect(live[2:], 0xE0 + number % 8, number > 7, is_filler)
    return "a retpoline" if good else None


def _another_thunk(row: Instruction, live: Bytes) -> bool:
    """Whether ``live`` is the call or jump ``row`` to another thunk: one beside it, or one that was made at run time.

    The thunks for call depth tracking (6.2) and for ITS (6.12.29) follow __x86_indirect_thunk_array in steps of 32
    bytes; those that are made at run time lie where modules do.
    """
    at = len(row.data) - 4
    if not fits(live[:at], row.data[:at]):
        return False
    if row.relocations or None in live[at:]:
        return True
    was, now = (int.from_bytes(bytes(b or 0 for b in data[at:]), "little", signed=True) for data in (row.data, live))
    return abs(now) >= _IMAGE or (abs(now - was) < _THUNKS and (now - was) % 32 == 0)


def _indirect(live: Bytes, modrm: int, high: bool, filler: Callable[[Bytes], bool]) -> bool:
    """Whether ``live`` is ``[lfence] call *%REG`` or ``jmp``, and ``filler`` accepts the rest."""
    body: Tuple[int, ...] = (0x41, 0xFF, modrm) if high else (0xFF, modrm)
    for start in (body, (0x2E, *body), (0x0F, 0xAE, 0xE8, *body)):
        if len(start) <= len(live) and fits(live[: len(start)], start) and filler(live[len(start) :]):
            return True
    return False


def _static_call(row: Instruction, live: Bytes, name: str) -> Optional[str]:
    if not _STATIC_CALL.match(name) or len(live) not in (5, 6):
        return None
    if row.data[:1] == b"\xe8":
        good = fits(live, _CALL) or is_nop(live) or any(fits(live, form) for form in _ZERO)
    elif row.data[:1] == b"\xe9":
        good = any(fits(live, form) for form in _RETURNS)
    else:
        good = fits(live[:2], row.data[:2])
    return "a static call" if good else None


def _paravirt(row: Instruction, live: Bytes, name: str) -> Optional[str]:
    return PARAVIRT if _PARAVIRT.match(name) and paravirt(row, live) else None


def paravirt(row: Instruction, live: Bytes) -> bool:
    """Whether ``live`` is what apply_paravirt() makes of ``row``, a call (or jump) through one of the pv_…ops."""
    if len(row.data) not in (6, 7) or row.data[0] != 0xFF:
        return False
    bodies = ((), *_NATIVE, _CALL)
    return any(fits(live[: len(body)], body) and is_nops(live[len(body) :]) for body in bodies) or (
        fits(live[:5], _JUMP) and is_filler(live[5:])
    )


def tracked(row: Instruction, live: Bytes) -> bool:
    """Whether ``live`` is the call ``row`` once it goes to the padding before its function: call depth tracking."""
    return row.data[:1] == b"\xe8" and fits(live[:1], row.data[:1]) and _shifted(row.data, live)


def _static_key(row: Instruction, live: Bytes, _: str) -> Optional[str]:
    size = len(row.data)
    jump = {5: _JUMP, 2: _SHORT}.get(size)
    if jump is None:
        return None
    if is_nop(row.data) and (fits(live, jump) or is_nop(live)):
        return "a static key"
    if row.data[0] in (0xE9, 0xEB) and fits(row.data, jump):
        if is_nop(live):
            return "a static key"
        if size == 5 and fits(live[:2], _SHORT) and is_filler(live[2:]):  # breakpoints since 6.3
            return "a CPU feature's branch"
    return None


def _endbr(row: Instruction, live: Bytes, _: str) -> Optional[str]:
    if fits(row.data, _ENDBR) and any(fits(live, form) for form in _SEALED):
        return "a sealed endbr64"
    return None


_RULES: Sequence[Callable[[Instruction, Bytes, str], Optional[str]]] = (
    _fentry,
    _return_thunk,
    _retpoline,
    _static_call,
    _paravirt,
    _static_key,
    _endbr,
)


def locked(row: Instruction, live: Bytes) -> Bytes:
    """``live`` with the lock prefix that a kernel on one CPU takes away (it writes a ds prefix there)."""
    at = row.data.find(b"\xf0", 0, 4)
    if at < 0 or not row.text.startswith("lock") or live[at] != 0x3E:
        return live
    return (*live[:at], 0xF0, *live[at + 1 :])


def is_nop(live: Bytes) -> bool:
    """Whether ``live`` may be one no-op."""
    return any(fits(live, form) for form in _NOPS.get(len(live), ()))


def is_filler(live: Bytes) -> bool:
    """Whether ``live`` may follow a jump: breakpoints, no-ops, or breakpoints and then no-ops."""
    stop = next((at for at, byte in enumerate(live) if byte not in (0xCC, None)), len(live))
    return any(is_nops(live[at:]) for at in range(stop + 1))


def _shifted(data: bytes, live: Bytes) -> bool:
    """Whether a call's target moved to the padding before the function (16 bytes, or 10 of them)."""
    target = int.from_bytes(data[1:5], "little", signed=True)
    moved = ((target - back) & 0xFFFFFFFF for back in (0x10, 0x0A))
    return any(fits(live[1:5], place.to_bytes(4, "little")) for place in moved)


def _target(row: Instruction) -> str:
    """The name that a call or jump goes to; "" when it has none."""
    for relocation in row.relocations:
        return _ADDEND.sub("", relocation.target)
    found = _NAME.search(row.text) or _NAME.search(row.comment or "")
    return found["name"] if found else ""
