"""SIGINT, SIGTERM and SIGHUP: each ends kdumpwrap as KeyboardInterrupt does, and nothing is left behind."""

import atexit
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from types import FrameType
from typing import Any, Iterator, List, NoReturn, Optional

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.01  # seconds
_TOGETHER = 0.1  # seconds: what comes so soon after a signal is the same wish, sent to the group and to each of us


class _State:
    heard = 0  # the signal that ends us
    deaf_until = 0.0  # by time.monotonic()


def listen() -> None:
    """From now on tools are stopped, temporary directories removed, and what a batch has done is printed."""
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup has SIGHUP ignored, a shell's "&" SIGINT
            signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, _raise)
    sys.unraisablehook = _unraisable  # novm: before Python 3.8 nobody calls it, and a signal in such a place is lost


def heard() -> bool:
    """Whether a signal ends us."""
    return bool(_State.heard)


def check() -> None:
    """Raise KeyboardInterrupt if a signal ends us: it may have been lost, and wait to be raised again."""
    if _State.heard:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt


def leave(status: int) -> NoReturn:
    """Exit with ``status``, or with 128 and the number of the signal that ends us; another one ends us at once."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if _State.heard:
        atexit._run_exitfuncs()  # removes temporary directories whose removal was interrupted
        # Python would now wait for threads, and one may wait for a lock that is held for ever: by what a signal
        # interrupted between taking it and being able to give it back
        os._exit(128 + _State.heard)
    sys.exit(status)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal that would end us is heard when the block ends: what was begun is said whole.

    The second one is heard at once: nobody may be reading what is said.
    """
    held: List[int] = []

    def hear(number: int, frame: Optional[FrameType]) -> None:
        if held:
            _interrupt(number, frame)
        held.append(number)
        _State.deaf_until = time.monotonic() + _TOGETHER

    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        signal.signal(number, handler if handler == signal.SIG_IGN else hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        _State.deaf_until = 0.0
        signal.pthread_kill(threading.get_ident(), held[0])


def _interrupt(number: int, frame: Optional[FrameType]) -> None:
    if time.monotonic() < _State.deaf_until:
        return
    _State.heard, _State.deaf_until = number, time.monotonic() + _TOGETHER
    stop_all = getattr(sys.modules.get("kdumpwrap.tools.run"), "stop_all", None)
    if stop_all:  # else that is being loaded still, and no program runs
        stop_all()
    _raise(number, frame)


def _raise(_: int, frame: Optional[FrameType]) -> None:
    """Raise KeyboardInterrupt; a moment later, when ``frame`` is part of what Python does with things that are lost."""
    while frame is not None and frame.f_code is not _unraisable.__code__:
        frame = frame.f_back
    if frame is None:
        raise KeyboardInterrupt
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _unraisable(unraisable: Any) -> None:
    """Python cannot raise what happens while it throws an object away, and would print a traceback and go on.

    There, nobody hears that we are to end; so it is said once more, a moment later.
    """
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    else:
        sys.__unraisablehook__(unraisable)  # novm: only what calls us gets here
