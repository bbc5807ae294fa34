"""The timeline of a batch: a strip of bars for each of the most frequent bugs, as SVG."""

import math
from collections import Counter
from datetime import datetime
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.render.html.document import esc

BINS = 120  # bars of a strip, at most
LANES = 12  # bugs that have a strip and a colour of their own; the others share one
_HEIGHT = 24


class Lane(NamedTuple):
    """One strip: its label, the link of the label, and the times of its crashes (None: unknown)."""

    label: str
    href: str
    times: Sequence[Optional[datetime]]


class Scale(NamedTuple):
    """The time span of a strip: it maps a time to a bar."""

    first: datetime
    last: datetime

    def bin(self, time: Optional[datetime]) -> Optional[int]:
        """Number of the bar that ``time`` falls in, from 0; None for an unknown time."""
        if time is None:
            return None
        seconds = (self.last - self.first).total_seconds()
        share = (time - self.first).total_seconds() / seconds if seconds else 0.5
        return min(int(share * BINS), BINS - 1)


def scale(times: Sequence[Optional[datetime]]) -> Optional[Scale]:
    """The scale that holds all of ``times``; None when none is known."""
    known = [time for time in times if time is not None]
    return Scale(min(known), max(known)) if known else None


def strips(lanes: Sequence[Lane], by: Scale) -> str:
    """The strips, one below the other, then the dates. All bars share one scale: heights are square roots of counts."""
    counted: List[Dict[int, int]] = [
        Counter(place for place in map(by.bin, lane.times) if place is not None) for lane in lanes
    ]
    most = max((count for bars in counted for count in bars.values()), default=1)
    rows = "".join(_strip(number, lane, bars, most, by) for number, (lane, bars) in enumerate(zip(lanes, counted)))
    middle = by.first + (by.last - by.first) / 2
    dates = "".join(f"<span>{one.isoformat(' ', 'minutes')}</span>" for one in (by.first, middle, by.last))
    return f'<div class="timeline" data-most="{most}">{rows}<div class="dates">{dates}</div></div>'


def height(count: int, most: int) -> float:
    """Height of a bar, in units of the SVG. The square root keeps a single crash visible beside a hundred."""
    return round(_HEIGHT * max(math.sqrt(count / most), 0.25), 1)


def _strip(number: int, lane: Lane, bars: Dict[int, int], most: int, by: Scale) -> str:
    rects = "".join(_bar(place, count, most, by) for place, count in sorted(bars.items()))
    label = esc(lane.label)
    name = f'<a href="{esc(lane.href)}">{label}</a>' if lane.href else f"<span>{label}</span>"
    return (
        f'<div class="lane s{number}" data-lane="{number}"><div class="label">{name}</div>'
        f'<svg viewBox="0 0 {BINS} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}: {sum(bars.values())} crashes over time">{rects}</svg></div>'
    )


def _bar(place: int, count: int, most: int, by: Scale) -> str:
    tall = height(count, most)
    start, stop = _extent(place, by)
    says = f"{count} crash{'es' if count > 1 else ''}, {start} to {stop}"
    return (
        f'<rect data-bin="{place}" x="{place + 0.1:g}" y="{_HEIGHT - tall:g}" width=".8" height="{tall:g}">'
        f"<title>{says}</title></rect>"
    )


def _extent(place: int, by: Scale) -> Tuple[str, str]:
    step = (by.last - by.first) / BINS
    edges = (by.first + step * place, by.first + step * (place + 1))
    start, stop = (edge.isoformat(" ", "minutes") for edge in edges)
    return start, stop
