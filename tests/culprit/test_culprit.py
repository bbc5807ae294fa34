"""Whom the log blames: one condensed trace for each rule of the search, in the forms that real kernels print."""

from dataclasses import replace
from typing import Optional, Tuple

import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from kdumpwrap.culprit import blame, helpers
from kdumpwrap.log import reader
from kdumpwrap.log.kinds import KINDS
from kdumpwrap.model.kernel import Instruction, Location, Resolution
from kdumpwrap.model.log import Frame, LoadedModule, Report
from kdumpwrap.symbolize import evidence

MODULES = "Modules linked in: wan(OE) ip_tunnel nf_tables sunrpc [last unloaded: wan]"
CPU = "CPU: 1 PID: 112 Comm: sh Kdump: loaded Tainted: G           OE      5.14.0-503.el9.x86_64 #1"


def read(*lines: str) -> Report:
    """The one report in ``lines``, each stamped as a kernel does."""
    log = reader.parse(["".join(f"[  100.{i:06}] {line}\n" for i, line in enumerate(lines)).encode()])
    assert len(log.reports) == 1, [report.headline for report in log.reports]
    return log.reports[0]


def trace(frames: str) -> Tuple[str, ...]:
    """``"? a b[wan] <IRQ> c+0x0"`` as lines of a call trace; without an offset a frame gets one."""
    lines = []
    doubt = ""
    for word in frames.split():
        if word == "?":
            doubt = "? "
        elif word.startswith("<"):
            lines.append(f" {word}")
        else:
            name, _, module = word.partition("[")
            name = name if "+" in name else f"{name}+0x4{len(lines) % 16:x}"
            lines.append(f" {doubt}{name}/0x1c0" + (f" [{module}" if module else ""))
            doubt = ""
    return ("Call Trace:", *lines)


def fault(ip: str, frames: str = "", modules: str = MODULES) -> Report:
    """A page fault at ``ip``, as el9 prints it."""
    name, _, module = ip.partition("[")
    place = name if name.startswith("0x") else f"{name}+0x12/0x80" + (f" [{module}" if module else "")
    return read(
        "BUG: unable to handle page fault for address: ffffab6eb1645690",
        "#PF: supervisor read access in kernel mode",
        "#PF: error_code(0x0000) - not-present page",
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        CPU,
        f"RIP: 0010:{place}",
        *trace(frames),
        modules,
    )


def hung(frames: str, modules: Tuple[LoadedModule, ...] = ()) -> Report:
    """A hung task; its report has no module list, so that one must be given."""
    report = read(
        "INFO: task txg_sync:901 blocked for more than 120 seconds.",
        "      Not tainted 4.18.0-305.el8.x86_64 #1",
        "task:txg_sync        state:D stack:    0 pid:  901 ppid:     2 flags:0x80004000",
        *trace(frames),
    )
    return report._replace(modules=modules)


def lockup(ip: str, frames: str) -> Report:
    name, _, module = ip.partition("[")
    return read(
        "watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [sh:112]",
        MODULES,
        CPU,
        f"RIP: 0010:{name}+0x9/0x20" + (f" [{module}" if module else ""),
        *trace(frames),
    )


def stall(frames: str) -> Report:
    """An RCU stall that the timer interrupt of the CPU itself reports."""
    reporter = (
        "<IRQ> dump_stack nmi_cpu_backtrace.cold.6 nmi_trigger_cpumask_backtrace rcu_dump_cpu_stacks "
        "rcu_check_callbacks update_process_times tick_sched_timer __hrtimer_run_queues hrtimer_interrupt "
        "smp_apic_timer_interrupt apic_timer_interrupt </IRQ> "
    )
    return read(
        "rcu: INFO: rcu_sched self-detected stall on CPU",
        "rcu: \t1-....: (59999 ticks this GP) idle=19e/1/0x4000000000000002 softirq=112269/112269 fqs=14999",
        "rcu: \t (t=60000 jiffies g=225813 q=1973)",
        "NMI backtrace for cpu 1",
        CPU,
        *trace(reporter + frames),
    )


def panic(text: str, frames: str) -> Report:
    return read(f"Kernel panic - not syncing: {text}", CPU, *trace(frames))


