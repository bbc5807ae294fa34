"""The same report, however the log came: through a console, a logger, a mail, pstore, or with its end missing."""

import re
from typing import Callable, Dict, List, Tuple

import pytest
import recorded

from kdumpwrap.log import reader
from kdumpwrap.model.log import Log

STAMP = re.compile(rb"^\[[ \d]{5}\.\d{6}\](?:\[[ ]*[TC]\d+\])? ?", re.M)
# logs of one time a line, without callers: what the wrappings below can be applied to
PLAIN = [
    name
    for name in recorded.NAMES
    if all(STAMP.match(line) for line in recorded.data(name).splitlines())
    and b"][" not in recorded.data(name)
    and name != "cut-at-both-ends"  # is what it is by the place where it begins
]


def lines(data: bytes) -> List[bytes]:
    return data.splitlines()


def each(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(change(line) + b"\n" for line in lines(data))


WRAPPINGS: Dict[str, Callable[[bytes], bytes]] = {
    "no-prefix": lambda data: STAMP.sub(b"", data),
    "levels": each(lambda line: b"<4>" + line),
    "callers": each(lambda line: line.replace(b"] ", b"][ T1911] ", 1)),
    "callers-apart": each(lambda line: line.replace(b"] ", b"] [   C0] ", 1)),
    "syslog": each(lambda line: b"Dec 20 10:51:06 gw1 kernel: " + line),
    "syslog-without-host": each(lambda line: b"Dec 20 10:51:06 kernel: " + line),
    "syslog-without-time": each(lambda line: b"Dec 20 10:51:06 gw1 kernel: " + STAMP.sub(b"", line)),
    "journal": each(lambda line: b"2023-12-20T10:51:06.251269+08:00 gw1 kernel: " + STAMP.sub(b"", line)),
    "human-time": each(lambda line: b"[Wed Dec 20 10:51:06 2023] " + STAMP.sub(b"", line)),
    "quoted": each(lambda line: b"> " + line),
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "tabs-escaped": lambda data: data.replace(b"\t", b"\\x09"),
    "grep-n": each(lambda line: b"1234:" + line),
    "file-name": each(lambda line: b"./messages-20231220:" + line),
    "noise": each(lambda line: line + b"\ngw1 login: operator"),
    "other-programs": each(
        lambda line: b"Dec 20 10:51:06 gw1 kernel: " + line + b"\nDec 20 10:51:06 gw1 cron[1]: BUG: x"
    ),
    "other-callers": each(lambda line: line.replace(b"] ", b"][ T1911] ", 1) + b"\n[    0.000000][    C3]  g+0x1/0x2"),
    "boot-before": lambda data: b"[    0.000000] usb 1-1: new device\n" * 5000 + data,
    "html": lambda data: data.replace(b"<", b"&lt;").replace(b">", b"&gt;"),
}


def reordered(data: bytes) -> bytes:
    """pstore's blocks, the newest first."""
    rows = lines(data)
    third = len(rows) // 3 + 1
    parts = [rows[start : start + third] for start in range(0, len(rows), third)]
    blocks = [[b"Panic#1 Part%d" % (len(parts) - i), *part] for i, part in enumerate(parts)]
    return b"\n".join(row for block in reversed(blocks) for row in block) + b"\n"


WRAPPINGS["pstore"] = reordered


def without_message(log: Log) -> Log:
    return log._replace(reports=tuple(report._replace(message=None) for report in log.reports))


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_reports_are_the_same(wrapping: str) -> None:
    assert len(PLAIN) > 20
    for name in PLAIN:
        data = recorded.data(name)
        whole, wrapped = reader.parse([data]), reader.parse([WRAPPINGS[wrapping](data)])
        if wrapping in ("noise", "grep-n", "file-name"):  # for all one can know it is a message of WARN
            whole, wrapped = without_message(whole), without_message(wrapped)
        assert recorded.outlines(wrapped) == recorded.outlines(whole), name
        assert wrapped.fatal == whole.fatal or name == "not-fatal-life-goes-on", name  # some take the times away


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_size_of_the_pieces_does_not_matter(name: str) -> None:
    data = recorded.data(name)
    for size in (1, 100, 4096):
        assert reader.parse([data[i : i + size] for i in range(0, len(data), size)]) == reader.parse([data])


def mailed(data: bytes, width: int) -> bytes:
    """The text as a mail program wraps it: at blanks, none left at the ends."""
    rows: List[bytes] = []
    for line in lines(data):
        while len(line) > width and b" " in line[20:width]:
            at = line.rindex(b" ", 0, width + 1)
            rows.append(line[:at].rstrip())
            line = line[at + 1 :]
        rows.append(line)
    return b"\n".join(rows) + b"\n"


@pytest.mark.parametrize("width", [72, 76, 80])
@pytest.mark.parametrize(
    "name", ["debian-6.1-page-fault-softirq", "el7-null-deref", "el8-page-fault", "el10-null-deref"]
)
def test_wrapped_by_a_mail_program(name: str, width: int) -> None:
    data = recorded.data(name)
    whole, wrapped = recorded.outlines(reader.parse([data])), recorded.outlines(reader.parse([mailed(data, width)]))
    for before, after in zip(whole, wrapped):
        different = {key for key in before if before[key] != after[key]}
        assert different <= {"headline", "hardware", "workqueue"}  # where words stood, more than one blank may have
    assert len(whole) == len(wrapped)


FACTS = ("cpu", "pid", "comm", "release", "taint", "fault_address", "error_code", "access", "ip")


@pytest.mark.parametrize("name", [name for name in recorded.NAMES if name != "pstore-blocks"])
def test_cut_anywhere_what_is_left_is_right(name: str) -> None:
    """Cut behind any word, a report says less, never something else."""
    data = recorded.data(name)
    whole = {report.line: report for report in reader.parse([data]).reports}
    ends = [match.end() for match in re.finditer(rb"\S(?=[ \t\n](?!\[))", data)]
    for end in ends[:: max(1, len(ends) // 60)]:
        for report in reader.parse([data[:end]]).reports:
            full = whole.get(report.line)
            if full is None:  # a panic that says too little to belong to the report before it
                assert report.kind in ("panic", "oops", "double-fault"), report.headline
                continue
            for fact in FACTS:
                known, truth = getattr(report, fact), getattr(full, fact)
                if fact == "ip" and known is not None and truth is not None:
                    assert known.symbol in (None, truth.symbol)
                    known = truth
                assert known in (None, truth), (end, fact)
            assert report.modules == full.modules[: len(report.modules)]
            assert set(report.registers) <= set(full.registers)


CUT: Tuple[Tuple[bytes, str, object], ...] = (
    (b"BUG: kernel NULL pointer dereference, address: 00000000000", "fault_address", None),
    (b"BUG: unable to handle kernel paging request at ffffab6eb164", "fault_address", None),
    (b"BUG: x\nCPU: 3 PID: 26", "pid", None),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: kwor", "comm", None),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: kworker/0:1 Kdump: loa", "comm", "kworker/0:1"),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: a Tainted: G        W", "taint", None),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: a Tainted: G        W         -------", "taint", None),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: a Tainted: G        W         -------  --- 5.14.0-", "taint", "GW"),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: a Not tainted 3.10.0-6", "release", None),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: a Not tainted 3.10.0-693.el7.x86_64", "release", "3.10.0-693.el7.x86_64"),
    (b"BUG: x\nCPU: 3 PID: 26 Comm: a Not tainted 6.1.0-wan #1", "release", "6.1.0-wan"),
    (b"BUG: x\nRIP: 0010:f+0xe4/0x180 [sysdi", "ip", None),
    (b"BUG: x\nCall Trace:\n f+0xe4/0x180 [sysdi", "trace", ()),
    (b"BUG: x\nCall Trace:\n f+0xe4/", "trace", ()),
    (b"BUG: x\nRIP: 0010:f+0xe4/0x180\nR12: 00000000ffff", "registers", ()),
)


@pytest.mark.parametrize("text, field, value", CUT, ids=[row[0].decode()[-30:] for row in CUT])
def test_cut_in_the_middle_of_a_word_it_is_not_told(text: bytes, field: str, value: object) -> None:
    (report,) = reader.parse([text + b"\n"]).reports
    assert getattr(report, field) == value
