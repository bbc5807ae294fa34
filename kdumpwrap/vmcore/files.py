"""The files that crash(8) needs for one dump: the vmcore, the vmlinux of its kernel, its modules."""

import os
import struct
from pathlib import Path
from typing import Callable, Collection, Dict, List, NamedTuple, Optional, Tuple

from kdumpwrap import debuginfo, shell
from kdumpwrap.crashdir import crashfile
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError, NoCrash, ToolFailed
from kdumpwrap.log import header
from kdumpwrap.model.crash import Crash
from kdumpwrap.tools import binutils, crash_program, unpack
from kdumpwrap.tools.argv import is_word
from kdumpwrap.tools.modules import open_module

_ET_CORE = 4
_END_OF_LOG = 1 << 18  # bytes in which the last report stands


class Subject(NamedTuple):
    """The dump, its vmlinux, and the program crash that reads them."""

    tool: str
    vmlinux: Path
    vmcore: Path
    release: Optional[str]  # of the kernel in the dump


class ModuleFile(NamedTuple):
    """A file with the debug information of a loaded module."""

    name: str
    path: Path


def subject(crash: Crash, search: Search) -> Subject:
    """The files for ``crash`` and the program, which is $CRASH or ``crash``.

    Raises KdumpwrapError when one is missing, or the vmcore plainly is no dump.
    """
    if crash.vmcore is None:
        raise NoCrash(f"{crash.path}: no vmcore here", shell.hint("kdumpwrap list"))
    _look(crash.vmcore)
    tool = os.environ.get("CRASH") or "crash"
    vmcore = Path(crash.vmcore).absolute()
    try:
        release = crash_program.osrelease(tool, vmcore)
    except ToolFailed:
        release = None
    release = release or release_of(crash)
    if release is None and search.vmlinux is None:
        raise KdumpwrapError(
            f"{crash.vmcore} does not tell its kernel's release", shell.hint("name its vmlinux with --vmlinux FILE")
        )
    return Subject(tool, debuginfo.vmlinux(release, search, vmcore.parent).absolute(), vmcore, release)


class ModuleFiles:
    """Finds the debug information of modules; compressed files are unpacked into ``directory``."""

    def __init__(
        self,
        release: Optional[str],
        search: Search,
        beside: Optional[Path],
        directory: Path,
        expected: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """``expected`` gives the modules that crash will most likely list, as far as they are known before it runs."""
        self.expected = expected
        self._release = release
        self._search = search
        self._beside = beside
        self._directory = directory
        self._known: Dict[str, Optional[ModuleFile]] = {}

    def find(self, names: Collection[str]) -> Tuple[ModuleFile, ...]:
        """A file with lines for each of ``names`` that has one, in the order given.

        A name that crash's command line could take for anything else, as it does a ``|``, has none.
        """
        names = [name for name in names if is_word(name)]
        new = [name for name in names if name not in self._known]
        tools = binutils.toolset(None)
        for name, paths in debuginfo.modules(new, self._release, self._search, self._beside).items():
            try:
                module, _ = open_module(tools, name, [path for path in paths if self._worth(path)], self._directory)
            except KdumpwrapError:  # no readelf
                module = None
            self._known[name] = ModuleFile(name, module.lines) if module and module.lines else None
        found: List[Optional[ModuleFile]] = [self._known.get(name) for name in names]
        return tuple(one for one in found if one is not None)

    def _worth(self, path: Path) -> bool:
        """Distributions pack modules without debug information: only what the user named is unpacked."""
        return not debuginfo.is_compressed(path) or any(
            directory in path.parents for directory in self._search.module_dirs
        )


def linked_in(crash: Crash) -> Tuple[str, ...]:
    """The modules in the last "Modules linked in:" of the log beside a vmcore, a guess; () without one."""
    try:
        end = crashfile.tail(crash.dmesg, _END_OF_LOG) if crash.dmesg else b""
    except KdumpwrapError:
        return ()
    # [  129.011] Modules linked in: xt_nat(OE) dm_mod ipr(+) [last unloaded: amifldrv_mod]
    _, mark, rest = end.rpartition(b"Modules linked in:")
    listed = header.modules((mark + rest.partition(b"\n")[0]).decode("ascii", "replace")) if mark else None
    return tuple(module.name for module in listed or ())


def _look(vmcore: str) -> None:
    """Raises KdumpwrapError for a file that crash would not read as a dump.

    crash takes an ELF file that is no core for a second vmlinux, and then opens the memory of the running kernel.
    """
    head = crashfile.head(vmcore, 20)
    form = unpack.by_name(Path(vmcore))
    if form is not None:
        hint = shell.hint("{} -dk {}", form.tool, vmcore)
        raise KdumpwrapError(f"{vmcore} is compressed as a whole, which crash cannot read", hint)
    if not head:
        raise KdumpwrapError(f"{vmcore} is not a kernel dump: it is empty", shell.hint("kdumpwrap doctor"))
    if head.startswith(b"\x7fELF") and len(head) == 20:
        (kind,) = struct.unpack("<H" if head[5] == 1 else ">H", head[16:18])
        if kind != _ET_CORE:
            raise KdumpwrapError(
                f"{vmcore} is not a kernel dump, but an ELF file of another kind", shell.hint("kdumpwrap list")
            )
