"""The text output: the headline, the facts, then the evidence. Nothing is wrapped."""

import unicodedata
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

from kdumpwrap.model.finding import Analysis, Finding, Listing
from kdumpwrap.model.kernel import Instruction, Location, Resolution, ResolvedFrame, Source
from kdumpwrap.model.location import where
from kdumpwrap.model.log import Report
from kdumpwrap.model.scope import Variable, Variables
from kdumpwrap.octets import spaced
from kdumpwrap.render import escape, lists, view


class Style(NamedTuple):
    """The colours of a terminal; all empty elsewhere."""

    bold: str = ""
    alarm: str = ""
    place: str = ""
    faint: str = ""
    reset: str = ""


PLAIN = Style()
COLOUR = Style(bold="\x1b[1m", alarm="\x1b[1;31m", place="\x1b[36m", faint="\x1b[2m", reset="\x1b[0m")


def render(analysis: Analysis, *, style: Style = PLAIN, all_reports: bool = False) -> str:
    """One crash for people: the fatal report (or the last one), or every report in the log."""
    chosen = analysis.subject
    lines: List[str] = []
    alike = _alike(analysis) if all_reports else {}
    folded = {index for same in alike.values() for index in same}
    for index, finding in enumerate(analysis.findings):
        if index == chosen or (all_reports and index not in folded):
            if lines:
                lines.append("")
            lines += _report(analysis, index, finding, style, alike.get(index, ()))
    if chosen is None:
        lines += _about(analysis, Finding(Resolution(Report("oops", "", 0))))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _alike(analysis: Analysis) -> Dict[int, List[int]]:
    from kdumpwrap.explain.repeats import alike

    return alike(analysis)


def resolved(expression: str, frame: ResolvedFrame, style: Style = PLAIN, *, opened: bool = True) -> str:
    """``resolve``: the sum, then the line of each function of the inline chain, innermost first.

    ``opened``: the file of its code is here.
    """
    if frame.address is None:
        return f"{clean(expression)}: {'not found' if opened else 'no debuginfo'}\n"
    lines = [f"{name(frame)}  {lists.total(frame)}"]
    for index, location in enumerate(frame.locations):
        inlined = " (inlined)" if index < len(frame.locations) - 1 else ""
        lines.append(f"   {style.place}{place(location) or '?'}{style.reset}  {clean(location.function)}{inlined}")
    return "".join(f"{line}\n" for line in lines)


