"""An early start of nm, while the library of the command line is loaded: that takes half as long as nm.

The crash is guessed from the words of the command line. Nothing is started for words that are not plain. A wrong guess
costs the time of one unused nm.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from kdumpwrap.crashdir import finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.symbolize import opening

_VALUED = ("--root", "--vmlinux", "--module-dir", "--source-dir")
_FLAGS = ("--raw", "--json", "--markdown", "--all-reports", "--only-report", "--variables", "--no-variables")
_STEERING = ("KDUMPWRAP_ROOT", "KDUMPWRAP_VMLINUX", "KDUMPWRAP_VERBOSE")


def begin(words: Sequence[str]) -> None:
    """Start nm for the crash in ``words``, the words behind analyze or annotate."""
    if any(os.environ.get(name) for name in _STEERING):
        return
    values: Dict[str, str] = {}
    with suppress(KdumpwrapError, OSError, ValueError):  # reported when the command line is read
        crash = _crash(words, values)
        if crash is None:
            return
        vmlinux = Path(values["--vmlinux"]) if "--vmlinux" in values else None
        search = Search(Path(values.get("--root", "/")), vmlinux)
        found = finder.find(crash, search.root)
        if found.dmesg is not None and not found.packed:
            opening.foresee(release_of(found), search, Path(found.dmesg).parent)


def _crash(words: Sequence[str], values: Dict[str, str]) -> Optional[str]:
    """The one crash that ``words`` name, a file or a directory; else None. ``values`` get the values of options."""
    crashes: List[str] = []
    rest = iter(words)
    for one in rest:
        name, given, value = one.partition("=")
        if name in _VALUED:
            values[name] = value if given else next(rest, "")
        elif not one.startswith("-"):
            crashes.append(one)
        elif one not in _FLAGS:
            return None
    return crashes[0] if len(crashes) == 1 and Path(crashes[0]).exists() else None
