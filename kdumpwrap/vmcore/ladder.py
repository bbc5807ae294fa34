"""The most of crash(8) that the machine's memory and the dump's state allow, found by stepping down a ladder.

A run of crash is trusted only when it ends with 0 after ``quit``. What a broken run said is kept, never as whole, and
asked again: without the command that broke it, then one rung lower.
"""

from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.model import Problem
from kdumpwrap.parse import crash as parse
from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.tools.crash import CrashDied, CrashSession, End, plain_path
from kdumpwrap.tools.memory import Limit, available
from kdumpwrap.vmcore import causes, deaths, memory
from kdumpwrap.vmcore.answers import Answers, incomplete
from kdumpwrap.vmcore.causes import WORDS
from kdumpwrap.vmcore.files import ModuleFile, Subject
from kdumpwrap.vmcore.rungs import LEAST, PLAIN, RUNGS, ZERO_EXCLUDED, Rung, below, reached, rung
from kdumpwrap.vmcore.workplace import Workplace
from kdumpwrap.vmcore_facts import Answer

TIMEOUT = 600.0  # seconds for a start and for each command; a start takes 7 s, on a slow disk and a big dump minutes
DEATHS = 3  # on one rung, before all that is left goes to the next


_DAMAGED = (crash_failure.INCOMPLETE, crash_failure.TRUNCATED)


class Outcome(NamedTuple):
    """The answers in the order of the commands, the lowest rung that was needed, and what went wrong."""

    answers: Tuple[Answer, ...]
    rung: Rung
    problems: Tuple[Problem, ...]


class HandOver(NamedTuple):
    """How an interactive session went; ``end`` is None when crash never came to its prompt."""

    end: Optional[End]
    rung: Rung
    problems: Tuple[Problem, ...]


