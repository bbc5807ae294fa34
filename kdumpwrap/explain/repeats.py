"""Repeats: frames of a call trace (an endless recursion), and reports of a log that say the same."""

from typing import Dict, List, Optional, Sequence, Tuple

from kdumpwrap.culprit import callchain
from kdumpwrap.model.finding import Analysis, Run
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Frame
from kdumpwrap.regex import regex

_PERIOD = 8  # functions that call each other in a ring: more are not looked for
_LEAST = 3  # repeats that are reported
_NUMBER = regex(r"\d+")


def folded(trace: Sequence[Frame]) -> Tuple[Run, ...]:
    """The repeats in ``trace``, in its order, none overlapping; () for a trace without any.

    Frames repeat when symbol, offset and module do. A frame that may be stale (``? f+…``) does not count, and is folded
    with the frames round it.
    """
    certain = [(at, (f.symbol, f.offset, f.module)) for at, f in enumerate(trace) if f.certain and f.symbol]
    if len(certain) - len({key for _, key in certain}) < _LEAST - 1:  # as in most traces
        return ()
    runs: List[Run] = []
    at = 0
    while at < len(certain):
        best: Optional[Tuple[int, int]] = None  # repeats, period
        for period in range(1, _PERIOD + 1):
            times = _times(certain, at, period)
            if times >= _LEAST and (best is None or times * period > best[0] * best[1]):
                best = (times, period)
        if best is None:
            at += 1
            continue
        times, period = best
        first, second = certain[at][0], certain[at + period][0]
        runs.append(Run(first, certain[at + times * period - 1][0] + 1, second - first, times))
        at += times * period
    return tuple(runs)


def reporting(resolution: Resolution) -> int:
    """The number of frames at the start of the trace that only made the report of a WARN: ``? report_bug``, ``__warn``.

    Uncertain frames between them count too. 0 when fewer than three frames made the report.
    """
    if resolution.report.kind != "warning" or resolution.ip is None:
        return 0
    number = told = 0
    for at, frame in enumerate(resolution.trace):
        reports = bool(frame.symbol) and callchain.reports(frame)
        if frame.certain and not reports:
            break
        if reports:
            told, number = told + 1, at + 1
    return number if told >= _LEAST else 0


def _times(certain: Sequence[Tuple[int, object]], at: int, period: int) -> int:
    """The number of consecutive repeats of the ``period`` calls from ``at`` on."""
    pattern = [call for _, call in certain[at : at + period]]
    times = 1
    while [call for _, call in certain[at + times * period : at + (times + 1) * period]] == pattern:
        times += 1
    return times if len(pattern) == period else 0


def recursion(resolution: Resolution) -> Optional[str]:
    """``f calls itself: 12 frames of it stand one behind the other in the call trace``; None when nothing repeats."""
    runs = folded(resolution.trace)
    if not runs:
        return None
    run = max(runs, key=lambda one: one.stop - one.first)
    names = [f.symbol for f in resolution.trace[run.first : run.first + run.period] if f.certain and f.symbol]
    ring = list(dict.fromkeys(reversed([name for name in names if name])))
    if len(ring) == 1:
        return f"{ring[0]} calls itself: {run.times} frames of it stand one behind the other in the call trace"
    return f"{', '.join(ring)} call each other in a ring: {run.times} rounds of it stand in the call trace"


def alike(analysis: Analysis) -> Dict[int, List[int]]:
    """The indexes of the reports that repeat an earlier one, by the index of that one.

    The report that the analysis is about is left out.
    """
    first: Dict[Tuple[object, ...], int] = {}
    found: Dict[int, List[int]] = {}
    for index, finding in enumerate(analysis.findings):
        report = finding.report
        said = _NUMBER.sub("#", report.headline)
        key = (report.kind, said, tuple((frame.symbol, frame.offset) for frame in finding.resolution.frames))
        if index == analysis.subject:
            continue
        known = first.setdefault(key, index)
        if known != index:
            found.setdefault(known, []).append(index)
    return found
