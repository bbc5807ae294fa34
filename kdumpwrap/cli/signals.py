"""Ctrl-C, a stop by systemd and the end of an ssh session: each ends us as KeyboardInterrupt does, all cleaned up."""

import contextlib
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Iterator, List

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.01  # seconds
_TOGETHER = 0.1  # seconds: what comes so soon after a signal is the same wish, sent to the group and to each of us

_heard = 0  # the signal that ends us
_deaf_until = 0.0  # by time.monotonic()


def listen() -> None:
    """From now on tools are stopped, temporary directories removed, and what a batch has done is printed."""
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup has SIGHUP ignored, a shell's "&" SIGINT
            signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def status(otherwise: int) -> int:
    """The exit status: 128 and the number of the signal that ended us, ``otherwise`` if none did."""
    return 128 + _heard if _heard else otherwise


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal that would end us is heard when the block ends: what was begun is said whole.

    The second one is heard at once: nobody may be reading what is said.
    """
    heard: List[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        if len(heard) > 1:
            _interrupt(number, None)

    before = {number: signal.signal(number, hear) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[0])


def _interrupt(number: int, _: object) -> None:
    global _heard, _deaf_until
    if time.monotonic() < _deaf_until:
        return
    _heard, _deaf_until = number, time.monotonic() + _TOGETHER
    stop_all = getattr(sys.modules.get("kdumpwrap.tools.run"), "stop_all", None)
    if stop_all:  # else that is being loaded still, and no program runs
        stop_all()
    raise KeyboardInterrupt


def _unraisable(unraisable: Any) -> None:
    """Python cannot raise what happens while it throws an object away, and would print a traceback and go on.

    There, nobody hears that we are to end; so it is said once more, a moment later.
    """
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    with contextlib.suppress(RuntimeError):  # no more threads: the interpreter is ending already
        threading.Timer(_AGAIN, _once_more).start()


def _once_more() -> None:
    global _deaf_until  # noqa: PLW0603 (as above)
    _deaf_until = 0.0
    os.kill(os.getpid(), _heard or signal.SIGINT)
