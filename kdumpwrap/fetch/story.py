"""``kdumpwrap fetch``, in its order: what is missing, who has it, loaded, checked, unpacked in part, kept."""

import platform
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from kdumpwrap import shell
from kdumpwrap.debuginfo import Debuginfod, Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.fetch import order as orders
from kdumpwrap.fetch import stage
from kdumpwrap.fetch.order import Order
from kdumpwrap.host import distribution, fetched, repositories
from kdumpwrap.host import release as releases
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.fetched import Fetched, Kept, Kind, Offer, Step, Wants
from kdumpwrap.tools import binutils, debuginfod, loaders, packaged
from kdumpwrap.tools.loader import Loader, Tell

SOURCES = 900 << 10  # bytes on the disk that the sources of one crash may take
_BLOCK = 4096  # bytes that a file takes at least, and a directory


class _Found(NamedTuple):
    """What lies in the stage, under the name that it is kept by."""

    files: Dict[str, Path]
    problems: Tuple[Problem, ...] = ()


def fetch(
    order: Order,
    search: Search,
    *,
    tell: Tell = None,
    say: Optional[Callable[[str], object]] = None,
    dry: bool = False,
) -> Fetched:
    """Bring what ``order`` lacks into the cache, by the first of the host's means that has it.

    ``dry``: only what would be done. ``say`` gets a line when sources alone are missing.
    Raises KdumpwrapError when nothing could be had.
    """
    top = fetched.own(search.root)
    if order.vmlinux is not None and not order.modules and not order.everything:
        missing = _missing_sources(order, search)
        if not missing:
            return _nothing_to_do(order)
        if say is not None and _sources_alone(order):
            files = f"{len(missing)} file{'' if len(missing) == 1 else 's'}"
            say(f"missing: the sources of {files}; the vmlinux is here: {order.vmlinux}")
    if dry:
        return _would(order, search, top)
    with stage.stage(top, search.root, tell) as directory:
        again = orders.refreshed(order, search)  # another one may have brought it meanwhile
        if again.vmlinux is not None and not again.modules and not again.everything:
            missing = _missing_sources(again, search)
            if not missing:
                return _nothing_to_do(again)
        return _brought(again, search, top, directory, tell)


def _sources_alone(order: Order) -> bool:
    """Whether the vmlinux is here, of the build that crashed as far as that is known, and all the modules are."""
    if order.vmlinux is None or order.modules or order.everything or not order.named:
        return False
    return order.build_id in (None, _build_id(order.vmlinux))


def _nothing_to_do(order: Order) -> Fetched:
    return Fetched(order.release, notes=(Problem(f"{order.release}: all is here already: {order.vmlinux}"),))


def _brought(order: Order, search: Search, top: Path, directory: Path, tell: Tell) -> Fetched:
    refused: List[KdumpwrapError] = []
    for bring in _means(order, search, tell):
        place = directory / str(len(refused))
        place.mkdir()
        try:
            found = bring(place)
            break
        except KdumpwrapError as error:
            refused.append(error)
    else:
        raise _none(order, refused)
    vmlinux = found.files.get(fetched.VMLINUX) or order.vmlinux
    build_id = _build_id(vmlinux) or fetched.UNKNOWN
    if fetched.VMLINUX not in found.files and order.vmlinux is not None:
        build_id = order.vmlinux.parent.name if order.vmlinux.parent.parent.parent == top else build_id
    target, left = stage.keep(found.files, top, order.release, build_id)
    kept = tuple(
        Kept(_kind(name), target / name, (target / name).stat().st_size)
        for name in sorted(found.files.keys() - left.keys(), key=_vmlinux_first)
    )
    problems = [*found.problems, *_absent(order, found)]
    problems += [Problem(f"{target / name}: {why}") for name, why in left.items()]
    if order.build_id not in (None, build_id):
        what = f"{target / fetched.VMLINUX}: build id {build_id}, the crash is of {order.build_id}"
        problems.append(Problem(f"{what}: not the build that crashed"))
    notes = [Problem(error.message, error.hint) for error in refused]
    return Fetched(order.release, build_id, target, kept, (), tuple(problems), (*notes, *_foreign(order)))


def _absent(order: Order, found: _Found) -> Iterator[Problem]:
    """The modules of the trace that were not in the packages."""
    brought = {packaged.module_of(name) for name in found.files}
    for name, _ in order.modules:
        if packaged.module_name(name) not in brought:
            yield Problem(
                f"the module {name} is not among the kernel's own",
                shell.hint("--module-dir DIR, where DIR holds {} built with -g, from its maker", f"{name}.ko"),
            )


