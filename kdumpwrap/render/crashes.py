"""``list``: a line for each crash, as text, ``--raw`` or ``--json``."""

from typing import NamedTuple, Optional, Sequence

from kdumpwrap.explain import nodump
from kdumpwrap.model.capture import Capture, Creation
from kdumpwrap.model.crash import Entry
from kdumpwrap.render import raw as raw_renderer
from kdumpwrap.render.text import clean, size


class Listed(NamedTuple):
    """A crash and the release of its kernel."""

    entry: Entry
    release: Optional[str]
    capture: Optional[Capture] = None  # why there is no whole vmcore
    creation: Optional[Creation] = None  # the outcome of a test of kdump

    @property
    def why(self) -> str:
        """The reason why a file is missing; empty when unknown."""
        return nodump.brief(self.capture, self.entry.vmcore_bytes) if self.capture is not None else ""


_TITLES = ("TIME", "HOST", "RELEASE", "VMCORE", "DMESG")


def text(rows: Sequence[Listed], *, titles: bool = False) -> str:
    """For people: time, host, release, sizes of vmcore and dmesg, path, and what is missing; ``titles`` above them."""
    table = [([*_TITLES], "PATH", "")] if titles and rows else []
    for row in rows:
        entry, release, crash = row.entry, row.release, row.entry.crash
        sizes = [size(octets) or "-" for octets in (entry.vmcore_bytes, entry.dmesg_bytes)]
        cells = [clean(crash.time).replace("T", " "), clean(crash.host), clean(release), *sizes]
        missing = ", ".join(entry.missing) + (f": {row.why}" if row.why else "")
        test = f"test of kdump: {row.creation.outcome}" if row.creation is not None else ""
        table.append((cells, clean(crash.path), clean("; ".join(filter(None, (test, missing))))))
    widths = [max((len(cells[column]) for cells, _, _ in table), default=0) for column in range(5)]
    lines = []
    for cells, path, missing in table:
        left = [cell.ljust(width) for cell, width in zip(cells[:3], widths)]
        right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:])]
        lines.append("  ".join((*left, *right, path)) + (f"  ({missing})" if missing else "") + "\n")
    return "".join(lines)


def raw(rows: Sequence[Listed]) -> str:
    """``TIME  HOST  RELEASE  VMCORE-BYTES  HAS-DMESG  PATH  MISSING  CAUSE  WHY  TEST`` for each crash."""
    lines = []
    for row in rows:
        entry, crash = row.entry, row.entry.crash
        has_dmesg = int(crash.dmesg is not None)
        files = (crash.time, crash.host, row.release, entry.vmcore_bytes, has_dmesg, crash.path)
        cause = row.capture.cause if row.capture is not None else None
        why = (", ".join(entry.missing), cause, row.why, row.creation.outcome if row.creation is not None else None)
        lines.append(raw_renderer.row(*files, *why) + "\n")
    return "".join(lines)
