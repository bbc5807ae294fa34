"""The memory that crash(8) takes, and whether that is there: the arithmetic behind the ladder's first rung."""

import os
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host.memory import Limit, LimitKind
from kdumpwrap.tools import binutils


class Need(NamedTuple):
    """The memory of crash: to start, to answer ``bt -a -l`` or ``struct``, and with --minimal."""

    start: float
    work: float
    minimal: float


class Vmlinux(NamedTuple):
    """The sizes of a vmlinux in bytes: the file, its debug information, what of that has relocations."""

    file: int
    debug: int
    relocated: int

    def need(self, kind: LimitKind) -> Need:
        """The memory of crash for it, in bytes of ``kind``."""
        # what has no relocations the gdb in crash maps from the file, and copies the rest
        fixed = _PROGRAM + _THREAD * (os.cpu_count() or 1) if kind == "address space" else self.relocated
        return Need(*(fixed + factor * self.debug for factor in _FACTORS[kind]))


# Measured, in MB, for debug information of 218 MB with relocations (6.1.0-47, crash 8.0.2), the same with none, and
# 276 MB with none (6.12.117, crash 8.0.6): VmPeak 415, 417, 519 at the prompt, 564, 523, 665 after struct, 334, 333,
# 429 with --minimal. RssAnon 368, 163, 206; 520, 268, 355; 266, 83, 119.
# Other options change nothing for a small dump: caches and tasks take memory in the measure of the crashed machine.
_FACTORS: Dict[LimitKind, Need] = {"address space": Need(1.76, 2.4, 1.42), "resident": Need(0.75, 1.4, 0.43)}
_PROGRAM, _THREAD = 17e6, 8.4e6  # bytes of address space: crash itself, and the stack of a thread of its gdb for a CPU
_LEAST = 0.37  # of a vmlinux is debug information, where readelf cannot be asked
_DOUBT = 0.9  # another crash, another compiler: what lacks no more than this share is tried


def vmlinux(path: Path) -> Vmlinux:
    """The sizes of the vmlinux ``path``, as readelf tells them."""
    size = path.stat().st_size
    try:
        elf = binutils.elf(binutils.toolset(None), path)
    except KdumpwrapError:
        elf = None
    return Vmlinux(size, elf.debug, elf.debug_relocated) if elf else Vmlinux(size, int(size * _LEAST), 0)


def lacking(file: Vmlinux, limits: Tuple[Limit, ...]) -> Optional[Limit]:
    """The limit under which crash cannot even start on the vmlinux ``file``, but for --minimal; None: it may."""
    return next((limit for limit in limits if limit.bytes < file.need(limit.kind).start * _DOUBT), None)


def tight(file: Vmlinux, limits: Tuple[Limit, ...]) -> Optional[Limit]:
    """The limit under which crash may well run out of memory, the worst one; None: there is plenty."""
    close = [limit for limit in limits if limit.bytes < file.need(limit.kind).work * 1.25]
    return min(close, key=lambda limit: limit.bytes / file.need(limit.kind).work, default=None)
