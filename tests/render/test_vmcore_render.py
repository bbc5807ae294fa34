"""What crash added, for people, scripts and programs; and where it and the log do not agree."""

import json
from dataclasses import replace
from typing import Tuple

import handmade
import pytest
import recorded
from handmade import change

from kdumpwrap import shell
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import Kernel, Location, Resolution, ResolvedFrame
from kdumpwrap.model.log import LoadedModule, Report
from kdumpwrap.model.vmcore import (
    Backtrace,
    BacktraceFrame,
    BlockedTask,
    Difference,
    MemoryRow,
    SlabObject,
    StuckTask,
    System,
    VmcoreFacts,
)
from kdumpwrap.render import keys
from kdumpwrap.render import vmcore as renderer
from kdumpwrap.render.walker import walk
from kdumpwrap.vmcore import differences

SEND4 = ResolvedFrame(
    "send4",
    0x7A,
    module="xxxwan",
    runtime=0xFFFFFFFFC028F0EA,
    address=0x7A,
    section=".text",
    locations=(Location("wan_push", "/src/linux-5.14/net/a.h", 12), Location("send4", "/home/b/xxxwan.c", 107)),
)
XMIT = ResolvedFrame(
    "iptunnel_xmit", 515, exact=True, runtime=0xFFFFFFFF97AA7103, address=0xFFFFFFFF81AA7103, context="IRQ"
)
TASK = Backtrace(
    112,
    0xFFFF8B6E9FE39800,
    1,
    "ping",
    (
        BacktraceFrame(6, replace(XMIT, symbol="asm_exc_page_fault", exact=False, address=1)),
        BacktraceFrame(6, XMIT, "include/linux/local.h", 33),
        BacktraceFrame(7, SEND4, "/home/b/xxxwan.c", 109),
    ),
    ("WARNING: possibly bogus exception frame",),
)
FACTS = VmcoreFacts(
    "plain",
    System(cpus=2, uptime="00:00:03", tasks=3, nodename="wan-gw1", release="5.14.0", panic="Oops: 0000"),
    TASK,
    (TASK._replace(pid=0, comm="swapper/0", cpu=0, frames=(), warnings=()),),
    (MemoryRow("TOTAL MEM", 79301, "309.8 MB", None), MemoryRow("FREE", 71413, "279 MB", 90)),
    (BlockedTask(771, 0xFFFF8B6E9FE39800, 3, "jbd2/sda1-8", "UN", 176523.5),),
    SlabObject("skbuff_head_cache", 232, 0xFFFF8B6E98D8E100, 8, True),
    (LoadedModule("xxxwan", "OE"),),
)
FINDING = handmade.finding(
    kind="page-fault", headline="BUG: …", pid=112, comm="ping", cpu=1, ip=replace(XMIT, context=None), trace=(SEND4,)
)
ANALYSIS = Analysis(Crash("/c"), Kernel("5.14.0"), (FINDING,), 0)


def test_for_people() -> None:
    text = renderer.text(FACTS)
    assert "   system    wan-gw1, up 00:00:03, 2 cpus, 3 tasks\n" in text
    assert "   task      ping, pid 112, cpu 1, task_struct 0xffff8b6e9fe39800\n" in text
    assert "   memory    total 309.8 MB, free 279 MB (90%)\n" in text
    assert "   tainting  xxxwan (OE)\n" in text
    assert "lies 0x8 into an object of skbuff_head_cache (232 bytes at 0xffff8b6e98d8e100, allocated)\n" in text
    assert "   blocked   jbd2/sda1-8, pid 771, uninterruptible for 176524 s\n" in text
    assert "\nCPU 0 swapper/0, pid 0\n" in text


def test_a_frame_has_our_line_and_the_one_of_crash_where_it_differs() -> None:
    lines = [line.split() for line in renderer.text(FACTS).splitlines()]
    assert ["#7", "wan_push", "(inlined)", "net/a.h:12"] in lines
    assert ["send4+0x7a", "[xxxwan]", "/home/b/xxxwan.c:107", "crash:", "/home/b/xxxwan.c:109"] in lines
    assert ["ip", "iptunnel_xmit+0x203", "crash:", "include/linux/local.h:33"] in lines


def test_a_frame_that_the_log_calls_stale_is_marked() -> None:
    row = TASK.frames[2]
    stale = TASK._replace(frames=(row._replace(frame=replace(row.frame, certain=False)),))
    assert "      ? send4+0x7a [xxxwan] " in renderer.text(FACTS._replace(panic_task=stale))


def test_for_programs() -> None:
    value = json.loads(json.dumps(walk(FACTS, keys.VMCORE)))
    assert list(value) == (
        "rung system panic_task other_cpus memory blocked slab modules log differences problems stuck".split()
    )
    assert value["slab"] == {
        "cache": "skbuff_head_cache",
        "object_size": 232,
        "start": "0xffff8b6e98d8e100",
        "offset": "0x8",
        "allocated": True,
    }
    frame = value["panic_task"]["frames"][2]
    assert (frame["symbol"], frame["runtime"], frame["crash"]) == (
        "send4",
        "0xffffffffc028f0ea",
        {"file": "/home/b/xxxwan.c", "line": 109},
    )
    assert value["blocked"][0]["task"] == "0xffff8b6e9fe39800"
    empty = walk(VmcoreFacts("minimal"), keys.VMCORE)
    assert (empty["system"], empty["panic_task"], empty["slab"], empty["log"]) == (None, None, None, None)


