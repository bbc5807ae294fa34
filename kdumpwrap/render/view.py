"""Sentences, facts and rows for people, collected once for text, Markdown and HTML (pure).

Nothing here is escaped: a log's words leave through the one escape function of each renderer.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.log.kinds import title_of
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis, Finding, Part
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame, Source
from kdumpwrap.model.location import short, telling, where
from kdumpwrap.model.log import Report
from kdumpwrap.model.scope import Variables

if TYPE_CHECKING:
    from kdumpwrap.model.vmcore import Backtrace, BacktraceFrame, VmcoreFacts

_NUMBER = re.compile(r"\d+")
_SHOWN = 8  # reports that are named

# ---------------------------------------------------------------- sentences


def headline(finding: Finding) -> str:
    """The kernel's own, or that the log lacks it."""
    return finding.report.headline or f"({finding.report.kind}: its headline is not in the log)"


def beside(finding: Finding) -> Dict[str, str]:
    """The kernel's words beside the headline: its ``message`` just before, the text of the ``panic``."""
    said = {"message": finding.report.message, "panic": finding.report.panic}
    return {key: text for key, text in said.items() if text and text not in finding.report.headline}


def title(finding: Finding) -> str:
    """``Page fault in iptunnel_xmit``."""
    kind = title_of(finding.report.kind)
    return f"{kind} in {finding.culprit.symbol}" if finding.culprit else kind


_PARTS: Dict[Part, str] = {
    "in it": "This is in",
    "called it": "It was called from",
}


def sentence(analysis: Analysis, finding: Finding) -> str:
    """One or two sentences on what happened."""
    words = [title_of(finding.report.kind)]
    best, ip, culprit = finding.place, finding.resolution.ip, finding.culprit
    if best is not None and ip is not None and ip.symbol is not None:
        words.append(f"at {where(best)} in {best.function or ip.symbol}()")
        outer = inlined_in(finding)
        if outer is not None:
            words[-1] += f", inlined in {outer.function}(),"
    elif culprit is not None:
        at = f" at {where(culprit.location)}" if culprit.location else ""
        words.append(f"in {culprit.symbol}(){at}")
    elif ip is not None and ip.symbol is not None:
        words.append(f"in {ip.symbol}()")
    if finding.report.comm is not None:
        running = "in the task {}" if finding.report.kind == "hung-task" else "while the task {} was running"
        words.append(running.format(finding.report.comm))
    text = " ".join(words).rstrip(",")
    if analysis.fatal is None:
        return f"{text}. No report in this log brought the kernel down; this is the last one."
    if finding.suspect is None:
        return f"{text}."
    return f"{text}. {_PARTS.get(finding.part, 'On the way to it is')} the out-of-tree module {finding.suspect.module}."


# ---------------------------------------------------------------- facts


def facts(analysis: Analysis, finding: Finding) -> Dict[str, str]:
    """The facts of the crash, the kernel and the report, each under its name."""
    crash, kernel, report = analysis.crash, analysis.kernel, finding.report
    found = {
        "Directory": crash.path,
        "Log": crash.dmesg,
        "Dump": crash.vmcore,
        "Host": crash.host,
        "Time": crash.time and crash.time.replace("T", " "),
        "Uptime": None if report.time is None else f"{report.time:.6f} s ({uptime(report.time)})",
        "When": wall(report),
        "Kernel": f"{release(analysis, finding) or ''} {kernel.arch or ''}".strip(),
        "vmlinux": kernel.vmlinux,
        "Build id": kernel.build_id,
        "KASLR offset": None if kernel.kaslr_offset is None else f"{kernel.kaslr_offset:#x}",
        "Task": (report.comm or "") + (f", pid {report.pid}" if report.pid is not None else ""),
        "CPU": None if report.cpu is None else str(report.cpu),
        "Work queue": report.workqueue,
        "Hardware": report.hardware,
        "Fault address": None if report.fault_address is None else f"{report.fault_address:#x}",
        "Access": report.access,
        "Signature": analysis.signature and f"{analysis.signature.id} · {analysis.signature.text}",
    }
    return {name: text for name, text in found.items() if text}


