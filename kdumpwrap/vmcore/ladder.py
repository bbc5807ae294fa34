"""The answers of crash(8) from the highest rung that the machine's memory and the dump's state allow.

A run of crash is trusted only when it ends with 0 after ``quit``. The answers of a broken run are kept, never as whole,
and asked for again: without the command that broke it, then one rung lower.
"""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.host.memory import available
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.vmcore import Answer
from kdumpwrap.parse import crash as parse
from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.tools.crash import CrashDied, CrashSession, End
from kdumpwrap.vmcore import causes
from kdumpwrap.vmcore.answers import Answers, incomplete, refused
from kdumpwrap.vmcore.causes import WORDS, Trouble
from kdumpwrap.vmcore.files import ModuleFiles, Subject
from kdumpwrap.vmcore.rungs import LEAST, PLAIN, RUNGS, ZERO_EXCLUDED, Rung, below, lacks, rung
from kdumpwrap.vmcore.start import NotStarted, Starter, Workplace

_QUITTING = ("quit", "q", "exit")  # crash's commands for its own end
DEATHS = 3  # on one rung, before all that is left goes to the next


class Outcome(NamedTuple):
    """The answers in the order of the commands, the lowest rung that was needed, and what went wrong."""

    answers: Tuple[Answer, ...]
    rung: Rung
    problems: Tuple[Problem, ...]


class HandOver(NamedTuple):
    """The course of an interactive session; ``end`` is None when crash never reached its prompt."""

    end: Optional[End]
    rung: Rung
    problems: Tuple[Problem, ...]


