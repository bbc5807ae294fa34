"""The files that hold the code of one kernel, opened: its vmlinux and its modules, with their functions by name."""

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import debuginfo, shell
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError, WrongVmlinux
from kdumpwrap.host import needs, packages
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.kernel import Location, ResolvedFrame, Symbol
from kdumpwrap.parse import nm
from kdumpwrap.parse.readelf import Span
from kdumpwrap.symbolize.maker import Maker
from kdumpwrap.symbolize.opening import Vmlinux
from kdumpwrap.tools import binutils
from kdumpwrap.tools.binutils import Toolset
from kdumpwrap.tools.modules import Refused, open_module

if TYPE_CHECKING:
    from kdumpwrap.tools.modules import Module


class Section(NamedTuple):
    """The start that an address counts from: the vmlinux (both None), or a section of a module."""

    module: Optional[str]
    name: Optional[str]

    @classmethod
    def of(cls, frame: ResolvedFrame) -> "Section":
        """The section of a placed frame."""
        return cls(frame.module, frame.section)


class CodeAddress(NamedTuple):
    """A link-time address, to be looked up as it is."""

    section: Section
    address: int

    @classmethod
    def of(cls, frame: ResolvedFrame) -> "CodeAddress":
        """The address to ask for a placed frame."""
        return cls(Section.of(frame), lookup(frame))


Located = Dict[CodeAddress, Tuple[Location, ...]]  # innermost function first, () where it is not known


@dataclass(frozen=True)
class Object:
    """One file with code (for a module perhaps two files), and the tools for its machine."""

    tools: Toolset
    lines: Optional[Path]  # has a line table
    code: Optional[Path]  # its .text has bytes
    build_id: Optional[str]
    functions: Dict[str, Tuple[Symbol, ...]]  # a name may stand for several
    nm: bytes = field(default=b"", repr=False)  # of a vmlinux: all that nm printed
    dwarf5: bool = False
    spans: Tuple[Span, ...] = ()  # where its sections with code lie
    variables: Tuple[Symbol, ...] = field(default=(), repr=False)  # of a module
    # of a module, once it was asked: the first function at each address of a section, and these addresses
    _sections: Dict[Optional[str], Dict[int, Symbol]] = field(default_factory=dict, repr=False, compare=False)
    _starts: Dict[Optional[str], List[int]] = field(default_factory=dict, repr=False, compare=False)

    def enclosing(self, section: Optional[str], address: int) -> Optional[Symbol]:
        """The function that contains ``address``."""
        if self.nm:
            return nm.enclosing(self.nm, address)
        if not self._starts:
            sections: Dict[Optional[str], Dict[int, Symbol]] = {}
            for symbol in (one for symbols in self.functions.values() for one in symbols):
                sections.setdefault(symbol.section, {}).setdefault(symbol.address, symbol)
            self._sections.update(sections)  # first, and each at once: another thread may ask meanwhile
            self._starts.update({name: sorted(symbols) for name, symbols in sections.items()})
        starts = self._starts.get(section, [])
        at = bisect_right(starts, address)
        return self._sections[section][starts[at - 1]] if at else None


def vmlinux(opened: Vmlinux, names: Collection[str], arch: Optional[str]) -> Object:
    """The functions called ``names`` of a vmlinux. Raises KdumpwrapError when it was made for another ``arch``."""
    path, tools, elf, text = opened
    if arch is not None and elf.machine != arch:
        raise WrongVmlinux(f"{path}: made for {elf.machine}, the crash is of {arch}")
    lines = path if elf.has_lines else None
    return Object(tools, lines, path, elf.build_id, nm.parse(text, names), text, elf.dwarf5, elf.spans)


