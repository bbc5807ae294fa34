"""The vmlinux of a release, found and opened: readelf and nm are at work while the rest of the package is loaded."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import List, NamedTuple, Optional

from kdumpwrap import debuginfo, shell
from kdumpwrap.crashdir import crashfile
from kdumpwrap.debuginfo import Debuginfod, Search
from kdumpwrap.errors import KdumpwrapError, ToolTold
from kdumpwrap.host import memory
from kdumpwrap.host import release as releases
from kdumpwrap.model.command import Command
from kdumpwrap.parse.readelf import Elf
from kdumpwrap.symbolize.pool import Job, Pool
from kdumpwrap.tools import binutils
from kdumpwrap.tools.binutils import Toolset
from kdumpwrap.tools.recording import Recording

_TIGHT = 1 << 30  # bytes of available memory below which the tools run one after the other
_SOON = 1.0  # seconds within which a thread begins


class Vmlinux(NamedTuple):
    """A vmlinux that has been opened, before its functions are looked up."""

    path: Path
    tools: Toolset
    elf: Elf
    nm: bytes


def open_vmlinux(
    release: Optional[str],
    search: Search,
    beside: Optional[Path],
    begun: "Optional[Begun]" = None,
) -> Vmlinux:
    """The vmlinux of ``release`` with its symbol table; ``begun`` is a run of nm that reads it already.

    Raises KdumpwrapError when there is none, or the file is no vmlinux with symbols.
    """
    try:
        path = debuginfo.vmlinux(release, search, beside)
    except KdumpwrapError as absent:
        if search.debuginfod is None or search.vmlinux is not None:
            raise
        path = _fetched(search.debuginfod, search.build_id(), absent)
    try:
        elf = binutils.elf(binutils.toolset(None), path)
    except ToolTold as error:
        raise ToolTold(error.message, debuginfo.installing(release)) from None
    if elf is None:
        what = f"{'a vmlinuz' if _boots(path) else 'not an ELF file'}; a vmlinux with debug information is needed"
        raise KdumpwrapError(f"{path}: {what}", debuginfo.installing(release))
    if not elf.has_symbols:
        raise KdumpwrapError(f"{path}: stripped of its symbols", debuginfo.installing(release))
    tools = binutils.toolset(elf.machine)
    text = begun.nm.result() if begun is not None and (begun.path, begun.tools) == (path, tools) else None
    return Vmlinux(path, tools, elf, binutils.symbols(tools, path, elf, text))


def _fetched(client: Debuginfod, build_id: Optional[str], absent: KdumpwrapError) -> Path:
    """A vmlinux from a debuginfod server. Raises KdumpwrapError with the message of ``absent`` and the server's."""
    from kdumpwrap.tools import debuginfod

    if build_id is None:
        reason = "debuginfod needs a build id, which only the VMCOREINFO of a vmcore tells (kernels since 5.9)"
        raise KdumpwrapError(f"{absent.message}; {reason}", absent.hint)
    try:
        return debuginfod.fetch(build_id, "debuginfo", client)
    except KdumpwrapError as error:
        raise KdumpwrapError(f"{absent.message}; {error.message}", shell.either([absent.hint, error.hint])) from None


def _boots(path: Path) -> bool:
    """Whether it is a kernel to boot: x86's has "HdrS" at 0x202 (Documentation/x86/boot.rst), others are PE or gzip."""
    head = crashfile.head(str(path.resolve()), 0x206)
    return head[0x202:] == b"HdrS" or head[:2] in (b"MZ", b"\x1f\x8b")


class Begun(NamedTuple):
    """A run of nm on a file that readelf has not yet identified as a vmlinux of this machine."""

    path: Path
    tools: Toolset
    nm: Job[bytes]


class Opening(NamedTuple):
    """A vmlinux that is being opened, in the pool in which all tools run."""

    pool: Pool
    vmlinux: Job[Vmlinux]


class _Foreseen(Recording):
    """A run of nm from before the command line is read, and the recording of its command."""

    def __init__(self, release: Optional[str], search: Search, beside: Optional[Path]) -> None:
        super().__init__()
        self._noted = threading.Event()
        self.pool = pool()
        with self:
            self.begun = _begun(release, search, beside, self.pool)
            if self.begun is not None:
                self._noted.wait(_SOON)

    def add(self, entry: List[Command]) -> None:
        super().add(entry)
        self._noted.set()


_foreseen: List[_Foreseen] = []  # one at most, until ``begin`` uses or drops it


def pool() -> Pool:
    """The pool in which the tools for one kernel run: as many side by side as the memory allows."""
    return Pool(1 if memory.unused() < _TIGHT else 4)


def foresee(release: Optional[str], search: Search, beside: Optional[Path]) -> None:
    """Start nm on the vmlinux that ``begin`` is likely to be asked for, if it is here."""
    _foreseen.append(_Foreseen(release, search, beside))


def foreseen() -> bool:
    """Whether nm is at work already on what ``foresee`` was told."""
    return any(one.begun is not None for one in _foreseen)


def begin(
    release: Optional[str],
    search: Search,
    beside: Optional[Path] = None,
) -> Opening:
    """Start to open the vmlinux of ``release``; see ``open_vmlinux``."""
    early = _foreseen.pop() if _foreseen else None
    if early is not None and early.begun is not None and early.begun.path == _path(release, search, beside):
        early.retell()
        tools = early.pool
        begun: Optional[Begun] = early.begun
    else:
        tools = pool()
        begun = _begun(release, search, beside, tools)
    return Opening(tools, tools.submit(open_vmlinux, release, search, beside, begun))


def _begun(release: Optional[str], search: Search, beside: Optional[Path], tools: Pool) -> Optional[Begun]:
    path = _path(release, search, beside)
    if path is None or releases.machine(release or "") not in (None, os.uname().machine):
        return None
    native = binutils.toolset(None)
    return Begun(path, native, tools.submit(binutils.nm_sorted, native, path))


def _path(release: Optional[str], search: Search, beside: Optional[Path]) -> Optional[Path]:
    """The path of the vmlinux; None when it is not here: ``open_vmlinux`` then fetches it or raises."""
    with suppress(KdumpwrapError):
        return debuginfo.vmlinux(release, search, beside)
    return None
