"""Files in memory, for what a program reads and prints."""

import contextlib
import fcntl
import os
from typing import BinaryIO

_ADD_SEALS, _SEAL_WRITE = 1033, 8  # include/uapi/linux/fcntl.h; module fcntl has them since Python 3.9


def in_memory(name: str) -> BinaryIO:
    """A file in memory for a program's output: nm would fill a pipe 1200 times, and wait for us each time."""
    create = getattr(os, "memfd_create", None)  # since Python 3.8
    if create is None:
        from tempfile import TemporaryFile  # it takes as long to load as all else here

        return TemporaryFile()
    return os.fdopen(create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")  # novm: they came with it


def seal(file: BinaryIO) -> None:
    """Let nobody write to ``file`` any more: a program that the tool left behind would fill the memory."""
    with contextlib.suppress(OSError):  # it is a file on disk
        fcntl.fcntl(file, _ADD_SEALS, _SEAL_WRITE)  # it can still be made shorter


def size(file: BinaryIO) -> int:
    """Bytes in ``file``."""
    return os.fstat(file.fileno()).st_size
