"""A crash in words: what happened, where, whom to ask (pure, for every renderer)."""

from typing import Optional, Tuple

from kdumpwrap.log.kinds import title_of
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import Location, ResolvedFrame
from kdumpwrap.where import where


def chosen(analysis: Analysis) -> Optional[Finding]:
    """The report that a page is about: the fatal one, else the last."""
    index = analysis.subject
    return None if index is None else analysis.findings[index]


def headline(finding: Finding) -> str:
    """The kernel's own, or that the log lacks it."""
    return finding.report.headline or f"({finding.report.kind}: its headline is not in the log)"


def title(finding: Finding) -> str:
    """``Page fault in iptunnel_xmit``."""
    kind = title_of(finding.report.kind)
    return f"{kind} in {finding.culprit.symbol}" if finding.culprit else kind


def sentence(analysis: Analysis, finding: Finding) -> str:
    """What happened, in one or two sentences."""
    words = [title_of(finding.report.kind)]
    best = finding.place
    culprit = finding.culprit
    if best is not None and finding.resolution.ip is not None and finding.resolution.ip.symbol is not None:
        words.append(f"at {where(best)} in {best.function or finding.resolution.ip.symbol}()")
        outer = finding.resolution.ip.locations[-1]
        if outer is not best and outer.function != best.function:
            words[-1] += f", inlined in {outer.function}(),"
    elif culprit is not None:
        at = f" at {where(Location(None, culprit.file, culprit.line))}" if culprit.file else ""
        words.append(f"in {culprit.symbol}(){at}")
    elif finding.resolution.ip is not None and finding.resolution.ip.symbol is not None:
        words.append(f"in {finding.resolution.ip.symbol}()")
    if finding.report.comm is not None:
        running = "in the task {}" if finding.report.kind == "hung-task" else "while the task {} was running"
        words.append(running.format(finding.report.comm))
    text = " ".join(words).rstrip(",")
    if analysis.fatal is None:
        return f"{text}. No report in this log brought the kernel down; this is the last one."
    if finding.suspect is None:
        return f"{text}."
    where_it_is = "This is in" if finding.in_suspect else "On the way to it is"
    return f"{text}. {where_it_is} the out-of-tree module {finding.suspect.module}."


def certain_frames(finding: Finding) -> Tuple[ResolvedFrame, ...]:
    """The instruction pointer and the frames of the trace that are no leftovers."""
    first = (
        (finding.resolution.ip,)
        if finding.resolution.ip is not None and finding.resolution.ip.symbol is not None
        else ()
    )
    return (*first, *(frame for frame in finding.resolution.trace if frame.certain))
