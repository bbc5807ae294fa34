"""Modules that the kernel calls out of tree: when it loads them, or in the list of another report of the same boot.

A stall that another CPU found, a hung task and some panics print no "Modules linked in:".
"""

import re
from typing import Dict, Iterable, Mapping, Optional, Tuple

from kdumpwrap.host.release import parse as parse_release
from kdumpwrap.log.builder import Draft
from kdumpwrap.model.log import LoadedModule, Report
from kdumpwrap.regex import regex

WORD = " taint"  # in all of them

# kernel/module.c, kernel/module/main.c from 5.19 on; each is printed for the first such module alone:
# acmewan: loading out-of-tree module taints kernel.
# acmewan: module license 'Proprietary' taints kernel.
# acmewan: module verification failed: signature and/or required key missing - tainting kernel
_LINES: Tuple[Tuple["re.Pattern[str]", str], ...] = tuple(
    (regex(r"(?P<name>[A-Za-z0-9_][\w-]{0,63}): " + text), flag)
    for text, flag in (
        (r"loading out-of-tree module taints kernel", "O"),
        (r"module license '[^']{0,64}' taints kernel", "P"),
        (r"module verification failed: signature and/or +required key missing - tainting kernel", "E"),
    )
)
OUT_OF_TREE, PROPRIETARY, UNSIGNED = "out of tree", "proprietary", "unsigned"
_SINCE = (3, 2)  # from then on O is a flag of a module: TAINT_OOT_MODULE


def origin(flags: str, release: Optional[str]) -> Optional[str]:
    """The origin of a module by its flags in a list ("OE"); None: the kernel's own tree.

    OUT_OF_TREE by O. The kernels before 3.2 (el6's 2.6.32) know no O: there U, not signed by the vendor, and P are the
    proof. Otherwise a P without an O is a proprietary module that claims to be in tree. An E alone is an unsigned
    module: in a self-built kernel every module is unsigned.
    """
    if "O" in flags or "U" in flags:
        return OUT_OF_TREE
    if "P" in flags:
        return OUT_OF_TREE if _knows_no_o(release) else PROPRIETARY
    return UNSIGNED if "E" in flags else None


def _knows_no_o(release: Optional[str]) -> bool:
    kernel = parse_release(release)
    return kernel is not None and (0, 0, 0) < kernel.version < _SINCE


def _signs_its_modules(release: Optional[str]) -> bool:
    """Whether the kernel is a distribution's: a self-built kernel has unsigned modules of its own."""
    kernel = parse_release(release)
    return kernel is not None and kernel.vendor != ""


def origins(report: Report) -> Dict[str, str]:
    """The origin of each module, by name, that the report's list or other lines of its boot tell."""
    listed = ((module.name, origin(module.flags, report.release)) for module in report.modules if module.flags)
    found = {name: one for name, one in listed if one is not None}
    return {**found, **{module.name: OUT_OF_TREE for module in report.strangers}}


def parse(text: str) -> Optional[LoadedModule]:
    """The module that ``text``, a line of the log, calls out of tree, with its flag; None for another line.

    The flag E only says that the module is unsigned: that is proof where a vendor signs the kernel's own modules.
    """
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
    """The out-of-tree modules of each boot: by the lines printed when they were ``loaded``, and by the lists."""
    drafts = list(drafts)
    signed = {draft.boot for draft in drafts if _signs_its_modules(draft.release)}
    found = {
        boot: {name: module for name, module in modules.items() if module.flags != "E" or boot in signed}
        for boot, modules in loaded.items()
    }
    for draft in drafts:
        for module in draft.modules or ():
            if origin(module.flags, draft.release) == OUT_OF_TREE:
                found.setdefault(draft.boot, {})[module.name] = module
    return {boot: tuple(modules.values()) for boot, modules in found.items()}
