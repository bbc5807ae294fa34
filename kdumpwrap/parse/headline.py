"""The first lines of every report that a kernel prints, and the kind each stands for: one table.

A row holds the kind, the role, the pattern and a line that it matches. Named groups of a pattern are facts:
``addr`` (hex, "(null)"), ``access``, ``cpu``, ``pid``, ``comm``, ``at`` (f+0x1/0x2 [mod]), ``file``, ``code``.
Sources: arch/*/mm/fault.c, arch/*/kernel/{traps,dumpstack,nmi}.c, kernel/{panic,watchdog,hung_task}.c,
kernel/rcu/*stall*, kernel/locking/lockdep.c, mm/{slub,kasan,kmsan,kfence}, lib/{bug,ubsan}.c, el6 to 6.12.
"""

import re
from typing import Dict, NamedTuple, Optional, Tuple


class Headline(NamedTuple):
    kind: str  # one of model.KINDS
    role: str  # see _ROWS
    text: str
    facts: Dict[str, str]


# What a row's role means:
#   report  a report begins here
#   die     the line of die(), "Oops: 0002 [#1] SMP": it belongs to the report that has just begun, or begins one
#   panic   panic(): it belongs to the report that brought it about, or is one
#   weak    begins a report, which a better headline right after it takes over
#   late    says more about the report that has begun, or begins one
#   logged  of interest only in a log that holds nothing else
_Row = Tuple[str, str, str, str]

_HEX = r"(?:0x)?[0-9a-fA-F]"
_ADDR = rf"(?P<addr>\(null\)|{_HEX}{{1,16}})"
_AT = r"(?P<at>[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[\w-]+\])?)"
_PLACE = r"(?P<file>[^\s:]+:\d+)"

_LOCKDEP = (
    r"(?:possible (?:circular|recursive|irq lock|IRQ lock)|inconsistent lock|suspicious RCU|bad unlock|held lock freed|"
    r"lock held (?:when|at)|\S{1,12}-safe -> \S{1,12}-unsafe|bad contention|nested lock|Nested lock|"
    r".{1,40} still has locks held|task .{0,40}has locks|Invalid wait context|invalid wait context|"
    r"possible reason: unannotated|chain_key collision|.{0,20}lock order detected)"
)