def _foreign(order: Order) -> Iterator[Problem]:
    for name in order.strangers:
        hint = shell.hint("--module-dir DIR, where DIR holds {} built with -g, from its maker", f"{name}.ko")
        yield Problem(f"the module {name} is out of tree: no distribution has it", hint)


def _none(order: Order, refused: List[KdumpwrapError]) -> KdumpwrapError:
    """The error of all means: what each of them lacked, and what to type after the last of them."""
    if not refused:
        kernel = releases.parse(order.release)
        whose = (
            "SUSE's kernels come by debuginfod alone"
            if kernel and kernel.family == "suse"
            else ("no distribution's kernel by its release: its vmlinux is where it was built")
        )
        return KdumpwrapError(f"{order.release}: {whose}", shell.hint("DEBUGINFOD_URLS=… kdumpwrap fetch CRASH"))
    return KdumpwrapError("; ".join(error.message for error in refused), refused[-1].hint)


# ---------------------------------------------------------------- the means, in their order


def _means(order: Order, search: Search, tell: Tell) -> "Iterator[Callable[[Path], _Found]]":
    servers = debuginfod.servers()
    if servers:
        client = Debuginfod(servers, debuginfod.timeout(), tell)
        yield lambda place: _by_build_id(order, search, client, place)
    names = repositories.packaged(order.release)
    if names is not None:
        yield lambda place: _by_package(order, search, loader_of(order), place, tell)


def loader_of(order: Order) -> Loader:
    """The host's package manager for the packages of that kernel. Raises KdumpwrapError when it is not installed."""
    kernel = releases.parse(order.release)
    machine = order.arch or (kernel.arch if kernel else None)
    foreign = None if machine in (None, platform.machine()) else machine
    return loaders.of(kernel.family if kernel else "", foreign)


def _by_build_id(order: Order, search: Search, client: Debuginfod, place: Path) -> _Found:
    """By debuginfod: vmlinux, modules whose build id is known, sources."""
    if order.build_id is None and order.vmlinux is None:
        raise KdumpwrapError("debuginfod needs the kernel's build id, which a vmcore or its log tells since 5.9")
    if order.everything:
        raise KdumpwrapError("debuginfod has no list of all modules")
    files: Dict[str, Path] = {}
    if order.vmlinux is None and order.build_id is not None:
        files[fetched.VMLINUX] = _debuginfo(order.build_id, client, place)
    for name, build_id in order.modules:
        if build_id is not None:
            with suppress(KdumpwrapError):  # said by _absent
                files[f"{fetched.MODULES}/{name}.ko.debug"] = _debuginfo(build_id, client, place)
    build_id = order.build_id or _build_id(order.vmlinux)
    if build_id is None:
        return _Found(files)
    sources: Dict[str, Path] = {}
    for name in _sources(order, search, files):
        if name.startswith("/"):  # what is relative to the directory of the build, the server does not know
            with suppress(KdumpwrapError):
                file = debuginfod.fetch(build_id, "source", client, file=Path(name), cache=place)
                sources[f"{fetched.SOURCE}/{packaged.source_name(name)}"] = file
    kept, problems = _within(sources)
    return _Found({**files, **kept}, problems)


def _debuginfo(build_id: str, client: Debuginfod, place: Path) -> Path:
    """The debuginfo of that build. Raises KdumpwrapError when there is none, and when something else came."""
    path = debuginfod.fetch(build_id, "debuginfo", client, cache=place)
    found = _build_id(path)
    if found != build_id:
        what = f"it has build id {found}" if found else "it has none, or is no ELF file"
        raise KdumpwrapError(f"debuginfod: what came is not of build id {build_id}: {what}")
    return path


