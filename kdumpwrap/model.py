"""The values that cross a module's border, from the log's lines to the finished analysis.

Everything is frozen: a step that knows more makes a new value (``dataclasses.replace``). Addresses, offsets
and sizes are ``int`` until a renderer writes them; what is unknown is ``None`` (or an empty tuple).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Sequence, Tuple

# ---------------------------------------------------------------- what the log says


class LogLine(NamedTuple):
    """One line of a kernel log without its prefix."""

    number: int  # line in the file, from 1
    time: Optional[float]  # seconds since boot, as printed
    caller: Optional[str]  # CONFIG_PRINTK_CALLER: "T123", "C0"
    text: str
    prefixed: bool = False  # something stood before the text: a time, a level, a logger's date and host
    width: int = 0  # bytes of the whole line in the file


class Location(NamedTuple):
    """Where an address lies in the source. An unknown part is ``None``."""

    function: Optional[str]
    file: Optional[str]  # as the debug information gives it, "/./" folded away
    line: Optional[int]


class TaintFlag(NamedTuple):
    """One letter of "Tainted: G OE" and what it means."""

    flag: str
    meaning: str


class LoadedModule(NamedTuple):
    """One name of "Modules linked in:", flags without their parentheses ("OE", "" for none)."""

    name: str
    flags: str


@dataclass(frozen=True)
class Frame:
    """One place in the code, as ``symbol+offset/size [module]`` in the log and, later, resolved."""

    symbol: Optional[str]
    offset: Optional[int] = None
    size: Optional[int] = None  # distance to the next symbol, as the kernel counts
    module: Optional[str] = None
    runtime: Optional[int] = None  # the address the log printed, if it did (KASLR slide included)
    certain: bool = True  # False for "? f+…", "(unreliable)", "([<…>] f)"
    context: Optional[str] = None  # "IRQ", "TASK", "LR", …; None outside every marker
    exact: bool = False  # True: an instruction pointer, looked up as it is; False: a return address, one byte back
    module_build_id: Optional[str] = None  # CONFIG_STACKTRACE_BUILD_ID: "[mod 1f0c…]"
    address: Optional[int] = None  # link-time address of symbol+offset; section-relative in a module
    section: Optional[str] = None  # the module's section that `address` counts from
    locations: Tuple[Location, ...] = ()  # innermost inlined function first, the function itself last
    candidates: Tuple[int, ...] = ()  # possible addresses, only while the symbol stays ambiguous
    candidate_locations: Tuple[Tuple[Location, ...], ...] = ()  # of each candidate, as `locations`


@dataclass(frozen=True)
class Code:
    """The bytes of "Code:" (or "Instruction dump:", "Krnl Code:") in memory order."""

    data: bytes
    trap: int  # index in data of the byte at the instruction pointer
    unit: int = 1  # bytes in one printed word: 1 on x86, 4 on aarch64 and ppc64le
    check: str = "unchecked"  # match | patched | mismatch | unchecked
    detail: Optional[str] = None  # what the check found, in words


class Culprit(NamedTuple):
    """Where a person should look first."""

    symbol: str
    module: Optional[str]
    file: Optional[str]
    line: Optional[int]
    why: str


class Suspect(NamedTuple):
    """The first out-of-tree module on the certain part of the way."""

    module: str
    flags: str
    symbol: Optional[str]
    file: Optional[str]
    line: Optional[int]


class Signature(NamedTuple):
    """What makes two crashes the same bug: 12 hex digits, and the text they are the hash of."""

    id: str
    text: str


# ---------------------------------------------------------------- what the tools say


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


@dataclass(frozen=True)
class Listing:
    """What `disasm` shows: a resolved frame, the instructions round it, its source."""

    frame: Frame
    instructions: Tuple[Instruction, ...]
    source: Optional[Source]


# ---------------------------------------------------------------- the results


@dataclass(frozen=True)
class Panicker:
    """The task that called panic() because another one, or another CPU, hangs."""

    cpu: Optional[int]
    pid: Optional[int]
    comm: Optional[str]
    trace: Tuple[Frame, ...] = ()


@dataclass(frozen=True)
class Report:
    """One report in a log: an oops, a warning, a lockup, a panic that stands alone…"""

    kind: str  # one of KINDS
    headline: str
    line: int  # number of the headline's line in the log, from 1
    time: Optional[float] = None  # seconds since boot
    panic: Optional[str] = None  # text of the panic that this report brought about
    cpu: Optional[int] = None
    pid: Optional[int] = None
    comm: Optional[str] = None
    release: Optional[str] = None
    arch: Optional[str] = None  # "x86_64", "aarch64", "ppc64le", "s390x", "arm", "i386", "riscv64"
    taint: Optional[str] = None  # the letters alone, "" for "Not tainted"
    taints: Tuple[TaintFlag, ...] = ()
    modules: Tuple[LoadedModule, ...] = ()
    fault_address: Optional[int] = None
    ip: Optional[Frame] = None
    trace: Tuple[Frame, ...] = ()
    registers: Tuple[Tuple[str, int], ...] = ()  # ("rax", 0x…), in the order printed
    code: Optional[Code] = None
    error_code: Optional[int] = None  # #PF error code, arm64 ESR, s390 interruption code
    access: Optional[str] = None  # "read", "write", "execute" where the log says so
    hardware: Optional[str] = None  # "Hardware name:"
    workqueue: Optional[str] = None  # "Workqueue: events_unbound foo [bar]"
    kernel_offset: Optional[int] = None  # "Kernel Offset:"
    last_line: Optional[int] = None  # number of the report's last line
    culprit: Optional[Culprit] = None
    suspect: Optional[Suspect] = None
    explanation: Tuple[str, ...] = ()
    disassembly: Tuple[Instruction, ...] = ()
    source: Optional[Source] = None
    function: Tuple[Instruction, ...] = ()  # all instructions of the one in `disassembly`, without lines
    strangers: Tuple[LoadedModule, ...] = ()  # out of tree by other lines of this boot: not all have a list of modules
    panicker: Optional[Panicker] = None  # of a hang after which somebody called panic(): who it was
    message: Optional[str] = None  # what the kernel said just before: "list_del corruption, …->next is LIST_POISON1 …"


KINDS = [
    "null-pointer",
    "page-fault",
    "general-protection",
    "bug",
    "invalid-opcode",
    "divide-error",
    "double-fault",
    "stack-overflow",
    "machine-check",
    "soft-lockup",
    "hard-lockup",
    "hung-task",
    "rcu-stall",
    "panic",
    "warning",
    "atomic-sleep",
    "lockdep",
    "kasan",
    "kmsan",
    "kcsan",
    "kfence",
    "ubsan",
    "slab",
    "memory-leak",
    "oops",
]


def subject(reports: Sequence[Report], fatal: Optional[int]) -> Optional[int]:
    """Index of the report that an analysis is about: the fatal one, else the last; None without a report."""
    return fatal if fatal is not None else (len(reports) - 1 if reports else None)


class Problem(NamedTuple):
    """Something that could not be done, kept beside what could."""

    message: str
    hint: str = ""


@dataclass(frozen=True)
class Log:
    """What `log.reader.parse` makes of one log."""

    reports: Tuple[Report, ...] = ()
    fatal: Optional[int] = None  # index of the report that brought the kernel down
    release: Optional[str] = None  # from the reports, else from "Linux version …"
    arch: Optional[str] = None
    kernel_offset: Optional[int] = None
    build_id: Optional[str] = None  # of the kernel that crashed, where the vmcore was asked for its log
    problems: Tuple[Problem, ...] = ()  # what is wrong with the file that the log came from


@dataclass(frozen=True)
class Crash:
    """The files of one crash. ``path`` is what was asked for: a directory, a dmesg text, a vmcore or "-"."""

    path: str
    dmesg: Optional[str] = None
    vmcore: Optional[str] = None
    host: Optional[str] = None
    time: Optional[str] = None  # ISO 8601, local time of the host: "2023-12-20T10:51:07"


class Entry(NamedTuple):
    """One crash of a listing: its files, and what can be told without reading them."""

    crash: Crash
    vmcore_bytes: Optional[int]  # None: no vmcore
    incomplete: Tuple[str, ...]  # names of files that kdump did not finish
    dmesg_bytes: Optional[int] = None  # None: no log beside the vmcore


@dataclass(frozen=True)
class Kernel:
    """Which kernel crashed, and the file that knows its symbols."""

    release: Optional[str] = None
    arch: Optional[str] = None
    vmlinux: Optional[str] = None
    build_id: Optional[str] = None
    kaslr_offset: Optional[int] = None


@dataclass(frozen=True)
class Analysis:
    """All that is known of one crash: what every renderer gets."""

    crash: Crash
    kernel: Kernel
    reports: Tuple[Report, ...] = ()
    fatal: Optional[int] = None
    signature: Optional[Signature] = None
    problems: Tuple[Problem, ...] = ()
