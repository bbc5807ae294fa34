"""``kdumpwrap fetch``, step by step: find what is missing, find who has it, download, check, unpack in part, keep."""

from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.debuginfo import Debuginfod, Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.fetch import means, stage
from kdumpwrap.fetch import order as orders
from kdumpwrap.fetch.means import Found
from kdumpwrap.fetch.order import Order
from kdumpwrap.host import fetched, repositories
from kdumpwrap.host import release as releases
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.fetched import Fetched, Kept, Kind, Step, Wants
from kdumpwrap.tools import debuginfod, packaged
from kdumpwrap.tools.loader import Tell


def fetch(
    order: Order,
    search: Search,
    *,
    tell: Tell = None,
    say: Optional[Callable[[str], object]] = None,
    dry: bool = False,
) -> Fetched:
    """Fetch what ``order`` lacks into the cache, by the first of the host's means that has it.

    ``dry``: return the commands and run none. ``say`` gets a line when only sources are missing.
    Raises KdumpwrapError when no means has it.
    """
    search = search._replace(build_id=lambda: order.build_id)
    top = fetched.own(search.root)
    if order.vmlinux is not None and not order.modules and not order.everything:
        missing = means.sources(order, search, {})
        if not missing:
            return _nothing_to_do(order)
        if say is not None and means.sources_alone(order):
            files = f"{len(missing)} file{'' if len(missing) == 1 else 's'}"
            say(f"missing: the sources of {files}; the vmlinux is here: {order.vmlinux}")
    if dry:
        return _would(order, search, top)
    with stage.stage(top, search.root, tell) as directory:
        again = orders.refreshed(order, search)  # another process may have fetched it meanwhile
        if again.vmlinux is not None and not again.modules and not again.everything:
            missing = means.sources(again, search, {})
            if not missing:
                return _nothing_to_do(again)
        return _brought(again, search, top, directory, tell)


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
    build_id = means.build_id_of(vmlinux) or fetched.UNKNOWN
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


def _absent(order: Order, found: Found) -> Iterator[Problem]:
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
    """One error for all means: the message of each, and the hint of the last."""
    if not refused:
        kernel = releases.parse(order.release)
        whose = (
            "SUSE's kernels come by debuginfod alone"
            if kernel and kernel.family == "suse"
            else ("no distribution's kernel by its release: its vmlinux is where it was built")
        )
        return KdumpwrapError(f"{order.release}: {whose}", shell.hint("DEBUGINFOD_URLS=… kdumpwrap fetch CRASH"))
    return KdumpwrapError("; ".join(error.message for error in refused), refused[-1].hint)


def _means(order: Order, search: Search, tell: Tell) -> "Iterator[Callable[[Path], Found]]":
    servers = debuginfod.servers()
    if servers:
        client = Debuginfod(servers, debuginfod.timeout(), tell)
        yield lambda place: means.by_build_id(order, search, client, place)
    names = repositories.packaged(order.release)
    if names is not None:
        yield lambda place: means.by_package(order, search, means.loader_of(order), place, tell)


def _kind(name: str) -> Kind:
    if name == fetched.VMLINUX:
        return "vmlinux"
    return "module" if name.startswith(f"{fetched.MODULES}/") else "source"


def _vmlinux_first(name: str) -> Tuple[int, str]:
    return ("vmlinux", "module", "source").index(_kind(name)), name


def _would(order: Order, search: Search, top: Path) -> Fetched:
    """The commands that ``fetch`` would try first, and the size of their downloads."""
    servers = debuginfod.servers()
    if servers and order.build_id is not None and not order.everything:
        builds = (order.build_id, *(build_id for _, build_id in order.modules if build_id))
        names = " ".join(servers)
        steps = tuple(Step(shell.hint("DEBUGINFOD_URLS={} debuginfod-find debuginfo {}", names, one)) for one in builds)
        return Fetched(order.release, order.build_id, top / order.release / order.build_id, steps=steps)
    if repositories.packaged(order.release) is None:
        raise _none(order, [])
    loader = means.loader_of(order)
    offers = means.offers_of(order, search, loader)
    offers = offers[1:] if means.sources_alone(order) and len(offers) > 1 else offers
    steps = loader.steps(offers, Wants(order.release), top / ".part")
    return Fetched(order.release, order.build_id, top / order.release, steps=steps, notes=tuple(_foreign(order)))
