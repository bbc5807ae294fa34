"""Instructions that aarch64, ppc64le and s390x kernels rewrite while they run: ftrace, static keys, thunks.

Kernel sources: arch/{arm64,powerpc,s390}/kernel/{ftrace,jump_label,alternative,nospec-branch}.c, powerpc/lib/
feature-fixups.c.
"""

from typing import Optional

from kdumpwrap.codecheck.bits import Bytes
from kdumpwrap.model.kernel import Instruction


def rewritten(arch: str, row: Instruction, live: Bytes) -> Optional[str]:
    """The change that the kernel made to ``row`` so that it reads ``live``; None: nothing known."""
    if None in live:
        return None  # no window cuts a word
    was, now = bytes(row.data), bytes(byte or 0 for byte in live)
    if arch == "aarch64":
        return _aarch64(int.from_bytes(was, "little"), int.from_bytes(now, "little"))
    if arch == "ppc64le":
        return _ppc64(int.from_bytes(was, "little"), int.from_bytes(now, "little"))
    if arch == "s390x":
        return _s390(was, now)
    return None


_A64_NOP = 0xD503201F
_A64_MOV_X9_LR = 0xAA1E03E9  # ftrace's first word: "mov x9, x30"
_A64_BRK = 0xD4200080  # "brk #0x4": a kprobe


def _aarch64(was: int, now: int) -> Optional[str]:
    if was == _A64_NOP and now == _A64_MOV_X9_LR:
        return "ftrace's call at the function's start"
    if _A64_NOP in (was, now) and (_branch_a64(was) or _branch_a64(now)):
        return "a static key, or ftrace's call"
    if now == _A64_BRK:
        return "a breakpoint (kprobe)"
    return None


def _branch_a64(word: int) -> bool:
    """``b`` or ``bl``."""
    return word & 0x7C000000 == 0x14000000


_PPC_NOP = 0x60000000
_PPC_TRAP = 0x7FE00008  # a kprobe
_PPC_TOC = 0xE8410018  # "ld r2,24(r1)": what the loader writes behind a module's call
_PPC_BARRIERS = (0x7C2004AC, 0x4C00012C, 0x7C0004AC, _PPC_NOP)  # lwsync, isync, sync


def _ppc64(was: int, now: int) -> Optional[str]:
    if _PPC_NOP in (was, now) and (_branch_ppc(was) or _branch_ppc(now)):
        return "a static key, or ftrace's call"
    if was == _PPC_NOP and now == _PPC_TOC:
        return "the TOC restored behind a module's call"
    if was in _PPC_BARRIERS and now in _PPC_BARRIERS:
        return "a barrier that this CPU needs otherwise"
    if now == _PPC_NOP:
        return "an instruction that this CPU does not need"
    if now == _PPC_TRAP:
        return "a breakpoint (kprobe)"
    return None


def _branch_ppc(word: int) -> bool:
    """``b`` or ``bl``."""
    return word & 0xFC000002 == 0x48000000


def _s390(was: bytes, now: bytes) -> Optional[str]:
    if len(was) != len(now):
        return None
    if was[:1] == now[:1] == b"\xc0" and was[1] & 15 == now[1] & 15 == 4:
        return "a static key, or ftrace's call"  # "brcl 0,…" and "brcl 15,…"
    if {was[:2], now[:2]} <= {b"\xc0\x04", b"\xc0\x05", b"\xc0\xe5", b"\xc0\xf4"}:
        return "a static key, or ftrace's call"  # brcl, brasl %r0, brasl %r14, jg
    if was[:2] == b"\xc0\xf4" and now[:1] == b"\x07":
        return "an expoline"  # "jg __s390_indirect_jump_r14" that became "br %r14"
    if len(now) > 1 and now[:2] == b"\x00\x02":
        return "a breakpoint (kprobe)"
    return None
