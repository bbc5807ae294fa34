r"""The kinds of reports: the properties of each, and the first lines by which a kernel prints it. Two tables.

A row of the lines is three lines: kind, role and trigger; the pattern (after ``~``); a line that it matches (after
``=``). The first row that matches counts. A trigger is a word of the line by which it is found in a long log: long, of
rare letters; several are split by `` | ``. One with ``?`` is looked for in short logs alone. The lines of die() need
none: each holds ``[#``. Named groups are facts: ``addr`` (hex, "(null)"), ``access``, ``cpu``, ``pid``, ``comm``,
``code``, ``panic``, ``at`` (f+0x1/0x2 [mod]). A speaker may stand in front of each: "NMI watchdog: ",
"rcu: ", "traps: ".

The roles::

    report  a report begins here
    die     the line of die(), "Oops: 0002 [#1] SMP": it belongs to the report that has just begun, or begins one
    panic   panic(): it belongs to the report that brought it about, or is one
    late    says more about the report that has just begun, or begins one
    weak    begins a report, which a better headline right behind it takes over
    logged  is worth a report only in a log that holds nothing else

Two have no row: ``headless``, a report whose first lines the log lost; ``piece``, a report that a person cut out.

Sources: arch/*/mm/fault.c, arch/*/kernel/{traps,dumpstack}.c, kernel/{panic,watchdog,hung_task}.c, kernel/rcu/,
kernel/locking/lockdep.c, kernel/sched/core.c, mm/{slub,kmemleak,kasan,kmsan,kfence}, lib/{bug,ubsan}.c, 2.6.32 to 6.18.
"""

import re
from typing import Dict, Iterator, NamedTuple, Tuple, cast

from kdumpwrap.literal import Literal
from kdumpwrap.model.log import ReportKind
from kdumpwrap.regex import regex

Role = Literal["report", "die", "panic", "late", "weak", "logged", "piece", "headless"]

