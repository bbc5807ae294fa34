"""Of a long log only the stretches that may hold a report are read with care."""

from typing import Iterator, List

import pytest
import recorded

from kdumpwrap.log import prefilter, reader
from kdumpwrap.log.prefilter import Wanted

BOOT = b"".join(b"[    1.%06d] usb 1-1: new high-speed USB device number %d\n" % (i, i) for i in range(2000))
WARNING = b"[    2.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"


TAINT = b"[    1.500000] acmewan: loading out-of-tree module taints kernel.\n"


def warnings(raw: bytes) -> Wanted:
    return Wanted.BEGINS if b"WARNING:" in raw else Wanted.ALONE if b" taint" in raw else Wanted.NO


def blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def numbers(data: bytes, size: int = 1 << 20) -> List[int]:
    return [line.number for line in prefilter.lines(blocks(data, size), warnings)]


def test_quiet_lines_are_passed_over() -> None:
    found = numbers(BOOT + WARNING + BOOT)
    assert found[: prefilter.HEAD] == list(range(1, prefilter.HEAD + 1))
    assert found[prefilter.HEAD :] == list(range(2001 - prefilter.BEFORE, 2002 + prefilter.QUIET))


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_numbers_are_the_files_however_it_is_cut(size: int) -> None:
    data = (BOOT + WARNING) * (1 if size == 1 else 3)
    lines = data.split(b"\n")
    found = list(prefilter.lines(blocks(data, size), warnings))
    assert all(lines[line.number - 1] == line.data for line in found)
    assert [line.number for line in found if b"WARNING:" in line.data] == [2001, 4002, 6003][: data.count(WARNING)]


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_a_line_that_matters_alone_is_read_alone(size: int) -> None:
    data = BOOT + TAINT + BOOT + WARNING + TAINT
    found = list(prefilter.lines(blocks(data, size), warnings))
    assert [line.number for line in found] == [
        *range(1, prefilter.HEAD + 1),
        2001,
        *range(4002 - prefilter.BEFORE, 4004),
    ]
    assert [line.data for line in found if line.gap] == [TAINT.rstrip(), found[prefilter.HEAD + 1].data]


def test_a_line_that_matters_alone_may_be_the_last() -> None:
    assert numbers(BOOT + TAINT.rstrip())[-1] == 2001


def test_a_gap_is_told() -> None:
    found = list(prefilter.lines([BOOT + WARNING + BOOT + WARNING], warnings))
    assert len([line for line in found if line.gap]) == 2
    assert found[0].gap is False


def test_a_trigger_that_is_no_headline_costs_nothing_more() -> None:
    assert len(numbers(BOOT + b"BUG in the manual\n" + BOOT)) == prefilter.HEAD


def test_a_long_report_is_read_to_its_end() -> None:
    frames = b"".join(b"[    2.%06d]  f%d+0x1/0x2\n[    2.000000] noise\n" % (i, i) for i in range(400))
    (report,) = reader.parse([BOOT + WARNING + b"[    2.000000] Call Trace:\n" + frames + BOOT]).reports
    assert len(report.trace) == 400


def test_a_line_without_an_end_is_not_collected() -> None:
    pieces = list(prefilter._pieces(b"x" * (1 << 20) for _ in range(20)))
    assert sum(len(piece.data) for piece in pieces) <= prefilter.LONGEST
    (line,) = prefilter.lines((b"x" * (1 << 20) for _ in range(20)), lambda raw: Wanted.BEGINS)
    assert line.number == 1


def test_the_line_behind_a_line_without_an_end_is_read() -> None:
    (report,) = reader.parse(blocks(b"x" * 3_000_000 + b"\n" + WARNING, 1 << 20)).reports
    assert report.line == 2


