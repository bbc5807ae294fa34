"""The memory that crash(8) takes, and whether that is there: the arithmetic behind the ladder's first rung."""

from typing import Dict, NamedTuple, Optional, Tuple

from kdumpwrap.host.memory import Limit, LimitKind


class Need(NamedTuple):
    """The memory of crash for each byte of the vmlinux file: to start, and to answer ``bt -a -l`` or ``struct``."""

    start: float
    work: float


# Measured: crash 8.0.2, vmlinux 587 MB (6.1.0-47, DWARF 5). VmPeak 546 MB at the prompt, 645 MB after bt -a -l,
# 695 MB after struct; RssAnon 368, 464, 520 MB. With --minimal 464 and 471 MB, RssAnon 266 and 280 MB.
# Other options change nothing for a small dump: caches and tasks take memory in the measure of the crashed machine.
FULL: Dict[LimitKind, Need] = {"address space": Need(0.93, 1.2), "resident": Need(0.63, 0.9)}
MINIMAL: Dict[LimitKind, Need] = {"address space": Need(0.79, 0.82), "resident": Need(0.46, 0.48)}
_DOUBT = 0.9  # another crash, another compiler: what lacks no more than this share is tried


def lacking(size: int, limits: Tuple[Limit, ...]) -> Optional[Limit]:
    """The limit under which crash cannot even start on a vmlinux of ``size`` bytes, but for --minimal; None: it may."""
    return next((limit for limit in limits if limit.bytes < FULL[limit.kind].start * size * _DOUBT), None)


def tight(size: int, limits: Tuple[Limit, ...]) -> Optional[Limit]:
    """The limit under which crash may well run out of memory, the worst one; None: there is plenty."""
    close = [limit for limit in limits if limit.bytes < FULL[limit.kind].work * size * 1.25]
    return min(close, key=lambda limit: limit.bytes / FULL[limit.kind].work, default=None)
