"""The guilty registers: those that made an instruction fail, by the names in the log's dump (pure)."""

import re
from typing import Collection, List, Optional, Tuple

from kdumpwrap.explain import access
from kdumpwrap.log.kinds import FAILED
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.regex import regex

_PART = regex(r"[re]?(?P<letters>[abcd]x|[sd]i|[bs]p)|(?P<low>[abcd])[lh]|(?P<number>r\d{1,2})[dwb]")


def registers(resolution: Resolution) -> Tuple[str, ...]:
    """The registers of the failed address, of the called pointer or of the divisor; () when none is known."""
    row = resolution.marked
    if row is None or resolution.report.kind not in FAILED:
        return ()
    done = access.operation(row, resolution)
    found = access.accesses(done, access.Registers(resolution))
    names: List[str] = []
    if done.divisor is not None and done.divisor.startswith("%"):
        names = [done.divisor[1:]]
    elif access.faulting(resolution) is None:  # the call itself failed, not its access to the stack
        names = [name for one in found if not one.memory.implied for name, _ in one.terms] or [*done.uses]
    else:
        failed, _ = access.guilty(resolution.report, found)
        names = [name for name, _ in failed.terms if name not in ("fs", "gs")] if failed is not None else []
    dump = {name for name, _ in resolution.report.registers}
    return tuple(dict.fromkeys(name for name in (dumped(name, dump) for name in names) if name))


def dumped(register: str, dump: Collection[str]) -> Optional[str]:
    """The name in ``dump`` of ``register``, or of the full register that contains it; None when it has neither.

    ``eax``, ``al`` → ``rax``; ``r8d`` → ``r08``, as x86 prints it; ``rax`` → ``eax`` on i386; ``w0`` → ``x0``.
    """
    match = _PART.fullmatch(register)
    names = [register]
    if match:
        core = match["number"] or (match["letters"] or match["low"] + "x")
        names += [core] if match["number"] else [f"r{core}", f"e{core}"]
    names += ["x" + register[1:]] if register.startswith("w") else []
    names += [re.sub(r"^r(?=\d$)", "r0", name) for name in names]
    return next((name for name in names if name in dump), None)
