"""The same bug has the same signature whatever differs around it, and two bugs have two."""

import hashlib
import re
from dataclasses import replace
from typing import Callable, List

import pytest
import recorded
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.culprit import signature
from kdumpwrap.log import reader
from kdumpwrap.log.kinds import KINDS
from kdumpwrap.model.log import Frame, LoadedModule, Report, ReportKind

# a crash in a driver's timer, as el8 prints it
TIMER = """\
[ 3600.100000] BUG: unable to handle kernel paging request at ffffa1b2c3d4e5f6
[ 3600.100001] PGD 100000067 P4D 100000067 PUD 0
[ 3600.100002] Oops: 0000 [#1] SMP NOPTI
[ 3600.100003] CPU: 3 PID: 4711 Comm: java Kdump: loaded Tainted: G           OE    ---- 4.18.0-305.el8.x86_64 #1
[ 3600.100004] Hardware name: Dell Inc. PowerEdge R640/0W23H8, BIOS 2.8.2 08/27/2020
[ 3600.100005] RIP: 0010:iptunnel_xmit+0x17d/0x1c0
[ 3600.100006] RSP: 0018:ffffa5b4c0d13ac0 EFLAGS: 00010286
[ 3600.100007] RAX: ffffa1b2c3d4e5de RBX: ffff9e66f1816a08 RCX: 0000000000000000
[ 3600.100008] CR2: ffffa1b2c3d4e5f6 CR3: 000000012a40a000 CR4: 00000000007726f0
[ 3600.100009] Call Trace:
[ 3600.100010]  <IRQ>
[ 3600.100011]  send4.constprop.0+0xf2/0x1b0 [wan]
[ 3600.100012]  ? ipt_do_table+0x351/0x680 [ip_tables]
[ 3600.100013]  __wan_keepalive.part.2+0x2f7/0x510 [wan]
[ 3600.100014]  wan_keepalive+0x13/0x20 [wan]
[ 3600.100015]  call_timer_fn+0x2d/0x130
[ 3600.100016]  run_timer_softirq+0x1cb/0x460
[ 3600.100017]  __do_softirq+0xd7/0x2d6
[ 3600.100018]  irq_exit+0xdf/0xf0
[ 3600.100019]  smp_apic_timer_interrupt+0x74/0x130
[ 3600.100020]  apic_timer_interrupt+0xf/0x20
[ 3600.100021]  </IRQ>
[ 3600.100022]  <TASK>
[ 3600.100023]  find_vma+0x16/0x70
[ 3600.100024]  do_syscall_64+0x5b/0x1a0
[ 3600.100025]  </TASK>
[ 3600.100026] Modules linked in: wan(OE) ip_tables ip_tunnel
"""


def read(text: str) -> Report:
    log = reader.parse([text.encode()])
    assert len(log.reports) == 1, [report.headline for report in log.reports]
    return log.reports[0]


def text_of(log: str) -> str:
    return signature.signature(read(log)).text


def test_the_text_and_its_hash() -> None:
    found = signature.signature(read(TIMER))
    assert found.text == "page-fault iptunnel_xmit < send4[wan] < wan_keepalive[wan]"
    assert found.id == hashlib.sha256(found.text.encode()).hexdigest()[:12]


def other_boot(log: str) -> str:
    """Other time, pid, CPU, addresses."""
    log = re.sub(r"\[ 3600\.", "[98765.", log).replace("CPU: 3 PID: 4711", "CPU: 61 PID: 902117")
    return re.sub(r"\bffff[0-9a-f]{12}\b", lambda m: f"{int(m[0], 16) ^ 0x12345000:x}", log)


def other_host(log: str) -> str:
    log = log.replace("Comm: java", "Comm: kworker/0:1").replace("Dell Inc. PowerEdge R640/0W23H8", "Red Hat KVM")
    return log.replace("Modules linked in:", "Modules linked in: xfs vmw_balloon(OE)")


def other_build(log: str) -> str:
    """Another kernel, other offsets and sizes, other choices of the compiler."""
    log = log.replace("305.el8", "553.16.1.el8_10").replace("send4.constprop.0", "send4.isra.0.cold")
    log = log.replace("[ 3600.100013]  __wan_keepalive.part.2+0x2f7/0x510 [wan]\n", "")
    return re.sub(r"\+0x(\w+)/0x(\w+)", lambda m: f"+0x{int(m[1], 16) + 4:x}/0x{int(m[2], 16) + 32:x}", log)


def other_way_in(log: str) -> str:
    """The same softirq, run by its own thread."""
    start, end = log.index("[ 3600.100018]"), log.index("[ 3600.100026]")
    thread = "  run_ksoftirqd+0x1/0x2\n  smpboot_thread_fn+0x1/0x2\n  kthread+0x1/0x2\n  ret_from_fork+0x1/0x2\n"
    return log[:start] + thread + log[end:]


def nothing_stale(log: str) -> str:
    return "".join(line for line in log.splitlines(keepends=True) if "? " not in line)


