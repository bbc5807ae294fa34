"""From ``symbol+offset`` to file, line and instructions, for the frames of many reports of one kernel.

Base + offset as in the manual workflow, but asked together: one nm and one addr2line for each object, whatever the
number of frames, reports or crashes.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple, TypeVar

from kdumpwrap import debuginfo, packages
from kdumpwrap.debuginfo import Places
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model import Frame, Instruction, Location, Problem, Symbol
from kdumpwrap.parse import nm
from kdumpwrap.parse.alternatives import Site
from kdumpwrap.tools import binutils
from kdumpwrap.tools.modules import open_module

_T = TypeVar("_T")
_Lines = Dict[int, Tuple[Location, ...]]
_Part = Tuple[Optional[str], Optional[str]]  # an object's name (None: the vmlinux) and, in a module, the section

_CHUNK = 2000  # addresses for one addr2line: more would cost it over 1 GB on a 600 MB vmlinux
_TIGHT = 1 << 30  # bytes of available memory below which the tools run one after the other
_LAST = 4096  # bytes to disassemble of a function whose end is not known


@dataclass(frozen=True)
class Object:
    """One file with code, the vmlinux or a module, and its functions by name."""

    lines: Optional[Path]
    code: Optional[Path]
    build_id: Optional[str]
    functions: Dict[str, Tuple[Symbol, ...]]
    nm: bytes = field(default=b"", repr=False)  # of a vmlinux: all that nm printed


class Symbolizer:
    """Everything that is asked about one kernel: ``load`` the frames in question, ``place`` and ``locate`` them.

    What cannot be done is kept as a problem of the object it concerns, and never raised.
    """

    def __init__(
        self,
        release: Optional[str],
        arch: Optional[str],
        places: Places,
        directory: Path,
        beside: Optional[Path] = None,
    ) -> None:
        """``directory`` is a private one for unpacked modules; ``beside`` is where the crash lies."""
        self.release = release
        self.arch = arch
        self.places = places
        self.vmlinux: Optional[Path] = None
        self.tools = binutils.toolset(arch)
        self.objects: Dict[Optional[str], Object] = {}
        self._beside = beside
        self._directory = directory
        self._problems: Dict[Optional[str], List[Problem]] = {}
        self._disassembled: Dict[Tuple[_Part, int, int], Future[Tuple[Instruction, ...]]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1 if memory_available() < _TIGHT else 4)
        self._compiled: Optional[Future[Optional[str]]] = None

    # ------------------------------------------------------------ symbols

    def load(self, frames: Iterable[Frame]) -> None:
        """Read the symbols that ``frames`` name: one nm for the vmlinux and one for each module, side by side."""
        names: Set[str] = set()
        modules: Dict[str, Optional[str]] = {}  # with the build id that the log printed
        for frame in frames:
            if frame.module is not None:
                modules.setdefault(frame.module, frame.module_build_id)
            elif frame.symbol is not None:
                names.add(frame.symbol)
        jobs: List[Tuple[Optional[str], Future[None]]] = [(None, self._pool.submit(self._load_vmlinux, names))]
        found = debuginfo.modules(tuple(modules), self.release, self.places, self._beside) if modules else {}
        for name, build_id in sorted(modules.items()):
            jobs.append((name, self._pool.submit(self._load_module, name, found[name], build_id)))
        for key, job in jobs:
            self.keep(key, job.result)

    def _load_vmlinux(self, names: Set[str]) -> None:
        path = debuginfo.vmlinux(self.release, self.places, self._beside)
        wanted = packages.debuginfo(self.release) if self.release else ""
        elf = binutils.elf(self.tools, path)
        if elf is None:
            raise KdumpwrapError(f"{path}: not an ELF file; a vmlinux with debug information is needed", wanted)
        if self.arch and elf.machine != self.arch:
            raise KdumpwrapError(f"{path}: made for {elf.machine}, the crash is of {self.arch}", wanted)
        if not elf.has_symbols:
            raise KdumpwrapError(f"{path}: stripped of its symbols", wanted)
        table = binutils.symbols(self.tools, path, names)
        self.vmlinux = path
        lines = path if elf.has_lines else None
        self.objects[None] = Object(lines, path, elf.build_id, table.functions, table.text)
        if lines is None:
            self._problem(None, Problem(f"{path}: no debug information, so no lines", wanted))
        if table.banner is not None and self.release is not None:
            self._compiled = self._pool.submit(binutils.release, self.tools, path, table.banner)

    def _load_module(self, name: str, paths: Sequence[Path], build_id: Optional[str]) -> None:
        hint = f"--module-dir DIR, where DIR holds {name}.ko built with -g, from its maker"
        module, refused = open_module(self.tools, name, paths, self._directory, build_id)
        if module is None:
            why = f" ({'; '.join(refused)})" if refused else ""
            raise KdumpwrapError(f"no debuginfo for the module {name}{why}", hint)
        if module.lines is None:
            self._problem(name, Problem(f"{module.symbols}: no debug information, so no lines", hint))
        functions: Dict[str, Tuple[Symbol, ...]] = {}
        for symbol in binutils.module_symbols(self.tools, module.symbols):
            functions[symbol.name] = (*functions.get(symbol.name, ()), symbol)
        self.objects[name] = Object(module.lines, module.code, module.build_id, functions)

    def symbols(self, frame: Frame) -> Tuple[Symbol, ...]:
        """The functions that have the name of ``frame``; of its size, where any has it."""
        found = self.objects.get(frame.module)
        symbols = found.functions.get(frame.symbol or "", ()) if found else ()
        return tuple(symbol for symbol in symbols if _fits(symbol, frame)) or symbols

    def fits(self, frame: Frame) -> bool:
        """False when the object has the function in another size only: it is not of the build that crashed."""
        symbols = self.symbols(frame)
        return not symbols or _fits(symbols[0], frame)

    # ------------------------------------------------------------ addresses and lines

    def place(self, frame: Frame, symbols: Optional[Sequence[Symbol]] = None) -> Frame:
        """``frame`` with its link-time address, or with ``candidates`` when several functions may be meant."""
        symbols = self.symbols(frame) if symbols is None else symbols
        offset = frame.offset or 0
        if len({(symbol.address, symbol.section) for symbol in symbols}) > 1:
            return replace(frame, candidates=tuple(sorted(symbol.address + offset for symbol in symbols)))
        if not symbols:
            return frame
        return replace(frame, address=symbols[0].address + offset, section=symbols[0].section)

    def locate(self, frames: Iterable[Frame]) -> Dict[Frame, Tuple[Location, ...]]:
        """The locations of placed frames, by one addr2line for each object (and section of a module)."""
        wanted = [frame for frame in frames if frame.address is not None and self.fits(frame)]
        asked: Dict[_Part, Set[int]] = {}
        for frame in wanted:
            asked.setdefault((frame.module, frame.section), set()).add(lookup(frame))
        jobs: List[Tuple[_Part, Future[_Lines]]] = []
        for part, addresses in asked.items():
            found = self.objects[part[0]]
            if found.lines is None or not self._relocates(part[0]):
                continue
            ordered = sorted(addresses)
            for start in range(0, len(ordered), _CHUNK):
                chunk = ordered[start : start + _CHUNK]
                jobs.append((part, self._pool.submit(binutils.locations, self.tools, found.lines, chunk, part[1])))
        lines: Dict[_Part, _Lines] = {}
        for part, job in jobs:
            lines.setdefault(part, {}).update(self.keep(part[0], job.result) or {})
        return {frame: lines.get((frame.module, frame.section), {}).get(lookup(frame), ()) for frame in wanted}

    def _relocates(self, module: Optional[str]) -> bool:
        if module is None or self.tools.relocates:
            return True
        arch = self.tools.arch
        self._problem(module, Problem(f"no addr2line here can read modules of {arch}", packages.cross_binutils(arch)))
        return False

    # ------------------------------------------------------------ instructions

    def function(self, frame: Frame) -> Optional[Symbol]:
        """The function in which a placed ``frame`` lies: for a call that never returns the one before its symbol."""
        if frame.address is None:
            return None
        address = lookup(frame)
        for symbol in self.symbols(frame):
            if symbol.section == frame.section and symbol.address <= address:
                return symbol
        return self.enclosing(frame, address)

    def enclosing(self, frame: Frame, address: int) -> Optional[Symbol]:
        """The function that contains ``address``, in the object (and section) of ``frame``."""
        found = self.objects[frame.module]
        if frame.module is None:
            return nm.enclosing(found.nm, address)
        before = [
            symbol
            for symbols in found.functions.values()
            for symbol in symbols
            if symbol.section == frame.section and symbol.address <= address
        ]
        return max(before, key=lambda symbol: symbol.address, default=None)

    @staticmethod
    def extent(function: Symbol) -> Tuple[int, int]:
        """First address and end of ``function``."""
        return function.address, function.address + (function.size or _LAST)

    def disassemble(self, frame: Frame, start: int, stop: int) -> "Future[Tuple[Instruction, ...]]":
        """The instructions from ``start`` to ``stop`` in the object of ``frame``; the same is asked only once."""
        part = (frame.module, frame.section)
        with self._lock:
            key = (part, start, stop)
            if key not in self._disassembled:
                self._disassembled[key] = self._pool.submit(self._disassemble, part, start, stop)
            return self._disassembled[key]

    def _disassemble(self, part: _Part, start: int, stop: int) -> Tuple[Instruction, ...]:
        path = self.objects[part[0]].code
        if path is None:
            return ()
        if not self.tools.disassembles:
            arch = self.tools.arch
            raise KdumpwrapError(f"no objdump here can disassemble {arch}", packages.cross_binutils(arch))
        return binutils.instructions(self.tools, path, start, stop, part[1])

    def alternatives(self, frame: Frame) -> Tuple[Site, ...]:
        """Where the kernel swaps instructions when it starts, in the object (and section) of ``frame``."""
        path = self.objects[frame.module].code
        job = self._pool.submit(binutils.alternatives, self.tools, path, frame.section) if path else None
        return (self.keep(frame.module, job.result) or ()) if job else ()

    # ------------------------------------------------------------ what went wrong

    def keep(self, key: Optional[str], job: Callable[[], _T]) -> Optional[_T]:
        """The result of ``job``; None, and a problem of the object ``key``, when a file or a tool failed."""
        try:
            return job()
        except KdumpwrapError as error:
            self._problem(key, Problem(error.message, error.hint))
            return None

    def problems(self, frames: Iterable[Frame]) -> Tuple[Problem, ...]:
        """What could not be done for ``frames``, each thing once: the vmlinux first, then their modules."""
        if self._compiled is not None:
            compiled, self._compiled = self.keep(None, self._compiled.result), None
            if compiled is not None and compiled != self.release:
                message = f"{self.vmlinux}: the vmlinux of {compiled}, the crash is of {self.release}"
                self._problem(None, Problem(message, packages.debuginfo(self.release or "")))
        frames = tuple(frames)
        found = list(self._problems.get(None, ()))
        for name in sorted({frame.module for frame in frames if frame.module is not None}):
            found += sorted(self._problems.get(name, ()))
        misfits = sorted({frame.symbol for frame in frames if frame.symbol and not self.fits(frame)})
        if misfits:
            message = f"{len(misfits)} functions have another size here than in the crash, {misfits[0]} among them"
            found.append(Problem(f"{message}: not the build that crashed", packages.debuginfo(self.release or "")))
        return tuple(dict.fromkeys(found))

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown()

    def _problem(self, key: Optional[str], problem: Problem) -> None:
        with self._lock:
            self._problems.setdefault(key, []).append(problem)


def lookup(frame: Frame) -> int:
    """The address to ask for: a return address lies behind its call, so one byte earlier; an unplaced frame's is 0."""
    address = frame.address or 0
    return address if frame.exact else max(address - 1, 0)


def memory_available() -> int:
    """MemAvailable of /proc/meminfo in bytes; a large number where that cannot be read."""
    try:
        text = Path("/proc/meminfo").read_text("ascii", "replace")
        return int(text.partition("MemAvailable:")[2].split()[0]) << 10
    except (OSError, ValueError, IndexError):
        return 1 << 40


def _fits(symbol: Symbol, frame: Frame) -> bool:
    return frame.size is None or symbol.size is None or symbol.size == frame.size
