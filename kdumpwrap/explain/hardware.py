"""Hardware errors: the architectural part of a machine check, and the NMI of a board's watchdog."""

import re
from typing import Iterator, Optional, Sequence, Tuple

from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import MachineCheck
from kdumpwrap.regex import regex

# Intel SDM 3B, "Interpreting the MCA error codes"; F, bit 12, says that corrected errors are filtered
_SIMPLE = {
    0x0001: "an error of no class",
    0x0002: "a parity error in the microcode's ROM",
    0x0003: "an error that another processor or device signalled",
    0x0005: "an internal parity error",
    0x0400: "the internal timer ran out: an instruction did not end in time",
}
_KINDS = (  # mask, value, what
    (0xEF80, 0x0080, "an error of the memory or its controller"),
    (0xEF80, 0x0280, "an error of memory used as a cache"),
    (0xE800, 0x0800, "an error of the bus or interconnect"),
    (0xEF00, 0x0100, "an error of a cache"),
    (0xEFF0, 0x0010, "an error of a TLB"),
    (0xEFFC, 0x000C, "an error of a cache"),
    (0xEC00, 0x0400, "an internal error of the processor"),
)
_MOST = 4  # CPUs, or banks, that are named
_BUS_TIMEOUT = 0x0100  # of a bus error's code
_NMI = regex(
    r"NMI IOCK error|NMI: (?:Not continuing|IOCK|PCI system error)|An NMI occurred|hpwdt|\(SERR\)|unrecovered NMI", re.I
)


def machine_check(resolution: Resolution) -> Iterator[str]:
    """Sentences on a hardware error: which part failed, and that the code which ran is not to blame."""
    found = sorted(resolution.report.machine_checks, key=_severity, reverse=True)
    if not found:
        yield "The hardware reported an error (machine check): it is no bug of the code that ran at that time."
    else:
        worst = found[0]
        yield f"The hardware reported it (machine check): {_described(worst)}."
        where = [_where(worst)]
        where += [f"address {worst.address:#x}"] if worst.address is not None and _has(worst, 58) else []
        yield f"It was found by {', '.join(where)}."
        if worst.said is not None:
            yield f"The EDAC driver calls it {worst.said!r}."
        yield from _others(worst, found[1:])
    if resolution.ip is not None and resolution.ip.symbol:
        yield f"{resolution.ip.symbol} ran at that time and is not the cause."


def _severity(found: MachineCheck) -> Tuple[bool, bool]:
    """The sort key of a record: context corrupt (bit 57), then uncorrected (bit 61).

    mce_panic() prints corrected errors first and the worst last.
    """
    return _has(found, 57), _has(found, 61)


def _has(found: MachineCheck, bit: int) -> bool:
    return bool((found.status or 0) >> bit & 1)


def _where(found: MachineCheck) -> str:
    where = [f"CPU {found.cpu}"] if found.cpu is not None else []
    where += [f"socket {found.socket}"] if found.socket is not None else []
    return ", ".join(where + ([f"bank {found.bank}"] if found.bank is not None else []))


def _others(worst: MachineCheck, others: Sequence[MachineCheck]) -> Iterator[str]:
    same = [one for one in others if (one.bank, one.status) == (worst.bank, worst.status)]
    if same:
        cpus = ", ".join(str(one.cpu) for one in same[:_MOST])
        more = f" and {len(same) - _MOST} more" if len(same) > _MOST else ""
        yield f"The same was found by CPU{'s' if len(same) > 1 else ''} {cpus}{more}."
    rest = [one for one in others if one not in same]
    for one in rest[:_MOST]:
        yield f"Besides, {_where(one)}: {_described(one)}."
    if len(rest) > _MOST:
        yield f"{len(rest) - _MOST} more banks reported something."


def _described(found: MachineCheck) -> str:
    status = found.status or 0
    corrected = "deferred" if found.amd and _has(found, 44) else "corrected"
    words = [kind(status & 0xFFFF), "not corrected" if _has(found, 61) else corrected]
    words += ["the processor's context is corrupt"] if _has(found, 57) else []
    words += ["earlier errors were overwritten"] if _has(found, 62) else []
    return f"{', '.join(words)} (MCi_STATUS {status:016x})"


def kind(code: int) -> str:
    """The error that the low 16 bits of MCi_STATUS name."""
    known: Optional[str] = _SIMPLE.get(code & 0xEFFF)
    known = known or next((what for mask, value, what in _KINDS if code & mask == value), None)
    if known and code & 0xE800 == 0x0800 and code & _BUS_TIMEOUT:
        return f"{known}: a time-out"
    return known or f"an error of the unknown code {code:#06x}"


def own_log(text: str) -> Optional[str]:
    """A sentence on the log that holds the reason for a non-maskable interrupt; None for another panic."""
    if not _NMI.search(text):
        return None
    return (
        "The machine raised a non-maskable interrupt (NMI), not the kernel: the reason stands in the event log of its "
        "management controller (BMC: `ipmitool sel elist`; HPE: IML in iLO; Dell: iDRAC)."
    )
