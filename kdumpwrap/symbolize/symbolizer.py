"""From ``symbol+offset`` to address, file and line, for the frames of many reports of one kernel.

Base + offset as in the manual workflow, but asked together: one nm for each object, whatever the number of frames,
reports or crashes. The lines are those of lines.py, the instructions those of disassembly.py.
"""

import contextlib
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple, TypeVar

from kdumpwrap import debuginfo
from kdumpwrap.debuginfo import Search
from kdumpwrap.host import packages
from kdumpwrap.host import release as releases
from kdumpwrap.log import symbolname
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.kernel import ResolvedFrame, Symbol
from kdumpwrap.model.log import Frame
from kdumpwrap.parse import nm
from kdumpwrap.symbolize import objects
from kdumpwrap.symbolize.disassembly import Disassembly
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.lines import Lines
from kdumpwrap.symbolize.maker import maker
from kdumpwrap.symbolize.objects import CodeAddress, Located, Object, lookup
from kdumpwrap.symbolize.opening import Opening, Vmlinux, open_vmlinux, pool
from kdumpwrap.symbolize.pool import Job
from kdumpwrap.tools import binutils, elfutils
from kdumpwrap.tools.run import stopped

_T = TypeVar("_T")


class Symbolizer:
    """Everything that is asked about one kernel: ``load`` the frames in question, ``place`` and ``locate`` them.

    Failures with an object are kept in ``failures`` and never raised. To be used in a ``with``.
    """

    def __init__(
        self,
        release: Optional[str],
        search: Search,
        beside: Optional[Path] = None,
        opening: Optional[Opening] = None,
    ) -> None:
        """``beside`` is where the crash lies: a vmlinux there is the last resort.

        ``opening`` is a vmlinux that is being opened with the same arguments.
        """
        self.release = release
        self.search = search
        self.vmlinux: Optional[Path] = None
        self.objects: Dict[Optional[str], Object] = {}
        self.broken = False  # an error interrupted the work: what is known may be incomplete
        self._beside = beside
        self._directory = tempfile.TemporaryDirectory(prefix="kdumpwrap-")  # for unpacked modules
        self.failures = Failures()  # of the objects: they concern every crash
        self._pool = opening.pool if opening is not None else pool()
        self._lines = Lines(self._pool, self.failures)
        self.disassembly = Disassembly(self._pool, self.objects)
        self._names: Set[str] = set()  # of functions of the vmlinux that were asked for
        self._modules: Set[str] = set()
        self._strangers: Dict[str, bool] = {}  # of a module that a log lists: whether it is flagged as out of tree
        self._opening = opening.vmlinux if opening is not None else None
        self._opened = False
        self._banner: Optional[Callable[[], str]] = None  # reads the release in the vmlinux
        self._compiled: Optional[Job[str]] = None
        self._misplaced = False  # what nm says of the vmlinux

    def __enter__(self) -> "Symbolizer":
        return self

    def again(self) -> "Symbolizer":
        """A new Symbolizer for the same kernel, with nothing loaded."""
        return type(self)(self.release, self.search, self._beside)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what still runs and remove what was unpacked."""
        if stopped():  # a thread may wait for what a signal left locked; it runs no program any more
            self._pool.close(wait=False)
            with contextlib.suppress(OSError):  # it unpacks another module
                self._directory.cleanup()
            return
        self._pool.close()
        self._directory.cleanup()

    def start(self) -> None:
        """Start nm on the vmlinux; a log can be read while it runs."""
        if self._opening is None:
            self._opening = self._pool.submit(open_vmlinux, self.release, self.search, self._beside)

    def load(
        self,
        frames: Iterable[Frame],
        arch: Optional[str] = None,
        strangers: Mapping[str, bool] = MappingProxyType({}),
        meanwhile: Optional[Callable[[], object]] = None,
        *,
        lines: bool = False,
    ) -> None:
        """Read the symbols that ``frames`` (of a crash on ``arch``) name, of all objects.

        ``strangers``: for each module in the log's list whether it is flagged as out of tree. May be called again for
        more frames; known names are not read again. With ``lines`` eu-addr2line, which takes longest, starts on the
        vmlinux before modules are looked for. ``meanwhile`` is called while it or nm runs.
        """
        self._strangers.update(strangers)
        kernel: Dict[Frame, str] = {}  # those of the vmlinux, with their names
        modules: Dict[str, Optional[str]] = {}  # with the build id that the log printed
        for frame in frames:
            if frame.module is not None:
                modules.setdefault(frame.module, frame.module_build_id)
            elif frame.symbol is not None:
                kernel[frame] = frame.symbol
        names = set(kernel.values()) - self._names
        modules = {name: build_id for name, build_id in modules.items() if name not in self._modules}
        self._names |= names
        self._modules |= set(modules)
        if names or (modules and self.release is not None):
            self.start()
        begins = lines and elfutils.addr2line() is not None
        if meanwhile is not None and not begins:
            meanwhile()
        known = self.objects.get(None)
        if known is not None and names:
            known.functions.update(nm.parse(known.nm, names))
        elif self._opening is not None and not self._opened:
            opening, self._opened = self._opening, True
            self.failures.keep(None, lambda: self._load_vmlinux(opening.result(), names, arch))
        if begins:
            self._begin_unambiguous(kernel)
        if meanwhile is not None and begins:
            meanwhile()
        refused: Dict[str, List[str]] = {}
        look = partial(debuginfo.modules, tuple(modules), self.release, self.search, self._beside, refused)
        found = (self.failures.keep(None, look) if modules else None) or {}
        jobs = [
            (name, self._pool.submit(self._load_module, name, found[name], arch, modules[name], refused.get(name, ())))
            for name in sorted(found)
        ]
        for name, job in jobs:
            self.failures.keep(name, job.result)

    def _begin_unambiguous(self, frames: Iterable[Frame]) -> None:
        """Start the look-up of frames of the vmlinux, unless a name has to be settled first: all are asked at once."""
        placed = [self.place(frame) for frame in frames]
        if not any(frame.candidates for frame in placed):
            self.begin(CodeAddress.of(frame) for frame in placed if frame.address is not None and self.fits(frame))

    def _load_vmlinux(self, opened: Vmlinux, names: Set[str], arch: Optional[str]) -> None:
        self.objects[None] = found = objects.vmlinux(opened, names, arch)
        self.vmlinux = opened.path
        if found.lines is None:
            message = f"{opened.path}: no debug information, so no lines"
            self.failures.add(None, Problem(message, debuginfo.installing(self.release)))
        banner = nm.address(found.nm, "linux_banner")
        if banner is not None:
            self._banner = partial(binutils.text_at, found.tools, opened.path, banner)

    def _load_module(
        self, name: str, paths: Sequence[Path], arch: Optional[str], build_id: Optional[str], refused: Sequence[str]
    ) -> None:
        self.objects[name], problems = objects.module(
            name,
            paths,
            Path(self._directory.name),
            arch=arch,
            build_id=build_id,
            search=self.search,
            refused=refused,
            made_by=lambda: maker(name, paths, self.release, self.search.root, self._strangers.get(name)),
        )
        for problem in problems:
            self.failures.add(name, problem)

    def symbols(self, frame: Frame) -> Tuple[Symbol, ...]:
        """The functions that have the name of ``frame``; of its size, where any has it; () for too many."""
        symbols = self._named(frame)
        if len(symbols) > nm.NAMESAKES:
            return ()
        return tuple(symbol for symbol in symbols if _fits(symbol, frame)) or symbols

    def _named(self, frame: Frame) -> Tuple[Symbol, ...]:
        found = self.objects.get(frame.module)
        return found.functions.get(frame.symbol or "", ()) if found else ()

    def fits(self, frame: Frame) -> bool:
        """False when the object has the function in another size only: it is not of the build that crashed."""
        symbols = self.symbols(frame)
        return not symbols or _fits(symbols[0], frame)

    def place(self, frame: Frame, symbols: Optional[Sequence[Symbol]] = None) -> ResolvedFrame:
        """``frame`` with its link-time address, or with ``candidates`` when several functions may be meant."""
        symbols = self.symbols(frame) if symbols is None else symbols
        offset = frame.offset or 0
        placed = ResolvedFrame.of(frame)
        if len({(symbol.address, symbol.section) for symbol in symbols}) > 1:
            return replace(placed, candidates=tuple(sorted(symbol.address + offset for symbol in symbols)))
        if not symbols:
            return placed
        placed = replace(placed, address=symbols[0].address + offset, section=symbols[0].section)
        if frame.offset != 0 or frame.exact or not self.fits(frame):
            return placed
        before = self.function(placed)
        return replace(placed, function=symbolname.plain(before.name)) if before else placed

    def begin(self, addresses: Iterable[CodeAddress]) -> None:
        """Start the look-up of addresses that ``locate`` will be asked for, before the others are known."""
        self._lines.begin(addresses, self.objects)

    def locate(self, addresses: Iterable[CodeAddress], instructions: Iterable[CodeAddress] = ()) -> Located:
        """The locations of ``addresses``, asked together, and of all that was asked before.

        For ``instructions`` only the line is looked up: their locations have no function.
        """
        self._lines.ask(addresses, self.objects, instructions)
        self._check_release()
        found = self._lines.answers()
        return {} if self.misplaced() else found

    def _check_release(self) -> None:
        """Start to read the release that is compiled into the vmlinux; the other tools take longer."""
        if self._banner is not None:
            self._compiled, self._banner = self._pool.submit(self._banner), None

    def function(self, frame: ResolvedFrame) -> Optional[Symbol]:
        """The function in which a placed ``frame`` lies: for a call that never returns the one before its symbol."""
        if frame.address is None:
            return None
        address = lookup(frame)
        for symbol in self.symbols(frame):
            own = symbol.address + (frame.offset or 0) == frame.address  # and not a namesake
            if own and symbol.section == frame.section and symbol.address <= address:
                return symbol
        return self.objects[frame.module].enclosing(frame.section, address)

    def submit(self, job: "Callable[[], _T]") -> Job[_T]:
        """``job``, run beside the other tools as the machine's memory allows."""
        return self._pool.submit(job)

    def unread(self, module: Optional[str]) -> bool:
        """Whether a tool failed to tell what symbols ``module``, or the vmlinux, has."""
        return module not in self.objects and self.failures.by_a_tool(module)

    def misplaced(self) -> bool:
        """Whether the vmlinux has other text than linux_banner at the address that nm gives: then nothing is placed."""
        self._check_release()
        if self._compiled is None:
            return self._misplaced
        text, self._compiled = self.failures.keep(None, self._compiled.result), None
        self._misplaced = bool(text) and not (text or "").startswith("Linux version ")
        compiled = releases.in_uname(text or "")
        wanted = packages.debuginfo(self.release or "")
        if self._misplaced:
            message = f"{self.vmlinux}: linux_banner is not where nm says, so no address and no line is told"
            self.failures.add(None, Problem(message, wanted, tool_failed=True, wrong_vmlinux=True))
        elif compiled is not None and self.release not in (None, compiled):
            message = f"{self.vmlinux}: the vmlinux of {compiled}, the crash is of {self.release}"
            self.failures.add(None, Problem(message, wanted, wrong_vmlinux=True))
        return self._misplaced

    def problems(self, frames: Iterable[Frame]) -> Tuple[Problem, ...]:
        """The problems of ``frames``, each once: the vmlinux first, then their modules."""
        self.misplaced()
        frames = tuple(frames)
        found = list(self.failures.of(frame.module for frame in frames if frame.module is not None))
        misfitting = [frame for frame in frames if frame.symbol and not self.fits(frame)]
        misfits = sorted({frame.symbol for frame in misfitting if frame.symbol})
        if misfits:
            many = "functions have" if len(misfits) > 1 else "function has"
            message = f"{len(misfits)} {many} another size here than in the crash, {misfits[0]} among them"
            doubtful = any(frame.module is None for frame in misfitting)
            hint = packages.debuginfo(self.release or "")
            found.append(Problem(f"{message}: not the build that crashed", hint, wrong_vmlinux=doubtful))
        for name in sorted({frame.symbol for frame in frames if frame.symbol and self._crowd(frame)}):
            found.append(Problem(f"more than {nm.NAMESAKES} functions are called {name}: none of them is taken"))
        return tuple(dict.fromkeys(found))

    def _crowd(self, frame: Frame) -> bool:
        return len(self._named(frame)) > nm.NAMESAKES


def _fits(symbol: Symbol, frame: Frame) -> bool:
    return frame.size is None or symbol.size is None or symbol.size == frame.size
