"""An analysis made by hand, with everything in it that a renderer can meet: the crash of iptunnel_xmit."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Tuple, Type

from kdumpwrap import shell
from kdumpwrap.explain import certainty, conclusion
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import CodeCheck, Instruction, Kernel, Location, Resolution, ResolvedFrame, Source
from kdumpwrap.model.log import Code, LoadedModule, Message, Report, TaintFlag
from kdumpwrap.model.verdict import Culprit, Signature, Suspect, Verdict
from kdumpwrap.model.vmcore import (
    Backtrace,
    BacktraceFrame,
    BlockedTask,
    Difference,
    MemoryRow,
    SlabObject,
    System,
    VmcoreFacts,
)

TUNNELS, XMIT, LOCAL = "include/net/ip_tunnels.h", "net/ipv4/ip_tunnel_core.c", "arch/x86/include/asm/local.h"
VENDOR = "/home/vendor/xxxwan/xxxwan.c"
BASE = 0xFFFFFFFF818A6F00


def code(text: str, unit: int = 1) -> Code:
    """``48 63 db <48> 83``; words of ``unit`` bytes are printed as numbers, so the other way round."""
    data, trap = b"", 0
    for word in text.split():
        trap = len(data) if word[0] in "<(" else trap
        octets = bytes.fromhex(word.strip("<>()"))
        data += octets if unit == 1 else octets[::-1]
    return Code(data, trap, unit)


def insn(address: int, data: str, text: str, file: str, line: int, **more: Any) -> Instruction:
    return Instruction(address, bytes.fromhex(data), text, file, line, **more)


def frame(symbol: str, offset: int, size: int, *places: Tuple[str, str, int], **more: Any) -> ResolvedFrame:
    return ResolvedFrame(symbol, offset, size, locations=tuple(Location(*place) for place in places), **more)


IP = frame(
    "iptunnel_xmit",
    0x203,
    0x240,
    ("local_add", LOCAL, 33),
    ("iptunnel_xmit_stats", TUNNELS, 526),
    ("iptunnel_xmit", XMIT, 87),
    address=BASE + 0x203,
    exact=True,
)

TRACE = (
    frame("send4", 0x7D, 0xC0, ("send4", VENDOR, 90), module="xxxwan", context="IRQ"),
    frame("hfunc_in4", 0x8E, 0xC0, ("hfunc_in4", VENDOR, 119), module="xxxwan", context="IRQ"),
    frame(
        "nf_hook_slow",
        0x41,
        0xC0,
        ("nf_hook_entry_hookfn", "include/linux/netfilter.h", 142),
        ("nf_hook_slow", "net/netfilter/core.c", 614),
        context="IRQ",
    ),
    frame("ip_sublist_rcv", 0x240, 0x240, ("ip_sublist_rcv", "net/ipv4/ip_input.c", 640), context="IRQ", certain=False),
    frame("xfs_file_write_iter", 0xA1, 0x100, module="xfs", context="TASK"),
    ResolvedFrame(
        "dev_show",
        0x18,
        0x40,
        context="TASK",
        candidates=(0xFFFFFFFF81600000, 0xFFFFFFFF81700000),
        candidate_locations=((Location("dev_show", "drivers/base/core.c", 12),), ()),
    ),
    frame("entry_SYSCALL_64_after_hwframe", 0x6E, 0xD8, ("?", "arch/x86/entry/entry_64.S", 121), context="TASK"),
    ResolvedFrame(None, runtime=0x3FFFD4A1D92, context="TASK"),
)

SOURCE = Source(
    TUNNELS,
    Path("/usr/src/debug/linux-6.1/include/net/ip_tunnels.h"),
    519,
    (
        "static inline void iptunnel_xmit_stats(struct net_device *dev, int pkt_len)",
        "{",
        "\tif (pkt_len > 0) {",
        "\t\t/* per CPU: nobody else writes here */",
        "\t\tstruct pcpu_sw_netstats *tstats = get_cpu_ptr(dev->tstats);",
        "",
        "\t\tu64_stats_update_begin(&tstats->syncp);",
        "\t\tu64_stats_add(&tstats->tx_bytes, pkt_len);",
        "\t\tu64_stats_inc(&tstats->tx_packets);",
        '\t\tpr_debug("%d bytes & more\\n", pkt_len);',
    ),
    526,
)

DISASSEMBLY = (
    insn(BASE + 0x1E4, "4531ed", "xor %r13d,%r13d", XMIT, 74),
    insn(BASE + 0x1F3, "498b842410050000", "mov 0x510(%r12),%rax", TUNNELS, 523),
    insn(
        BASE + 0x1FB, "654803056520777e", "add %gs:0x7e772065(%rip),%rax", TUNNELS, 523, comment="19168 <this_cpu_off>"
    ),
    insn(BASE + 0x203, "48015018", "add %rdx,0x18(%rax)", LOCAL, 33, fault=True),
    insn(BASE + 0x207, "48ff4010", "incq 0x10(%rax)", TUNNELS, 526),
    insn(BASE + 0x20B, "75bd", "jne ffffffff818a70d1 <iptunnel_xmit+0x1d1>", TUNNELS, 529),
)

_STAGES: Tuple[Type[Any], ...] = (Finding, Resolution, Report)


def finding(**facts: Any) -> Finding:
    """A finding made of ``facts``, the fields of all three stages; frames stand in the log as well as resolved."""
    return change(Finding(Resolution(Report("oops", "", 1))), **facts)


def change(one: Finding, **facts: Any) -> Finding:
    """``one`` with other ``facts``, whichever stage they belong to."""
    own = [{name: facts[name] for name in facts if name in names} for names in _NAMES]
    assert {name for some in own for name in some} == set(facts)
    resolution = one.resolution._replace(report=one.report._replace(**own[2]), **own[1])
    given = {"culprit": one.culprit, "suspect": one.suspect, "stopped_there": one.stopped_there, **own[0]}
    verdict = Verdict(given["culprit"], given["suspect"], given["stopped_there"])
    done = conclusion.finding(resolution, verdict, tuple(certainty.of_kernel(KERNEL, ())))
    return done._replace(**{"explanation": one.explanation, **own[0]})


KERNEL = Kernel(
    "6.1.0-47-cloud-amd64",
    "x86_64",
    "/usr/lib/debug/lib/modules/6.1.0-47-cloud-amd64/vmlinux",
    "1f0c7d6a",
    0x23400000,
)
_NAMES = [{*stage._fields} - {"resolution", "report"} for stage in _STAGES]

FINDING = finding(
    kind="page-fault",
    headline="BUG: unable to handle page fault for address: ffffaa1730745690",
    line=12,
    time=5.25,
    cpu=0,
    pid=118,
    comm="ping",
    release="6.1.0-47-cloud-amd64",
    arch="x86_64",
    taint="GOE",
    taints=(TaintFlag("O", "an out-of-tree module was loaded"), TaintFlag("E", "an unsigned module was loaded")),
    modules=(LoadedModule("xxxwan", "OE"), LoadedModule("xfs", ""), LoadedModule("virtio_net", "")),
    fault_address=0xFFFFAA1730745690,
    ip=IP,
    trace=TRACE,
    registers=(
        ("rsp", 0xFFFFA2B8C773F9D0),
        ("eflags", 0x10206),
        ("rax", 0xFFFFAA1730745678),
        ("rbx", 0),
        ("rdx", 0x54),
        ("r12", 0xFFFF9D3A9A1F2000),
        ("cr2", 0xFFFFAA1730745690),
    ),
    code=Code(bytes.fromhex("4801501848ff4010"), 0),
    check=CodeCheck("patched", "a KASLR relocation (slide 0x23400000)"),
    access="write",
    message=Message("xxxwan: tunnel went down while it was in use", "report"),
    hardware="QEMU Standard PC (i440FX + PIIX, 1996)",
    last_line=40,
    culprit=Culprit("iptunnel_xmit", None, TUNNELS, 526, "the instruction pointer"),
    suspect=Suspect("xxxwan", "OE", "send4", VENDOR, 90),
    explanation=(
        "A write of 8 bytes to 0xffffaa1730745690: 0x18(%rax) with rax = 0xffffaa1730745678.",
        "dev->tstats is a per-CPU pointer; the one in this device was never allocated.",
    ),
    disassembly=DISASSEMBLY,
    source=SOURCE,
    shown=IP,
    stopped_there=True,
)

ANALYSIS = Analysis(
    Crash(
        "/var/crash/127.0.0.1-2024-02-05-10:51:09",
        "/var/crash/127.0.0.1-2024-02-05-10:51:09/vmcore-dmesg.txt",
        "/var/crash/127.0.0.1-2024-02-05-10:51:09/vmcore",
        "127.0.0.1",
        "2024-02-05T10:51:09",
    ),
    KERNEL,
    (finding(kind="warning", headline="WARNING: CPU: 0 PID: 7 at net/core/dev.c:12", line=3, time=1.5), FINDING),
    1,
    Signature("315d60b47671", "page-fault iptunnel_xmit < send4[xxxwan] < hfunc_in4[xxxwan]"),
    (Problem("no debuginfo for the module xfs", shell.hint("dnf debuginfo-install kernel-modules")),),
)

LOG = tuple((number, f"[    5.{number:06d}] line {number} of the log") for number in range(5, 44))
COMMANDS = (
    "readelf -W -h -n -S /usr/lib/debug/lib/modules/6.1.0-47-cloud-amd64/vmlinux",
    "nm -n /usr/lib/debug/lib/modules/6.1.0-47-cloud-amd64/vmlinux",
)


def with_report(**changes: Any) -> Analysis:
    """ANALYSIS, its fatal report changed."""
    return ANALYSIS._replace(findings=(ANALYSIS.findings[0], change(FINDING, **changes)))


IDLE = Backtrace(
    0,
    0xFFFF8F1080A48000,
    0,
    "swapper/0",
    (
        BacktraceFrame(0, frame("crash_nmi_callback", 0x3C, 0x50, ("halt", LOCAL, 178), context="NMI")),
        BacktraceFrame(1, frame("default_idle", 0xB, 0x10, ("default_idle", "arch/x86/kernel/process.c", 741))),
    ),
    ("WARNING: possibly bogus exception frame",),
)
FACTS = VmcoreFacts(
    "plain",
    System(2, "Mon Feb  5 10:51:08 UTC 2024", "00:00:06", "0.08, 0.02", 97, "wan-gw1", "5.14.0", panic="Oops: 0000"),
    Backtrace(
        122,
        0xFFFF8F1082641800,
        1,
        "ping",
        (
            BacktraceFrame(6, frame("asm_exc_page_fault", 0x22, 0x30, context="IRQ")),
            BacktraceFrame(6, replace(IP, context="IRQ")),
            BacktraceFrame(7, TRACE[0], VENDOR, 91),
            BacktraceFrame(8, replace(TRACE[2], context=None)),
            BacktraceFrame(9, replace(TRACE[3], context=None)),
        ),
    ),
    (IDLE, *(IDLE._replace(cpu=cpu, task=cpu, comm=f"swapper/{cpu}") for cpu in (2, 3))),
    (MemoryRow("TOTAL MEM", 79301, "309.8 MB", None), MemoryRow("FREE", 71413, "279 MB", 90)),
    tuple(BlockedTask(700 + number, number, 0, f"jbd2/sda{number}-8", "UN", 900.5 - number) for number in range(8)),
    SlabObject("skbuff_head_cache", 232, 0xFFFF8B6E98D8E100, 8, True),
    (LoadedModule("xxxwan", "OE"),),
    differences=(Difference("call trace", "__dev_queue_xmit+0x2ff", "not in its backtrace"),),
    problems=(Problem("crash found only 3 tasks", shell.hint("a newer crash")),),
)
