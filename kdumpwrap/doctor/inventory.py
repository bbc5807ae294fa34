"""The programs and packages of a host, by its files or, in an sosreport, by its list of packages."""

import os
import re
import shutil
from typing import Dict, Iterable, List, Optional, Tuple

from kdumpwrap.host.tree import Host

_PROGRAMS = ("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin")


def program(host: Host, name: str) -> Optional[str]:
    """The path of a program, or None. On this host PATH is searched first."""
    if host.live:
        return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_PROGRAMS)))
    return host.any(*(f"{directory}/{name}" for directory in _PROGRAMS))


def has_programs(host: Host) -> bool:
    """Whether this tree has programs at all. Only then a missing program is a fault."""
    return host.live or host.is_dir("/usr/bin") or host.is_dir("/usr/sbin")


def packages(host: Host) -> Optional[Dict[str, Tuple[str, ...]]]:
    """The versions of every package that a list in this tree names; None when there is no list.

    Kernels and their debuginfo may be installed in several versions.
    """
    text = host.text("/installed-rpms")
    if text is not None:
        return _rpms(text)
    text = host.text("/installed-debs")
    if text is not None:
        # "ii  kdump-tools  1:1.8.1  amd64  scripts and tools …", the name perhaps with its architecture
        return _by_name(re.findall(r"^.i +([^\s:]+)(?::\w+)? +(\S+)", text, re.M))
    text = None if host.live else host.text("/var/lib/dpkg/status", 32 << 20)
    if text is not None:
        return _dpkg_status(text)
    return None


def _rpms(text: str) -> Dict[str, Tuple[str, ...]]:
    """``kexec-tools-2.0.15-51.el7.x86_64    Thu Jan  4 10:00:00 2024``: one package a line."""
    stems = (line.partition(" ")[0].rpartition(".")[0].rsplit("-", 2) for line in text.splitlines())
    return _by_name((stem[0], f"{stem[1]}-{stem[2]}") for stem in stems if len(stem) == 3)


def _dpkg_status(text: str) -> Dict[str, Tuple[str, ...]]:
    """dpkg's own list: paragraphs with ``Package:``, ``Status:``, ``Version:``."""
    found: List[Tuple[str, str]] = []
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", paragraph, re.M))
        if fields.get("Status", "").endswith(" installed"):
            found.append((fields.get("Package", ""), fields.get("Version", "")))
    return _by_name(found)


def _by_name(rows: Iterable[Tuple[str, str]]) -> Dict[str, Tuple[str, ...]]:
    found: Dict[str, List[str]] = {}
    for name, version in rows:
        found.setdefault(name, []).append(version)
    return {name: tuple(versions) for name, versions in found.items()}
