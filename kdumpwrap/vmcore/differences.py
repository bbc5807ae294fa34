"""Differences between crash(8)'s answers and the log (pure)."""

from itertools import dropwhile
from typing import Iterator, List, Optional, Sequence, Set, Tuple, Union

from kdumpwrap.culprit import callchain
from kdumpwrap.log.kinds import HANGS
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.log import Panicker, Report
from kdumpwrap.model.vmcore import Difference, StuckTask, VmcoreFacts
from kdumpwrap.parse import crash as parse

# the log's clock and crash's, which counts ticks: seconds between the report and the dump, and what one gains
_CLOCKS = 60.0
_DRIFT = 0.01


def between(resolution: Resolution, analysis: Analysis, facts: VmcoreFacts) -> Tuple[Difference, ...]:
    """The differences between the log's fatal report and crash's answers, each with both values as text.

    The task and the code that crash shows are those of panic(). In a hang the log prints these behind "Kernel panic":
    they are not those of the stuck task.
    """
    report = resolution.report
    theirs = _of_panic(report, facts)
    code: Tuple[Difference, ...] = ()
    if isinstance(theirs, Panicker):
        code = (*_task(theirs, facts), *_code(None, tuple(map(ResolvedFrame.of, theirs.trace)), facts))
    elif theirs is not None:
        code = (*_task(theirs, facts), *_code(resolution.ip, resolution.trace, facts))
    return (*code, *_kernel(analysis, facts), *_uptime(report, analysis, facts), *_modules(report, facts))


def stuck(report: Report, facts: VmcoreFacts) -> Optional[StuckTask]:
    """The task that hangs, where it is not the one that panicked."""
    if facts.panic_task is None or _of_panic(report, facts) is report:
        return None
    return StuckTask(report.pid, report.comm)


def _of_panic(report: Report, facts: VmcoreFacts) -> Union[Report, Panicker, None]:
    """The caller of panic() by the log, in a hang not always the report's task; None when the log does not tell."""
    if report.kind not in HANGS or facts.panic_task is None:
        return report
    found = report.panicker
    if found is None:
        return report if facts.panic_task.pid == report.pid else None
    if found.pid == report.pid and (found.cpu == report.cpu or None in (found.cpu, report.cpu)):
        return report
    return found


def _task(report: Union[Report, Panicker], facts: VmcoreFacts) -> Iterator[Difference]:
    task = facts.panic_task
    if task is None:
        return
    for what, log, crash in (("pid", report.pid, task.pid), ("cpu", report.cpu, task.cpu)):
        if log is not None and crash is not None and log != crash:
            yield Difference(what, str(log), str(crash))
    if report.comm is not None and report.comm != task.comm:
        yield Difference("comm", report.comm, task.comm)


def _kernel(analysis: Analysis, facts: VmcoreFacts) -> Iterator[Difference]:
    system, release = facts.system, analysis.kernel.release
    if system is not None and release is not None and system.release not in (None, release):
        yield Difference("release", release, system.release or "")


def _uptime(report: Report, analysis: Analysis, facts: VmcoreFacts) -> Iterator[Difference]:
    """The time since boot: crash 8.0.6 told 00:03:48 of a 6.12 with 250 Hz, 16 s after boot, as if it had 1000 Hz."""
    told = facts.system.uptime if facts.system is not None else None
    crash = parse.seconds(told or "")
    if crash is None or told is None or report.time is None or analysis.fatal is None:
        return
    if abs(crash - report.time) > _CLOCKS + report.time * _DRIFT:
        yield Difference("uptime", f"{report.time:.0f} s", told)


def _code(ip: Optional[ResolvedFrame], logged: Sequence[ResolvedFrame], facts: VmcoreFacts) -> Iterator[Difference]:
    """The instruction pointer, and frames that the log is certain of and crash does not have."""
    if facts.panic_task is None:
        return
    frames = [row.frame for row in facts.panic_task.frames]
    exact = [frame for frame in frames if frame.exact and frame.symbol]
    if ip is not None and ip.symbol is not None and exact and not any(_same(ip, frame) for frame in exact):
        yield Difference("instruction pointer", _name(ip), ", ".join(map(_name, exact)))
    # a trace may begin with the frames of the log's own dump_stack(), which crash does not see
    trace = dropwhile(callchain.reports, (frame for frame in logged if frame.certain))
    certain = [*([ip] if ip is not None else []), *trace]
    common = [any(_same(one, frame) for frame in frames) for one in certain]
    if True in common:
        outer = range(common.index(True), len(certain))
        missing = [_name(certain[number]) for number in outer if not common[number]]
        if missing:
            yield Difference("call trace", ", ".join(missing), "not in its backtrace")


def _modules(report: Report, facts: VmcoreFacts) -> Iterator[Difference]:
    """Modules that taint the kernel, with the letters of each."""
    if not report.modules or not facts.modules:
        return
    log = {module.name: _letters(module.flags) for module in report.modules if _letters(module.flags)}
    crash = {module.name: _letters(module.flags) for module in facts.modules}
    for name in sorted(set(log) | set(crash)):
        if log.get(name, set()) != crash.get(name, set()):
            yield Difference(f"taint of {name}", _joined(log.get(name)), _joined(crash.get(name)))


def _same(one: ResolvedFrame, other: ResolvedFrame) -> bool:
    """Whether both are the same place, by address where known: it may have several names (memmove, __memmove)."""
    if one.module != other.module:
        return False
    if one.address is not None and other.address is not None:
        return (one.address, one.section) == (other.address, other.section)
    return (one.symbol, one.offset) == (other.symbol, other.offset)


def _letters(flags: str) -> Set[str]:
    """Flags of a module in the log: ``+`` and ``-`` (being loaded, being removed) taint nothing."""
    return set(flags) - {"+", "-"}


def _joined(flags: Optional[Set[str]]) -> str:
    return "".join(sorted(flags or ()))


def _name(frame: ResolvedFrame) -> str:
    text: List[str] = [frame.symbol or "?"]
    if frame.offset is not None:
        text.append(f"+{frame.offset:#x}")
    if frame.module:
        text.append(f" [{frame.module}]")
    return "".join(text)
