"""SIGINT, SIGTERM and SIGHUP: each ends kdumpwrap by KeyboardInterrupt, and temporary files are removed."""

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
_TOGETHER = 0.1  # seconds: a second signal within them is the same one, sent to the process group and to the process


class _State:
    heard = 0  # the signal that ends this process
    deaf_until = 0.0  # signals before this time.monotonic() are ignored


def listen() -> None:
    """Handle these signals from now on: they stop tools and raise KeyboardInterrupt."""
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP, a shell's "&" SIGINT
            signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, _raise)
    sys.unraisablehook = _unraisable  # novm: Python 3.6 and 3.7 never call it, and lose the signal


def heard() -> bool:
    """Whether a signal ends this process."""
    return bool(_State.heard)


def check() -> None:
    """Raise KeyboardInterrupt if a signal ends this process. One raised before may have been lost."""
    if _State.heard:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt


def leave(status: int) -> NoReturn:
    """Exit with ``status``, or with 128 plus the number of the signal that was received. Another signal kills."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if _State.heard:
        _tools("settle")
        atexit._run_exitfuncs()  # removes temporary directories whose removal was interrupted
        # Python would now wait for threads. A thread may wait for ever: a signal can interrupt code between taking a
        # lock and the block that releases it.
        os._exit(128 + _State.heard)
    sys.exit(status)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A first signal is handled at the end of the block: the output of the block is complete.

    A second one is handled at once: the output may have no reader and block.
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
    _tools("stop_all")
    _raise(number, frame)


def _tools(name: str) -> None:
    """Call that function of tools.run; nothing when the module is not loaded: no tool runs."""
    function = getattr(sys.modules.get("kdumpwrap.tools.run"), name, None)
    if function is not None:
        function()


def _raise(_: int, frame: Optional[FrameType]) -> None:
    """Raise KeyboardInterrupt; a timer does it later when ``frame`` is inside _unraisable, where it would be lost."""
    while frame is not None and frame.f_code is not _unraisable.__code__:
        frame = frame.f_back
    if frame is None:
        raise KeyboardInterrupt
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _unraisable(unraisable: Any) -> None:
    """An exception raised in a destructor is only printed, with its traceback: Python goes on.

    A KeyboardInterrupt that is lost in this way is raised again by a timer.
    """
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    else:
        sys.__unraisablehook__(unraisable)  # novm: only what calls us gets here
