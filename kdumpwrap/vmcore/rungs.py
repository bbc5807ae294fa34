"""The ways to start crash(8), the most first, and which to try after a failure."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import UsageError
from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.tools.argv import Word, options


class Rung(NamedTuple):
    """One way to start crash. Its names are those of ``--rung``."""

    name: str
    options: Tuple[Word, ...]
    means: str  # for whoever reads its answers


PLAIN = Rung("plain", (), "")
REDUCED = Rung("reduced", options("--no_kmem_cache --no_modules"), "without slab caches (kmem -s) and modules")
ZERO_EXCLUDED = Rung(
    "zero-excluded",
    (*REDUCED.options, *options("--zero_excluded")),
    "without slab caches and modules; pages that the dump lacks read as zero",
)
LEAST = Rung("minimal", options("--minimal"), "with log, dis, rd, sym, eval and set alone")
RUNGS = (PLAIN, REDUCED, ZERO_EXCLUDED, LEAST)

# where a failure leads; a kind that is not here ends it all
_PATHS = {
    crash_failure.MEMORY: (REDUCED, LEAST),
    crash_failure.KILLED: (REDUCED, LEAST),
    crash_failure.INCOMPLETE: (ZERO_EXCLUDED, LEAST),
    crash_failure.EXCLUDED: (ZERO_EXCLUDED, LEAST),
    crash_failure.TRUNCATED: (LEAST,),
    crash_failure.TOO_OLD: (LEAST,),
    crash_failure.BROKEN: (LEAST,),
    crash_failure.SILENT: (LEAST,),
    crash_failure.OTHER: (LEAST,),
}


def rung(name: str) -> Rung:
    """The rung called ``name``; raises UsageError."""
    for one in RUNGS:
        if one.name == name:
            return one
    raise UsageError(f"no rung is called {name}", shell.hint("--rung plain, reduced, zero-excluded or minimal"))


def below(current: Rung, failure: Failure) -> Optional[Rung]:
    """The rung to try after ``current`` failed so."""
    path = _PATHS.get(failure.kind, ())
    if failure.kind == crash_failure.TOO_OLD and ": module_" in failure.words:
        path = (REDUCED, *path)  # which does not look at modules
    return next((one for one in path if RUNGS.index(one) > RUNGS.index(current)), None)


def reached(one: Rung) -> str:
    """What ``one`` means for whoever reads its answers."""
    return f"crash ran as {one.name} ({' '.join(one.options)}), {one.means}" if one.options else "crash ran whole"
