"""Waiting CPUs: a sampled CPU that only waits in a loop, a pause, a delay or a spinlock (pure).

A sample hits a random instruction, but a waiting CPU returns to the same place as long as it waits.
"""

from typing import Dict, Optional, Sequence, Tuple

from kdumpwrap.arch import operand
from kdumpwrap.log import symbolname
from kdumpwrap.model.kernel import Instruction, Resolution
from kdumpwrap.model.log import Code

# cpu_relax(): pause, yield
_PAUSES: Dict[str, bytes] = {"x86_64": b"\xf3\x90", "i386": b"\xf3\x90", "aarch64": b"\x3f\x20\x03\xd5"}

# udelay(), ndelay() and the functions in which a CPU spins until another CPU releases a lock
_DELAYS = "(const_)?[un]?delay delay_(tsc|loop|halt.*|mwaitx)"
_LOCKS = """
    ((native|pv|xen|hv)_)?queued_(spin|read|write)_lock_slowpath (do_)?(raw_)?(spin|read|write)_lock(_.*)?
    ticket_spin_lock osq_lock mcs_spin_lock pv_wait(_.*)? (kvm|hv|xen)_(wait|lock_spinning|qlock_wait)
    virt_spin_lock arch_spin_lock(_wait)?(_flags)? (read|write)_lock_failed bit_spin_lock
"""


def waits(symbol: str) -> Optional[str]:
    """The reason why a CPU waits in the function ``symbol``: ``a delay``, ``a spinlock``; None in any other."""
    if symbolname.matches(symbol, _DELAYS):
        return "a delay"
    return "a spinlock" if symbolname.matches(symbol, _LOCKS) else None


def pauses(code: Optional[Code], arch: Optional[str]) -> bool:
    """Whether the dumped bytes have ``pause`` or ``yield``, as in a waiting loop, at the pointer or right before it."""
    pause = _PAUSES.get(arch or "")
    if code is None or pause is None:
        return False
    return code.data[code.trap :].startswith(pause) or code.data[: code.trap].endswith(pause)


def idles(resolution: Resolution) -> Optional[str]:
    """The evidence that the function at the instruction pointer waits by itself; None where there is none."""
    rows = loop(resolution.rows, resolution.report.arch)
    if rows is not None and not calls(rows, resolution.report.arch):
        return "it was in a loop that calls nothing"
    if resolution.ip is not None and pauses(resolution.report.code, resolution.report.arch):
        return "it was busy-waiting: the code pauses there"
    return None


def calls(rows: Sequence[Instruction], arch: Optional[str]) -> bool:
    """Whether one of ``rows`` calls a function."""
    return any(operand.parse(row.text, arch).kind == "call" for row in rows)


def loop(rows: Sequence[Instruction], arch: Optional[str]) -> Optional[Tuple[Instruction, ...]]:
    """The smallest loop round the marked instruction: from the target of a branch to that branch; None without one.

    Only what is shown is seen: a loop that reaches further is not found.
    """
    at = next((place for place, row in enumerate(rows) if row.fault), None)
    if at is None:
        return None
    best: Optional[Tuple[Instruction, ...]] = None
    for end in range(at, len(rows)):
        done = operand.parse(rows[end].text, arch)
        if done.kind not in ("jump", "branch") or done.target is None:
            continue
        start = next((place for place in range(at + 1) if rows[place].address == done.target), None)
        if start is not None and (best is None or end - start + 1 < len(best)):
            best = tuple(rows[start : end + 1])
    return best
