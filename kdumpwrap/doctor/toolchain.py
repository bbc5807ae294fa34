"""Checks of the tools: whether they are installed, and new enough for the kernels that crashed here."""

import os
import re
from typing import Iterator, NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.doctor import causes, fixes, inventory
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.errors import ToolFailed, ToolMissing
from kdumpwrap.host import needs, packages
from kdumpwrap.host import release as releases
from kdumpwrap.host.distribution import EL
from kdumpwrap.model.host import Check, Step
from kdumpwrap.regex import regex

_BINUTILS = ("nm", "objdump", "addr2line")
_ELFUTILS = "eu-addr2line"
_SECONDS = 20.0

_PROFILE = "/etc/profile.d/kdumpwrap.sh"

# "GNU objdump version 2.35.2-54.el9", "GNU nm (GNU Binutils for Debian) 2.40", "crash 8.0.2",
# "makedumpfile: version 1.7.2 (released on 20 Oct 2022)"
_VERSION = regex(r"\b\d{1,4}\.\d{1,4}(?:\.\d{1,4})*")


class Tool(NamedTuple):
    """One program: its path (None when missing), and its version (None when unknown)."""

    path: Optional[str]
    version: Optional[str]


def check(facts: Facts, releases: Tuple[str, ...]) -> Iterator[Check]:
    """``nm``, ``objdump``, ``addr2line``, ``crash``, ``makedumpfile`` for ``releases``, and ``eu-addr2line``."""
    for name in (*_BINUTILS, "crash", "makedumpfile"):
        tool = _find(facts, name)
        if tool is None:
            yield Check(name, "unknown", "no programs in this tree", side="analysis")
            continue
        if tool.path is None:
            steps = fixes.install(facts, name)
            bundled = name == "makedumpfile" and facts.distribution.package(name) == "kexec-tools"
            after = causes.AFTER["makedumpfile"] if bundled else ()
            yield Check(name, "fail", f"{name} is not installed", steps, side="analysis", after=after)
            continue
        seen = f"{tool.path} {tool.version or ''}".rstrip()
        fault = next(filter(None, (_too_old(facts, name, tool.version, release) for release in releases)), None)
        if fault is None:
            yield Check(name, "ok", seen, side="analysis", evidence=(tool.path,))
        else:
            why, steps = fault
            yield Check(name, "warn", f"{seen}: {why}", steps, side="analysis", evidence=(tool.path,))
    yield from _elfutils(facts)


def _elfutils(facts: Facts) -> Iterator[Check]:
    """The gain of elfutils when it is not installed; no check for a tree without programs."""
    tool = _find(facts, _ELFUTILS)
    if tool is not None and tool.path is not None:
        seen = f"{tool.path} {tool.version or ''}".rstrip()
        yield Check(_ELFUTILS, "ok", seen, side="analysis", evidence=(tool.path,))
    elif tool is not None:
        gain = "addr2line is asked for lines: three times slower, wrong for one address in 27, without columns"
        yield Check(_ELFUTILS, "warn", f"not installed: {gain}", fixes.install(facts, _ELFUTILS), side="analysis")


def own(facts: Facts, release: str) -> bool:
    """Whether ``release`` is a kernel of this very distribution: its tools are made for it."""
    kernel, host = releases.parse(release), facts.distribution
    if kernel is None or kernel.family != host.family.name or kernel.vendor == "elrepo":  # elrepo's are kernel.org's
        return False
    if host.family is not EL:
        return True
    return (kernel.vendor == "fedora") == (host.id == "fedora") and host.major in (None, kernel.generation)


def _find(facts: Facts, name: str) -> Optional[Tool]:
    """The program; None when this tree does not tell."""
    host = facts.host
    if host.live:
        wanted = os.environ.get(name.upper(), "") if name not in ("makedumpfile", _ELFUTILS) else ""
        path = inventory.program(host, wanted or name)
        return Tool(path, _ask(path) if path else None)
    listed = inventory.packages(host) or {}
    package = "binutils" if name in _BINUTILS else "elfutils" if name == _ELFUTILS else name
    version = _version(listed[package][-1]) if package in listed else None
    # written by the fix of old binutils: "export NM=/opt/rh/gcc-toolset-13/root/usr/bin/nm OBJDUMP=…"
    named = re.search(rf"\b{name.upper()}=(\S+)", host.text(_PROFILE) or "")
    if named and host.exists(named[1]):
        return Tool(named[1], None)
    if host.is_dir("/usr/bin"):
        path = inventory.program(host, name)
        if version is None and package == "binutils" and facts.distribution.family is EL:
            version = needs.BINUTILS_OF.get(facts.distribution.generation)
        return Tool(path, version)
    if listed:
        bundled = name == "makedumpfile" and facts.distribution.package(name) in listed
        return Tool(f"{package} (listed)" if package in listed or bundled else None, version)
    return None


def _ask(path: str) -> Optional[str]:
    from kdumpwrap.tools.argv import options
    from kdumpwrap.tools.run import run

    option = options("-v" if path.endswith("makedumpfile") else "--version")
    try:
        return _version(run(path, option, timeout=_SECONDS).text)
    except (ToolMissing, ToolFailed):
        return None


def _version(text: str) -> Optional[str]:
    first = text.lstrip().partition("\n")[0]  # crash starts with an empty line
    match = None if "LLVM" in text or "llvm" in first else _VERSION.search(first)
    return match[0] if match else None


def _too_old(facts: Facts, name: str, version: Optional[str], release: str) -> Optional[Tuple[str, fixes.Steps]]:
    """Why a tool of ``version`` cannot read the kernel ``release``, and the fix; None when it can, or may."""
    need = None if own(facts, release) else needs.lacking(name, version, release)
    if need is None:
        most = needs.beyond(version, release) if name == "makedumpfile" and not own(facts, release) else None
        if most is None:
            return None
        series = ".".join(map(str, most))
        steps = fixes.by_hand(f"Install a newer makedumpfile: this one stops at {series}")
        return f"it supports kernels up to {series}: dumps of {release} may be incomplete", steps
    if need is needs.DWARF5:
        return f"cannot read the DWARF 5 of {release} (every line is ??:0)", _newer_binutils(facts)
    steps = fixes.by_hand(f"Install {name} {need.version} or later: {release} needs it for {need.why}")
    return f"{release} needs {need.version} for {need.why}", steps


def _newer_binutils(facts: Facts) -> fixes.Steps:
    toolset = packages.toolset(facts.distribution)
    if toolset is None:
        least = needs.DWARF5.version
        return fixes.by_hand(f"Install binutils {least} or later, and name them: ADDR2LINE=, OBJDUMP=, NM=")
    names = " ".join(f"{name.upper()}={toolset.directory}/{name}" for name in _BINUTILS)
    profile = Step("Let kdumpwrap use them", shell.hint("echo {} >{}", f"export {names}", _PROFILE))
    return (*fixes.install(facts, toolset.package), profile)