def blamed(report: Report) -> Optional[str]:
    found = blame.culprit(Resolution.of(report))
    return found.symbol if found else None


# ---------------------------------------------------------------- every group of machinery, and what stands past it

PASSED_OVER = {
    "reporting": ("dump_stack_lvl show_stack _printk vprintk_emit __warn report_bug page_fault_oops", "sk_stream_kill"),
    "panic wrapping": ("__reiserfs_panic ext4_handle_error skb_panic __stack_chk_fail", "do_journal_end"),
    "panic wrapping of ported code": (
        "spl_panic[spl] lbug_with_loc[libcfs] cv_wait_common[spl]",
        "dnode_setdirty[zfs]",
    ),
    "exception handling": ("exc_page_fault asm_exc_page_fault el1h_64_sync_handler do_mem_abort", "bond_ipsec_del_sa"),
    "MSR access": ("native_write_msr native_read_msr_safe", "wan_msr_init"),
    "tracing and patching": ("__x86_indirect_thunk_rbx ftrace_regs_caller perf_trace_lock", "locks_remove_file"),
    "sanitizer": ("__asan_report_load8_noabort kasan_report __msan_warning __sanitizer_cov_trace_pc", "aead_recvmsg"),
    "lock checking": ("print_usage_bug.part.0 __lock_acquire lock_acquire.part.0 lockdep_rcu_suspicious", "vcs_write"),
    "reference counting": ("refcount_warn_saturate kref_put ref_tracker_free drop_nlink", "udf_rmdir"),
    "list checking": ("__list_del_entry_valid.cold __list_add_valid_or_report __list_add", "chrdev_open"),
    "object checking": ("debug_print_object usercopy_abort __check_object_size fortify_panic", "xt_check_target"),
    "context checking": ("___might_sleep.cold __might_resched check_preemption_disabled", "ip6_finish_output"),
    "slab checking": ("object_err slab_err check_bytes_and_report free_debug_processing", "bioset_free"),
    "spin locking": ("native_queued_spin_lock_slowpath _raw_spin_lock_irqsave do_raw_read_lock osq_lock", "sg_remove"),
    "sleeping lock": (
        "__mutex_lock.constprop.0 rwsem_down_write_slowpath down_read rt_mutex_slowlock up",
        "i2c_transfer",
    ),
    "RCU": ("__call_rcu_common call_rcu synchronize_rcu_expedited __srcu_read_unlock", "neigh_release"),
    "scheduling": ("__schedule schedule_timeout io_schedule try_to_wake_up finish_wait", "hiddev_read"),
    "completion": ("__wait_for_common wait_for_completion_killable out_of_line_wait_on_bit", "usb_hub_reset"),
    "page lock": ("__lock_page folio_wait_bit_common wait_on_page_writeback __wait_on_buffer", "ext4_sync_file"),
    "timer": ("__mod_timer del_timer_sync hrtimer_start_range_ns enqueue_hrtimer timerqueue_add", "mwifiex_unregister"),
    "workqueue": ("__flush_work __cancel_work_timer cancel_work_sync try_to_grab_pending", "blk_sync_queue"),
    "allocator": ("___slab_alloc __kmem_cache_alloc_node __kmalloc_node kvmalloc_node kfree __vunmap", "xattr_alloc"),
    "memory copying": (
        "memcpy_erms _copy_to_iter rep_movs_alternative strnlen vsnprintf seq_printf",
        "task_state_show",
    ),
    "data structure": (
        "rb_erase hlist_del_rcu radix_tree_lookup xas_load idr_alloc_u32 test_and_clear_bit",
        "kernfs_put",
    ),
    "register access": ("ioread32 iowrite16be regmap_read", "e1000_reset"),
    "network device": ("napi_enable napi_disable", "e1000_open"),
    "buffer": ("submit_bh_wbc mark_buffer_dirty", "ext4_commit_super"),
    "interrupt flags": ("__local_bh_enable_ip arch_local_irq_enable delay_tsc __const_udelay", "e1000_reset"),
    "stack unwinding": ("unwind_next_frame arch_stack_walk stack_trace_consume_entry __orc_find", "bpf_get_stackid"),
    "device resource": (
        "free_irq dma_unmap_page_attrs __ioremap_caller iounmap clk_core_disable enable_irq",
        "drv_stop",
    ),
    "registration": ("add_uevent_var kobject_uevent_env device_add proc_register sysfs_create_link", "input_register"),
    "socket buffer": ("skb_put skb_push kfree_skb_reason consume_skb", "llc_send_xid"),
    "USB request": ("usb_submit_urb usb_start_wait_urb usb_control_msg", "az6007_read"),
}