_TABLE = r"""
soft-lockup report BUG
  ~ BUG: soft lockup(?: - | detected on )CPU#(?P<cpu>\d+)(?: stuck for \d+s! \[(?P<comm>.*):(?P<pid>\d+)\])?
  = watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [kworker/6:2:42513]
hard-lockup late LOCKUP
  ~ Watchdog detected hard LOCKUP on cpu (?P<cpu>\d+)
  = NMI watchdog: Watchdog detected hard LOCKUP on cpu 21
hard-lockup report LOCKUP
  ~ CPU \d+ detected hard LOCKUP on other CPUs (?P<cpu>\d+)
  = watchdog: CPU 12 detected hard LOCKUP on other CPUs 20
hard-lockup late LOCKUP
  ~ CPU (?P<cpu>\d+) (?:self-detected )?[Hh]ard LOCKUP
  = watchdog: CPU 3 self-detected hard LOCKUP @ plpar_hcall_norets+0x1c/0x28
hung-task report INFO:
  ~ INFO: task (?P<comm>.{1,64}):(?P<pid>\d+) (?:blocked for|blocked in I/O wait for|can't die for) more
  = INFO: task txg_sync:10906 blocked for more than 120 seconds.
rcu-stall report INFO:
  ~ INFO: rcu\w* (?:self-)?detected (?:expedited )?stalls? on(?: CPU \{ (?P<cpu>\d+)\})?
  = INFO: rcu_sched self-detected stall on CPU { 2}  (t=60000 jiffies g=188123 c=188122 q=9121)

csd-stall report -responsive CSD lock
  ~ csd: \w+ non-responsive CSD lock \(#(?P<csd>\d+)\) on CPU#\d+, waiting [\d.]+ \w+ for CPU#(?P<cpu>\d+)
  = csd: Detected non-responsive CSD lock (#1) on CPU#2, waiting 5000000008 ns for CPU#03 acme_sync+0x0/0x30(0x0).
csd-stall report Re-sending CSD lock
  ~ csd: Re-sending CSD lock \(#(?P<csd>\d+)\) IPI from CPU#\d+ to CPU#(?P<cpu>\d+)
  = csd: Re-sending CSD lock (#1) IPI from CPU#02 to CPU#03

kasan report BUG
  ~ BUG: KASAN: .{1,60}?(?: in {AT}(?: at addr {ADDR})?|$)
  = BUG: KASAN: slab-use-after-free in f+0x1/0x2 [mod]
kasan report BUG
  ~ BUG: KASAN: \S
  = BUG: KASAN: use-after-free in 0xffffffffa0001234
kmsan report BUG
  ~ BUG: KMSAN: .{1,60}?(?: in {AT}|$)
  = BUG: KMSAN: uninit-value in virtqueue_add+0x20e2/0x60f0
kcsan report BUG
  ~ BUG: KCSAN: .{1,60}?(?: in {AT}|$)
  = BUG: KCSAN: assert: race in dequeue_entities+0x6df/0x760
kcsan report BUG
  ~ BUG: KCSAN: \S
  = BUG: KCSAN: data-race in f [mod] / g [mod]
kfence report BUG
  ~ BUG: KFENCE: [\w -]{1,60}?(?: in {AT}|$)
  = BUG: KFENCE: use-after-free read in memcmp+0x57/0x150
ubsan report UBSAN:
  ~ UBSAN: .{1,60}? in
  = UBSAN: array-index-out-of-bounds in drivers/net/a.c:263:56
slab report BUG
  ~ BUG \S.{0,200}? \((?:Not tainted|Tainted: .{1,60}?)\):
  = BUG kmalloc-64 (Not tainted): Redzone overwritten
slab report Slab corruption
  ~ Slab corruption ?\(
  = Slab corruption (Not tainted): size-64 start=ffff88003a46adc0, len=64
memory-leak report BUG
  ~ BUG: memory leak
  = BUG: memory leak
memory-leak report new suspected memory
  ~ \d+ new suspected memory leaks
  = kmemleak: 5 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
memory-leak late unreferenced object
  ~ unreferenced object 0x[0-9a-f]+ \(size \d+\):
  = unreferenced object 0xffff88005a065340 (size 576):
lockdep report BUG | INFO:
  ~ \[ (?:BUG|INFO): .{1,100}?(?: \]|$)
  = [ INFO: possible circular locking dependency detected ]
lockdep report WARNING:
  ~ WARNING: (?:possible|Possible|inconsistent|suspicious RCU|bad|held lock|lock held|[Nn]ested lock|[Ii]nvalid wait)
  = WARNING: possible circular locking dependency detected
lockdep report WARNING:
  ~ WARNING: (?:\S{1,12}-safe -> \S{1,12}-unsafe|.{1,60} (?:lock order detected|still has locks held|has locks held))
  = WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected
lockdep report INFO:
  ~ INFO: trying to register non-static key
  = INFO: trying to register non-static key.
lockdep report BUG
  ~ BUG: (?:MAX_LOCK|MAX_STACK_TRACE|looking up invalid subclass|key \S+ (?:not in|has not been))
  = BUG: MAX_LOCKDEP_CHAINS too low!
atomic-sleep report BUG
  ~ BUG: scheduling while atomic(?:: (?P<comm>.{1,64})/(?P<pid>\d+)/0x)?
  = BUG: scheduling while atomic: swapper/0/0/0x10000100
atomic-sleep report BUG
  ~ BUG: sleeping function called from invalid context
  = BUG: sleeping function called from invalid context at mm/slab.h:393

warning report WARNING:
  ~ WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at(?: \S+:\d+(?: {AT})?)?
  = WARNING: CPU: 0 PID: 1362 at kernel/bpf/btf.c:8206 btf_populate_kfunc_set+0x23c/0x330
warning report WARNING:
  ~ WARNING: at \S+:\d+(?: {AT})?
  = WARNING: at kernel/watchdog.c:228 watchdog_overflow_callback+0x98/0xb0() (Not tainted)
warning report WARNING:
  ~ WARNING: \S+:\d+ at {AT}(?:, CPU#(?P<cpu>\d+): (?P<comm>.{1,64})/(?P<pid>\d+))?
  = WARNING: net/mac80211/tx.c:5024 at f+0x1/0x2, CPU#1: comm/123
warning report WARNING:
  ~ WARNING: (?:kernel stack |stack recursion|stack going in|can't dereference)
  = WARNING: kernel stack regs at ffff8801d100fea8 in syz:16059 has bad 'bp' value ffff8801d100ff28
warning report unchecked MSR
  ~ unchecked MSR access error: .{1,90}?(?:rIP: 0x[0-9a-f]{16} \({AT}\)|$)
  = unchecked MSR access error: WRMSR to 0x10f (tried to write 0x1) at rIP: 0xffffffff8106a1b4 (f+0x4/0x20)

null-pointer report BUG
  ~ BUG: unable to handle kernel NULL pointer dereference(?: at +{ADDR})?
  = BUG: unable to handle kernel NULL pointer dereference at           (null)
null-pointer report BUG
  ~ BUG: [Kk]ernel NULL pointer dereference(?: on (?P<access>read|write))?(?:(?:,| at)(?: address:)? {ADDR})?
  = BUG: kernel NULL pointer dereference, address: 0000000000000018
null-pointer report nable to handle kernel
  ~ Unable to handle kernel NULL pointer dereference(?: at (?:virtual address +)?{ADDR}(?: when (?P<access>\w+))?)?
  = Unable to handle kernel NULL pointer dereference at virtual address 000000000000001c
page-fault report BUG
  ~ BUG: unable to handle (?:kernel paging request(?: at)?|page fault for address:)(?: +{ADDR})?
  = BUG: unable to handle page fault for address: ffffffffe0740618
page-fault report nable to handle kernel
  ~ (?:BUG: )?Unable to handle kernel [a-z ]{1,30}? on (?P<access>read|write)(?: at {ADDR})?
  = BUG: Unable to handle kernel data access on read at 0x200050005690
page-fault report nable to handle kernel
  ~ (?:BUG: )?Unable to handle kernel [a-z -]{1,80}? (?:address|at) +{ADDR}(?: when (?P<access>\w+))?
  = Unable to handle kernel paging request at virtual address ffffb8f1676a9690
page-fault report nable to handle kernel
  ~ (?:BUG: )?[Uu]nable to handle kernel\b
  = Unable to handle kernel pointer dereference in virtual kernel address space

general-protection die ?general protection
  ~ (?:Oops: )?general protection(?: fault)?(?:[:,]| maybe)(?:.{0,40}?address {ADDR})?(?:: (?P<code>[0-9a-f]{4}))?
  = general protection fault, probably for non-canonical address 0xdffffc0000000004: 0000 [#1]
stack-overflow report BUG
  ~ BUG: (?:[\w#]{1,20} )?stack guard page was hit at
  = BUG: TASK stack guard page was hit at ffffc900054afff8 (stack is ffffc900054b0000..ffffc900054b8000)
stack-overflow die ?stack overflow | ?stack guard
  ~ (?:Oops: )?(?:kernel )?stack (?:overflow \(|guard page: [0-9a-f]{4})
  = kernel stack overflow (double-fault): 0000 [#1] SMP
stack-overflow report Insufficient stack
  ~ Insufficient stack space to handle exception
  = Insufficient stack space to handle exception!
stack-overflow report stack overflow
  ~ [Kk]ernel stack overflow
  = Kernel stack overflow.
double-fault report PANIC
  ~ PANIC: double fault
  = traps: PANIC: double fault, error_code: 0x0
double-fault die ?double fault
  ~ (?:Oops: )?double fault: (?P<code>[0-9a-f]{4})
  = double fault: 0000 [#1] SMP
divide-error die ?divide e
  ~ (?:Oops: )?(?:fixpoint )?divide (?:error|exception): (?P<code>[0-9a-f]{4})
  = divide error: 0000 [#1] SMP
bug report BUG
  ~ [Kk]ernel BUG at
  = kernel BUG at fs/locks.c:612!
bug die
  ~ Kernel BUG \[#\d+\]
  = Kernel BUG [#1]
bug die
  ~ Internal error: Oops - BUG: (?P<code>[0-9a-f]+)
  = Internal error: Oops - BUG: 00000000f2000800 [#1] SMP
invalid-opcode die ?invalid opcode
  ~ (?:(?:Oops: )?invalid opcode|illegal operation): (?P<code>[0-9a-f]{4})
  = invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
invalid-opcode die ?Oops
  ~ (?:Internal error: )?Oops - (?:[Uu]ndefined|[Ii]llegal) instruction(?:: (?P<code>[0-9a-f]+))?
  = Internal error: Oops - undefined instruction: 0 [#1] SMP ARM
machine-check die ?Oops
  ~ Oops: Machine check
  = Oops: Machine check, sig: 7 [#1]
oops die
  ~ Internal error: [^\[]{0,60}?(?:: (?P<code>[0-9a-f]{1,16}))? \[#\d
  = Internal error: Oops - SP/PC alignment exception: 000000008a000000 [#1] SMP
oops die ?Oops
  ~ Oops(?:: )+(?:(?P<code>[0-9a-f]{4})\b|[A-Z])
  = Oops: Exception in kernel mode, sig: 4 [#1]
oops die ?Oops
  ~ Oops(?: - [^\[]{1,60})? \[#\d
  = Oops [#1]
oops die
  ~ (?:Oops: )?[A-Za-z][\w ,/()-]{1,50}: (?P<code>[0-9a-f]{4,16}) (?:ilc:\d )?\[#\d
  = specification exception: 0006 ilc:2 [#1] SMP
oops report SError Interrupt | ?SError | ?Bad mode in
  ~ (?:Bad mode in .{1,60} handler|SError Interrupt on CPU(?P<cpu>\d+))
  = SError Interrupt on CPU0, code 0xbe000000 -- SError
oops report ?Unhandled fault: | ?Alignment trap
  ~ (?:Unhandled fault|Alignment trap):
  = Unhandled fault: synchronous external abort (0x96000210) at 0xffff00000e240840

machine-check report Hardware Error]: | ?Machine Check
  ~ (?:\[Hardware Error\]: )?CPU (?P<cpu>\d+): Machine Check[^:]{0,10}: \w+ Bank \d+: [0-9a-f]{16}
  = mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 5: be00000000800400
machine-check report Hardware Error]:
  ~ (?:\[Hardware Error\]: )?(?:CPU (?P<cpu>\d+): )?Machine Check Exception:
  = mce: [Hardware Error]: CPU 3: Machine Check Exception: 0000000000000005
machine-check report ?Machine check
  ~ Severe Machine check interrupt \[Not recovered
  = Severe Machine check interrupt [Not recovered]
machine-check logged Hardware Error]:
  ~ (?:\{\d+\})?\[Hardware Error\]:
  = mce: [Hardware Error]: Machine check events logged

panic panic Kernel panic - not syncing
  ~ Kernel panic - not syncing:? ?(?P<panic>.*)
  = Kernel panic - not syncing: sysrq triggered crash
panic weak ?VERIFY | ?ASSERT
  ~ (?:VERIFY|ASSERT)\d?\w{0,4} ?\(.{1,300}\) failed
  = VERIFY3(0 == dmu_buf_hold(os)) failed (0 == 5)
panic weak PANIC
  ~ (?:SPLError: .{1,200} SPL PANIC|PANIC(?:: (?!")| at ))
  = PANIC at dnode.c:1635:dnode_setdirty()
panic weak ?LustreError
  ~ LustreError: \S+ (?:ASSERTION\(|LBUG)
  = LustreError: 1246375:0:(dcache.c:136:ll_ddelete()) LBUG
bug weak BUG
  ~ BUG: Dentry .{1,300} still in use
  = BUG: Dentry 00000000f9b5e8b2{i=2a1,n=acme}  still in use (1) [unmount of xfs sdb1]
bug report BUG
  ~ BUG: \S
  = BUG: Bad page map in process in:imjournal  pte:8192b1000 pmd:3ff9324067
"""

