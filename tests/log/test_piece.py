"""Logs as people have them: the head left out, lists and titles in other places, frames that somebody touched."""

from typing import List

import pytest
import recorded

from kdumpwrap.culprit import blame
from kdumpwrap.log import reader
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Log

CPU = "CPU: 7 PID: 5150 Comm: wand Kdump: loaded Tainted: G           OE     -------  ---  5.14.0-503.el9.x86_64 #1"
BODY = (
    CPU,
    "Hardware name: Dell Inc. PowerEdge R640/0W23H8, BIOS 2.8.2 08/27/2020",
    "RIP: 0010:wan_filter+0x2b/0x70 [wan]",
    "Code: 8b 4f 18 48 85 c9 74 38 48 8b 71 60 48 85 f6 74 1b 31 c0 <48> 81 7e 30 70 fd ff ff 0f 94 c0 c3",
    "RAX: 0000000000000000 RBX: ffff9a4d4c2a7640 RCX: ffff9a4d5e1c0000",
    "Call Trace:",
    " wan_enter+0x5c/0x120 [wan]",
    " do_syscall_64+0x5c/0xf0",
    "Modules linked in: wan(OE) xfs libcrc32c",
)
NOISE = tuple(f"usb 1-1: new high-speed USB device number {number}" for number in range(500))


def parse(*lines: str) -> Log:
    return reader.parse(["".join(f"[  300.{n:06d}] {line}\n" for n, line in enumerate(lines)).encode()])


def frames(name: str) -> List[str]:
    return [recorded.place(frame) for frame in recorded.parse(name).reports[0].trace]


def test_a_report_may_begin_in_the_middle_of_a_mail() -> None:
    log = recorded.parse("head-left-out")
    (report,) = log.reports
    assert (report.kind, report.headline, report.line) == ("oops", "", 7)
    assert (report.pid, report.comm, report.release) == (5150, "acmed", "5.14.0-503.40.1.el9_5.x86_64")
    assert report.ip is not None and recorded.place(report.ip) == "=acme_filter+0x2b/0x70 [acmesec]"
    assert report.code is not None and len(report.modules) == 3
    suspect = blame.suspect(Resolution.of(report))
    assert suspect is not None and suspect.module == "acmesec"


@pytest.mark.parametrize("first", range(3))
def test_any_line_of_the_body_may_be_the_first(first: int) -> None:
    (report,) = parse("Hi, this is what I have:", "", "...", *NOISE[:9], *BODY[first:]).reports
    assert report.ip is not None and report.ip.symbol == "wan_filter"
    assert [frame.symbol for frame in report.trace] == ["wan_enter", "do_syscall_64"]


def test_a_report_without_its_head_far_from_the_start_of_what_somebody_sent() -> None:
    (report,) = parse("Hi,", *NOISE, *BODY).reports
    assert report.line == 502
    assert report.comm == "wand"


@pytest.mark.parametrize(
    "lines",
    [
        ("NMI backtrace for cpu 7", *BODY),
        ("sysrq: Show Regs", *BODY),
        ("java invoked oom-killer: gfp_mask=0x6280ca, order=0", *BODY),
        (CPU, "Call Trace:", " dump_stack+0x41/0x60", " warn_alloc+0x10e/0x190", *BODY[2:5]),  # a driver's dump_stack()
        (CPU, "RIP: 0033:0x7f20a41014af", "Code: 48 3d 00 f0 <ff> ff", "RAX: 0000000000000000"),  # a program
        ("Modules linked in: a b c", "EXT4-fs (sda1): mounted"),
    ],
    ids=["all CPUs", "sysrq", "out of memory", "dump_stack", "user space", "modules alone"],
)
def test_what_looks_like_a_body_and_is_no_crash(lines: "tuple[str, ...]") -> None:
    assert parse("Hi,", *NOISE[:3], *lines).reports == ()


def test_a_report_with_its_head_stays_one() -> None:
    log = parse("x", "BUG: unable to handle page fault for address: ffffab6eb1645690", "Oops: 0000 [#1] SMP", *BODY)
    (report,) = log.reports
    assert report.kind == "page-fault"
    assert len(parse("x", *BODY, "Kernel panic - not syncing: Fatal exception").reports) == 1


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("Hi,\n\nit says Call Trace: and then\nnothing\n", "a piece of a report whose first lines are missing"),
        ("<pre>\n<br>Call Trace:<br>\n[&lt;ffffffff810ae640&gt;] x<br>\n", "the source of a web page"),
        ("a\nRIP: 0010:foo\n", "a piece of a report"),
    ],
)
def test_a_log_with_signs_of_a_report_says_what_it_looks_like(text: str, looks: str) -> None:
    log = reader.parse([text.encode()])
    assert log.reports == ()
    (problem,) = log.problems
    assert looks in problem.message and problem.hint


def test_a_log_without_any_sign_says_nothing_of_it() -> None:
    assert parse(*NOISE).problems == ()


# ---------------------------------------------------------------- lists and frames


def test_a_list_of_modules_may_begin_on_the_next_line() -> None:
    (report,) = recorded.parse("modules-on-the-next-line").reports
    assert len(report.modules) == 17
    assert ("acmefc", "OE") in report.modules and ("acmelib", "OE") in report.modules
    suspect = blame.suspect(Resolution.of(report))
    assert suspect is not None and suspect.module == "acmefc"


def test_a_dumped_stack_is_no_list_of_modules() -> None:
    (report,) = parse("WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2", "Modules linked in:",
                      "ffff8807f25a3d98 0000000015e7fa0c ffff8807f25a3d50 ffffffff81685eac").reports  # fmt: skip
    assert report.modules == ()


def test_frames_in_brackets_need_no_title() -> None:
    assert frames("frames-without-title") == [
        "acme_replace_start+0x2dd/0x330 [acmefs]",
        "acme_ioctl+0x1c62/0x2a70 [acmefs]",
    ]


def test_frames_that_somebody_touched_are_read_and_the_others_told() -> None:
    assert frames("frames-touched-by-hand") == [
        "dump_stack+0x19/0x1b",
        "__warn+0xd8/0x100",
        "warn_slowpath_null+0x1d/0x20",
        "drop_nlink+0x3e/0x50",
        "xfs_remove+0x2aa/0x320 [xfs]",
    ]
    (problem,) = recorded.parse("frames-touched-by-hand").problems
    assert problem.message == (
        "line 8 looks like a frame of a call trace and is not understood: "
        "[<ffffffffc03cdc78>] xfs_droplink+0x28/... [xfs], and 1 more"
    )


@pytest.mark.parametrize("name", [name for name in recorded.NAMES if name != "frames-touched-by-hand"])
def test_no_other_recorded_log_has_a_frame_that_is_not_understood(name: str) -> None:
    assert recorded.parse(name).problems == ()
