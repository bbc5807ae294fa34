"""Compressed files, unpacked with a bound: 270 kB of a hostile .zst hold 8 GB of zeros.

Where the format records the unpacked size, that is checked first. The kernel enforces the bound on what is written.
"""

import contextlib
import re
import shutil
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError, ToolFailed
from kdumpwrap.tools.argv import Word, options
from kdumpwrap.tools.run import run

_RATIO = 64  # times the packed size: modules with debug information unpack to 5 to 12 times, filtered dumps to less
_LEAST = 64 << 20  # bytes that may come out of any file
_MEMORY = 1 << 30  # bytes of address space for the program; "xz -9" asks for 65 MB, "zstd --ultra -22" for 128
_SPARE = 64 << 20  # bytes to leave free in the directory


class Format(NamedTuple):
    """One way to compress a file, and the program that undoes it."""

    suffix: str
    magic: bytes  # with which a file of this format begins
    tool: str
    unpack: Tuple[Word, ...]
    ask: Tuple[Word, ...] = ()  # arguments, before the file, with which the program prints the unpacked size
    told: str = ""  # the pattern of that size in its output


FORMATS = (
    Format(".gz", b"\x1f\x8b", "gzip", options("-dc")),  # knows the size modulo 4 GiB
    Format(".bz2", b"BZh", "bzip2", options("-dc")),
    # "totals	1	1	45896	314572800	0.000	CRC64	0	1": streams, blocks, packed, unpacked
    Format(".xz", b"\xfd7zXZ\0", "xz", options("-dc"), options("--robot --list"), r"^totals(?:\t\d+){3}\t(\d+)"),
    Format(".lz4", b"\x04\x22\x4d\x18", "lz4", options("-dc")),
    # "Decompressed Size: 300 MiB (314572800 B)", not for every file
    Format(".zst", b"\x28\xb5\x2f\xfd", "zstd", options("-qdc"), options("-lv"), r"^Decompressed Size: .*\((\d+) B\)"),
)


def by_name(path: Path) -> Optional[Format]:
    """The format that the suffix of ``path`` tells."""
    return next((one for one in FORMATS if one.suffix == path.suffix), None)


def by_head(head: bytes) -> Optional[Format]:
    """The format of a file that begins with ``head``."""
    return next((one for one in FORMATS if head.startswith(one.magic)), None)


def unpack(packed: Path, form: Format, into: Path, *, most: Optional[int] = None, timeout: float = 120.0) -> None:
    """Write the content of ``packed`` to the new file ``into``: at most ``most`` bytes, and no more than fits there.

    The limit is also 64 times the packed size, or 64 MiB if that is more. Raises KdumpwrapError when the content
    exceeds it (no file is left then), or as run() does; ``timeout`` is in seconds.
    """
    try:
        size = packed.stat().st_size
    except OSError as error:
        raise KdumpwrapError(f"{packed}: {error.strerror}") from None
    room = max(0, shutil.disk_usage(into.parent).free - _SPARE)
    limit = min(max(_LEAST, _RATIO * size), room, room if most is None else most)
    wanted = _declared(packed, form)
    hint = shell.hint("unpack it yourself: {} -dk FILE", form.tool)
    if wanted is not None and wanted > limit:
        raise KdumpwrapError(f"{packed}: holds {wanted >> 20} MiB, and {limit >> 20} MiB are the limit here", hint)
    try:
        run(form.tool, form.unpack, source=packed, sink=into, limit=limit, timeout=timeout, memory=_MEMORY)
    except ToolFailed as error:
        full = into.exists() and into.stat().st_size >= limit
        with contextlib.suppress(OSError):
            into.unlink()
        if full:
            raise KdumpwrapError(f"{packed}: holds more than {limit >> 20} MiB, the limit here", hint) from None
        raise error


def _declared(packed: Path, form: Format) -> Optional[int]:
    """The unpacked bytes of ``packed``, as its program reports them; None when it does not."""
    if not form.ask:
        return None
    try:
        said = run(form.tool, [*form.ask, packed], memory=_MEMORY).text
    except ToolFailed:  # unpacking will report the error
        return None
    found = re.search(form.told, said, re.M)
    return int(found[1]) if found else None
