"""The row of a crash, and the groups of rows with one signature (pure)."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Counter as CounterOf
from typing import Dict, List, NamedTuple, Optional, Tuple

from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.log import ReportKind
from kdumpwrap.model.verdict import Signature, Suspect


class Row(NamedTuple):
    """One crash as a row. An unknown value is None."""

    time: Optional[str]  # ISO 8601
    host: Optional[str]
    release: Optional[str]
    kind: ReportKind
    symbol: Optional[str]  # where it happened: the instruction pointer, else the culprit
    offset: Optional[int]
    file: Optional[str]  # the most telling line of the inline chain there
    line: Optional[int]
    module: Optional[str]  # the culprit's
    signature: Signature
    path: str
    culprit: Optional[str] = None
    suspect: Optional[Suspect] = None
    headline: str = ""


@dataclass
class Group:
    """One bug: all crashes of one signature."""

    newest: Row
    count: int = 0
    first: Optional[str] = None  # ISO 8601, of those whose time is known
    last: Optional[str] = None
    releases: CounterOf[Optional[str]] = field(default_factory=Counter)
    hosts: CounterOf[Optional[str]] = field(default_factory=Counter)

    def add(self, row: Row) -> None:
        """Count ``row`` in."""
        self.count += 1
        self.releases[row.release] += 1
        self.hosts[row.host] += 1
        if row.time is not None:
            self.first = row.time if self.first is None else min(self.first, row.time)
            self.last = row.time if self.last is None else max(self.last, row.time)
        if (row.time or "") >= (self.newest.time or ""):
            self.newest = row


def ordered(names: CounterOf[Optional[str]]) -> List[Tuple[Optional[str], int]]:
    """Names with their counts, the most frequent first."""
    return sorted(names.items(), key=lambda item: (-item[1], item[0] or ""))


class Groups:
    """Rows counted by their signature; the rows themselves are not kept."""

    def __init__(self) -> None:
        self._groups: Dict[str, Group] = {}

    def add(self, row: Row) -> None:
        """Count ``row`` in."""
        self._groups.setdefault(row.signature.id, Group(row)).add(row)

    def sorted(self) -> Tuple[Group, ...]:
        """The groups, the most frequent first; of two as frequent, the one that was seen last."""
        groups = sorted(self._groups.values(), key=lambda group: group.newest.signature.id)
        groups.sort(key=lambda group: group.last or "", reverse=True)
        return tuple(sorted(groups, key=lambda group: -group.count))


def row(analysis: Analysis) -> Optional[Row]:
    """The row of a crash; None when its log holds no report."""
    index = analysis.subject
    if index is None or analysis.signature is None:
        return None
    finding, crash = analysis.findings[index], analysis.crash
    culprit = finding.culprit
    symbol, offset, file, line = _site(finding)
    return Row(
        crash.time,
        crash.host,
        analysis.kernel.release,
        finding.report.kind,
        symbol,
        offset,
        file,
        line,
        culprit.module if culprit else None,
        analysis.signature,
        crash.path,
        culprit.symbol if culprit else None,
        finding.suspect,
        finding.report.headline,
    )


def _site(finding: Finding) -> Tuple[Optional[str], Optional[int], Optional[str], Optional[int]]:
    """Symbol, offset, file and line of the instruction pointer; of the culprit when it has no symbol (a panic)."""
    ip, culprit = finding.resolution.ip, finding.culprit
    if ip is not None and ip.symbol is not None:
        place = finding.place
        return (ip.symbol, ip.offset, place.file, place.line) if place else (ip.symbol, ip.offset, None, None)
    if culprit is None:
        return None, None, None, None
    frame = next((frame for frame in finding.resolution.trace if frame.certain and _is(frame, culprit.symbol)), None)
    offset = frame.offset if frame and frame.symbol == culprit.symbol else None
    return culprit.symbol, offset, culprit.file, culprit.line


def _is(frame: ResolvedFrame, function: str) -> bool:
    return frame.symbol == function or bool(frame.locations and frame.locations[-1].function == function)