_ROWS: Tuple[_Row, ...] = (
    # ---- lockups and stalls
    (
        "soft-lockup",
        "report",
        r"BUG: soft lockup(?: - | detected on )CPU#(?P<cpu>\d+)(?: stuck for \d+s! \[(?P<comm>.*):(?P<pid>\d+)\])?",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [kworker/6:2:42513]",
    ),
    (
        "hard-lockup",
        "late",
        r"Watchdog detected hard LOCKUP on cpu (?P<cpu>\d+)",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 21",
    ),
    (
        "hard-lockup",
        "report",
        r"CPU (?P<cpu>\d+) (?:self-)?(?:detected )?[Hh]ard LOCKUP",
        "watchdog: CPU 3 self-detected hard LOCKUP @ plpar_hcall_norets+0x1c/0x28",
    ),
    (
        "hung-task",
        "report",
        r"INFO: task (?P<comm>.{1,64}):(?P<pid>\d+) (?:is )?blocked (?:for more|in I/O wait for more)",
        "INFO: task txg_sync:10906 blocked for more than 120 seconds.",
    ),
    (
        "rcu-stall",
        "report",
        r"INFO: rcu\w* (?:self-)?detected (?:expedited )?stalls? on",
        "rcu: INFO: rcu_sched self-detected stall on CPU",
    ),
    # ---- sanitizers and checkers
    (
        "kasan",
        "report",
        rf"BUG: KASAN: [\w-]+(?: (?:on|in)(?: {_AT})?)?",
        "BUG: KASAN: slab-use-after-free in f+0x1/0x2 [mod]",
    ),
    (
        "kmsan",
        "report",
        rf"BUG: KMSAN: [\w-]+(?: in (?:{_AT})?)?",
        "BUG: KMSAN: uninit-value in virtqueue_add+0x20e2/0x60f0",
    ),
    (
        "kcsan",
        "report",
        rf"BUG: KCSAN: [\w:-]+(?: race)?(?: in (?:{_AT})?)?",
        "BUG: KCSAN: assert: race in f+0x6df/0x760",
    ),
    ("kfence", "report", rf"BUG: KFENCE: [\w -]+? in {_AT}", "BUG: KFENCE: use-after-free read in memcmp+0x57/0x150"),
    ("kfence", "report", r"BUG: KFENCE: ", "BUG: KFENCE: invalid free"),
    ("ubsan", "report", rf"UBSAN: .{{1,60}} in (?:{_PLACE})?", "UBSAN: array-index-out-of-bounds in fs/a.c:263:56"),
    (
        "slab",
        "report",
        r"BUG \S.{0,200}? \((?:Not tainted|Tainted: .{1,60}?)\): ",
        "BUG kmalloc-64 (Not tainted): Redzone overwritten",
    ),
    ("slab", "report", r"Slab corruption ?\(", "Slab corruption (Not tainted): size-64 start=ffff88, len=64"),
    ("memory-leak", "report", r"BUG: memory leak", "BUG: memory leak"),
    (
        "memory-leak",
        "late",
        r"unreferenced object 0x[0-9a-f]+ \(size \d+\):",
        "unreferenced object 0xffff88005a065340 (size 576):",
    ),
    ("lockdep", "report", r"\[ (?:BUG|INFO): .{1,100} \]", "[ INFO: possible circular locking dependency detected ]"),
    ("lockdep", "report", rf"WARNING: {_LOCKDEP}", "WARNING: possible circular locking dependency detected"),
    ("lockdep", "report", r"INFO: trying to register non-static key", "INFO: trying to register non-static key."),
    (
        "lockdep",
        "report",
        r"BUG: (?:MAX_LOCK|MAX_STACK_TRACE|looking up invalid subclass|key \S+ (?:not in|has not been))",
        "BUG: MAX_LOCKDEP_CHAINS too low!",
    ),
    (
        "atomic-sleep",
        "report",
        r"BUG: scheduling while atomic: (?P<comm>.{1,64})/(?P<pid>\d+)/0x",
        "BUG: scheduling while atomic: swapper/0/0/0x10000100",
    ),
    ("atomic-sleep", "report", r"BUG: scheduling while atomic", "BUG: scheduling while atomic: swapper"),
    (
        "atomic-sleep",
        "report",
        r"BUG: sleeping function called from invalid context",
        "BUG: sleeping function called from invalid context at mm/slab.h:393",
    ),
    # ---- warnings
    (
        "warning",
        "report",
        rf"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at {_PLACE}(?: {_AT})?",
        "WARNING: CPU: 0 PID: 1362 at kernel/bpf/btf.c:8206 btf_populate_kfunc_set+0x23c/0x330",
    ),
    (
        "warning",
        "report",
        rf"WARNING: at {_PLACE}(?: {_AT})?",
        "WARNING: at kernel/watchdog.c:228 watchdog_overflow_callback+0x98/0xb0() (Not tainted)",
    ),
    (
        "warning",
        "report",
        rf"WARNING: {_PLACE} at {_AT}(?:, CPU#(?P<cpu>\d+): (?P<comm>.{{1,64}})/(?P<pid>\d+))?",
        "WARNING: net/mac80211/tx.c:5024 at f+0x1/0x2, CPU#1: comm/123",
    ),
    ("warning", "report", r"WARNING: CPU: (?P<cpu>\d+) PID: (?P<pid>\d+) at", "WARNING: CPU: 0 PID: 785 at"),
    (
        "warning",
        "report",
        r"WARNING: (?:kernel stack |stack recursion|stack going in|can't dereference)",
        "WARNING: kernel stack regs at ffff8801d100fea8 in syz:16059 has bad 'bp' value ffff8801d100ff28",
    ),
    (
        "warning",
        "report",
        r"unchecked MSR access error: ",
        "unchecked MSR access error: WRMSR to 0x10f (tried to write 0x1) at rIP: 0xffffffff8106a1b4 (native_write_msr+0x4/0x20)",
    ),
    # ---- bad pointers
    (
        "null-pointer",
        "report",
        rf"BUG: unable to handle kernel NULL pointer dereference(?: at +{_ADDR})?",
        "BUG: unable to handle kernel NULL pointer dereference at           (null)",
    ),
    (
        "null-pointer",
        "report",
        rf"BUG: [Kk]ernel NULL pointer dereference(?: on (?P<access>read|write))?(?:(?:,| at)(?: address:)? {_ADDR})?",
        "BUG: kernel NULL pointer dereference, address: 0000000000000018",
    ),
    (
        "null-pointer",
        "report",
        rf"Unable to handle kernel NULL pointer dereference(?: at virtual address +{_ADDR})?",
        "Unable to handle kernel NULL pointer dereference at virtual address 000000000000001c",
    ),
    (
        "page-fault",
        "report",
        rf"BUG: unable to handle (?:kernel paging request(?: at)?|page fault for address:)(?: +{_ADDR})?",
        "BUG: unable to handle page fault for address: ffffffffe0740618",
    ),
    (
        "page-fault",
        "report",
        rf"(?:BUG: )?Unable to handle kernel (?:data access|instruction fetch|unknown fault)"
        rf"(?: on (?P<access>read|write))?(?: at {_ADDR})?",
        "BUG: Unable to handle kernel data access on read at 0x200050005690",
    ),
    (
        "page-fault",
        "report",
        rf"Unable to handle kernel [a-z -]{{1,60}} (?:virtual (?:kernel |user )?address|for data at address)(?: +{_ADDR})?",
        "Unable to handle kernel paging request at virtual address ffffb8f1676a9690",
    ),
    (
        "page-fault",
        "report",
        r"(?:BUG: )?[Uu]nable to handle kernel ",
        "Unable to handle kernel pointer dereference in virtual kernel address space",
    ),
    # ---- traps
    (
        "general-protection",
        "die",
        rf"(?:Oops: )?general protection(?: fault)?(?:[:,]| maybe)(?:.{{0,40}}?address {_ADDR})?(?:: (?P<code>[0-9a-f]{{4}}))?",
        "general protection fault, probably for non-canonical address 0xdffffc0000000004: 0000 [#1]",
    ),
    (
        "stack-overflow",
        "report",
        r"BUG: (?:[\w#]+ )?stack guard page was hit at",
        "BUG: TASK stack guard page was hit at ffffc900054afff8",
    ),
    (
        "stack-overflow",
        "die",
        r"(?:kernel )?stack (?:overflow \(|guard page: [0-9a-f]{4})",
        "kernel stack overflow (double-fault): 0000 [#1] SMP",
    ),
    (
        "stack-overflow",
        "report",
        r"Insufficient stack space to handle exception",
        "Insufficient stack space to handle exception!",
    ),
    ("stack-overflow", "report", r"[Kk]ernel stack overflow", "Kernel stack overflow."),
    ("double-fault", "report", r"PANIC: double fault", "traps: PANIC: double fault, error_code: 0x0"),
    ("double-fault", "die", r"(?:Oops: )?double fault: (?P<code>[0-9a-f]{4})", "double fault: 0000 [#1] SMP"),
    (
        "divide-error",
        "die",
        r"(?:Oops: )?(?:fixpoint )?divide (?:error|exception): (?P<code>[0-9a-f]{4})",
        "divide error: 0000 [#1] SMP",
    ),
    ("bug", "report", r"[Kk]ernel BUG at (?P<file>\S{1,200}:\d+)!", "kernel BUG at fs/locks.c:612!"),
    ("bug", "report", r"[Kk]ernel BUG at ", "Kernel BUG at c000000000123456 [verbose debug info unavailable]"),
    ("bug", "die", r"Kernel BUG \[#\d+\]", "Kernel BUG [#1]"),
    (
        "bug",
        "die",
        r"Internal error: Oops - BUG: (?P<code>[0-9a-f]+)",
        "Internal error: Oops - BUG: 00000000f2000800 [#1] SMP",
    ),
    (
        "invalid-opcode",
        "die",
        r"(?:(?:Oops: )?invalid opcode|illegal operation): (?P<code>[0-9a-f]{4})",
        "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI",
    ),
    (
        "invalid-opcode",
        "die",
        r"(?:Internal error: )?Oops - (?:[Uu]ndefined|[Ii]llegal) instruction(?:: (?P<code>[0-9a-f]+))?",
        "Internal error: Oops - undefined instruction: 0 [#1] SMP ARM",
    ),
    ("machine-check", "die", r"Oops: Machine check", "Oops: Machine check, sig: 7 [#1]"),
    (
        "oops",
        "die",
        r"Internal error: [^\[]{0,60}?(?:: (?P<code>[0-9a-f]{1,16}))? \[#\d",
        "Internal error: Oops: 0000000096000006 [#1] SMP",
    ),
    ("oops", "die", r"Oops(?:: )+(?:(?P<code>[0-9a-f]{4})\b|[A-Z])", "Oops: 0002 [#1] SMP"),
    ("oops", "die", r"Oops(?: - [^\[]{1,60})? \[#\d", "Oops [#1]"),
    (
        "oops",
        "die",
        r"[A-Za-z][\w /()-]{1,50}: (?P<code>[0-9a-f]{4,16}) (?:ilc:\d )?\[#\d",
        "specification exception: 0006 ilc:2 [#1] SMP",
    ),
    (
        "oops",
        "report",
        r"(?:Bad mode in .{1,60} handler|SError Interrupt on CPU(?P<cpu>\d+))",
        "SError Interrupt on CPU0, code 0xbe000000 -- SError",
    ),
    ("oops", "report", r"Unhandled fault: ", "Unhandled fault: synchronous external abort (0x96000210) at 0xffff"),
    # ---- hardware
    (
        "machine-check",
        "report",
        r"(?:\[Hardware Error\]: )?(?:CPU (?P<cpu>\d+): )?Machine Check Exception: ",
        "mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 5: be00000000800400",
    ),
    (
        "machine-check",
        "report",
        r"Severe Machine check interrupt \[Not recovered",
        "Severe Machine check interrupt [Not recovered]",
    ),
    (
        "machine-check",
        "logged",
        r"(?:\{\d+\})?\[Hardware Error\]: ",
        "mce: [Hardware Error]: Machine check events logged",
    ),
    # ---- panic
    (
        "panic",
        "panic",
        r"Kernel panic - not syncing:? ?(?P<panic>.*)",
        "Kernel panic - not syncing: sysrq triggered crash",
    ),
    (
        "panic",
        "weak",
        r"(?:VERIFY|ASSERT)\d?\w{0,4} ?\(.{1,300}\) failed",
        "VERIFY3(0 == dmu_buf_hold(os)) failed (0 == 5)",
    ),
    ("panic", "weak", r"(?:SPLError: .{1,200} SPL PANIC|PANIC(?:: | at ))", "PANIC at dnode.c:1635:dnode_setdirty()"),
    (
        "panic",
        "weak",
        r"LustreError: \S+ (?:ASSERTION\(|LBUG)",
        "LustreError: 1246375:0:(dcache.c:136:ll_ddelete()) LBUG",
    ),
    # ---- the rest of what the kernel calls a bug in itself
    ("bug", "report", r"BUG: \S", "BUG: Bad page map in process in:imjournal  pte:8192b1000 pmd:3ff9324067"),
)

