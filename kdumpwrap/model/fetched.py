"""The values of ``kdumpwrap fetch``: the files it wants, the packages offered, the files it keeps."""

from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.model.crash import Problem
from kdumpwrap.shell import Hint

Kind = Literal["vmlinux", "module", "source"]


class Wants(NamedTuple):
    """The files that are wanted of a kernel's packages. ``modules``: None for all of them."""

    release: str
    modules: Optional[Tuple[str, ...]] = ()
    sources: Tuple[str, ...] = ()  # as the debug information names them


class Offer(NamedTuple):
    """A package that an enabled repository has."""

    name: str
    version: str
    repository: str
    size: Optional[int]  # bytes to load
    file: str  # name of the package's file


class Step(NamedTuple):
    """A command that would be run, and how many bytes it loads."""

    command: Hint
    size: Optional[int] = None


class Kept(NamedTuple):
    """A file that was kept."""

    kind: Kind
    path: Path
    size: int


class Fetched(NamedTuple):
    """The result. ``steps``: the commands that would be run, when only those were asked for."""

    release: str
    build_id: Optional[str] = None
    directory: Optional[Path] = None
    files: Tuple[Kept, ...] = ()
    steps: Tuple[Step, ...] = ()
    problems: Tuple[Problem, ...] = ()  # what is missing
    notes: Tuple[Problem, ...] = ()


class Build(NamedTuple):
    """The kept debuginfo of one build of a kernel."""

    release: str
    build_id: str
    size: int  # bytes on the disk
    used: float  # seconds since the epoch
    path: Path
