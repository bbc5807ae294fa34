"""The variables of many crashes of one kernel: gdb is asked once for each object, while other tools are at work."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import sources
from kdumpwrap.culprit import callchain
from kdumpwrap.errors import KdumpwrapError, ReadFailed
from kdumpwrap.explain import chain, variables
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.kernel import Location, Resolution, ResolvedFrame
from kdumpwrap.model.scope import Question, Scope, Variables
from kdumpwrap.symbolize import caller
from kdumpwrap.symbolize.objects import lookup
from kdumpwrap.symbolize.pool import Job
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.tools import gdb

_STATEMENT = 3  # lines of the source that a statement may take


class Asked(NamedTuple):
    """A question to gdb about one crash."""

    module: Optional[str]
    question: Question
    callee: Optional[str] = None  # the function of assembly in which it crashed: the question is about its caller
    returned: Optional[Question] = None  # about its caller at the place behind the call

    @property
    def questions(self) -> Tuple[Question, ...]:
        """The question about a crash, and the one about the place behind the call, if there is one."""
        return (self.question,) if self.returned is None else (self.question, self.returned)


class Scopes:
    """The answers to ``asked``: for each crash those to the first question for which gdb knows variables.

    A crash without registers, or without a function, has no question.
    """

    def __init__(self, asked: Sequence[Sequence[Asked]], symbolizer: Symbolizer) -> None:
        """Start gdb for each object that is asked about."""
        self._asked = asked
        self._symbolizer = symbolizer
        self._place: Dict[Tuple[Optional[str], Question], int] = {}  # of each among its object's questions
        questions: Dict[Optional[str], List[Question]] = {}
        for module, question in ((one.module, question) for of in asked for one in of for question in one.questions):
            group = questions.setdefault(module, [])
            if (module, question) not in self._place:
                self._place[module, question] = len(group)
                group.append(question)
        self._jobs: Dict[Optional[str], Job[Tuple[Optional[Scope], ...]]] = {
            module: symbolizer.submit(partial(_ask, symbolizer, module, group)) for module, group in questions.items()
        }

    def of(self, number: int, resolution: Resolution) -> Tuple[Optional[Variables], Tuple[Problem, ...]]:
        """The variables of crash ``number``, and the problems of asking gdb."""
        if self._symbolizer.misplaced():
            return None, ()
        found: Optional[Variables] = None
        ours, theirs = _at_ip(resolution), None
        for one in self._asked[number]:
            try:
                answers = self._jobs[one.module].result()
            except gdb.NotAsked as error:
                return Variables(missing=error.message), ()
            except KdumpwrapError as error:
                return Variables(missing=error.message), (Problem(error.message, error.hint),)
            scope, *behind = (answers[self._place[one.module, question]] for question in one.questions)
            frame = _called_from(resolution) if one.callee is not None else _frame(resolution)
            if scope is not None and one.callee is None and ours is not None:
                theirs = otherwise(ours, scope.instruction)
            if scope is None:
                found = found or Variables(missing="gdb does not know this function")
                continue
            scope = scope.joined(behind[0]) if behind and behind[0] is not None else scope
            if theirs is not None:  # the chains start from the instruction that objdump reads
                scope = scope._replace(readings=())
            text = _sources(frame, self._symbolizer)
            found = variables.said(resolution, one.question.chains, scope, text, one.callee)
            if scope.variables or scope.unknown:
                break
        return (found and found._replace(otherwise=theirs)), ()


def questions(resolution: Resolution, symbolizer: Symbolizer) -> Tuple[Asked, ...]:
    """The questions about a report whose instructions are known; () when the registers do not belong to a function.

    For a crash in what may be assembly, which has no variables, the second question is about its caller.
    """
    frame = _frame(resolution)
    if frame is None or frame.address is None or not resolution.report.registers or not symbolizer.fits(frame):
        return ()
    own = Question(frame.section, lookup(frame), resolution.report.registers, chain.chains(resolution))
    asked = [Asked(frame.module, own)]
    above = _called_from(resolution)
    if frame is resolution.ip and above is not None:
        known = caller.questions(resolution, above, symbolizer)
        asked += [Asked(above.module, known[0], frame.symbol, known[1])] if known is not None else []
    return tuple(one for one in asked if _has_lines(one.module, symbolizer))


def otherwise(ours: str, theirs: str) -> Optional[str]:
    """The instruction ``theirs``, as gdb reads it, where it is another one than objdump's ``ours``, else None.

    Operands are not compared: each names symbols in its own way, and the address of the fault is their test. A suffix
    of the size is a habit of the version: "retq" and "ret", "movl" and "mov".
    """
    shorter, longer = sorted((ours.split(" ", maxsplit=1)[0], theirs.split(" ", maxsplit=1)[0]), key=len)
    return None if not theirs or (longer.startswith(shorter) and len(longer) - len(shorter) < 2) else theirs


def _at_ip(resolution: Resolution) -> Optional[str]:
    """The instruction at the instruction pointer as objdump reads it, None when another frame is shown."""
    if resolution.ip is None or resolution.shown != resolution.ip:
        return None
    return resolution.marked and resolution.marked.text


def _has_lines(module: Optional[str], symbolizer: Symbolizer) -> bool:
    found = symbolizer.objects.get(module)
    return found is not None and found.lines is not None


def _frame(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function to which the registers belong: after a call through a bad pointer that is the caller."""
    ip = resolution.ip
    return ip if ip is None or ip.symbol is not None else _called_from(resolution)


def _called_from(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function that called the one at the instruction pointer."""
    return next((frame for frame in callchain.certain(resolution) if frame is not resolution.ip), None)


def _ask(symbolizer: Symbolizer, module: Optional[str], questions: Sequence[Question]) -> Tuple[Optional[Scope], ...]:
    found = symbolizer.objects[module]
    if found.lines is None:
        return (None,) * len(questions)
    file = gdb.File(found.lines, found.tools.arch, module is not None, found.tools.readelf)
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-gdb-") as directory:
        return gdb.ask(file, questions, Path(directory))


def _sources(frame: Optional[ResolvedFrame], symbolizer: Symbolizer) -> Dict[str, str]:
    """The statement at ``frame`` in each function that is inlined there, where the source is here."""
    found: Dict[str, str] = {}
    for location in frame.locations if frame is not None else ():
        text = _statement(location, symbolizer)
        if location.function is not None and text is not None:
            found.setdefault(location.function, text)
    return found


def _statement(location: Location, symbolizer: Symbolizer) -> Optional[str]:
    if location.file is None or location.line is None:
        return None
    try:
        source = sources.find(location.file, location.line, symbolizer.release, symbolizer.search)
    except ReadFailed:  # the display of the source reports it
        return None
    if source is None:
        return None
    lines = source.lines[source.fault_line - source.first :][:_STATEMENT]
    end = next((at for at, line in enumerate(lines) if line.rstrip().endswith((";", "{", "}"))), len(lines))
    return "\n".join(lines[: end + 1])
