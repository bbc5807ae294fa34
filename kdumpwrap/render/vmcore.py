"""The answers of crash(8) to ``--with-crash``: as text, and as lines for scripts."""

from typing import Iterator, Optional, Tuple

from kdumpwrap.model.vmcore import (
    Backtrace,
    BacktraceFrame,
    BlockedTask,
    SlabObject,
    StuckTask,
    System,
    VmcoreFacts,
)
from kdumpwrap.render import lists
from kdumpwrap.render import raw as rows
from kdumpwrap.render.text import PLAIN, Style, clean, frames


def text(facts: VmcoreFacts, style: Style = PLAIN) -> str:
    """The section that follows the log's report."""
    lines = [f"{style.bold}From the vmcore{style.reset} (crash, {clean(facts.rung)})"]
    lines += [f"   {label:9} {words}" for label, words in in_words(facts)]
    for difference in facts.differences:
        lines += [
            "",
            f"{style.alarm}The log and crash do not agree: {clean(difference.what)}{style.reset}",
            f"   log       {clean(difference.log)}",
            f"   crash     {clean(difference.crash)}",
        ]
    if facts.panic_task is not None:
        title = "Backtrace of the panic task"
        lines += [
            "",
            f"{style.bold}{title}{style.reset} (innermost first; ? = stale by the log; crash: = its line, if another)",
        ]
        lines += _backtrace(facts.panic_task, style)
    for task in facts.other_cpus:
        where = f"CPU {task.cpu}" if task.cpu is not None else "Another CPU"
        lines += ["", f"{style.bold}{where}{style.reset} {clean(task.comm)}, pid {task.pid}", *_backtrace(task, style)]
    if len(lines) == 1:
        lines.append("   nothing: crash answered none of the questions")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def raw(facts: VmcoreFacts) -> str:
    """``crash-…`` lines: KEY, then the fields of its class in model.vmcore, in their order."""
    lines = [rows.row("crash-rung", facts.rung)]
    for key, value in facts.system._asdict().items() if facts.system else ():
        lines.append(rows.row(f"crash-{key.replace('_', '-')}", value))
    for task in (*([facts.panic_task] if facts.panic_task else []), *facts.other_cpus):
        lines.append(rows.row("crash-task", task.pid, rows.address(task.task), task.cpu, task.comm))
        lines += (_row(row) for row in task.frames)
    lines += (rows.row("crash-memory", *row) for row in facts.memory)
    lines += (
        rows.row("crash-blocked", task.pid, rows.address(task.task), task.cpu, task.comm, task.state, f"{task.seconds}")
        for task in facts.blocked
    )
    if facts.slab is not None:
        slab = facts.slab
        offset, start = rows.address(slab.offset), rows.address(slab.start)
        lines.append(rows.row("crash-slab", slab.cache, slab.object_size, start, offset, int(slab.allocated)))
    lines += (rows.row("crash-module", module.name, module.flags) for module in facts.modules)
    lines += (rows.row("crash-difference", *difference) for difference in facts.differences)
    if facts.stuck is not None:
        lines.append(rows.row("crash-stuck", facts.stuck.pid, facts.stuck.comm))
    return "".join(f"{line}\n" for line in lines)


def in_words(facts: VmcoreFacts) -> Iterator[Tuple[str, str]]:
    """The facts beside backtraces, a label and a line each: ("memory", "total 309.8 MB, free 279 MB (90%)")."""
    if facts.system is not None:
        yield from _system(facts.system)
    if facts.panic_task is not None:
        task = facts.panic_task
        cpu = f", cpu {task.cpu}" if task.cpu is not None else ""
        yield ("task", f"{clean(task.comm)}, pid {task.pid}{cpu}, task_struct {task.task:#x}")
    if facts.stuck is not None:
        yield ("stuck", _stuck(facts.stuck, facts.panic_task))
    sizes = {row.name: row for row in facts.memory}
    words = [
        f"{label} {clean(sizes[key].size)}" + (f" ({sizes[key].percentage}%)" if sizes[key].percentage else "")
        for key, label in (("TOTAL MEM", "total"), ("FREE", "free"), ("CACHED", "cached"), ("SLAB", "slab"))
        if key in sizes
    ]
    if sizes.get("TOTAL SWAP") and sizes["TOTAL SWAP"].pages:
        words.append(f"swap {clean(sizes['TOTAL SWAP'].size)}, {sizes['SWAP USED'].percentage or 0}% of it used")
    if words:
        yield ("memory", ", ".join(words))
    if facts.modules:
        yield ("tainting", ", ".join(f"{clean(one.name)} ({clean(one.flags)})" for one in facts.modules))
    if facts.slab is not None:
        yield ("address", _in_slab(facts.slab))
    for blocked in facts.blocked:
        yield ("blocked", _blocked(blocked))
    if facts.log is not None:
        yield ("log", f"{facts.log.count(chr(10))} lines: kdumpwrap crash CRASH -c log")


def _system(system: System) -> Iterator[Tuple[str, str]]:
    words = [
        clean(system.nodename),
        f"up {clean(system.uptime)}" if system.uptime else "",
        f"load {clean(system.load_average)}" if system.load_average else "",
        f"{system.cpus} cpus" if system.cpus is not None else "",
        f"{system.tasks} tasks" if system.tasks is not None else "",
        clean(system.date),
    ]
    yield ("system", ", ".join(word for word in words if word))
    if system.panic:
        yield ("panic", clean(system.panic))


def _stuck(stuck: StuckTask, watcher: Optional[Backtrace]) -> str:
    words = [clean(stuck.comm) or "unknown", *([f"pid {stuck.pid}"] if stuck.pid is not None else [])]
    because = f": {clean(watcher.comm)} watched it and panicked" if watcher is not None else ""
    return f"{', '.join(words)}, by the log{because}"


def _in_slab(slab: SlabObject) -> str:
    state = "allocated" if slab.allocated else "free"
    return (
        f"the faulting address lies {slab.offset:#x} into an object of {clean(slab.cache)} "
        f"({slab.object_size} bytes at {slab.start:#x}, {state})"
    )


def _blocked(task: BlockedTask) -> str:
    return f"{clean(task.comm)}, pid {task.pid}, uninterruptible for {task.seconds:.0f} s"


def _backtrace(task: Backtrace, style: Style) -> Iterator[str]:
    yield from frames(lists.backtrace(task), style, faded=False)
    for warning in task.warnings:
        if not any(row.warning == warning for row in task.frames):
            yield f"   {style.faint}{clean(warning)}{style.reset}"


def _row(row: BacktraceFrame) -> str:
    one = row.frame
    found = one.locations[0] if one.locations else None
    return rows.row(
        "crash-frame",
        row.number,
        one.context,
        int(one.exact),
        one.symbol,
        rows.address(one.offset),
        one.module,
        rows.address(one.runtime),
        found.file if found else None,
        found.line if found else None,
        row.file,
        row.line,
        row.warning,
    )