@pytest.mark.parametrize("group", PASSED_OVER)
def test_each_group_is_passed_over_in_a_fault(group: str) -> None:
    names, expected = PASSED_OVER[group]
    for name in names.split():
        found = helpers.group(name.partition("[")[0])
        assert found is not None, name
        assert found.name == group, name
    ip, *frames = names.split()
    assert blamed(fault(ip, " ".join([*frames, expected, "vfs_write", "do_syscall_64"]))) == expected.partition("[")[0]


def test_the_table_has_a_case_for_each_group() -> None:
    assert {group.name for group in helpers.GROUPS if not (group.waiting or group.leaking)} == PASSED_OVER.keys()


# ---------------------------------------------------------------- where the search begins


def test_the_instruction_pointer_comes_first() -> None:
    report = fault("iptunnel_xmit", "<IRQ> send4[wan] wan_hook[wan] nf_hook_slow ip_local_deliver </IRQ>")
    found = blame.culprit(Resolution.of(report))
    assert found == ("iptunnel_xmit", None, None, None, "the instruction pointer")


def test_the_functions_that_were_passed_over_are_named() -> None:
    found = blame.culprit(Resolution.of(fault("__memcpy", "wan_copy[wan] vfs_write")))
    assert found is not None
    assert found.why == "first frame past the memory copying functions: __memcpy"


def test_a_fault_at_the_first_instruction_is_that_functions() -> None:
    report = fault("foo", "bar")
    assert report.ip is not None
    assert blamed(report._replace(ip=replace(report.ip, offset=0))) == "foo"


def test_compiler_suffixes_are_no_part_of_a_name() -> None:
    assert blamed(fault("wan_rate.constprop.0.isra.0[wan]")) == "wan_rate"


def test_a_stale_frame_blames_nobody() -> None:
    assert blamed(fault("kfree", "? wan_stale[wan] wan_close[wan]")) == "wan_close"


def test_a_call_through_a_bad_pointer_is_its_callers() -> None:
    found = blame.culprit(Resolution.of(fault("0x0", "call_timer_fn __run_timers.part.0 run_timer_softirq")))
    assert found is not None
    assert (found.symbol, found.why) == ("call_timer_fn", "it called through a bad pointer (0x0)")


@pytest.mark.parametrize(
    ("text", "frames", "expected"),
    [
        (
            "sysrq triggered crash",
            "dump_stack_lvl panic sysrq_handle_crash __handle_sysrq.cold vfs_write",
            "sysrq_handle_crash",
        ),
        (
            "VFS: Unable to mount root fs",
            "dump_stack panic mount_block_root mount_root kernel_init",
            "mount_block_root",
        ),
        ("Attempted to kill init!", "dump_stack panic do_exit.cold do_group_exit do_syscall_64", "do_exit"),
        ("LBUG", "dump_stack_lvl panic lbug_with_loc.cold[libcfs] ll_ddelete[lustre] dput", "ll_ddelete"),
        ("LBUG", "dump_stack_lvl panic lbug_with_loc.cold[libcfs]", "lbug_with_loc"),  # cut
        (
            "stack-protector: Kernel stack is corrupted in: udp4_lib_lookup2+0x7ea/0x7f0",
            "panic __stack_chk_fail foo",
            "udp4_lib_lookup2",
        ),
        (
            "corrupted stack end detected inside scheduler",
            "dump_stack panic __schedule preempt_schedule_irq shrink_node wb_workfn process_one_work kthread",
            "wb_workfn",
        ),
    ],
    ids=["sysrq", "root", "init", "lbug", "lbug-cut", "stack-protector", "stack-end"],
)
def test_a_panic_is_its_callers(text: str, frames: str, expected: str) -> None:
    assert blamed(panic(text, frames)) == expected