_SPEAKER = r"(?:(?:(?:NMI )?watchdog|rcu|traps|mce|CPU\d+|SLUB|kmemleak): ){0,2}"
_ADDR = r"(?P<addr>\(null\)|0x[0-9a-f]{1,16}\b|[0-9a-f]{16}\b|[0-9a-f]{8}\b)"
_GROUP = regex(r"\((?:[^()\\]|\\.)*\)[?*]?|\[[^\]]*\][?*+]?|\{[\w,]+\}[?]?|\\.")
_PLAIN = regex(r"[A-Za-z0-9: ,-]+(?![?*{])")
_AT = r"(?P<at>[\w.$]{1,512}\+0x[0-9a-f]{1,16}/0x[0-9a-f]{1,16}(?: \[[\w-]{1,64}\])?)"


class Kind(NamedTuple):
    """The properties of a kind of report."""

    title: str  # for people
    sampled: bool = False  # the CPU was sampled at a random instruction
    waits: bool = False  # of a task that sleeps
    memory: bool = False  # an access to memory failed
    trap: bool = False  # code stopped on purpose, by an instruction made for it
    failed: bool = False  # an instruction failed; at a BUG() or in a lockup none failed
    dies: bool = False  # ends in die(): with kdump loaded the crash kernel starts there, before panic() prints
    checker: bool = False  # a checker of the kernel found it
    warns: bool = False  # panic_on_warn makes a panic of it
    bare_trace: bool = False  # its stack follows without "Call Trace:"
    no_ip: bool = False  # has no instruction pointer of its own: a "RIP:" shows what was interrupted, or another CPU
    nested_ip: bool = False  # its own may stand in the stack: where the CPU was, or the trap under panic_on_warn
    talkative: bool = False  # its first lines may be long


