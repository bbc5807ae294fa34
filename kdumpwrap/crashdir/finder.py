"""Crash directories: where they lie, and which crash a path names. Only the file system is read."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from kdumpwrap import shell
from kdumpwrap.crashdir import contents, crashfile, crashname
from kdumpwrap.crashdir.packed import Packed
from kdumpwrap.errors import KdumpwrapError, NoCrash
from kdumpwrap.host.files import reason
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.model.crash import Crash, Entry


class NothingSaved(NoCrash):
    """A directory that kdump made, with neither vmcore nor dmesg in it."""

    def __init__(self, crash: Crash) -> None:
        super().__init__(f"{crash.path}: kdump saved neither the vmcore nor its dmesg")
        self.crash = crash


class _Unreadable(KdumpwrapError):
    """A directory that may not, or cannot, be read."""

    def __init__(self, path: Union[str, Path], error: Exception) -> None:
        self.why = reason(error)
        super().__init__(f"{path}: {self.why}", shell.hint("sudo kdumpwrap list {}", path))


class Found(NamedTuple):
    """The crashes below a root, oldest first, and the directories that could not be read, with the reasons."""

    entries: Tuple[Entry, ...]
    unreadable: Tuple[Tuple[str, str], ...]


def find(target: Optional[str], root: Path = Path("/")) -> Crash:
    """The crash that ``target`` names: a directory, a log, a vmcore, "-" for standard input, None for the newest.

    A bare name that is not in the working directory is looked for where kdump saves, as ``list`` prints it.
    Raises NoCrash, whose message names the place that was searched.
    """
    if target is None:
        return newest(root)
    if target == "-":
        return Crash("-", dmesg="-")
    mode = _mode(target)
    if mode is None:
        saved = _saved_as(target, root)
        if saved is not None:
            return _directory(saved)
        raise NoCrash(f"{target}: no such file or directory", shell.hint("kdumpwrap list"))
    if stat.S_ISDIR(mode):
        return _directory(target)
    if not stat.S_ISREG(mode):
        raise NoCrash(f"{target}: not a regular file", shell.hint("name a crash directory, a log or a vmcore"))
    directory, file = Path(target).absolute().parent, Path(target).name
    if file == contents.CAPTURE_LOG:
        what = "the log of the kernel that saved the dump, not of the one that crashed"
        raise NoCrash(f"{target}: {what}", shell.hint("kdumpwrap analyze {}", directory))
    host, time = crashname.parse(directory.name)
    # a link that the user names is followed anywhere; a link inside a crash directory is not
    named = os.path.realpath(target) if os.path.islink(target) else target  # noqa: PTH114
    if contents.is_vmcore(named):
        beside = None
        with suppress(KdumpwrapError):
            beside = inspect(directory)
        dmesg = beside.dmesg if beside and beside.vmcore == f"{directory}/{file}" else None
        return Crash(target, dmesg, named, host, time)
    pack = _pack(named)
    if pack is not None:
        return Crash(target, named, None, pack.host, pack.time, packed=True)
    return Crash(target, named, None, host, time)


def _saved_as(name: str, root: Path) -> Optional[str]:
    """The directory called ``name`` where kdump saves; None when there is none, or ``name`` is a longer path."""
    if "/" in name:
        return None
    for top in default_paths(root):
        with suppress(OSError, ValueError):
            if stat.S_ISDIR((top / name).stat().st_mode):
                return str(top / name)
    return None


def _pack(path: str) -> Optional[Packed]:
    try:
        return crashfile.pack(path)
    except KdumpwrapError:  # reported when the log is read
        return None


def inspect(path: Union[str, Path]) -> Optional[Crash]:
    """The crash in the directory ``path`` as it is now; None when it holds none (any more).

    Raises KdumpwrapError when the directory cannot be read, such as with too many open files.
    """
    try:
        entry = contents.entry(str(path), contents.read(str(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
    return entry.crash if entry and _saved(entry) else None


def scan(path: Union[str, Path]) -> Found:
    """The crashes below ``path``: in its directories, in theirs where they hold no crash themselves, or in itself.

    A directory that is linked to is looked at once. Raises NoCrash when ``path`` is no directory, KdumpwrapError when
    it cannot be read.
    """
    try:
        top = contents.read(str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise NoCrash(f"{path}: no such directory", shell.hint("kdumpwrap doctor")) from None
    except (OSError, ValueError) as error:
        raise _Unreadable(path, error) from None
    found: List[Entry] = []
    unreadable: List[Tuple[str, str]] = []
    own = contents.entry(str(path), top)
    if own:
        found.append(own)
    else:
        seen: Set[Tuple[int, int]] = set()
        for item in _directories(top, seen):
            found += _below(item.path, seen, unreadable)
    found.sort(key=_age)
    return Found(tuple(found), tuple(sorted(unreadable)))


def scan_host(root: Path = Path("/")) -> Found:
    """The crashes where kdump saves on the host whose files lie below ``root``; raises as scan does."""
    tops = default_paths(root)
    found: List[Entry] = []
    unreadable: List[Tuple[str, str]] = []
    for top in tops:
        try:
            below = scan(top)
        except NoCrash as error:
            from kdumpwrap.host import kdumpconf

            raise NoCrash(error.message, kdumpconf.elsewhere(Host(root)) or error.hint) from None
        except _Unreadable as error:
            if len(tops) == 1:
                raise
            unreadable.append((str(top), error.why))
            continue
        found += below.entries
        unreadable += below.unreadable
    found.sort(key=_age)
    return Found(tuple(found), tuple(sorted(unreadable)))


def newest(root: Path = Path("/")) -> Crash:
    """The newest crash of that host of which anything was saved; raises NoCrash."""
    saved = [entry.crash for entry in scan_host(root).entries if _saved(entry)]
    if not saved:
        where = ", ".join(map(str, default_paths(root)))
        from kdumpwrap.host import kdumpconf

        raise NoCrash(f"{where}: no crash here", kdumpconf.elsewhere(Host(root)) or shell.hint("kdumpwrap doctor"))
    return saved[-1]


def default_paths(root: Path = Path("/")) -> Tuple[Path, ...]:
    """The directories where the host below ``root`` saves its crashes, by its configuration; else /var/crash.

    Links are followed inside ``root`` alone.
    """
    from kdumpwrap.host import kdumpconf

    host = Host(root)
    return tuple(_here(host, path) for path in kdumpconf.directories(host))


def is_host(path: Path) -> bool:
    """Whether a host's files lie below ``path``, its directory of crashes among them."""
    with suppress(OSError, ValueError, KdumpwrapError):
        return any(top.is_dir() for top in default_paths(path))
    return False


