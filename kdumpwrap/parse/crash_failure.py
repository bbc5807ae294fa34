"""The causes of a failure of crash(8), by its output. The first of these that fits is the cause.

The texts are those of crash 8.0.2, as seen. The texts of a crash that is too old are quoted in the release notes of
7.3.0 and 8.0.0, which fixed the failures.
"""

import re
from typing import Iterable, NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.regex import regex

FailureKind = Literal[
    "memory",
    "incomplete",
    "truncated",
    "unmoved",
    "excluded",
    "mismatch",
    "no dump",
    "no vmlinux",
    "no debuginfo",
    "too old",
    "broken",
    "lost tasks",
    "compression",
    "killed",
    "expired",
    "endless",
    "ended",
    "silent",
    "other",
]


class Failure(NamedTuple):
    """The kind of a failure, and crash's own words for it."""

    kind: FailureKind
    words: str = ""

    @property
    def lacking(self) -> str:
        """The symbol, size or member that crash did not find: ``module_core_size``; empty for other failures."""
        return self.words.rpartition(": ")[2] if self.kind == "too old" else ""


# crash: cannot allocate any more memory!
# utils.c:671: internal-error: virtual memory exhausted: can't allocate 163066556 bytes.
# The first may stand in the middle of a line: crash begins no new line for it.
_MEMORY = regex(
    r"(?:\b[\w-]{1,32}: cannot allocate any more memory!|^[\w./-]+:\d+: internal-error: virtual memory exhausted.*)",
    re.M,
)
# crash: cannot malloc memory for namelist: …
_MALLOC = regex(r"^(?:[\w-]+: cannot malloc .*|.*: Cannot allocate memory|FATAL ERROR: malloc failure.*)", re.M)
# log: read error: kernel virtual address: ffffffff98c62560  type: "prb"
# crash: page incomplete: kernel virtual address: ffffffff98e39720  type: "possible"
# WARNING: cannot read prb_text_data_ring contents
# Alone, "WARNING: cannot read linux_banner string" means another kernel's vmlinux, which has it elsewhere.
_READ = regex(
    r"\b[\w-]{1,32}: (?:read error|page incomplete): [\w ]+ address: [0-9a-f]+  type: .*"
    r"|^WARNING: cannot read (?!linux_banner string)\w+.*",
    re.M,
)
# crash: seek error: kernel virtual address: ffffffffc0629512  type: "64-bit KVADDR"
# No damage in an answer: crash was asked about an address that never was in the dump.
_SEEK = regex(r"^[\w-]+: seek error: [\w ]+ address: [0-9a-f]+  type: .*", re.M)
# crash: seek error: kernel virtual address: ffffffff825545a8  type: "page_offset_base"
# crash: page excluded: kernel virtual address: ffffffff825545a8  type: "page_offset_base"   by the offset
# The first variable that it reads on x86-64, and this is where the vmlinux has it. KASLR had moved the kernel, which
# crash 8.0.2 notices by the symbol module_load_offset; Linux 6.1 has it, Linux 6.12 does not.
_UNMOVED = regex(
    r'^crash: (?:seek error|page excluded): kernel virtual address: [0-9a-f]+  type: "page_offset_base"', re.M
)
#          This dumpfile is incomplete.  This may cause the crash session
_INCOMPLETE = regex(r"^ *This dumpfile is incomplete.*", re.M)
# crash: page excluded: kernel virtual address: ffff8b6e9f21fb80  type: "current_task (per_cpu)"
_EXCLUDED = regex(r"^[\w-]+: page excluded: [\w ]+ address: [0-9a-f]+  type: .*", re.M)
# crash: cannot determine length of symbol: log_end
# crash: invalid structure member offset: task_struct_state
_UNKNOWN_KERNEL = regex(
    r"^[\w-]+: (?:cannot determine length of symbol: \w+|invalid structure (?:member offset|size): \w+)$", re.M
)
#    <segmentation violation in gdb>
# crash 8.0.2 goes on after that, on a dump of 6.12 until the heap's own checks end it; `sys` and `log` say this alone.
_BROKEN = regex(r"^ *<segmentation violation in gdb>", re.M)
# crash: cannot read pid struct from xarray
# Said at its start on the same dump, once for each task that it lacks from then on; 7.x: "from radix tree". So does
# crash 8.0.6, which knows 6.12, of a dump that makedumpfile 1.7.2 filtered, which does not.
_TASKS = regex(r"^crash: cannot read pid struct from .*", re.M)

