"""The cache, written to by one process at a time: made aside, renamed when it is whole, no link followed."""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import fetched

_LOCK = ".lock"
_PART = ".part-"
_MODE, _FILE = 0o755, 0o644
_SPARE = 64 << 20  # bytes to leave free


@contextlib.contextmanager
def stage(top: Path, tell: Optional[Callable[[str], object]] = None) -> Iterator[Path]:
    """A new directory below the cache ``top``, which is this process's alone meanwhile, and gone afterwards.

    What a killed process has left is removed first. Raises KdumpwrapError.
    """
    try:
        _make(top)
        lock = os.open(top / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(error, top) from None
    try:
        _acquire(lock, tell)
        for left in top.glob(f"{_PART}*"):
            _clear(left)
        try:
            directory = Path(tempfile.mkdtemp(prefix=_PART, dir=str(top)))
        except OSError as error:
            raise _refused(error, top) from None
        try:
            yield directory
        finally:
            _clear(directory)
    finally:
        os.close(lock)


def keep(files: Dict[str, Path], top: Path, release: str, build_id: str) -> Path:
    """Put ``files`` (of the stage) under their names into the directory of a build. Each comes whole or not at all.

    The directory itself, too, where it is new. Raises KdumpwrapError.
    """
    target = top / release / build_id
    try:
        _make(target.parent)
        if not os.path.lexists(target):
            made = Path(tempfile.mkdtemp(prefix=_PART, dir=str(top)))
            made.chmod(_MODE)
            _move(files, made)
            made.rename(target)
            return target
        _real_directory(target)
        _move(files, target)
    except OSError as error:
        raise _refused(error, target) from None
    return target


def room(directory: Path, needed: int) -> None:
    """Raises KdumpwrapError when there is not room for ``needed`` bytes, and some to spare."""
    free = shutil.disk_usage(directory).free
    if needed + _SPARE > free:
        raise KdumpwrapError(
            f"{directory}: {(needed + _SPARE) >> 20} MiB are needed, {free >> 20} MiB are free",
            shell.hint("kdumpwrap fetch --prune --max-size 0"),
        )


def _acquire(lock: int, tell: Optional[Callable[[str], object]]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if tell is not None:
            tell("another kdumpwrap fetches: waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
        if tell is not None:
            tell("")


def _move(files: Dict[str, Path], target: Path) -> None:
    """The vmlinux last: where it is, all is."""
    for name in sorted(files, key=lambda name: (name == fetched.VMLINUX, name)):
        place = target / name
        directory = target
        for part in Path(name).parts[:-1]:
            directory = directory / part
            _make(directory)
        files[name].chmod(_FILE)
        files[name].replace(place)


def _make(directory: Path) -> None:
    """Make ``directory``, and what is missing above it, for everybody to read; a link there is an error."""
    if not os.path.lexists(directory):
        directory.parent.mkdir(mode=_MODE, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            directory.chmod(_MODE)
    _real_directory(directory)


def _real_directory(directory: Path) -> None:
    status = directory.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "a link is in the way", str(directory))
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))


def _clear(left: Path) -> None:
    with contextlib.suppress(OSError):
        if left.is_symlink() or not left.is_dir():
            left.unlink()
        else:
            shutil.rmtree(left)


def _refused(error: OSError, path: Path) -> KdumpwrapError:
    where = error.filename or path
    hints = {
        errno.ELOOP: shell.hint("rm {}, if it is no use", where),
        errno.EACCES: shell.hint("sudo kdumpwrap fetch …"),
        errno.ENOSPC: shell.hint("kdumpwrap fetch --prune --max-size 0"),
    }
    why = "a link is in the way" if error.errno == errno.ELOOP else error.strerror
    return KdumpwrapError(f"{where}: {why}", hints.get(error.errno or 0, shell.NONE))
