"""Which files a crash consists of, and where crashes lie: the file system only, nothing is analysed here."""

import os
import re
import stat
from datetime import datetime
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from kdumpwrap.errors import KdumpwrapError, NoCrash
from kdumpwrap.model import Crash, Entry

DEFAULT_PATH = "/var/crash"
_LINUX_VERSION = re.compile(rb"Linux version ([0-9][!-~]*)")
_CPU_LINE = re.compile(rb"ainted(?:: [A-Z -]*)? +([0-9][0-9.]+[!-~]*) #")
_ENDS = 1 << 16  # bytes of a log's beginning and end that list looks at
BLOCK = 1 << 20  # bytes read at a time: a log of 100 MB is never held in memory whole

# names in the order in which they are preferred; a stamp stands for Debian's dmesg.202312201051
_DMESG = re.compile(r"(vmcore-dmesg\.txt|dmesg\.\d{12}|dmesg(\.txt)?|vmcore-dmesg-incomplete\.txt)")
_VMCORE = re.compile(
    r"(vmcore|(?:dump|vmcore)\.\d{12}|vmcore\.flat|[\w.-]+\.vmcore|vmcore-incomplete|dump-incomplete)(?:\.(?:gz|bz2|xz|lz4))?"
)

# the directory's name, by the release that made it (facts about kexec-tools' kdump-lib and Debian's kdump-config)
_NAMES = (
    # 127.0.0.1-2023-12-20-10:51:07 el6, el7.1 and later; fe80::1-2023-…; ABRT's vmcore-127.0.0.1-2023-…;
    # copies to other file systems lose the colons
    (re.compile(r"(?:vmcore-)?(?P<host>.+)-(?P<stamp>\d{4}-\d\d-\d\d-\d\d[:._-]\d\d[:._-]\d\d)"), "%Y-%m-%d-%H:%M:%S"),
    # 127.0.0.1-2014.06.01-10:51:07 el7.0
    (re.compile(r"(?:vmcore-)?(?P<host>.+)-(?P<stamp>\d{4}\.\d\d\.\d\d-\d\d:\d\d:\d\d)"), "%Y.%m.%d-%H:%M:%S"),
    # 127.0.0.1-01.06.12-10:51:07 before that
    (re.compile(r"(?:vmcore-)?(?P<host>.+)-(?P<stamp>\d\d\.\d\d\.\d\d-\d\d:\d\d:\d\d)"), "%d.%m.%y-%H:%M:%S"),
    # 202312201051 Debian and Ubuntu; HOST-202312201051 from a remote one
    (re.compile(r"(?:(?P<host>.+)-)?(?P<stamp>\d{12})"), "%Y%m%d%H%M"),
    # 2023-12-20-10-51 and 2023-12-20-10:51 SUSE; HOST-… from a remote one
    (re.compile(r"(?:(?P<host>.+)-)?(?P<stamp>\d{4}-\d\d-\d\d-\d\d[:-]\d\d)"), "%Y-%m-%d-%H:%M"),
)


def find(target: Optional[str], root: Path = Path("/")) -> Crash:
    """The crash that ``target`` names: a directory, a log, a vmcore, "-" for standard input, None for the newest.

    Raises NoCrash with a line that says what was looked at.
    """
    if target is None:
        return newest(default_path(root))
    if target == "-":
        return Crash("-", dmesg="-")
    path = Path(target)
    mode = _mode(path)
    if mode is None:
        raise NoCrash(f"{target}: no such file or directory", "kdumpwrap list")
    if stat.S_ISDIR(mode):
        crash = inspect(path)
        if crash is None:
            raise NoCrash(f"{target}: neither a vmcore nor its dmesg in this directory", f"kdumpwrap list {target}")
        return crash
    if not stat.S_ISREG(mode):
        raise NoCrash(f"{target}: not a regular file", "name a crash directory, a log or a vmcore")
    host, time = _name(path.absolute().parent.name)
    if is_vmcore(path):
        return Crash(target, None, target, host, time)
    return Crash(target, target, None, host, time)


def inspect(path: Path) -> Optional[Crash]:
    """The crash in the directory ``path``, None when it holds none. The capture kernel's log is not its log."""
    entry = _entry(path)
    return entry.crash if entry else None