def test_behind_a_call_that_never_returns_the_log_names_the_wrong_function() -> None:
    report = panic("sysrq triggered crash", "panic sysrq_reset_seq_param_set+0x0 __handle_sysrq write_sysrq_trigger")
    assert blamed(report) == "__handle_sysrq"
    padded = panic("sysrq triggered crash", "panic __pfx_sysrq_reset+0x10 __handle_sysrq write_sysrq_trigger")
    assert blamed(padded) == "__handle_sysrq"
    place = (Location("sysrq_handle_crash", "drivers/tty/sysrq.c", 155),)
    known = Resolution.of(report)
    trace = tuple(replace(f, locations=place) if f.offset == 0 else f for f in known.trace)
    found = blame.culprit(known._replace(trace=trace))
    assert found == ("sysrq_handle_crash", None, "drivers/tty/sysrq.c", 155, "called panic()")


def test_a_headline_names_the_function_where_the_trace_is_cut_off() -> None:
    report = read("WARNING: CPU: 5 PID: 0 at net/core/stream.c:212 sk_stream_kill_queues+0xc5/0xd2", CPU)
    assert blamed(report._replace(ip=None)) == "sk_stream_kill_queues"


def test_a_function_that_ported_code_names_is_blamed_where_there_is_no_trace() -> None:
    (report,) = reader.parse([b"[    1.000000] VERIFY0(0 == dmu_buf_hold(os)) failed (0 == 5)\n"
                              b"[    1.000001] PANIC at dnode.c:1635:dnode_setdirty()\n"]).reports  # fmt: skip
    assert blamed(report) == "dnode_setdirty"


def test_nobody_is_blamed_without_a_name() -> None:
    assert blame.culprit(Resolution.of(read("Kernel panic - not syncing: Attempted to kill init!", CPU))) is None


def test_a_machine_check_is_nobodys_fault_who_ran() -> None:
    report = fault("intel_idle", "cpuidle_enter_state do_idle cpu_startup_entry")
    assert blame.culprit(Resolution.of(report._replace(kind="machine-check"))) is None


# ---------------------------------------------------------------- where it ends


def test_what_an_interrupt_interrupted_is_innocent() -> None:
    timer = "timerqueue_del __remove_hrtimer __hrtimer_run_queues hrtimer_interrupt asm_sysvec_apic_timer_interrupt"
    assert blamed(fault("rb_erase", f"<IRQ> {timer} </IRQ> <TASK> ext4_map_blocks </TASK>")) == "__hrtimer_run_queues"
    assert blamed(fault("kfree", "<IRQ> skb_pull </IRQ> <TASK> ext4_map_blocks </TASK>")) == "kfree"
    assert blamed(fault("memcpy", "el1_interrupt el1h_64_irq ext4_map_blocks")) == "memcpy"  # arm64 has no markers


def test_the_entry_is_never_blamed() -> None:
    assert blamed(fault("memcpy", "do_syscall_64 entry_SYSCALL_64_after_hwframe")) == "memcpy"
    assert blamed(fault("memcpy", "kthread ret_from_fork")) == "memcpy"
    assert blamed(fault("entry_SYSCALL_64", "foo")) == "entry_SYSCALL_64"  # but where it faulted itself
    assert blamed(stall("do_syscall_64 entry_SYSCALL_64_after_hwframe")) is None  # it came from user space
    assert blamed(panic("x", "<NMI> dump_stack panic nmi_panic </NMI> <TASK> intel_idle </TASK>")) is None


def test_an_out_of_tree_function_is_no_machinery_whatever_its_name() -> None:
    assert blamed(fault("memcpy", "mutex_lock_wan[wan] ioctl_wan[wan]")) == "mutex_lock_wan"
    assert blamed(fault("memcpy", "mutex_lock_wan[sunrpc] rpc_execute[sunrpc]")) == "rpc_execute"
    # the taint knows of strangers, the list is lost: it may be one
    assert blamed(fault("memcpy", "mutex_lock_wan[wan] ioctl_wan[wan]", modules="")) == "mutex_lock_wan"


