"""What crash(8) printed about real crashes, read: recorded with crash 8.0.2 on Debian's 6.1.0-47."""

import random
import time
from pathlib import Path
from typing import Callable, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.log import LoadedModule
from kdumpwrap.model.vmcore import BlockedTask, LoadedAt, MemoryRow, SlabObject
from kdumpwrap.parse import crash, crash_failure

DATA = Path(__file__).parent.parent / "data" / "crash"


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


# ---------------------------------------------------------------- bt


def test_bt_gives_each_frame_with_its_runtime_address() -> None:
    (task,) = crash.backtraces(recorded("iptunnel-bt"))
    assert (task.pid, task.task, task.cpu, task.comm) == (112, 0xFFFF8B6E9FE39800, 1, "ping")
    assert len(task.frames) == 41  # 40 numbered ones, and the exception's instruction pointer
    assert [row.frame.symbol for row in task.frames[:3]] == ["machine_kexec", "__crash_kexec", "crash_kexec"]
    assert task.frames[0].frame.runtime == 0xFFFFFFFF9726C3CF
    assert task.frames[0].frame.offset is None  # bt without -s does not say it
    assert task.warnings == ("WARNING: possibly bogus exception frame",)
    (doubted,) = [row for row in task.frames if row.warning]
    assert (doubted.number, doubted.frame.symbol, doubted.frame.context) == (18, "do_softirq", None)


def test_an_exception_is_a_frame_of_its_own_looked_up_as_it_is() -> None:
    task = crash.backtraces(recorded("iptunnel-bt"))[0]
    (exact,) = [row for row in task.frames if row.frame.exact]  # the bogus one has no symbol, so it is none
    assert exact.number == 6
    assert exact.frame == ResolvedFrame(
        "iptunnel_xmit", 515, runtime=0xFFFFFFFF97AA7103, exact=True, context="IRQ"
    )  # decimal even with -x


def test_what_lies_above_the_mark_is_on_that_stack() -> None:
    task = crash.backtraces(recorded("iptunnel-bt"))[0]
    assert {row.frame.context for row in task.frames if row.number <= 17} == {"IRQ"}
    assert {row.frame.context for row in task.frames if row.number > 17} == {None}


def test_bt_with_offsets_lines_and_modules() -> None:
    idle, panic = crash.backtraces(recorded("iptunnel-bt-a"))
    assert (idle.comm, idle.cpu, panic.comm) == ("swapper/0", 0, "ping")
    rows = {row.frame.symbol: row for row in panic.frames}
    send4 = rows["send4"]
    assert (send4.frame.offset, send4.frame.module) == (0x7A, "xxxwan")
    assert (send4.file, send4.line) == ("/home/builder/xxxwan/xxxwan.c", 109)  # the line after the call
    ip = rows["iptunnel_xmit"]
    assert ip.file is not None
    assert (ip.file.rpartition("/")[2], ip.line) == ("local.h", 33)  # below the registers, the innermost inlined line


def test_the_place_that_an_nmi_interrupted_is_named_twice_and_exact_both_times() -> None:
    idle = crash.backtraces(recorded("iptunnel-bt-a"))[0]
    halted = [row.frame for row in idle.frames if row.frame.symbol == "native_safe_halt"]
    assert [(frame.exact, frame.context) for frame in halted] == [(True, "NMI"), (True, None)]
    assert len({frame.runtime for frame in halted}) == 1


@pytest.mark.parametrize(
    ("text", "comm"),
    [
        ('PID: 1  TASK: ffff888000000000  CPU: 0  COMMAND: "a "b" c"', 'a "b" c'),
        ('PID: 1  TASK: ffff888000000000  CPU: 0  COMMAND: ""', ""),
        ('PID: 1  TASK: ffff888000000000  CPU: -  COMMAND: "x\x1b[31m"', "x\x1b[31m"),
    ],
    ids=["quotes", "empty", "escapes"],
)
def test_a_command_name_holds_anything(text: str, comm: str) -> None:
    assert crash.backtraces(text)[0].comm == comm


# ---------------------------------------------------------------- the other commands


def test_sys() -> None:
    system = crash.system(recorded("softlockup-sys"))
    assert (system.cpus, system.tasks, system.nodename) == (2, 3, "wan-gw1")
    assert (system.release, system.uptime) == ("6.1.0-47-cloud-amd64", "00:00:15")
    assert system.memory == "511.5 MB"
    assert system.date is not None
    assert system.date.startswith("Tue Jan  9 16:40:1")
    assert system.panic == "Kernel panic - not syncing: softlockup: hung tasks"


