"""The particulars of a headline or message: the facts that it tells besides the kind of the report (pure)."""

from typing import Iterator, NamedTuple, Optional, Tuple, cast

from kdumpwrap.literal import Literal
from kdumpwrap.log import trace
from kdumpwrap.model.log import Frame
from kdumpwrap.regex import regex

Misuse = Literal[
    "use-after-free",
    "double-free",
    "invalid-free",
    "slab-out-of-bounds",
    "stack-out-of-bounds",
    "global-out-of-bounds",
    "vmalloc-out-of-bounds",
    "alloca-out-of-bounds",
    "use-after-scope",
    "null-ptr-deref",
    "user-memory-access",
    "wild-memory-access",
    "out-of-bounds",
]

_LONGEST = 1024  # characters that are searched for a name
# Kernel panic - not syncing: sysrq triggered crash
_SYSRQ = "sysrq triggered crash"
# BUG: scheduling while atomic: swapper/0/0/0x10000100            Kernel panic - not syncing: scheduling while atomic
_ATOMIC = "scheduling while atomic"
# WARNING: lock held when returning to user space!    WARNING: acmed/1201 still has locks held!
# WARNING: held lock freed!
_KEPT_LOCK = regex(r"lock held when returning to user space|still has locks held|held lock freed")
# BUG: workqueue lockup - pool cpus=2 node=0 flags=0x0 nice=0 stuck for 33s!
_POOL_LOCKUP = regex(r"workqueue lockup(?:.{0,200}?cpus=(?P<cpus>[\d,-]{1,64}))?")
# LustreError: 1246375:0:(dcache.c:136:ll_ddelete()) LBUG         PANIC at dnode.c:1635:dnode_setdirty()
_SPEAKER = regex(r"\b[\w-]{1,64}\.c:\d{1,6}:(?P<symbol>[A-Za-z_]\w{0,127})\(\)")
# kernel BUG at lib/list_debug.c:53!                   WARNING: CPU: 1 PID: 112 at net/core/stream.c:212 sk_stream…
_CHECK = regex(r" at (?P<file>[^\s:]{1,512}):(?P<line>\d{1,9})\b")
# ex_handler_msr(), arch/x86/mm/extable.c, 6.1:
# unchecked MSR access error: WRMSR to 0x10f (tried to write 0x0000000000000001) at rIP: 0xffffffff8106a1b4 (f+0x4/0x20)
# unchecked MSR access error: RDMSR from 0x10f at rIP: 0xffffffff8106a1b4 (f+0x4/0x20)
_MSR = regex(
    r"unchecked MSR access error: (?:WRMSR to|RDMSR from) (?P<register>0x[0-9a-f]{1,8})\b"
    r"(?: \(tried to write (?P<value>0x[0-9a-f]{1,16})\))?"
)
# csd: Detected non-responsive CSD lock (#1) on CPU#2, waiting 5000000008 ns for CPU#03 acme_sync+0x0/0x30(0x0).
# csd: Re-sending CSD lock (#1) IPI from CPU#02 to CPU#03
_CSD_WAIT = regex(
    r"CSD lock \(#\d+\) (?:on|IPI from) CPU#(?P<by>\d{1,6})(?:, waiting [\d.]{1,30} \w{1,4} for| to) "
    r"CPU#(?P<cpu>\d{1,6})(?: (?P<function>[A-Za-z_][\w.]{0,200}))?"
)
# BUG: KASAN: slab-out-of-bounds in aead_recvmsg+0x1758/0x1bc0
_MISUSE = regex(
    r"use-after-(?:free|scope)|(?:double|invalid)-free|(?:(?:slab|stack|global|vmalloc|alloca)-)?out-of-bounds|"
    r"null-ptr-deref|(?:user|wild)-memory-access"
)


class RefusedMsr(NamedTuple):
    """A model-specific register whose read the CPU refused, or whose write of ``value``."""

    register: int
    value: Optional[int]


class CsdWait(NamedTuple):
    """A CPU that waits for another one to run a function."""

    by: int
    cpu: int
    function: Optional[str]


def is_sysrq(text: str) -> bool:
    """Whether SysRq c triggered the crash."""
    return _SYSRQ in text


def is_atomic(text: str) -> bool:
    """Whether the scheduler was called in atomic context, by the preemption count."""
    return _ATOMIC in text


def keeps_lock(text: str) -> bool:
    """Whether lockdep found that a task kept a lock which it should have released."""
    return bool(_KEPT_LOCK.search(text))


def stuck_pool(text: str) -> Optional[str]:
    """The CPUs of a pool of workers that is stuck, "2" or "0-3"; "" where unnamed, None for another headline."""
    match = _POOL_LOCKUP.search(text)
    return match and (match["cpus"] or "")


def functions(text: str) -> Iterator[Frame]:
    """The functions that are named with an offset: ``stack is corrupted in: f+0x7ea/0x7f0``."""
    return (frame for _, frame in trace.symbols(text[:_LONGEST]))


def speaker(text: str) -> Optional[str]:
    """The function that printed the text, as Lustre and ZFS name it; None for another text."""
    match = _SPEAKER.search(text[:_LONGEST])
    return match and match["symbol"]


def check(text: str) -> Optional[Tuple[str, int]]:
    """File and line of the check that failed; None when the text names none."""
    match = _CHECK.search(text)
    return match and (match["file"], int(match["line"]))


def refused_msr(text: str) -> Optional[RefusedMsr]:
    """The access to a model-specific register that the CPU refused; None for another text."""
    match = _MSR.match(text)
    return match and RefusedMsr(int(match["register"], 16), int(match["value"], 16) if match["value"] else None)


def csd_wait(text: str) -> Optional[CsdWait]:
    """The CPU that waits and the CPU that it waits for; None for another text."""
    match = _CSD_WAIT.search(text)
    return match and CsdWait(int(match["by"]), int(match["cpu"]), match["function"])


def misuse(text: str) -> Optional[Misuse]:
    """The misuse of memory, by KASAN's name for it; None when the text names none."""
    match = _MISUSE.search(text)
    return match and cast(Misuse, match[0])
