"""A log in each of the forms in which people hand it on: the same reports, or less of them and a word of it."""

import html
import json
import quopri
import re
from typing import Callable, Dict, List

import pytest
import recorded
import test_blamed_logs
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from test_wrapping import PLAIN, STAMP, mailed

from kdumpwrap.culprit import blame
from kdumpwrap.log import reader
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Log, subject

SUBJECTS = [name for name in PLAIN if recorded.parse(name).reports]
SPECIAL = re.compile(rb"([\\`*_\[\]<>#])")


def rows(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return b"".join(change(line) + b"\n" for line in data.splitlines())


def page(data: bytes) -> bytes:
    text = html.escape(data.decode("utf-8", "replace")).replace("  ", " &nbsp;")
    return "<html><body>\n<p>{}</p>\n</body></html>\n".format("<br>\n".join(text.splitlines())).encode()


def printable(data: bytes) -> bytes:
    return b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(data)


def column(data: bytes) -> bytes:
    return rows(data, lambda line: b"\n".join(line[at : at + 80] for at in range(0, len(line), 80)) or line)


DISGUISES: Dict[str, Callable[[bytes], bytes]] = {
    "quoted": lambda data: rows(data, lambda line: b"> " + line),
    "html": page,
    "markdown": lambda data: rows(data, lambda line: SPECIAL.sub(rb"\\\1", line)),
    "quoted-printable": printable,
    "json": lambda data: json.dumps({"body": data.decode("utf-8", "replace")}).encode()[:16000] + b"\n",
    "syslog": lambda data: rows(data, lambda line: b"Dec 20 10:51:06 gw1 kernel: " + line),
    "journald": lambda data: rows(data, lambda line: b"2023-12-20T10:51:06+0800 gw1 kernel: " + STAMP.sub(b"", line)),
    "wrapped at 72": lambda data: mailed(data, 72),
    "wrapped at 80": lambda data: mailed(data, 80),
    "cut at column 80": column,
}
LEAST = 3  # lines wider than the column: fewer do not show that there is one
EXACT = ("quoted", "syslog", "journald", "quoted-printable", "html", "markdown")


def facts(log: Log) -> List[object]:
    return [(r.kind, r.pid, r.comm, r.release, r.ip and r.ip.symbol, [f.symbol for f in r.trace]) for r in log.reports]


@pytest.mark.parametrize("disguise", EXACT)
@pytest.mark.parametrize("name", SUBJECTS)
def test_the_same_reports(name: str, disguise: str) -> None:
    data = recorded.data(name)
    assert facts(reader.parse([DISGUISES[disguise](data)])) == facts(reader.parse([data]))


def wide(data: bytes) -> int:
    return sum(len(line) > 80 for line in data.splitlines())


@pytest.mark.parametrize("name", [name for name in SUBJECTS if wide(recorded.data(name)) >= LEAST])
def test_lines_that_a_console_cut_are_whole_again(name: str) -> None:
    data = recorded.data(name)
    assert facts(reader.parse([column(data)])) == facts(reader.parse([data]))


@settings(deadline=None, max_examples=300)
@example("csd-lock", "wrapped at 72", 1.0)
@given(st.sampled_from(SUBJECTS), st.sampled_from(sorted(DISGUISES)), st.floats(0, 1))
def test_cut_anywhere_no_more_than_there_was(name: str, disguise: str, share: float) -> None:
    data = recorded.data(name)
    lines = data.splitlines(keepends=True)
    cut = b"".join(lines[: int(len(lines) * share)])
    assume(disguise != "cut at column 80" or wide(cut) >= LEAST)
    whole, log = reader.parse([cut]), reader.parse([DISGUISES[disguise](cut)])
    assert len(log.reports) <= len(whole.reports) + 1  # a panic cut off from what it says
    known = {frame.symbol for report in whole.reports for frame in (report.ip, *report.trace) if frame is not None}
    for report in log.reports:
        found = {frame.symbol for frame in (report.ip, *report.trace) if frame is not None and frame.symbol}
        assert found <= known | {None} or log.problems, (name, disguise)


def judged(log: Log) -> List[object]:
    """Of the report that a log is about: the function to blame, and what is listed beside its stack."""
    report = log.reports[subject(len(log.reports), log.fatal) or 0]
    found = blame.culprit(Resolution.of(report))
    listed = [len(report.locks), len(report.works), len(report.machine_checks), report.tasks]
    return [len(log.reports), report.kind, found and found.symbol, *listed]


@settings(deadline=None, max_examples=250)
@given(st.sampled_from(test_blamed_logs.NAMES), st.sampled_from((*EXACT, "wrapped at 72", "wrapped at 80")))
def test_the_same_function_is_blamed(name: str, disguise: str) -> None:
    data = (test_blamed_logs.BLAMED / f"{name}.log").read_bytes().partition(b"\n\n")[2]
    assert judged(reader.parse([DISGUISES[disguise](data)])) == judged(reader.parse([data]))