def uptime(seconds: float) -> str:
    """``96 s``, ``12 min``, ``5 h 12 min``, ``195 days 3 h``."""
    minutes, hours, days = int(seconds) // 60, int(seconds) // 3600, int(seconds) // 86400
    if days:
        return f"{days} day{'s' if days > 1 else ''} {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes >= 10 else f"{seconds:.0f} s"


def wall(report: Report) -> Optional[str]:
    """``2024-01-25 12:21:33 UTC``, when it happened by the clock chip; None where the log does not tell."""
    if report.wall is None:
        return None
    from kdumpwrap.moment import utc

    at = utc(report.wall)
    return at and at.replace("T", " ").replace("Z", " UTC")


def alike(analysis: Analysis) -> Dict[int, List[int]]:
    """Of the reports of a log those that say the same as an earlier one, under the index of that one.

    The report that the analysis is about is not among them.
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


def position(analysis: Analysis, index: int, same: Sequence[int] = ()) -> Optional[str]:
    """``2 of 3, line 812: it brought the kernel down``; None for the only report of a log."""
    if len(analysis.findings) < 2:
        return None
    text = f"{index + 1} of {len(analysis.findings)}, line {analysis.findings[index].report.line}"
    if index == analysis.fatal:
        text += ": it brought the kernel down"
    if same:
        lines = ", ".join(str(analysis.findings[one].report.line) for one in same[:_SHOWN])
        text += (
            f"; {len(same)} more like it, line{'s' if len(same) > 1 else ''} {lines}{', …' if same[_SHOWN:] else ''}"
        )
    return text


def release(analysis: Analysis, finding: Finding) -> Optional[str]:
    """The report's own, else that of the kernel."""
    return finding.report.release or analysis.kernel.release


def problems(analysis: Analysis, known: "Optional[VmcoreFacts]") -> Tuple[Problem, ...]:
    """The problems of the log and of the vmcore."""
    return (*analysis.problems, *(known.problems if known is not None else ()))


def unknown(variables: Variables) -> Optional[str]:
    """How many variables have no value, and why; None where all have one."""
    rest = "more " if variables.rows else ""
    if variables.callee is not None:
        told = f"{variables.callee} is assembly: these are the variables of its caller that it left in registers"
        return f"{told}; {variables.unknown} {rest}are not known"
    return (
        f"{variables.unknown} {rest}optimised out, or on the stack, which no log prints" if variables.unknown else None
    )


def none_known(finding: Finding) -> Optional[str]:
    """Why no variable is known though gdb knows the function; None where something is said of them."""
    known, ip = finding.variables, finding.resolution.ip
    if known is None or known.rows or known.sentence or known.missing or unknown(known) or ip is None:
        return None
    assembly = finding.place is not None and (finding.place.file or "").endswith(".S")
    trace = (frame for frame in finding.resolution.trace if frame.certain and frame.symbol != ip.symbol)
    caller = next(trace, None)
    if not assembly:
        return f"none known: gdb knows none of {ip.symbol}"
    if caller is None or caller.module is None or telling(caller.locations) is not None:
        return f"none known: {ip.symbol} is assembly"
    return f"none known: {ip.symbol} is assembly, and {caller.module}, which called it, has no debug information"


# ---------------------------------------------------------------- a frame


def offset(frame: ResolvedFrame) -> str:
    """``+0xf2/0x1b0``; empty when unknown."""
    if frame.symbol is None or frame.offset is None:
        return ""
    return f"+{frame.offset:#x}" + (f"/{frame.size:#x}" if frame.size is not None else "")


def symbol(frame: ResolvedFrame) -> str:
    """``send4``; the address that the log printed where it has no name."""
    return frame.symbol or ("?" if frame.runtime is None else f"{frame.runtime:#x}")


def total(frame: ResolvedFrame) -> str:
    """``0xffffffff81898d7d = 0xffffffff81898c00 + 0x17d``; empty when unknown."""
    if frame.address is None or frame.offset is None:
        return ""
    return f"{frame.address:#x} = {frame.address - frame.offset:#x} + {frame.offset:#x}"


def inlined_in(finding: Finding) -> Optional[Location]:
    """The function that the one at ``finding.place`` is inlined in; None where it is itself that of the frame."""
    ip, best = finding.resolution.ip, finding.place
    if ip is None or best is None or best.function == ip.locations[-1].function:
        return None
    return ip.locations[-1]