KINDS: Dict[ReportKind, Kind] = {
    "null-pointer": Kind("NULL pointer dereference", memory=True, failed=True, dies=True),
    "page-fault": Kind("Page fault", memory=True, failed=True, dies=True),
    "general-protection": Kind("General protection fault", memory=True, failed=True, dies=True),
    "bug": Kind("Failed BUG() check", trap=True, dies=True, warns=True, talkative=True),
    "invalid-opcode": Kind("Invalid opcode", trap=True, dies=True),
    "divide-error": Kind("Division error", failed=True, dies=True),
    "double-fault": Kind("Double fault", memory=True, failed=True, dies=True),
    "stack-overflow": Kind("Kernel stack overflow", memory=True, failed=True, dies=True),
    "machine-check": Kind("Machine check"),
    "soft-lockup": Kind("Soft lockup", sampled=True, nested_ip=True),
    "hard-lockup": Kind("Hard lockup", sampled=True, nested_ip=True, talkative=True),
    "hung-task": Kind("Hung task", waits=True, no_ip=True),
    "rcu-stall": Kind("RCU stall", sampled=True, nested_ip=True, talkative=True),
    "csd-stall": Kind("CSD lock stall", sampled=True, nested_ip=True),
    "panic": Kind("Panic", no_ip=True, talkative=True),
    "warning": Kind("Warning", trap=True, warns=True, nested_ip=True),
    "atomic-sleep": Kind("Sleep in atomic context", checker=True, warns=True),
    "lockdep": Kind("Locking error (lockdep)", checker=True, warns=True, no_ip=True),
    "kasan": Kind("Memory error (KASAN)", failed=True, checker=True, warns=True),
    "kmsan": Kind("Use of uninitialised memory (KMSAN)", checker=True, warns=True, bare_trace=True),
    "kcsan": Kind("Data race (KCSAN)", checker=True, warns=True, bare_trace=True, talkative=True),
    "kfence": Kind("Memory error (KFENCE)", memory=True, failed=True, checker=True, warns=True, bare_trace=True),
    "ubsan": Kind("Undefined behaviour (UBSAN)", checker=True, warns=True, talkative=True),
    "slab": Kind("Slab corruption", checker=True, warns=True, talkative=True),
    "memory-leak": Kind("Memory leak", no_ip=True),
    "oops": Kind("Oops", memory=True, failed=True, dies=True),
}

