"""The maker of a module whose debuginfo is missing: the distribution, or a third party with its package."""

from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from kdumpwrap import shell
from kdumpwrap.errors import ToolStopped
from kdumpwrap.host import packages
from kdumpwrap.regex import regex
from kdumpwrap.shell import Hint
from kdumpwrap.tools.owner import owner

# "lib/modules/6.1.0-47-amd64/kernel/fs/xfs/xfs.ko" is the distribution's; extra, updates, weak-updates are not
_INSTALLED = regex(r"(?:^|/)lib/modules/[^/]+/(?P<where>[^/]+)/")
_DEBUGINFO = "usr/lib/debug/"


class Maker(NamedTuple):
    """The origin of a module, in words to put behind its name ("" when it is not known), and what to type."""

    origin: str
    hint: Hint
    tool_failed: bool = False  # the package manager was stopped before it could tell


def maker(
    name: str, paths: Sequence[Path], release: Optional[str], root: Path, stranger: Optional[bool] = None
) -> Maker:
    """The maker of the module ``name``, whose files are ``paths``.

    The directory where it is installed decides. For a module that is not installed ``stranger`` does: whether the log
    flags it as out of tree.
    """
    installed = next((path for path in paths if _place(path) is not None), None)
    if installed is not None:
        stranger = _place(installed) != "kernel"
    if stranger is False and release is not None:
        return Maker("", packages.debuginfo(release))
    hint = shell.hint("--module-dir DIR, where DIR holds {} built with -g, from its maker", f"{name}.ko")
    if installed is None:
        return Maker("", hint)
    try:
        package = owner(installed, root)
    except ToolStopped:
        return Maker(f"{installed}", hint, tool_failed=True)
    return Maker(f"{installed}{f' of the package {package}' if package else ', which belongs to no package'}", hint)


def _place(path: Path) -> Optional[str]:
    """The directory under lib/modules/RELEASE in which a module is installed: ``kernel``, ``extra``; None elsewhere."""
    if _DEBUGINFO in path.as_posix():
        return None
    found = _INSTALLED.search(path.as_posix())
    return found["where"] if found else None
