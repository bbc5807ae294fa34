"""``kdumpwrap crash``: questions to crash(8) about one vmcore, on a machine that may be too small for it."""

from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import UsageError
from kdumpwrap.model.crash import Problem
from kdumpwrap.tools.crash_input import check
from kdumpwrap.vmcore import crashed, files
from kdumpwrap.vmcore.ladder import HandOver, Ladder, Outcome
from kdumpwrap.vmcore.rungs import rung as rung_called
from kdumpwrap.vmcore.start import workplace


def run(
    target: Optional[str],
    search: Search,
    commands: Sequence[str],
    *,
    rung: Optional[str] = None,
    timeout: Optional[float] = None,
    progress: Callable[[str], object] = lambda words: None,
) -> Tuple[Outcome, Tuple[Path, ...]]:
    """crash's answers to ``commands`` about the crash ``target`` (see finder.find), in their order.

    ``rung`` forces the way to start crash; without it, it is the best that works. ``timeout`` is that of Ladder.
    Returned too: the files that the commands wrote into crash's current directory, which is a private one. Raises
    KdumpwrapError when a file or crash itself is missing.
    """
    commands = [check(command) for command in commands]
    if not commands:
        raise UsageError("no command for crash", shell.hint("kdumpwrap crash CRASH -c 'bt -a'"))
    with _ladder(target, search, rung, timeout, progress) as ladder:
        return ladder.ask(commands), ladder.place.left()


def hand_over(
    target: Optional[str],
    search: Search,
    tell: Callable[[Sequence[Problem]], object],
    *,
    rung: Optional[str] = None,
    timeout: Optional[float] = None,
    progress: Callable[[str], object] = lambda words: None,
) -> Tuple[HandOver, Tuple[Path, ...]]:
    """The course of a session of crash at the user's terminal, and the files that its commands wrote.

    ``tell`` gets the problems before the prompt, before the terminal is handed over. ``rung`` and ``timeout`` are as in
    ``run``.
    """
    with _ladder(target, search, rung, timeout, progress) as ladder:
        return ladder.hand_over(tell), ladder.place.left()


def commands_of(text: str) -> Tuple[str, ...]:
    """The commands in ``text``, one a line, as crash reads a file of them: empty lines and ``#`` lines are none."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


@contextmanager
def _ladder(
    target: Optional[str],
    search: Search,
    rung: Optional[str],
    timeout: Optional[float],
    progress: Callable[[str], object],
) -> Iterator[Ladder]:
    forced = rung_called(rung) if rung else None
    crash, search = crashed.find(target, search)
    subject = files.subject(crash, search)
    with workplace() as place:
        modules = files.ModuleFiles(
            subject.release, search, subject.vmcore.parent, place.own, lambda: files.linked_in(crash)
        )
        yield Ladder(subject, place, modules, forced=forced, timeout=timeout, progress=progress)
