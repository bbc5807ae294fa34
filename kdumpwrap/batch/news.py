"""Crashes that ``batch --save --new`` has not printed yet.

A crash is new until its answer is saved and printed. ``saved.MARK`` lies beside an answer that is saved and not
printed yet. A batch that is killed in between leaves the mark, and the next batch prints that crash. One batch at a
time works below a directory; another one waits for it.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path
from typing import Iterator, Sequence

from kdumpwrap.batch import saved
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model.crash import Crash

_LOCK = ".kdumpwrap-lock"  # in the directory below which the crashes lie; it stays there


@contextlib.contextmanager
def alone(tops: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of all ``tops``; wait while another process has one. The kernel unlocks for a killed process.

    Raises KdumpwrapError when a lock cannot be taken.
    """
    with contextlib.ExitStack() as held:
        for top in sorted(set(tops)):  # in a fixed order: two processes must not wait for each other
            try:
                held.callback(os.close, _locked(top))
            except (FileNotFoundError, NotADirectoryError):
                continue  # the scan reports it
            except OSError as error:
                raise KdumpwrapError(f"{top}/{_LOCK}: {error.strerror}") from None
        yield


def is_new(crash: Crash) -> bool:
    """Whether the answer of ``crash`` is missing, or not printed yet."""
    return not _ours(f"{crash.path}/{saved.JSON}") or _ours(f"{crash.path}/{saved.MARK}")


def told(crash: Crash, top: Path) -> None:
    """Note that the answer of ``crash``, below ``top``, is printed. Raises KdumpwrapError when that fails."""
    try:
        directory = saved.open_directory(crash.path, top)
        try:
            os.unlink(saved.MARK, dir_fd=directory)
        finally:
            os.close(directory)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KdumpwrapError(
            f"{crash.path}: what was shown cannot be noted, so --new shows it again: {error.strerror}"
        ) from None


def _ours(path: str) -> bool:
    """Whether ``path`` is a regular file of this user or of root."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid())


def _locked(top: Path) -> int:
    """The open lock of ``top``. Raises OSError."""
    directory = saved.open_directory(str(top), top)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        lock = os.open(_LOCK, flags, 0o600, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        status = os.fstat(lock)
        # a hard link to a file that others may open would let them hold this lock
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_nlink > 1:
            raise PermissionError(0, "not a file of ours")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except BaseException:
        os.close(lock)
        raise
    return lock
