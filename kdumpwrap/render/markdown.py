"""``--markdown``: a crash in at most 60 lines, for a ticket or a mail. Text of a log never acts as markup."""

import re
from typing import Iterator, List, Optional, Sequence, Tuple

from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import Location, ResolvedFrame
from kdumpwrap.model.location import telling, where
from kdumpwrap.model.vmcore import Backtrace, VmcoreFacts
from kdumpwrap.regex import regex
from kdumpwrap.render import lists, view, vmcore
from kdumpwrap.render.text import caret, clean, name, place, variable

LINES = 60
WIDTH = 200  # characters of a line; what is longer is cut
_COMMAND = 1000  # characters of a command; a longer one is left out: a cut command would be another command
_FRAMES, _BEFORE, _AFTER, _SENTENCES, _PROBLEMS, _VARIABLES = 12, 3, 1, 5, 3, 6
_LEAST = 5  # frames of the trace that stay when facts of the vmcore need room
_TASK = 4  # frames shown of a task on a CPU

# characters that Markdown, or the HTML in it, reads as markup
_MARKUP = regex(r"([\\`*\[\]<|~&#]|(?<!\w)_|_(?!\w))")
_MENTION = regex(r"@|\\#(?=\w)")  # @name, #12: a forge links them, escaped or not
_START = regex(r"^(\s*)([-+=>]|\d+[.)])")  # at the start of a line only


def render(analysis: Analysis, commands: Sequence[str] = (), facts: Optional[VmcoreFacts] = None) -> str:
    """The crash as Markdown: facts, evidence in short, levels of the statements, and as many ``commands`` as fit.

    ``facts``: the answers of crash(8); None when it was not asked.
    """
    finding, problems = analysis.finding, view.problems(analysis, facts)
    known = [*_vmcore(facts)] if facts is not None else []
    if finding is None:
        lines = [f"## No report of a crash in {code(analysis.crash.path)}", "", *_problems(problems)]
        return _joined([*lines, *_section(known, LINES)])
    lines = [f"## {words(view.title(finding))}", "", words(view.sentence(analysis, finding)), ""]
    lines += _facts(analysis, finding)
    lines += ["", *(f"* {words(one)}" for one in finding.reasons[:_SENTENCES])] if finding.reasons else []
    listing = [*_listing(finding), *_variables(finding)]
    tail = [*_sure(analysis, finding), *_problems(problems)]
    room = LINES - len(lines) - len(listing) - len(tail) - 8
    section = _section(known, room - _LEAST)
    lines += _trace(finding, min(_FRAMES, room - len(section)))
    lines += [*listing, *section, "", *tail]
    room = LINES - len(lines) - 5
    if commands and room > 0:
        lines += ["", "Found with:", "", *_block([*map(_command, commands[-room:])], _COMMAND)]
    return _joined(lines)


def code(value: Optional[str]) -> str:
    """``value`` as a code span, fenced by more backticks than it holds; empty for an empty one."""
    value = clean(value).strip()
    longest = max(map(len, re.findall("`+", value)), default=0)
    fence, blank = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{blank}{_cut(value)}{blank}{fence}" if value else ""


def words(value: str) -> str:
    """``value`` as plain words, its markup escaped."""
    escaped = _MARKUP.sub(r"\\\1", _cut(clean(value)))
    return _START.sub(r"\1\\\2", _MENTION.sub(lambda match: f"`{match[0][-1]}`", escaped))


def _facts(analysis: Analysis, finding: Finding) -> Iterator[str]:
    crash, kernel, culprit, suspect = analysis.crash, analysis.kernel, finding.culprit, finding.suspect
    yield f"* headline: {code(view.headline(finding))}"
    for key, text in view.beside(finding).items():
        yield f"* {'the kernel said' if key == 'message' else key}: {code(text)}"
    if finding.resolution.ip is not None and finding.resolution.ip.symbol is not None:
        yield f"* where: {code(name(finding.resolution.ip))}{_at(finding.place)}"
    if culprit is not None:
        yield f"* culprit: {code(culprit.symbol)}{_at(culprit.location)} ({words(culprit.why)})"
    if suspect is not None:
        at = f"{code(suspect.symbol or '?')}{_at(suspect.location)}"
        yield f"* suspect: the out-of-tree module {code(suspect.module)} ({at})"
    taint = f", tainted {code(finding.report.taint)}" if finding.report.taint else ""
    yield f"* kernel: {code(view.release(analysis, finding) or '?')} {words(kernel.arch or '')}{taint}"
    host = f" on {code(crash.host)}" if crash.host else ""
    yield f"* crash: {code(crash.path)}{f', {words(crash.time)}' if crash.time else ''}{host}"
    if analysis.signature is not None:
        yield f"* signature: {code(analysis.signature.id)} {code(analysis.signature.text)}"


def _at(location: Optional[Location]) -> str:
    return f", {code(where(location))}" if location is not None else ""


