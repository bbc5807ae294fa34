"""The report for people: what happened, where, whom to ask, then the evidence. Nothing is wrapped."""

from typing import Iterator, List, NamedTuple, Optional, Sequence

from kdumpwrap.model.finding import Analysis, Finding, Listing
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame, Source
from kdumpwrap.octets import spaced
from kdumpwrap.render import caret, escape, summary
from kdumpwrap.render import variables as variable
from kdumpwrap.where import short, telling


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
    for index, finding in enumerate(analysis.findings):
        if all_reports or index == chosen:
            if lines:
                lines.append("")
            lines += _report(analysis, index, finding, style)
    if chosen is None:
        lines += _about(analysis, None, style)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def resolved(expression: str, frame: ResolvedFrame, style: Style = PLAIN) -> str:
    """``resolve``: the sum, then the line of each function of the inline chain, innermost first."""
    if frame.address is None:
        return f"{clean(expression)}: not found\n"
    base = frame.address - (frame.offset or 0)
    lines = [f"{name(frame)}  {frame.address:#x} = {base:#x} + {frame.offset or 0:#x}"]
    for index, location in enumerate(frame.locations):
        inlined = " (inlined)" if index < len(frame.locations) - 1 else ""
        where = place(location) or "?"
        lines.append(f"   {style.place}{where}{style.reset}  {clean(location.function)}{inlined}")
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


def disassembly(rows: Sequence[Instruction], style: Style = PLAIN) -> Iterator[str]:
    """The instructions, the marked one with an arrow, each line of the source named where it begins."""
    width = max((len(row.text) for row in rows), default=0)
    octets = max((len(spaced(row.data)) for row in rows), default=0)
    digits = max((len(f"{row.address:x}") for row in rows), default=0)
    before = ""
    for row in rows:
        place = f"{short(row.file)}:{row.line}" if row.file else ""
        target = f"  # {row.relocations[0].target}" if row.relocations else f"  # {row.comment}" if row.comment else ""
        text = f"{row.address:{digits}x}  {spaced(row.data):{octets}}  {clean(row.text):{min(width, 44)}}"
        shown = clean(place) if place != before else ""
        before = place
        arrow, colour = ("=>", style.bold) if row.fault else ("  ", "")
        end = style.reset if colour else ""
        tail = f"  {style.place}{shown}{style.reset}" if shown else ""
        note = f"{style.faint}{clean(target)}{style.reset}" if target else ""
        yield f"{colour}{arrow} {text}{end}{tail}{note}"


def source(excerpt: Source, style: Style = PLAIN) -> Iterator[str]:
    """The lines of the source, the faulting one with an arrow, and a caret under the faulting expression."""
    width = len(str(excerpt.first + len(excerpt.lines)))
    before = caret.before(excerpt)
    for number, text in enumerate(excerpt.lines, excerpt.first):
        if number == excerpt.fault_line:
            yield f"{style.bold}=> {number:{width}}  {clean(text)}{style.reset}"
            if before is not None:
                yield f"   {'':{width}}  {style.alarm}{caret.under(clean(before))}{style.reset}"
        else:
            yield f"   {number:{width}}  {clean(text)}"


def name(frame: ResolvedFrame) -> str:
    """``send4+0xf2/0x1b0 [XxxWan]``."""
    text = clean(frame.symbol) if frame.symbol else ("?" if frame.runtime is None else f"{frame.runtime:#x}")
    if frame.symbol and frame.offset is not None:
        text += f"+{frame.offset:#x}" + (f"/{frame.size:#x}" if frame.size is not None else "")
    return text + (f" [{clean(frame.module)}]" if frame.module else "")


def place(location: Optional[Location]) -> str:
    """``include/net/ip_tunnels.h:462``, empty when unknown."""
    if location is None or location.file is None:
        return ""
    return f"{clean(short(location.file))}:{location.line if location.line is not None else '?'}"


# ---------------------------------------------------------------- one report


