"""The private directory in which crash(8) runs."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, NamedTuple, Tuple


class Workplace(NamedTuple):
    """``own`` is for our files, ``current`` is crash's current directory.

    The gdb in crash reads ./.gdbinit, whatever crash is told about its own .crashrc: where others write, root must not
    start it. What a user's command leaves there (``log > log.txt``) is kept.
    """

    own: Path
    current: Path

    def left(self) -> Tuple[Path, ...]:
        """The files that crash's commands wrote."""
        return tuple(sorted(self.current.iterdir()))


@contextmanager
def workplace() -> Iterator[Workplace]:
    """A new one, removed at the end unless something was left in it."""
    base = Path(tempfile.mkdtemp(prefix="kdumpwrap-crash-"))
    place = Workplace(base / "own", base / "current")
    try:
        place.own.mkdir()
        place.current.mkdir()
        yield place
    finally:
        shutil.rmtree(place.own if place.current.is_dir() and place.left() else base, ignore_errors=True)
