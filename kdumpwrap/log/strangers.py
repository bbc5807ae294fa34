"""Modules that the kernel called out of tree: when it loaded them, or in the list of another report of the same boot.

A stall that another CPU found, a hung task and some panics print no "Modules linked in:".
"""

import re
from typing import Dict, Iterable, Mapping, Optional, Tuple

from kdumpwrap.log.builder import Draft
from kdumpwrap.model.log import LoadedModule

WORD = " taint"  # in all of them

# kernel/module.c, kernel/module/main.c from 5.19 on; each is printed for the first such module alone:
# acmewan: loading out-of-tree module taints kernel.
# acmewan: module license 'Proprietary' taints kernel.
# acmewan: module verification failed: signature and/or required key missing - tainting kernel
_LINES: Tuple[Tuple["re.Pattern[str]", str], ...] = tuple(
    (re.compile(r"(?P<name>[A-Za-z0-9_][\w-]{0,63}): " + text), flag)
    for text, flag in (
        (r"loading out-of-tree module taints kernel", "O"),
        (r"module license '[^']{0,64}' taints kernel", "P"),
        (r"module verification failed: signature and/or +required key missing - tainting kernel", "E"),
    )
)
_FLAGS = frozenset("OPU")  # in a list of modules; U is el6's, which knows no O


def parse(text: str) -> Optional[LoadedModule]:
    """The module that ``text``, a line of the log, says to be out of tree, with its flag; None for another line."""
    if WORD not in text:
        return None
    for pattern, flag in _LINES:
        match = pattern.match(text.strip())
        if match:
            return LoadedModule(match["name"], flag)
    return None


def of_boots(
    loaded: Mapping[int, Mapping[str, LoadedModule]], drafts: Iterable[Draft]
) -> Dict[int, Tuple[LoadedModule, ...]]:
    """Of each boot the modules that are out of tree: by what was said when they were ``loaded``, and by the lists."""
    found = {boot: dict(modules) for boot, modules in loaded.items()}
    for draft in drafts:
        for module in draft.modules or ():
            if _FLAGS & set(module.flags):
                found.setdefault(draft.boot, {})[module.name] = module
    return {boot: tuple(modules.values()) for boot, modules in found.items()}