def _report(analysis: Analysis, index: int, finding: Finding, style: Style) -> List[str]:
    lines = [f"{style.alarm}{clean(summary.headline(finding))}{style.reset}"]
    if finding.report.panic and finding.report.panic not in finding.report.headline:
        lines.append(f"{style.alarm}{clean(finding.report.panic)}{style.reset}")
    lines.append("")
    lines += _facts(analysis, index, finding, style)
    if finding.explanation:
        lines += ["", f"{style.bold}Why{style.reset}"]
        lines += [f"   {clean(sentence)}" for sentence in finding.explanation]
    if finding.resolution.ip or finding.resolution.trace:
        lines += ["", f"{style.bold}Call trace{style.reset} (innermost first; ? = may be a stale address)"]
        lines += _trace(finding, style)
    if finding.resolution.disassembly:
        lines += ["", f"{style.bold}Instructions{style.reset}"]
        lines += disassembly(finding.resolution.disassembly, style)
    if finding.resolution.source:
        lines += ["", f"{style.bold}Source{style.reset} {clean(str(finding.resolution.source.path))}"]
        lines += source(finding.resolution.source, style)
    elif finding.resolution.ip and any(location.file for location in finding.resolution.ip.locations):
        found = telling(finding.resolution.ip.locations)
        lines += [
            "",
            f"{style.bold}Source{style.reset} {place(found)} is not on this host; --source-dir DIR names its tree",
        ]
    return [*lines, *_variables(finding, style)]


def variables(analysis: Analysis, style: Style = PLAIN) -> str:
    """The last section of ``render`` alone: what was not known when the rest was printed."""
    index = analysis.subject
    rows = _variables(analysis.findings[index], style) if index is not None else []
    return "".join(f"{line.rstrip()}\n" for line in rows)


def _variables(finding: Finding, style: Style) -> List[str]:
    if finding.variables is None:
        return []
    return ["", f"{style.bold}Variables{style.reset} (innermost first)", *variable.lines(finding.variables)]


def _facts(analysis: Analysis, index: int, finding: Finding, style: Style) -> Iterator[str]:
    ip = finding.resolution.ip
    if ip is not None and ip.symbol is not None:
        best = telling(ip.locations)
        inlined = ""
        if best is not None and best is not ip.locations[-1]:
            outer = ip.locations[-1]
            inlined = f" ({clean(best.function)}, inlined in {clean(outer.function)} at {place(outer)})"
        arrow = f" → {style.place}{place(best)}{style.reset}{inlined}" if best else ""
        yield _fact("where", f"{name(ip)}{arrow}")
        if ip.address is not None and ip.offset is not None:
            yield _fact("address", f"{ip.address:#x} = {ip.address - ip.offset:#x} + {ip.offset:#x}")
        if ip.candidates:
            yield _fact(
                "address", f"{clean(ip.symbol)} names {len(ip.candidates)} functions, nothing in the log decides:"
            )
            for candidate in candidates(ip):
                yield _fact("", candidate)
    elif ip is not None:
        yield _fact("where", f"{name(ip)}: no code of the kernel")
    culprit, suspect = finding.culprit, finding.suspect
    if culprit is not None:
        found = (
            f" → {style.place}{place(Location(None, culprit.file, culprit.line))}{style.reset}" if culprit.file else ""
        )
        module = f" [{clean(culprit.module)}]" if culprit.module else ""
        yield _fact("culprit", f"{clean(culprit.symbol)}{module}{found} ({clean(culprit.why)})")
    if suspect is not None:
        found = (
            f" → {style.place}{place(Location(None, suspect.file, suspect.line))}{style.reset}" if suspect.file else ""
        )
        at = f": {clean(suspect.symbol)}{found}" if suspect.symbol else ""
        yield _fact("suspect", f"module {clean(suspect.module)}, out of tree{at}")
    yield from _about(analysis, finding, style)
    if analysis.signature and index == analysis.subject:
        yield _fact("signature", f"{clean(analysis.signature.id)}  {clean(analysis.signature.text)}")


