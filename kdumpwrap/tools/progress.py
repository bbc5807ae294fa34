"""A line about what is on its way, now and then, while a program works."""

import contextlib
import threading
from typing import Callable, Iterator, Optional

STEP = 1.0  # seconds between two words


@contextlib.contextmanager
def told(tell: Optional[Callable[[str], object]], say: Callable[[], str]) -> Iterator[None]:
    """Gives ``tell`` what ``say`` says, now and then, while the body runs, and "" when it is over."""
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
    except RuntimeError:  # no more threads: nothing is told then
        yield
        return
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell("")
