"""The page of one crash: the answer first, the evidence under it."""

from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.log.strangers import OUT_OF_TREE, PROPRIETARY, origins
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import Location
from kdumpwrap.model.location import where
from kdumpwrap.model.vmcore import VmcoreFacts
from kdumpwrap.render import lists, view
from kdumpwrap.render.html import code, evidence, frames, vmcore
from kdumpwrap.render.html.document import document, esc, path, pill

CASES = 2000  # crashes of one bug that its page lists
REPORTS = 200  # reports of its log that the page lists


class Case(NamedTuple):
    """One crash of a bug, as the bug's page and the index of a batch list it."""

    time: Optional[str]  # ISO 8601
    host: Optional[str]
    release: Optional[str]
    path: str


def page(
    analysis: Analysis,
    log: evidence.LogLines = (),
    commands: Sequence[str] = (),
    cases: Sequence[Case] = (),
    facts: Optional[VmcoreFacts] = None,
) -> str:
    """One crash as a whole HTML document.

    ``log``: the lines of the log round the report; ``commands``: those that were run; ``cases``: in a batch, every
    crash that is this bug, the page's own among them; ``facts``: what only the vmcore knows.
    """
    finding, problems = analysis.finding, evidence.problems(view.problems(analysis, facts))
    if finding is None:
        return document(f"{analysis.crash.path}: no report", _nothing(analysis, facts, problems, commands), "page.js")
    sections = [
        ("why", "Why", _why(finding)),
        ("trace", "Call trace", frames.trace(finding)),
        ("code", "Source and instructions", code.code(finding)),
        ("variables", "Variables", code.variables(finding)),
        ("registers", "Registers", code.registers(finding)),
        ("log", "Log", evidence.log(finding, log, analysis.crash.dmesg or analysis.crash.vmcore or "")),
        ("vmcore", "The vmcore", vmcore.section(facts, finding) if facts is not None else ""),
        ("crash", "The crash", _facts(analysis, finding)),
        ("reports", "All reports in this log", _reports(analysis)),
        ("same", "The same bug", _cases(cases)),
        ("sure", "Evidence", evidence.sure(analysis, finding)),
        ("commands", "Commands", evidence.commands(commands)),
        ("missing", "What is missing", problems),
    ]
    filled = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in filled)
    body = "".join(_section(*section, _tools(section[0], finding, facts)) for section in filled)
    head = f'{_header(analysis, finding)}<nav aria-label="Sections">{links}</nav>'
    return document(view.title(finding), f"{head}<main>{body}</main>", "page.js")


def _section(anchor: str, title: str, content: str, tools: Iterable[Tuple[str, str]] = ()) -> str:
    if anchor == "commands":
        content = f'<p class="note">Every command that was run, in order, to paste in a shell.</p>{content}'
    buttons = "".join(f'<button type="button" id="{one}" aria-pressed="false">{words}</button>' for one, words in tools)
    aside = f'<div class="tools" hidden>{buttons}</div>' if buttons else ""
    return f'<section id="{anchor}"><header><h2>{title}</h2>{aside}</header>{content}</section>'


def _tools(anchor: str, finding: Finding, facts: Optional[VmcoreFacts]) -> Iterator[Tuple[str, str]]:
    """The buttons of a section: the id that page.js uses, and the label."""
    if anchor == "trace" and any(len(frame.locations) > 1 for frame in finding.resolution.frames):
        yield "unfold", "Unfold inlined"
    if anchor == "trace" and any(not frame.certain for frame in finding.resolution.frames):
        yield "unsure", "Hide uncertain"
    if anchor == "code" and finding.resolution.disassembly:
        yield "bytes", "Bytes"
    if anchor == "vmcore" and facts is not None and vmcore.folds(facts):
        yield "unfold-vmcore", "Unfold inlined"


def _header(analysis: Analysis, finding: Finding) -> str:
    more = "".join(f'<p class="headline">{esc(text)}</p>' for text in view.beside(finding).values())
    sign = f" · {esc(analysis.signature.id)}" if analysis.signature else ""
    cards = "".join(
        f'<div class="card"><h2>{title}</h2>{content}</div>' for title, content in _cards(analysis, finding)
    )
    return (
        f'<header class="top"><p class="kind">Kernel crash report{sign}</p>'
        f'<h1>{esc(view.title(finding))}</h1><p class="headline">{esc(view.headline(finding))}</p>{more}'
        f'<p class="lede">{path(view.sentence(analysis, finding))}</p><div class="cards">{cards}</div></header>'
    )


def _cards(analysis: Analysis, finding: Finding) -> Iterator[Tuple[str, str]]:
    stopped = next((pill(one.level) for one in finding.statements if one.about == "place"), "")
    yield from _stopped(finding, stopped)
    yield from _blame(finding)
    yield "Suspect", _whom(finding)
    crash = analysis.crash
    lines = [f"<code>{esc(view.release(analysis, finding) or 'unknown kernel')}</code>"]
    if crash.time:
        lines.append(esc(crash.time.replace("T", " ")))
    if crash.host:
        lines.append(f"on {esc(crash.host)}")
    yield "When", _lines(lines)


def _stopped(finding: Finding, sure: str) -> Iterator[Tuple[str, str]]:
    ip, best = finding.resolution.ip, finding.place
    if ip is None:
        return
    lines: List[str] = []
    if best is not None:
        lines.append(f"<strong><code>{path(where(best))}</code></strong>")
        if view.inlined_in(finding) is not None:
            lines.append(f"<code>{esc(best.function)}</code>, inlined in")
    lines.append(f"<code>{frames.name(ip)}</code>{frames.tag(finding, ip.module)}")
    if lists.total(ip):
        lines.append(f'<span class="faint sum"><code>{lists.total(ip)}</code></span>')
    yield f"It stopped at {sure}", _lines(lines)