# ---------------------------------------------------------------- hung tasks


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("__schedule schedule schedule_preempt_disabled __mutex_lock rtnl_lock tipc_net_stop", "rtnl_lock"),
        (
            "schedule io_schedule wait_on_page_bit __filemap_fdatawait_range fdatawait_one_bdev iterate_bdevs",
            "iterate_bdevs",
        ),
        ("schedule jbd2_log_wait_commit[jbd2] ext4_sync_file[ext4]", "ext4_sync_file"),
        ("schedule io_schedule folio_wait_bit_common do_read_cache_folio read_cache_folio", "read_cache_folio"),
        ("schedule schedule_timeout cv_wait_common[spl] __cv_wait[spl] zio_wait[zfs] dbuf_read[zfs]", "zio_wait"),
        ("schedule schedule_timeout wait_for_completion kthread_stop md_unregister_thread", "md_unregister_thread"),
        ("schedule worker_thread kthread ret_from_fork", "worker_thread"),
        ("schedule schedule_timeout", None),  # cut: it says nothing
        ("__schedule schedule __wait_for_common __flush_work.isra.0", "__flush_work"),  # cut: it says a little
    ],
    ids=["mutex", "fdatawait", "journal", "page", "spl", "kthread_stop", "thread", "cut", "cut-later"],
)
def test_a_hung_task_is_blamed_by_its_own_frame(frames: str, expected: Optional[str]) -> None:
    assert blamed(hung(frames, (LoadedModule("spl", "POE"), LoadedModule("zfs", "POE")))) == expected


def test_a_hung_task_of_whose_stack_nothing_but_the_scheduler_is_sure() -> None:
    (report,) = recorded.parse("el8-hung-task-all-doubtful").reports
    found = blame.culprit(Resolution.of(report))
    assert found is not None and (found.symbol, found.module) == ("acme_config_lock", "acmewan")
    assert found.why.endswith("; the kernel marks the frame with ?")
    assert blame.suspect(Resolution.of(report)) is None  # the module is not on the certain part of the way
    assert blamed(hung("__schedule schedule")) is None
    assert blamed(hung("__schedule ? schedule ? foo+0x1c0")) is None  # foo+0x1c0/0x1c0, no return address
    assert blamed(hung("__schedule schedule foo ? bar")) == "foo"


def test_waiting_is_passed_over_only_where_a_task_waits() -> None:
    assert blamed(fault("wait_consider_task", "do_wait kernel_wait4")) == "wait_consider_task"
    atomic = read(
        "BUG: scheduling while atomic: sh/112/0x00000002",
        CPU,
        *trace("dump_stack __schedule_bug __schedule schedule raid5_wait_x foo"),
    )
    assert blamed(atomic) == "foo"


# ---------------------------------------------------------------- lockups, stalls, stacks that run over


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ("vmx_get_cpl x86_decode_insn kvm_vcpu_ioctl do_vfs_ioctl ksys_ioctl do_syscall_64", "kvm_vcpu_ioctl"),
        ("_raw_spin_unlock_irq mousedev_write __vfs_write vfs_write ksys_write do_syscall_64", "mousedev_write"),
        ("memset do_recvmmsg __x64_sys_recvmmsg do_syscall_64 entry_SYSCALL_64_after_hwframe", "__x64_sys_recvmmsg"),
        (
            "kmem_cache_alloc ndisc_send_ns neigh_timer_handler call_timer_fn run_timer_softirq __do_softirq",
            "neigh_timer_handler",
        ),
        ("nf_conntrack_in nf_hook_slow ipv6_rcv __netif_receive_skb_core process_backlog net_rx_action", "ipv6_rcv"),
        ("gc_bucket gc_worker process_one_work worker_thread kthread ret_from_fork", "gc_worker"),
        ("native_safe_halt default_idle do_idle cpu_startup_entry start_secondary", "do_idle"),
        ("csd_lock smp_call_function_many on_each_cpu flush_tlb_kernel_range __vunmap", "smp_call_function_many"),
        ("_raw_spin_lock net_rx_action __do_softirq", "net_rx_action"),  # nothing of its own above the dispatcher
    ],
    ids=["ioctl", "write", "syscall", "timer", "protocol", "work", "idle", "ipi", "dispatcher"],
)
def test_a_sampled_loop_is_blamed_on_what_was_called_back(frames: str, expected: str) -> None:
    assert blamed(stall(frames)) == expected
    first, *rest = frames.split()
    assert blamed(lockup(first, " ".join(rest))) == expected


