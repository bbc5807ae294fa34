"""How much memory there is for crash(8), and how much it takes: the arithmetic behind the ladder's first rung."""

import resource
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional, Tuple

ADDRESS_SPACE = "address space"
RESIDENT = "resident"

_UNLIMITED = 1 << 60  # bytes; cgroup v1 says 0x7ffffffffffff000 for "no limit"


class Limit(NamedTuple):
    """Bytes that a program started now may still take, and what sets them."""

    bytes: int
    name: str
    kind: str  # ADDRESS_SPACE counts what is mapped, RESIDENT what is in memory


class Need(NamedTuple):
    """What crash takes for each byte of the vmlinux file: to start, and to answer ``bt -a -l`` or ``struct``."""

    start: float
    work: float


# Measured: crash 8.0.2, vmlinux 587 MB (6.1.0-47, DWARF 5). VmPeak 546 MB at the prompt, 645 MB after bt -a -l,
# 695 MB after struct; RssAnon 368, 464, 520 MB. With --minimal 464 and 471 MB, RssAnon 266 and 280 MB.
# Other options change nothing for a small dump: caches and tasks take memory in the measure of the crashed machine.
FULL = {ADDRESS_SPACE: Need(0.93, 1.2), RESIDENT: Need(0.63, 0.9)}
MINIMAL = {ADDRESS_SPACE: Need(0.79, 0.82), RESIDENT: Need(0.46, 0.48)}
_DOUBT = 0.9  # another crash, another compiler: what lacks no more than this share is tried


def available(
    meminfo: Path = Path("/proc/meminfo"),
    membership: Path = Path("/proc/self/cgroup"),
    cgroups: Path = Path("/sys/fs/cgroup"),
    rlimit: Callable[[int], Tuple[int, int]] = resource.getrlimit,
) -> Tuple[Limit, ...]:
    """Every limit that applies to a child of this process, the tightest of each kind first.

    The machine's free memory and swap, ``ulimit -v`` and ``ulimit -d``, and memory cgroups of both versions.
    """
    found = [*_machine(meminfo), *_rlimits(rlimit), *_cgroups(membership, cgroups)]
    return tuple(sorted(found, key=lambda limit: (limit.kind, limit.bytes)))


def lacking(size: int, limits: Tuple[Limit, ...]) -> Optional[Limit]:
    """The limit under which crash cannot even start on a vmlinux of ``size`` bytes, but for --minimal; None: it may."""
    return next((limit for limit in limits if limit.bytes < FULL[limit.kind].start * size * _DOUBT), None)


def tight(size: int, limits: Tuple[Limit, ...]) -> Optional[Limit]:
    """The limit under which crash may well run out of memory, the worst one; None: there is plenty."""
    close = [limit for limit in limits if limit.bytes < FULL[limit.kind].work * size * 1.25]
    return min(close, key=lambda limit: limit.bytes / FULL[limit.kind].work, default=None)


def _machine(meminfo: Path) -> Iterator[Limit]:
    # MemAvailable:   23723456 kB
    # SwapFree:              0 kB
    fields = {}
    for line in _read(meminfo).splitlines():
        words = line.split()
        if len(words) >= 2 and words[1].isdigit():
            fields[words[0]] = int(words[1]) << 10
    if "MemAvailable:" in fields:
        yield Limit(fields["MemAvailable:"] + fields.get("SwapFree:", 0), "free memory and swap", RESIDENT)


def _rlimits(rlimit: Callable[[int], Tuple[int, int]]) -> Iterator[Limit]:
    for number, name in ((resource.RLIMIT_AS, "ulimit -v"), (resource.RLIMIT_DATA, "ulimit -d")):
        soft, _ = rlimit(number)
        if soft != resource.RLIM_INFINITY:
            # ulimit -d counts private writable memory, which is about what crash has in memory
            yield Limit(soft, name, ADDRESS_SPACE if number == resource.RLIMIT_AS else RESIDENT)


def _cgroups(membership: Path, cgroups: Path) -> Iterator[Limit]:
    # v1  4:memory:/user.slice/session-3.scope
    # v2  0::/user.slice/user-0.slice/session-3.scope
    for line in _read(membership).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(","):
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _cgroup(cgroups / "memory", path, files)
        elif number == "0" and not controllers:
            base = cgroups if (cgroups / "cgroup.controllers").exists() else cgroups / "unified"
            for limit in ("memory.max", "memory.high"):
                yield from _cgroup(base, path, (limit, "memory.current", "inactive_file"))


def _cgroup(base: Path, path: str, files: Tuple[str, str, str]) -> Iterator[Limit]:
    """What is left in the cgroup ``path`` and in each above it; in a container ``path`` may not be visible."""
    limit_name, usage_name, reclaimable_name = files
    parts = [part for part in path.split("/") if part not in ("", "..", ".")]
    for depth in range(len(parts), -1, -1):
        directory = base.joinpath(*parts[:depth])
        limit = _number(_read(directory / limit_name))
        usage = _number(_read(directory / usage_name))
        if limit is None or usage is None or limit >= _UNLIMITED:
            continue
        reclaimable = 0
        for line in _read(directory / "memory.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == reclaimable_name:
                reclaimable = _number(value) or 0
        yield Limit(max(0, limit - usage + reclaimable), f"cgroup {limit_name}", RESIDENT)


def _number(text: str) -> Optional[int]:
    return int(text) if text.strip().isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
