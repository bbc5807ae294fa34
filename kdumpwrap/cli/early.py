"""An early start of nm, while the library of the command line is loaded: that takes half as long as nm.

What is asked is guessed from the words of the command line. Nothing is started for words that are not plain. A wrong
guess costs the time of one unused nm.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, Sequence

from kdumpwrap import debuginfo
from kdumpwrap.crashdir import finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.symbolize import opening

_VALUED = ("--root", "--vmlinux", "--module-dir", "--source-dir", "--release")
_FLAGS = (
    *("--raw", "--json", "--markdown", "--all-reports", "--only-report", "--variables", "--no-variables"),
    *("--caller", "--all"),
)
_STEERING = ("KDUMPWRAP_ROOT", "KDUMPWRAP_VMLINUX", "KDUMPWRAP_VERBOSE", "KDUMPWRAP_RELEASE")


def begin(command: str, words: Sequence[str]) -> None:
    """Start nm for what ``command`` is asked in ``words``: a crash, or the expressions of resolve and disasm."""
    if any(os.environ.get(name) for name in _STEERING):
        return
    values: Dict[str, str] = {}
    with suppress(KdumpwrapError, OSError, ValueError):  # reported when the command line is read
        asked = _asked(words, values)
        vmlinux = Path(values["--vmlinux"]) if "--vmlinux" in values else None
        search = Search(Path(values.get("--root", "/")), vmlinux)
        if command in ("resolve", "disasm"):
            if asked:
                opening.foresee(debuginfo.asked(values.get("--release"), search), search, None)
        elif len(asked) == 1 and Path(asked[0]).exists():
            found = finder.find(asked[0], search.root)
            if found.dmesg is not None and not found.packed:
                opening.foresee(release_of(found), search, Path(found.dmesg).parent)


def _asked(words: Sequence[str], values: Dict[str, str]) -> Sequence[str]:
    """The words that are no options; none where an option is not known. ``values`` get the values of options."""
    asked: List[str] = []
    rest = iter(words)
    for one in rest:
        name, given, value = one.partition("=")
        if name in _VALUED:
            values[name] = value if given else next(rest, "")
        elif not one.startswith("-"):
            asked.append(one)
        elif one not in _FLAGS:
            return ()
    return asked
