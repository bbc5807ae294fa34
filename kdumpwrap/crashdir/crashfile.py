"""The files of a crash, opened with care: only regular files are read, and never more than a piece at a time."""

import os
import stat
from typing import Iterator

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError

BLOCK = 1 << 20  # bytes read at a time: a log of 100 MB is never held in memory whole


def blocks(path: str) -> Iterator[bytes]:
    """The log at ``path`` ("-": standard input) in pieces of at most 1 MiB.

    Only a regular file is read: a FIFO or a device in its place would hang us or worse.
    """
    if path == "-":
        import sys

        yield from iter(lambda: sys.stdin.buffer.read(BLOCK), b"")
        return
    descriptor = _open(path)
    try:
        yield from iter(lambda: os.read(descriptor, BLOCK), b"")
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
    finally:
        os.close(descriptor)


def head(path: str, size: int) -> bytes:
    """The first ``size`` bytes of a regular file, or what there is of them."""
    return _piece(path, size, first=True)


def tail(path: str, size: int) -> bytes:
    """The last ``size`` bytes of a regular file, or what there is of them."""
    return _piece(path, size, first=False)


def _open(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        hint = shell.hint("sudo kdumpwrap analyze {}", path) if isinstance(error, PermissionError) else shell.NONE
        raise KdumpwrapError(f"{path}: {reason(error)}", hint) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise KdumpwrapError(f"{path}: not a regular file", shell.hint("name a crash directory, a log or a vmcore"))
    return descriptor


def _piece(path: str, size: int, *, first: bool) -> bytes:
    descriptor = _open(path)
    try:
        start = 0 if first else max(0, os.fstat(descriptor).st_size - size)
        return os.pread(descriptor, size, start)
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
    finally:
        os.close(descriptor)


def reason(error: Exception) -> str:
    """Why the system refused, in words."""
    return getattr(error, "strerror", None) or str(error)
