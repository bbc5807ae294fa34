"""The order: the missing files of a crash's kernel, to be fetched."""

import posixpath
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from kdumpwrap import debuginfo, shell
from kdumpwrap import sources as trees
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import fetched
from kdumpwrap.host import release as releases
from kdumpwrap.log import strangers
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Location
from kdumpwrap.model.log import Log
from kdumpwrap.shell import Hint
from kdumpwrap.tools import binutils


class Order(NamedTuple):
    """The files to fetch. An order for a bare release names no modules and no sources."""

    release: str
    target: Optional[str] = None  # the crash, as the user named it
    build_id: Optional[str] = None  # of the kernel, from its vmcore or its log; else None
    arch: Optional[str] = None
    modules: Tuple[Tuple[str, Optional[str]], ...] = ()  # missing modules of the frames, and their build ids
    strangers: Tuple[str, ...] = ()  # out-of-tree modules: no distribution has them
    everything: bool = False  # all modules
    vmlinux: Optional[Path] = None  # the one that is here already
    named: bool = False  # the order is for a crash: its sources are wanted too
    analysis: bool = False  # an analysis follows: analyze --fetch

    @property
    def again(self) -> Hint:
        """The command that was typed."""
        if self.analysis:
            return shell.hint("kdumpwrap analyze {}", self.target or self.release)
        return shell.hint("kdumpwrap fetch {}", self.target or self.release)


def of(what: Optional[str], search: Search, *, everything: bool = False, analysis: bool = False) -> Order:
    """The order for ``what``: a crash (None: the newest), or the release of a kernel. Raises KdumpwrapError.

    ``analysis``: see Order.
    """
    if what is not None and what != "-" and not Path(what).exists() and releases.valid(what) and what[0].isdigit():
        return _with_vmlinux(Order(what, arch=releases.machine(what), everything=everything), search)
    from kdumpwrap import analyze
    from kdumpwrap.vmcore import crashed

    crash, search = crashed.find(what, search)
    log = analyze.read(crash, search)
    if log.release is None or not releases.valid(log.release):
        raise KdumpwrapError(
            f"{crash.path}: the log does not tell the kernel's release", shell.hint("kdumpwrap fetch RELEASE")
        )
    build_id = log.build_id or search.build_id()
    modules, others = _modules(log, build_id, search)
    order = Order(
        log.release,
        None if crash.path == "-" else crash.path,
        build_id,
        log.arch,
        modules,
        others,
        everything,
        named=crash.path != "-",
        analysis=analysis,
    )
    return _with_vmlinux(order, search)


def refreshed(order: Order, search: Search) -> Order:
    """``order`` without the files that another process has fetched meanwhile."""
    found = debuginfo.modules([name for name, _ in order.modules], order.release, search)
    missing = tuple(one for one in order.modules if not _here(found[one[0]], order.release, order.build_id, search))
    return _with_vmlinux(order._replace(modules=missing), search)


def _with_vmlinux(order: Order, search: Search) -> Order:
    """``order`` with the vmlinux that is here, unless that is of another build than the crash."""
    asked = order.build_id if search.vmlinux is None else None
    if asked is not None:
        search = search._replace(build_id=lambda: asked)
    try:
        vmlinux = debuginfo.vmlinux(order.release, search)
        named = vmlinux.parent.name == asked  # a fetched one lies in a directory of its build
        elf = binutils.elf(binutils.toolset(None), vmlinux) if asked is not None and not named else None
    except KdumpwrapError:
        return order._replace(vmlinux=None)
    other = elf is not None and elf.build_id not in (None, asked)
    return order._replace(vmlinux=None if other else vmlinux)


def _modules(
    log: Log, build_id: Optional[str], search: Search
) -> Tuple[Tuple[Tuple[str, Optional[str]], ...], Tuple[str, ...]]:
    """The modules of the frames without debuginfo here, with their build ids; and the out-of-tree ones."""
    named = log.build_ids
    foreign = set()
    for report in log.reports:
        foreign |= {name for name, origin in strangers.origins(report).items() if origin != strangers.UNSIGNED}
    found = debuginfo.modules(tuple(named), log.release, search)
    missing = [(name, named[name]) for name in sorted(named) if not _here(found[name], log.release, build_id, search)]
    own = tuple(one for one in missing if one[0] not in foreign)
    return own, tuple(name for name, _ in missing if name in foreign)


def _here(paths: Tuple[Path, ...], release: Optional[str], build_id: Optional[str], search: Search) -> bool:
    """Whether a file of a module lies in a place for debuginfo. Files fetched of another build do not count."""
    others = {build for build in fetched.builds(release, search.root) if build_id not in (None, build.name)}
    return any(
        ("usr/lib/debug" in path.as_posix() or "lib/modules/" not in path.as_posix()) and not others & {*path.parents}
        for path in paths
    )


def sources(analysis: Analysis) -> Tuple[str, ...]:
    """The files of the source that ``analysis`` names, those round its instruction pointer first, each once."""
    files: List[str] = []

    def add(locations: Tuple[Location, ...]) -> None:
        files.extend(location.file for location in locations if location.file is not None)

    order = [finding for index, finding in enumerate(analysis.findings) if index == analysis.subject]
    order += [finding for index, finding in enumerate(analysis.findings) if index != analysis.subject]
    for finding in order:
        resolution = finding.resolution
        if resolution.ip is not None:
            add(resolution.ip.locations)
        files.extend(row.file for row in resolution.disassembly if row.file is not None and row.fault)
        for frame in resolution.trace:
            if frame.certain:
                add(frame.locations)
    return tuple(dict.fromkeys(posixpath.normpath(file) for file in files))


def missing_sources(files: Tuple[str, ...], release: str, search: Search) -> Tuple[str, ...]:
    """Those of ``files`` that are not here."""
    return tuple(file for file in files if trees.find(file, 1, release, search) is None)
