"""Progress of a program that runs, reported once a second."""

import contextlib
import threading
from typing import Callable, Iterator, Optional

STEP = 1.0  # seconds between two reports


@contextlib.contextmanager
def told(tell: Optional[Callable[[str], object]], say: Callable[[], str]) -> Iterator[None]:
    """Calls ``tell`` with the text of ``say`` every STEP seconds while the body runs, and with "" at its end."""
    if tell is None:
        yield
        return
    over = threading.Event()

    def talk() -> None:
        while True:
            tell(say())
            if over.wait(STEP):
                return

    thread = threading.Thread(target=talk, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads: nothing is reported then
        yield
        return
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell("")
