"""``analyze --with-crash``: the facts that only the vmcore holds, from crash(8), and their differences to the log."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterable, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.debuginfo import Search
from kdumpwrap.host.packages import install
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.log import Report
from kdumpwrap.model.vmcore import Answer, Backtrace, BacktraceFrame, LoadedAt, System, VmcoreFacts
from kdumpwrap.parse import crash as parse
from kdumpwrap.symbolize.objects import CodeAddress, lookup
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.vmcore import crashed, differences, files
from kdumpwrap.vmcore.ladder import Ladder, Outcome
from kdumpwrap.vmcore.start import workplace

# -s: symbol+offset, -l: lines, -x: hexadecimal
_PANIC, _ALL, _SYSTEM, _MEMORY, _TASKS = "bt -s -l -x", "bt -a -s -l -x", "sys", "kmem -i", "ps -m"
_TAINTED, _MODULES, _LOG = "mod -t", "mod", "log"
_FEW = 2  # tasks beside the running ones: crash did not find the others


def learn(analysis: Analysis, search: Search) -> VmcoreFacts:
    """The facts that crash adds to ``analysis``; ``problems`` of the result names those that it could not give.

    Raises KdumpwrapError without a vmcore, a vmlinux or crash.
    """
    search = crashed.search_of(analysis.crash, search)
    return facts(analysis, search, ask(analysis, search))


def ask(analysis: Analysis, search: Search) -> Outcome:
    """The answers of crash from which ``facts`` makes the facts. Raises KdumpwrapError as ``learn``."""
    target = files.subject(analysis.crash, search)
    slab = _slab(analysis)
    commands = [_SYSTEM, _PANIC, _ALL, _MEMORY, _TASKS, _TAINTED, _MODULES, *([slab] if slab else [])]
    commands += [_LOG] if analysis.crash.dmesg is None else []
    with workplace() as place:
        report = _report(analysis)
        names = [module.name for module in report.modules] if report is not None else []
        modules = files.ModuleFiles(target.release, search, target.vmcore.parent, place.own, lambda: names)
        return Ladder(target, place, modules).ask(commands)


def facts(analysis: Analysis, search: Search, outcome: Outcome) -> VmcoreFacts:
    """The facts in the answers to ``ask``."""
    said = {answer.command: answer for answer in outcome.answers}
    index, report, slab = analysis.subject, _report(analysis), _slab(analysis)
    resolution = analysis.findings[index].resolution if index is not None else None
    beside = Path(analysis.crash.vmcore or analysis.crash.path).absolute().parent
    tasks, unresolved = _located(_backtraces(said), analysis, resolution, search, beside)
    panic = tasks[0] if tasks and said[_PANIC].complete else None
    system = parse.system(said[_SYSTEM].output) if said[_SYSTEM].complete else None
    learned = VmcoreFacts(
        rung=outcome.rung.name,
        system=system,
        panic_task=panic,
        other_cpus=tuple(task for task in tasks if task is not panic),
        memory=parse.memory(_whole(said[_MEMORY])),
        blocked=tuple(
            sorted(
                (task for task in parse.tasks(_whole(said[_TASKS])) if task.state == "UN"),
                key=lambda task: -task.seconds,
            )
        ),
        slab=parse.slab(_whole(said[slab]), report.fault_address) if slab and report and report.fault_address else None,
        modules=parse.modules(_whole(said[_TAINTED])),
        log=_whole(said[_LOG]) or None if _LOG in said else None,
        problems=(*outcome.problems, *_few(system), *unresolved),
    )
    if resolution is None:
        return learned
    stuck = differences.stuck(resolution.report, learned)
    return learned._replace(differences=differences.between(resolution, analysis, learned), stuck=stuck)


def _report(analysis: Analysis) -> Optional[Report]:
    return analysis.findings[analysis.subject].resolution.report if analysis.subject is not None else None


def _slab(analysis: Analysis) -> Optional[str]:
    """The command that tells the object in which the fault address lies."""
    report = _report(analysis)
    fault = report.fault_address if report is not None else None
    return f"kmem {fault:x}" if fault is not None and fault >= 1 << 12 else None


def _backtraces(said: Dict[str, Answer]) -> Tuple[Backtrace, ...]:
    """The panic task's backtrace, then those of the other CPUs; none from an answer that was cut off."""
    panic = parse.backtraces(_whole(said[_PANIC]))[:1]
    known = {one.task for one in panic}
    modules = parse.loaded(_whole(said[_MODULES]))
    tasks = [*panic, *(one for one in parse.backtraces(_whole(said[_ALL])) if one.task not in known)]
    return tuple(_in_modules(task, modules) for task in tasks)