def _by_package(order: Order, search: Search, loader: Loader, place: Path, tell: Tell) -> _Found:
    """By the distribution's packages: that with vmlinux and modules, then that with the sources."""
    offers = _offers(order, search, loader)
    alone = _sources_alone(order)
    sizes = [offer.size or 0 for offer in offers]
    stage.room(place, sum(sizes[1:]) if alone else sum(sizes) + loader.ratio * sizes[0])
    files: Dict[str, Path] = {}
    problems: Tuple[Problem, ...] = ()
    modules = None if order.everything else packaged.wanted_modules(name for name, _ in order.modules)
    for number, offer in enumerate(offers):
        if number == 0 and alone:
            continue
        wants = (
            Wants(order.release, modules) if number == 0 else Wants(order.release, (), _sources(order, search, files))
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
            shutil.rmtree(str(loaded), ignore_errors=True)  # its room is wanted for the next one
        found = _chosen(tree, wants)
        if number == 0:
            if fetched.VMLINUX not in found:
                raise KdumpwrapError(f"{offer.file}: no vmlinux of {order.release} in it")
            files.update(found)
        else:
            sources, left = _within(found)
            files.update(sources)
            problems += left
    if order.named and len(offers) == 1 and _sources(order, search, files):
        if alone:
            raise KdumpwrapError(f"no enabled repository has the sources, {_packages(order).sources}")
        problems += (Problem(f"no enabled repository has the sources, {_packages(order).sources}"),)
    if alone and not files:
        raise KdumpwrapError(f"{offers[-1].file}: none of the missing sources is in it")
    return _Found(files, problems)


def _offers(order: Order, search: Search, loader: Loader) -> Tuple[Offer, ...]:
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
    sources = f"{names.sources}={found[0].version}" if names.same_version else names.sources
    return (*found[:1], *loader.offers([sources])[:1])


def _packages(order: Order) -> repositories.Packaged:
    names = repositories.packaged(order.release)
    if names is None:
        raise KdumpwrapError(f"{order.release}: no package is known to hold its debuginfo")
    return names


# ---------------------------------------------------------------- what is kept


def _chosen(tree: Path, wants: Wants) -> Dict[str, Path]:
    """The wanted files that were unpacked into ``tree``: regular ones, under the names that they are kept by."""
    there = {
        str(path.relative_to(tree)): path
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not _linked(path, tree)
    }
    return {name: there[found] for found, (_, name) in packaged.chosen(there, wants).items()}


def _linked(path: Path, tree: Path) -> bool:
    """Whether a link is on the way from ``tree`` to ``path``."""
    while path != tree:
        if path.is_symlink():
            return True
        path = path.parent
    return False


def _sources(order: Order, search: Search, files: Dict[str, Path]) -> Tuple[str, ...]:
    """The sources that the analysis of the crash names, with ``files``, which were just brought, and that lack here."""
    if not order.named:
        return ()
    from kdumpwrap import analyze

    vmlinux = files.get(fetched.VMLINUX)
    directories = tuple(dict.fromkeys(path.parent for name, path in files.items() if name.startswith(fetched.MODULES)))
    with_them = replace(search, vmlinux=vmlinux or order.vmlinux, module_dirs=(*directories, *search.module_dirs))
    try:
        found = orders.sources(analyze.analyze(order.target, with_them))
    except KdumpwrapError:
        return ()
    return orders.missing_sources(found, order.release, search)


def _missing_sources(order: Order, search: Search) -> Tuple[str, ...]:
    return _sources(order, search, {})


def _within(sources: Dict[str, Path]) -> Tuple[Dict[str, Path], Tuple[Problem, ...]]:
    """As many of ``sources``, the first ones, as may be kept for one crash."""
    kept: Dict[str, Path] = {}
    directories: Set[str] = set()
    total = 0
    for name, path in sources.items():
        above = {str(parent) for parent in Path(name).parents} - directories
        size = -(-path.stat().st_size // _BLOCK) * _BLOCK + len(above) * _BLOCK
        if total + size <= SOURCES:
            total += size
            directories |= above
            kept[name] = path
    return kept, ()


def _build_id(vmlinux: Optional[Path]) -> Optional[str]:
    elf = binutils.elf(binutils.toolset(None), vmlinux) if vmlinux is not None else None
    return elf.build_id if elf else None


def _kind(name: str) -> Kind:
    if name == fetched.VMLINUX:
        return "vmlinux"
    return "module" if name.startswith(f"{fetched.MODULES}/") else "source"


def _vmlinux_first(name: str) -> Tuple[int, str]:
    return ("vmlinux", "module", "source").index(_kind(name)), name


# ---------------------------------------------------------------- what would be done


def _would(order: Order, search: Search, top: Path) -> Fetched:
    """The commands that ``fetch`` would try first, and what they load."""
    servers = debuginfod.servers()
    if servers and order.build_id is not None and not order.everything:
        builds = (order.build_id, *(build_id for _, build_id in order.modules if build_id))
        names = " ".join(servers)
        steps = tuple(Step(shell.hint("DEBUGINFOD_URLS={} debuginfod-find debuginfo {}", names, one)) for one in builds)
        return Fetched(order.release, order.build_id, top / order.release / order.build_id, steps=steps)
    if repositories.packaged(order.release) is None:
        raise _none(order, [])
    loader = loader_of(order)
    offers = _offers(order, search, loader)
    offers = offers[1:] if _sources_alone(order) and len(offers) > 1 else offers
    steps = loader.steps(offers, Wants(order.release), top / ".part")
    return Fetched(order.release, order.build_id, top / order.release, steps=steps, notes=tuple(_foreign(order)))