def test_for_scripts() -> None:
    rows = [line.split("\t") for line in renderer.raw(FACTS).splitlines()]
    assert rows[0] == ["crash-rung", "plain"]
    assert ["crash-task", "112", "0xffff8b6e9fe39800", "1", "ping"] in rows
    assert ["crash-module", "xxxwan", "OE"] in rows
    (send4,) = [row for row in rows if row[0] == "crash-frame" and row[4] == "send4"]
    assert send4[:8] == ["crash-frame", "7", "", "0", "send4", "0x7a", "xxxwan", "0xffffffffc028f0ea"]
    assert send4[8:] == ["/src/linux-5.14/net/a.h", "12", "/home/b/xxxwan.c", "109", ""]


def test_the_row_whose_registers_crash_doubts_is_marked() -> None:
    frames = (*TASK.frames[:2], TASK.frames[2]._replace(warning=TASK.warnings[0]))
    facts = FACTS._replace(panic_task=TASK._replace(frames=frames), other_cpus=())
    text = renderer.text(facts)
    (row,) = [line for line in text.splitlines() if "bogus" in line]
    assert row.split()[0] == "send4+0x7a"
    assert row.endswith("crash: /home/b/xxxwan.c:109, possibly bogus exception frame")
    assert '"warning": "WARNING: possibly bogus exception frame"' in json.dumps(walk(facts, keys.VMCORE))
    rows = renderer.raw(facts).splitlines()
    assert sum(line.endswith("\tWARNING: possibly bogus exception frame") for line in rows) == 1


def test_nothing_that_the_dump_holds_reaches_a_terminal_as_an_escape() -> None:
    bad = "\x1b[31m\u202e\n\t[red]"
    frame = BacktraceFrame(
        0, ResolvedFrame(bad, 1, module=bad, context=bad, locations=(Location(bad, bad, 1),)), bad, 2
    )
    facts = VmcoreFacts(
        "plain",
        System(nodename=bad, uptime=bad, panic=bad, date=bad, load_average=bad),
        Backtrace(1, 2, 3, bad, (frame,), (bad,)),
        memory=(MemoryRow("TOTAL MEM", 1, bad, 1),),
        blocked=(BlockedTask(1, 2, 3, bad, bad, 4.0),),
        slab=SlabObject(bad, 1, 2, 3, False),
        modules=(LoadedModule(bad, bad),),
        differences=(Difference(bad, bad, bad),),
        problems=(Problem(bad, shell.own(bad)),),
    )
    for shown in (renderer.text(facts), renderer.raw(facts), json.dumps(walk(facts, keys.VMCORE))):
        assert "\x1b" not in shown
        assert "\u202e" not in renderer.text(facts)
    assert all(line.startswith("crash-") for line in renderer.raw(facts).splitlines())


def test_a_crash_that_answered_nothing() -> None:
    lines = renderer.text(VmcoreFacts("minimal")).splitlines()
    assert lines == ["From the vmcore (crash, minimal)", "   nothing: crash answered none of the questions"]


# ---------------------------------------------------------------- differences


def told(finding: Finding, facts: VmcoreFacts) -> "list[Difference]":
    return [*differences.between(finding.resolution, ANALYSIS, facts)]


def test_both_tell_the_same() -> None:
    assert told(FINDING, FACTS) == []
    assert told(change(FINDING, comm=None, pid=None, cpu=None, ip=None), FACTS) == []  # the log says less
    assert told(FINDING, VmcoreFacts("minimal")) == []  # crash says less


def test_a_time_since_boot_that_crash_counts_in_other_ticks() -> None:
    """Linux 6.12 with 250 Hz, 16 s after boot: crash 8.0.6 takes it for 1000 Hz."""
    facts = FACTS._replace(system=System(uptime="00:03:48"))
    assert told(change(FINDING, time=16.4), facts) == [Difference("uptime", "16 s", "00:03:48")]
    assert told(change(FINDING, time=225.1), facts) == []
    assert told(change(FINDING, time=None), facts) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"pid": 7}, ("pid", "7", "112")),
        ({"cpu": 0}, ("cpu", "0", "1")),
        ({"comm": "pong"}, ("comm", "pong", "ping")),
        (
            {"ip": ResolvedFrame("memcpy", 4, exact=True, address=5)},
            ("instruction pointer", "memcpy+0x4", "iptunnel_xmit+0x203"),
        ),
        (
            {"trace": (SEND4, ResolvedFrame("ip_output", 118, address=6))},
            ("call trace", "ip_output+0x76", "not in its backtrace"),
        ),
        ({"modules": (LoadedModule("xxxwan", "O"),)}, ("taint of xxxwan", "O", "EO")),
        ({"modules": (LoadedModule("xxxwan", "OE+"), LoadedModule("zfs", "P"))}, ("taint of zfs", "P", "")),
    ],
)
def test_where_they_differ_both_are_shown(changed: "dict[str, object]", expected: Tuple[str, str, str]) -> None:
    finding = change(FINDING, **changed)
    assert told(finding, FACTS) == [Difference(*expected)]
    shown = renderer.text(FACTS._replace(differences=differences.between(finding.resolution, ANALYSIS, FACTS)))
    assert f"The log and crash do not agree: {expected[0]}\n   log       {expected[1]}".rstrip() in shown