class Ladder:
    """Asks crash about one dump."""

    def __init__(
        self,
        subject: Subject,
        place: Workplace,
        modules: ModuleFiles,
        *,
        forced: Optional[Rung] = None,
        timeout: Optional[float] = None,
        progress: Callable[[str], object] = lambda words: None,
    ) -> None:
        """``progress`` gets a few words whenever something that takes seconds begins.

        ``timeout`` in seconds is for the start and for each command; None is what ``Trouble.limit`` says.
        """
        self.place = place
        self._forced = forced
        self._progress = progress
        self._trouble = Trouble(subject, available(), timeout)
        self._starter = Starter(subject, place, modules, self._trouble, forced=forced is not None, progress=progress)

    def ask(self, commands: Sequence[str]) -> Outcome:
        """The answer to each of ``commands``, from the highest rung that gives it whole."""
        current: Optional[Rung] = self._forced or self._first()
        answers = Answers(commands)
        waiting = list(range(len(commands)))
        lowest = current or PLAIN
        while current is not None and waiting:
            lowest = current
            waiting, failure = self._on(current, answers, waiting)
            current = None if self._forced or failure is None else below(current, failure, self._trouble.unmet)
        found = answers.all(lowest.name, WORDS[self._trouble.last.kind])
        whole = [RUNGS.index(rung(answer.rung)) for answer in found if answer.complete]
        reached = RUNGS[max(whole)] if whole else lowest
        problems = [
            *self._trouble.problems(reached if whole and not self._forced else PLAIN),
            *incomplete(found),
            *refused(found),
        ]
        return Outcome(found, reached, tuple(dict.fromkeys(problems)))

    def hand_over(self, tell: Callable[[Sequence[Problem]], object]) -> HandOver:
        """crash at the user's terminal, on the highest rung that starts; ``tell`` gets the problems until then."""
        current: Optional[Rung] = self._forced or self._first()
        lowest = current or PLAIN
        while current is not None:
            lowest = current
            try:
                with self._starter.at_terminal(current) as (session, greeting):
                    tell(self._trouble.problems(PLAIN if self._forced else current))
                    end = session.hand_over(greeting)
            except NotStarted as never:
                self._trouble.failures.append(never.failure)
                current = None if self._forced else below(current, never.failure, self._trouble.unmet)
                continue
            broken = [] if end.status == 0 else [causes.at_end(end, "", tight=self._trouble.tight)]
            return HandOver(end, current, tuple(map(self._trouble.problem, broken)))
        return HandOver(None, lowest, self._trouble.problems())

    def _first(self) -> Rung:
        """The highest rung that can start within the memory there is; the last one is tried in any case."""
        if not self._trouble.hopeless:
            return PLAIN
        self._trouble.failures.append(Failure("memory"))
        return LEAST

    def _on(self, current: Rung, answers: Answers, waiting: List[int]) -> Tuple[List[int], Optional[Failure]]:
        """The commands that ``current`` could not answer, and why."""
        lost: List[int] = []
        failure: Optional[Failure] = None
        for _ in range(1 if self._trouble.unmet and current is not LEAST else DEATHS):
            if not waiting:
                break
            done = self._run(current, answers, waiting)
            if done.failure is None:
                lost += done.lost
                return sorted(lost), failure or done.spoiled
            failure = done.failure
            self._trouble.failures.append(failure)
            if done.killer is None:
                break
            lost.append(done.killer)
            waiting = [index for index in waiting if index != done.killer]
        return sorted({*lost, *waiting}), failure

    def _run(self, current: Rung, answers: Answers, waiting: Sequence[int]) -> "_Done":
        try:
            with self._starter.started(current) as session:
                return self._ask(session, current, answers, waiting)
        except NotStarted as never:
            return _Done(never.failure)

    def _ask(self, session: CrashSession, current: Rung, answers: Answers, waiting: Sequence[int]) -> "_Done":
        said: Dict[int, Answer] = {}
        lost: List[int] = []
        spoiled: Optional[Failure] = None
        limit = self._trouble.limit(current)
        for index in waiting:
            command = answers.commands[index]
            self._progress(f"crash> {command}")
            try:
                reply = session.ask(command, limit)
            except CrashDied as died:
                if died.end.status == 0 and command.split(maxsplit=1)[0] in _QUITTING:
                    never = Answer("", "", False, 0.0, current.name, "crash had been told to quit before")
                    said.update((later, never) for later in waiting[waiting.index(index) :])
                    said[index] = Answer(command, died.text, True, died.seconds, current.name)
                    answers.keep(said)
                    return _Done(None)
                failure = causes.answering(died, limit, tight=self._trouble.tight)
                said[index] = Answer(command, died.text, False, died.seconds, current.name)
                answers.keep(said, WORDS[failure.kind])
                return _Done(failure, index)
            flaw = causes.expired(limit) if reply.expired else crash_failure.answering(reply.output)
            unavailable = flaw is None and parse.unavailable(reply.output)
            cause = self._flawed(flaw, current) or (f"not available with {current.options[-1]}" if unavailable else "")
            cause = cause or lacks(current, command, reply.output) or ""
            if flaw is not None and flaw.kind in ("memory", "broken"):
                spoiled = flaw
                lost.append(index)
            elif current is ZERO_EXCLUDED and self._trouble.damage:  # the answers of --minimal have no made-up zeros
                spoiled = self._trouble.damage
                lost.append(index)
            said[index] = Answer(
                command, reply.output, not cause, reply.seconds, current.name, cause, unavailable=unavailable
            )
        end = session.quit()
        if end.status != 0:
            failure = causes.at_end(end, "", tight=self._trouble.tight)
            answers.keep(said, WORDS[failure.kind])
            return _Done(failure)
        answers.keep(said)
        return _Done(None, None, tuple(lost), spoiled)

    def _flawed(self, flaw: Optional[Failure], current: Rung) -> str:
        """Why an answer is not whole although crash went on; empty when it is."""
        if flaw is not None:
            if flaw.kind != "truncated" or not self._trouble.damage:
                self._trouble.failures.append(flaw)
            return WORDS[flaw.kind]
        return WORDS["incomplete"] if current is ZERO_EXCLUDED and self._trouble.damage else ""


class _Done(NamedTuple):
    """The result of one run: ``failure`` is None for a trusted run, ``killer`` is the command that ended crash."""

    failure: Optional[Failure]
    killer: Optional[int] = None
    lost: Tuple[int, ...] = ()
    spoiled: Optional[Failure] = None
