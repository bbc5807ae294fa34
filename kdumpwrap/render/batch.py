"""Many crashes: a row for each (``batch --raw``), and the groups that they make, as text, ``--raw`` or ``--json``."""

from typing import Counter as CounterOf
from typing import List, Optional, Sequence

from kdumpwrap.model.bugs import Group, Row, ordered
from kdumpwrap.model.kernel import Location
from kdumpwrap.render import raw as raw_renderer
from kdumpwrap.render.text import PLAIN, Style, clean, place

_NAMED = 5  # kernels and hosts that a group names


def row(one: Row) -> str:
    """``TIME  HOST  RELEASE  KIND  SYMBOL+OFFSET  FILE:LINE  CULPRIT-MODULE  SIGNATURE-ID  PATH``."""
    fields = (
        one.time,
        one.host,
        one.release,
        one.kind,
        _site(one),
        _place(one),
        one.module,
        one.signature.id,
        one.path,
    )
    return raw_renderer.row(*fields) + "\n"


def raw(groups: Sequence[Group]) -> str:
    """``COUNT  FIRST  LAST  KERNELS  HOSTS`` of each group, then KIND and the rest of the row of its newest crash."""
    lines = []
    for group in groups:
        newest = group.newest
        counts = (group.count, group.first, group.last, len(group.releases), len(group.hosts))
        which = (newest.kind, _site(newest), _place(newest), newest.module, newest.signature.id, newest.path)
        lines.append(raw_renderer.row(*counts, *which) + "\n")
    return "".join(lines)


def text(groups: Sequence[Group], style: Style = PLAIN) -> str:
    """For people: the number of bugs, then of each bug source line, culprit, suspect, time span, kernels and hosts."""
    crashes = sum(group.count for group in groups)
    if not crashes:
        return ""
    hosts = {host for group in groups for host in group.hosts}
    releases = {release for group in groups for release in group.releases}
    words = [_count(len(groups), "bug"), "in", _count(crashes, "crash", "crashes"), "of", _count(len(hosts), "host")]
    words += ["and", _count(len(releases), "kernel")]
    lines = [f"{style.bold}{' '.join(words)}{style.reset}"]
    width = len(str(max(group.count for group in groups)))
    for group in groups:
        lines += ["", *_group(group, width, style)]
    return "\n".join(lines) + "\n"


def _group(group: Group, width: int, style: Style) -> List[str]:
    newest = group.newest
    where = place(Location(newest.symbol, newest.file, newest.line))
    arrow = f" → {style.place}{where}{style.reset}" if where else ""
    site = clean(_site(newest)) or clean(newest.headline)
    lines = [
        f"{style.bold}{group.count:{width}} ×{style.reset} {style.alarm}{clean(newest.kind)}{style.reset} {site}{arrow}"
    ]
    margin = " " * (width + 3)
    if newest.culprit and newest.culprit != newest.symbol:
        module = f" [{clean(newest.module)}]" if newest.module else ""
        lines.append(f"{margin}culprit   {clean(newest.culprit)}{module}")
    if newest.suspect is not None:
        suspect = newest.suspect
        found = place(Location(suspect.symbol, suspect.file, suspect.line))
        at = f": {clean(suspect.symbol)}" if suspect.symbol else ""
        at += f" → {style.place}{found}{style.reset}" if found else ""
        lines.append(f"{margin}suspect   module {clean(suspect.module)}, out of tree{at}")
    if group.first is not None and group.last is not None:
        first, last = clean(group.first).replace("T", " "), clean(group.last).replace("T", " ")
        lines.append(f"{margin}seen      {first}" + (f" to {last}" if last != first else ""))
    lines.append(f"{margin}kernels   {_names(group.releases)}")
    lines.append(f"{margin}hosts     {_names(group.hosts)}")
    lines.append(f"{margin}newest    {clean(newest.path)}")
    lines.append(f"{margin}signature {clean(newest.signature.id)}  {clean(newest.signature.text)}")
    return lines


def _names(names: CounterOf[Optional[str]]) -> str:
    counts = ordered(names)
    single = len(counts) == 1
    shown = [clean(name or "unknown") + ("" if single else f" ({count})") for name, count in counts[:_NAMED]]
    more = [f"{len(counts) - _NAMED} more"] if len(counts) > _NAMED else []
    return ", ".join(shown + more)


def _site(one: Row) -> str:
    offset = f"+{one.offset:#x}" if one.offset is not None else ""
    return f"{one.symbol}{offset}" if one.symbol else ""


def _place(one: Row) -> str:
    return f"{one.file}:{one.line}" if one.file and one.line is not None else ""


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