def _about(analysis: Analysis, finding: Optional[Finding], style: Style) -> Iterator[str]:
    crash, kernel = analysis.crash, analysis.kernel
    if finding is not None:
        words = []
        if finding.report.comm is not None:
            words.append(clean(finding.report.comm))
        if finding.report.pid is not None:
            words.append(f"pid {finding.report.pid}")
        if finding.report.cpu is not None:
            words.append(f"cpu {finding.report.cpu}")
        if finding.report.time is not None:
            words.append(f"{finding.report.time:.0f} s after boot")
        if words:
            yield _fact("task", ", ".join(words))
        if finding.report.workqueue:
            yield _fact("workqueue", clean(finding.report.workqueue))
    release = (finding.report.release if finding else None) or kernel.release
    taint = f", tainted {clean(finding.report.taint)}" if finding is not None and finding.report.taint else ""
    if release:
        yield _fact("kernel", f"{clean(release)} {clean(kernel.arch)}{taint}")
    if finding is not None and finding.report.hardware:
        yield _fact("hardware", clean(finding.report.hardware))
    if kernel.vmlinux:
        yield _fact("vmlinux", clean(kernel.vmlinux))
    if finding is not None and finding.report.code is not None and finding.resolution.check.result != "unchecked":
        detail = f": {clean(finding.resolution.check.detail)}" if finding.resolution.check.detail else ""
        yield _fact("code", f"{clean(finding.resolution.check.result)}{detail}")
    host = f" on {clean(crash.host)}" if crash.host and crash.host != "127.0.0.1" else ""
    time = f", {clean(crash.time).replace('T', ' ')}" if crash.time else ""
    yield _fact("crash", f"{'standard input' if crash.path == '-' else clean(crash.path)}{time}{host}")


def _fact(label: str, text: str) -> str:
    return f"   {label:9} {text}"


def _trace(finding: Finding, style: Style) -> Iterator[str]:
    rows = list(_frames(finding))
    width = min(56, max((len(row.text) for row in rows), default=0))
    for row in rows:
        if row.frame is None:
            yield f"   {style.faint}{row.text}{style.reset}" if row.text else ""
        elif row.frame.certain:
            shown = f"  {style.place}{row.place}{style.reset}" if row.place else ""
            yield f"{row.label:>5} {row.text:{width}}{shown}"
        else:
            yield f"{style.faint}{row.label:>5} {row.text:{width}}  {row.place}".rstrip() + style.reset


class _Row(NamedTuple):
    """One line of the trace; ``frame`` is None for a context or a word between the frames."""

    frame: Optional[ResolvedFrame]
    label: str
    text: str
    place: str


def _frames(finding: Finding) -> Iterator[_Row]:
    if finding.resolution.ip is not None:
        yield from _frame("ip", finding.resolution.ip)
    context: Optional[str] = None
    again = {run.first + run.period: run for run in finding.repeats}
    number = 0
    while number < len(finding.resolution.trace):
        run = again.get(number)
        if run is not None and run.stop > number:
            yield _Row(None, "", f"… and so on: {run.times} times in all, up to #{run.stop - 1}", "")
            number = run.stop
            continue
        frame = finding.resolution.trace[number]
        if frame.context != context:
            context, before = frame.context, context
            yield _Row(None, "", f"<{clean(context)}>" if context else f"</{clean(before)}>", "")
        yield from _frame(f"#{number}", frame)
        number += 1


def _frame(label: str, frame: ResolvedFrame) -> Iterator[_Row]:
    """A frame under the functions that are inlined in it (of a stale one they are noise)."""
    for inner in frame.locations[:-1] if frame.certain else ():
        yield _Row(frame, label, f"  {clean(inner.function)} (inlined)", place(inner))
        label = ""
    shown = place(frame.locations[-1]) if frame.locations else ""
    if frame.candidates:
        shown = f"{len(frame.candidates)} functions have this name: {', '.join(candidates(frame))}"
    yield _Row(frame, label, f"{'' if frame.certain else '? '}{name(frame)}", shown)


def candidates(frame: ResolvedFrame) -> Iterator[str]:
    """``net/ipv4/ip_input.c:254`` for each function that a frame may mean; its address where that does not tell."""
    chains = (*frame.candidate_locations, *[()] * len(frame.candidates))
    places = [place(telling(chain)) for _, chain in zip(frame.candidates, chains)]
    for address, found in zip(frame.candidates, places):
        if found and places.count(found) > 1:  # copies of one function of a header
            yield f"{found} at {address:#x}"
        else:
            yield found or f"{address:#x}"
