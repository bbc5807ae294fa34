"""The variables of many crashes of one kernel: gdb is asked once for each object, while other tools are at work."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.culprit import callchain
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.explain import chain, variables
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.kernel import Location, Resolution, ResolvedFrame
from kdumpwrap.model.scope import Question, Scope, Variables
from kdumpwrap.symbolize.objects import lookup
from kdumpwrap.symbolize.pool import Job
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.tools import gdb

_STATEMENT = 3  # lines of the source that a statement may take


class Asked(NamedTuple):
    """What gdb is being asked about one crash."""

    module: Optional[str]
    question: Question


class Scopes:
    """The answers to ``asked``, one for each crash; None for a crash without registers, or without a function."""

    def __init__(self, asked: Sequence[Optional[Asked]], symbolizer: Symbolizer) -> None:
        """Start gdb for each object that is asked about."""
        self._asked = asked
        self._symbolizer = symbolizer
        self._place: List[int] = []  # of each crash among its object's questions
        questions: Dict[Optional[str], List[Question]] = {}
        for one in asked:
            group = questions.setdefault(one.module, []) if one is not None else []
            self._place.append(len(group))
            if one is not None:
                group.append(one.question)
        self._jobs: Dict[Optional[str], Job[Tuple[Optional[Scope], ...]]] = {
            module: symbolizer.submit(partial(_ask, symbolizer, module, group)) for module, group in questions.items()
        }

    def of(self, number: int, resolution: Resolution) -> Tuple[Optional[Variables], Tuple[Problem, ...]]:
        """What the variables of crash ``number`` say, and what went wrong when gdb was asked."""
        one = self._asked[number]
        if one is None:
            return None, ()
        try:
            scope = self._jobs[one.module].result()[self._place[number]]
        except gdb.NotAsked as error:
            return Variables(missing=error.message), ()
        except KdumpwrapError as error:
            return Variables(missing=error.message), (Problem(error.message, error.hint),)
        if scope is None:
            return Variables(missing="gdb does not know this function"), ()
        return variables.said(resolution, one.question.chains, scope, _sources(resolution, self._symbolizer)), ()


def question(resolution: Resolution, symbolizer: Symbolizer) -> Optional[Asked]:
    """What to ask about a report whose instructions are known; None when the registers do not belong to a function."""
    frame = _frame(resolution)
    if frame is None or frame.address is None or not resolution.report.registers or not symbolizer.fits(frame):
        return None
    found = symbolizer.objects.get(frame.module)
    if found is None or found.lines is None:
        return None
    asked = Question(frame.section, lookup(frame), resolution.report.registers, chain.chains(resolution))
    return Asked(frame.module, asked)


def _frame(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function to which the registers belong: of a call through a bad pointer the caller, which just called."""
    ip = resolution.ip
    if ip is None or ip.symbol is not None:
        return ip
    return next(
        (frame for frame in callchain.certain(resolution) if frame is not ip and frame.symbol is not None), None
    )


def _ask(symbolizer: Symbolizer, module: Optional[str], questions: Sequence[Question]) -> Tuple[Optional[Scope], ...]:
    found = symbolizer.objects[module]
    if found.lines is None:
        return (None,) * len(questions)
    file = gdb.File(found.lines, found.tools.arch, module is not None, found.tools.readelf)
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-gdb-") as directory:
        return gdb.ask(file, questions, Path(directory))


def _sources(resolution: Resolution, symbolizer: Symbolizer) -> Dict[str, str]:
    """The statement at the instruction pointer in each function that is inlined there, where the source is here."""
    frame = _frame(resolution)
    found: Dict[str, str] = {}
    for location in frame.locations if frame is not None else ():
        text = _statement(location, symbolizer)
        if location.function is not None and text is not None:
            found.setdefault(location.function, text)
    return found


def _statement(location: Location, symbolizer: Symbolizer) -> Optional[str]:
    if location.file is None or location.line is None:
        return None
    source = debuginfo.source(location.file, location.line, symbolizer.release, symbolizer.search)
    if source is None:
        return None
    lines = source.lines[source.fault_line - source.first :][:_STATEMENT]
    end = next((at for at, line in enumerate(lines) if line.rstrip().endswith((";", "{", "}"))), len(lines))
    return "\n".join(lines[: end + 1])
