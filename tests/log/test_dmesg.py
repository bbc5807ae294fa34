"""What stands before a line of the log, whoever put it there."""

from typing import List, Optional, Tuple

import pytest

from kdumpwrap.log import line as dmesg
from kdumpwrap.model.log import LogLine

PREFIXED: Tuple[Tuple[str, Optional[float], Optional[str], str], ...] = (
    ("[ 1823.251269] RIP: f", 1823.251269, None, "RIP: f"),
    ("[    0.000000]  f+0x1/0x2", 0.0, None, " f+0x1/0x2"),
    ("[12345678.251269][ T9969] CS:  0010", 12345678.251269, "T9969", "CS:  0010"),
    ("[   34.404245] [   T1911] Oops", 34.404245, "T1911", "Oops"),
    ("[ 1098.601132][    C2] Modules linked in:", 1098.601132, "C2", "Modules linked in:"),
    ("[    4.556979 <    0.000003>] dmesg -d", 4.556979, None, "dmesg -d"),
    ("<4>[ 1823.251269] Code: 00", 1823.251269, None, "Code: 00"),
    ("[ 1823.251269] <4>Code: 00", 1823.251269, None, "Code: 00"),
    ("<1>BUG: unable", None, None, "BUG: unable"),
    ("kern  :alert : [  123.456789] BUG", 123.456789, None, "BUG"),
    ("Jun 14 20:03:13 host1 kernel: invalid opcode: 0000", None, None, "invalid opcode: 0000"),
    ("Jun  4 20:03:13 kernel: EDAC MC0", None, None, "EDAC MC0"),
    ("Jun  4 20:03:13  kernel: EDAC MC0", None, None, "EDAC MC0"),
    ("Apr 18 08:58:32 host1 kernel: [  236.276791] ---", 236.276791, None, "---"),
    ("2023-12-20T10:51:06.251269+08:00 gw1 kernel: BUG", None, None, "BUG"),
    ("2023-12-20T10:51:06,251269+08:00 BUG", None, None, "BUG"),
    ("2017-04-08 03:34:51    [29201245.714153] BUG", 29201245.714153, None, "BUG"),
    ("[Wed Dec 20 10:51:06 2023] BUG", None, None, "BUG"),
    ("[ 1234.567890] gw1 kernel: BUG", 1234.56789, None, "BUG"),
    ("4,414,6420658431,-;Oops: 0000", 6420.658431, None, "Oops: 0000"),
    ("6,414,6420658431,-,caller=T11;Oops: 0000", 6420.658431, None, "Oops: 0000"),
    ("kernel: BUG: Bad page", None, None, "BUG: Bad page"),
    ("> > [  1.000000] RIP: f", 1.0, None, "RIP: f"),
    ("gw1 login: [  1.000000] RIP: f", 1.0, None, "RIP: f"),
    ("\x1b[31m[  1.000000] BUG\x1b[0m", 1.0, None, "BUG"),
    ("[  1.000000] BUG\0\0", 1.0, None, "BUG"),
)
BARE = (
    "RIP: 0010:f+0x1/0x2",
    ">000003ff7fd10aca: 9601201f\toi\t31(%r2),1",  # s390 marks the faulting instruction so
    "[<ffffffff810ae640>] f+0x1/0x2",
    "[c000000003507890] [c000000000d89d7c] f+0x70/0xa0",
    "Modules linked in: kernel",
)


def one(raw: bytes) -> LogLine:
    (line,) = dmesg.parse(7, raw)
    return line


@pytest.mark.parametrize("raw, time, caller, text", PREFIXED, ids=[row[0][:24] for row in PREFIXED])
def test_prefix(raw: str, time: Optional[float], caller: Optional[str], text: str) -> None:
    line = one(raw.encode())._replace(clock=None)
    assert line == LogLine(7, time, caller, text, not raw.startswith("gw1") or time is not None, len(raw.encode()))


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("Jun 14 20:03:13 host1 kernel: a", "Jun 14 20:03:41 host1 kernel: b", 28),
        ("2023-12-20T10:51:06.25+08:00 gw1 kernel: a", "2023-12-20T10:52:07.25+08:00 gw1 kernel: b", 61),
        ("[Wed Dec 20 10:51:06 2023] a", "[Thu Dec 21 10:51:06 2023] b", 86400),
    ],
)
def test_a_logger_s_dates_tell_how_far_lines_are_apart(first: str, second: str, apart: int) -> None:
    start, end = one(first.encode()).clock, one(second.encode()).clock
    assert start is not None and end is not None and round(end - start) == apart


def test_without_a_date_there_is_no_clock() -> None:
    assert one(b"[ 1823.251269] RIP: f").clock is None


@pytest.mark.parametrize("raw", BARE)
def test_no_prefix(raw: str) -> None:
    assert one(raw.encode()) == LogLine(7, None, None, raw, False, len(raw))


@pytest.mark.parametrize(
    "raw",
    [
        "Jun 14 20:03:13 host1 mcelog: Offlining page 6c01e4000",
        "Jun 14 20:03:13 host1 abrt-dump-oops[812]: BUG: unable to handle kernel paging request",
        "2023-12-20T10:51:06.251303+08:00 gw1 systemd[1]: WARNING: CPU: 0 PID: 1 at a.c:1",
    ],
)
def test_what_other_programs_say_is_no_line_of_the_kernel(raw: str) -> None:
    assert dmesg.parse(1, raw.encode()) == []


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"[  1.0000] x", ["[  1.0000] x"]),
        (b"[  1.000000] PSW\\x0aKrnl GPRS:\\x09 0", ["PSW", "Krnl GPRS:\t 0"]),
        (b"[  1.000000] a\\x5cb \\xe2\\x82\\xac \\x1b[31m", ["a\\b \u20ac \\x1b[31m"]),
        (b"[  1.000000] Call Trace:[  1.000001]  f+0x1/0x2", ["Call Trace:", " f+0x1/0x2"]),
        (b"[  1.000000] LOCKUP on cpu 21Modules linked in: a b", ["LOCKUP on cpu 21", "Modules linked in: a b"]),
        (b"Jun 14 20:03:13 h kernel: stall#012#0111-....: (20822", ["stall", "\t1-....: (20822"]),
        (b"[  1.000000] a\r", ["a"]),
        (b"a\rb", ["a", "b"]),
        (b"caf\xe9", ["caf\\xe9"]),
    ],
)
def test_escapes_and_lost_newlines(raw: bytes, texts: List[str]) -> None:
    assert [line.text for line in dmesg.parse(1, raw)] == texts


def test_the_second_line_of_an_escaped_record_has_the_time_of_the_first() -> None:
    assert [(line.time, line.prefixed) for line in dmesg.parse(1, b"[  1.000000] a\\x0ab")] == [(1.0, True)] * 2


def test_a_line_of_a_megabyte_is_read_in_part() -> None:
    assert len(one(b"x" * 1_000_000).text) == dmesg.MAX_LINE