def listing(found: Listing, style: Style = PLAIN) -> str:
    """``disasm``: the frame, its instructions and its source."""
    lines = resolved(found.frame.symbol or "", found.frame, style).splitlines()
    lines += ["", *disassembly(found.instructions, style)]
    if found.source is not None:
        lines += ["", f"{style.bold}Source{style.reset} {clean(str(found.source.path))}", *source(found.source, style)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def clean(text: Optional[str]) -> str:
    """``text`` from a log or a tool, safe for a terminal: control and direction characters as ``\\xNN``."""
    return escape.shown(text or "")


def size(octets: Optional[int]) -> str:
    """``31 MB``, ``57 kB``; empty when unknown."""
    if octets is None:
        return ""
    return f"{octets / 1e6:.0f} MB" if octets >= 1e6 else f"{octets / 1e3:.0f} kB"


def disassembly(rows: Sequence[Instruction], style: Style = PLAIN) -> Iterator[str]:
    """The instructions, the marked one with an arrow, each line of the source named where it begins."""
    width = max((len(row.text) for row in rows), default=0)
    octets = max((len(spaced(row.data)) for row in rows), default=0)
    digits = max((len(f"{row.address:x}") for row in rows), default=0)
    for row, place, target, _, _ in lists.steps(rows):
        text = f"{row.address:{digits}x}  {spaced(row.data):{octets}}  {clean(row.text):{min(width, 44)}}"
        arrow, colour = ("=>", style.bold) if row.fault else ("  ", "")
        end = style.reset if colour else ""
        tail = f"  {style.place}{clean(place)}{style.reset}" if place else ""
        note = f"{style.faint}  # {clean(target)}{style.reset}" if target else ""
        yield f"{colour}{arrow} {text}{end}{tail}{note}"


def source(excerpt: Source, style: Style = PLAIN) -> Iterator[str]:
    """The lines of the source, the faulting one with an arrow, and a caret under the faulting expression."""
    width = len(str(excerpt.first + len(excerpt.lines)))
    for number, text, fault, before in lists.lines(excerpt):
        if fault:
            yield f"{style.bold}=> {number:{width}}  {clean(text)}{style.reset}"
        else:
            yield f"   {number:{width}}  {clean(text)}"
        if before is not None:
            yield f"   {'':{width}}  {style.alarm}{caret(before)}{style.reset}"


def caret(before: str) -> str:
    """A mark behind as many blanks as ``before`` takes cells of a terminal."""
    return " " * sum(map(_cells, clean(before))) + "^"


def _cells(character: str) -> int:
    """0 for an accent that stands on the letter before, 2 for a wide East Asian character, 1 for all others."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def name(frame: ResolvedFrame) -> str:
    """``send4+0xf2/0x1b0 [XxxWan]``."""
    return clean(lists.symbol(frame) + lists.offset(frame) + (f" [{frame.module}]" if frame.module else ""))


def place(location: Optional[Location]) -> str:
    """``include/net/ip_tunnels.h:462``, empty when unknown."""
    return clean(where(location))


def variable(one: Variable) -> str:
    """``=> iptunnel_xmit_stats (inlined)  tstats = 0xffff… (struct pcpu_sw_netstats *)``."""
    arrow = "=>" if one.guilty else "  "
    function = f"{one.function}{' (inlined)' if one.inlined else ''}"
    return clean(f"{arrow} {function:30}  {one.name} = {one.value} ({one.type})")


def scope(variables: Variables) -> Iterator[str]:
    """The failed access in C, each variable, then what is missing."""
    if variables.missing is not None:
        yield f"   {clean(variables.missing)}"
        return
    if variables.sentence is not None:
        yield f"   {clean(variables.sentence)}"
    yield from map(variable, variables.rows)
    unknown = view.unknown(variables)
    if unknown is not None:
        yield f"   {unknown}"


def _report(analysis: Analysis, index: int, finding: Finding, style: Style, alike: Sequence[int] = ()) -> List[str]:
    resolution = finding.resolution
    said = [view.headline(finding), view.beside(finding).get("panic")]
    lines = [f"{style.alarm}{clean(text)}{style.reset}" for text in said if text]
    lines.append("")
    place_in_log = view.position(analysis, index, alike)
    lines += [_fact("report", place_in_log)] if place_in_log is not None else []
    lines += _facts(analysis, index, finding, style)
    if finding.explanation:
        lines += ["", f"{style.bold}Why{style.reset}"]
        lines += [f"   {clean(sentence)}" for sentence in finding.explanation]
    if resolution.frames:
        lines += ["", f"{style.bold}Call trace{style.reset} (innermost first; ? = may be a stale address)"]
        lines += frames(lists.trace(finding), style)
    if resolution.disassembly:
        origin = " (of the log's Code: line)" if resolution.from_log else ""
        title = f"{style.bold}Instructions{style.reset}{origin}"
        lines += ["", title, *disassembly(resolution.disassembly, style)]
    if resolution.source:
        lines += ["", f"{style.bold}Source{style.reset} {clean(str(resolution.source.path))}"]
        lines += source(resolution.source, style)
    elif resolution.ip and any(location.file for location in resolution.ip.locations):
        missing = f"{place(finding.place)} is not on this host; --source-dir DIR names its tree"
        lines += ["", f"{style.bold}Source{style.reset} {missing}"]
    return [*lines, *_variables(finding, style)]


def variables(analysis: Analysis, style: Style = PLAIN) -> str:
    """The section Variables alone, for when gdb answers after the rest was printed."""
    rows = _variables(analysis.finding, style) if analysis.finding is not None else []
    return "".join(f"{line.rstrip()}\n" for line in rows)


def _variables(finding: Finding, style: Style) -> List[str]:
    if finding.variables is None:
        return []
    none = view.none_known(finding)
    rows = [f"   {clean(none)}"] if none is not None else scope(finding.variables)
    return ["", f"{style.bold}Variables{style.reset} (innermost first)", *rows]


def _facts(analysis: Analysis, index: int, finding: Finding, style: Style) -> Iterator[str]:
    ip, best, outer = finding.resolution.ip, finding.place, view.inlined_in(finding)
    if ip is not None and ip.symbol is not None:
        inlined = ""
        if best is not None and outer is not None:
            inlined = f" ({clean(best.function)}, inlined in {clean(outer.function)} at {place(outer)})"
        yield _fact("where", f"{name(ip)}{_arrow(best, style)}{inlined}")
        if lists.total(ip):
            yield _fact("address", lists.total(ip))
        if ip.candidates:
            yield _fact(
                "address", f"{clean(ip.symbol)} names {len(ip.candidates)} functions, nothing in the log decides:"
            )
            yield from (_fact("", clean(candidate)) for candidate in lists.candidates(ip))
    elif ip is not None:
        yield _fact("where", f"{name(ip)}: not kernel code")
    culprit, suspect = finding.culprit, finding.suspect
    if culprit is not None:
        module = f" [{clean(culprit.module)}]" if culprit.module else ""
        found = f"{clean(culprit.symbol)}{module}{_arrow(culprit.location, style)}"
        yield _fact("culprit", f"{found} ({clean(culprit.why)})")
    if suspect is not None:
        at = f": {clean(suspect.symbol)}{_arrow(suspect.location, style)}" if suspect.symbol else ""
        yield _fact("suspect", f"module {clean(suspect.module)}, out of tree{at}")
    yield from _about(analysis, finding)
    if analysis.signature and index == analysis.subject:
        yield _fact("signature", f"{clean(analysis.signature.id)}  {clean(analysis.signature.text)}")


def _about(analysis: Analysis, finding: Finding) -> Iterator[str]:
    crash, report, check = analysis.crash, finding.report, finding.resolution.check
    known = view.facts(analysis, finding)
    words = [clean(report.comm)] if report.comm is not None else []
    words += [f"pid {report.pid}"] if report.pid is not None else []
    cpu = [f"cpu {report.cpu}"] if report.cpu is not None else []
    if words:
        yield _fact("task", ", ".join(words + cpu))
    elif cpu:
        yield _fact("cpu", str(report.cpu))
    when = [f"{view.uptime(report.time)} after boot"] if report.time is not None else []
    when += [known["When"]] if "When" in known else []
    if when:
        yield _fact("when", ", ".join(when))
    if report.user_ip is not None and finding.resolution.ip is None:
        yield _fact("user", f"the program was at {report.user_ip:#x}: that is its own code, not the kernel's")
    if report.workqueue:
        yield _fact("workqueue", clean(report.workqueue))
    if view.release(analysis, finding):
        taint = f", tainted {clean(report.taint)}" if report.taint else ""
        yield _fact("kernel", f"{clean(known['Kernel'])}{taint}")
    for label in ("Hardware", "vmlinux"):
        if label in known:
            yield _fact(label.lower(), clean(known[label]))
    if report.code is not None and check.result != "unchecked":
        told = f"{check.result}: {check.detail}" if check.detail else check.result
        fits = check.result in ("match", "patched")
        yield _fact("code", clean(f"the log's code bytes are those of the file ({told})" if fits else told))
    host = f" on {clean(crash.host)}" if crash.host and crash.host != "127.0.0.1" else ""
    time = f", {clean(known['Time'])}" if "Time" in known else ""
    yield _fact("crash", f"{'standard input' if crash.path == '-' else clean(crash.path)}{time}{host}")


def _arrow(location: Optional[Location], style: Style) -> str:
    return f" → {style.place}{place(location)}{style.reset}" if location is not None else ""


def _fact(label: str, text: str) -> str:
    return f"   {label:9} {text}"


class _Row(NamedTuple):
    """One line of the trace; ``frame`` is None for a context or a note between the frames."""

    frame: Optional[ResolvedFrame]
    label: str
    text: str
    place: str = ""


def frames(rows: Sequence[lists.Row], style: Style, *, faded: bool = True) -> Iterator[str]:
    """The frames below their contexts. ``faded``: stale frames are grey and have no inlined functions."""
    shown: List[_Row] = []
    context: Optional[str] = None
    for row in rows:
        if row.frame.context != context:
            shown.append(_Row(None, "", clean(f"<{row.frame.context}>" if row.frame.context else f"</{context}>")))
            context = row.frame.context
        shown += _frame(row, style, faded=faded)
        shown += [_Row(None, "", clean(row.note))] if row.note else []
    width = min(56, max((len(row.text) for row in shown), default=0))
    for frame, label, text, at in shown:
        if frame is None:
            yield f"   {style.faint}{text}{style.reset}"
        elif frame.certain or not faded:
            yield f"{label:>5} {text:{width}}" + (f"  {style.place}{at}{style.reset}" if at else "")
        else:
            yield f"{style.faint}{label:>5} {text:{width}}  {at}".rstrip() + style.reset


def _frame(row: lists.Row, style: Style, *, faded: bool) -> Iterator[_Row]:
    """The functions inlined in a frame, then the frame. A stale one has none when ``faded``."""
    label, frame = row.label, row.frame
    for inner in frame.locations[:-1] if frame.certain or not faded else ():
        yield _Row(frame, label, f"  {clean(inner.function)} (inlined)", place(inner))
        label = ""
    shown = place(frame.locations[-1]) if frame.locations else ""
    if frame.candidates:
        shown = f"{len(frame.candidates)} functions have this name: {', '.join(map(clean, lists.candidates(frame)))}"
    if row.said:
        shown += f"{style.reset}{'  ' if shown else ''}{style.faint}crash: {clean(row.said)}"
    yield _Row(frame, label, f"{'' if frame.certain else '? '}{name(frame)}", shown)