@pytest.mark.parametrize("change", [other_boot, other_host, other_build, other_way_in, nothing_stale])
def test_the_same_bug(change: Callable[[str], str]) -> None:
    changed = change(TIMER)
    assert changed != TIMER
    assert text_of(changed) == text_of(TIMER)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("iptunnel_xmit+0x17d", "ip_local_out+0x17d"),  # elsewhere
        ("send4.constprop.0+0xf2/0x1b0 [wan]", "send6+0xf2/0x1b0 [wan]"),  # another caller of the same helper
        ("send4.constprop.0+0xf2/0x1b0 [wan]", "send4+0xf2/0x1b0 [lan]"),  # another driver
        ("BUG: unable to handle kernel paging request", "BUG: unable to handle kernel NULL pointer dereference"),
        ("RIP: 0010:iptunnel_xmit+0x17d/0x1c0", "RIP: 0010:0xffffffffc0a12345"),  # called, not run
    ],
    ids=["function", "caller", "module", "kind", "pointer"],
)
def test_another_bug(old: str, new: str) -> None:
    assert old in TIMER
    assert text_of(TIMER.replace(old, new)) != text_of(TIMER)


def chain(kind: ReportKind, *names: str, headline: str = "", ip: bool = False) -> Report:
    """A report with these certain frames; with ``ip``, the first is the instruction pointer."""
    frames: List[Frame] = []
    for number, text in enumerate(names):
        name, _, module = text.rstrip("]").partition("[")
        name, _, offset = name.partition("+")
        frames.append(Frame(name, int(offset or f"{16 + number:#x}", 16), 0x200, module or None))
    if ip:
        return Report(kind, headline, 1, ip=replace(frames[0], exact=True), trace=tuple(frames[1:]))
    return Report(kind, headline, 1, trace=tuple(frames))


def signed(kind: ReportKind, *names: str, headline: str = "", ip: bool = False) -> str:
    return signature.signature(chain(kind, *names, headline=headline, ip=ip)).text


def test_machinery_between_two_functions_is_the_compilers_choice() -> None:
    assert signed("bug", "wan_a", "kref_put", "wan_b", "vfs_write") == "bug wan_a < wan_b"
    assert signed("bug", "wan_a", "next_function+0x0", "wan_b", "vfs_write") == "bug wan_a < wan_b"


def test_what_checks_found_is_part_of_a_bug() -> None:
    unlink = ("wan_unlink[wan]", "wan_close[wan]", "vfs_write")
    listed = signed("bug", "__list_del_entry_valid.cold", *unlink, ip=True)
    assert listed == "bug (list checking) < wan_unlink[wan] < wan_close[wan]"
    assert listed == signed("bug", "__list_del_entry_valid_or_report", *unlink, ip=True)
    assert listed != signed("bug", "refcount_warn_saturate", *unlink, ip=True)
    assert listed != signed("bug", "__list_del_entry_valid", "lan_unlink[lan]", "vfs_write", ip=True)
    # a copy or a lock may be inlined by the next compiler
    assert signed("page-fault", "memcpy_erms", *unlink, ip=True) == signed("page-fault", *unlink, ip=True)


def test_a_call_through_a_bad_pointer() -> None:
    called = TIMER.replace("RIP: 0010:iptunnel_xmit+0x17d/0x1c0", "RIP: 0010:0xffffffffc0a12345")
    assert text_of(called) == "page-fault (bad pointer) < send4[wan] < wan_keepalive[wan]"


def test_an_instruction_pointer_that_is_printed_again() -> None:
    """aarch64 prints it as the first frame of the trace, and the caller of a leaf only as lr."""
    arm = """\
[    3.100000] Unable to handle kernel NULL pointer dereference at virtual address 000000000000001c
[    3.100000] Internal error: Oops: 0000000096000045 [#1] SMP
[    3.100000] CPU: 0 PID: 98 Comm: sh Tainted: G           OE      6.1.0-47-cloud-arm64 #1
[    3.100000] pc : wan_next+0x8/0x30 [wan]
[    3.100000] lr : wan_do+0x18/0x40 [wan]
[    3.100000] Call trace:
[    3.100000]  wan_next+0x8/0x30 [wan]
[    3.100000]  wan_write+0x4c/0x150 [wan]
[    3.100000]  proc_reg_write+0xa8/0x100
"""
    assert text_of(arm) == "null-pointer wan_next[wan] < wan_do[wan] < wan_write[wan]"


def test_wrappers_that_another_build_inlines() -> None:
    assert signed("bug", "__wan_x.part.0", "wan_x", "wan_y") == signed("bug", "wan_x", "wan_y") == "bug wan_x < wan_y"


def test_architectures_name_system_calls_differently() -> None:
    names = {
        signed("bug", "wan_sync", name) for name in ("SyS_sync", "__x64_sys_sync", "__arm64_sys_sync", "ksys_sync")
    }
    assert names == {"bug wan_sync < sys_sync"}


def test_no_more_than_three_functions() -> None:
    assert signed("bug", "a", "b", "c", "d", "e") == "bug a < b < c"


