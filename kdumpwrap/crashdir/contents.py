"""The files of one crash directory: the log, the vmcore, their names and sizes."""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import List, Optional, Tuple

from kdumpwrap.crashdir import crashfile, crashname
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model.crash import Crash, Entry
from kdumpwrap.regex import regex

# names in the order in which they are preferred; the number is Debian's stamp
_DMESG = tuple(
    map(
        re.compile,
        (r"vmcore-dmesg\.txt", r"dmesg\.\d{12}", r"dmesg(\.txt)?", r"vmcore-dmesg-incomplete\.txt"),
    )
)
_VMCORE = tuple(
    regex(form + r"(\.(gz|bz2|xz|lz4|zst))?", re.ASCII)
    for form in (
        r"vmcore",
        r"(dump|vmcore)\.\d{12}",
        r"vmcore\.flat",
        r"[\w.-]+\.vmcore",  # Exadata's HOST.vmcore
        r"(vmcore|dump)-incomplete",
    )
)
# the log of the capture kernel: it tells how kdump went, and never counts as the log of the crash
CAPTURE_LOG = "kexec-dmesg.log"
# the log of the host's console, put there by hand or by a recorder: it may hold the lines of both kernels
_CONSOLE = regex(r"console(\.log|\.txt)?|[\w.-]+\.console", re.ASCII)
_CREATION = "vmcore-creation.status"  # the outcome of kdumpctl test


def read(path: str) -> "List[os.DirEntry[str]]":
    """The entries of the directory ``path``. Raises OSError."""
    with os.scandir(path) as items:
        return list(items)


def entry(path: str, items: "List[os.DirEntry[str]]") -> Optional[Entry]:
    """The crash that ``items`` of the directory ``path`` make; None when they make none."""
    dmesg = _best(_DMESG, items)
    vmcore = _best(_VMCORE, items)
    if dmesg is None and vmcore is None and not any(item.name == CAPTURE_LOG for item in items):
        return None
    incomplete = tuple(sorted(item.name for item in items if is_incomplete(item.name)))
    host, time = _name(path)
    if time is None:
        time = _modified(vmcore or dmesg)
    vmcore_bytes = _size(vmcore) if vmcore else None
    dmesg_bytes = _size(dmesg) if dmesg else None
    if not dmesg_bytes and vmcore_bytes:
        dmesg = None  # the file is empty: the log is read from the vmcore
    others = {item.name: item.path for item in items if item.name in (CAPTURE_LOG, _CREATION)}
    consoles = sorted(item.path for item in items if _CONSOLE.fullmatch(item.name))
    crash = Crash(
        path,
        dmesg.path if dmesg else None,
        vmcore.path if vmcore else None,
        host,
        time,
        others.get(CAPTURE_LOG) or next(iter(consoles), None),
        others.get(_CREATION),
    )
    return Entry(crash, vmcore_bytes, incomplete, dmesg_bytes)


def is_incomplete(name: str) -> bool:
    """Whether kdump has not finished the file of that name: it is still writing, or was interrupted."""
    return "incomplete" in name.rpartition("/")[2]


def is_vmcore(path: str) -> bool:
    """Whether the file starts like a dump, makedumpfile's two formats or the ELF of /proc/vmcore, or is named so."""
    if _rank(_VMCORE, Path(path).name) is not None:
        return True
    try:
        return crashfile.head(path, 16).startswith(crashfile.DUMPS)
    except KdumpwrapError:
        return False


def _best(names: "Tuple[re.Pattern[str], ...]", items: "List[os.DirEntry[str]]") -> "Optional[os.DirEntry[str]]":
    """The preferred file: finished before unfinished, filled before empty, then in the order of ``names``."""
    fitting = [(rank, item) for item in items for rank in (_rank(names, item.name),) if rank is not None]
    if len(fitting) > 1:
        fitting.sort(key=lambda one: (is_incomplete(one[1].name), not _size(one[1]), one[0], one[1].name))
    return fitting[0][1] if fitting else None


@lru_cache(maxsize=4096)  # ten thousand directories hold the same few names
def _rank(names: "Tuple[re.Pattern[str], ...]", name: str) -> Optional[int]:
    return next((rank for rank, form in enumerate(names) if form.fullmatch(name)), None)


def _name(path: str) -> crashname.Name:
    """Host and time in the directory's name; of pstore's EPOCH/001, those in the name of its parent."""
    above, _, own = path.rpartition("/")
    if not above or own in ("", ".", ".."):
        real = Path(path).resolve()
        above, own = str(real.parent), real.name
    return crashname.parse(above.rpartition("/")[2] if re.fullmatch(r"\d{3}", own) else own)


def _size(item: "os.DirEntry[str]") -> int:
    try:
        return item.stat().st_size
    except OSError:
        return 0


def _modified(item: "Optional[os.DirEntry[str]]") -> Optional[str]:
    try:
        return crashname.clock(item.stat().st_mtime) if item else None
    except OSError:
        return None
