"""What certainly ran, innermost first: the instruction pointer, then the certain frames of the trace (pure)."""

from dataclasses import replace
from typing import Dict, FrozenSet, List, Optional, Tuple

from kdumpwrap.culprit import dispatch, machinery
from kdumpwrap.log import symbolname
from kdumpwrap.model.log import Frame, Log, Report

MESSENGERS = frozenset({"reporting", "exception handling", "sanitizer"})  # groups of machinery.py that only tell


def way(report: Report) -> Tuple[Frame, ...]:
    """The instruction pointer, then the certain frames, each with a symbol; none stands there twice in a row.

    aarch64 and s390x print the instruction pointer once more as the first frame of the trace (behind ``LR``).
    """
    path: List[Frame] = []
    for frame in (report.ip, *report.trace):
        if frame is None or not frame.symbol or not frame.certain:
            continue
        again = path[-1:] + ([report.ip] if report.ip and len(path) == 2 else [])
        if all((frame.symbol, frame.offset, frame.module) != (f.symbol, f.offset, f.module) for f in again):
            path.append(frame)
    return tuple(path)


def interrupted(report: Report) -> Tuple[Frame, ...]:
    """The way without the interrupt in which the report was made: what the CPU did before."""
    frames = [frame for frame in report.trace if frame.symbol and frame.certain]
    start = next((index for index, frame in enumerate(frames) if dispatch.is_interrupt(frame.symbol or "")), None)
    if start is None or not dispatch.is_watch(frames[0].symbol or ""):
        return tuple(frame for frame in way(report) if not reports(frame))
    while start < len(frames) and dispatch.is_interrupt(frames[start].symbol or ""):
        start += 1
    return way(replace(report, ip=None, trace=tuple(frames[start:])))


def recursion(report: Report) -> Tuple[Frame, ...]:
    """The frames that stand on the trace more than twice, each once, in the order of their last (outermost) call."""
    last: Dict[Tuple[Optional[str], Optional[int]], Frame] = {}
    count: Dict[Tuple[Optional[str], Optional[int]], int] = {}
    for frame in report.trace:
        if frame.certain and frame.symbol:
            call = (frame.symbol, frame.offset)
            last.pop(call, None)
            last[call] = frame
            count[call] = count.get(call, 0) + 1
    return tuple(frame for call, frame in last.items() if count[call] > 2)


def left(before: Frame, frame: Frame) -> bool:
    """Whether ``frame`` was interrupted by what stands before it, and so has nothing to do with it."""
    return before.context != frame.context and before.context in ("IRQ", "SOFTIRQ", "NMI")


def hidden(frame: Frame) -> bool:
    """Whether the symbol is that of the function *behind* the one that ran, which only the vmlinux can name.

    A call that never returns may be a function's last instruction; its return address is then the next function's
    +0x0, or lies in the padding before it (``__pfx_…``).
    """
    return _behind(frame) and not (frame.locations and frame.locations[-1].function)


def true_name(frame: Frame) -> str:
    """The function's name in the source; behind a call that never returns the one that the vmlinux tells."""
    known = frame.locations[-1].function if frame.locations else None
    return known if known and _behind(frame) else symbolname.plain(frame.symbol or "")


def _behind(frame: Frame) -> bool:
    padding = bool(frame.symbol and frame.symbol.startswith("__pfx_"))
    return not frame.exact and (frame.offset == 0 or padding)


def strangers(report: Report) -> FrozenSet[str]:
    """The out-of-tree modules that the module list names, and those of which other lines of the log say it.

    They have a flag O; P (proprietary) and el6's U (not signed by the vendor) mean the same: el6 knows no O.
    """
    listed = (module.name for module in report.modules if set(module.flags) & set("OPU"))
    return frozenset((*listed, *(module.name for module in report.strangers)))


def origins(log: Log) -> Dict[str, bool]:
    """Of each module on a trace that is in the log's list of modules too: whether it is flagged as out of tree."""
    listed = {module.name for report in log.reports for module in (*report.modules, *report.strangers)}
    foreign = {name for report in log.reports for name in strangers(report)}
    frames = (frame for report in log.reports for frame in (report.ip, *report.trace) if frame is not None)
    return {frame.module: frame.module in foreign for frame in frames if frame.module in listed and frame.module}


def reports(frame: Frame) -> bool:
    """Whether the function only tells what has happened."""
    group = machinery.group(true_name(frame))
    return group is not None and group.name in MESSENGERS
