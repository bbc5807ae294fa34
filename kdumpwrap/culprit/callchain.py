"""The call chain, innermost first: the instruction pointer, then the certain frames of the trace (pure)."""

from dataclasses import replace
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple

from kdumpwrap.culprit import dispatch, helpers
from kdumpwrap.log import symbolname
from kdumpwrap.log.strangers import OUT_OF_TREE
from kdumpwrap.log.strangers import origins as origins_of
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.log import Log, Report


def certain(resolution: Resolution) -> Tuple[ResolvedFrame, ...]:
    """The instruction pointer, then the certain frames, each with a symbol. A frame that is printed again is left out.

    aarch64 and s390x print the instruction pointer once more as the first frame of the trace (behind ``LR``).
    """
    return _certain(resolution.ip, resolution.trace)


def _certain(ip: Optional[ResolvedFrame], trace: Sequence[ResolvedFrame]) -> Tuple[ResolvedFrame, ...]:
    path: List[ResolvedFrame] = []
    for frame in (ip, *trace):
        if frame is None or not frame.symbol or not frame.certain:
            continue
        again = path[-1:] + ([ip] if ip and len(path) == 2 else [])
        if all((frame.symbol, frame.offset, frame.module) != (f.symbol, f.offset, f.module) for f in again):
            path.append(frame)
    return tuple(path)


def interrupted(resolution: Resolution) -> Tuple[ResolvedFrame, ...]:
    """The call chain without the interrupt in which the report was made: what the CPU ran before it."""
    frames = [frame for frame in resolution.trace if frame.symbol and frame.certain]
    start = next((index for index, frame in enumerate(frames) if dispatch.is_interrupt(frame.symbol or "")), None)
    if start is None or not dispatch.is_watch(frames[0].symbol or ""):
        return tuple(frame for frame in certain(resolution) if not reports(frame))
    while start < len(frames) and dispatch.is_interrupt(frames[start].symbol or ""):
        start += 1
    return _certain(_saved(resolution, frames[start - 1]), frames[start:])


def stood(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The interrupted instruction of a log that has no ``RIP:`` of it but shows it in the trace; else None."""
    path = interrupted(resolution)
    return path[0] if resolution.ip is None and path and path[0] not in resolution.trace else None


def _saved(resolution: Resolution, entry: ResolvedFrame) -> Optional[ResolvedFrame]:
    """The interrupted instruction of a log without its ``RIP:`` (kernels to 4.9): the frame behind ``entry``.

    It lies on the stack among the saved registers: the kernel marks it with a question mark.
    """
    behind = resolution.trace[resolution.trace.index(entry) + 1 :][:1]
    if resolution.ip is not None or not behind or behind[0].certain or not behind[0].symbol:
        return None
    inside = 0 < (behind[0].offset or 0) < (behind[0].size or 0)
    return replace(behind[0], certain=True, exact=True) if inside else None


def recursion(resolution: Resolution) -> Tuple[ResolvedFrame, ...]:
    """The frames that stand on the trace more than twice, each once, in the order of their last (outermost) call."""
    last: Dict[Tuple[Optional[str], Optional[int]], ResolvedFrame] = {}
    count: Dict[Tuple[Optional[str], Optional[int]], int] = {}
    for frame in resolution.trace:
        if frame.certain and frame.symbol:
            call = (frame.symbol, frame.offset)
            last.pop(call, None)
            last[call] = frame
            count[call] = count.get(call, 0) + 1
    return tuple(frame for call, frame in last.items() if count[call] > 2)


def left(before: ResolvedFrame, frame: ResolvedFrame) -> bool:
    """Whether an interrupt entered the frame ``before`` on top of ``frame``: ``frame`` did not call it."""
    return before.context != frame.context and before.context in ("IRQ", "SOFTIRQ", "NMI")


def hidden(frame: ResolvedFrame) -> bool:
    """Whether the symbol is that of the function *behind* the one that ran, which only the vmlinux can name.

    A call that never returns may be a function's last instruction; its return address is then the next function's
    +0x0, or lies in the padding before it (``__pfx_…``).
    """
    return _behind(frame) and _told(frame) is None


def true_name(frame: ResolvedFrame) -> str:
    """The function's name in the source; after a call that never returns, the name that the vmlinux gives."""
    known = _told(frame) if _behind(frame) else None
    return known or symbolname.plain(frame.symbol or "")


def _told(frame: ResolvedFrame) -> Optional[str]:
    """The function's name by the vmlinux: by its debug information, else by its symbol table."""
    known = frame.locations[-1].function if frame.locations else None
    return known or frame.function


def _behind(frame: ResolvedFrame) -> bool:
    padding = bool(frame.symbol and frame.symbol.startswith("__pfx_"))
    return not frame.exact and (frame.offset == 0 or padding)


def strangers(report: Report) -> FrozenSet[str]:
    """The modules that the log proves to be out of tree."""
    return frozenset(name for name, origin in origins_of(report).items() if origin == OUT_OF_TREE)


def origins(log: Log) -> Dict[str, bool]:
    """Whether each module on a trace is out of tree, by name; modules of which the log does not tell are left out."""
    listed = {module.name for report in log.reports for module in (*report.modules, *report.strangers)}
    foreign = {name for report in log.reports for name in strangers(report)}
    return {frame.module: frame.module in foreign for frame in log.frames if frame.module in listed and frame.module}


def reports(frame: ResolvedFrame) -> bool:
    """Whether the function only reports what other code did."""
    group = helpers.group(true_name(frame))
    return group is not None and group.tells