# subsystems that speak first: "NMI watchdog: ", "rcu: ", "traps: ", "mce: "
_LEAD = r"(?:(?:(?:NMI )?watchdog|rcu|traps|mce|CPU\d+|SLUB|kmemleak|Uhhuh): ){0,2}"

TABLE: Tuple[Tuple[str, str, "re.Pattern[str]", str], ...] = tuple(
    (kind, role, re.compile(_LEAD + pattern), example) for kind, role, pattern, example in _ROWS
)

# a line without any of these is no headline: spares most lines the table
_WORDS = re.compile(
    r"BUG|WARNING: |INFO: |Kernel panic - |PANIC|\[#\d|Oops|general protection|nable to handle|LOCKUP|UBSAN: |"
    r"Hardware Error|tack overflow|stack space|stack guard|(?:VERIFY|ASSERT)|LustreError|unchecked MSR|unreferenced object|"
    r"Bad mode in|SError|Slab corr|Unhandled fault|Machine [Cc]heck|divide error|double fault|invalid opcode"
)


def parse(text: str) -> Optional[Headline]:
    """The headline in ``text``, one line of the log without its prefix; None when it is no headline."""
    if not _WORDS.search(text):
        return None
    text = text.strip()
    for kind, role, pattern, _ in TABLE:
        match = pattern.match(text)
        if match:
            facts = {name: value for name, value in match.groupdict().items() if value is not None}
            return Headline(kind, role, text, facts)
    return None