SAMPLED = frozenset(name for name, kind in KINDS.items() if kind.sampled)
WAITING = frozenset(name for name, kind in KINDS.items() if kind.waits)
MEMORY = frozenset(name for name, kind in KINDS.items() if kind.memory)
TRAPS = frozenset(name for name, kind in KINDS.items() if kind.trap)
FAILED = frozenset(name for name, kind in KINDS.items() if kind.failed)
DIE = frozenset(name for name, kind in KINDS.items() if kind.dies)
CHECKERS = frozenset(name for name, kind in KINDS.items() if kind.checker)
WARNS = frozenset(name for name, kind in KINDS.items() if kind.warns)
BARE_TRACE = frozenset(name for name, kind in KINDS.items() if kind.bare_trace)
NO_IP = frozenset(name for name, kind in KINDS.items() if kind.no_ip)
NESTED_IP = frozenset(name for name, kind in KINDS.items() if kind.nested_ip)
TALKATIVE = frozenset(name for name, kind in KINDS.items() if kind.talkative)
HANGS = SAMPLED | WAITING


def title_of(kind: ReportKind) -> str:
    """``Page fault`` for people; an unknown kind is an oops."""
    return KINDS[kind if kind in KINDS else "oops"].title


class FirstLine(NamedTuple):
    """One row of the table."""

    kind: ReportKind
    role: Role
    triggers: Tuple[str, ...]
    literal: str  # the longest plain text in the pattern: each line that matches holds it
    pattern: str  # not compiled: a log needs few of them, and re keeps those
    example: str


