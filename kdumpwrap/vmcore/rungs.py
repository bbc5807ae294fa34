"""The ways to start crash(8), the most complete first, and which to try after a failure."""

from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import UsageError
from kdumpwrap.host.needs import Need
from kdumpwrap.model.vmcore import RungName
from kdumpwrap.parse.crash_failure import Failure, FailureKind
from kdumpwrap.regex import regex
from kdumpwrap.tools.argv import Word, options


class Rung(NamedTuple):
    """One way to start crash. Its names are those of ``--rung``."""

    name: RungName
    options: Tuple[Word, ...]
    means: str  # what its answers lack, for the user


PLAIN = Rung("plain", (), "")
REDUCED = Rung("reduced", options("--no_kmem_cache --no_modules"), "without slab caches (kmem -s) and modules")
ZERO_EXCLUDED = Rung(
    "zero-excluded",
    (*REDUCED.options, *options("--zero_excluded")),
    "without slab caches and modules; pages that the dump lacks read as zero",
)
LEAST = Rung("minimal", options("--minimal"), "with log, dis, rd, sym, eval and set alone")
RUNGS = (PLAIN, REDUCED, ZERO_EXCLUDED, LEAST)

# the rungs to try after a failure; a kind that is not here ends the search
_PATHS: Dict[FailureKind, Tuple[Rung, ...]] = {
    "memory": (REDUCED, LEAST),
    "killed": (REDUCED, LEAST),
    "incomplete": (ZERO_EXCLUDED, LEAST),
    "excluded": (ZERO_EXCLUDED, LEAST),
    "truncated": (LEAST,),
    "too old": (LEAST,),
    "broken": (LEAST,),
    "silent": (LEAST,),
    "other": (LEAST,),
}

# the ends of a crash that is too old for the kernel: it reads what is not there, and hangs or breaks down by chance
_BY_CHANCE: Tuple[FailureKind, ...] = ("expired", "endless", "ended", "killed")


def rung(name: str) -> Rung:
    """The rung called ``name``; raises UsageError when there is none."""
    for one in RUNGS:
        if one.name == name:
            return one
    raise UsageError(f"no rung is called {name}", shell.hint("--rung plain, reduced, zero-excluded or minimal"))


def below(current: Rung, failure: Failure, unmet: Sequence[Need] = ()) -> Optional[Rung]:
    """The rung to try after ``failure`` on ``current``; None when there is none.

    ``unmet`` are the needs of the kernel that this crash does not meet, by its number. It starts without modules only
    where they are all that it does not know.
    """
    path = (LEAST,) if unmet and failure.kind in _BY_CHANCE else _PATHS.get(failure.kind, ())
    if failure.lacking.startswith("module_") and all(need.stumbles == failure.lacking for need in unmet):
        path = (REDUCED, *path)  # which does not look at modules
    return next((one for one in path if RUNGS.index(one) > RUNGS.index(current)), None)


def reached(one: Rung) -> str:
    """A message with the options of ``one`` and what its answers lack."""
    return f"crash ran as {one.name} ({' '.join(one.options)}), {one.means}" if one.options else "crash ran whole"


# ---------------------------------------------------------------- what a lower rung leaves out

# Measured with crash 8.0.2, the same commands on each rung. Without modules ``bt`` leaves their frames out without a
# message, ``dev`` shows addresses for names, ``mod`` and ``kmem ADDRESS`` print less.

# answers that are the same without the symbols of modules and without slab caches; any other may need these
_SAME = frozenset(
    "log sys ps runq mount swap files net vm ipcs mach sig irq fuse struct union whatis p list tree search vtop pte "
    "ptov btop ptob ascii eval set help alias extend".split()
)
_SAME_OF_KMEM = frozenset("-i -v -n -z -V -p -f".split())
# commands that take an address or a name and report an unknown one; with these options they list all
_LOOK_UP = {"sym": ("-l", "-m", "-M", "-q"), "dis": (), "rd": ("-s", "-S")}
# symbol not found: wan_next_seq
# sym: invalid address: ffffffffc0629512
# WARNING: ffffffffc0629512: no associated kernel symbol found
# rd: seek error: kernel virtual address: ffffffffc0629512  type: "64-bit KVADDR"
_UNKNOWN = regex(r"symbol not found: |invalid address: |: no associated kernel symbol found|: seek error: ")


def lacks(rung: Rung, command: str, output: str) -> Optional[str]:
    """The part that may be missing in the ``output`` of ``command`` on ``rung``, in half a sentence; None: nothing."""
    words = command.split()
    if rung is PLAIN or not words or words[0].startswith("!"):
        return None
    name, options = words[0], words[1:]
    if name in _LOOK_UP:
        whole = not any(option in options for option in _LOOK_UP[name]) and not _UNKNOWN.search(output)
    elif rung is LEAST:
        whole = True  # of the others, --minimal refuses what it cannot answer
    else:
        whole = name in _SAME or (name == "kmem" and options[:1] != [] and options[0] in _SAME_OF_KMEM)
    return None if whole else f"crash knows nothing of modules{'' if rung is LEAST else ' and slabs'} as {rung.name}"