def test_the_interrupted_task_is_not_in_it() -> None:
    report = chain("bug", "drv_isr[drv]", "ext4_map_blocks")
    contexts = tuple(replace(frame, context=c) for frame, c in zip(report.trace, ("IRQ", "TASK")))
    assert signature.signature(report._replace(trace=contexts)).text == "bug drv_isr[drv]"
    assert signed("bug", "drv_isr[drv]", "el1h_64_irq", "ext4_map_blocks") == "bug drv_isr[drv]"


def test_a_name_that_the_log_gets_wrong_is_left_out() -> None:
    """``f+0x0`` behind a call that never returns is whatever the linker put next; debuginfo is not asked."""
    report = chain("panic", "panic", "next_function+0x0", "__handle_sysrq", "write_sysrq_trigger", headline="x")
    assert signature.signature(report).text == "panic handle_sysrq < write_sysrq_trigger"


# ---------------------------------------------------------------- loops


def test_where_a_loop_was_sampled_does_not_matter() -> None:
    rest = ("kvm_vcpu_ioctl[kvm]", "do_vfs_ioctl", "do_syscall_64")
    samples = {
        signed("soft-lockup", "vmx_get_cpl[kvm_intel]", "x86_decode_insn[kvm]", *rest, ip=True),
        signed("soft-lockup", "_raw_spin_lock", "vcpu_run[kvm]", *rest, ip=True),
        signed("soft-lockup", *rest, ip=True),
    }
    assert samples == {"soft-lockup kvm_vcpu_ioctl[kvm]"}
    assert signed("soft-lockup", "vmx_get_cpl", "kvm_vm_ioctl", "do_vfs_ioctl", ip=True) not in samples


def test_the_samples_of_a_drivers_loop() -> None:
    modules = (LoadedModule("wan", "OE"),)
    deep = chain("soft-lockup", "ioread32", "wan_wait[wan]", "wan_poller[wan]", "kthread", ip=True)
    flat = chain("soft-lockup", "wan_poller[wan]", "kthread", ip=True)
    hook = chain("soft-lockup", "wan_wait[wan]", "wan_hook[wan]", "nf_hook_slow", "ip_rcv", "process_backlog", ip=True)
    texts = [signature.signature(report._replace(modules=modules)).text for report in (deep, flat, hook)]
    assert texts == ["soft-lockup wan_poller[wan]", "soft-lockup wan_poller[wan]", "soft-lockup wan_hook[wan]"]


def test_who_asked_for_memory_when_there_was_none_is_chance() -> None:
    names = ("el8-oom-panic", "el9-oom-deadlock", "el10-oom-panic")
    texts = {signature.signature(recorded.parse(name).reports[-1]).text for name in names}
    assert texts == {"panic out_of_memory"}


def test_a_system_call_alone_says_too_little() -> None:
    rest = ("__x64_sys_recvmmsg", "do_syscall_64")
    assert signed("rcu-stall", "memset", "do_recvmmsg", *rest) == "rcu-stall sys_recvmmsg < do_recvmmsg"


def test_whoever_waits_for_the_cpu_that_hangs() -> None:
    one = signed("soft-lockup", "smp_call_function_many", "on_each_cpu", "text_poke_bp", ip=True)
    other = signed("soft-lockup", "smp_call_function_many_cond", "flush_tlb_mm_range", "unmap_vmas", ip=True)
    assert one == other == "soft-lockup smp_call_function"


def test_how_deep_a_recursion_went_does_not_matter() -> None:
    turn = ("tls_c+0x30", "tls_a+0x10", "tls_b+0x20")
    deep = signed("stack-overflow", "memset", *turn * 9, "tls_entry", "do_syscall_64", ip=True)
    cut = signed("stack-overflow", "strlen", "tls_b+0x20", *turn * 4, ip=True)
    assert deep == cut == "stack-overflow tls_a < tls_b < tls_c"


# ---------------------------------------------------------------- logs that name no function


def test_a_headline_alone_keeps_its_words() -> None:
    one = signed("panic", headline="Attempted to kill init! exitcode=0x0000000b")
    assert one == signed("panic", headline="Attempted to kill init! exitcode=0x00000007")
    assert one == "panic Attempted to kill init! exitcode=#"
    assert one != signed("panic", headline="VFS: Unable to mount root fs on unknown-block(0,0)")
    victim = chain("bug", headline="BUG: Bad page map in process java  pte:8192b1000")._replace(comm="java")
    assert signature.signature(victim).text == "bug BUG: Bad page map in process #  pte:#"
    stuck = chain("hung-task", headline="INFO: task txg_sync:901 blocked")._replace(comm="txg_sync")
    assert signature.signature(stuck).text == "hung-task INFO: task txg_sync:# blocked"


@given(st.sampled_from([*KINDS]), st.lists(st.text(max_size=9), max_size=6), st.text(max_size=300), st.booleans())
def test_any_report_has_a_signature(kind: ReportKind, names: List[str], headline: str, ip: bool) -> None:
    frames = tuple(Frame(name, 16) for name in names)
    report = Report(kind, headline, 1, ip=frames[0] if ip and frames else None, trace=frames)
    found = signature.signature(report)
    assert re.fullmatch("[0-9a-f]{12}", found.id)
    assert found.text.startswith(kind)
    assert found == signature.signature(report)
