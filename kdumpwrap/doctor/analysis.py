"""The analysis side: the crashes that lie here, and whether what is needed to read them does too."""

import os
import re
import resource
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

from kdumpwrap import crashdir, debuginfo, packages
from kdumpwrap.doctor import dumpconfig, fixes, inventory, target, toolchain
from kdumpwrap.doctor.crashkernel import human
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.doctor.host import Denied
from kdumpwrap.errors import KdumpwrapError, NoCrash
from kdumpwrap.model import Check, Entry, Step
from kdumpwrap.vmcore import memory

_SIDE = "analysis"
_NOWHERE = Path("/nonexistent")


class Crashes(NamedTuple):
    """The crashes of this host. ``denied``: what this user may not read."""

    directory: str
    entries: Tuple[Entry, ...] = ()
    releases: Tuple[str, ...] = ()  # of the kernels that crashed, each once, in order of the first crash
    denied: Optional[str] = None


def check(facts: Facts) -> Iterator[Check]:
    """Everything that reading a crash needs."""
    crashes = find(facts)
    yield from _crashes(facts, crashes)
    running = (facts.release,) if facts.release and not facts.container else ()  # a container's kernel is not its own
    releases = tuple(dict.fromkeys((*running, *crashes.releases)))
    yield from toolchain.check(facts, releases)
    found: List[Path] = []
    if not releases and not facts.container:
        yield Check("debuginfo", "unknown", "no kernel's release is known", side=_SIDE)
    for release in releases:
        yield from _debuginfo(facts, release, found)
    for release in releases:
        yield from _sources(facts, release)
    yield from _memory(facts, found)


def find(facts: Facts) -> Crashes:
    """The crashes under the directory that kdump's configuration names."""
    directory = "/var/crash"
    try:
        config = dumpconfig.read(facts)
        mountpoint = target.mounted_at(facts, config.target)
        if config.target.kind not in ("raw", *target.REMOTE) and mountpoint is not None:
            directory = f"{mountpoint.rstrip('/')}{config.path}"
        real = facts.host.locate(directory)
    except Denied as denied:
        return Crashes(directory, denied=denied.path)
    if real is None:
        return Crashes(directory)
    try:
        below = crashdir.scan(real)
    except NoCrash:
        return Crashes(directory)
    except KdumpwrapError:
        return Crashes(directory, denied=directory)
    releases = (release for release in (crashdir.release(entry.crash) for entry in below.entries) if release)
    closed = below.unreadable[0][0] if below.unreadable else None
    return Crashes(directory, below.entries, tuple(dict.fromkeys(releases)), closed)


