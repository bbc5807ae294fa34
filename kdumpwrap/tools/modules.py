"""A module as its files: which one has the code, which one the lines, unpacked where they were compressed."""

import itertools
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.debuginfo import is_compressed
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.parse.readelf import Elf
from kdumpwrap.tools import binutils, unpack
from kdumpwrap.tools.binutils import Toolset

_LARGEST = 1 << 30  # bytes of a module that is unpacked; amdgpu.ko with debug information has 0.4 GB


class Module(NamedTuple):
    """The files that answer for one module. On CentOS they are two: ``.ko.xz`` has code, ``.ko.debug`` lines."""

    name: str
    machine: Optional[str]  # as uname -m says it
    symbols: Path  # whose symbol table to read
    code: Optional[Path]  # its .text has bytes
    lines: Optional[Path]  # it has a line table
    build_id: Optional[str]
    elf: Elf  # of the file with the symbols


class Refused(NamedTuple):
    """Why a file was passed over; ``tool_failed``: a program could not read it, and a later try may succeed."""

    why: str
    tool_failed: bool = False


class _Candidate(NamedTuple):
    path: Path  # unpacked
    elf: Elf


def open_module(
    tools: Toolset,
    name: str,
    paths: Sequence[Path],
    directory: Path,
    *,
    arch: Optional[str] = None,
    build_id: Optional[str] = None,
) -> Tuple[Optional[Module], Tuple[Refused, ...]]:
    """The module made of the files ``paths``, best first, and why some were passed over.

    Compressed ones are unpacked into ``directory`` (private, removed by its owner). Files of two builds are never
    mixed; with ``build_id`` (from the log) only files of that build count, with ``arch`` only files made for it.
    """
    code: Optional[_Candidate] = None
    lines: Optional[_Candidate] = None
    refused: List[Refused] = []
    for path in paths:
        if code and lines:
            break
        if is_compressed(path) and not (code is None or lines is None):
            continue
        try:
            candidate = _read(tools, path, directory)
        except KdumpwrapError as error:
            refused.append(Refused(f"{path}: {error.message}", error.tool_failed))
            continue
        problem = _unfit(candidate, arch, build_id or _build_id(code or lines))
        if candidate is None or problem:
            refused.append(Refused(f"{path}: {problem}"))
            continue
        if lines is None and candidate.elf.has_lines:
            lines = candidate
        if code is None and candidate.elf.has_code:
            code = candidate
    best = lines or code  # symbols of a file without lines still give addresses and instructions
    if best is None:
        return None, tuple(refused)
    module = Module(
        name, best.elf.machine, best.path, code and code.path, lines and lines.path, best.elf.build_id, best.elf
    )
    return module, tuple(refused)


def _unfit(candidate: Optional[_Candidate], arch: Optional[str], build_id: Optional[str]) -> str:
    if candidate is None:
        return "not an ELF file"
    elf = candidate.elf
    if not elf.relocatable:
        return "not a kernel module"
    if arch is not None and elf.machine != arch:
        return f"made for {elf.machine}, the crash is of {arch}"
    if not elf.has_symbols:
        return "stripped of its symbols"
    if build_id and elf.build_id and elf.build_id != build_id:
        return f"another build (build id {elf.build_id}, wanted {build_id})"
    return ""


def _read(tools: Toolset, path: Path, directory: Path) -> Optional[_Candidate]:
    if is_compressed(path):
        path = unpacked(path, directory)
    elf = binutils.elf(tools, path)
    return _Candidate(path, elf) if elf else None


def unpacked(path: Path, directory: Path) -> Path:
    """``path`` without its compression, in ``directory``."""
    stem = path.name.split(".", 1)[0]
    names = (directory / f"{stem}-{number}.ko" for number in itertools.count(1))
    file = next(name for name in names if not name.exists())
    form = unpack.by_name(path)
    if form is None:
        raise KdumpwrapError(f"{path}: compressed in a way that is not known")
    unpack.unpack(path, form, file, most=_LARGEST)
    return file


def _build_id(candidate: Optional[_Candidate]) -> Optional[str]:
    return candidate.elf.build_id if candidate else None
