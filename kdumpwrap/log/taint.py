"""The letters of "Tainted: G OE" and what they mean: some differ between the kernels of RHEL and its rebuilds."""

from typing import Dict, Optional, Tuple

from kdumpwrap.host.release import parse
from kdumpwrap.model.log import TaintFlag

# kernel/panic.c taint_flags[] (Documentation/admin-guide/tainted-kernels.rst)
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
    "T": "the kernel was built with the struct layout randomised",
    "N": "an in-kernel test was run",
    "J": "userspace used a fwctl debug interface",
}

_PREVIEW = "a technology preview is in use"
_UNSUPPORTED = "the hardware is not supported"
_REMOVED = "support for the hardware was removed"
# kernel/panic.c of each RHEL: bits 26 to 31, and its meaning of X and T
_RHEL: Dict[int, Dict[str, str]] = {
    6: {"T": _PREVIEW, "H": _UNSUPPORTED, "U": "a module that the vendor did not sign was loaded"},
    7: {"T": _PREVIEW, "H": _UNSUPPORTED},
    8: {"X": _PREVIEW, "t": _PREVIEW, "r": _REMOVED},
    9: {
        "X": _PREVIEW,
        "p": "a partner supports a module",
        "h": _REMOVED,
        "u": "unprivileged BPF is enabled",
    },
}
_RHEL[10] = _RHEL[9]


def decode(letters: str, release: Optional[str]) -> Tuple[TaintFlag, ...]:
    """Each letter with its meaning in the kernel ``release``, in the order printed; "unknown flag" for another letter.

    Without a release, a letter whose meaning differs between kernels has all of them.
    """
    return tuple(TaintFlag(letter, _meaning(letter, release)) for letter in letters)


def _meaning(letter: str, release: Optional[str]) -> str:
    usual = MEANINGS.get(letter)
    known = parse(release)
    if known is not None:
        own = _RHEL.get(known.generation or 0, {}) if known.vendor == "el" else {}
        return own.get(letter, usual or "unknown flag")
    others: Dict[str, str] = {}
    for major, own in _RHEL.items():
        if letter in own:
            others[own[letter]] = f"{others[own[letter]]}, el{major}" if own[letter] in others else f"el{major}"
    told = ([usual] if usual else []) + [f"on {names}: {meaning}" for meaning, names in others.items()]
    return "; ".join(told) or "unknown flag"
