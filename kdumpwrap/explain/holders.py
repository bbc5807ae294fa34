"""Lock holders: the owner that the kernel names, the locks that it lists, the work items that run."""

from typing import Iterator, List, Optional, Sequence

from kdumpwrap.arch import table
from kdumpwrap.culprit import blame
from kdumpwrap.explain.flow import Flow
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.log import Frame, HeldLock, Report, WorkItem
from kdumpwrap.regex import regex

# xxxwan_cfg_mutex (of a relocation), "ffffffff82a1c280 <rtnl_mutex>" (a comment)
_VARIABLE = regex(r"(?:[0-9a-f]{1,16} <)?(?P<name>[A-Za-z_][\w.$]*(?:\+0x[0-9a-f]+)?)>?$")
_REACH = 8  # instructions before the call
_MOST = 4  # locks, or work items, of one sentence


def holders(resolution: Resolution) -> Iterator[str]:
    """Sentences on the owner of the lock that a hung task waits for, and on the work items that run."""
    report = resolution.report
    if report.tasks > 1:
        yield f"{report.tasks} tasks hang with this very stack; this one was reported first (the log)."
    if report.blocker is not None:
        article = "an" if report.blocker.what == "rw-semaphore" else "a"
        where = _own(report)
        sleeps = f", which stands in {_named(where)}" if where is not None else ""
        yield (
            f"It waits for {article} {report.blocker.what} that {report.blocker.comm}, pid {report.blocker.pid}, "
            f"likely holds{sleeps} (the kernel's word)."
        )
    lock = _global(resolution)
    if lock is not None:
        yield f"What it waits for is {lock}, a variable of the kernel or its modules (the argument of the call)."
    yield from _locks(report)
    if report.works:
        yield f"The workers run {_works(report.works)} (the list of workqueues)."


def _global(resolution: Resolution) -> Optional[str]:
    """The name of the variable whose address is the first argument of the marked call; None for any other value."""
    flow = Flow(resolution)
    row = next((row for row in flow.rows if row.fault), None)
    first = table.of(resolution.report.arch).arguments[:1]
    if row is None or not first or flow.operation(row).kind not in ("call", "jump"):
        return None
    for _ in range(_REACH):
        step = flow.before(row)
        if step is None or step.done.kind in ("call", "jump"):
            return None
        row = step.row
        if step.done.sets == first[0]:
            named = _VARIABLE.match(row.relocations[0].target if row.relocations else row.comment or "")
            return named["name"] if named and not step.done.memory else None
    return None


def _own(report: Report) -> Optional[Frame]:
    """The frame that the owner of the lock is in, past the functions that every sleeping task shows; None: unknown."""
    if report.blocker is None:
        return None
    found = blame.blame(Resolution.of(Report(report.kind, report.headline, report.line, trace=report.blocker.trace)))
    return found.frame if found else None


def _locks(report: Report) -> Iterator[str]:
    own = [lock for lock in report.locks if lock.pid == report.pid]
    if not own:
        return
    wanted = own[-1]
    others = [lock for lock in report.locks if lock.pid != report.pid and _same(lock, wanted)]
    # lockdep lists a lock before it is taken: a task that waits does so for its last one
    last = {lock.pid: lock for lock in report.locks}
    holding = [lock for lock in others if last[lock.pid] != lock] or others
    if holding:
        one = holding[0]
        yield (
            f"It waits for the lock {wanted.name}, which {one.comm}, pid {one.pid}, took in {_named(one.frame)} "
            "(the list of locks)."
        )
        wants = last[one.pid]
        if any(_same(wants, lock) for lock in own[:-1]):
            yield f"{one.comm} in turn waits for {wants.name}, which this task holds: a deadlock (the list of locks)."
    elif report.tasks == 1:
        held = [f"{lock.name} (taken in {_named(lock.frame)})" for lock in own[:_MOST]]
        yield f"It holds, or waits for, {', '.join(held)} (the list of locks)."


def _same(one: HeldLock, other: HeldLock) -> bool:
    return (one.name, one.instance) == (other.name, other.instance)


def _works(works: Sequence[WorkItem]) -> str:
    shown: List[str] = []
    for work in sorted(works, key=lambda one: -(one.seconds or 0))[:_MOST]:
        module = f" [{work.module}]" if work.module else ""
        since = f" for {work.seconds} s" if work.seconds is not None else ""
        shown.append(f"{work.symbol}{module} (pid {work.pid}, workqueue {work.workqueue}{since})")
    return ", ".join(shown) + (f" and {len(works) - _MOST} more" if len(works) > _MOST else "")


def _named(frame: Frame) -> str:
    """``acme_write [acme]``; with file and line where these are known."""
    module = f" [{frame.module}]" if frame.module else ""
    known = frame.locations[-1] if isinstance(frame, ResolvedFrame) and frame.locations else None
    at = f" at {known.file}:{known.line}" if known is not None and known.file else ""
    return f"{frame.symbol}{module}{at}"
