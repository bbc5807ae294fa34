"""The only way to open files where others may write: in a crash directory, a mounted image, a tree of sources.

The kind of a file is checked before it is opened: a link to a watchdog device would reboot the host, a link to
/proc/kmsg would drain it, a FIFO would block, and a link to /etc/shadow would copy it into a page.
"""

import errno
import os
import re
import select
import stat
import sys
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Iterator, Optional, Tuple, Union

from kdumpwrap.errors import FAULTS, ReadFailed
from kdumpwrap.regex import regex

Name = Union[str, Path]

BLOCK = 1 << 20  # bytes read at a time: a log of 100 MB is never held in memory whole

_OWN = regex(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/(\d{1,6})", re.ASCII)
_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}

# File systems whose files the kernel generates on read. pstore is not among them: it holds logs of crashes.
_MADE_UP = frozenset(
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts efivarfs fusectl hugetlbfs mqueue nsfs proc "
    "rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs".split()
)


def open_file(path: Name, *, limit: Optional[int], inside: Optional[Name] = None, made_up: bool = False) -> int:
    """A descriptor to read the regular file ``path``; opening never blocks. The caller closes it.

    ``limit`` is the largest size in bytes that the caller takes; None when it reads in pieces. With
    ``inside``, a directory, links are followed in it alone. Files of /proc and /sys are refused unless ``made_up``
    allows them. Raises OSError, its ``strerror`` in words for a person; ReadFailed where the system failed.
    """
    with faults(path):
        return _open(path, limit, inside, made_up=made_up)


@contextmanager
def faults(path: Name) -> Iterator[None]:
    """An error of the system in the block raises ReadFailed instead of OSError: the file is not just missing."""
    try:
        yield
    except OSError as error:
        check(error, path)
        raise


def check(error: OSError, path: Name) -> None:
    """Raise ReadFailed if ``error`` is a failure of the system, and not a property of ``path``."""
    if error.errno in FAULTS:
        raise ReadFailed(f"{path}: {reason(error)}") from None


def _open(path: Name, limit: Optional[int], inside: Optional[Name], *, made_up: bool) -> int:
    found, linked = _found(path)
    try:
        status = os.fstat(found)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if not made_up and _file_system(status.st_dev) in _MADE_UP:
            raise OSError(errno.EINVAL, f"a file of {_file_system(status.st_dev)}, not of a disk", path)
        if limit is not None and status.st_size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit >> 20} MiB", path)
        if inside is not None and (linked or str(path).rpartition("/")[0] != str(inside)):
            _stay(found, inside, path)
        return _reopened(found, status, path)
    finally:
        os.close(found)


def read(path: Name, *, limit: int, inside: Optional[Name] = None, made_up: bool = False) -> bytes:
    """The regular file ``path``, at most ``limit`` bytes of it; see open_file. Raises OSError, ReadFailed."""
    descriptor = open_file(path, limit=None if made_up else limit, inside=inside, made_up=made_up)
    with os.fdopen(descriptor, "rb") as file:
        try:
            # read() allocates what it is asked for; a generated file has no known size
            return file.read(limit if made_up else min(limit, os.fstat(descriptor).st_size + 1))
        except OSError as error:
            if _file_system(os.fstat(descriptor).st_dev) not in _MADE_UP:  # those may answer with one
                check(error, path)
            raise


def text(path: Name, *, limit: int, inside: Optional[Name] = None) -> str:
    """The same as text; what is not UTF-8 stands as ``\\xNN``. Raises OSError, ReadFailed."""
    return read(path, limit=limit, inside=inside).decode("utf-8", "backslashreplace")


def standard_input() -> Iterator[bytes]:
    """Standard input in pieces of at most 1 MiB."""
    yield from iter(lambda: sys.stdin.buffer.read(BLOCK), b"")


def live_input(rest: float) -> Iterator[Optional[bytes]]:
    """Standard input in pieces of at most 1 MiB, as they come; None after ``rest`` seconds without input."""
    descriptor = sys.stdin.fileno()
    piece: Optional[bytes] = b"-"
    while piece != b"":
        waits = piece is not None  # None is given once for each pause
        ready = select.select([descriptor], [], [], rest if waits else None)[0]
        piece = os.read(descriptor, BLOCK) if ready else None
        yield piece


def own_descriptor(path: Name) -> Optional[int]:
    """The number of the descriptor that ``/dev/stdin``, ``/dev/fd/63`` or ``/proc/self/fd/63`` names; else None.

    The caller has opened it, such as a shell's ``<(command)``: no third party can have replaced it.
    """
    match = _OWN.fullmatch(str(path))
    return None if match is None else _STREAMS.get(match[1]) if match[1] else int(match[2])


def is_public(path: Name) -> bool:
    """Whether everybody on this host may read ``path``: by its mode, and by those of all directories above it."""
    real = Path(os.path.realpath(path))
    try:
        readable = bool(real.stat().st_mode & stat.S_IROTH)
        return readable and all(directory.stat().st_mode & stat.S_IXOTH for directory in real.parents)
    except OSError:  # unknown, so not public
        return False


def reason(error: Exception) -> str:
    """The message of a system error."""
    return getattr(error, "strerror", None) or str(error)


def _found(path: Name) -> Tuple[int, bool]:
    """A descriptor (O_PATH) of ``path``, and whether a link led there. No device or FIFO is opened by it."""
    try:
        found = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISLNK(os.fstat(found).st_mode):
            return found, False
        os.close(found)
        return os.open(path, os.O_PATH | os.O_CLOEXEC), True
    except ValueError as error:  # an embedded NUL byte
        raise OSError(errno.EINVAL, str(error), path) from None


def _reopened(found: int, status: os.stat_result, path: Name) -> int:
    """A descriptor to read the file of ``found``, even if another file has taken its name since."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY  # O_NONBLOCK: a lease would block
    try:
        return os.open(f"/proc/self/fd/{found}", flags)
    except FileNotFoundError:  # a chroot without /proc
        descriptor = os.open(os.path.realpath(path), flags | os.O_NOFOLLOW)
    if not os.path.samestat(status, os.fstat(descriptor)):
        os.close(descriptor)
        raise OSError(errno.EAGAIN, "another file took its place", path)
    return descriptor


def _stay(found: int, inside: Name, path: Name) -> None:
    """Raises OSError when ``found`` lies outside of the directory ``inside``, by way of a link."""
    directory = os.open(inside, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        above, real = _lies(directory, inside), _lies(found, path)
    finally:
        os.close(directory)
    if not real.startswith(f"{above.rstrip('/')}/"):
        raise OSError(errno.ELOOP, f"a link that leads out of its directory, to {real}", path)


def _lies(descriptor: int, path: Name) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # which need not be a path
    except FileNotFoundError:
        return os.path.realpath(path)


@lru_cache(maxsize=64)  # ten thousand logs lie on few file systems
def _file_system(device: int) -> str:
    """The kernel's word for the file system with this device number; "" when its table of mounts does not have it."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="replace") as table:
            # "22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw"
            for line in table:
                before, _, after = line.partition(" - ")
                if before.split(" ", 3)[2] == wanted:
                    return after.split(" ", 1)[0]
    except (OSError, IndexError):
        pass
    return ""