def _trace(finding: Finding, most: int) -> List[str]:
    frames = [
        one for one in finding.resolution.frames if one.certain and (one.symbol or one is not finding.resolution.ip)
    ]
    if not frames or most < 2:
        return []
    rows: List[Tuple[str, str]] = [(_named(frame), _place(frame)) for frame in frames[:most]]
    width = min(60, max(len(first) for first, _ in rows))
    lines = [f"{first:{width}}  {second}".rstrip() for first, second in rows]
    if len(frames) > most:
        lines.append(f"… {len(frames) - most} more")
    return ["", "Call trace, innermost first:", "", *_block(lines)]


def _place(frame: ResolvedFrame) -> str:
    """``fs/proc/inode.c:340 (pde_write, inlined)``: the line that tells most, with its function if that is inlined."""
    location = telling(frame.locations)
    inlined = location is not None and location is not frame.locations[-1] and location.function
    return place(location) + (f" ({clean(inlined)}, inlined)" if inlined else "")


def _named(frame: ResolvedFrame) -> str:
    return name(frame) + (f" <{clean(frame.context)}>" if frame.context else "")


def _listing(finding: Finding) -> List[str]:
    lines: List[str] = []
    source = finding.resolution.source
    if source is not None:
        for number, text, fault, before in lists.lines(source):
            if source.fault_line - _BEFORE <= number <= source.fault_line + _AFTER:
                lines.append(f"{'=>' if fault else '  '} {number}  {clean(text)}")
            if before is not None:
                below = f"   {'':{len(str(number))}}  {caret(before)}"
                lines += [below] if len(below) < WIDTH else []  # else the source line is cut before the caret
    rows = finding.resolution.disassembly
    marked = next((index for index, row in enumerate(rows) if row.fault), None)
    if marked is not None:
        lines += [""] if lines else []
        for index in range(max(marked - _BEFORE, 0), min(marked + _AFTER + 1, len(rows))):
            row = rows[index]
            lines.append(f"{'=>' if index == marked else '  '} {row.address:x}  {clean(row.text)}")
    return ["", *_block(lines)] if lines else []


def _variables(finding: Finding) -> List[str]:
    """The first variables at the instruction pointer; the guilty one is always among them."""
    if finding.variables is None or not finding.variables.rows:
        return []
    rows = sorted(finding.variables.rows, key=lambda one: not one.guilty)[:_VARIABLES]
    kept = [one for one in finding.variables.rows if one in rows]
    return ["", "Variables:", "", *_block([*map(variable, kept)])]


def _section(known: Sequence[str], room: int) -> List[str]:
    """The facts of the vmcore, the first ones alone when there is no room for all."""
    if not known:
        return []
    shown = known[: max(room - 4, 3)]
    more = [f"* {len(known) - len(shown)} more facts"] if len(known) > len(shown) else []
    return ["", "From the vmcore:", "", *shown, *more]


def _vmcore(facts: VmcoreFacts) -> Iterator[str]:
    """A line for each fact, the most relevant first."""
    for one in facts.differences:
        yield f"* log and crash differ, {words(one.what)}: log {code(one.log) or '-'}, crash {code(one.crash) or '-'}"
    told = [*vmcore.in_words(facts)]
    yield from (_said(*one) for one in told if one[0] in ("address", "blocked"))
    if facts.panic_task is not None:
        yield _on_cpu("panic task", facts.panic_task)
    yield from (_said(*one) for one in told if one[0] not in ("address", "blocked", "task"))
    for task in facts.other_cpus:
        yield _on_cpu(f"CPU {task.cpu}" if task.cpu is not None else "another CPU", task)


def _said(label: str, text: str) -> str:
    return f"* {label}: {code(text)}"


def _on_cpu(label: str, task: Backtrace) -> str:
    """The task and its innermost frames, from the exception on when there is one."""
    frames = [row.frame for row in task.frames if row.frame.certain]
    start = next((number for number, frame in enumerate(frames) if frame.exact), 0)
    chain = " < ".join([*dict.fromkeys(map(name, frames[start:]))][:_TASK])
    return f"* {label}: {code(f'{task.comm}, pid {task.pid}')}{f' in {code(chain)}' if chain else ''}"


def _sure(analysis: Analysis, finding: Finding) -> Iterator[str]:
    for one in finding.statements:
        yield f"* {words(one.level)}: {words(one.what)} ({words(one.because)})"


def _problems(found: Sequence[Problem]) -> Iterator[str]:
    for problem in found[:_PROBLEMS]:
        whole = 0 < len(clean(problem.hint)) <= WIDTH  # a cut hint would be another command
        yield f"* missing: {words(problem.message)}{f': {code(problem.hint)}' if whole else ''}"
    if len(found) > _PROBLEMS:
        yield f"* missing: {len(found) - _PROBLEMS} more things"


def _block(lines: Sequence[str], width: int = WIDTH) -> List[str]:
    """``lines`` as a code block, its fence longer than any run of backticks in it."""
    lines = [_cut(clean(line), width) for line in lines]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *lines, fence]


def _command(command: str) -> str:
    """``command``, or a comment in its place when it is too long."""
    return command if len(clean(command)) <= _COMMAND else f"# a command of {len(command)} characters is left out"


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines[:LINES]) + "\n"
