"""The culprit where chance chose the frame in which the CPU stood: a sampled loop, an overflown stack (pure)."""

from typing import List, Optional, Sequence, Tuple

from kdumpwrap.culprit import callchain, dispatch, spin
from kdumpwrap.culprit.first import Blame, first, is_entry, passed_over
from kdumpwrap.log import panic, trace
from kdumpwrap.model.kernel import Resolution, ResolvedFrame


def sampled(resolution: Resolution) -> Optional[Blame]:
    """For a loop that was sampled: the function that stays the same from sample to sample.

    The CPU was sampled at a random place in the loop. A sample in an out-of-tree module, or in what that called, is
    in that module's own loop. A function that only waits is the loop itself (spin.py). Otherwise it is the function
    that was called back: the system call, the driver's operation, the timer's, the work item's function.
    """
    path = callchain.interrupted(resolution)
    own = out_of_tree(resolution, path)
    if own:
        return Blame(own[0], "the out-of-tree code in which the CPU was")
    return (
        _waiting(resolution, path)
        or called_back(resolution, path)
        or first(resolution, path or callchain.certain(resolution))
    )


def _waiting(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The function that only waits, if the CPU was sampled in one, or in a delay or a spinlock that it called.

    A function that waits for other CPUs does not count: see `called_back`.
    """
    what: Optional[str] = None
    for frame in path:
        name = callchain.true_name(frame)
        what = spin.waits(name) or what
        if spin.waits(name) is None and not passed_over(resolution, frame):
            caller = dispatch.caller(name)
            if caller is not None:
                return None
            if what is None and frame is path[0] and trace.same(frame, resolution.ip or callchain.stood(resolution)):
                found = spin.idles(resolution)
                return Blame(frame, found, at_ip=True) if found else None
            return Blame(frame, f"it busy-waits: the CPU was in {what}") if what else None
        if spin.waits(name) is None and what is None:
            return None  # another helper, by chance
    return None


def out_of_tree(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Tuple[ResolvedFrame, ...]:
    """The first run of frames in one out-of-tree module, above whatever called it back."""
    strangers = callchain.strangers(resolution.report)
    run: List[ResolvedFrame] = []
    for frame in path:
        if run and frame.module != run[0].module:
            break
        if frame.module in strangers:
            run.append(frame)
        elif _calls_long(frame):
            break
    return tuple(run)


def overflown(resolution: Resolution) -> bool:
    """Whether the stack overflowed: its depth is the cause, not the function that ran last."""
    deep = resolution.report.kind == "stack-overflow" or panic.cause(resolution.report.headline) == "stack end"
    return deep or (resolution.report.kind == "double-fault" and bool(callchain.recursion(resolution)))


def overflowing(resolution: Resolution) -> Optional[Blame]:
    """For a stack that overflowed: the function that is called again and again, or that was called back."""
    path = callchain.interrupted(resolution)
    again = callchain.recursion(resolution)
    if again:
        return Blame(again[-1], "it is called again and again until the stack is full")
    return called_back(resolution, path) or first(resolution, path or callchain.certain(resolution))


def called_back(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The function on ``path`` that was called back, and what it is; None when the path shows no such call."""
    before: Optional[ResolvedFrame] = None
    item = _work_item(resolution, path)
    if item is not None:
        return item
    for frame in path:
        caller = dispatch.caller(callchain.true_name(frame))
        if caller is not None and caller.calls == "other CPU":
            return Blame(frame, "it waits for the answer of another CPU")
        if _calls_long(frame) and caller is not None:
            if before is not None and not passed_over(resolution, before):
                return Blame(before, f"the {caller.calls} that was called: the CPU was in it, or in what it called")
            return None if is_entry(frame) else Blame(frame, f"it runs each {caller.calls}")
        if before is None or caller is None:  # else it hands the call on, as a pseudo file does to its owner
            before = frame
    return None


def _work_item(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The work item that a softirq interrupted: softirqs come and go, the work item does not end; None without one."""
    softirq, before = False, None
    for frame in path:
        caller = dispatch.caller(callchain.true_name(frame))
        calls = caller.calls if caller is not None else None
        softirq = softirq or calls == "softirq"
        if softirq and calls == "work item" and before is not None and not passed_over(resolution, before):
            return Blame(before, "the work item that a softirq interrupted")
        before = frame
    return None


def _calls_long(frame: ResolvedFrame) -> bool:
    caller = dispatch.caller(callchain.true_name(frame))
    return caller is not None and caller.loops
