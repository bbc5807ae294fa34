"""The memory that a child of this process may take: the machine's, ulimits, memory cgroups."""

import resource
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal

LimitKind = Literal["address space", "resident"]

_UNLIMITED = 1 << 60  # bytes; cgroup v1 says 0x7ffffffffffff000 for "no limit"


class Limit(NamedTuple):
    """Bytes that a program started now may still take, and the name of the limit."""

    bytes: int
    name: str
    kind: LimitKind  # what it counts: mapped or resident memory


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


def unused(
    meminfo: Path = Path("/proc/meminfo"),
    membership: Path = Path("/proc/self/cgroup"),
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> int:
    """Bytes available without swapping: MemAvailable, or less in a cgroup; _UNLIMITED when unknown."""
    found = [limit.bytes for limit in _cgroups(membership, cgroups)]
    free = _fields(meminfo).get("MemAvailable:")
    return min(found if free is None else [free, *found], default=_UNLIMITED)


def _machine(meminfo: Path) -> Iterator[Limit]:
    fields = _fields(meminfo)
    if "MemAvailable:" in fields:
        yield Limit(fields["MemAvailable:"] + fields.get("SwapFree:", 0), "free memory and swap", "resident")


def _fields(meminfo: Path) -> Dict[str, int]:
    # MemAvailable:   23723456 kB
    # SwapFree:              0 kB
    rows = (line.split() for line in _read(meminfo).splitlines())
    return {row[0]: int(row[1]) << 10 for row in rows if len(row) >= 2 and row[1].isdigit()}


def _rlimits(rlimit: Callable[[int], Tuple[int, int]]) -> Iterator[Limit]:
    for number, name in ((resource.RLIMIT_AS, "ulimit -v"), (resource.RLIMIT_DATA, "ulimit -d")):
        soft, _ = rlimit(number)
        if soft != resource.RLIM_INFINITY:
            # ulimit -d counts private writable memory, which is about what crash has in memory
            yield Limit(soft, name, "address space" if number == resource.RLIMIT_AS else "resident")


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
    """The memory left in the cgroup ``path`` and in each above it; in a container ``path`` may not be visible."""
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
        yield Limit(max(0, limit - usage + reclaimable), f"cgroup {limit_name}", "resident")


def _number(text: str) -> Optional[int]:
    return int(text) if text.strip().isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
