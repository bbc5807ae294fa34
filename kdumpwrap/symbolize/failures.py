"""Failures while an answer is made: collected and reported beside it, never raised."""

import threading
from typing import Callable, Dict, Iterable, Iterator, List, Optional, TypeVar

from kdumpwrap.errors import KdumpwrapError, WrongVmlinux
from kdumpwrap.model.crash import Problem

_T = TypeVar("_T")


class Failures:
    """Problems by the object they concern: None is the vmlinux, else a module's name."""

    def __init__(self) -> None:
        self._found: Dict[Optional[str], List[Problem]] = {}
        self._lock = threading.Lock()

    def keep(self, module: Optional[str], job: Callable[[], _T]) -> Optional[_T]:
        """The result of ``job``; None, and a problem of the object ``module``, when a file or a tool failed."""
        try:
            return job()
        except KdumpwrapError as error:
            self.add(module, Problem(error.message, error.hint, error.tool_failed, isinstance(error, WrongVmlinux)))
            error.__traceback__ = None  # a job keeps its error, and that would keep the frames of all callers
            return None

    def add(self, module: Optional[str], problem: Problem) -> None:
        """Add a problem of the object ``module``; any thread may call this."""
        with self._lock:
            self._found.setdefault(module, []).append(problem)

    def by_a_tool(self, module: Optional[str]) -> bool:
        """Whether a tool failed at the object ``module``."""
        return any(one.tool_failed for one in self._found.get(module, ()))

    def of(self, modules: Iterable[str]) -> Iterator[Problem]:
        """The problems of the vmlinux, then those of ``modules``, by name."""
        yield from self._found.get(None, ())
        for name in sorted(set(modules)):
            yield from sorted(self._found.get(name, ()))
