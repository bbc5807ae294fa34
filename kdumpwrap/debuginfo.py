"""The paths of the vmlinux and the modules of a release. Only the file system is read."""

import errno
import os
import re
from pathlib import Path
from typing import Callable, Collection, Dict, Iterator, List, NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import fetched, files
from kdumpwrap.regex import regex
from kdumpwrap.shell import Hint

# CentOS's place first, then Debian's and Ubuntu's, SUSE's, and a kernel built on this host
_VMLINUX = (
    "usr/lib/debug/lib/modules/{release}/vmlinux",
    "usr/lib/debug/usr/lib/modules/{release}/vmlinux",
    "usr/lib/debug/boot/vmlinux-{release}",
    "usr/lib/debug/vmlinux-{release}",
    "usr/lib/debug/lib/modules/{release}/vmlinux.debug",
    "usr/lib/debug/usr/lib/modules/{release}/vmlinux.debug",
    "usr/lib/debug/boot/vmlinux-{release}.debug",
    "lib/modules/{release}/vmlinux",
    "lib/modules/{release}/build/vmlinux",
    "boot/vmlinux-{release}",
)

_DEBUG = "usr/lib/debug/"
_LINKS = f"{_DEBUG}.build-id"
_MODULES = (
    "usr/lib/debug/lib/modules/{release}",
    "usr/lib/debug/usr/lib/modules/{release}",
    "lib/modules/{release}",
    "usr/lib/modules/{release}",
)

# xxxwan.ko  xxxwan.ko.xz  xxxwan.ko.debug  xxxwan.debug.ko  xxxwan.ko-1.4.2-1.el8.x86_64.debug
_MODULE = regex(r"(?P<name>[^/]+?)(?:\.debug)?\.ko(?:(?:-[\w.+~-]+)?\.debug)?(?:\.(?:xz|gz|zst|bz2))?", re.ASCII)
_COMPRESSED = (".xz", ".gz", ".zst", ".bz2")


class PackagedModule(NamedTuple):
    """A module in a package of debuginfo: its name as logs write it, its path below the release's directory."""

    name: str
    path: str


class Debuginfod(NamedTuple):
    """The debuginfod servers to ask for missing files, and how to ask them."""

    servers: Tuple[str, ...]
    timeout: float  # seconds for one file
    tell: Optional[Callable[[str], object]] = None  # gets a line about the progress once a second; "" at the end


def _unknown() -> Optional[str]:
    """The build id of a kernel of which nobody knows it."""
    return None


class Search(NamedTuple):
    """The user's look-up options. What the user named comes first; standard paths are looked up below ``root``."""

    root: Path = Path("/")
    vmlinux: Optional[Path] = None
    module_dirs: Tuple[Path, ...] = ()
    source_dirs: Tuple[Path, ...] = ()
    debuginfod: Optional[Debuginfod] = None
    build_id: Callable[[], Optional[str]] = _unknown  # of the kernel that crashed; asked where it decides


def asked(release: Optional[str], search: Search) -> Optional[str]:
    """The release to ask for: that of the running kernel where neither ``release`` nor a vmlinux was named."""
    return os.uname().release if release is None and search.vmlinux is None else release


def undecided(release: Optional[str], search: Search) -> bool:
    """Whether the build id has to tell which files to take: a fetched build is one of several, or a link names it."""
    if search.vmlinux is not None or not release or "/" in release:
        return False
    kept = len(tuple(fetched.builds(release, search.root)))
    if kept > 1 or (not kept and not os.path.isdir(search.root / _LINKS)):  # noqa: PTH112 closed: False
        return kept > 1
    there = any(_refused(path) is None for path in _installed(release, search))
    return there if kept else not there


def build_id(release: Optional[str], search: Search) -> Optional[str]:
    """The build id of the kernel that crashed, where it has to tell which files to take; else None."""
    return search.build_id() if undecided(release, search) else None


def another(taken: Path, release: Optional[str], search: Search) -> Optional[Path]:
    """The vmlinux of another build of ``release``, where several are here and one was ``taken``; else None."""
    if not undecided(release, search):
        return None
    paths = [build / fetched.VMLINUX for build in fetched.builds(release, search.root)]
    return next(
        (path for path in (*paths, *_installed(release, search)) if path != taken and _refused(path) is None), None
    )


def builds(release: Optional[str], search: Search) -> Tuple[Path, ...]:
    """The directories with the fetched files of ``release``; that of the build that crashed comes first."""
    own = build_id(release, search)
    return tuple(sorted(fetched.builds(release, search.root), key=lambda path: path.name != own))


def vmlinux(release: Optional[str], search: Search, beside: Optional[Path] = None) -> Path:
    """The vmlinux of ``release``: the one named, the fetched one of this build, the installed one, another fetched one,
    one next to the crash, or one that a link names by its build id, in this order.

    Never that of another release. Raises KdumpwrapError whose hint installs the package.
    """
    if search.vmlinux is not None:
        refused = _refused(search.vmlinux)
        if refused is None:
            return search.vmlinux
        raise KdumpwrapError(f"{search.vmlinux}: {refused or 'no such file'}", installing(release))
    if not release or "/" in release:
        raise KdumpwrapError(
            "the log does not tell the kernel's release", shell.hint("name its vmlinux with --vmlinux FILE")
        )
    own = build_id(release, search)
    kept = {build / fetched.VMLINUX: build for build in fetched.builds(release, search.root)}
    candidates: List[Tuple[Path, Optional[Path]]] = []
    candidates += [one for one in kept.items() if one[1].name == own]
    candidates += [(path, None) for path in _installed(release, search)]
    candidates += [one for one in kept.items() if one[1].name != own]
    if beside is not None:
        candidates += [(beside / name, beside) for name in ("vmlinux", f"vmlinux-{release}")]
    why = []
    for path, directory in candidates:
        refused = _refused(path, directory)
        if refused is None:
            if path in kept:
                fetched.used(path)
            return path
        if refused:
            why.append(f"{path}: {refused}")
    linked = by_build_id(own, search) if own else ()
    if linked:
        return linked[0]
    words = f" ({'; '.join(why[:3])})" if why else ""
    raise KdumpwrapError(f"no debuginfo for {release}{words}", installing(release))