def candidates(frame: ResolvedFrame) -> Iterator[str]:
    """``net/ipv4/ip_input.c:254`` for each function that a frame may mean; its address where that does not tell."""
    chains = (*frame.candidate_locations, *[()] * len(frame.candidates))
    places = [where(telling(chain)) for _, chain in zip(frame.candidates, chains)]
    for address, found in zip(frame.candidates, places):
        if found and places.count(found) > 1:  # copies of one function of a header
            yield f"{found} at {address:#x}"
        else:
            yield found or f"{address:#x}"


# ---------------------------------------------------------------- rows


class Row(NamedTuple):
    """One frame of a trace."""

    label: str  # "ip", or "#" and its number
    frame: ResolvedFrame
    note: str = ""  # what is left out behind it
    said: str = ""  # what crash(8) says of it, where that is something else


def trace(finding: Finding) -> List[Row]:
    """The instruction pointer, then the frames of the trace, without their repeats."""
    frames = finding.resolution.trace
    rows = [Row("ip", finding.resolution.ip)] if finding.resolution.ip is not None else []
    again = {run.first + run.period: run for run in finding.repeats}
    number = finding.reporting
    if number:
        last = next((one.symbol for one in reversed(frames[:number]) if one.symbol), "")
        rows[-1] = rows[-1]._replace(note=f"… {number} frames that only made this report, up to {last}")
    while number < len(frames):
        run = again.get(number)
        if run is None:
            rows.append(Row(f"#{number}", frames[number]))
            number += 1
        else:
            rows[-1] = rows[-1]._replace(note=f"… and so on: {run.times} times in all, up to #{run.stop - 1}")
            number = run.stop
    return rows


def backtrace(task: "Backtrace") -> List[Row]:
    """The frames that crash(8) found: where there are several stacks, what is of none of the others is the task's."""
    rows: List[Row] = []
    before = -1
    several = any(row.frame.context for row in task.frames)
    for row in task.frames:
        frame = replace(row.frame, context=row.frame.context or "TASK") if several else row.frame
        rows.append(Row("ip" if row.number == before else f"#{row.number}", frame, said=_other(row)))
        before = row.number
    return rows


def _other(row: "BacktraceFrame") -> str:
    """What crash says of a frame: its line, where the inline chain has another, and its warning.

    ``net/core/dev.c:6697``, ``possibly bogus exception frame``; empty where it says nothing of its own.
    """
    words = []
    said = (short(row.file), row.line) if row.file is not None else None
    known = [(short(one.file), one.line) for one in row.frame.locations if one.file is not None]
    if said is not None and said not in known:
        words.append(f"{said[0]}:{row.line}")
    if row.warning is not None:
        words.append(row.warning.partition("WARNING: ")[2] or row.warning)
    return ", ".join(words)


class Line(NamedTuple):
    """One line of the source."""

    number: int
    text: str
    fault: bool
    before: Optional[str] = None  # what stands before the faulting expression, where its column is known


def lines(source: Source) -> Iterator[Line]:
    """The lines of an excerpt."""
    for number, text in enumerate(source.lines, source.first):
        fault = number == source.fault_line
        column = source.fault_column if fault else None
        yield Line(number, text, fault, None if column is None else text[: column - 1])


class Step(NamedTuple):
    """One instruction."""

    row: Instruction
    place: str  # "net/ipv4/ip_output.c:462" where a line of the source begins, else empty
    target: str  # what it refers to, empty when unknown
    line: Optional[int]  # the one of the shown source that it comes from
    tied: bool  # that is the faulting one


def steps(rows: Sequence[Instruction], source: Optional[Source] = None) -> Iterator[Step]:
    """The instructions, where each line of the source begins, and what each has to do with the ``source`` shown."""
    before = ""
    for row in rows:
        place = where(Location(None, row.file, row.line)) if row.file else ""
        target = row.relocations[0].target if row.relocations else row.comment or ""
        known = source is not None and row.file == source.file and row.line in source.numbers
        tied = known and source is not None and row.line == source.fault_line
        yield Step(row, place if place != before else "", target, row.line if known else None, tied)
        before = place
