"""The limits of crash(8) with one dump: the memory there is, and the failures so far."""

from typing import Dict, List, Optional, Tuple

from kdumpwrap.host.memory import Limit
from kdumpwrap.model.crash import Problem
from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.vmcore import causes, memory
from kdumpwrap.vmcore.files import Subject
from kdumpwrap.vmcore.rungs import PLAIN, Rung, reached

_DAMAGED = (crash_failure.INCOMPLETE, crash_failure.TRUNCATED)


class Trouble:
    """Gathered over several runs; each cause is told once."""

    def __init__(self, subject: Subject, limits: Tuple[Limit, ...], timeout: float) -> None:
        """``limits`` are those of tools.memory.available(), ``timeout`` is that of crash in seconds."""
        self.failures: List[Failure] = []
        self.refused: Dict[str, str] = {}  # modules whose debug information crash did not take, with its words
        self._subject = subject
        self._size = subject.vmlinux.stat().st_size
        self._limits = limits
        self._timeout = timeout
        self.tight = memory.tight(self._size, limits) is not None  # memory may well run out, which crash often hides
        self.hopeless = memory.lacking(self._size, limits) is not None  # crash can start with --minimal alone

    @property
    def damage(self) -> Optional[Failure]:
        """What is wrong with the dump itself, by what crash said about it; None: nothing is known to be."""
        return next((failure for failure in self.failures if failure.kind in _DAMAGED), None)

    @property
    def last(self) -> Failure:
        return self.failures[-1] if self.failures else Failure(crash_failure.OTHER)

    def problem(self, failure: Failure) -> Problem:
        """``failure`` in a line for people."""
        return causes.problem(failure, self._subject, self._size, self._limits, self._timeout)

    def problems(self, rung: Rung = PLAIN) -> Tuple[Problem, ...]:
        """The causes, what it means that crash ran on ``rung``, and the modules that crash did not take."""
        found = [self.problem(failure) for failure in self.failures]
        if rung is not PLAIN:
            found.append(Problem(reached(rung)))
        for name, words in self.refused.items():
            found.append(Problem(f"crash did not take the debug information of {name}: {words}"))
        return tuple(dict.fromkeys(found))
