"""The means of fetch: debuginfod by build id, the packages of the distribution; and the choice of files to keep."""

import platform
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Dict, Mapping, NamedTuple, Optional, Set, Tuple

from kdumpwrap import shell
from kdumpwrap.debuginfo import Debuginfod, Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.fetch import order as orders
from kdumpwrap.fetch import stage
from kdumpwrap.fetch.order import Order
from kdumpwrap.host import distribution, fetched, repositories
from kdumpwrap.host import release as releases
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.fetched import Offer, Wants
from kdumpwrap.tools import binutils, debuginfod, loaders, packaged
from kdumpwrap.tools.loader import Loader, Tell

SOURCES = 900 << 10  # bytes on the disk that the sources of one crash may take
_BLOCK = 4096  # bytes on the disk that a file or directory takes at least


class Found(NamedTuple):
    """The files in the stage, by the names under which they are kept."""

    files: Dict[str, Path]
    problems: Tuple[Problem, ...] = ()


def loader_of(order: Order) -> Loader:
    """The host's package manager for the packages of that kernel. Raises KdumpwrapError when it is not installed."""
    kernel = releases.parse(order.release)
    machine = order.arch or (kernel.arch if kernel else None)
    foreign = None if machine in (None, platform.machine()) else machine
    return loaders.of(kernel.family if kernel else "", foreign)


def by_build_id(order: Order, search: Search, client: Debuginfod, place: Path) -> Found:
    """The vmlinux, modules with a known build id and sources, by debuginfod. Raises KdumpwrapError."""
    if order.build_id is None and order.vmlinux is None:
        raise KdumpwrapError("debuginfod needs the kernel's build id, which a vmcore or its log tells since 5.9")
    if order.everything:
        raise KdumpwrapError("debuginfod has no list of all modules")
    files: Dict[str, Path] = {}
    if order.vmlinux is None and order.build_id is not None:
        files[fetched.VMLINUX] = _debuginfo(order.build_id, client, place)
    for name, build_id in order.modules:
        if build_id is not None:
            with suppress(KdumpwrapError):  # a missing module is reported for all means together
                files[f"{fetched.MODULES}/{name}.ko.debug"] = _debuginfo(build_id, client, place)
    build_id = order.build_id or build_id_of(order.vmlinux)
    if build_id is None:
        return Found(files)
    brought: Dict[str, Path] = {}
    for name in sources(order, search, files):
        if name.startswith("/"):  # the server has absolute paths alone, no path relative to the build directory
            with suppress(KdumpwrapError):
                file = debuginfod.fetch(build_id, "source", client, file=Path(name), cache=place)
                brought[f"{fetched.SOURCE}/{packaged.source_name(name)}"] = file
    return Found({**files, **within(brought)})


def _debuginfo(build_id: str, client: Debuginfod, place: Path) -> Path:
    """The debuginfo of that build. Raises KdumpwrapError when there is none, or the file has another build id."""
    path = debuginfod.fetch(build_id, "debuginfo", client, cache=place)
    found = build_id_of(path)
    if found != build_id:
        what = f"it has build id {found}" if found else "it has none, or is no ELF file"
        raise KdumpwrapError(f"debuginfod: what came is not of build id {build_id}: {what}")
    return path


def by_package(order: Order, search: Search, loader: Loader, place: Path, tell: Tell) -> Found:
    """The files from the distribution's packages: vmlinux and modules first, then sources. Raises KdumpwrapError."""
    offers = offers_of(order, search, loader)
    alone = sources_alone(order)
    sizes = [offer.size or 0 for offer in offers]
    stage.room(place, sum(sizes[1:]) if alone else sum(sizes) + loader.ratio * sizes[0])
    files: Dict[str, Path] = {}
    problems: Tuple[Problem, ...] = ()
    modules = None if order.everything else packaged.wanted_modules(name for name, _ in order.modules)
    for number, offer in enumerate(offers):
        if number == 0 and alone:
            continue
        wants = (
            Wants(order.release, modules) if number == 0 else Wants(order.release, (), sources(order, search, files))
        )
        if number and not wants.sources:
            continue
        loaded, tree = place / f"package-{number}" / "file", place / f"package-{number}" / "tree"
        loaded.mkdir(parents=True)
        tree.mkdir()
        try:
            package = loader.load(offer, loaded, tell)
            loader.unpack(package, wants, tree)
        except KdumpwrapError as error:
            if number == 0 or alone:
                raise
            problems += (Problem(f"no sources: {error.message}", error.hint),)
            continue
        finally:
            shutil.rmtree(str(loaded), ignore_errors=True)  # the next package needs its room
        found = _chosen(tree, wants)
        if number == 0:
            if fetched.VMLINUX not in found:
                raise KdumpwrapError(f"{offer.file}: no vmlinux of {order.release} in it")
            files.update(found)
        else:
            files.update(within(found))
    if order.named and len(offers) == 1 and sources(order, search, files):
        if alone:
            raise KdumpwrapError(f"no enabled repository has the sources, {_packages(order).sources}")
        problems += (Problem(f"no enabled repository has the sources, {_packages(order).sources}"),)
    if alone and not files:
        raise KdumpwrapError(f"{offers[-1].file}: none of the missing sources is in it")
    return Found(files, problems)


