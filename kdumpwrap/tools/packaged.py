"""The files of a package that are wanted, and the name under which each is kept."""

import posixpath
import re
from typing import Dict, Iterable, List, Optional, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.host import fetched
from kdumpwrap.model.fetched import Kind, Wants
from kdumpwrap.regex import regex

# CentOS: /usr/src/debug/kernel-5.14.0-503.el9/linux-5.14.0-503.el9.x86_64/net/core/dev.c
# Debian: linux-source-6.1/net/core/dev.c
_SOURCE = regex(r"(?:usr/src/debug/[^/]+/)?linux-[^/]+/(?P<file>.+)")


def chosen(names: Iterable[str], wants: Wants) -> Dict[str, Tuple[Kind, str]]:
    """Of the files ``names`` of a package those that are wanted: what each is, and its name among what is kept."""
    found: Dict[str, Tuple[Kind, str]] = {}
    sources: Dict[str, str] = {}
    vmlinux = debuginfo.packaged_vmlinux(wants.release)
    for name in names:
        plain = name.lstrip("./")
        if ".." in plain.split("/") or not plain.isprintable():
            continue
        if plain in vmlinux:
            found[name] = ("vmlinux", fetched.VMLINUX)
        module = debuginfo.packaged_module(plain, wants.release)
        if module is not None and (wants.modules is None or module.name in wants.modules):
            found[name] = ("module", f"{fetched.MODULES}/{module.path}")
        source = _SOURCE.fullmatch(plain)
        if source is not None:
            sources[source["file"]] = name
    for file in wants.sources:
        best = next((tail for tail in tails(file) if tail in sources), None)
        if best is not None:
            found[sources[best]] = ("source", f"{fetched.SOURCE}/{best}")
    return found


def tails(file: str) -> List[str]:
    """The names under which a package may hold ``file`` of the debug information, longest first, none bare."""
    if not file.isprintable():  # a line of its own in a list of names would be an option of tar
        return []
    parts = [part for part in posixpath.normpath(file).split("/") if part not in ("", "..", ".")]
    return ["/".join(parts[start:]) for start in range(len(parts) - 1)]


def source_name(file: str) -> str:
    """The name under which a source file is kept; ``file`` is its absolute path in the debug information."""
    match = _SOURCE.fullmatch(posixpath.normpath(file).lstrip("/"))
    return match["file"] if match else posixpath.normpath(file).lstrip("/")


def module_name(name: str) -> str:
    """A module's name as logs write it: ``dm_mod`` of ``dm-mod``."""
    return name.replace("-", "_")


def module_of(kept: str) -> Optional[str]:
    """The module of the kept file ``kept``; None when the file is no module."""
    if not kept.startswith(f"{fetched.MODULES}/"):
        return None
    return module_name(re.split(r"(?:\.debug)?\.ko", kept.rpartition("/")[2])[0])


def wanted_modules(names: Iterable[str]) -> Tuple[str, ...]:
    """``names`` as logs write them, each once."""
    return tuple(sorted({module_name(name) for name in names}))


def patterns(wants: Wants) -> List[str]:
    """tar's patterns for vmlinux and modules of a Debian package."""
    found = [f"./{path}" for path in debuginfo.packaged_vmlinux(wants.release)]
    for top in ("usr/lib/debug/lib/modules", "usr/lib/debug/usr/lib/modules"):
        names = ["*"] if wants.modules is None else [f"*/{name.replace('_', '[-_]')}.ko*" for name in wants.modules]
        found += [f"./{top}/{wants.release}/{name}" for name in names]
    return found