def _here(host: Host, path: str) -> Path:
    if host.live:
        return Path(path)
    try:
        return host.locate(path) or host.root / path.lstrip("/")
    except Denied:
        return host.root / path.lstrip("/")


def _directory(path: str) -> Crash:
    try:
        entry = contents.entry(path, contents.read(path))
    except OSError as error:
        raise KdumpwrapError(f"{path}: {reason(error)}", shell.hint("sudo kdumpwrap analyze {}", path)) from None
    if entry is None:
        raise NoCrash(f"{path}: neither a vmcore nor its dmesg in this directory", _elsewhere(path))
    if not _saved(entry):
        raise NothingSaved(entry.crash)
    return entry.crash


def _elsewhere(path: str) -> shell.Hint:
    """The command that lists the crashes below the directory ``path``; those of this host where there are none."""
    with suppress(KdumpwrapError):
        if scan(path).entries:
            return shell.hint("kdumpwrap list {}", path)
    if is_host(Path(path)):
        return shell.hint("kdumpwrap list --root {}", path)
    return shell.hint("kdumpwrap list")


def _below(path: str, seen: Set[Tuple[int, int]], unreadable: List[Tuple[str, str]]) -> List[Entry]:
    """The crash in ``path``, or those one level deeper: ROOT/HOST/CRASH of a server, pstore's EPOCH/001."""
    try:
        items = contents.read(path)
    except FileNotFoundError:
        return []  # gone since it was listed
    except OSError as error:
        unreadable.append((path, reason(error)))
        return []
    own = contents.entry(path, items)
    if own:
        return [own]
    found = []
    for item in _directories(items, seen):
        try:
            entry = contents.entry(item.path, contents.read(item.path))
        except FileNotFoundError:
            continue
        except OSError as error:
            unreadable.append((item.path, reason(error)))
            continue
        if entry:
            found.append(entry)
    return found


def _directories(items: "List[os.DirEntry[str]]", seen: Set[Tuple[int, int]]) -> "Iterator[os.DirEntry[str]]":
    """The directories among ``items``, then those that symbolic links lead to; none that was ``seen`` before."""
    for item in sorted(items, key=lambda item: item.is_symlink()):
        try:
            status = item.stat() if item.is_symlink() or item.is_dir() else None
        except OSError:  # a loop, nothing there, or gone since it was listed
            continue
        if status is None or not stat.S_ISDIR(status.st_mode):
            continue
        identity = (status.st_dev, status.st_ino)
        if identity not in seen:
            seen.add(identity)
            yield item


def _age(entry: Entry) -> Tuple[str, str]:
    return entry.crash.time or "", entry.crash.path


def _saved(entry: Entry) -> bool:
    return entry.crash.dmesg is not None or entry.crash.vmcore is not None


def _mode(path: str) -> Optional[int]:
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: an embedded NUL byte
        raise KdumpwrapError(f"{path}: {reason(error)}") from None
