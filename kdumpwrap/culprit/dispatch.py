"""Functions that call callbacks: what they call belongs to the code that registered it (pure).

``process_one_work`` runs a driver's work item, ``vfs_write`` a driver's write function, ``call_timer_fn`` its timer.
The frames below such a call do not depend on the bug and differ between its occurrences: a softirq may run at the end
of any interrupt. So a signature ends there. The function that was called back is the one name that is the same in
every sample of a loop (lockups, stalls).

Names are written as in helpers.py: regular expressions that match a whole name as `symbolname.bare` gives it.
"""

from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.log import symbolname

Called = Literal[
    "system call",
    "operation of a file",
    "handler of a pseudo file",
    "operation of a socket",
    "netlink handler",
    "work item",
    "thread function",
    "timer function",
    "softirq",
    "protocol handler",
    "interrupt handler",
    "hook",
    "task work",
    "part of an exit",
    "function of a driver",
    "other CPU",
]


class Caller(NamedTuple):
    """Functions that call back."""

    calls: Called  # what they call: completes "the … that it called"
    reason: str
    names: str
    loops: bool = True  # what they call may run for long: it stands for the loop in a lockup or stall


CALLERS: Tuple[Caller, ...] = (
    Caller(
        "system call",
        "The entry from user space: everything below is the same for all system calls.",
        """
        entry_(SYSCALL|SYSENTER|INT80).* do_syscall_.* do_(fast|int80)_syscall_.* do_int80_emulation x64_sys_call
        ia32_sys_call invoke_syscall system_call.* sysenter_.* sysret_.* int_ret_from_sys_call.* ret_from_sys_call
        ret_from_syscall tracesys.* ia32_(sysenter|syscall|do_call).* cstar_.*
        syscall_(exit|return_slowpath|exit_to_user_mode|trace_.*) ret_(fast|slow)_syscall el0_svc.* do_el0_svc.*
        el0t?_(64|32)?_?sync.* sysc_.* do_syscall handle_syscall exit_to_user_mode.* exit_to_usermode_loop
        prepare_exit_to_usermode irqentry_exit_to_user_mode work_pending
        """,
    ),
    Caller(
        "operation of a file",
        "The VFS calls the file system or the driver behind the file.",
        """
        vfs_(read|readv|write|writev|iter_read|iter_write|ioctl|open|fsync|fsync_range|fallocate|llseek|poll|splice_read)
        (new|do)_sync_(read|write) call_(read|write)_iter call_mmap do_iter_(read|write) do_iter_readv_writev
        do_(readv|writev|preadv|pwritev|loop_readv_writev)(_writev)? do_vfs_ioctl (compat_)?blkdev_ioctl
        do_dentry_open fput
        (x64_|arm64_|s390x?_|ia32_|se_|do_|k)?(compat_)?(sys|SyS|SYSC|ksys)_(ioctl|p?readv?|p?writev?)(64)?
        do_(sys_)?f?allocate tty_(read|write|ioctl) file_tty_write mmap_region
        """,
    ),
    Caller(
        "handler of a pseudo file",
        "proc, sysfs, debugfs and seq_file call the owner of the file.",
        """
        proc_reg_.* proc_sys_call_handler seq_read(_iter)? kernfs_(fop|seq)_.* sysfs_kf_.*
        (dev|drv|kobj|class|bus)_attr_.* full_proxy_.* debugfs_attr_.* simple_attr_.* configfs_.*_iter
        """,
        loops=False,
    ),
    Caller(
        "operation of a socket",
        "The socket layer calls the protocol.",
        """
        sock_(sendmsg|recvmsg)(_nosec)? sock_(read|write)_iter
        sock_(release|ioctl|do_ioctl|create|poll|common_setsockopt)
        kernel_(sendmsg|recvmsg|connect|bind|listen|accept|setsockopt|getsockopt) do_sock_(get|set)sockopt
        (x64_|arm64_|s390x?_|ia32_|se_|do_)?(compat_)?(sys|SyS|SYSC)_(socket|connect|bind|listen|accept4?|[gs]etsockopt)
        """,
    ),
    Caller(
        "netlink handler",
        "netlink hands a message to the subsystem that it is meant for.",
        """
        netlink_(rcv_skb|unicast|dump) rtnetlink_rcv(_msg)? rtnl_dump_all genl_(rcv|rcv_msg) genl_family_rcv_msg.*
        nfnetlink_rcv.* xfrm_user_rcv_msg
        """,
    ),
    Caller(
        "work item",
        "A worker thread runs what was queued.",
        "process_(one_work|scheduled_works) worker_thread kthread_worker_fn async_run_entry_fn io_wq_submit_work",
    ),
    Caller(
        "thread function",
        "The first functions of a kernel thread, or of a CPU: nothing stands below them.",
        """
        kthread ret_from_fork(_asm)? ret_from_kernel_thread kernel_thread(_helper|_starter)? child_rip
        smpboot_thread_fn cpu_startup_entry start_secondary secondary_startup_64.* start_cpu0? x86_64_start_.*
        vhost_task_fn
        """,
    ),
    Caller(
        "part of an exit",
        "A task that exits releases its resources one by one, whatever made it exit.",
        "do_exit",
    ),
    Caller(
        "timer function",
        "The timer softirq or interrupt runs what was armed.",
        """
        call_timer_fn expire_timers run_timers run_timer_(softirq|base) timer_expire_.* hrtimer_(run_queues|interrupt)
        run_hrtimer hrtimer_run_softirq
        """,
    ),
    Caller(
        "softirq",
        "Deferred interrupt work: it runs wherever interrupts or bottom halves are enabled again.",
        """
        do_softirq.* handle_softirqs call_softirq run_ksoftirqd irq_exit.* tasklet_(action|hi_action).* net_rx_action
        napi_poll napi_threaded_poll.* rcu_(do_batch|core|core_si|process_callbacks|process_.*_callbacks)
        invoke_rcu_callbacks srcu_invoke_callbacks blk_(done_softirq|complete_reqs)
        """,
    ),
    Caller(
        "protocol handler",
        "The network core hands a received packet to a protocol.",
        "netif_receive_skb.* process_backlog deliver_skb",
    ),
    Caller(
        "interrupt handler",
        "The interrupt core runs the driver's handler.",
        """
        handle_irq_event.* handle_(edge|level|fasteoi|simple|percpu_devid|percpu|edge_eoi|fasteoi_mask)_irq
        irq_work_run.* (generic_)?handle_(domain_irq|irq|irq_desc|arch_irq) irq_(thread|thread_fn|forced_thread_fn)
        nmi_handle flush_smp_call_function_queue generic_smp_call_function.*_interrupt
        """,
    ),
    Caller(
        "hook",
        "Notifier chains and netfilter call the registered functions.",
        "(raw_|atomic_|blocking_|srcu_)?notifier_call_chain.* call_netdevice_.*notifiers.* nf_hook_slow.* nf_iterate",
        loops=False,
    ),
    Caller(
        "task work",
        "A task runs queued work before it returns to user space.",
        "task_work_run(_loop)?",
        loops=False,
    ),
    Caller(
        "function of a driver",
        "The driver core calls a driver when it meets a device, or a module's init function.",
        """
        do_one_initcall do_init_module really_probe call_driver_probe driver_(probe_device|attach) device_attach.*
        (usb|hid|i2c|spi|virtio|pci|platform|platform_drv|acpi|scsi|nd|hv|vmbus|xenbus|mdio|auxiliary)(_bus|_dev|_device)?_probe
        usb_probe_(interface|device) usb_unbind_(interface|device)
        (local_pci|pci_device|pci_call)_(probe|remove|shutdown)
        bus_(for_each_drv|for_each_dev|probe_device|remove_device) device_release_driver.*
        """,
        loops=False,
    ),
    Caller(
        "other CPU",
        "It waits for the answer of other CPUs: the CPU that does not answer is the one that hangs.",
        "smp_call_function.* smp_cfm_core stop_(one_cpu|machine|cpus).* generic_exec_single csd_lock_wait",
    ),
)
# functions that an interrupt puts on the stack of the code that it interrupted
_INTERRUPT = """
    (asm_)?sysvec_.* (asm_)?common_interrupt(_return)? ret_from_intr do_IRQ asm_call_(irq_)?on_stack retint_.*
    (smp_)?(trace_)?(local_)?apic_timer_interrupt.*
    (smp_)?(trace_)?(reschedule|call_function|call_function_single)_interrupt
    (smp_)?(irq_work|x86_platform_ipi|hyperv.*|kvm_posted_intr)_interrupt
    xen_(hvm_callback_vector|evtchn_do_upcall|do_upcall) (asm_)?exc_nmi(_.*)? nmi end_repeat_nmi repeat_nmi
    (default_)?do_nmi do_interrupt_handler el[01][th]?(_64|_32)?_(irq|fiq|interrupt|nmi)(_handler)? call_on_irq_stack
    gic_handle_irq irq_(svc|usr) timer_interrupt (decrementer|hardware_interrupt|doorbell_super)_common.*
    system_reset_(common|exception) do_irq (ext|io|restart|mcck)_int_handler do_(ext|io)_irq
"""

# functions that make a CPU print its stack: a watchdog's, those of RCU's stall check, those of another CPU's request
_WATCH = """
    rcu_(check_callbacks|sched_clock_irq|pending|dump_cpu_stacks) .*_cpu_stall nmi_(cpu_backtrace|trigger_.*|panic)
    watchdog_.* perf_event_(overflow|nmi_handler) is_hardlockup dump_stack(_lvl)? (sched_)?show_(task|regs|stack)
    dump_backtrace panic
"""


@lru_cache(maxsize=1 << 15)
def caller(symbol: str) -> Optional[Caller]:
    """The group of functions that call back to which ``symbol`` belongs, or None."""
    return next((caller for caller in CALLERS if symbolname.matches(symbol, caller.names)), None)


@lru_cache(maxsize=1 << 15)
def is_interrupt(symbol: str) -> bool:
    """Whether ``symbol`` is a function between an interrupted instruction and the interrupt's handler."""
    return symbolname.matches(symbol, _INTERRUPT)


@lru_cache(maxsize=1 << 15)
def is_watch(symbol: str) -> bool:
    """Whether ``symbol`` belongs to a watchdog or to RCU's stall check, or prints a trace for them."""
    return symbolname.matches(symbol, _WATCH)