_Rule = Tuple[FailureKind, "re.Pattern[str]"]
_STARTING: Tuple[_Rule, ...] = (
    ("memory", _MEMORY),
    ("memory", _MALLOC),
    ("incomplete", _INCOMPLETE),
    # with read errors before it, "do not match!" is only what a damaged dump leads to
    ("truncated", _READ),
    ("unmoved", _UNMOVED),
    ("truncated", _SEEK),
    ("excluded", _EXCLUDED),
    # crash: /usr/lib/debug/…/vmlinux and /var/crash/…/vmcore do not match!
    ("mismatch", regex(r"^.* do not match!", re.M)),
    ("no debuginfo", regex(r"^crash: .*: no debugging data available", re.M)),
    # diskdump: uncompress failed: no zstd compression support
    ("compression", regex(r"^.*uncompress failed.*", re.M)),
    ("no dump", regex(r"^crash: .*: not a supported file format", re.M)),
    ("too old", _UNKNOWN_KERNEL),
    ("broken", _BROKEN),
)

# words without which a pattern cannot fit: an answer may have 16 MB
_SPOILING: Tuple[Tuple[FailureKind, "re.Pattern[str]", Tuple[str, ...]], ...] = (
    ("memory", _MEMORY, ("any more memory!", "memory exhausted")),
    ("broken", _BROKEN, ("<segmentation violation in gdb>",)),
    ("truncated", _READ, ("read error: ", "page incomplete: ", "WARNING: cannot read ")),
    ("too old", _UNKNOWN_KERNEL, ("length of symbol: ", "invalid structure ")),
)

# with -s, a warning is not the cause of the end:
# WARNING: active task ffff8b6e9fe39800 on cpu 1 not found in PID hash
_WARNING = regex(r"^(?:WARNING: .*|NOTE: .*|\s*)$")


def starting(text: str, vmlinux: str) -> Failure:
    """The failure that ended crash before its first prompt; ``vmlinux`` is the path it was given."""
    if f"crash: {vmlinux}: not a supported file format" in text:
        return Failure("no vmlinux")
    found = _first(_STARTING, text)
    if found is not None:
        return found
    words = [line.strip() for line in text.splitlines() if not _WARNING.match(line)]
    return Failure("other", words[0]) if words else Failure("silent")


def incomplete(text: str) -> Optional[Failure]:
    """The failure that crash prints at its start about an incomplete dump, though it goes on; None without one."""
    return _first((("incomplete", _INCOMPLETE),), text)


def broken(text: str) -> Optional[Failure]:
    """The failure that crash prints at its start when it breaks or lacks tasks, though it goes on; None without one."""
    return _first((("broken", _BROKEN), ("lost tasks", _TASKS)), text)


def answering(text: str) -> Optional[Failure]:
    """The failure that spoils an answer although crash goes on: it lacks memory, pages or structures. None: without."""
    return _first(((kind, form) for kind, form, words in _SPOILING if any(word in text for word in words)), text)


def _first(rules: Iterable[_Rule], text: str) -> Optional[Failure]:
    """The failure of the first of ``rules`` that fits ``text``."""
    found = ((kind, pattern.search(text)) for kind, pattern in rules)
    return next((Failure(kind, match[0].strip()) for kind, match in found if match), None)