def module(
    name: str,
    paths: Sequence[Path],
    directory: Path,
    *,
    arch: Optional[str],
    build_id: Optional[str],
    search: Search,
    refused: Sequence[str],
    made_by: Callable[[], Maker],
) -> Tuple[Object, Tuple[Problem, ...]]:
    """The module ``name`` from the files ``paths``, best first, and the problems with it.

    Compressed files are unpacked into ``directory``; ``refused`` names files that may not be opened. Files that are
    missing are looked up by build id in ``search``; ``made_by`` gives the maker of a module that stays incomplete.
    Raises KdumpwrapError when no file fits.
    """
    tools = binutils.toolset(None)
    found, unfit = open_module(tools, name, paths, directory, arch=arch, build_id=build_id)
    if found is None or found.lines is None:
        more, why_not = _by_build_id(build_id or (found.build_id if found else None), found, search)
        if more:
            found, unfit = open_module(tools, name, (*more, *paths), directory, arch=arch, build_id=build_id)
        unfit += why_not
    if found is None:
        maker = made_by()
        why = "; ".join((*((maker.origin,) if maker.origin else ()), *refused, *(one.why for one in unfit)))
        raise KdumpwrapError(
            f"no debuginfo for the module {name}{f' ({why})' if why else ''}",
            maker.hint,
            tool_failed=maker.tool_failed or any(one.tool_failed for one in unfit),
        )
    tools = binutils.toolset(found.machine)
    problems = [Problem(one.why, tool_failed=True) for one in unfit if one.tool_failed]
    if found.lines is None:
        maker = made_by()
        origin = f" ({maker.origin})" if maker.origin else ""
        problems.append(
            Problem(f"no debug information for the module {name}, so no lines{origin}", maker.hint, maker.tool_failed)
        )
    elif not tools.relocates and tools.eu_addr2line is None:
        message = f"no addr2line here can read modules of {tools.arch}"
        problems.append(Problem(message, packages.install("elfutils")))
    functions: Dict[str, List[Symbol]] = {}
    symbols = binutils.module_symbols(tools, found.symbols, found.elf)
    for symbol in symbols.functions:
        functions.setdefault(symbol.name, []).append(symbol)
    named = {function: tuple(symbols) for function, symbols in functions.items()}
    spans = found.elf.spans if found.symbols == found.code else ()
    return Object(
        tools, found.lines, found.code, found.build_id, named, spans=spans, variables=symbols.variables
    ), tuple(problems)


def _by_build_id(
    build_id: Optional[str], found: "Optional[Module]", search: Search
) -> Tuple[Tuple[Path, ...], Tuple[Refused, ...]]:
    """The files of a module from the links by build id or a debuginfod server, and the reasons why others failed."""
    files = list(debuginfo.by_build_id(build_id, search)) if build_id else []
    if files or search.debuginfod is None:
        return tuple(files), ()
    if build_id is None:
        return (), (Refused("debuginfod needs a build id, which neither the log nor an installed module tells"),)
    from kdumpwrap.tools import debuginfod

    refused: List[Refused] = []
    wanted: Tuple[debuginfod.Sought, ...] = ("debuginfo", "executable")
    for what in wanted[:1] if found is not None and found.code is not None else wanted:
        try:
            files.append(debuginfod.fetch(build_id, what, search.debuginfod))
        except KdumpwrapError as error:
            refused.append(Refused(error.message, error.tool_failed))
    return tuple(files), tuple(refused)


def blind(found: Object) -> Optional[Problem]:
    """The problem that binutils is too old for the line table of ``found`` (DWARF 5); None when it is not."""
    if not found.dwarf5:
        return None
    tool, least = found.tools.addr2line, needs.DWARF5.version
    version = binutils.version(tool) or ""
    if not needs.older(version, least):
        return None
    message = (
        f"{tool} {version} cannot read the DWARF 5 of {found.lines}, so no lines; binutils {least} can, and elfutils"
    )
    elfutils = packages.install("elfutils") if found.tools.eu_addr2line is None else shell.NONE
    return Problem(message, shell.either([elfutils, packages.newer_binutils()]))


def lookup(frame: ResolvedFrame) -> int:
    """The address to look up: one byte before a return address, which lies behind its call; 0 for an unplaced frame."""
    address = frame.address or 0
    return address if frame.exact else max(address - 1, 0)
