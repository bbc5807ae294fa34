"""The table of first lines: each row by its own example, and what only looks like one."""

import inspect
import re

import pytest

from kdumpwrap.log import headline, kinds, reader
from kdumpwrap.log.kinds import KINDS
from kdumpwrap.model import log as model


@pytest.mark.parametrize("row", kinds.FIRST_LINES, ids=lambda row: row.example[:50])
def test_a_row_matches_its_example(row: kinds.FirstLine) -> None:
    found = headline.parse(row.example)
    assert found is not None
    assert (found.kind, found.role, found.text) == (row.kind, row.role, row.example)


@pytest.mark.parametrize("row", kinds.FIRST_LINES, ids=lambda row: row.example[:50])
def test_a_row_names_a_word_of_its_line(row: kinds.FirstLine) -> None:
    assert "[#" in row.example or any(word.lstrip("?") in row.example for word in row.triggers)


@pytest.mark.parametrize("row", kinds.FIRST_LINES, ids=lambda row: row.example[:50])
def test_a_report_is_found_far_down_a_log(row: kinds.FirstLine) -> None:
    before = b"".join(b"[    1.%06d] usb 1-1: new high-speed USB device\n" % i for i in range(3000))
    log = reader.parse([before + b"[    2.000000] " + row.example.encode() + b"\n"])
    assert [(report.kind, report.headline, report.line) for report in log.reports] == [(row.kind, row.example, 3001)]


def test_every_kind_has_a_row() -> None:
    assert {row.kind for row in kinds.FIRST_LINES} == set(KINDS)


def test_every_kind_is_a_word_of_the_vocabulary() -> None:
    words = re.search(r"ReportKind = Literal\[(.*?)\]", inspect.getsource(model), re.S)
    assert words is not None
    assert set(re.findall(r'"([a-z-]+)"', words[1])) == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "Speculative Return Stack Overflow: WARNING: See https://kernel.org/doc/html/latest/admin-guide/hw-vuln/srso.html",
        "EXT4-fs (loop1): INFO: recovery required on readonly filesystem",
        "WARNING: You are running an unsupported configuration",
        "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.2 msecs",
        "INFO: Slab 0xffffea000cae8840 objects=16 used=9 fp=0xffff88032ba21b00",
        "INFO: task kworker/0:1:123 is blocked on a mutex likely owned by task foo:456",
        "rcu: INFO: Stall ended before state dump start",
        "traps: wand[813] general protection fault ip:4cb420 sp:7f27fd37a250 error:0 in wand[4c9000+3000]",
        "wand[812]: segfault at 4cb420 ip 00000000004cb420 sp 00007f27fd37a250 error 15",
        "---[ end Kernel panic - not syncing: Fatal exception ]---",
        "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
        "[Firmware Bug]: TSC_DEADLINE disabled due to Errata",
        "x86/PAT: DEBUG_PAGEALLOC is on",
        "Oops",
        "BUG:",
    ],
)
def test_what_is_no_headline(text: str) -> None:
    assert headline.parse(text) is None