class Ladder:
    """Asks crash about one dump."""

    def __init__(
        self,
        subject: Subject,
        place: Workplace,
        *,
        modules: Callable[[Sequence[str]], Sequence[ModuleFile]] = lambda names: (),
        forced: Optional[Rung] = None,
        timeout: float = TIMEOUT,
        limits: Optional[Tuple[Limit, ...]] = None,
        progress: Callable[[str], object] = lambda words: None,
    ) -> None:
        """``modules`` finds the debug information of modules by name; ``limits`` are those of tools.memory.available().

        ``progress`` gets a few words whenever something that takes seconds begins.
        """
        self.progress = progress
        self.subject = subject
        self.place = place
        self.modules: Optional[Callable[[Sequence[str]], Sequence[ModuleFile]]] = modules
        self.forced = forced
        self.timeout = timeout
        self.vmlinux = plain_path(subject.vmlinux, place.own)
        self.vmcore = plain_path(subject.vmcore, place.own)
        self.size = subject.vmlinux.stat().st_size
        self.limits = available() if limits is None else limits
        self._tight = memory.tight(self.size, self.limits) is not None
        self._failures: List[Failure] = []
        self._refused: Dict[str, str] = {}  # modules that crash did not take, with its words

    def ask(self, commands: Sequence[str]) -> Outcome:
        """The answer to each of ``commands``, from the highest rung that gives it whole."""
        current: Optional[Rung] = self.forced or self._first()
        answers = Answers(commands)
        waiting = list(range(len(commands)))
        lowest = current or PLAIN
        while current is not None and waiting:
            lowest = current
            waiting, failure = self._on(current, answers, waiting)
            current = None if self.forced or failure is None else below(current, failure)
        last = self._failures[-1] if self._failures else Failure(crash_failure.OTHER)
        found = answers.all(lowest.name, WORDS[last.kind])
        whole = [RUNGS.index(rung(answer.rung)) for answer in found if answer.complete]
        reached_rung = RUNGS[max(whole)] if whole else lowest
        problems = [*self._problems(reached_rung if whole else PLAIN), *incomplete(found)]
        return Outcome(found, reached_rung, tuple(dict.fromkeys(problems)))

    def hand_over(self, tell: Callable[[Sequence[Problem]], object]) -> HandOver:
        """crash at the user's terminal, on the highest rung that starts; ``tell`` gets the problems until then."""
        current: Optional[Rung] = self.forced or self._first()
        lowest = current or PLAIN
        while current is not None:
            lowest = current
            end, failure = self._interactive(current, tell)
            if end is not None:
                broken = [] if end.status == 0 else [deaths.of(end, "", tight=self._tight)]
                return HandOver(end, current, tuple(map(self._problem, broken)))
            if failure is None:
                break
            self._failures.append(failure)
            current = None if self.forced else below(current, failure)
        return HandOver(None, lowest, self._problems(PLAIN))

    # ------------------------------------------------------------ one rung

    def _first(self) -> Rung:
        """The highest rung that can start within the memory there is; the last one is tried in any case."""
        if memory.lacking(self.size, self.limits) is None:
            return PLAIN
        self._failures.append(Failure(crash_failure.MEMORY))
        return LEAST

    def _on(self, current: Rung, answers: Answers, waiting: List[int]) -> Tuple[List[int], Optional[Failure]]:
        """What ``current`` could not answer, and why."""
        lost: List[int] = []
        failure: Optional[Failure] = None
        for _ in range(DEATHS):
            if not waiting:
                break
            done = self._session(current, answers, waiting)
            if done.failure is None:
                lost += done.lost
                return sorted(lost), failure or done.spoiled
            failure = done.failure
            self._failures.append(failure)
            if done.killer is None:
                break
            lost.append(done.killer)
            waiting = [index for index in waiting if index != done.killer]
        return sorted({*lost, *waiting}), failure

    def _session(self, current: Rung, answers: Answers, waiting: Sequence[int]) -> "_Done":
        self.progress(f"crash is starting ({current.name})")
        with self._crash(current.options) as session:
            try:
                broken = crash_failure.incomplete(session.start(self.timeout).output)
                if broken is not None and not self._damaged():
                    self._failures.append(broken)
                if current is LEAST and not self._matches(session):
                    return _Done(Failure(crash_failure.MISMATCH))
            except CrashDied as died:
                return _Done(self._start_failure(current, died))
            if current is PLAIN and not self._load(session):
                return self._session(current, answers, waiting)
            return self._ask(session, current, answers, waiting)

    def _crash(self, options: Sequence[str], *, interactive: bool = False) -> CrashSession:
        tool, files = self.subject.tool, (self.vmlinux, self.vmcore)
        return CrashSession(tool, options, files, self.place.current, self.place.own, interactive=interactive)

    def _ask(self, session: CrashSession, current: Rung, answers: Answers, waiting: Sequence[int]) -> "_Done":
        said: Dict[int, Answer] = {}
        lost: List[int] = []
        spoiled: Optional[Failure] = None
        for index in waiting:
            command = answers.commands[index]
            self.progress(f"crash> {command}")
            try:
                reply = session.ask(command, self.timeout)
            except CrashDied as died:
                if died.end.status == 0:  # it was told to quit
                    never = Answer("", "", False, 0.0, current.name, "crash had been told to quit before")
                    said.update((later, never) for later in waiting[waiting.index(index) :])
                    said[index] = Answer(command, died.text, True, died.seconds, current.name)
                    answers.keep(said)
                    return _Done(None)
                failure = deaths.answering(died, tight=self._tight)
                said[index] = Answer(command, died.text, False, died.seconds, current.name)
                answers.keep(said, WORDS[failure.kind])
                return _Done(failure, index)
            flaw = Failure(crash_failure.EXPIRED) if reply.expired else crash_failure.answering(reply.output)
            unavailable = flaw is None and parse.unavailable(reply.output)
            cause = self._flawed(flaw, current) or (f"not available with {current.options[-1]}" if unavailable else "")
            if flaw is not None and flaw.kind == crash_failure.MEMORY:
                spoiled = flaw
                lost.append(index)
            elif current is ZERO_EXCLUDED and self._damaged():  # where --minimal answers, nothing is made up
                spoiled = self._damaged()[0]
                lost.append(index)
            said[index] = Answer(
                command, reply.output, not cause, reply.seconds, current.name, cause, unavailable=unavailable
            )
        end = session.quit()
        if end.status != 0:
            failure = deaths.of(end, "", tight=self._tight)
            answers.keep(said, WORDS[failure.kind])
            return _Done(failure)
        answers.keep(said)
        return _Done(None, None, tuple(lost), spoiled)

    def _flawed(self, flaw: Optional[Failure], current: Rung) -> str:
        """Why an answer is not whole although crash went on; empty when it is."""
        if flaw is not None:
            if flaw.kind != crash_failure.TRUNCATED or not self._damaged():
                self._failures.append(flaw)
            return WORDS[flaw.kind]
        return WORDS[crash_failure.INCOMPLETE] if current is ZERO_EXCLUDED and self._damaged() else ""

    def _load(self, session: CrashSession) -> bool:
        """Load the modules' debug information. False: crash did not survive it, and must start without."""
        if self.modules is None:
            return True
        try:
            # where memory is short, only the modules that are not the kernel's own
            if self._tight:
                names = [one.name for one in parse.modules(session.ask("mod -t", self.timeout).output)]
            else:
                names = [*parse.module_names(session.ask("mod", self.timeout).output)]
            for module in self.modules(names):
                reply = session.ask(f"mod -s {module.name} {self._path(module)}", self.timeout)
                if module.name not in parse.module_names(reply.output):
                    self._refused[module.name] = reply.output.strip().partition("\n")[0]
        except CrashDied:
            self.modules = None
            self._refused["the modules"] = "crash died of it"
            return False
        return True

    def _path(self, module: ModuleFile) -> Path:
        return plain_path(module.path, self.place.own)

    def _matches(self, session: CrashSession) -> bool:
        """Whether the vmlinux is that of the dump, which ``--minimal`` does not look at.

        The dump's linux_banner, read where this vmlinux has it, must stand in the vmlinux as it is: both may well have
        the same address for it, but not the same text.
        """
        banner = parse.memory_text(session.ask("rd -a linux_banner", self.timeout).output)
        if banner.startswith("Linux version "):
            return causes.holds(self.subject.vmlinux, banner.encode())
        release = self.subject.release  # of the dump's header, as the page is missing
        return release is None or causes.holds(self.subject.vmlinux, f"Linux version {release} ".encode())

    def _interactive(
        self, current: Rung, tell: Callable[[Sequence[Problem]], object]
    ) -> Tuple[Optional[End], Optional[Failure]]:
        if current is LEAST:  # whether it is the right vmlinux shows only by asking
            failure = self._session(current, Answers(()), ()).failure
            if failure is not None:
                return None, failure
        names = self.place.own / "names"
        setup = self.place.own / "setup"
        setup.write_text(f"mod > {names}\n")
        options = (*current.options, "-i", str(setup)) if current is PLAIN else current.options
        self.progress(f"crash is starting ({current.name})")
        with self._crash(options, interactive=True) as session:
            try:
                started = session.start(self.timeout)
                if current is PLAIN and self.modules is not None and names.exists():
                    modules = self.modules(parse.module_names(names.read_text("utf-8", "replace")))
                    setup.write_text("".join(f"mod -s {one.name} {self._path(one)}\n" for one in modules))
                    session.feed(setup, self.timeout)
            except CrashDied as died:
                return None, self._start_failure(current, died)
            self.progress("")
            tell(self._problems(current))
            return session.hand_over(started.output), None

    # ------------------------------------------------------------ what went wrong

    def _start_failure(self, current: Rung, died: CrashDied) -> Failure:
        failure = deaths.at_start(died, str(self.vmlinux), tight=self._tight)
        if failure.kind != crash_failure.SILENT:
            return failure
        if self._damaged():
            return self._damaged()[0]
        if self._tight and current is not LEAST and not self.forced:
            return Failure(crash_failure.MEMORY)
        failure = self._probe(current)
        return Failure(crash_failure.MEMORY) if failure.kind == crash_failure.SILENT and self._tight else failure

    def _probe(self, current: Rung) -> Failure:
        """What crash says at ``-d1`` about an end that it was silent about."""
        options = (*current.options, "-d1")
        with self._crash(options) as session:
            try:
                session.start(self.timeout)
            except CrashDied as died:
                found = crash_failure.starting(died.text, str(self.vmlinux))
                return found if found.kind != crash_failure.OTHER else Failure(crash_failure.SILENT)
        return Failure(crash_failure.SILENT)

    def _damaged(self) -> List[Failure]:
        return [failure for failure in self._failures if failure.kind in _DAMAGED]

    def _problem(self, failure: Failure) -> Problem:
        return causes.problem(failure, self.subject, self.size, self.limits, self.timeout)

    def _problems(self, lowest: Rung) -> Tuple[Problem, ...]:
        """The causes, the rung that was reached, and the modules that crash did not take."""
        found = [self._problem(failure) for failure in self._failures]
        if lowest is not PLAIN and not self.forced:
            found.append(Problem(reached(lowest)))
        for name, words in self._refused.items():
            found.append(Problem(f"crash did not take the debug information of {name}: {words}"))
        return tuple(dict.fromkeys(found))


class _Done(NamedTuple):
    """How one run went: ``failure`` None is a run to be trusted, ``killer`` the command that it died of."""

    failure: Optional[Failure]
    killer: Optional[int] = None
    lost: Tuple[int, ...] = ()
    spoiled: Optional[Failure] = None
