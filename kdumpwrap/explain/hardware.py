"""Hardware errors: the architectural part of a machine check, and the NMI of a board's watchdog."""

import re
from typing import Iterator, Optional

from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import MachineCheck

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
_BUS_TIMEOUT = 0x0100  # of a bus error's code
_NMI = re.compile(
    r"NMI IOCK error|NMI: (?:Not continuing|IOCK|PCI system error)|An NMI occurred|hpwdt|\(SERR\)|unrecovered NMI", re.I
)


def machine_check(resolution: Resolution) -> Iterator[str]:
    """That it was the hardware, what of it, and that the code which ran is not to blame."""
    found = resolution.report.machine_check
    if found is None or found.status is None:
        yield "The hardware reported an error (machine check): it is no bug of the code that ran at that time."
    else:
        yield f"The hardware reported it (machine check): {_described(found)}."
        where = [f"CPU {found.cpu}"] if found.cpu is not None else []
        where += [f"socket {found.socket}"] if found.socket is not None else []
        where += [f"bank {found.bank}"] if found.bank is not None else []
        where += [f"address {found.address:#x}"] if found.address is not None and found.status >> 58 & 1 else []
        yield f"It was found by {', '.join(where)}."
    if resolution.ip is not None and resolution.ip.symbol:
        yield f"{resolution.ip.symbol} ran at that time and is not the cause."


def _described(found: MachineCheck) -> str:
    status = found.status or 0
    words = [kind(status & 0xFFFF), "not corrected" if status >> 61 & 1 else "corrected"]
    words += ["the processor's context is corrupt"] if status >> 57 & 1 else []
    words += ["earlier errors were overwritten"] if status >> 62 & 1 else []
    return f"{', '.join(words)} (MCi_STATUS {status:016x})"


def kind(code: int) -> str:
    """The error that the low 16 bits of MCi_STATUS name."""
    known: Optional[str] = _SIMPLE.get(code & 0xEFFF)
    known = known or next((what for mask, value, what in _KINDS if code & mask == value), None)
    if known and code & 0xE800 == 0x0800 and code & _BUS_TIMEOUT:
        return f"{known}: a time-out"
    return known or f"an error of the unknown code {code:#06x}"


def own_log(text: str) -> Optional[str]:
    """Where the reason for a non-maskable interrupt stands; None for another panic."""
    if not _NMI.search(text):
        return None
    return (
        "The machine raised a non-maskable interrupt (NMI), not the kernel: the reason stands in the event log of its "
        "management controller (BMC: `ipmitool sel elist`; HPE: IML in iLO; Dell: iDRAC)."
    )
