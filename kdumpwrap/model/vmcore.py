"""The values that crash(8)'s answers give: what only the vmcore knows."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.log import LoadedModule

RungName = Literal["plain", "reduced", "zero-excluded", "minimal"]


class Answer(NamedTuple):
    """The answer of crash to one command."""

    command: str
    output: str
    complete: bool  # False: cut off, or of a run that broke down
    seconds: float
    rung: RungName  # how crash was started
    cause: str = ""  # why it is not complete
    unavailable: bool = False  # crash does not know the command on this rung, and its output only says so


class BacktraceFrame(NamedTuple):
    """One frame of ``bt``, with the line that crash gives and the lines that kdumpwrap resolves."""

    number: int  # as crash counts; an exception's registers belong to the frame before
    frame: ResolvedFrame  # resolved by kdumpwrap: inline chain, line of the call
    file: Optional[str] = None  # as crash gives it: the innermost line, for a caller the line after the call
    line: Optional[int] = None
    warning: Optional[str] = None  # crash's: "WARNING: possibly bogus exception frame", of the registers at this frame


class Backtrace(NamedTuple):
    """``bt`` of one task."""

    pid: int
    task: int  # address of its task_struct
    cpu: Optional[int]
    comm: str
    frames: Tuple[BacktraceFrame, ...] = ()
    warnings: Tuple[str, ...] = ()


class System(NamedTuple):
    """``sys``. Sizes and dates are as crash writes them."""

    cpus: Optional[int] = None
    date: Optional[str] = None
    uptime: Optional[str] = None
    load_average: Optional[str] = None
    tasks: Optional[int] = None
    nodename: Optional[str] = None
    release: Optional[str] = None
    version: Optional[str] = None
    machine: Optional[str] = None
    memory: Optional[str] = None
    panic: Optional[str] = None  # None where crash found no text: it writes ""


class MemoryRow(NamedTuple):
    """One line of ``kmem -i``."""

    name: str  # "TOTAL MEM", "FREE", "SLAB" …
    pages: int
    size: str  # "309.8 MB", "0"
    percentage: Optional[int]


class BlockedTask(NamedTuple):
    """One task of ``ps -m``."""

    pid: int
    task: int
    cpu: Optional[int]
    comm: str
    state: str  # "UN": uninterruptible, "RU", "IN" …
    seconds: float  # since it last ran


class SlabObject(NamedTuple):
    """The slab object that holds an address, from ``kmem ADDRESS``."""

    cache: str  # "task_struct", "kmalloc-64"
    object_size: int  # bytes
    start: int  # the object's address
    offset: int  # of the address in it
    allocated: bool


class LoadedAt(NamedTuple):
    """A module and its address: one line of ``mod``."""

    name: str
    base: int
    size: int  # bytes


class Difference(NamedTuple):
    """A difference between crash and the log."""

    what: str
    log: str
    crash: str


class StuckTask(NamedTuple):
    """The task that hangs, by the log, where another one called panic() because of it."""

    pid: Optional[int]
    comm: Optional[str]


class VmcoreFacts(NamedTuple):
    """The facts that crash adds to an analysis. An unknown value is None or empty, and ``problems`` says why."""

    rung: RungName
    system: Optional[System] = None
    panic_task: Optional[Backtrace] = None
    other_cpus: Tuple[Backtrace, ...] = ()
    memory: Tuple[MemoryRow, ...] = ()
    blocked: Tuple[BlockedTask, ...] = ()  # uninterruptible, the longest first
    slab: Optional[SlabObject] = None  # the object that the fault address lies in
    modules: Tuple[LoadedModule, ...] = ()  # those that taint the kernel
    log: Optional[str] = None  # the kernel's log, when there was no other
    differences: Tuple[Difference, ...] = ()
    stuck: Optional[StuckTask] = None  # the task that hangs, when the panic task is the watcher
    problems: Tuple[Problem, ...] = ()