def test_pstores_blocks_are_read_whole() -> None:
    quiet = b"".join(b"<6>[    1.%06d] usb 1-1: new device\n" % i for i in range(500))
    data = b"Panic#1 Part1\n" + b"<4>[    3.000000] Kernel panic - not syncing: Fatal exception\n" + quiet
    data += b"Panic#1 Part2\n" + quiet
    data += b"<1>[    2.000000] BUG: kernel NULL pointer dereference, address: 0000000000000018\n"
    (report,) = reader.parse([data]).reports
    assert (report.kind, report.panic) == ("null-pointer", "Fatal exception")


# some are what they are by the place where they begin
@pytest.mark.parametrize(
    "name",
    sorted(
        {*recorded.NAMES} - {"cut-at-both-ends", "el7-head-cut-off", "head-left-out", "pstore-blocks", "json-string"}
    ),
)
def test_a_report_far_down_a_log_is_the_same(name: str) -> None:
    data = recorded.data(name)
    alone, far = reader.parse([data]), reader.parse(blocks(BOOT * 20 + data, 1 << 16))
    moved = [(report.line + 40000, report.kind, report.trace) for report in alone.reports]
    assert [(report.line, report.kind, report.trace) for report in far.reports] == moved


BANNER = b"[    0.000000] Linux version 5.14.0-503.el9.x86_64 (mockbuild@x) (gcc) #1 SMP\n"


def everything(data: bytes) -> List[bytes]:
    """What is looked at with care, whatever triggers it."""
    return [line.data for line in prefilter.lines([data], lambda _: Wanted.BEGINS)]


def test_what_a_boot_prints_is_passed_over() -> None:
    """No report begins there, and one that was being printed ended with the reboot."""
    assert everything(BANNER + BOOT) == [BANNER.rstrip()]
    found = everything(BANNER + BOOT + WARNING + b"[    2.1] f+0x1/0x2\n" + BANNER + BOOT)
    assert found[-3:] == [WARNING.rstrip(), b"[    2.1] f+0x1/0x2", BANNER.rstrip()]
    assert len(everything(BOOT)) == prefilter.HEAD


@pytest.mark.parametrize(
    "headline",
    [
        b"Slab corruption (Not tainted): size-64 start=ffff880037a5b000, len=64",
        b"unreferenced object 0xffff8880051ae000 (size 64):",
        b"Internal error: Oops - undefined instruction: 0000000002000000 [#2] SMP",
        b"SError Interrupt on CPU0, code 0x00000000be000011 -- SError",
    ],
)
def test_whole_logs_lose_nothing(headline: bytes) -> None:
    line = b"[   99.000000] " + headline
    assert line in everything(BANNER + BOOT + line + b"\n" + BOOT)


@pytest.mark.parametrize("back", [0, 16, 17, 30, 37, 38, 39])
def test_a_word_that_two_stretches_share_is_found(back: int) -> None:
    line = b"[   99.000000] Unable to handle kernel paging request at virtual address ffff800008c3d0a8"
    boot = (BANNER + BOOT * 4)[: len(BANNER) + prefilter._STRETCH - back]  # the banner is looked at, then all the rest
    boot = boot[: boot.rindex(b"\n")].ljust(len(boot) - 1, b".") + b"\n"
    assert line in everything(boot + line + b"\n" + BOOT)


@pytest.mark.parametrize("items", [0, 1, 5000], ids=["no #", "a rare #", "many of them"])
def test_the_mark_of_die_is_found_among_others(items: int) -> None:
    others = b"[   98.000000] bus #1 and [ #2\n" * items
    line = b"[   99.000000] Internal error: undefined instruction: 0000000002000000 [#2] SMP"
    assert line in everything(BANNER + BOOT + others + BOOT + line + b"\n" + BOOT)


def test_words_that_only_damaged_logs_need() -> None:
    """A log as kdump saves it has each headline whole; one that went through hands may have lost its beginning."""
    lost = b"[   99.000000] Oops: general protection\n"
    assert lost.rstrip() in everything(BOOT + lost)
    assert lost.rstrip() not in everything(BANNER + BOOT + lost)
