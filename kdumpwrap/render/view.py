"""Sentences and facts for people, collected once for text, Markdown and HTML (pure). Their rows are in lists.py.

Nothing here is escaped: each renderer escapes text of a log with its own function.
"""

from typing import TYPE_CHECKING, Dict, Optional, Sequence, Tuple

from kdumpwrap.log.kinds import title_of
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis, Finding, Part
from kdumpwrap.model.kernel import Location
from kdumpwrap.model.location import telling, where
from kdumpwrap.model.log import Report
from kdumpwrap.model.scope import Variables

if TYPE_CHECKING:
    from kdumpwrap.model.vmcore import VmcoreFacts

_SHOWN = 8  # reports that are named


def headline(finding: Finding) -> str:
    """The kernel's headline, or a note that the log lacks it."""
    return finding.report.headline or f"({finding.report.kind}: its headline is not in the log)"


def beside(finding: Finding) -> Dict[str, str]:
    """The report's own words beside the headline: its ``message``, the ``panic`` that followed."""
    said = {"message": ("", finding.report.said), "panic": ("Kernel panic - not syncing: ", finding.report.panic)}
    return {
        key: f"{begin}{text}" for key, (begin, text) in said.items() if text and text not in finding.report.headline
    }


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
    return f"{text}. {_PARTS.get(finding.part, 'In the trace is')} the out-of-tree module {finding.suspect.module}."


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
    """``2024-01-25 12:21:33 UTC``, the time of the report by the clock chip; None when the log lacks it."""
    if report.wall is None:
        return None
    from kdumpwrap.moment import utc

    at = utc(report.wall)
    return at and at.replace("T", " ").replace("Z", " UTC")


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
    """The release in the report, else that of the kernel."""
    return finding.report.release or analysis.kernel.release


def problems(analysis: Analysis, known: "Optional[VmcoreFacts]") -> Tuple[Problem, ...]:
    """The problems of the log and of the vmcore."""
    return (*analysis.problems, *(known.problems if known is not None else ()))


def unknown(variables: Variables) -> Optional[str]:
    """The number of variables without a value, and the reason; None where all have one."""
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


def inlined_in(finding: Finding) -> Optional[Location]:
    """The function into which that at ``finding.place`` is inlined; None when it is the frame's own function."""
    ip, best = finding.resolution.ip, finding.place
    if ip is None or best is None or best.function == ip.locations[-1].function:
        return None
    return ip.locations[-1]
