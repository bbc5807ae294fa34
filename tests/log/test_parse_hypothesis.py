"""No bytes make the parser of logs raise, and its time grows as the log does."""

import time
from typing import List

import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from kdumpwrap.log import body, header, headline, pointer, reader, registers, trace
from kdumpwrap.log import line as dmesg
from kdumpwrap.log.kinds import KINDS
from kdumpwrap.model.log import Frame, Log

LINES: List[bytes] = sorted({line for name in recorded.NAMES for line in recorded.data(name).split(b"\n")})
WORDS: List[bytes] = sorted({word for line in LINES for word in line.split()})

real_line = st.sampled_from(LINES)
cut_line = st.builds(
    lambda line, start, end: line[start:-end] if end else line[start:], real_line, st.integers(0, 9), st.integers(0, 30)
)
odd_line = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=9)), max_size=9).map(b" ".join)
any_line = st.one_of(real_line, cut_line, odd_line, st.binary(max_size=80))
logs = st.lists(any_line, max_size=60).map(b"\n".join)
texts = st.one_of(any_line.map(lambda line: line.decode("utf-8", "backslashreplace")), st.text(max_size=80))


def check(log: Log) -> None:
    """What holds for every answer, whatever the log was."""
    assert log.fatal is None or 0 <= log.fatal < len(log.reports)
    for report in log.reports:
        assert report.kind in KINDS
        assert 1 <= report.line <= (report.last_line or 0)
        assert "\n" not in report.headline
        assert report.code is None or 0 <= report.code.trap < len(report.code.data)
        for frame in (*report.trace, report.ip or Frame(None)):
            assert frame.symbol is None or (frame.offset is not None and frame.size is not None)
            assert not (frame.exact and frame.context == "LR")


@settings(max_examples=400, deadline=None)
@given(logs)
def test_no_log_makes_it_raise(data: bytes) -> None:
    check(reader.parse([data]))


@settings(max_examples=100, deadline=None)
@given(logs, st.integers(1, 300))
def test_pieces_make_no_difference(data: bytes, size: int) -> None:
    assert reader.parse([data[i : i + size] for i in range(0, len(data), size)]) == reader.parse([data])


@settings(max_examples=300, deadline=None)
@given(texts)
def test_no_line_makes_a_part_of_it_raise(text: str) -> None:
    trace.parse(text, "IRQ")
    trace.markers(text)
    trace.interrupted(text)
    pointer.parse(text)
    headline.parse(text)
    header.task(text)
    header.shown_task(text)
    header.modules(text)
    body.parse(text)
    registers.parse(text, 4)
    dmesg.parse(1, text.encode())


STAMPS = [
    b"",
    b"[    1.0",
    b"[    1.000000] ",
    b"[    1.000000] [   T12] ",
    b"[12345.678901][ C0] ",
    b"<4>[    1.000000] ",
]
stamped = st.builds(
    lambda stamp, text: stamp + text,
    st.sampled_from(STAMPS),
    st.one_of(any_line, st.text("[] 01.<>&\\\t\r\x1b:kernelT").map(str.encode)),
)


@settings(max_examples=1000, deadline=None)
@given(stamped)
def test_the_way_for_plain_lines_is_only_shorter(line: bytes) -> None:
    assert dmesg.parse(7, line) == dmesg._careful(7, line[: dmesg.MAX_LINE])


# each the beginning of a line that keeps some pattern busy, and what is repeated behind it
HOSTILE = {
    "headlines": (b"", b"[    1.000000] BUG: unable to handle kernel paging request at ffffffffffffffff\n"),
    "panics": (b"", b"[    1.000000] Kernel panic - not syncing: Fatal exception\n"),
    "oopses": (b"", b"[    1.000000] Oops: 0000 [#1] SMP\n"),
    "frames": (b"BUG: x\nCall Trace:\n", b" f+0x1/0x2 [mod]\n"),
    "markers": (b"BUG: x\nCall Trace:\n", b"<<<<<IRQ> <IRQ> <IRQ> f+0x1/0x2\n"),
    "words": (b"", b"BUG WARNING: INFO: [#1] PANIC to handle \n"),
    "pluses": (b"BUG: x\nCall Trace:\n", b"a+0x1/"),
    "symbols": (b"BUG: x\n", b"RIP: 0010:" + b"a" * 15000 + b"\n"),
    "modules": (b"", b"Modules linked in: a b c d e f g\n" + b"aa\n" * 50),
    "module-lines": (b"BUG: x\n", b"Modules linked in: " + b"abcdefgh " * 1500 + b"\n"),
    "blanks": (b"BUG: x\n", b" " * 15000 + b"\n"),
    "registers": (b"BUG: x\n", b"RAX: 0000000000000000 " * 700 + b"\n"),
    "code": (b"BUG: x\n", b"Code: " + b"00 " * 5000 + b"\n"),
    "stamps": (b"BUG: x ", b"[    1.000000]"),
    "escapes": (b"BUG: x", b"\\x0a"),
    "quotes": (b"", b"> > > > > > > BUG: x\n"),
    "one-line": (b"BUG: ", b"x"),
    "callers": (b"", b"[    1.000000][ T1] BUG: x\n[    1.000000][ T2] BUG: y\n"),
    "pstore": (b"Panic#1 Part1\n", b"Panic#1 Part2\nBUG: x\n"),
    "tainted": (b"BUG: x\n", b"CPU: 1 PID: 2 Comm: " + b"Tainted: " * 1000 + b"\n"),
}


def seconds(data: bytes) -> float:
    """Processor time that the log takes, the best of two."""
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        reader.parse([data[i : i + (1 << 20)] for i in range(0, len(data), 1 << 20)])
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.timing
@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_log_takes_twice_the_time(name: str) -> None:
    head, unit = HOSTILE[name]
    half = head + unit * (100_000 // len(unit))
    once, twice = seconds(half), seconds(half + unit * (100_000 // len(unit)))
    assert twice < 3 * once + 0.05, (once, twice)