def _blame(finding: Finding) -> Iterator[Tuple[str, str]]:
    culprit = finding.culprit
    if culprit is None or finding.stopped_there:
        return
    sure = next((pill(one.level) for one in finding.statements if one.about == "culprit"), "")
    lines = []
    if culprit.location:
        lines.append(f"<strong><code>{path(where(culprit.location))}</code></strong>")
    lines.append(f"<code>{esc(culprit.symbol)}</code>{frames.tag(finding, culprit.module)}")
    lines.append(f'<span class="faint">{esc(culprit.why)}</span>')
    yield f"Culprit {sure}", _lines(lines)


def _whom(finding: Finding) -> str:
    suspect, culprit = finding.suspect, finding.culprit
    if finding.deliberate:
        return _lines(["none: the crash was triggered on purpose"])
    if suspect is not None:
        lines = [f"module{frames.tag(finding, suspect.module)}"]
        at = where(suspect.location)
        if suspect.symbol:
            lines.append(f"<code>{esc(suspect.symbol)}</code>{f' at <code>{path(at)}</code>' if at else ''}")
        return _lines(lines)
    if culprit is not None and culprit.file and not culprit.file.startswith("/"):
        file = path(where(Location(None, culprit.file, None)))
        return _lines(["none: ask the kernel's maintainers", f"<code>scripts/get_maintainer.pl -f {file}</code>"])
    return _lines(["none: ask the kernel's vendor", '<span class="faint">no known out-of-tree module</span>'])


def _why(finding: Finding) -> str:
    sentences = "".join(f"<li>{esc(one)}</li>" for one in finding.reasons)
    return f'<ul class="why">{sentences}</ul>' if sentences else ""


def _facts(analysis: Analysis, finding: Finding) -> str:
    known = view.facts(analysis, finding).items()
    body = "".join(f"<div><dt>{label}</dt><dd>{esc(text)}</dd></div>" for label, text in known)
    taints = "".join(f"<li><b>{esc(one.flag)}</b> {esc(one.meaning)}</li>" for one in finding.report.taints)
    if taints:
        body += f'<div><dt>Tainted</dt><dd><ul class="taints">{taints}</ul></dd></div>'
    if finding.report.modules:
        body += f"<div><dt>Modules</dt><dd>{_modules(finding)}</dd></div>"
    return f'<dl class="facts">{body}</dl>'


def _modules(finding: Finding) -> str:
    known = origins(finding.report)
    ours = [one for one in finding.report.modules if known.get(one.name) not in (OUT_OF_TREE, PROPRIETARY)]
    vendors = " ".join(
        f'<span class="tag vendor">{esc(one.name)}{f" ({esc(one.flags)})" if one.flags else ""}</span>'
        for one in finding.report.modules
        if known.get(one.name) in (OUT_OF_TREE, PROPRIETARY)
    )
    names = " ".join(esc(one.name) + (f"({esc(one.flags)})" if one.flags else "") for one in ours[:500])
    rest = f"<details><summary>{len(ours)} of the kernel&#x27;s own tree</summary>{names}</details>" if ours else ""
    return f"{vendors}{rest}"


def _reports(analysis: Analysis) -> str:
    if len(analysis.findings) < 2:
        return ""
    shown = analysis.findings[:REPORTS]
    rows = "".join(
        f"<tr{' class=fatal' if index == analysis.fatal else ''}><td>{one.report.line}</td>"
        f"<td>{f'{one.report.time:.3f} s' if one.report.time is not None else ''}</td>"
        f"<td>{esc(one.report.headline)}</td>"
        f"<td><code>{esc(one.culprit.symbol) if one.culprit else ''}</code></td>"
        f"<td>{pill('fatal') if index == analysis.fatal else ''}</td></tr>"
        for index, one in enumerate(shown)
    )
    more = (
        f'<p class="note">{len(analysis.findings) - len(shown)} more.</p>'
        if len(analysis.findings) > len(shown)
        else ""
    )
    return (
        '<div class="scroll"><table class="reports"><thead><tr><th>Line</th><th>Uptime</th><th>Report</th>'
        f"<th>Look at</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>{more}"
    )


def _cases(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    rows = "".join(
        f"<tr><td>{esc((one.time or '').replace('T', ' '))}</td><td>{esc(one.host)}</td>"
        f"<td><code>{esc(one.release)}</code></td><td><code>{esc(one.path)}</code></td></tr>"
        for one in cases[:CASES]
    )
    more = f'<p class="note">{len(cases) - CASES:,} more are not shown.</p>' if len(cases) > CASES else ""
    many = f"{len(cases):,} crashes are this bug" if len(cases) > 1 else "this crash alone is this bug"
    table = (
        '<div class="scroll"><table><thead><tr><th>Time</th><th>Host</th><th>Kernel</th><th>Directory</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return f'<p><a href="index.html">All bugs</a></p><details><summary>{many}</summary>{table}{more}</details>'


def _nothing(analysis: Analysis, facts: Optional[VmcoreFacts], problems: str, commands: Sequence[str]) -> str:
    """The page of a log that holds no report; the vmcore may know more."""
    head = f'<header class="top"><h1>No report of a crash in {esc(analysis.crash.path)}</h1></header>'
    sections = [
        ("missing", "What is missing", problems),
        ("vmcore", "The vmcore", vmcore.section(facts, None) if facts is not None else ""),
        ("commands", "Commands", evidence.commands(commands)),
    ]
    return f"{head}<main>{''.join(_section(*section) for section in sections if section[2])}</main>"


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"<p>{line}</p>" for line in lines)
