"""The values that a kernel's files give: symbols, instructions, source, and the Resolution of a report.

Addresses, offsets and sizes are ``int`` until a renderer writes them; what is unknown is ``None``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.model.log import Frame, Report

CheckResult = Literal["match", "patched", "mismatch", "unchecked"]


class Kernel(NamedTuple):
    """The kernel that crashed, and its vmlinux."""

    release: Optional[str] = None
    arch: Optional[str] = None
    vmlinux: Optional[str] = None
    build_id: Optional[str] = None
    kaslr_offset: Optional[int] = None


class Location(NamedTuple):
    """The function, file and line of an address. An unknown part is ``None``."""

    function: Optional[str]
    file: Optional[str]  # as the debug information gives it, "/./" folded away
    line: Optional[int]
    column: Optional[int] = None  # byte of that line, from 1, at which the expression begins


class Symbol(NamedTuple):
    """One line of nm. ``section`` is None in a vmlinux, whose addresses are unique."""

    name: str
    address: int
    size: Optional[int]  # bytes to the next symbol of the section; None for the last
    section: Optional[str] = None


class Relocation(NamedTuple):
    """A field of an instruction that the module loader fills in: ``71: R_X86_64_PLT32 __fentry__-0x4``."""

    address: int
    type: str
    target: str


class Instruction(NamedTuple):
    """One disassembled instruction."""

    address: int
    data: bytes  # in memory order
    text: str  # mnemonic and operands as objdump prints them, single blanks, without its "# comment"
    file: Optional[str] = None
    line: Optional[int] = None
    fault: bool = False
    comment: Optional[str] = None  # what objdump prints behind "#": "19168 <this_cpu_off>"
    relocations: Tuple[Relocation, ...] = ()  # of a module


class Source(NamedTuple):
    """Some lines of a source file, the faulting one among them."""

    file: str  # as the debug information names it
    path: Path  # where it was found
    first: int  # number of the first of `lines`
    lines: Tuple[str, ...]
    fault_line: int
    fault_column: Optional[int] = None  # character of that line, from 1, at which the faulting expression begins

    @property
    def numbers(self) -> range:
        """The numbers of the lines."""
        return range(self.first, self.first + len(self.lines))


@dataclass(frozen=True)
class ResolvedFrame(Frame):
    """A frame of the log, and its place in the files of the kernel. A field that they do not tell keeps its default."""

    address: Optional[int] = None  # link-time address of symbol+offset; section-relative in a module
    section: Optional[str] = None  # the module's section that `address` counts from
    function: Optional[str] = None  # of a return address ``f+0x0``: the function before f, by the symbol table
    locations: Tuple[Location, ...] = ()  # innermost inlined function first, the function itself last
    candidates: Tuple[int, ...] = ()  # possible addresses, only while the symbol stays ambiguous
    candidate_locations: Tuple[Tuple[Location, ...], ...] = ()  # of each candidate, as `locations`

    @classmethod
    def of(cls, frame: Frame) -> "ResolvedFrame":
        """``frame`` as the log gives it, without a place in the files."""
        return cls(**vars(frame))


class CodeCheck(NamedTuple):
    """The result of comparing the log's code bytes with the file's."""

    result: CheckResult
    detail: Optional[str] = None  # what the comparison found, in words


UNCHECKED = CodeCheck("unchecked")


class Resolution(NamedTuple):
    """A report, with the addresses, lines, instructions and source that the files of the kernel give."""

    report: Report
    ip: Optional[ResolvedFrame] = None
    trace: Tuple[ResolvedFrame, ...] = ()
    check: CodeCheck = UNCHECKED  # of the report's code bytes
    disassembly: Tuple[Instruction, ...] = ()  # the faulting instruction and those round it
    function: Tuple[Instruction, ...] = ()  # all instructions of the one in `disassembly`, without lines
    shown: Optional[ResolvedFrame] = None  # of `ip` and `trace` the one whose instruction is marked
    from_log: bool = False  # whether `disassembly` is of the report's code bytes, and not of a file
    source: Optional[Source] = None

    @classmethod
    def of(cls, report: Report) -> "Resolution":
        """The resolution of ``report`` without files."""
        ip = ResolvedFrame.of(report.ip) if report.ip is not None else None
        return cls(report, ip, tuple(map(ResolvedFrame.of, report.trace)))

    @property
    def frames(self) -> Tuple[ResolvedFrame, ...]:
        """The instruction pointer, where there is one, then the trace."""
        return (self.ip, *self.trace) if self.ip is not None else self.trace

    @property
    def rows(self) -> Tuple[Instruction, ...]:
        """The instructions of the whole function, as far as it is known; those of `disassembly` with their lines."""
        shown = {row.address: row for row in self.disassembly}
        return tuple(shown.get(row.address, row) for row in self.function) or self.disassembly

    @property
    def marked(self) -> Optional[Instruction]:
        """The instruction of `disassembly` that is marked."""
        return next((row for row in self.disassembly if row.fault), None)
