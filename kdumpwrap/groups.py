"""Many crashes, few bugs: the row that stands for a crash, and the groups that rows of one signature make (pure)."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Counter as CounterOf
from typing import Dict, NamedTuple, Optional, Tuple

from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Location
from kdumpwrap.model.log import Frame, Report, subject
from kdumpwrap.model.verdict import Signature, Suspect
from kdumpwrap.where import telling


class Row(NamedTuple):
    """What is told of one crash in a line. What is unknown is None."""

    time: Optional[str]  # ISO 8601
    host: Optional[str]
    release: Optional[str]
    kind: str
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


class Groups:
    """Rows counted by their signature; the rows themselves are not kept."""

    def __init__(self) -> None:
        self._groups: Dict[str, Group] = {}

    def add(self, row: Row) -> None:
        """Count ``row`` in."""
        self._groups.setdefault(row.signature.id, Group(row)).add(row)

    def sorted(self) -> Tuple[Group, ...]:
        """The most frequent bug first, of two as frequent the one seen last."""
        groups = sorted(self._groups.values(), key=lambda group: group.newest.signature.id)
        groups.sort(key=lambda group: group.last or "", reverse=True)
        return tuple(sorted(groups, key=lambda group: -group.count))


def row(analysis: Analysis) -> Optional[Row]:
    """The row of a crash; None when its log holds no report."""
    index = subject(analysis.reports, analysis.fatal)
    if index is None or analysis.signature is None:
        return None
    report, crash = analysis.reports[index], analysis.crash
    culprit = report.culprit
    symbol, offset, place = _site(report)
    return Row(
        crash.time,
        crash.host,
        analysis.kernel.release,
        report.kind,
        symbol,
        offset,
        place.file if place else None,
        place.line if place else None,
        culprit.module if culprit else None,
        analysis.signature,
        crash.path,
        culprit.symbol if culprit else None,
        report.suspect,
        report.headline,
    )


def _site(report: Report) -> Tuple[Optional[str], Optional[int], Optional[Location]]:
    """Symbol, offset and place of the instruction pointer; of the culprit where that points nowhere (a panic)."""
    ip, culprit = report.ip, report.culprit
    if ip is not None and ip.symbol is not None:
        return ip.symbol, ip.offset, telling(ip.locations)
    if culprit is None:
        return None, None, None
    frame = next((frame for frame in report.trace if frame.certain and _is(frame, culprit.symbol)), None)
    offset = frame.offset if frame and frame.symbol == culprit.symbol else None
    return culprit.symbol, offset, Location(culprit.symbol, culprit.file, culprit.line)


def _is(frame: Frame, function: str) -> bool:
    return frame.symbol == function or bool(frame.locations and frame.locations[-1].function == function)
