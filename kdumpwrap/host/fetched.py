"""The directories of ``kdumpwrap fetch``: one for each release, in it one for each build id.

    /var/cache/kdumpwrap/5.14.0-503.el9.x86_64/3f9c…/{vmlinux,modules/…,source/…}

root's cache lies below /var/cache, readable by everybody. A user's lies in $XDG_CACHE_HOME, beside other files.
"""

import contextlib
import os
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import release as releases
from kdumpwrap.regex import regex

if TYPE_CHECKING:
    from kdumpwrap.model.fetched import Build

NAME = "kdumpwrap"
UNKNOWN = "no-build-id"  # in place of the build id of a vmlinux without one
VMLINUX, MODULES, SOURCE = "vmlinux", "modules", "source"
_BUILD_ID = regex(rf"[0-9a-f]{{8,64}}|{UNKNOWN}")


def own(root: Path = Path("/")) -> Path:
    """The directory of this user's files: root's below ``root``. Raises KdumpwrapError when the user has no home."""
    if os.geteuid() == 0:
        return root.absolute() / "var/cache" / NAME
    cache = user_cache()
    if cache is None:
        raise KdumpwrapError("this user has no home to keep debuginfo in", shell.hint("XDG_CACHE_HOME=DIR kdumpwrap …"))
    return cache / NAME


def user_cache() -> Optional[Path]:
    """$XDG_CACHE_HOME, else ~/.cache; None for a user who has no home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if named.startswith("/"):
        return Path(named)
    try:
        return Path.home() / ".cache"
    except (RuntimeError, KeyError):  # KeyError in Python 3.6
        return None


def tops(root: Path = Path("/")) -> Tuple[Path, ...]:
    """The directories to search: this user's, then root's. One that a link leads out of ``root`` is left out."""
    found = [root.absolute() / "var/cache" / NAME]
    with contextlib.suppress(KdumpwrapError):
        found.insert(0, own(root))
    return tuple(top for top in dict.fromkeys(found) if leading_out(top, root) is None)


def leading_out(top: Path, root: Path) -> Optional[Path]:
    """The first link on the path from ``root`` to the cache ``top``: it could lead out. None for the host's root."""
    root = root.absolute()
    if root not in top.parents or root.resolve() == Path("/"):
        return None
    way = (root.joinpath(*top.relative_to(root).parts[:count]) for count in (1, 2, 3))
    return next((part for part in way if part.is_symlink()), None)


def builds(release: Optional[str], root: Path = Path("/")) -> Iterator[Path]:
    """The directories with debuginfo of ``release``, this user's before root's, the newest first."""
    if not releases.valid(release):
        return
    for top in tops(root):
        yield from (path for _, path in sorted(_below(top / str(release)), reverse=True))


def used(path: Path) -> None:
    """Record that ``path`` was read just now, if this user may: --prune removes the longest unused first."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(int(time.time() * 1e9), path.stat().st_mtime_ns))


def entries(top: Path) -> "Tuple[Build, ...]":
    """All builds in ``top``, the longest unused first."""
    found: "List[Build]" = []
    for release in _names(top):
        if releases.valid(release) and release[0].isdigit():
            found += [_build(release, path) for _, path in _below(top / release)]
    return tuple(sorted(found, key=lambda build: (build.used, build.path)))


def remove(build: "Build") -> None:
    """Remove ``build``. It is renamed first: no process then finds half of it. Raises OSError."""
    hidden = build.path.parent.parent / f".part-{os.getpid()}-{build.build_id}"
    build.path.rename(hidden)
    shutil.rmtree(hidden)
    with contextlib.suppress(OSError):  # not empty: another build of that release is kept
        build.path.parent.rmdir()


def size(directory: Path) -> int:
    """Bytes that ``directory`` takes on the disk."""
    total = 0
    for top, _, names in os.walk(directory):
        for name in (".", *names):
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(top, name)).st_blocks * 512  # noqa: PTH118
    return total


def free(top: Path) -> Optional[int]:
    """Bytes free on the file system of ``top``; None when unknown."""
    for directory in (top, *top.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(directory).free
    return None


def writable(top: Path) -> bool:
    """Whether this user may write to ``top``, or make it."""
    there = next(directory for directory in (top, *top.parents) if os.path.lexists(directory))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _build(release: str, path: Path) -> "Build":
    from kdumpwrap.model.fetched import Build

    with contextlib.suppress(OSError):
        status = (path / VMLINUX).stat()
        return Build(release, path.name, size(path), max(status.st_atime, status.st_mtime), path)
    return Build(release, path.name, size(path), 0.0, path)


def _below(directory: Path) -> List[Tuple[float, Path]]:
    """The builds in the directory of a release, each with its mtime. Links are left out."""
    found = []
    for name in _names(directory) if _is_ours(directory) else ():
        path = directory / name
        if _BUILD_ID.fullmatch(name) and _is_ours(path):
            with contextlib.suppress(OSError):
                found.append((path.stat().st_mtime, path))
    return found


def _is_ours(directory: Path) -> bool:
    """Whether it is a directory, no link, of this user or of root."""
    try:
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid in (0, os.geteuid())


def _names(directory: Path) -> List[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208
    except OSError:
        return []
