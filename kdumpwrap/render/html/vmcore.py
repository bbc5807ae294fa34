"""The section of the vmcore: where it and the log differ, the machine's state, the backtrace of each CPU."""

from typing import Dict, List, Optional, Sequence, Tuple

from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Report
from kdumpwrap.model.vmcore import Backtrace, BacktraceFrame, VmcoreFacts
from kdumpwrap.render import vmcore as words
from kdumpwrap.render.html import frames
from kdumpwrap.render.html.document import esc

BLOCKED = 200  # stuck tasks that a page lists
_OPEN = 5  # listed tasks that are not folded
_STACKS = 100  # different stacks of CPUs

_LABELS = {
    "system": "System",
    "panic": "Panic",
    "task": "Panic task",
    "stuck": "Stuck task",
    "memory": "Memory",
    "tainting": "Tainting",
    "address": "Fault address",
    "log": "Log",
}


def section(facts: VmcoreFacts, finding: Optional[Finding]) -> str:
    """The section's content. ``finding`` is that of the log: it knows which modules are out of tree."""
    told = finding
    if told is None or not told.report.modules:
        told = Finding(Resolution(Report("oops", "", 0, modules=facts.modules)))
    note = f'<p class="note">Source: crash(8), started as <code>{esc(facts.rung)}</code>.</p>'
    return f"{_differences(facts)}{_facts(facts)}{_panic(facts, told)}{_others(facts, told)}{note}"


def folds(facts: VmcoreFacts) -> bool:
    """Whether a frame has inlined callers, which are folded."""
    tasks = (*((facts.panic_task,) if facts.panic_task else ()), *facts.other_cpus)
    return any(len(row.frame.locations) > 1 for task in tasks for row in task.frames)


def _differences(facts: VmcoreFacts) -> str:
    rows = "".join(
        f"<div><dt>{esc(one.what)}</dt><dd><span>the log </span><code>{esc(one.log) or '–'}</code></dd>"
        f"<dd><span>crash </span><code>{esc(one.crash) or '–'}</code></dd></div>"
        for one in facts.differences
    )
    return f'<div class="differences"><h3>The log and crash do not agree</h3><dl>{rows}</dl></div>' if rows else ""


def _facts(facts: VmcoreFacts) -> str:
    rows = [
        (_LABELS[label], esc(text) + (_memory(facts) if label == "memory" else ""))
        for label, text in words.in_words(facts)
        if label in _LABELS
    ]
    if facts.blocked:
        rows.append(("Blocked", _blocked(facts)))
    body = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in rows)
    return f'<dl class="facts">{body}</dl>' if body else ""


def _memory(facts: VmcoreFacts) -> str:
    rows = "".join(
        f"<tr><td>{esc(row.name)}</td><td>{row.pages}</td><td>{esc(row.size)}</td>"
        f"<td>{f'{row.percentage}%' if row.percentage is not None else ''}</td></tr>"
        for row in facts.memory
    )
    return (
        '<details><summary>all of kmem -i</summary><table class="memory"><thead><tr><th>What</th><th>Pages</th>'
        f"<th>Size</th><th>Share</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _blocked(facts: VmcoreFacts) -> str:
    rows = [
        f"<li>{esc(task.comm)}, pid {task.pid}, uninterruptible for {task.seconds:.0f} s</li>"
        for task in facts.blocked[:BLOCKED]
    ]
    more = len(facts.blocked) - len(rows)
    rows += [f"<li>{more} more</li>"] if more else []
    rest = f"<details><summary>{len(rows[_OPEN:])} more</summary><ul>{''.join(rows[_OPEN:])}</ul></details>"
    return f"<ul>{''.join(rows[:_OPEN])}</ul>{rest if rows[_OPEN:] else ''}"


def _panic(facts: VmcoreFacts, finding: Finding) -> str:
    task = facts.panic_task
    if task is None:
        return ""
    return f"<h3>Backtrace of the panic task <span>{_who(task)}</span></h3>{_backtrace(task, finding)}"


def _others(facts: VmcoreFacts, finding: Finding) -> str:
    """The backtraces of the other CPUs, folded. CPUs with the same stack, such as idle ones, share one."""
    groups: Dict[Tuple[object, ...], List[Backtrace]] = {}
    for task in facts.other_cpus:
        groups.setdefault(tuple(map(_key, task.frames)), []).append(task)
    shown = [*groups.values()][:_STACKS]
    parts = [_group(tasks, finding) for tasks in shown]
    if len(groups) > len(shown):
        parts.append(f'<p class="note">{len(groups) - len(shown)} more are not shown.</p>')
    return f"<h3>The other CPUs</h3>{''.join(parts)}" if parts else ""


def _group(tasks: Sequence[Backtrace], finding: Finding) -> str:
    numbers = [task.cpu for task in tasks if task.cpu is not None]
    label = f"CPU{'s' if len(numbers) > 1 else ''} {_ranges(numbers)}" if numbers else "Another CPU"
    others = f" and {len(tasks) - 1} more" if len(tasks) > 1 else ""
    return (
        f'<details class="cpu"><summary>{label} <span>{_who(tasks[0], cpu=False)}{others}</span></summary>'
        f"{_backtrace(tasks[0], finding)}</details>"
    )


def _who(task: Backtrace, *, cpu: bool = True) -> str:
    where = f", CPU {task.cpu}" if cpu and task.cpu is not None else ""
    return f"{esc(task.comm)}, pid {task.pid}{where}"


def _backtrace(task: Backtrace, finding: Finding) -> str:
    warnings = "".join(f'<p class="note">{esc(warning)}</p>' for warning in task.warnings)
    return (frames.backtrace(task, finding) or '<p class="note">crash shows no frame of it.</p>') + warnings


def _key(row: BacktraceFrame) -> Tuple[object, ...]:
    return row.number, row.frame.symbol, row.frame.offset, row.frame.module, row.frame.context


def _ranges(numbers: Sequence[int]) -> str:
    """``0, 2–7``."""
    ranges: List[List[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in ranges)
