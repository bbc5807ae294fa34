"""``list``: a line for each crash, as text, ``--raw`` or ``--json``."""

from typing import NamedTuple, Optional, Sequence

from kdumpwrap.model.crash import Entry
from kdumpwrap.render import keys
from kdumpwrap.render import raw as raw_renderer
from kdumpwrap.render.text import clean


class Listed(NamedTuple):
    """A crash and the release of its kernel."""

    entry: Entry
    release: Optional[str]


def text(rows: Sequence[Listed]) -> str:
    """For people: time, host, release, sizes of vmcore and dmesg, path, and what is missing."""
    table = []
    for entry, release in rows:
        crash = entry.crash
        time = clean(crash.time).replace("T", " ")
        cells = [time, clean(crash.host), clean(release), _size(entry.vmcore_bytes), _size(entry.dmesg_bytes)]
        table.append((cells, clean(crash.path), clean(", ".join(entry.missing))))
    widths = [max((len(cells[column]) for cells, _, _ in table), default=0) for column in range(5)]
    lines = []
    for cells, path, missing in table:
        left = [cell.ljust(width) for cell, width in zip(cells[:3], widths)]
        right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:])]
        lines.append("  ".join((*left, *right, path)) + (f"  ({missing})" if missing else "") + "\n")
    return "".join(lines)


def raw(rows: Sequence[Listed]) -> str:
    """``TIME  HOST  RELEASE  VMCORE-BYTES  HAS-DMESG  PATH`` for each crash."""
    lines = []
    for entry, release in rows:
        crash, has_dmesg = entry.crash, int(entry.crash.dmesg is not None)
        lines.append(
            raw_renderer.row(crash.time, crash.host, release, entry.vmcore_bytes, has_dmesg, crash.path) + "\n"
        )
    return "".join(lines)


def json(rows: Sequence[Listed]) -> str:
    """One object for each crash."""
    return "".join(keys.line(keys.walk(one, keys.LISTED)) for one in rows)


def _size(octets: Optional[int]) -> str:
    if octets is None:
        return "-"
    return f"{octets / 1e6:.0f} MB" if octets >= 1e6 else f"{octets / 1e3:.0f} kB"
