"""The meaning of each kind of report: the explanation of a report that has no other (pure)."""

from typing import Dict

from kdumpwrap.model.log import Report, ReportKind

_MEANINGS: Dict[ReportKind, str] = {
    "null-pointer": "Kernel code followed a pointer that is NULL, or nearly.",
    "page-fault": "Kernel code used an address at which nothing is mapped, or not for that.",
    "general-protection": "An instruction used an address that no pointer can be, or did what the CPU forbids.",
    "bug": "A condition that must never be true was true, or the kernel found its own data damaged.",
    "invalid-opcode": "The CPU met an instruction that it does not know, or one made to stop there.",
    "divide-error": "The divisor was 0, or so small that the quotient does not fit.",
    "double-fault": "An exception came while the CPU began to handle another one: as a rule the stack was used up.",
    "stack-overflow": "The kernel stack was used up.",
    "machine-check": "The hardware reported an error: it is no bug of the code that ran at that time.",
    "soft-lockup": "A CPU ran in the kernel for so long that no other task had a turn (kernel.watchdog_thresh, twice).",
    "hard-lockup": "A CPU took no interrupt for so long that it counts as dead (kernel.watchdog_thresh).",
    "hung-task": "A task slept for longer than kernel.hung_task_timeout_secs, and no signal can wake it.",
    "rcu-stall": "A CPU or task kept RCU waiting: it did not leave a section of readers, or did not give up the CPU.",
    "csd-stall": "A CPU did not answer another one in time.",
    "panic": "The kernel stopped by itself; the text of the panic is all that the log says of the reason.",
    "warning": "A condition that should not be true was true; the kernel went on.",
    "atomic-sleep": "A function that may sleep was called where nothing may: under a spinlock, or in an interrupt.",
    "lockdep": "A locking rule was broken. It can deadlock, even if it has not yet.",
    "kasan": "Memory was used that is not the object's, or no longer.",
    "kmsan": "A value was used that nobody had written.",
    "kcsan": "Two CPUs used the same memory at once, one of them to write, and nothing keeps them apart.",
    "kfence": "Memory was used that is not the object's, or no longer.",
    "ubsan": "The code did what the C standard leaves undefined.",
    "slab": "The allocator found an object damaged: somebody wrote past its end, or after it was freed.",
    "memory-leak": "Nothing refers to this memory any more, and nobody freed it.",
    "oops": "The kernel met an exception that it cannot handle.",
}


def meaning(report: Report) -> str:
    """One sentence for the kind of ``report``."""
    return _MEANINGS.get(report.kind, _MEANINGS["oops"])
