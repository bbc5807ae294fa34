"""nm, addr2line, objdump and readelf: each call starts one process for any number of addresses."""

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Dict, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.arch import table
from kdumpwrap.errors import KdumpwrapError, ToolFailed, ToolMissing, ToolStopped, ToolTold
from kdumpwrap.parse import readelf
from kdumpwrap.parse.readelf import Elf, Span
from kdumpwrap.shell import Hint
from kdumpwrap.tools import elfutils
from kdumpwrap.tools.argv import Argument, option, options, word
from kdumpwrap.tools.run import Output, run

if TYPE_CHECKING:
    from kdumpwrap.model.kernel import Instruction, Location, Symbol
    from kdumpwrap.parse.patches import Patches

# The parsers are imported where their text has arrived: nm must start before anything else is loaded.


class Toolset(NamedTuple):
    """The programs for the files of one machine."""

    nm: str
    addr2line: str
    objdump: str
    readelf: str
    arch: str  # as uname -m says it
    relocates: bool = True  # addr2line can be trusted with a module (relocatable file) of this machine
    disassembles: bool = True
    eu_addr2line: Optional[str] = None  # elfutils' for files of any machine, where it is to be asked before addr2line
    format: Optional[str] = None  # what nm, unless it was named, calls this machine's files


def toolset(arch: Optional[str]) -> Toolset:
    """The programs for files of ``arch``: those the environment names, else native ones, a cross set, LLVM's objdump.

    NM, OBJDUMP, ADDR2LINE, READELF, CROSS_COMPILE are those of the kernel's Makefiles. nm, readelf, eu-addr2line and,
    of a vmlinux, addr2line answer for any machine; addr2line on a foreign module and any foreign code need tools made
    for that machine.
    """
    host = os.uname().machine
    arch = arch or host
    prefix = os.environ.get("CROSS_COMPILE", "")
    cross = table.of(arch).binutils
    if arch != host and not prefix and cross and shutil.which(cross + "objdump"):
        prefix = cross
    named = {tool: os.environ.get(tool.upper()) for tool in ("nm", "addr2line", "objdump", "readelf")}
    eu_addr2line = elfutils.addr2line()
    if eu_addr2line == named["addr2line"]:
        named["addr2line"] = None  # the tool that is asked second must be another one
    native = arch == host or bool(prefix) or _knows(arch)
    objdump_here = prefix + "objdump" if native else _llvm_objdump()
    return Toolset(
        nm=named["nm"] or prefix + "nm",
        addr2line=named["addr2line"] or prefix + "addr2line",
        objdump=named["objdump"] or objdump_here or "objdump",
        readelf=named["readelf"] or (prefix + "readelf" if prefix and shutil.which(prefix + "readelf") else "readelf"),
        arch=arch,
        relocates=native or named["addr2line"] is not None,
        disassembles=objdump_here is not None or named["objdump"] is not None,
        eu_addr2line=eu_addr2line,
        format=table.of(arch).bfd if native and named["nm"] is None else None,
    )


def _knows(arch: str) -> bool:
    """Whether objdump of this host was built for ``arch`` too (binutils-multiarch), as ``objdump -i`` lists."""
    try:
        return (table.of(arch).bfd or arch) in run("objdump", options("-i")).text
    except ToolStopped:
        raise
    except KdumpwrapError:
        return False


def _llvm_objdump() -> Optional[str]:
    """The newest llvm-objdump on PATH: it disassembles every machine. Debian calls it llvm-objdump-14."""
    found: Dict[int, str] = {}
    for directory in os.get_exec_path():
        for path in Path(directory).glob("llvm-objdump*"):
            match = re.fullmatch(r"llvm-objdump(?:-(\d+))?", path.name)
            if match:
                found.setdefault(int(match[1] or 1000), path.name)
    return found[max(found)] if found else None


def elf(tools: Toolset, path: Path) -> Optional[Elf]:
    """The header and sections of the ELF file ``path``; None when it is no ELF file (a vmlinuz, a text)."""
    try:
        output = run(tools.readelf, [*options("-W -h -n -S"), path])
    except ToolMissing:
        raise
    except ToolFailed as error:
        if readelf.is_refusal(error.message):
            return None
        raise
    if not readelf.is_whole(output.text):
        raise ToolTold(f"{tools.readelf} told only a part of {path}")
    return readelf.parse(output.text)