def offers_of(order: Order, search: Search, loader: Loader) -> Tuple[Offer, ...]:
    """The package with the debuginfo, and that with the sources where a crash names some. Raises KdumpwrapError."""
    lacking = loader.lacking()
    if lacking is not None:
        raise lacking
    names = _packages(order)
    found = loader.offers(names.debuginfo)
    if not found:
        host = distribution.of_root(search.root)
        past = repositories.past(order.release)
        what = f"{names.debuginfo[0]} is in no enabled repository{f'; {past}' if past else ''}"
        raise KdumpwrapError(what, shell.hint("{} && {}", repositories.enable(order.release, host), order.again))
    if not order.named:
        return found[:1]
    package = f"{names.sources}={found[0].version}" if names.same_version else names.sources
    return (*found[:1], *loader.offers([package])[:1])


def _packages(order: Order) -> repositories.Packaged:
    names = repositories.packaged(order.release)
    if names is None:
        raise KdumpwrapError(f"{order.release}: no package is known to hold its debuginfo")
    return names


def _chosen(tree: Path, wants: Wants) -> Dict[str, Path]:
    """The wanted regular files that were unpacked into ``tree``, by the names under which they are kept."""
    there = {
        str(path.relative_to(tree)): path
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not _linked(path, tree)
    }
    return {name: there[found] for found, (_, name) in packaged.chosen(there, wants).items()}


def _linked(path: Path, tree: Path) -> bool:
    """Whether a part of the path from ``tree`` to ``path`` is a link."""
    while path != tree:
        if path.is_symlink():
            return True
        path = path.parent
    return False


def sources(order: Order, search: Search, files: Mapping[str, Path]) -> Tuple[str, ...]:
    """The missing sources that the analysis of the crash names. It also reads ``files``, which were just fetched."""
    if not order.named:
        return ()
    from kdumpwrap import analyze

    vmlinux = files.get(fetched.VMLINUX)
    directories = tuple(dict.fromkeys(path.parent for name, path in files.items() if name.startswith(fetched.MODULES)))
    with_them = search._replace(vmlinux=vmlinux or order.vmlinux, module_dirs=(*directories, *search.module_dirs))
    try:
        found = orders.sources(analyze.analyze(order.target, with_them))
    except KdumpwrapError:
        return ()
    return orders.missing_sources(found, order.release, search)


def within(brought: Dict[str, Path]) -> Dict[str, Path]:
    """The first of the sources ``brought``, as many as may be kept for one crash (SOURCES bytes)."""
    kept: Dict[str, Path] = {}
    directories: Set[str] = set()
    total = 0
    for name, path in brought.items():
        above = {str(parent) for parent in Path(name).parents} - directories
        size = -(-path.stat().st_size // _BLOCK) * _BLOCK + len(above) * _BLOCK
        if total + size <= SOURCES:
            total += size
            directories |= above
            kept[name] = path
    return kept


def build_id_of(vmlinux: Optional[Path]) -> Optional[str]:
    """The build id in ``vmlinux``; None without one, or without a vmlinux."""
    elf = binutils.elf(binutils.toolset(None), vmlinux) if vmlinux is not None else None
    return elf.build_id if elf else None


def sources_alone(order: Order) -> bool:
    """Whether the vmlinux is here, of the build that crashed as far as that is known, and all the modules are."""
    if order.vmlinux is None or order.modules or order.everything or not order.named:
        return False
    return order.build_id in (None, build_id_of(order.vmlinux))
