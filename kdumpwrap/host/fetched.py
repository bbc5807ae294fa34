"""Where ``kdumpwrap fetch`` keeps debuginfo: a directory for each release, in it one for each build id.

    /var/cache/kdumpwrap/5.14.0-503.el9.x86_64/3f9c…/{vmlinux,modules/…,source/…}

root's lies below /var/cache, where everybody may read it, a user's in $XDG_CACHE_HOME, where other things may lie too.
"""

import contextlib
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Optional, Tuple

from kdumpwrap.host import release as releases

if TYPE_CHECKING:
    from kdumpwrap.model.fetched import Build

NAME = "kdumpwrap"
UNKNOWN = "no-build-id"  # of a vmlinux that has none
VMLINUX, MODULES, SOURCE = "vmlinux", "modules", "source"
_BUILD_ID = re.compile(rf"[0-9a-f]{{8,64}}|{UNKNOWN}")


def own(root: Path = Path("/")) -> Path:
    """Where this user's are kept: root's below ``root``."""
    if os.geteuid() == 0:
        return root.absolute() / "var/cache" / NAME
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".cache") / NAME


def tops(root: Path = Path("/")) -> Tuple[Path, ...]:
    """Where to look: what this user has fetched, then what root has."""
    return tuple(dict.fromkeys((own(root), root.absolute() / "var/cache" / NAME)))


def builds(release: Optional[str], root: Path = Path("/")) -> Iterator[Path]:
    """The directories with debuginfo of ``release``, those that this user fetched first, of these the newest."""
    if not releases.valid(release):
        return
    for top in tops(root):
        yield from (path for _, path in sorted(_below(top / str(release)), reverse=True))


def used(path: Path) -> None:
    """Remember that ``path`` was read just now, as far as this user may: what was not for long is pruned first."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(int(time.time() * 1e9), path.stat().st_mtime_ns))


def entries(top: Path) -> "Tuple[Build, ...]":
    """All that is kept in ``top``, what was not used for the longest time first."""
    found: "List[Build]" = []
    for release in _names(top):
        if releases.valid(release) and release[0].isdigit():
            found += [_build(release, path) for _, path in _below(top / release)]
    return tuple(sorted(found, key=lambda build: (build.used, build.path)))


def remove(build: "Build") -> None:
    """Take ``build`` away: out of sight first, so that nobody finds half of it. Raises OSError."""
    hidden = build.path.parent.parent / f".part-{os.getpid()}-{build.build_id}"
    build.path.rename(hidden)
    shutil.rmtree(hidden)
    with contextlib.suppress(OSError):  # another build of that release is kept
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
    """Bytes that are free where ``top`` is, or will be; None when it is not known."""
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
    """The builds in the directory of a release, each with the time when it was put there; no link counts."""
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
