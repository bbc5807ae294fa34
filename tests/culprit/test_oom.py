"""The table that stands in front of a panic for want of memory."""

import textwrap
from typing import Optional, Tuple

import pytest
from conftest import TESTS
from test_holders import report, told

from kdumpwrap.log import oom, prefilter, reader
from kdumpwrap.model.log import LogLine, OutOfMemory


def test_the_table_of_a_host() -> None:
    """It is longer than what a report is given without any sign of one."""
    found = report("oom-panic-many-tasks")
    memory = found.memory
    assert memory is not None and memory.listed == 163 > prefilter.QUIET
    assert [(task.pid, task.comm, task.rss) for task in memory.tasks[:3]] == [
        (1201, "acmed", 3600000),
        (1188, "java", 1640000),
        (1300, "mysqld", 360000),
    ]
    assert memory[2:] == (8388024, 51696, 7582196, 46352, 214856, 206408, 1048576, 2097148, 1024, None, None)
    why = told(found)
    assert why[1].startswith("Largest of 163 tasks: acmed (pid 1201) 3516 MiB, java (pid 1188) 1602 MiB, mysqld")
    assert why[2] == "Of 8191 MiB of RAM: anonymous memory with shmem 7404 MiB, shmem alone 45 MiB, free 50 MiB."
    assert why[3] == "Slab: 210 MiB, of which 202 MiB cannot be given back."
    assert why[4] == "Besides: huge pages 1024 MiB, whether used or not; swap 2048 MiB, 1024 KiB of it free."
    assert why[5] == "sh only asked for memory when none was left: that does not make it the cause."
    assert len(why) == 6


def test_the_limit_of_a_control_group() -> None:
    memory = report("oom-panic-memcg").memory
    assert memory is not None and (memory.cgroup, memory.limit) == ("/system.slice/acme.service", 102400)
    assert memory.tasks[0].rss == 97320  # rss, not rss_anon behind it
    assert (
        "The limit of 100 MiB of the control group /system.slice/acme.service was reached"
        in told(report("oom-panic-memcg"))[-1]
    )


def test_who_asked_is_not_excused_where_it_is_the_largest() -> None:
    found = report("oom-nobody-left-el7")
    assert not any("only asked" in sentence for sentence in told(found))
    other = found._replace(pid=4, comm="kswapd0")
    assert told(other)[-1].startswith("kswapd0 only asked for memory")


def test_pages_may_be_larger() -> None:
    memory = report("oom-panic-64k-pages").memory
    assert memory is not None and (memory.ram, memory.tasks[0].rss) == (2097006 * 64, 9000 * 64)


def taken(*lines: str) -> Optional[OutOfMemory]:
    table = oom.Table()
    for number, text in enumerate(lines, 1):
        table.read(LogLine(number, None, None, text))
    return table.take()


def test_only_what_the_kernel_printed() -> None:
    assert taken("active_anon:5 inactive_anon:5") is None
    bare = taken("sh invoked oom-killer: gfp_mask=0x0", "nonsense: x", "[    1]     0     1    10    10 x y")
    assert bare == OutOfMemory((), 0, *(None,) * 11)
    group = taken("sh invoked oom-killer: gfp_mask=0x0", "Task in /acme/job killed as a result of limit of /acme")
    assert group is not None and group.cgroup == "/acme"  # to 4.18


@pytest.mark.parametrize("tail", [(), ("Kernel panic - not syncing: Fatal exception",)])
def test_a_task_that_was_killed_is_no_crash(tail: Tuple[str, ...]) -> None:
    log = reader.parse(["\n".join(("sh invoked oom-killer: gfp_mask=0x0", "Mem-Info:", *tail)).encode()])
    assert [report.memory for report in log.reports] == [None] * len(tail)


@pytest.mark.parametrize("width", [72, 80])
def test_rows_that_a_narrow_window_cut_are_not_lost_without_a_word(width: int) -> None:
    text = (TESTS / "data/blamed/oom-panic-many-tasks.log").read_text()
    whole = reader.parse([text.encode()])
    assert not [one for one in whole.problems if "row" in one.message]
    cut = "\n".join("\n".join(textwrap.wrap(row, width)) if "acmed" in row else row for row in text.splitlines())
    found = reader.parse([cut.encode()])
    memory = found.reports[-1].memory
    lost = memory is None or "acmed" not in {task.comm for task in memory.tasks}
    assert lost == any("looks like a row of the table of tasks" in one.message for one in found.problems)