def nm_sorted(tools: Toolset, vmlinux: Path) -> bytes:
    """The output of ``nm -n``, unchecked: for ``symbols``, once it is known that the file is one."""
    return _nm(tools, options("-n"), vmlinux).stdout


def _nm(tools: Toolset, how: Sequence[Argument], path: Path) -> Output:
    """The output of nm. ``--target`` saves 15 ms: without it nm loads the compilers' plugins to ask for the format."""
    if tools.format is not None:
        try:
            return run(tools.nm, [*how, option("--target={}", word(tools.format)), path])
        except ToolFailed as error:
            if isinstance(error, ToolStopped):
                raise
    return run(tools.nm, [*how, path])  # an nm that is not GNU's may not know --target


def symbols(tools: Toolset, vmlinux: Path, known: Optional[Elf] = None, text: Optional[bytes] = None) -> bytes:
    """The symbol table of a vmlinux, sorted by address: text for parse.nm. ``known`` is what readelf says of it.

    ``text`` is that of ``nm_sorted``, if it was asked already. Raises ToolFailed when it is not whole: a size that ends
    at a lost symbol would be wrong.
    """
    text = nm_sorted(tools, vmlinux) if text is None else text
    from kdumpwrap.parse import nm

    if not re.search(rb"^[0-9a-f]+ \S ", text, re.M):
        raise ToolFailed(f"{tools.nm} printed nothing that is known")
    if not nm.is_whole(text, known):
        rows, all_of_them = text.count(b"\n"), f" of {known.symbols}" if known and known.symbols else ""
        raise ToolFailed(f"{tools.nm} printed only {rows}{all_of_them} symbols of {vmlinux}")
    return text


class ModuleSymbols(NamedTuple):
    """The symbols of a module by nm, each with its section."""

    functions: "Tuple[Symbol, ...]"
    variables: "Tuple[Symbol, ...]"


def module_symbols(tools: Toolset, module: Path, known: Optional[Elf] = None) -> ModuleSymbols:
    """Every function and variable of a module; ``known`` is what readelf says of it. Raises ToolFailed for a part."""
    from kdumpwrap.parse import nm

    text = _nm(tools, options("-f sysv"), module).text
    if not text.endswith("\n"):
        raise ToolFailed(f"{tools.nm} stopped in the middle of a line of {module}")
    rows = len(re.findall(r"^[^|\n]+\|.*\|", text, re.M))
    if known is not None and rows < known.shared:
        raise ToolFailed(f"{tools.nm} printed only {rows} of {known.symbols} symbols of {module}")
    return ModuleSymbols(nm.parse_sections(text), nm.parse_variables(text))


def text_at(tools: Toolset, vmlinux: Path, address: int) -> str:
    """The text in the 128 bytes at ``address`` of ``vmlinux``; "" where the file has no bytes (a .debug file)."""
    window = option("--start-address={:#x}", address), option("--stop-address={:#x}", address + 128)
    # " ffffffff8211fa00 4c696e75 78207665 7273696f 6e20362e  Linux version 6."
    rows = re.findall(
        r"^ [0-9a-f]+ ((?:[0-9a-f]{2,8} ){1,4})",
        run(tools.objdump, [*options("-s"), *window, vmlinux]).text,
        re.M,
    )
    return bytes.fromhex("".join(rows).replace(" ", "")).decode("ascii", "replace")


def version(tool: str) -> Optional[str]:
    """``2.27-44.base.el7`` of "GNU addr2line version 2.27-44.base.el7"; None when the tool does not say."""
    try:
        first = run(tool, options("--version"), timeout=20).text.partition("\n")[0]
    except ToolStopped:
        raise
    except ToolFailed:
        return None
    found = re.search(r"(\d+\.\d[\w.+~-]*)\)?$", first)
    return found[1] if found else None