def _rows() -> Iterator[FirstLine]:
    lines = [line for line in _TABLE.splitlines() if line]
    for title, pattern, example in zip(lines[::3], lines[1::3], lines[2::3]):
        kind, role, *triggers = title.split(" ", 2)
        words = tuple(" ".join(triggers).split(" | ")) if triggers else ()
        source = _SPEAKER + pattern[4:].replace("{ADDR}", _ADDR).replace("{AT}", _AT)
        yield FirstLine(cast(ReportKind, kind), cast(Role, role), words, _literal(pattern[4:]), source, example[4:])


def _literal(pattern: str) -> str:
    """The longest run of plain text outside of groups, sets and what may be missing."""
    before = ""
    while before != pattern:  # from the innermost group outwards
        before, pattern = pattern, _GROUP.sub("\0", pattern)
    return max(_PLAIN.findall(pattern), key=len, default="")


FIRST_LINES = tuple(_rows())
_TRIGGERS = tuple(dict.fromkeys(word for row in FIRST_LINES for word in row.triggers))
TRIGGERS = tuple(word.encode() for word in _TRIGGERS if not word.startswith("?"))
SHORT_TRIGGERS = tuple(word[1:].encode() for word in _TRIGGERS if word.startswith("?"))  # see above
ANY_TRIGGER = regex("|".join(re.escape(word.lstrip("?")) for word in (*_TRIGGERS, "[#")))
