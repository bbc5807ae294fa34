"""What the files of a kernel say: symbols, instructions, source.

Addresses, offsets and sizes are ``int`` until a renderer writes them; what is unknown is ``None``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Tuple


@dataclass(frozen=True)
class Kernel:
    """Which kernel crashed, and the file that knows its symbols."""

    release: Optional[str] = None
    arch: Optional[str] = None
    vmlinux: Optional[str] = None
    build_id: Optional[str] = None
    kaslr_offset: Optional[int] = None


class Location(NamedTuple):
    """Where an address lies in the source. An unknown part is ``None``."""

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


@dataclass(frozen=True)
class Source:
    """Some lines of a source file, the faulting one among them."""

    file: str  # as the debug information names it
    path: Path  # where it was found
    first: int  # number of the first of `lines`
    lines: Tuple[str, ...]
    fault_line: int
    fault_column: Optional[int] = None  # character of that line, from 1, at which the faulting expression begins