def _crashes(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """``permissions``: whether this user can read the crashes that lie here."""
    name, count = "permissions", len(crashes.entries)
    if crashes.denied:
        yield Check(name, "unknown", f"{crashes.denied} cannot be read", fixes.LOOK_AGAIN, side=_SIDE)
        return
    files = [path for entry in crashes.entries for path in (entry.crash.dmesg, entry.crash.vmcore) if path]
    closed = [path for path in files if not os.access(path, os.R_OK)]
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        yield Check(name, "unknown", f"{closed[0]}{more} cannot be read", fixes.LOOK_AGAIN, side=_SIDE)
    else:
        what = f"{count} crash{'' if count == 1 else 'es'} under {crashes.directory}"
        yield Check(name, "ok", f"{what}{', all readable' if count else ''}", side=_SIDE, evidence=(crashes.directory,))


def _debuginfo(facts: Facts, release: str, found: List[Path]) -> Iterator[Check]:
    """``debuginfo``: the vmlinux of one kernel."""
    try:
        path = debuginfo.vmlinux(release, debuginfo.Places(facts.host.root))
    except KdumpwrapError:
        path = None
    except OSError:
        yield Check("debuginfo", "unknown", f"{release}: /usr/lib/debug cannot be read", fixes.LOOK_AGAIN, side=_SIDE)
        return
    steps = fixes.debuginfo(release)
    if path is not None:
        found.append(path)
        shown = f"/{path.relative_to(facts.host.root)}"
        yield Check("debuginfo", "ok", f"{release}: {shown}", side=_SIDE, evidence=(shown,))
        return
    if not facts.host.is_dir("/usr/lib"):
        listed = inventory.packages(facts.host)
        if listed is None:
            yield Check("debuginfo", "unknown", f"{release}: no /usr/lib in this tree", side=_SIDE)
            return
        package = _listed_debuginfo(release, listed)
        if package:
            yield Check("debuginfo", "ok", f"{release}: {package} (listed)", side=_SIDE)
            return
    yield Check("debuginfo", "fail", f"{release}: not installed", steps, side=_SIDE)


def _listed_debuginfo(release: str, listed: "dict[str, Tuple[str, ...]]") -> Optional[str]:
    for package, versions in listed.items():
        if package.startswith("linux-image-") and release in package and re.search(r"-dbg(sym)?$", package):
            return package
        if re.fullmatch(r"kernel(-[\w-]+)?-debuginfo", package):
            match = next((one for one in versions if release.startswith(one)), None)
            if match:
                return f"{package}-{match}"
    return None


def _sources(facts: Facts, release: str) -> Iterator[Check]:
    """``sources``: the kernel's sources (CentOS: debuginfo-common), for the lines round the fault."""
    host = facts.host
    if not host.is_dir("/usr/lib"):
        return
    base = re.sub(r"(\+[\w+-]+|\.debug)$", "", release)  # flavours share the tree of the kernel they are built from
    names = [name for name in host.names("/usr/src/debug") if name.startswith("kernel-")]
    places = [f"/usr/src/debug/{name}/linux-{base}" for name in names]
    places += [f"/lib/modules/{release}/source"]
    places += [f"/usr/src/linux-{one}" for one in (base, base.rpartition("-")[0]) if one]  # SUSE: without "-default"
    version = re.match(r"(\d+\.\d+)(\.\d+)?", release)
    if version:
        stem = f"/usr/src/linux-source-{version[1]}"
        places += [f"{one}{suffix}" for one in (stem, stem + ".0") for suffix in ("", ".tar.xz", ".tar.bz2")]
    place = host.any(*places)
    if place:
        yield Check("sources", "ok", f"{release}: {place}", side=_SIDE, evidence=(place,))
        return
    steps, package = _source_steps(release, base)
    seen = f"{release}: {package} is not installed: lines are named, not shown"
    yield Check("sources", "warn", seen, steps, side=_SIDE, after=("debuginfo",))


def _source_steps(release: str, base: str) -> Tuple[Tuple[Step, ...], str]:
    """What brings the sources of ``release``, and the package's name: by the kernel, as its debuginfo."""
    what = f"Install the sources of {release}"
    manager = packages.debuginfo(release).split()[0]
    version = re.match(r"\d+\.\d+", release)
    if manager in ("dnf", "debuginfo-install"):
        package = f"kernel-debuginfo-common-{base.rpartition('.')[2]}-{base.rpartition('.')[0]}"
        command = f"{'dnf' if manager == 'dnf' else 'yum'} install --enablerepo='*debug*' {package}"
    elif manager == "apt" and version:
        package = f"linux-source-{version[0]}{'.0' if packages.debuginfo(release).endswith('dbgsym') else ''}"
        command = f"apt install {package}"
    elif manager == "zypper":
        package = f"kernel-{release.rpartition('-')[2]}-debugsource"
        command = f"zypper install {package}"
    else:
        return fixes.by_hand(f"Name the sources of {release} with --source-dir DIR"), "their package"
    return (Step(what, command, "install"),), package


def _memory(facts: Facts, found: List[Path]) -> Iterator[Check]:
    """``memory``: whether crash(8) finds enough of it for the largest vmlinux here."""
    size = max((path.stat().st_size for path in found), default=0)
    if facts.host.live:
        limits = memory.available()
    else:
        meminfo = facts.host.locate("/proc/meminfo")
        limits = memory.available(meminfo or _NOWHERE, _NOWHERE, _NOWHERE, lambda _: (resource.RLIM_INFINITY,) * 2)
    if not size or not limits:
        return
    short = memory.lacking(size, limits)
    if short is None:
        yield Check("memory", "ok", f"{human(min(limit.bytes for limit in limits))} for crash", side=_SIDE)
        return
    need = int(memory.FULL[short.kind].start * size)
    seen = f"crash takes {human(need)} with this vmlinux, {short.name} leaves {human(short.bytes)}"
    steps = fixes.by_hand(f"For the whole of crash: {human(need)} of memory or swap, or another machine")
    yield Check("memory", "warn", seen, steps, side=_SIDE)
