"""The result of a batch: its groups, its failures, its exit status."""

from collections import Counter
from typing import Counter as CounterOf
from typing import Iterator, List, Optional

from kdumpwrap import shell
from kdumpwrap.batch.engine import Done
from kdumpwrap.model.bugs import Groups, Row, row
from kdumpwrap.model.crash import Problem

_NAMED = 100  # problems of a kind that are printed


class Tally:
    """Counts crashes as they are done; it keeps only their rows and problems."""

    def __init__(self) -> None:
        self.groups = Groups()
        self.seen = 0  # crashes counted, wanted or not
        self.told = 0  # crashes with a report
        self.passed_over = 0  # crashes that were not wanted
        self._failures: List[Problem] = []
        self._problems: CounterOf[Problem] = Counter()

    def add(self, done: Done) -> Optional[Row]:
        """Count ``done``; return its row, None when it is unwanted or has no report."""
        self.seen += 1
        if done.failure is not None:
            self._failures.append(done.failure)
        if not done.wanted:
            self.passed_over += 1
            return None
        if done.analysis is None:
            return None
        found = row(done.analysis)
        if found is None:
            self._failures += done.analysis.problems
            return None
        self._problems.update(done.analysis.problems)
        self.groups.add(found)
        self.told += 1
        return found

    def fail(self, problem: Problem) -> None:
        """Count a failure that concerns no crash, such as an unreadable directory."""
        self._failures.append(problem)

    @property
    def whole(self) -> bool:
        """Whether every crash was analysed without a problem."""
        return not self._failures and not self._problems

    def problems(self) -> Iterator[Problem]:
        """The problems, each once with the number of crashes it concerns; then each crash that failed."""
        common = sorted(self._problems.items(), key=lambda item: -item[1])
        for problem, count in common[:_NAMED]:
            yield problem._replace(message=f"{problem.message} ({count} crashes)") if count > 1 else problem
        if len(common) > _NAMED:
            yield Problem(f"{len(common) - _NAMED} other things were missing", shell.hint("kdumpwrap batch --json"))
        yield from self._failures[:_NAMED]
        if len(self._failures) > _NAMED:
            yield Problem(f"{len(self._failures) - _NAMED} other crashes could not be analysed")