def installing(release: Optional[str]) -> Hint:
    """The command that installs the debuginfo of ``release``."""
    from kdumpwrap.host import packages  # for an error alone: nm starts before it is loaded

    return packages.debuginfo(release) if release else shell.NONE


def modules(
    names: Collection[str],
    release: Optional[str],
    search: Search,
    beside: Optional[Path] = None,
    refused: Optional[Dict[str, List[str]]] = None,
) -> Dict[str, Tuple[Path, ...]]:
    """The files that may be the modules ``names``, best first: those the user named, debuginfo, installed ones.

    A log writes ``dm_mod`` where the file may be ``dm-mod.ko.xz``. Files that must be unpacked come last in their
    directory; those of other builds are left out where the build that crashed was fetched. To ``refused`` is added by
    name why a file, or all of a directory, was passed over. Raises ReadFailed.
    """
    reasons = {} if refused is None else refused

    def closed(error: OSError) -> None:
        files.check(error, error.filename)
        if error.errno != errno.ENOENT:
            for name in names:
                reasons.setdefault(name, []).append(f"{error.filename}: {_why(error)}")

    wanted = {_folded(name): name for name in names}
    found: Dict[str, List[Path]] = {name: [] for name in names}
    directories = list(search.module_dirs)
    if release and "/" not in release:
        own, kept = build_id(release, search), tuple(fetched.builds(release, search.root))
        mine = [build for build in kept if build.name == own]
        directories += [build / fetched.MODULES for build in mine]
        directories += [search.root / path.format(release=release) for path in _MODULES]
        directories += [build / fetched.MODULES for build in kept if not mine]
    if beside is not None:
        directories.append(beside)
    seen = set()
    for directory in directories:
        real = os.path.realpath(directory)
        if not wanted or real in seen:
            continue
        seen.add(real)
        for name, path in sorted(_called(wanted, directory, closed, deep=directory != beside), key=_unpacked_first):
            why = _refused(path, directory if directory == beside else None)
            if why is None:
                found[name].append(path)
            elif why:
                reasons.setdefault(name, []).append(f"{path}: {why}")
    return {name: tuple(paths) for name, paths in found.items()}


def packaged_vmlinux(release: str) -> Tuple[str, ...]:
    """The names under which a package of debuginfo may hold the vmlinux of ``release``."""
    return tuple(path.format(release=release) for path in _VMLINUX if path.startswith(_DEBUG))


def packaged_module(path: str, release: str) -> Optional[PackagedModule]:
    """The module in the file ``path`` of a package of debuginfo; None when it is no module of ``release``."""
    for directory in _MODULES:
        top = f"{directory.format(release=release)}/"
        match = _MODULE.fullmatch(path.rpartition("/")[2]) if top.startswith(_DEBUG) and path.startswith(top) else None
        if match is not None:
            return PackagedModule(_folded(match["name"]), path[len(top) :])
    return None


def by_build_id(build_id: str, search: Search) -> Tuple[Path, ...]:
    """The files with this build id that the links below usr/lib/debug/.build-id lead to: debug information, code."""
    if not re.fullmatch(r"[0-9a-f]{8,64}", build_id):
        return ()
    link = search.root / _LINKS / build_id[:2] / build_id[2:]
    return tuple(path.resolve() for path in (link.with_name(f"{link.name}.debug"), link) if _refused(path) is None)


def is_compressed(path: Path) -> bool:
    """Whether a module must be unpacked before a tool can read it."""
    return path.suffix in _COMPRESSED


def _installed(release: Optional[str], search: Search) -> List[Path]:
    """The paths at which the vmlinux of ``release`` may be installed."""
    return [search.root / path.format(release=release) for path in _VMLINUX]


def _refused(path: Path, inside: Optional[Path] = None) -> Optional[str]:
    """Why a tool cannot be given ``path``, which lies ``inside`` a crash directory; "" when it is not there."""
    try:
        os.close(files.open_file(path, limit=None, inside=inside))
    except OSError as error:
        return "" if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG) else _why(error)
    return None


def _why(error: OSError) -> str:
    return "not readable" if error.errno == errno.EACCES else files.reason(error)


def _folded(name: str) -> str:
    return name.replace("-", "_")


def _unpacked_first(found: Tuple[str, Path]) -> Tuple[bool, str]:
    return is_compressed(found[1]), str(found[1])


def _called(
    wanted: Dict[str, str], directory: Path, closed: Callable[[OSError], None], *, deep: bool
) -> Iterator[Tuple[str, Path]]:
    """Each file below ``directory`` that may be a module of ``wanted`` (names by their folded form), with its name.

    ``closed`` is called for a directory that cannot be listed.
    """
    starts = tuple(wanted)
    for top, directories, names in os.walk(directory, onerror=closed):
        if not deep:
            directories.clear()
        for name in names:
            match = _MODULE.fullmatch(name) if _folded(name).startswith(starts) else None
            module = wanted.get(_folded(match["name"])) if match else None
            if module is not None:
                yield module, Path(top, name)