@pytest.mark.parametrize(
    ("name", "panic"),
    [("iptunnel-sys", "Oops: 0000 [#1] PREEMPT SMP NOPTI"), ("distmod-sys", None)],
    ids=["with a remark behind it", "empty"],
)
def test_the_panic_text_of_sys(name: str, panic: Optional[str]) -> None:
    assert crash.system(recorded(name)).panic == panic


def test_kmem_i() -> None:
    rows = {row.name: row for row in crash.memory(recorded("iptunnel-kmem-i"))}
    assert rows["TOTAL MEM"] == MemoryRow("TOTAL MEM", 79301, "309.8 MB", None)
    assert rows["FREE"] == MemoryRow("FREE", 71413, "279 MB", 90)
    assert rows["BUFFERS"] == MemoryRow("BUFFERS", 0, "0", 0)
    assert rows["COMMIT LIMIT"].size == "154.9 MB"
    assert len(rows) == 14


def test_ps_m_counts_days_too() -> None:
    tasks = crash.tasks(recorded("softlockup-ps-m"))
    assert (tasks[0].comm, tasks[0].state, tasks[0].seconds) == ("xxxwan_poll", "RU", 11.992)
    waiting = '[2 01:02:03.500] [UN]  PID: 771    TASK: ffff8adcc1ef1800  CPU: 3    COMMAND: "jbd2/sda1-8"'
    assert crash.tasks(waiting) == (BlockedTask(771, 0xFFFF8ADCC1EF1800, 3, "jbd2/sda1-8", "UN", 2 * 86400 + 3723.5),)


def test_the_time_since_boot() -> None:
    assert crash.seconds(str(crash.system(recorded("iptunnel-sys")).uptime)) == 3
    assert crash.seconds("195 days, 03:12:07") == 195 * 86400 + 3 * 3600 + 12 * 60 + 7
    assert crash.seconds("(unknown)") is None


def test_the_slab_object_that_holds_an_address() -> None:
    found = crash.slab(recorded("iptunnel-kmem-slab"), 0xFFFF8B6E98D8E108)
    assert found == SlabObject("skbuff_head_cache", 232, 0xFFFF8B6E98D8E100, 8, True)
    free = recorded("iptunnel-kmem-slab").replace("  [ffff8b6e98d8e100]", "   ffff8b6e98d8e100  (cpu 0 cache)")
    assert crash.slab(free, 0xFFFF8B6E98D8E108) == SlabObject("skbuff_head_cache", 232, 0xFFFF8B6E98D8E100, 8, False)
    assert crash.slab(recorded("iptunnel-kmem-task"), 0xFFFF8B6E9FE39810) == SlabObject(
        "task_struct", 6144, 0xFFFF8B6E9FE39800, 16, True
    )


@pytest.mark.parametrize("name", ["iptunnel-kmem-page", "iptunnel-kmem-nothing"])
def test_an_address_in_no_slab(name: str) -> None:
    assert crash.slab(recorded(name), 0xFFFFFFFF97AA7103) is None


def test_modules() -> None:
    assert crash.modules(recorded("iptunnel-mod-t")) == (LoadedModule("xxxwan", "OE"),)
    assert crash.modules(recorded("sysrq-mod-t")) == ()  # "no tainted modules"
    loaded = crash.loaded(recorded("iptunnel-mod"))
    assert len(loaded) == 8
    assert LoadedAt("xxxwan", 0xFFFFFFFFC028F000, 16384) in loaded


def test_the_banner_is_put_together_again() -> None:
    banner = crash.memory_text(recorded("iptunnel-banner"))
    assert banner.startswith("Linux version 6.1.0-47-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 ")
    assert banner.endswith("Debian 6.1.170-3 (2026-05-08)")


def test_version_and_minimal_mode() -> None:
    assert crash.version("\ncrash 8.0.4-2.el9\nCopyright (C) 2002-2022  Red Hat, Inc.\n") == "8.0.4"
    assert crash.version("crash: no\n") is None
    assert crash.unavailable(recorded("minimal-bt"))
    assert crash.unavailable("WARNING: the option '-T' is not available in minimal mode\n")
    assert not crash.unavailable(recorded("iptunnel-bt"))


# ---------------------------------------------------------------- failures

