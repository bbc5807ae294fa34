"""The first frame of the call chain that is no helper: the culprit of most reports (pure)."""

from dataclasses import replace
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.culprit import callchain, dispatch, helpers
from kdumpwrap.culprit.checkers import Group
from kdumpwrap.log import particulars
from kdumpwrap.log.kinds import WAITING
from kdumpwrap.log.strangers import OUT_OF_TREE, origin
from kdumpwrap.model.kernel import Resolution, ResolvedFrame


class Blame(NamedTuple):
    """A frame and why a person should look there first."""

    frame: ResolvedFrame
    why: str
    at_ip: bool = False  # the reason is that the CPU stopped there


def passed_over(resolution: Resolution, frame: ResolvedFrame) -> Optional[Group]:
    """The group of helpers to which ``frame`` belongs, or None.

    A function of an out-of-tree module is no helper, whatever its name, but for ported libraries. Where the
    taint says that there are such modules and the list does not tell which, every module may be one.
    """
    group = helpers.group(callchain.true_name(frame), _waits(resolution), resolution.report.kind == "memory-leak")
    if group is None or group.anywhere or frame.module is None:
        return group
    report = resolution.report
    # in the kernel's own taint, U is another flag: a user asked for the taint
    tainted = origin((report.taint or "").replace("U", ""), report.release)
    doubtful = not report.modules and tainted == OUT_OF_TREE
    return None if doubtful or frame.module in callchain.strangers(report) else group


def _waits(resolution: Resolution) -> bool:
    return resolution.report.kind in WAITING or particulars.is_atomic(resolution.report.headline)


def first(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The first frame of ``path`` that is no helper, up to the end of the context; else one of last resort, or None."""
    skipped: List[Tuple[Group, ResolvedFrame]] = []
    concealed: Optional[ResolvedFrame] = None
    for before, frame in zip((None, *path), path):
        if frame is not resolution.ip and (_ends(frame) or (before is not None and callchain.left(before, frame))):
            break
        group = passed_over(resolution, frame)
        if group:
            skipped.append((group, frame))
        elif callchain.hidden(frame):
            concealed = concealed or frame
        else:
            at_ip = frame is resolution.ip and resolution.report.kind != "panic"
            return Blame(frame, _reason(resolution, frame, skipped, concealed), at_ip)
    return _last_resort(resolution, skipped)


def doubtful(resolution: Resolution) -> Optional[Blame]:
    """The culprit of a hung task whose stack the unwinder does not follow past the scheduler; None without one.

    It is the first frame that is no helper, frames with a question mark included. A frame that is no return address
    does not count: a pointer to a function, or to its end.
    """
    likely = (frame for frame in resolution.trace if not frame.exact and 0 < (frame.offset or 0) < (frame.size or 0))
    shown = resolution._replace(trace=tuple(replace(frame, certain=True) for frame in likely))
    found = first(shown, callchain.certain(shown))
    return None if found is None else found._replace(why=f"{found.why}; the kernel marks the frame with ?")


def _reason(
    resolution: Resolution,
    frame: ResolvedFrame,
    skipped: Sequence[Tuple[Group, ResolvedFrame]],
    concealed: Optional[ResolvedFrame],
) -> str:
    others = [(group, passed) for group, passed in skipped if not group.tells]
    if concealed is not None:
        return f"below a function that the log cannot name: the one that ends at {concealed.symbol}+0x0"
    if not others:
        if resolution.ip is not None and not resolution.ip.symbol:
            address = "" if resolution.ip.runtime is None else f" (0x{resolution.ip.runtime:x})"
            return f"it called through a bad pointer{address}"
        if resolution.report.kind == "panic":
            return "called panic()"
        if frame is resolution.ip:
            return "the instruction pointer"
        return "first frame past the report's own" if skipped else "first frame of the trace"
    names = " < ".join(dict.fromkeys(callchain.true_name(passed) for _, passed in others[-4:]))  # innermost first
    groups = " and ".join(dict.fromkeys(group.name for group, _ in others[-4:]))
    start = "the task's own frame, past" if _waits(resolution) else "first frame past"
    return f"{start} the {groups} functions: {names}"


def _last_resort(resolution: Resolution, skipped: Sequence[Tuple[Group, ResolvedFrame]]) -> Optional[Blame]:
    """The culprit when all frames are helpers, or the log was cut there; None without one.

    It is the outermost helper of a task that waits or called panic(), else the innermost one. Groups that ``tells`` or
    ``idle`` marks do not count, except at the instruction pointer.
    """
    known = [frame for group, frame in skipped if not (group.tells or group.idle) or frame is resolution.ip]
    if not known:
        return None
    frame = known[-1] if _waits(resolution) or resolution.report.kind == "panic" else known[0]
    if frame is resolution.ip:
        return Blame(frame, "the instruction pointer", at_ip=True)
    return Blame(frame, "the call chain holds helper functions alone")


def _ends(frame: ResolvedFrame) -> bool:
    """Whether the call chain ends above ``frame``: a context was entered there."""
    return is_entry(frame) or dispatch.is_interrupt(frame.symbol or "")


def is_entry(frame: ResolvedFrame) -> bool:
    caller = dispatch.caller(callchain.true_name(frame))
    return caller is not None and caller.calls in ("system call", "thread function")