def test_a_loop_in_an_out_of_tree_module_is_where_the_cpu_was() -> None:
    assert (
        blamed(lockup("wan_wait_ready.constprop.0[wan]", "wan_poller[wan] kthread ret_from_fork")) == "wan_wait_ready"
    )
    assert blamed(lockup("ioread32", "wan_poll_reg[wan] wan_poller[wan] kthread ret_from_fork")) == "wan_poll_reg"
    # what was interrupted by the softirq is not in the loop
    assert blamed(lockup("foo", "ipv6_rcv __netif_receive_skb_core __do_softirq </IRQ> wan_x[wan]")) == "ipv6_rcv"


def test_a_loop_that_calls_nothing_is_to_blame_itself() -> None:
    known = Resolution.of(lockup("wait_ready", "drv_write vfs_write ksys_write do_syscall_64"))
    assert blamed(known.report) == "drv_write"
    texts = ("mov 0x8(%rdi),%eax", "test %eax,%eax", "je 1000 <f>", "ret")
    rows = tuple(Instruction(0x1000 + 4 * n, b"", text, fault=n == 1) for n, text in enumerate(texts))
    found = blame.verdict(known._replace(disassembly=rows))
    assert found.culprit is not None and found.stopped_there
    assert (found.culprit.symbol, found.culprit.why) == ("wait_ready", "it was in a loop that calls nothing")
    whole = known._replace(disassembly=rows[1:2], function=rows)  # the loop reaches further than what is shown
    assert blame.verdict(whole).culprit == found.culprit
    calling = known._replace(disassembly=(rows[0]._replace(text="call 2000 <g>"), *rows[1:]))
    assert blame.verdict(calling).culprit == blame.culprit(known)
    straight = known._replace(disassembly=rows[:2])
    assert blame.verdict(straight).culprit == blame.culprit(known)


def test_a_loop_that_calls_nothing_is_found_where_the_log_has_no_instruction_pointer() -> None:
    """Kernels to 4.9 print where the CPU was as a frame with a question mark, behind the interrupt's entry."""
    report = stall("wait_ready drv_write vfs_write ksys_write do_syscall_64")
    at = next(n for n, frame in enumerate(report.trace) if frame.symbol == "wait_ready")
    doubtful = replace(report.trace[at], certain=False)
    known = Resolution.of(report._replace(trace=(*report.trace[:at], doubtful, *report.trace[at + 1 :])))
    assert (known.ip, blamed(known.report)) == (None, "drv_write")
    placed = known._replace(trace=tuple(replace(frame, address=0x1000) for frame in known.trace))
    stood = evidence.focus(placed)
    assert stood is not None and (stood.symbol, stood.exact) == ("wait_ready", True)
    texts = ("mov 0x8(%rdi),%eax", "test %eax,%eax", "je 1000 <f>", "ret")
    rows = tuple(Instruction(0x1000 + 4 * n, b"", text, fault=n == 1) for n, text in enumerate(texts))
    found = blame.culprit(known._replace(disassembly=rows))
    assert found is not None and (found.symbol, found.why) == ("wait_ready", "it was in a loop that calls nothing")


def test_a_lockup_in_a_timer_is_not_taken_for_the_watchdogs_interrupt() -> None:
    report = lockup(
        "loop_fn", "<IRQ> drv_timer __hrtimer_run_queues hrtimer_interrupt sysvec_apic_timer_interrupt </IRQ> foo"
    )
    assert blamed(report) == "drv_timer"


def test_recursion_is_blamed_for_a_stack_that_ran_over() -> None:
    turns = "tls_b+0x10 tls_a+0x20 " * 4
    report = read(
        "BUG: TASK stack guard page was hit at ffffc900054afff8 (stack is ffffc900054b0000..ffffc900054b8000)",
        "stack guard page: 0000 [#1] PREEMPT SMP",
        CPU,
        "RIP: 0010:memset+0x17/0x70",
        *trace(f"<TASK> {turns} tls_entry __sys_setsockopt do_syscall_64 </TASK>"),
    )
    assert blamed(report) == "tls_a"
    flat = report._replace(trace=tuple(f for f in report.trace if f.symbol not in ("tls_a", "tls_b")))
    assert blamed(flat) == "tls_entry"


