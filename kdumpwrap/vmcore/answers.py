"""The answers to a list of commands, gathered over several runs of crash(8)."""

from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.vmcore import Answer, RungName
from kdumpwrap.parse import crash as parse

_NOTHING, _CUT, _LACKING, _WHOLE = range(4)  # worth of an answer; lacking: the rung leaves something out


class Answers:
    """The best answer known to each command, by its number."""

    def __init__(self, commands: Sequence[str]) -> None:
        self.commands = tuple(commands)
        self._known: Dict[int, Answer] = {}
        self._best: Dict[int, int] = {}  # their worth

    def keep(self, answers: Mapping[int, Answer], broken: str = "") -> None:
        """Take over ``answers`` where they are better than what is known.

        ``broken`` names the failure that ended their run: no answer of such a run counts as whole, not even an earlier.
        """
        for number, answer in answers.items():
            if broken:
                answer = answer._replace(complete=False, cause=answer.cause or broken)
            worth, best = self._worth(answer, broken), self._best.get(number, -1)
            if worth > best or worth == best == _LACKING:
                self._known[number], self._best[number] = answer, worth

    @staticmethod
    def _worth(answer: Answer, broken: str) -> int:
        if answer.complete:
            return _WHOLE
        if not answer.output or answer.unavailable:
            return _NOTHING
        return _CUT if broken else _LACKING

    def all(self, rung: RungName, cause: str) -> Tuple[Answer, ...]:
        """One for each command; where nothing is known, an empty one with this ``rung`` and ``cause``."""
        empty = Answer("", "", False, 0.0, rung, cause)
        found = (self._known.get(number, empty) for number in range(len(self.commands)))
        return tuple(answer._replace(command=command) for answer, command in zip(found, self.commands))


def refused(answers: Sequence[Answer]) -> Iterator[Problem]:
    """A problem for each command that crash does not know, or whose option it does not know."""
    for answer in answers:
        why = parse.refusal(answer.output) if answer.complete else None
        if why is not None:
            yield Problem(f"crash does not take `{answer.command}`: {why}", shell.hint("-c help, or -c 'help COMMAND'"))


def incomplete(answers: Sequence[Answer]) -> Iterator[Problem]:
    """A problem for each cause of answers that are not whole; none when crash answered nothing at all."""
    if not any(answer.output for answer in answers):
        return
    grouped: Dict[Tuple[bool, str], List[str]] = {}
    for answer in answers:
        if not answer.complete:
            cut = bool(answer.output.strip()) and not answer.unavailable
            grouped.setdefault((cut, answer.cause), []).append(f"`{answer.command}`")
    for (cut, cause), commands in grouped.items():
        subject, verb = ("answers", "are") if len(commands) > 1 else ("answer", "is")
        state = "cut off or not to be trusted" if cut else "missing"
        yield Problem(f"the {subject} to {', '.join(commands)} {verb} {state}: {cause}")
