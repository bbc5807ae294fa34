"""The cache, written to by one process at a time: made aside, renamed when it is whole, no link followed."""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import fetched

_LOCK = ".lock"
_PART = ".part-"
_MODE, _FILE = 0o755, 0o644
_NO_PLACE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)  # a name too long, or another's directory
_SPARE = 64 << 20  # bytes to leave free


@contextlib.contextmanager
def locked(top: Path, root: Path, tell: Optional[Callable[[str], object]] = None) -> Iterator[None]:
    """The cache ``top``, made where it is not there, is this process's alone meanwhile. Raises KdumpwrapError.

    No link leads there out of ``root``, which is there.
    """
    if not root.is_dir():
        raise KdumpwrapError(f"{root}: no such directory")
    try:
        link = fetched.leading_out(top, root)
        _make(link or top)
        lock = os.open(top / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _refused(error, top) from None
    try:
        _acquire(lock, tell)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def stage(top: Path, root: Path, tell: Optional[Callable[[str], object]] = None) -> Iterator[Path]:
    """A new directory below the cache ``top``, which is this process's alone meanwhile, and gone afterwards.

    What a killed process has left is removed first. Raises KdumpwrapError.
    """
    with locked(top, root, tell):
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


def keep(files: Dict[str, Path], top: Path, release: str, build_id: str) -> Tuple[Path, Dict[str, str]]:
    """Put ``files`` (of the stage) under their names into the directory of a build. Each comes whole or not at all.

    The directory itself, too, where it is new. Comes back with the sources that have no place there, and why. Raises
    KdumpwrapError.
    """
    target = top / release / build_id
    try:
        _make(target.parent)
        if not os.path.lexists(target):
            made = Path(tempfile.mkdtemp(prefix=_PART, dir=str(top)))
            try:
                made.chmod(_MODE)
                left = _move(files, made)
                made.rename(target)
            finally:
                _clear(made)  # where it has not become the target
            return target, left
        _real_directory(target)
        return target, _move(files, target)
    except OSError as error:
        raise _refused(error, target) from None


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


def _move(files: Dict[str, Path], target: Path) -> Dict[str, str]:
    """The vmlinux last: where it is, all is. The sources that have no place, and why."""
    left: Dict[str, str] = {}
    for name in sorted(files, key=lambda name: (name == fetched.VMLINUX, name)):
        try:
            directory = target
            for part in Path(name).parts[:-1]:
                directory = directory / part
                _make(directory)
            files[name].chmod(_FILE)
            files[name].replace(target / name)
        except OSError as error:
            if error.errno not in _NO_PLACE or not name.startswith(f"{fetched.SOURCE}/"):
                raise
            left[name] = os.strerror(error.errno)
    return left


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
