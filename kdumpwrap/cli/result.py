"""The result of a command. This file alone prints it and decides its exit status."""

import sys
from typing import TYPE_CHECKING, Iterable, NamedTuple, Optional, Sequence

from kdumpwrap.cli import output
from kdumpwrap.errors import KdumpwrapError, UsageError
from kdumpwrap.shell import rewritten

if TYPE_CHECKING:
    from kdumpwrap.model.crash import Problem
    from kdumpwrap.render.redact import Redactor

DONE, FAILED, USAGE, PARTLY = 0, 1, 2, 3  # the exit statuses of every command
NOTHING_NEW = 4  # the job is done; only new crashes were asked for, and there are none
GONE = 141  # the reader of standard output is gone


class Result(NamedTuple):
    """The answer of a command, or of its part for one crash, without what was printed already."""

    text: str = ""  # for standard output, rendered
    problems: "Sequence[Problem]" = ()  # what is missing in the answer
    notes: "Sequence[Problem]" = ()  # remarks: nothing is missing
    answered: bool = True  # there is an answer, perhaps a partial one
    complete: bool = True  # nothing is missing beyond ``problems``
    misused: bool = False  # the command line is wrong
    news: bool = True  # False: only new crashes were asked for, and there are none

    @property
    def whole(self) -> bool:
        """Whether the answer is complete."""
        return self.answered and self.complete and not self.problems

    @property
    def status(self) -> int:
        """The exit status."""
        if self.misused:
            return USAGE
        if self.whole:
            return DONE if self.news else NOTHING_NEW
        return PARTLY if self.answered else FAILED


def failed(error: KdumpwrapError) -> Result:
    """The result of a command that ``error`` ended."""
    from kdumpwrap.model.crash import Problem

    problem = Problem(error.message, error.hint)
    return Result(problems=(problem,), answered=False, misused=isinstance(error, UsageError))


def together(shown: Iterable[Result]) -> Result:
    """The combined result of several that were already shown."""
    results = tuple(shown)
    return Result(answered=any(one.answered for one in results), complete=all(one.whole for one in results))


def redacted(result: Result, redactor: "Optional[Redactor]", *, last: bool = False) -> Result:
    """``result`` with the stand-ins of ``redactor``; the ``last`` one also notes how much was replaced."""
    from kdumpwrap.model.crash import Problem

    if redactor is None:
        return result
    scrub = redactor.text
    text = scrub(result.text)
    problems, notes = (
        [one._replace(message=scrub(one.message), hint=rewritten(one.hint, scrub)) for one in several]
        for several in (result.problems, result.notes)
    )
    return result._replace(text=text, problems=problems, notes=[*notes, Problem(redactor.said())] if last else notes)


def show(result: Result) -> Result:
    """Print ``result``: its text on standard output, then its problems and notes on standard error. Returns it."""
    if result.text:
        output.out(result.text)
    output.problems(result.problems)
    output.problems(result.notes)
    return result


def finish(status: int) -> int:
    """Flush the output, also that of typer. Returns ``status``, or another status when that fails."""
    try:
        sys.stdout.flush()
    except OSError as failure:
        output.give_up()
        if isinstance(failure, BrokenPipeError):
            return GONE
        output.error(f"standard output: {failure.strerror}")
        status = status or FAILED
    try:
        sys.stderr.flush()
    except OSError:
        output.give_up(sys.stderr)
    return status
