"""The cache. One process at a time writes to it. A build is made aside, renamed when complete. No link is followed."""

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
_NO_PLACE = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)  # the name is too long, or a directory has it
_SPARE = 64 << 20  # bytes to leave free


@contextlib.contextmanager
def locked(top: Path, root: Path, tell: Optional[Callable[[str], object]] = None) -> Iterator[None]:
    """Lock the cache ``top`` for this process, and make it when it is missing. ``tell`` is called when it waits.

    Raises KdumpwrapError when ``root`` is missing, or a link on the path leads out of it.
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
    """A new directory below the locked cache ``top``, removed at the end.

    Directories that a killed process has left are removed first. Raises KdumpwrapError.
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
    """Move ``files`` (of the stage) into the directory of a build, by their names. Each move is atomic.

    A new directory is made aside and renamed. Returns the directory, and the sources that could not be placed, with
    the reasons. Raises KdumpwrapError.
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
                _clear(made)  # left over only when the rename failed
            return target, left
        _real_directory(target)
        return target, _move(files, target)
    except OSError as error:
        raise _refused(error, target) from None


def room(directory: Path, needed: int) -> None:
    """Raises KdumpwrapError when fewer than ``needed`` + _SPARE bytes are free."""
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
    """Move ``files``, the vmlinux last: its presence means that all are there. Returns as ``keep`` does."""
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