def locations(
    tools: Toolset, elf_file: Path, addresses: Sequence[int], section: Optional[str] = None
) -> "Dict[int, Tuple[Location, ...]]":
    """Function, file and line of each address, inlined callers included, by one addr2line; () where nothing is known.

    ``section`` is needed for a module: its sections all start at 0. An address whose answer is not there, or not whole,
    is left out. Raises ToolFailed when nothing is known of what was printed.

    The first address is asked for once more at the end: behind it, all answers are known to be whole.
    """
    from kdumpwrap.parse import addr2line

    if not addresses:
        return {}
    asked = (*addresses, addresses[0])
    within = (*options("-j"), word(section)) if section else ()
    arguments: Sequence[Argument] = (*options("-a -i -f"), *within, *options("-e"), elf_file)
    questions = "".join(f"{address:#x}\n" for address in asked).encode()
    output = run(tools.addr2line, arguments, stdin=questions)
    if not output.stdout.startswith(b"0x"):
        raise ToolFailed(f"{tools.addr2line} printed nothing that is known{_said(output.stderr)}")
    found = addr2line.parse(output.text, asked)
    return {address: found.chains.get(address, ()) for address in addresses if address not in found.missing}


def _contradicts(row: "Instruction") -> bool:
    """Whether objdump says of several bytes that they are a single one."""
    return row.text.startswith(".byte") and "," not in row.text and len(row.data) > 1


def instructions(
    tools: Toolset, elf_file: Path, start: int, stop: int, section: Optional[str] = None, spans: Sequence[Span] = ()
) -> "Tuple[Instruction, ...]":
    """The instructions from ``start`` to ``stop`` (link-time addresses); of a module with their relocations.

    With the ``spans`` of the sections, ToolFailed is raised when some are missing before the end of theirs.

    Addresses and not ``--disassemble=SYMBOL``, which binutils of el7 and el8 do not have. No ``--line-numbers``: that
    makes objdump load the debug information which addr2line has loaded already (0.5 s and 260 MB instead of 0.05 s).
    """
    from kdumpwrap.parse import objdump

    window = option("--start-address={:#x}", start), option("--stop-address={:#x}", stop)
    within = (*options("-r -j"), word(section)) if section else ()
    output = run(tools.objdump, [*options("-d"), *window, *within, elf_file])
    if objdump.unknown_architecture(output.text + output.stderr):
        raise ToolFailed(f"{tools.objdump} cannot disassemble {tools.arch}", _cross(tools.arch))
    rows = tuple(row for row in objdump.parse(output.text) if start <= row.address < stop)
    # ".byte 0x0": taken for data; of more than one byte it says something else than they do
    if all(row.text.startswith(".") for row in rows) or any(map(_contradicts, rows)):
        rows = ()
    lies = (one.stop for one in spans if section in (None, one.name) and one.start <= start < one.stop)
    end = min(stop, next(lies, start))
    # zeros, which objdump does not print; the relocations among them follow
    elided = any(line.strip() == "..." for line in output.text.rstrip().splitlines()[-4:])
    short = bool(rows) and not elided and rows[-1].address + len(rows[-1].data) < end
    if not rows or short or not output.stdout.endswith(b"\n"):
        what = f"{tools.objdump} printed {'only a part of' if rows else 'none of'} the instructions at {start:#x}"
        raise ToolFailed(f"{what} of {elf_file}")
    return rows


def patched(tools: Toolset, elf_file: Path, section: Optional[str] = None) -> "Patches":
    """The places where the kernel rewrites ``elf_file`` when it starts; of a module those in ``section``."""
    from kdumpwrap.parse import patches

    names = readelf.sections(run(tools.readelf, [*options("-W -S"), elf_file]).text)
    wanted = [option("--section={}", word(name)) for name in patches.wanted(names)]
    kinds = options("-s -r" if section else "-s")
    text = run(tools.objdump, [*kinds, *wanted, elf_file]).text if wanted else ""
    return patches.parse(text, names, tools.arch, section)


def _said(stderr: str) -> str:
    first = stderr.partition("\n")[0].strip()
    return f": {first[:300]}" if first else ""


def _cross(arch: str) -> Hint:
    from kdumpwrap.host.packages import cross_binutils

    return cross_binutils(arch)