def entries(path: Path) -> Tuple[Entry, ...]:
    """Every crash below ``path`` (each directory in it, no deeper), oldest first.

    Raises NoCrash when ``path`` is no directory, KdumpwrapError when it cannot be read.
    """
    found: List[Entry] = []
    try:
        with os.scandir(path) as items:
            names = [item.name for item in items if item.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        raise NoCrash(f"{path}: no such directory", "kdumpwrap doctor") from None
    except OSError as error:
        raise KdumpwrapError(f"{path}: {error.strerror}", f"sudo kdumpwrap list {path}") from None
    for name in names:
        entry = _entry(path / name)
        if entry:
            found.append(entry)
    found.sort(key=lambda entry: (entry.crash.time or "", entry.crash.path))
    return tuple(found)


def newest(path: Path) -> Crash:
    """The newest crash under ``path``; raises NoCrash when there is none."""
    found = entries(path)
    if not found:
        raise NoCrash(f"{path}: no crash here", "kdumpwrap doctor")
    return found[-1].crash


def default_path(root: Path = Path("/")) -> Path:
    """Where kdump saves on this host: ``path`` of kdump.conf (the last one wins), else /var/crash, below ``root``."""
    path = DEFAULT_PATH
    try:
        text = (root / "etc/kdump.conf").read_text("utf-8", "replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 2 and words[0] == "path":
            path = words[1].strip("\"'")
    return root / path.lstrip("/")


def blocks(path: str) -> Iterator[bytes]:
    """The log at ``path`` ("-": standard input) in pieces of at most 1 MiB.

    Only a regular file is read: a FIFO or a device in its place would hang us or worse.
    """
    if path == "-":
        import sys

        yield from iter(lambda: sys.stdin.buffer.read(BLOCK), b"")
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        hint = f"sudo kdumpwrap analyze {path}" if isinstance(error, PermissionError) else ""
        raise KdumpwrapError(f"{path}: {error.strerror}", hint) from None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise KdumpwrapError(f"{path}: not a regular file", "name a crash directory, a log or a vmcore")
        try:
            yield from iter(lambda: file.read(BLOCK), b"")
        except OSError as error:
            raise KdumpwrapError(f"{path}: {error.strerror}") from None


def release(crash: Crash) -> Optional[str]:
    """The kernel's release as the log's first or last 64 KiB tell it: ``Linux version 5.14.0-…`` or ``Comm: … #1``."""
    if crash.dmesg is None:
        return None
    first = last = b""
    try:
        for block in blocks(crash.dmesg):
            first, last = first or block, block
    except KdumpwrapError:
        return None
    match = _LINUX_VERSION.search(first[:_ENDS]) or _CPU_LINE.search(last[-_ENDS:])
    return match[1].decode("ascii", "replace") if match else None


def is_vmcore(path: Path) -> bool:
    """Whether ``path`` starts like a dump: makedumpfile's two formats, or the ELF file of /proc/vmcore."""
    try:
        head = next(blocks(str(path)), b"")[:16]
    except KdumpwrapError:
        return _VMCORE.fullmatch(path.name) is not None
    return head.startswith((b"KDUMP   ", b"DISKDUMP", b"makedumpfile\0", b"\x7fELF"))


def _entry(path: Path) -> Optional[Entry]:
    dmesg: Optional[os.DirEntry[str]] = None
    vmcore: Optional[os.DirEntry[str]] = None
    incomplete: List[str] = []
    try:
        with os.scandir(path) as items:
            for item in sorted(items, key=lambda item: item.name):
                if "incomplete" in item.name:
                    incomplete.append(item.name)
                if _DMESG.fullmatch(item.name) and _better(item, dmesg):
                    dmesg = item
                elif _VMCORE.fullmatch(item.name) and _better(item, vmcore):
                    vmcore = item
    except OSError:
        return None
    if dmesg is None and vmcore is None:
        return None
    host, time = _name(path.absolute().name)
    if time is None:
        time = _modified(vmcore or dmesg)
    size = _size(vmcore) if vmcore else None
    crash = Crash(str(path), dmesg.path if dmesg else None, vmcore.path if vmcore else None, host, time)
    return Entry(crash, size, tuple(incomplete))


def _better(item: "os.DirEntry[str]", than: "Optional[os.DirEntry[str]]") -> bool:
    """A finished file before an unfinished one, a full one before an empty one, then the first by name."""
    if than is None:
        return True
    return ("incomplete" not in item.name, _size(item) > 0) > ("incomplete" not in than.name, _size(than) > 0)


def _name(name: str) -> Tuple[Optional[str], Optional[str]]:
    """Host and ISO 8601 time that a crash directory's name tells."""
    for pattern, form in _NAMES:
        match = pattern.fullmatch(name)
        if not match:
            continue
        stamp = match["stamp"]
        if (":" in form and ":" not in stamp) or "_" in stamp:
            stamp = stamp[:10] + "-" + re.sub(r"[._-]", ":", stamp[11:])
        try:
            return match["host"], datetime.strptime(stamp, form).isoformat()
        except ValueError:
            continue
    return None, None


def _mode(path: Path) -> Optional[int]:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: an embedded NUL byte
        raise KdumpwrapError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _size(item: "os.DirEntry[str]") -> int:
    try:
        return item.stat().st_size
    except OSError:
        return 0


def _modified(item: "Optional[os.DirEntry[str]]") -> Optional[str]:
    try:
        return datetime.fromtimestamp(item.stat().st_mtime).isoformat(timespec="seconds") if item else None
    except (OSError, OverflowError, ValueError):
        return None
