"""The values that a kernel's log gives: the Report, as `log.reader.parse` returns it.

Everything is frozen. Addresses, offsets and sizes are ``int`` until a renderer writes them; what is unknown is ``None``
(or an empty tuple).
"""

from dataclasses import dataclass
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.model.capture import Capture
from kdumpwrap.model.crash import Problem

Accessed = Literal["read", "write", "execute"]
LockKind = Literal["mutex", "semaphore", "rw-semaphore"]
# where the words beside a headline stand: where such a report prints its own; before it, printed by a check of the
# kernel that leads to such a report; or in the line before it, which may be anybody's
MessageOrigin = Literal["report", "check", "neighbour"]
ReportKind = Literal[
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
    "csd-stall",
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


class LogLine(NamedTuple):
    """One line of a kernel log without its prefix."""

    number: int  # line in the file, from 1
    time: Optional[float]  # seconds since boot, as printed
    caller: Optional[str]  # CONFIG_PRINTK_CALLER: "T123", "C0"
    text: str
    prefixed: bool = False  # something stood before the text: a time, a level, a logger's date and host
    width: int = 0  # bytes of the whole line in the file
    clock: Optional[float] = None  # seconds since the start of a year, from a logger's date: for differences alone


class Message(NamedTuple):
    """The words beside a headline: ``list_del corruption, …->next is LIST_POISON1 …``."""

    text: str
    origin: MessageOrigin


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
    """One place in the code, as the log names it: ``symbol+offset/size [module]``."""

    symbol: Optional[str]
    offset: Optional[int] = None
    size: Optional[int] = None  # distance to the next symbol, as the kernel counts
    module: Optional[str] = None
    runtime: Optional[int] = None  # the address the log printed, if it did (KASLR slide included)
    certain: bool = True  # False for "? f+…", "(unreliable)", "([<…>] f)"
    context: Optional[str] = None  # "IRQ", "TASK", "LR", …; None outside every marker
    exact: bool = False  # True: looked up as it is (instruction pointer); False: one byte back (return address)
    module_build_id: Optional[str] = None  # CONFIG_STACKTRACE_BUILD_ID: "[mod 1f0c…]"


class Code(NamedTuple):
    """The bytes of "Code:" (or "Instruction dump:", "Krnl Code:") in memory order."""

    data: bytes
    trap: int  # index in data of the byte at the instruction pointer
    unit: int = 1  # bytes in one printed word: 1 on x86, 4 on aarch64 and ppc64le


class Panicker(NamedTuple):
    """The task that called panic() because another one, or another CPU, hangs."""

    cpu: Optional[int]
    pid: Optional[int]
    comm: Optional[str]
    trace: Tuple[Frame, ...] = ()


class HeldLock(NamedTuple):
    """A lock that a task holds, as lockdep lists it. The last lock of a waiting task is the one that it waits for."""

    pid: int
    comm: str
    name: str  # "&acme->lock", "rtnl_mutex"
    instance: Optional[int]  # its address, or a hash of it; not printed to 4.18
    frame: Frame  # where it was taken


class WorkItem(NamedTuple):
    """A work item that a worker of a workqueue runs."""

    workqueue: str
    cpus: Optional[str]  # of its pool: "2", "0-3"
    pid: int
    symbol: str
    module: Optional[str]
    seconds: Optional[int]  # since when


class Blocker(NamedTuple):
    """The owner of the lock that a hung task waits for, as khungtaskd names it."""

    what: LockKind
    pid: int
    comm: str
    trace: Tuple[Frame, ...] = ()


class MemoryTask(NamedTuple):
    """A task in the table of a kernel whose memory is used up."""

    pid: int
    comm: str
    rss: int  # KiB in memory


class OutOfMemory(NamedTuple):
    """The table of a kernel whose memory is used up, in KiB; a value that it does not print is None."""

    tasks: Tuple[MemoryTask, ...]  # the largest ones
    listed: int  # tasks in the table
    ram: Optional[int]
    free: Optional[int]
    anonymous: Optional[int]
    shmem: Optional[int]
    slab: Optional[int]
    unreclaimable: Optional[int]  # of the slab
    hugepages: Optional[int]
    swap: Optional[int]
    swap_free: Optional[int]
    cgroup: Optional[str]  # whose limit was reached
    limit: Optional[int]


class Track(NamedTuple):
    """The stack on which memory was allocated or freed, innermost first."""

    freed: bool
    pid: int
    frames: Tuple[Frame, ...] = ()


class MachineCheck(NamedTuple):
    """The machine check of one bank of a processor."""

    cpu: Optional[int]
    bank: Optional[int]
    status: Optional[int]  # MCi_STATUS
    address: Optional[int] = None  # MCi_ADDR
    socket: Optional[int] = None
    amd: bool = False  # an AMD or Hygon processor
    said: Optional[str] = None  # text of the EDAC driver: "Execution Unit: Watchdog timeout error"


class Report(NamedTuple):
    """One report in a log: an oops, a warning, a lockup, a panic without another report…"""

    kind: ReportKind
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
    access: Optional[Accessed] = None  # None where the log does not tell it
    hardware: Optional[str] = None  # "Hardware name:"
    workqueue: Optional[str] = None  # "Workqueue: events_unbound foo [bar]"
    kernel_offset: Optional[int] = None  # "Kernel Offset:"
    last_line: Optional[int] = None  # number of the report's last line
    strangers: Tuple[LoadedModule, ...] = ()  # out of tree by other lines of this boot: some reports list no modules
    panicker: Optional[Panicker] = None  # the task that called panic() because of this hang
    message: Optional[Message] = None  # text printed just before, or behind
    machine_checks: Tuple[MachineCheck, ...] = ()  # of the kind of that name, in the order printed
    named: Optional[Frame] = None  # the function that it names outside of its stack: "caller is …", "last function: …"
    locks: Tuple[HeldLock, ...] = ()  # that tasks hold, as it lists them
    works: Tuple[WorkItem, ...] = ()  # that workers run, as it lists them
    blocker: Optional[Blocker] = None  # of a hung task
    memory: Optional[OutOfMemory] = None  # of a panic because memory was used up
    wall: Optional[float] = None  # seconds since 1970, by the clock chip at boot
    user_ip: Optional[int] = None  # instruction pointer of the program that called the kernel
    tracks: Tuple[Track, ...] = ()  # of the memory that KASAN or KFENCE found misused
    tasks: int = 1  # that hang with the same stack

    @property
    def said(self) -> str:
        """The text of the message where it belongs to this report for sure; empty otherwise."""
        return self.message.text if self.message is not None and self.message.origin != "neighbour" else ""

    @property
    def frames(self) -> Tuple[Frame, ...]:
        """The instruction pointer, where there is one, then the trace."""
        return self.trace if self.ip is None else (self.ip, *self.trace)


def subject(reports: int, fatal: Optional[int]) -> Optional[int]:
    """Index of the report that an analysis is about, of ``reports``: the ``fatal`` one, else the last; None without."""
    return fatal if fatal is not None or not reports else reports - 1


class Log(NamedTuple):
    """The reports of one log, as `log.reader.parse` returns them."""

    reports: Tuple[Report, ...] = ()
    fatal: Optional[int] = None  # index of the report that brought the kernel down
    release: Optional[str] = None  # from the reports, else from "Linux version …"
    arch: Optional[str] = None
    kernel_offset: Optional[int] = None
    build_id: Optional[str] = None  # of the kernel that crashed, where the vmcore was asked for its log
    problems: Tuple[Problem, ...] = ()  # what is wrong with the file that the log came from
    around: Tuple[Tuple[int, str], ...] = ()  # of a log in no file of its own: the lines round the report it is about
    capture: Optional[Capture] = None  # how saving the vmcore went, of a crash without a whole vmcore

    @property
    def subject(self) -> Optional[int]:
        """Index of the report that an analysis is about."""
        return subject(len(self.reports), self.fatal)

    @property
    def frames(self) -> Iterator[Frame]:
        """The frames of every report."""
        return (frame for report in self.reports for frame in report.frames)

    @property
    def build_ids(self) -> Dict[str, Optional[str]]:
        """The modules in the frames, by name, each with the build id that the log prints."""
        found: Dict[str, Optional[str]] = {}
        for frame in self.frames:
            if frame.module is not None:
                found[frame.module] = found.get(frame.module) or frame.module_build_id
        return found
