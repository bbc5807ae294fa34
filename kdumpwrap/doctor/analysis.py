"""Checks of the analysis side: the crashes on this host, and the debuginfo, sources and memory that they need."""

import os
import re
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional, Tuple

from kdumpwrap import debuginfo, shell
from kdumpwrap import sources as trees
from kdumpwrap.crashdir import finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.doctor import causes, fixes, inventory, toolchain
from kdumpwrap.doctor import facts as fact
from kdumpwrap.doctor.crashkernel import human
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.errors import KdumpwrapError, NoCrash, ReadFailed, ToolMissing
from kdumpwrap.host import fetched, kdumpconf, packages, repositories
from kdumpwrap.host import release as releases
from kdumpwrap.host.memory import Limit, available
from kdumpwrap.host.tree import Denied
from kdumpwrap.model.crash import Crash, Entry
from kdumpwrap.model.host import Check, Side, Step
from kdumpwrap.tools import loaders
from kdumpwrap.tools.run import missing
from kdumpwrap.vmcore import memory

_SIDE: Side = "analysis"
_ASKING = 20.0  # seconds for the package manager to find the repository of a kernel's debuginfo
_ROOM = 2 << 30  # bytes for a package of 0.3 to 0.7 GB and the files unpacked from it


class Crashes(NamedTuple):
    """The crashes of this host. ``denied``: the path that this user may not read."""

    directory: str
    entries: Tuple[Entry, ...] = ()
    releases: Tuple[str, ...] = ()  # releases of the kernels that crashed, each once, by first crash
    denied: Optional[str] = None
    absent: bool = False  # the directory does not exist yet


def find(facts: Facts) -> Crashes:
    """The crashes under the directories that kdump's configuration names."""
    directory = ", ".join(kdumpconf.directories(facts.host))
    try:
        below = finder.scan_host(facts.host.root)
    except NoCrash:
        return Crashes(directory, absent=True)
    except KdumpwrapError:
        return Crashes(directory, denied=directory)
    releases = (release for release in (_release(entry.crash) for entry in below.entries) if release)
    closed = below.unreadable[0][0] if below.unreadable else None
    return Crashes(directory, below.entries, tuple(dict.fromkeys(releases)), closed)


def _release(crash: Crash) -> Optional[str]:
    try:
        return release_of(crash)
    except ReadFailed:  # reported where this crash is examined
        return None