def _in_modules(task: Backtrace, modules: Sequence[LoadedAt]) -> Backtrace:
    """``task`` with the module of each frame: crash does not print that of an exception's frame."""

    def named(row: BacktraceFrame) -> BacktraceFrame:
        address = row.frame.runtime
        if row.frame.module is not None or address is None:
            return row
        name = next((one.name for one in modules if one.base <= address < one.base + one.size), None)
        return row._replace(frame=replace(row.frame, module=name))

    return task._replace(frames=tuple(map(named, task.frames)))


def _whole(answer: Answer) -> str:
    return answer.output if answer.complete else ""


def _few(system: Optional[System]) -> Sequence[Problem]:
    """A problem when crash found only the running tasks, as 8.0.2 does on 6.5 (or a 6.1.y with its struct pid)."""
    if system is None or system.tasks is None or system.cpus is None or system.tasks > system.cpus + _FEW:
        return ()
    message = (
        f"crash found only {system.tasks} tasks: it does not know how this kernel keeps them, so `ps -m` is not whole"
    )
    return (Problem(message, shell.hint("a newer crash: {}", install("crash"))),)


def _located(
    tasks: Tuple[Backtrace, ...], analysis: Analysis, resolution: Optional[Resolution], search: Search, beside: Path
) -> Tuple[Tuple[Backtrace, ...], Tuple[Problem, ...]]:
    """The backtraces with kdumpwrap's own lines: inline chains, and for a caller the line of the call."""
    frames = {row.frame for task in tasks for row in task.frames}
    if not frames:
        return tasks, ()
    with Symbolizer(analysis.kernel.release, search, beside) as symbolizer:
        symbolizer.load(frames, analysis.kernel.arch)
        slide = analysis.kernel.kaslr_offset
        if slide is None:
            slide = _slide(symbolizer.place(frame) for frame in frames)
        placed = {frame: _judged(_placed(frame, slide, symbolizer), resolution) for frame in frames}
        wanted = {CodeAddress.of(one) for one in placed.values() if one.address is not None}
        located = symbolizer.locate(wanted)
        problems = symbolizer.problems(())

    def resolved(row: BacktraceFrame) -> BacktraceFrame:
        one = placed[row.frame]
        chain = located.get(CodeAddress.of(one), ()) if one.address is not None else ()
        return row._replace(frame=replace(one, locations=chain))

    return tuple(task._replace(frames=tuple(map(resolved, task.frames))) for task in tasks), problems


def _placed(frame: ResolvedFrame, slide: Optional[int], symbolizer: Symbolizer) -> ResolvedFrame:
    """``frame`` with its link-time address and the name that the symbol table has there.

    The address decides where it is known: crash drops the ``.part.0`` of ``do_softirq.part.0``, another function.
    """
    if frame.module is not None or frame.runtime is None or slide is None or None not in symbolizer.objects:
        return symbolizer.place(frame)
    placed = replace(frame, address=frame.runtime - slide)
    function = symbolizer.objects[None].enclosing(None, lookup(placed))
    if function is None:
        return placed
    return replace(placed, symbol=function.name, offset=frame.runtime - slide - function.address, size=function.size)


def _judged(frame: ResolvedFrame, resolution: Optional[Resolution]) -> ResolvedFrame:
    """``frame`` corrected by the log's frames at the same place.

    It is exact where the log has its instruction pointer there: crash misses the registers of an interrupt. It is not
    certain where the log has only ``? frame``: crash shows any return address that it finds on the stack.
    """
    if resolution is None or frame.address is None:
        return frame
    if resolution.ip is not None and _where(frame) == _where(resolution.ip):
        return replace(frame, exact=True)
    known = [one.certain for one in resolution.trace if _where(one) == _where(frame)]
    return replace(frame, certain=not known or any(known))


def _where(frame: ResolvedFrame) -> Tuple[Optional[str], Optional[str], Optional[int]]:
    return frame.module, frame.section, frame.address


def _slide(placed: Iterable[ResolvedFrame]) -> Optional[int]:
    """The KASLR offset: the distance on which most addresses agree."""
    distances = Counter(
        one.runtime - one.address
        for one in placed
        if one.module is None and one.runtime is not None and one.address is not None
    )
    return distances.most_common(1)[0][0] if distances else None
