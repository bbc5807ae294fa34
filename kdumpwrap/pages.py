"""Pages to hand on, as files: what a page shows beside the analysis is gathered here, and each is written whole."""

import os
import stat
import tempfile
from collections import deque
from pathlib import Path
from typing import Deque, Iterator, List, Sequence, Tuple

from kdumpwrap import crashfile
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model import Analysis, Report
from kdumpwrap.render import html, summary

BEFORE, AFTER = 12, 4  # lines of the log shown round a report
MOST = 400  # lines shown at all; a longer report loses its middle
_TAIL = 60  # of these at the end

LogLines = Tuple[Tuple[int, str], ...]


def crash(analysis: Analysis, commands: Sequence[str] = ()) -> str:
    """The page of one crash, the log round its report read again from the file that it came from."""
    return html.page(analysis, log(analysis), commands)


def log(analysis: Analysis) -> LogLines:
    """The lines round the report that the page is about, numbered from 1; none where the log cannot be read again."""
    report, path = summary.chosen(analysis), analysis.crash.dmesg
    if report is None or path is None or path == "-":
        return ()
    try:
        return _around(report, crashfile.blocks(path))
    except KdumpwrapError:
        return ()  # it was there a moment ago; the page does without


def write(path: str, page: str) -> None:
    """Write ``page`` to ``path``: the whole or nothing, and never through a symlink that someone laid there.

    A device, such as /dev/stdout, is written to as it is. Raises KdumpwrapError.
    """
    file = Path(path)
    try:
        if file.exists() and not stat.S_ISREG(file.stat().st_mode):
            file.write_text(page, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".kdumpwrap-", delete=False
        ) as new:
            try:
                new.write(page)
                os.fchmod(new.fileno(), 0o666 & ~_umask())
                new.flush()
                Path(new.name).replace(file)
            except BaseException:
                Path(new.name).unlink(missing_ok=True)
                raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise KdumpwrapError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _around(report: Report, blocks: Iterator[bytes]) -> LogLines:
    last = report.last_line if report.last_line is not None else report.line + MOST // 2
    head = max(1, report.line - BEFORE)
    shown: List[Tuple[int, str]] = []
    tail: Deque[Tuple[int, str]] = deque(maxlen=_TAIL)
    for number, line in enumerate(_lines(blocks), 1):
        if number > last + AFTER:
            break
        if number >= head:
            row = (number, line.decode("utf-8", "backslashreplace").rstrip("\r"))
            if len(shown) < MOST - _TAIL:
                shown.append(row)
            else:
                tail.append(row)
    return (*shown, *tail)


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a log, each cut to what a page shows of it: one may be megabytes long."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from (line[:4096] for line in whole)
        rest = rest[:4096]
    if rest:
        yield rest


def _umask() -> int:
    """The process's umask; it can only be asked for by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