def permissions(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """``permissions``: whether this user can read the crashes that lie here."""
    name, count = "permissions", len(crashes.entries)
    again = fixes.look_again()
    if crashes.denied:
        yield Check(name, "unknown", f"{crashes.denied} cannot be read", again, side=_SIDE)
        return
    if crashes.absent:
        yield Check(name, "ok", f"no {crashes.directory} yet: kdump makes it", side=_SIDE)
        return
    files = [path for entry in crashes.entries for path in (entry.crash.dmesg, entry.crash.vmcore) if path]
    closed = [path for path in files if not os.access(path, os.R_OK)]
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        yield Check(name, "unknown", f"{closed[0]}{more} cannot be read", again, side=_SIDE)
    else:
        what = f"{count} crash{'' if count == 1 else 'es'} under {crashes.directory}"
        yield Check(name, "ok", f"{what}{', all readable' if count else ''}", side=_SIDE, evidence=(crashes.directory,))


def tools(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """The programs, and whether they can read the kernels that crashed here."""
    yield from toolchain.check(facts, kernels(facts, crashes))


def kernels(facts: Facts, crashes: Crashes) -> Tuple[str, ...]:
    """The running kernel and those that crashed here. A container runs the kernel of its host."""
    running = (facts.release,) if facts.release and not facts.container else ()
    return tuple(dict.fromkeys((*running, *crashes.releases)))


def vmlinuxes(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """``debuginfo``: the vmlinux of each kernel."""
    releases = kernels(facts, crashes)
    if not releases and not facts.container:
        yield Check("debuginfo", "unknown", "no kernel's release is known", side=_SIDE)
    for release in releases:
        try:
            facts.host.exists(f"/usr/lib/debug/lib/modules/{release}/vmlinux")  # unreadable: raises Denied
            yield _debuginfo(facts, release)
        except (Denied, OSError):
            again = fixes.look_again()
            yield Check("debuginfo", "unknown", f"{release}: /usr/lib/debug cannot be read", again, side=_SIDE)


def _debuginfo(facts: Facts, release: str) -> Check:
    path = _vmlinux(facts, release)
    if path is not None:
        shown = f"/{path.relative_to(facts.host.root)}"
        return Check("debuginfo", "ok", f"{release}: {shown}", side=_SIDE, evidence=(shown,))
    if not facts.host.is_dir("/usr/lib"):
        listed = inventory.packages(facts.host)
        if listed is None:
            return Check("debuginfo", "unknown", f"{release}: no /usr/lib in this tree", side=_SIDE)
        package = _listed_debuginfo(release, listed)
        if package:
            return Check("debuginfo", "ok", f"{release}: {package} (listed)", side=_SIDE)
    return Check("debuginfo", "fail", f"{release}: not installed", fixes.debuginfo(release), side=_SIDE)


def _vmlinux(facts: Facts, release: str) -> Optional[Path]:
    try:
        return debuginfo.vmlinux(release, debuginfo.Search(facts.host.root))
    except (KdumpwrapError, OSError):  # OSError: a release too long for a file's name
        return None


def _listed_debuginfo(release: str, listed: "dict[str, Tuple[str, ...]]") -> Optional[str]:
    for package, versions in listed.items():
        if package.startswith("linux-image-") and release in package and re.search(r"-dbg(sym)?$", package):
            return package
        if re.fullmatch(r"kernel(-[\w-]+)?-debuginfo", package):
            match = next((one for one in versions if release.startswith(one)), None)
            if match:
                return f"{package}-{match}"
    return None


def sources(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """``sources``: each kernel's sources (CentOS: debuginfo-common), for the source lines around the fault."""
    if facts.host.is_dir("/usr/lib"):
        for release in kernels(facts, crashes):
            yield _sources(facts, release)


def _sources(facts: Facts, release: str) -> Check:
    root = facts.host.root
    tree = trees.tree(release, root)
    if tree is not None:
        shown = f"/{tree.relative_to(root)}"
        return Check("sources", "ok", f"{release}: {shown}", side=_SIDE, evidence=(shown,))
    packed, package = trees.packed(release, root), packages.sources(release)
    if package is None:
        seen, steps = (
            "their package is not installed",
            fixes.by_hand(f"Name the sources of {release} with --source-dir DIR"),
        )
    elif packed is not None:
        seen, steps = f"/{packed.relative_to(root)} is not unpacked", _unpack(release, package)
    else:
        seen = f"{package.package} is not installed"
        steps = (*fixes.sources(release, package), *_unpack(release, package))
    seen = f"{release}: {seen}: lines are named, not shown"
    return Check("sources", "warn", seen, steps, side=_SIDE, after=causes.AFTER["sources"])


def _unpack(release: str, package: packages.Sources) -> fixes.Steps:
    if not package.packed:
        return ()
    tree = f"/usr/src/{package.package}"
    command, done = shell.hint("tar -C /usr/src -xf {}.tar.*", tree), shell.hint("grep -qs . {}", f"{tree}/init/main.c")
    return (Step(f"Unpack the sources of {release}", command, "install", done),)


def fetching(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """``fetch``: whether ``kdumpwrap fetch`` would work here, where debuginfo is missing."""
    if not facts.host.live:
        return
    family = facts.distribution.family.name
    try:
        top = fetched.own(facts.host.root)
    except KdumpwrapError as error:
        steps = fixes.by_hand("Set XDG_CACHE_HOME to a directory of this user")
        yield Check("fetch", "warn", error.message, steps, side=_SIDE)
        return
    try:
        loader = loaders.of(family) if family in ("el", "debian") else None
        lacking = loader.lacking() if loader else missing("debuginfod-find")
        seen = loader.tool if loader else "debuginfod-find"
        if loader is None and inventory.program(facts.host, "debuginfod-find"):
            lacking = None
    except ToolMissing as error:
        lacking = error
    except KdumpwrapError as error:
        yield Check("fetch", "warn", error.message, fixes.by_hand("Fetch it on another host"), side=_SIDE)
        return
    if lacking is not None:
        yield Check("fetch", "warn", lacking.message, fixes.install(facts, lacking.package), side=_SIDE)
        return
    release = _to_fetch(facts, crashes) if loader is not None else None
    names = repositories.packaged(release) if release is not None else None
    if loader is not None and release is not None and names is not None:
        try:
            offers = loader.offers(names.debuginfo, _ASKING)
        except KdumpwrapError as error:
            failed = f"; this failed: {error.hint}" if error.hint else ""
            steps = fixes.by_hand(f"Let it reach its repositories{failed}")
            yield Check("fetch", "warn", f"nothing to be had of {release}: {error.message}", steps, side=_SIDE)
            return
        if not offers:
            steps = fixes.by_hand(f"Enable the one that has it: {repositories.enable(release, facts.distribution)}")
            yield Check("fetch", "warn", f"{names.debuginfo[0]} is in no enabled repository", steps, side=_SIDE)
            return
        seen = f"{seen} from {offers[0].repository}"
    free = fetched.free(top)
    room = f"{top} has {human(free)} free" if free is not None else f"{top}"
    if free is not None and free < _ROOM:
        steps = fixes.by_hand(f"Make room in {top}: a kernel takes {human(_ROOM)} while it is fetched")
        yield Check("fetch", "warn", f"{room}, and a kernel takes {human(_ROOM)}", steps, side=_SIDE)
    elif not fetched.writable(top):
        yield Check("fetch", "warn", f"{top} cannot be written to", fixes.look_again(), side=_SIDE)
    else:
        yield Check("fetch", "ok", f"by {seen}; {room}", side=_SIDE, evidence=(str(top),))


def _to_fetch(facts: Facts, crashes: Crashes) -> Optional[str]:
    """The release to fetch: of this distribution, the last that crashed without debuginfo here; None without one."""
    for release in reversed(kernels(facts, crashes)):
        kernel = releases.parse(release)
        if kernel is not None and kernel.family == facts.distribution.family.name and _vmlinux(facts, release) is None:
            return release
    return None


def memory_for_crash(facts: Facts, crashes: Crashes) -> Iterator[Check]:
    """``memory``: whether it is enough for crash(8) with the largest vmlinux here."""
    found = [path for path in (_vmlinux(facts, release) for release in kernels(facts, crashes)) if path]
    largest = max(found, key=lambda path: path.stat().st_size, default=None)
    if facts.host.live:
        limits = available()
    else:
        there = fact.meminfo(facts.host)
        room = there.get("MemAvailable", 0) + there.get("SwapFree", 0)
        limits = (Limit(room, "free memory and swap", "resident"),) if room else ()
    if largest is None or not limits:
        return
    size = memory.vmlinux(largest)
    short = memory.lacking(size, limits)
    if short is None:
        yield Check("memory", "ok", f"{human(min(limit.bytes for limit in limits))} for crash", side=_SIDE)
        return
    need = int(size.need(short.kind).start)
    seen = f"crash takes {human(need)} with this vmlinux, {short.name} leaves {human(short.bytes)}"
    steps = fixes.by_hand(f"For the whole of crash: {human(need)} of memory or swap, or another machine")
    yield Check("memory", "warn", seen, steps, side=_SIDE)


# the name under which a refusal is reported, and the check
CHECKS: Tuple[Tuple[str, Callable[[Facts, Crashes], Iterator[Check]]], ...] = (
    ("permissions", permissions),
    ("nm", tools),
    ("debuginfo", vmlinuxes),
    ("sources", sources),
    ("fetch", fetching),
    ("memory", memory_for_crash),
)
