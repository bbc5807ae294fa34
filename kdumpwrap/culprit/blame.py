"""The culprit and the suspect: the function to look at first, and the first out-of-tree module of the trace (pure).

The call chain holds what certainly ran (callchain.py). helpers.py lists the functions that are passed over on it,
dispatch.py those that call back. first.py and sampled.py search it.
"""

from typing import Optional

from kdumpwrap.culprit import callchain, dispatch, sampled
from kdumpwrap.culprit.first import Blame, doubtful, first
from kdumpwrap.log import panic, particulars, symbolname, trace
from kdumpwrap.log.kinds import SAMPLED, WAITING
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.location import telling
from kdumpwrap.model.log import Frame
from kdumpwrap.model.verdict import Culprit, Suspect, Verdict

_IDLE = "(do|cpu)_idle(_.*)? cpu_startup_entry schedule_(idle|preempt_disabled) rest_init"


def verdict(resolution: Resolution) -> Verdict:
    """The culprit and the suspect."""
    found = blame(resolution)
    return Verdict(_culprit(found), suspect(resolution), found is not None and found.at_ip)


def culprit(resolution: Resolution) -> Optional[Culprit]:
    """The culprit; None when the log names no function of the kernel.

    ``symbol`` is the function's name in the source, without compiler suffix; ``file`` and ``line`` are known for
    resolved frames only: of the inlined function that tells most (`location.telling`). ``why`` is one phrase.
    """
    return _culprit(blame(resolution))


def _culprit(found: Optional[Blame]) -> Optional[Culprit]:
    if found is None:
        return None
    place = telling(found.frame.locations)
    file, line = (place.file, place.line) if place else (None, None)
    return Culprit(callchain.true_name(found.frame), found.frame.module, file, line, found.why)


def blame(resolution: Resolution) -> Optional[Blame]:
    """As `culprit`, but the frame itself (one made from the headline where the trace has none)."""
    named = _named(resolution)
    if named and resolution.report.kind == "panic" and panic.cause(resolution.report.headline) == "canary":
        return Blame(named, "its stack was overwritten")
    if resolution.report.kind == "machine-check":  # the hardware reports it: the function that ran did not cause it
        return None
    if resolution.report.kind in SAMPLED:
        return sampled.sampled(resolution)
    if sampled.overflown(resolution):
        return sampled.overflowing(resolution)
    path = callchain.certain(resolution)
    found = _kept_lock(resolution) or first(resolution, path)
    if found is None and resolution.report.kind in WAITING:
        found = doubtful(resolution)
    if found is None or _is_idle(resolution, found) or dispatch.caller(callchain.true_name(found.frame)):
        told = _told(resolution)
        found = Blame(told, "the report names it") if told is not None else found
    if found is not None or path:
        return found
    if named is None:
        named = _called(resolution)
    return Blame(named, "named in the headline") if named else None


def _kept_lock(resolution: Resolution) -> Optional[Blame]:
    """The function that took a lock and did not release it, by lockdep's report; None for other reports."""
    locks = resolution.report.locks
    if resolution.report.kind != "lockdep" or not locks or not particulars.keeps_lock(resolution.report.headline):
        return None
    last = [lock for lock in locks if lock.pid == resolution.report.pid] or locks
    return Blame(_unresolved(last[-1].frame), f"it took the lock {last[-1].name}")


def _is_idle(resolution: Resolution, found: Blame) -> bool:
    """Whether the report is of an idle task that scheduled with a preemption count which other code left wrong."""
    return particulars.is_atomic(resolution.report.headline) and symbolname.matches(
        callchain.true_name(found.frame), _IDLE
    )


def _told(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function that the report names outside of its stack, or in its message: ``timer: f+0x0/0x90 preempt leak``.

    None when they name none.
    """
    report = resolution.report
    if report.named is not None:
        return _unresolved(report.named)
    pool = particulars.stuck_pool(report.headline)
    if pool is not None:
        running = [work for work in report.works if work.cpus == pool]
        return ResolvedFrame(running[0].symbol, module=running[0].module) if running else None
    inside = next(particulars.functions(report.said), None)
    return _unresolved(inside) if inside is not None and inside.offset == 0 else None


def _unresolved(frame: Frame) -> ResolvedFrame:
    return ResolvedFrame(frame.symbol, frame.offset, frame.size, frame.module)


def suspect(resolution: Resolution) -> Optional[Suspect]:
    """The first out-of-tree module of the call chain; None when there is none, or the log does not prove one.

    Proof is a flag in the module list of this report or of another one of the same boot, or a line that the kernel
    printed when the module was loaded (`callchain.strangers`). Without proof there is no suspect.
    """
    strangers = callchain.strangers(resolution.report)
    for frame in callchain.certain(resolution):
        if frame.module in strangers:
            place = telling(frame.locations)
            file, line = (place.file, place.line) if place else (None, None)
            known = (*resolution.report.modules, *resolution.report.strangers)
            flags = next(module.flags for module in known if module.name == frame.module)
            symbol = None if callchain.hidden(frame) else callchain.true_name(frame)
            return Suspect(str(frame.module), flags, symbol, file, line)
    return None


def _called(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function that a message of Lustre or ZFS names; None for other messages."""
    for text in (resolution.report.headline, resolution.report.said):
        symbol = particulars.speaker(text)
        if symbol is not None:
            return ResolvedFrame(symbol)
    return None


def _named(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The last function that the headline names with an offset; the frame of the trace where it stands there too."""
    found = [*particulars.functions(resolution.report.headline)]
    if not found:
        return None
    same = (frame for frame in callchain.certain(resolution) if trace.same(frame, found[-1]))
    return next(same, _unresolved(found[-1]))
