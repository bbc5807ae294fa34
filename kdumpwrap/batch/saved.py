"""Answers kept beside the crashes: kdumpwrap.json and kdumpwrap.txt. They are written atomically, and believed only
while all files that they were made of are unchanged.

This runs as root in directories that others may write to: no link is followed, and no other file is changed.
"""

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Union

from kdumpwrap import __version__, debuginfo
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import fetched, files
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.log import Frame, Log
from kdumpwrap.render import json as json_renderer
from kdumpwrap.render import text as text_renderer
from kdumpwrap.render.walker import line
from kdumpwrap.vmcore import crashed

JSON, TEXT = "kdumpwrap.json", "kdumpwrap.txt"
MARK = ".kdumpwrap-new"  # beside an answer that was not printed yet, see batch.news
_KEY = "saved"  # key of the stamp in kdumpwrap.json, after the keys of --json
_CHECKED = ("version", "inputs", "options", "debuginfo", "sources", "text", "final")  # parts of it that must hold
_TEMPORARY = ".kdumpwrap-"  # .kdumpwrap-4711-kdumpwrap.json: process 4711 is writing it
_TICK = 20_000_000  # nanoseconds: two ticks of the slowest kernel; a second change within them keeps the first time
_LARGEST = 64 << 20  # bytes of a saved answer at most
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

# the state of a file: path, bytes, mtime and ctime in nanoseconds (no user can set a ctime back; an inode for it where
# the file was fetched); the path alone when the file is missing
File = List[Union[str, int]]


@dataclass
class Known:
    """The debuginfo files that answers are made of, looked up once for each release and module."""

    search: Search
    variables: bool = False  # whether gdb is asked for variables
    _undecided: Dict[Optional[str], bool] = field(default_factory=dict)  # see debuginfo.undecided
    _files: Dict[Tuple[object, ...], List[File]] = field(default_factory=dict)

    def files(
        self, crash: Crash, release: Optional[str], modules: Sequence[str], build_id: Optional[str] = None
    ) -> List[File]:
        """The states of the vmlinux and of the files of ``modules`` that an analysis would use now.

        ``build_id``: that of its kernel, where it is known already.
        """
        own = beside(crash)
        build = build_id or self.build_id(crash, release)
        return [file for name in (None, *modules) for file in self._of(name, release, own, build)]

    def build_id(self, crash: Crash, release: Optional[str]) -> Optional[str]:
        """The build id of the kernel of ``crash``, where it has to tell which files to take; else None."""
        if release not in self._undecided:
            self._undecided[release] = debuginfo.undecided(release, self.search)
        return crashed.search_of(crash, self.search).build_id() if self._undecided[release] else None

    def stamp(self, crash: Crash, log: Log) -> None:
        """Record the states of the files for ``log`` now: what is read of them later is at least as new."""
        self.files(crash, log.release, _modules(log.frames))

    def _of(
        self, module: Optional[str], release: Optional[str], own: Optional[Path], build_id: Optional[str]
    ) -> List[File]:
        key = (module, release, own, build_id)
        if key not in self._files:
            search = self.search._replace(build_id=lambda: build_id)
            paths: Sequence[Path] = ()
            with contextlib.suppress(KdumpwrapError):
                if module is not None:
                    paths = debuginfo.modules((module,), release, search, own)[module]
                else:
                    paths = (debuginfo.vmlinux(release, search, own),)
            kept = fetched.tops(self.search.root)
            self._files[key] = [
                (_fetched if any(top in path.parents for top in kept) else _settled)(str(path)) for path in paths
            ]
        return self._files[key]


def beside(crash: Crash) -> Optional[Path]:
    """The directory of ``crash``, if it holds a vmlinux or modules of its own."""
    directory = os.path.dirname(crash.dmesg or crash.vmcore or "")  # noqa: PTH120 for each of ten thousand
    try:
        names = os.listdir(directory) if directory else []  # noqa: PTH208
    except OSError as error:
        files.check(error, directory)
        return None
    return Path(directory) if any(name.startswith("vmlinux") or ".ko" in name for name in names) else None


