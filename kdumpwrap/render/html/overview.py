"""The index of a batch: a timeline, and a table of bugs that can be sorted and filtered by kernel and host."""

from datetime import datetime
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import moment
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.location import where
from kdumpwrap.model.verdict import Signature
from kdumpwrap.render import view
from kdumpwrap.render.html import evidence, timeline
from kdumpwrap.render.html.crash import Case
from kdumpwrap.render.html.document import Json, document, esc, island

_PROBLEMS = 500  # problems that the page lists


class Bug(NamedTuple):
    """All crashes of one signature, and the texts of their row in the index."""

    signature: Signature
    title: str
    where: str  # "include/net/ip_tunnels.h:462", empty when unknown
    suspect: str  # name of the out-of-tree module, or empty
    page: str  # file name of its page
    cases: Tuple[Case, ...]


def bug(analysis: Analysis, page: str, cases: Iterable[Case]) -> Bug:
    """The bug with the crashes ``cases``. ``analysis`` is that of the crash that its ``page`` shows."""
    finding = analysis.finding
    sign = analysis.signature or Signature("", "no report")
    if finding is None:
        return Bug(sign, "No report", "", "", page, tuple(cases))
    place = finding.place or (finding.culprit.location if finding.culprit else None)
    suspect = finding.suspect.module if finding.suspect else ""
    return Bug(sign, view.title(finding), where(place), suspect, page, tuple(cases))


def index(bugs: Sequence[Bug], problems: Sequence[Problem] = (), place: str = "") -> str:
    """The whole index, the most frequent bug first. ``place`` is where the crashes lie."""
    bugs = sorted(bugs, key=lambda one: (-len(one.cases), one.signature.id))
    cases = [case for one in bugs for case in one.cases]
    times = {case: _time(case.time) for case in cases}
    by = timeline.scale(list(times.values()))
    kernels, hosts = _numbered(case.release for case in cases), _numbered(case.host for case in cases)
    lanes = _lanes(bugs, times)

    def told(case: Case) -> Json:
        bar = by.bin(times[case]) if by else None
        return [kernels[case.release or ""], hosts[case.host or ""], bar, _shown(case.time)]

    data = island([[*kernels], [*hosts], [[told(case) for case in one.cases] for one in bugs]])
    strips = f'<section id="when"><header><h2>When</h2></header>{timeline.strips(lanes, by)}</section>' if by else ""
    table = f'<section id="bugs"><header><h2>Bugs</h2>{_filters(kernels, hosts)}</header>{_table(bugs)}</section>'
    main = f"<main>{strips}{table}{_missing(problems)}</main>"
    return document(f"{len(cases)} kernel crashes", _header(bugs, cases, place) + main, "overview.js", data)


def _header(bugs: Sequence[Bug], cases: Sequence[Case], place: str) -> str:
    stamps = sorted(case.time for case in cases if case.time)
    span = f" from {_shown(stamps[0])} to {_shown(stamps[-1])}" if stamps else ""
    words = f"{_count(len(bugs), 'bug')} in {_count(len(cases), 'crash')}"
    hosts, kernels = len({case.host for case in cases}), len({case.release for case in cases})
    return (
        f'<header class="top"><p class="kind">Kernel crash reports{f" · {esc(place)}" if place else ""}</p>'
        f'<h1>{words}</h1><p class="lede">{_count(hosts, "host")}, {_count(kernels, "kernel")}{span}.</p></header>'
    )


def _lanes(bugs: Sequence[Bug], times: Dict[Case, Optional[datetime]]) -> List[timeline.Lane]:
    lanes = [timeline.Lane(one.title, one.page, [times[case] for case in one.cases]) for one in bugs[: timeline.LANES]]
    rest = bugs[timeline.LANES :]
    if rest:
        lanes.append(timeline.Lane(f"{len(rest)} other bugs", "", [times[case] for one in rest for case in one.cases]))
    return lanes


def _filters(kernels: Dict[str, int], hosts: Dict[str, int]) -> str:
    return (
        f'<div class="tools" hidden>{_select("kernel", "All kernels", kernels)}{_select("host", "All hosts", hosts)}'
        '<span id="shown" class="faint" aria-live="polite"></span></div>'
    )


def _select(name: str, every: str, choices: Dict[str, int]) -> str:
    options = "".join(f'<option value="{number}">{esc(text) or "unknown"}</option>' for text, number in choices.items())
    return f'<select id="{name}" aria-label="{every}"><option value="">{every}</option>{options}</select>'


def _table(bugs: Sequence[Bug]) -> str:
    heads = "".join(
        f'<th aria-sort="{"descending" if key == "count" else "none"}"><button type="button" class="sort" '
        f'data-key="{key}">{text}</button></th>'
        for key, text in (("title", "Bug"), ("count", "Crashes"), ("first", "First"), ("last", "Last"))
    )
    rows = "".join(_row(number, one) for number, one in enumerate(bugs))
    return (
        f'<table class="bugs"><thead><tr>{heads}<th>Hosts</th><th>Kernels</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        '<p class="note" id="none" hidden>No crash has this kernel and this host.</p>'
    )


def _row(number: int, one: Bug) -> str:
    lane = min(number, timeline.LANES)
    stamps = sorted(case.time for case in one.cases if case.time)
    first, last = (_shown(stamps[0]), _shown(stamps[-1])) if stamps else ("", "")
    place = f"<p><code>{esc(one.where)}</code></p>" if one.where else ""
    suspect = f' <span class="tag vendor">{esc(one.suspect)} · out of tree</span>' if one.suspect else ""
    name = f'<a href="{esc(one.page)}">{esc(one.title)}</a>' if one.page else esc(one.title)
    return (
        f'<tr data-bug="{number}"><td class="bug"><p><span class="swatch s{lane}"></span>{name}{suspect}</p>{place}'
        f'<p class="faint">{esc(one.signature.id)} · {esc(one.signature.text)}</p></td>'
        f'<td class="count">{len(one.cases)}</td><td class="first">{first}</td><td class="last">{last}</td>'
        f'<td class="hosts">{len({case.host for case in one.cases})}</td>'
        f'<td class="kernels">{len({case.release for case in one.cases})}</td></tr>'
    )


def _missing(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    more = f'<p class="note">{len(problems) - _PROBLEMS} more.</p>' if len(problems) > _PROBLEMS else ""
    head = "<header><h2>What is missing</h2></header>"
    return f'<section id="missing">{head}{evidence.problems(problems[:_PROBLEMS])}{more}</section>'


def _numbered(values: Iterable[Optional[str]]) -> Dict[str, int]:
    return {value: number for number, value in enumerate(sorted({value or "" for value in values}))}


def _count(number: int, noun: str) -> str:
    plural = "es" if noun.endswith("sh") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def _shown(time: Optional[str]) -> str:
    return esc((time or "").replace("T", " ")[:16])


def _time(text: Optional[str]) -> Optional[datetime]:
    try:
        return moment.parse(text or "")
    except ValueError:
        return None
