"""Who holds what: what a log says of a hang beside the stack of the task that hangs."""

import subprocess
from pathlib import Path
from typing import Tuple

from test_blamed_logs import read

from kdumpwrap.explain import holders, reasons
from kdumpwrap.model.kernel import Instruction, Resolution
from kdumpwrap.model.log import HeldLock, Report, subject
from kdumpwrap.symbolize import operands
from kdumpwrap.tools import binutils


def report(name: str) -> Report:
    _, log = read(name)
    return log.reports[subject(len(log.reports), log.fatal) or 0]


def told(found: Report) -> Tuple[str, ...]:
    return reasons.explain(Resolution.of(found))


def test_the_owner_of_a_mutex_by_the_kernels_word() -> None:
    found = report("hung-mutex-owner")
    assert found.blocker is not None
    assert (found.blocker.what, found.blocker.pid, found.blocker.comm) == ("mutex", 188, "kworker/2:1")
    assert any(frame.symbol == "acme_reset" for frame in found.blocker.trace)
    assert not any(frame.symbol == "acme_reset" for frame in found.trace)  # that stack is another task's
    assert told(found)[-1] == (
        "It waits for a mutex that kworker/2:1, pid 188, likely holds, which stands in acme_reset [acme] "
        "(the kernel's word)."
    )
    cut = found._replace(blocker=found.blocker._replace(trace=()))
    assert told(cut)[-1] == "It waits for a mutex that kworker/2:1, pid 188, likely holds (the kernel's word)."


def test_the_owner_of_a_rw_semaphore() -> None:
    found = report("hung-rwsem-owner")
    assert found.blocker is not None and found.blocker.what == "rw-semaphore"
    assert "It waits for an rw-semaphore that mv, pid 1188, likely holds" in told(found)[-1]


def test_the_locks_that_all_tasks_hold() -> None:
    """They are listed behind the last of the tasks, and are said of the first, by which the kernel panicked."""
    found = report("hung-locks-held")
    assert (found.pid, found.panic) == (1201, "hung_task: blocked tasks")
    held = [(lock.pid, lock.name, lock.frame.symbol) for lock in found.locks]
    assert held[1:] == [
        (1201, "&acme->cfg_lock", "acme_ioctl"),
        (1201, "&acme->io_lock", "acme_set_mtu"),
        (188, "&acme->io_lock", "acme_reset"),
        (188, "&acme->cfg_lock", "acme_reset"),
    ]
    assert told(found)[-2:] == (
        "It waits for the lock &acme->io_lock, which kworker/2:1, pid 188, took in acme_reset [acme] "
        "(the list of locks).",
        "kworker/2:1 in turn waits for &acme->cfg_lock, which this task holds: a deadlock (the list of locks).",
    )
    alone = found._replace(locks=tuple(lock for lock in found.locks if lock.pid != 188))
    assert told(alone)[-1].startswith("It holds, or waits for, &acme->cfg_lock (taken in acme_ioctl [acme]), &acme->io")
    assert list(holders.holders(Resolution.of(found._replace(locks=())))) == []
    first = found._replace(locks=(*found.locks[1:4], HeldLock(5, "other", "x", None, found.locks[1].frame)))
    assert "a deadlock" not in told(first)[-1]


def test_tasks_that_hang_with_one_stack_are_one_report() -> None:
    _, log = read("hung-forty-tasks")
    (found,) = log.reports
    assert (found.pid, found.tasks) == (1200, 8)  # nine reports: one task was reported twice
    assert told(found)[-1] == "8 tasks hang with this very stack; this one was reported first (the log)."


def test_what_the_workers_run() -> None:
    found = report("workqueue-lockup")
    assert [(work.symbol, work.module, work.pid, work.cpus, work.seconds) for work in found.works] == [
        ("flush_to_ldisc", None, 77, "1", 0),
        ("acme_work", "acme", 188, "2", 33),
    ]
    assert "The workers run acme_work [acme] (pid 188, workqueue events for 33 s), flush_to_ldisc" in told(found)[-1]


CODE = """
        .text
        .globl  lock_config
        .type   lock_config, @function
lock_config:
        movl    ready(%rip), %esi
        cmpl    $5, ready+4(%rip)
        mov     $cfg_mutex, %rdi
        nop
        call    mutex_lock
        ret
        .size   lock_config, .-lock_config
        .data
        .zero   0xe0
        .type   cfg_mutex, @object
        .size   cfg_mutex, 32
cfg_mutex:
        .zero   32
        .bss
        .zero   0x10
        .type   ready, @object
        .size   ready, 8
ready:
        .zero   8
"""


def test_a_global_lock_has_its_name(tmp_path: Path) -> None:
    """objdump says .data+0xe0; nm knows what lies there."""
    made = tmp_path / "wan.o"
    subprocess.run(["as", "-o", str(made), "-"], input=CODE.encode(), check=True)
    tools = binutils.toolset(None)
    variables = binutils.module_symbols(tools, made).variables
    assert {(one.name, one.address, one.size, one.section) for one in variables} == {
        ("cfg_mutex", 0xE0, 32, ".data"),
        ("ready", 0x10, 8, ".bss"),
    }
    rows = binutils.instructions(tools, made, 0, 0x40, ".text")
    assert ".data+0xe0" in {relocation.target for row in rows for relocation in row.relocations}
    rows = operands.of_module(rows, variables)
    targets = [relocation.target for row in rows for relocation in row.relocations]
    assert targets[:3] == ["ready", "ready+0x4", "cfg_mutex"]
    assert targets[3].startswith("mutex_lock")
    hung = report("hung-forty-tasks")._replace(arch="x86_64", tasks=1)
    marked = tuple(row._replace(fault="call" in row.text) for row in rows)
    resolution = Resolution.of(hung)._replace(disassembly=marked)
    said = "What it waits for is cfg_mutex, a variable of the kernel or its modules (the argument of the call)."
    assert list(holders.holders(resolution)) == [said]
    other = [row._replace(relocations=()) if "$" in row.text else row for row in marked]  # in a register, not known
    assert list(holders.holders(resolution._replace(disassembly=tuple(other)))) == []


def test_a_global_lock_of_the_vmlinux_has_its_name() -> None:
    symbols = b"ffffffff82a1c280 D rtnl_mutex\nffffffff82a1c2a0 D other\nffffffff82a1d000 B _end\n"
    row = Instruction(0xFFFFFFFF81000000, b"", "mov $0xffffffff82a1c280,%rdi")
    (named,) = operands.named((row,), symbols)
    assert named.comment == "ffffffff82a1c280 <rtnl_mutex>"
    assert operands.named((row._replace(text="mov $0xfffffffffffffff4,%rax"),), symbols)[0].comment is None