def logged(name: str) -> Tuple[Finding, Report]:
    """The only report of a recorded log, without debuginfo."""
    (report,) = recorded.parse(name).reports
    return Finding(Resolution.of(report)), report


WATCHER = Backtrace(
    88,
    0xFFFF8B6E80A48000,
    6,
    "khungtaskd",
    (
        BacktraceFrame(0, ResolvedFrame("machine_kexec", 0x1AE)),
        BacktraceFrame(1, ResolvedFrame("__crash_kexec", 0x6A)),
        BacktraceFrame(2, ResolvedFrame("panic", 0xE7)),
        BacktraceFrame(3, ResolvedFrame("watchdog", 0x2F9)),
        BacktraceFrame(4, ResolvedFrame("kthread", 0x134)),
        BacktraceFrame(5, ResolvedFrame("ret_from_fork", 0x35)),
    ),
)


def test_a_watcher_that_panics_is_no_difference() -> None:
    """The log's report is about the stuck task, crash's backtrace about khungtaskd, which panicked because of it."""
    finding, report = logged("el8-hung-task-watcher-panics")
    facts = VmcoreFacts("plain", panic_task=WATCHER)
    assert told(finding, facts) == []
    assert differences.stuck(report, facts) == StuckTask(2210, "acme_sync")
    facts = facts._replace(stuck=differences.stuck(report, facts))
    text = renderer.text(facts)
    assert "task      khungtaskd, pid 88, cpu 6" in text
    assert "stuck     acme_sync, pid 2210, by the log: khungtaskd watched it and panicked" in text
    assert walk(facts, keys.VMCORE)["stuck"] == {"pid": 2210, "comm": "acme_sync"}
    assert "crash-stuck\t2210\tacme_sync\n" in renderer.raw(facts)


def test_another_watcher_is_a_difference() -> None:
    finding, _ = logged("el8-hung-task-watcher-panics")
    other = WATCHER._replace(pid=7, frames=WATCHER.frames[:4])
    found = {one.what: (one.log, one.crash) for one in told(finding, VmcoreFacts("plain", panic_task=other))}
    assert found["pid"] == ("88", "7")
    assert found["call trace"] == ("kthread+0x134, ret_from_fork+0x35", "not in its backtrace")


def test_a_stall_is_compared_with_the_cpu_that_found_it() -> None:
    finding, report = logged("el8-rcu-stall-other-cpu")
    assert report.panicker is not None
    shown = enumerate(report.panicker.trace)
    trace = tuple(BacktraceFrame(number, ResolvedFrame(one.symbol, one.offset)) for number, one in shown)
    idle = Backtrace(0, 0xFFFF8B6E80A48000, 11, "swapper/11", trace)
    facts = VmcoreFacts("plain", panic_task=idle)
    assert told(finding, facts) == []
    assert differences.stuck(report, facts) == StuckTask(1893, "acme_rx/0")


def test_a_lockup_panics_in_the_stuck_task() -> None:
    finding, report = logged("el8-soft-lockup-same-loop")
    own = Backtrace(
        1893, 1, 3, "acme_rx/0", (BacktraceFrame(0, ResolvedFrame("acme_rx_thread", 0x2B, module="acmewan")),)
    )
    facts = VmcoreFacts("plain", panic_task=own)
    assert differences.stuck(report, facts) is None
    assert {one.what for one in told(finding, facts)} == {"call trace"}  # kthread and what is below it


def test_without_the_panics_own_lines_nothing_is_compared() -> None:
    finding, report = logged("el8-hung-task-all-doubtful")
    facts = VmcoreFacts("plain", panic_task=WATCHER)
    assert told(finding, facts) == []
    assert differences.stuck(report, facts) == StuckTask(2231, "acme_cfg")


def test_the_logs_way_to_its_own_dump_is_no_difference() -> None:
    """The trace of a panic() begins at its dump_stack(), crash's at the capture kernel's entry."""
    finding = change(FINDING, trace=(ResolvedFrame("dump_stack_lvl", 0x44, address=1234), SEND4))
    assert told(finding, FACTS) == []


def test_names_of_one_place() -> None:
    """crash says memmove where the log says __memmove."""
    finding = change(FINDING, ip=replace(XMIT, symbol="__iptunnel_xmit"))
    assert told(finding, FACTS) == []