VMLINUX = "/usr/lib/debug/lib/modules/6.1.0-47-cloud-amd64/vmlinux"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("truncated-50", "silent"),
        ("truncated-50-d1", "truncated"),
        ("truncated-75", "truncated"),  # "do not match!" only follows from the read errors
        ("truncated-90", "truncated"),
        ("truncated-97", "truncated"),
        ("unmoved-d1", "unmoved"),  # Linux 6.12; without -d1 it says nothing
        ("module-layout", "too old"),  # the same, with --kaslr=auto
        ("incomplete", "incomplete"),
        ("incomplete-zero", "incomplete"),  # "do not match!" without a read error: zeroes were read
        ("mismatch", "mismatch"),
        ("mismatch-banner", "mismatch"),  # crash 8.0.6, two builds of 6.12
        ("no-debuginfo", "no debuginfo"),
        ("random", "no dump"),
        ("empty", "no dump"),
        ("memory-300", "memory"),
        ("memory-500", "silent"),
    ],
)
def test_why_crash_did_not_start(name: str, kind: str) -> None:
    assert crash_failure.starting(recorded(f"start-{name}"), VMLINUX).kind == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("crash: cannot allocate any more memory!\n", "memory"),
        ("crash: cannot determine length of symbol: log_end\n", "too old"),
        ("crash: invalid structure member offset: task_struct_state\n       FILE: task.c\n", "too old"),
        (
            'crash: page excluded: kernel virtual address: ffffffff825545a8  type: "page_offset_base"\n',
            "unmoved",
        ),
        ("diskdump: uncompress failed: no zstd compression support\n", "compression"),
        ("WARNING: something\n\ncrash: seldom heard of\n", "other"),
    ],
)
def test_why_others_say_crash_did_not_start(text: str, kind: str) -> None:
    assert crash_failure.starting(text, VMLINUX).kind == kind


def test_a_file_that_is_no_vmlinux_is_told_from_one_that_is_no_dump() -> None:
    text = recorded("start-random-vmlinux")
    path = text.partition("crash: ")[2].partition(": ")[0]
    assert crash_failure.starting(text, path).kind == "no vmlinux"
    assert crash_failure.starting(text, VMLINUX).kind == "no dump"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('log: read error: kernel virtual address: ffffffff98c62560  type: "prb"\n', "truncated"),
        ('log: page incomplete: kernel virtual address: ffffffff98c62560  type: "prb"\n', "truncated"),
        ("\nWARNING: cannot read prb_text_data_ring contents\n", "truncated"),
        ("PID: 1\nbt: cannot allocate any more memory!\n", "memory"),
        ("  TOTAL MEM    793kmem: cannot allocate any more memory!\n", "memory"),
        (' #1 [ffbt: read error: kernel virtual address: ffffffff98c62560  type: "x"\n', "truncated"),
        ("log: cannot determine length of symbol: log_end\n", "too old"),
        ("[    3.1] sda: read error: sector 12\n", None),
        ("[    3.1] Out of memory: Killed process 7 (x)\nsda: read error: kernel\n", None),
        ("bt: invalid task or pid value: 99999\n", None),
    ],
)
def test_what_spoils_an_answer(text: str, kind: Optional[str]) -> None:
    found = crash_failure.answering(text)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize("command", ["sys", "bt"])
def test_a_crash_whose_gdb_broke_down_goes_on_without_an_answer(command: str) -> None:
    assert crash_failure.broken(recorded("start-tasks-unread")) == (
        "lost tasks",
        "crash: cannot read pid struct from xarray",
    )
    found = crash_failure.answering(recorded(f"tasks-unread-{command}"))
    assert found == ("broken", "<segmentation violation in gdb>")
    assert crash_failure.broken(recorded("start-truncated-75")) is None


# ---------------------------------------------------------------- any text

PARSERS: "list[Callable[[str], object]]" = [
    crash.backtraces,
    crash.system,
    crash.memory,
    crash.tasks,
    crash.modules,
    crash.loaded,
    crash.memory_text,
    crash.version,
    crash.unavailable,
    lambda text: crash.slab(text, 0xFFFF888000000000),
    lambda text: crash_failure.starting(text, VMLINUX),
    crash_failure.answering,
]


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    for parser in PARSERS:
        parser(text)


def test_recorded_text_with_holes_in_it() -> None:
    chance = random.Random(6)
    for file in sorted(DATA.glob("*.txt")):
        text = file.read_text()
        for _ in range(20):
            cut = sorted(chance.sample(range(len(text) + 1), 2)) if len(text) > 1 else [0, 0]
            for parser in PARSERS:
                parser(text[: cut[0]] + chance.choice(["", "\0", "\n", "[", "\x1b[0m"]) + text[cut[1] :])


@pytest.mark.timing
@pytest.mark.parametrize(
    "piece",
    [" ", "A", "#", "[", "1", 'PID: 1 TASK: a CPU: 0 COMMAND: "', "crash: ", "A ", "\t", "a-", "crash: read error: a "],
)
def test_a_line_of_a_megabyte_takes_linear_time(piece: str) -> None:
    start = time.process_time()
    for parser in PARSERS:
        parser(piece * ((1 << 20) // len(piece)))
    assert time.process_time() - start < 5