def test_two_calls_of_one_function_are_no_recursion() -> None:
    frames = "vfs_x+0x10 nfsd_x loop_x vfs_x+0x10 nfsd_y"
    assert blamed(fault("foo", frames)._replace(kind="double-fault")) == "foo"
    assert blamed(fault("foo", f"{frames} vfs_x+0x10")._replace(kind="double-fault")) == "vfs_x"


# ---------------------------------------------------------------- suspects, and any report at all


def test_the_suspect_is_the_first_out_of_tree_module() -> None:
    report = fault("iptunnel_xmit", "<IRQ> ? stale[sunrpc] send4[wan] wan_hook[wan] nf_hook_slow")
    assert blame.suspect(Resolution.of(report)) == ("wan", "OE", "send4", None, None)
    place = (Location("local_add", "arch/x86/include/asm/local.h", 33), Location("send4", "wan.c", 111))
    known = Resolution.of(report)
    trace = tuple(replace(f, locations=place) if f.symbol == "send4" else f for f in known.trace)
    assert blame.suspect(known._replace(trace=trace)) == ("wan", "OE", "send4", "wan.c", 111)


@pytest.mark.parametrize(
    ("flags", "accused"),
    [("OE", True), ("O", True), ("P", False), ("U", True), ("E", False), ("", False), ("-", False)],
)
def test_which_flags_make_a_suspect(flags: str, accused: bool) -> None:
    report = fault("foo", "bar[wan]")._replace(modules=(LoadedModule("wan", flags),))
    assert (blame.suspect(Resolution.of(report)) is not None) is accused


def test_no_suspect_without_proof() -> None:
    assert blame.suspect(Resolution.of(fault("foo", "send4[wan]", modules=""))) is None  # tainted by whom?
    assert blame.suspect(Resolution.of(fault("foo", "? send4[wan] vfs_write"))) is None  # stale


def test_a_suspects_function_is_left_open_where_the_log_hides_it() -> None:
    assert blame.suspect(Resolution.of(panic("x", "panic wan_list+0x0[wan] foo"))) is None  # no module list
    report = panic("x", "panic wan_list+0x0[wan] foo")._replace(modules=(LoadedModule("wan", "OE"),))
    assert blame.suspect(Resolution.of(report)) == ("wan", "OE", None, None, None)


def test_the_file_is_that_of_the_telling_function() -> None:
    chain = (
        Location("local_add", "arch/x86/include/asm/local.h", 33),
        Location("u64_stats_add", "include/linux/u64_stats_sync.h", 89),
        Location("iptunnel_xmit_stats", "include/net/ip_tunnels.h", 526),
        Location("iptunnel_xmit", "net/ipv4/ip_tunnel_core.c", 87),
    )
    known = Resolution.of(fault("iptunnel_xmit", "send4[wan]"))
    assert known.ip is not None
    found = blame.culprit(known._replace(ip=replace(known.ip, locations=chain)))
    assert found is not None
    assert found[:4] == ("iptunnel_xmit", None, "include/net/ip_tunnels.h", 526)


FRAMES = st.builds(
    Frame,
    symbol=st.one_of(
        st.none(), st.text(max_size=20), st.sampled_from(("panic", "schedule", "memcpy", "kthread", "nmi"))
    ),
    offset=st.one_of(st.none(), st.integers(0, 64)),
    module=st.one_of(st.none(), st.just("wan"), st.text(max_size=5)),
    certain=st.booleans(),
    context=st.sampled_from((None, "IRQ", "TASK", "LR")),
    exact=st.booleans(),
)
REPORTS = st.builds(
    Report,
    kind=st.sampled_from([*KINDS]),
    headline=st.text(max_size=80),
    line=st.just(1),
    ip=st.one_of(st.none(), FRAMES),
    trace=st.lists(FRAMES, max_size=12).map(tuple),
    taint=st.sampled_from((None, "", "OE")),
    modules=st.sampled_from(((), (LoadedModule("wan", "OE"),))),
    strangers=st.just(()),
)


@settings(deadline=None)
@given(REPORTS)
def test_no_report_is_too_strange(report: Report) -> None:
    found = blame.culprit(Resolution.of(report))
    assert found is None or (found.symbol is not None and found.why)
    accused = blame.suspect(Resolution.of(report))
    assert accused is None or accused.module == "wan"