def load(crash: Crash, known: Known) -> Optional[str]:
    """The saved ``--json`` line of ``crash``; None when there is none, or it is no longer true."""
    try:
        value = json.loads(_read(f"{crash.path}/{JSON}"))
        stamp = value.pop(_KEY)
        names = [str(name) for name in stamp["modules"]]
        then = {key: stamp[key] for key in _CHECKED}
        now = {
            "version": __version__,
            "inputs": _inputs(crash),
            "options": _options(known),
            "debuginfo": known.files(crash, value["kernel"]["release"], names, stamp["build_id"]),
            "sources": [_file(file[0]) for file in stamp["sources"]],
            "text": _file(f"{crash.path}/{TEXT}")[1],
            "final": True,
        }
        return line(value) if then == now and value["crash"]["path"] == crash.path else None
    except (OSError, KdumpwrapError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _modules(frames: Iterable[Frame]) -> List[str]:
    """The modules of ``frames``, sorted."""
    return sorted({frame.module for frame in frames if frame.module is not None})


def stamp(crash: Crash) -> List[File]:
    """The states of the files of ``crash``. Take them before the files are read."""
    return [_settled(path) for path in (crash.dmesg, crash.vmcore, crash.capture) if path is not None]


def save(
    crash: Crash, analysis: Analysis, inputs: Sequence[File], known: Known, root: Path, *, mark: bool = False
) -> None:
    """Write both files into the directory of ``crash``, below ``root``; ``inputs`` is its ``stamp``.

    ``mark``: write MARK too, since the answer is not printed yet. Raises KdumpwrapError when writing fails.
    """
    text = text_renderer.render(analysis).encode("utf-8", "backslashreplace")
    names = _modules(frame for finding in analysis.findings for frame in finding.resolution.frames)
    found = (finding.resolution.source for finding in analysis.findings)
    sources = [_file(str(source.path)) for source in found if source is not None]
    value = json_renderer.as_dict(analysis)
    value[_KEY] = {
        "version": __version__,
        "inputs": [[*file] for file in inputs],
        "options": [*_options(known)],
        "modules": [*names],
        "build_id": known.build_id(crash, analysis.kernel.release),
        "debuginfo": [[*file] for file in known.files(crash, analysis.kernel.release, names)],
        "sources": [[*file] for file in sources or [_file(str(known.search.root / "usr/src/debug"))]],
        "text": len(text),
        "final": not any(problem.tool_failed for problem in analysis.problems)
        and not any(finding.variables and finding.variables.missing for finding in analysis.findings),
    }
    try:
        descriptor = open_directory(crash.path, root)
        answer = {TEXT: text, JSON: line(value).encode()}
        try:
            _replace(descriptor, {MARK: b"", **answer} if mark else answer)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KdumpwrapError(f"{crash.path}: the answer cannot be saved: {error.strerror}") from None


def _inputs(crash: Crash) -> List[File]:
    return [_file(path) for path in (crash.dmesg, crash.vmcore, crash.capture) if path is not None]


def _options(known: Known) -> List[str]:
    search = known.search
    named = [search.root, *([search.vmlinux] if search.vmlinux else []), *search.module_dirs, *search.source_dirs]
    return [*map(str, named), *(["--variables"] if known.variables else [])]


def _file(path: str) -> File:
    try:
        status = os.stat(path)  # noqa: PTH116 for each of ten thousand
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _settled(path: str) -> File:
    """The state of a file, to be kept. A file changed within _TICK gets one that never matches: it may change again."""
    file = _file(path)
    return file if len(file) == 1 or time.time() * 1e9 - int(file[3]) > _TICK else [path, -1]


def _fetched(path: str) -> File:
    """The state of a file that was fetched, with its inode for the ctime, which each use changes: see fetched.used."""
    try:
        status = os.stat(path)  # noqa: PTH116 as above
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns, status.st_ino]


def _read(path: str) -> bytes:
    """The bytes of a regular file that belongs to this user or root. Raises OSError."""
    with os.fdopen(files.open_file(path, limit=_LARGEST, inside=path.rpartition("/")[0]), "rb") as file:
        if os.fstat(file.fileno()).st_uid not in (0, os.geteuid()):
            raise PermissionError
        return file.read(_LARGEST)


def open_directory(path: str, root: Path) -> int:
    """A descriptor of ``path``, from ``root`` on without following a link. Raises OSError."""
    descriptor = os.open(root, _DIRECTORY)
    for name in Path(path).relative_to(root).parts:
        try:
            inner = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def _replace(directory: int, files: Dict[str, bytes]) -> None:
    """Write all ``files`` under temporary names, then rename them in order. Raises OSError."""
    _sweep(directory)
    written: List[Tuple[str, str]] = []
    try:
        for name, data in files.items():
            temporary = f"{_TEMPORARY}{os.getpid()}-{name}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
            written.append((temporary, name))
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        for temporary, name in written:
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
        raise


def _sweep(directory: int) -> None:
    """Remove the temporary files of processes that were killed while they wrote."""
    for name in os.listdir(directory):
        process = name[len(_TEMPORARY) :].partition("-")[0]
        if name.startswith(_TEMPORARY) and process.isdecimal() and not _lives(int(process)):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=directory)


def _lives(process: int) -> bool:
    if process == os.getpid():
        return False  # an earlier process with this id left the file
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True
