"""The files of a crash, read safely: regular files alone, in pieces. A pack alone is read whole."""

import errno
import os
from typing import BinaryIO, Callable, Iterable, Iterator, Optional

from kdumpwrap import shell
from kdumpwrap.crashdir import packed
from kdumpwrap.crashdir.packed import Packed
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import files
from kdumpwrap.host.files import BLOCK, reason

# the first bytes of a dump: makedumpfile's stream (-F), its compressed format, the ELF of /proc/vmcore
FLATTENED = b"makedumpfile\0"
PLAIN_DUMPS = (b"KDUMP   ", b"DISKDUMP", b"\x7fELF")
DUMPS = (FLATTENED, *PLAIN_DUMPS)

LARGEST = 128 << 20  # bytes read from each end of a log; the kernel's own buffer has 32 MB at most


def blocks(path: str, *, unpacked: Callable[[Packed], object] = lambda _: None) -> Iterator[bytes]:
    """The log at ``path`` ("-": standard input) in pieces of at most 1 MiB; host.files opens it.

    Of a file with more than 2 * LARGEST bytes only the two ends are read (see ``cut``). A pack is passed to
    ``unpacked``, and then its log is one piece. Raises KdumpwrapError.
    """
    if path == "-":
        yield from _unpacked(files.standard_input(), unpacked)
        return
    descriptor = _open(path)
    try:
        if _begins_pack(descriptor):
            found = _parsed(path, _all(descriptor))
            unpacked(found)
            yield found.log
            return
        size = os.fstat(descriptor).st_size
        ends = ((0, size),) if size <= 2 * LARGEST else ((0, LARGEST), (size - LARGEST, size))
        for start, stop in ends:
            if start:
                yield b"\n"  # the last line of one end must not join the first line of the other
            for place in range(start, stop, BLOCK):  # what is appended meanwhile may be our own output
                yield os.pread(descriptor, min(BLOCK, stop - place), place)
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
    finally:
        os.close(descriptor)


class Copy:
    """Pieces of a stream that are written to ``file`` as they are read; only 2 * LARGEST bytes: it may have no end."""

    def __init__(self, pieces: Iterable[Optional[bytes]], file: BinaryIO) -> None:
        self._pieces = pieces
        self._file = file
        self.cut = ""  # a message that the stream was longer

    def __iter__(self) -> Iterator[bytes]:
        left = 2 * LARGEST
        for piece in filter(None, self._pieces):
            if left <= 0:
                self.cut = f"standard input: the first {2 * LARGEST >> 20} MB were read"
                return
            left -= self._file.write(piece)
            yield piece


def pack(path: str) -> Optional[Packed]:
    """The pack in the file ``path`` (see crashdir.packed); None when it is none. Raises KdumpwrapError."""
    descriptor = _open(path)
    try:
        return _parsed(path, _all(descriptor)) if _begins_pack(descriptor) else None
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
    finally:
        os.close(descriptor)


def _begins_pack(descriptor: int) -> bool:
    return os.pread(descriptor, len(packed.MAGIC), 0) == packed.MAGIC


def _all(descriptor: int) -> bytes:
    """The bytes of the file, up to one more than a pack may have: so a larger one is noticed."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read(min(packed.LARGEST, os.fstat(descriptor).st_size) + 1)


def _unpacked(pieces: Iterator[bytes], unpacked: Callable[[Packed], object]) -> Iterator[bytes]:
    """``pieces`` unchanged when they are a log; when they are a pack, the log in it."""
    first = next(pieces, b"")
    if not first.startswith(packed.MAGIC):
        yield first
        yield from pieces
        return
    data = bytearray(first)
    for piece in pieces:
        data += piece
        if len(data) > packed.LARGEST:
            break
    found = _parsed("standard input", bytes(data))
    unpacked(found)
    yield found.log


def _parsed(name: str, data: bytes) -> Packed:
    if len(data) > packed.LARGEST:
        raise KdumpwrapError(f"{name}: a pack of more than {packed.LARGEST >> 20} MB")
    try:
        return packed.parse(data)
    except ValueError as error:
        raise KdumpwrapError(
            f"{name}: a pack that cannot be read: {error}", shell.hint("kdumpwrap pack CRASH")
        ) from None


def cut(path: str) -> str:
    """A message that ``blocks`` reads only the ends of the log at ``path``; empty when it reads all of it."""
    if path == "-":
        return ""
    descriptor = _open(path)
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    ends = f"the first and last {LARGEST >> 20} MB were read"
    return f"{path}: {size >> 20} MB long, {ends}" if size > 2 * LARGEST else ""


def head(path: str, size: int) -> bytes:
    """The first ``size`` bytes of a regular file, fewer when it is shorter. Raises KdumpwrapError."""
    return _piece(path, size, first=True)


def tail(path: str, size: int) -> bytes:
    """The last ``size`` bytes of a regular file, fewer when it is shorter. Raises KdumpwrapError."""
    return _piece(path, size, first=False)


def _open(path: str) -> int:
    """A descriptor of the file. A link that leads out of the crash directory is refused. Raises KdumpwrapError."""
    try:
        directory, slash, _ = path.rpartition("/")
        return files.open_file(path, limit=None, inside=directory or slash or ".")
    except OSError as error:
        hints = {
            errno.EACCES: shell.hint("sudo kdumpwrap analyze {}", path),
            errno.EINVAL: shell.hint("name a crash directory, a log or a vmcore"),
            errno.ELOOP: shell.hint("name the file itself, if it is to be read"),
        }
        raise KdumpwrapError(f"{path}: {reason(error)}", hints.get(error.errno or 0, shell.NONE)) from None


def _piece(path: str, size: int, *, first: bool) -> bytes:
    descriptor = _open(path)
    try:
        start = 0 if first else max(0, os.fstat(descriptor).st_size - size)
        with files.faults(path):
            return os.pread(descriptor, size, start)
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
    finally:
        os.close(descriptor)
