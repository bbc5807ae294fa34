"""``list``: a line for each crash, as text, ``--raw`` or ``--json``."""

from typing import List, NamedTuple, Optional, Sequence

from kdumpwrap.model.crash import Entry
from kdumpwrap.render import json as json_renderer
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
        table.append((cells, clean(crash.path), clean(", ".join(_missing(entry)))))
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
    return "".join(
        json_renderer.line(
            {
                "schema": json_renderer.SCHEMA,
                "time": entry.crash.time,
                "host": entry.crash.host,
                "release": release,
                "vmcore_bytes": entry.vmcore_bytes,
                "dmesg": entry.crash.dmesg,
                "vmcore": entry.crash.vmcore,
                "incomplete": list(entry.incomplete),
                "path": entry.crash.path,
                "dmesg_bytes": entry.dmesg_bytes,
                "missing": [*_missing(entry)],
            }
        )
        for entry, release in rows
    )


def _missing(entry: Entry) -> List[str]:
    """What kdump did not save, or not to the end."""
    crash = entry.crash
    if crash.dmesg is None and crash.vmcore is None:
        return ["nothing was saved"]
    missing = [] if crash.vmcore else ["no vmcore"]
    missing += [] if crash.dmesg else ["no dmesg"]
    missing += ["empty vmcore"] if entry.vmcore_bytes == 0 else []
    return missing + list(entry.incomplete)


def _size(octets: Optional[int]) -> str:
    if octets is None:
        return "-"
    return f"{octets / 1e6:.0f} MB" if octets >= 1e6 else f"{octets / 1e3:.0f} kB"
