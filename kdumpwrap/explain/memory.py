"""Out of memory: the kernel's memory table in a few sentences (pure)."""

from typing import Iterator, List, Optional, Sequence, Tuple

from kdumpwrap.model.log import Report

_SHOWN = 3  # tasks


def table(report: Report) -> Iterator[str]:
    """Sentences on the largest tasks, the memory in use and the limit; none when the log has no memory table."""
    found = report.memory
    if found is None:
        return
    if found.tasks:
        largest = ", ".join(f"{task.comm} (pid {task.pid}) {_size(task.rss)}" for task in found.tasks[:_SHOWN])
        yield f"{f'Largest of {found.listed} tasks' if found.listed > 1 else 'Largest task'}: {largest}."
    # shmem is on the lists of anonymous memory
    used = _list([("anonymous memory with shmem", found.anonymous), ("shmem alone", found.shmem), ("free", found.free)])
    if used:
        yield f"{f'Of {_size(found.ram)} of RAM' if found.ram is not None else 'Memory'}: {used}."
    if found.slab is not None:
        yield f"Slab: {_size(found.slab)}, of which {_size(found.unreclaimable or 0)} cannot be given back."
    other: List[str] = []
    if found.hugepages is not None:
        other.append(f"huge pages {_size(found.hugepages)}, whether used or not")
    if found.swap is not None:
        free = f", {_size(found.swap_free)} of it free" if found.swap and found.swap_free is not None else ""
        other.append(f"swap {_size(found.swap)}{free}")
    if other:
        yield f"Besides: {'; '.join(other)}."
    if found.cgroup is not None:
        limit = f" of {_size(found.limit)}" if found.limit is not None else ""
        yield f"The limit{limit} of the control group {found.cgroup} was reached, not the machine's memory."
    elif report.comm is not None and report.pid not in [task.pid for task in found.tasks[:1]]:
        yield f"{report.comm} only asked for memory when none was left: that does not make it the cause."


def _list(rows: Sequence[Tuple[str, Optional[int]]]) -> str:
    return ", ".join(f"{name} {_size(size)}" for name, size in rows if size is not None)


def _size(kib: Optional[int]) -> str:
    """``368 MiB``."""
    size = kib or 0
    if size >= 10 << 20:
        return f"{size / (1 << 20):.0f} GiB"
    return f"{size / 1024:.0f} MiB" if size >= 10 << 10 or size == 0 else f"{size} KiB"
