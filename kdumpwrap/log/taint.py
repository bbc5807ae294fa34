"""The letters of "Tainted: G OE" and what they mean, with those that only RHEL and its rebuilds have."""

from typing import Dict, Tuple

from kdumpwrap.model.log import TaintFlag

# kernel/panic.c taint_flags[] (Documentation/admin-guide/tainted-kernels.rst); RHEL's own from its kernels' panic.c
MEANINGS: Dict[str, str] = {
    "G": "only modules with a GPL-compatible licence are loaded",
    "P": "a proprietary module was loaded",
    "F": "a module was loaded by force",
    "S": "the kernel runs on a processor or system that is out of specification",
    "R": "a module was unloaded by force",
    "M": "a machine check was reported",
    "B": "a page was released in a bad state",
    "U": "a user or user application asked for the taint",
    "D": "the kernel has died before: there was an oops or a BUG",
    "A": "an ACPI table was overridden",
    "W": "the kernel has warned before",
    "C": "a staging driver was loaded",
    "I": "a bug in the platform's firmware is worked around",
    "O": "an out-of-tree module was loaded",
    "E": "an unsigned module was loaded",
    "L": "a soft lockup has occurred before",
    "K": "the kernel was live-patched",
    "X": "auxiliary taint, which distributions define",
    "T": "the kernel was built with the struct layout randomised; on RHEL a technology preview is in use",
    "N": "an in-kernel test was run",
    "J": "userspace used a fwctl debug interface",
    "H": "RHEL: the hardware is not supported",
    "h": "RHEL: support for the hardware was removed",
    "u": "RHEL: unprivileged BPF is enabled",
    "Z": "RHEL: the kernel is built with options for debugging",
}


def decode(letters: str) -> Tuple[TaintFlag, ...]:
    """Each letter with its meaning, in the order printed; a letter unknown here says so."""
    return tuple(TaintFlag(letter, MEANINGS.get(letter, "unknown flag")) for letter in letters)
