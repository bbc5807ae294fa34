"""Functions that report or check the fault of another function: they are never the culprit (pure).

How names are written, and what the rest of the table is: see helpers.py.
"""

from typing import NamedTuple, Tuple


class Group(NamedTuple):
    """Functions that are passed over together."""

    name: str  # completes "past the … functions"
    reason: str
    names: str
    check: bool = False  # finds the mistake of its caller, and no compiler inlines it: part of a signature
    waiting: bool = False  # passed over only where a task waits (hung task, scheduling while atomic)
    leaking: bool = False  # passed over only where memory leaks
    anywhere: bool = False  # passed over in out-of-tree modules too
    tells: bool = False  # only reports what another function did
    idle: bool = False  # never the culprit of the last resort (first.py), unless the instruction pointer is in it


CHECKERS: Tuple[Group, ...] = (
    Group(
        "reporting",
        "They print the report or stop the kernel, once other code has found the fault.",
        """
        dump_(stack|stack_lvl|trace|backtrace|backtrace_entry|cpu_task|header|page) show_(stack|stack_log_lvl|regs)
        print_bad_pte vm_normal_(page|folio).* show_(regs_print_info|registers|trace_log_lvl|trace_log|state_filter)
        sched_show_task (un)?wind_backtrace (c|walk)_(backtrace|stackframe) printk(_.*)? vprintk(_.*)?
        console_(unlock|flush_all|emit_next_record) call_console_drivers (dev|netdev|xfs|drm_dev)_v?printk(_emit)?
        (dev|netdev)_(emerg|alert|crit|err|warn|notice|info) v?panic nmi_panic.* crash_kexec.* machine_kexec
        dev_driver_string crash_save_.* native_machine_crash_shutdown crash_setup_regs
        warn(_printk|_alloc|_alloc_show_mem|_bogus_irq_restore|_slowpath_.*)? report_bug.* handle_bug fixup_bug die
        die_(addr|body|header|kernel_fault) oops_(begin|end|enter|exit) page_fault_oops no_context add_taint bad_area.*
        kernelmode_fixup_or_oops bad_page_fault bad_kernel_fault do_kernel_fault do_bad_area arm64_notify_die
        (panic_)?bad_stack handle_bad_stack bad_mode handle_stack_overflow do_report_trap notify_die emergency_restart
        """,
        tells=True,
    ),
    Group(
        "stack unwinding",
        "They unwind a stack for a report, or for a checker that records who allocated what.",
        """
        arch_stack_walk.* stack_trace_(save|consume).* save_stack.* stack_depot_.* unwind_(next|start|get|done|init).*
        orc_(ftrace_|module_)?find stack_access_ok deref_stack_.* get_stack_info(_noinstr)? update_stack_state
        """,
    ),
    Group(
        "panic wrapping",
        "They report that a subsystem's data are broken and call panic() or BUG(): the caller found the fault.",
        """
        reiserfs_(panic|error|abort) ext[234]_(error|abort|handle_error|std_error).* ext4_grp_locked_error
        btrfs_(panic|handle_fs_error|abort_transaction) xfs_(error_report|corruption_error|do_force_shutdown) asswarn
        gfs2_(assert|consist|lm_withdraw|withdraw).* ocfs2_(error|abort) fat_fs_error hfsplus_error ntfs_(error|warning)
        jfs_error udf_err nilfs_error f2fs_stop_checkpoint skb_(over_|under_)?panic stack_chk_fail sysfs_warn_dup
        drm_err (.*_)?(ass(ert(ion)?)?_?fail(ed|ure)?|check_?fail(ed)?)(_.*)? (handle_)?cfi_(check_)?fail.*
        (cfi_)?slowpath_(diag|shadow)
        """,
    ),
    Group(
        "panic wrapping of ported code",
        "Layers that carry another system's code to Linux (SPL of ZFS, libcfs of Lustre) wrap panic() and waiting.",
        "spl_(panic|dumpstack) lbug_with_loc libcfs_(assertion|debug|call_trace).* v?cmn_err cv_(timed)?wait.*",
        anywhere=True,
    ),
    Group(
        "exception handling",
        "They lead from the faulting instruction to the report: the next frame faulted.",
        """
        (asm_)?exc_.* (trace_)?do_(async_)?page_fault (async_|trace_)?page_fault do_(user|kern)_addr_fault do_trap
        do_(error_trap|trap_no_signal|debug|mce|machine_check) machine_check mce_(panic|end) error_(entry|exit)
        (do_)?(invalid_op|general_protection|divide_error|double_fault|bounds|int3|overflow|stack_segment)
        (do_)?(alignment_check|coprocessor_error|simd_coprocessor_error|device_not_available) fixup_exception
        el[01][th]?(_64|_32)?_(sync|abort|da|ia|pc|undef|dbg|bti|inv|inval|error|fpac|mops|brk64)(_handler)?
        do_(mem_abort|translation_fault|alignment_fault|sea|sp_pc_abort|debug_exception|serror|undefinstr|bti)
        do_(tag_check_fault|tag_recovery|el1_.*) brk_handler (ubsan_|kasan_|cfi_)?bug_handler call_(undef|break)_hook
        (dabt|und|pabt)_(svc|usr) do_(Data|Prefetch)Abort do_und_.* do_trap_(insn|load|store|ecall|break|unknown).*
        (program_check|data_access|instruction_access|data_storage|alignment|emulation_assist)_.* handle_page_fault
        hash_page do_hash_.* exception(_pkey)? ret_from_except(_lite)? ret_from_exception pgm_check.* do_pgm_check
        do_(dat|protection|secure_storage|translation)_exception illegal_op data_exception
        (monitor_event|translation|addressing|operand|specification)_exception handle_exception
        """,
        tells=True,
    ),
    Group(
        "tracing and patching",
        "Thunks, trampolines and trace hooks that the compiler or the kernel puts between a caller and its callee.",
        """
        x86_(indirect|return)_.* srso_.* retbleed_.* entry_untrain_ret fentry mcount ftrace_.*(caller|call|stub)
        arch_ftrace_ops_list_func raw_callee_save_.* bpf_dispatcher_.* kprobe_ftrace_handler perf_trace_.*
        trace_event_(raw_event|buffer)_.* traceiter_.* bpf_trace_.* trace_call_bpf
        """,
    ),
    Group(
        "sanitizer",
        "Compiler instrumentation, and the run-time of KASAN, KMSAN, KCSAN, KFENCE, UBSAN, kcov: the caller errs.",
        """
        (hw|k)?asan_.* k?msan_.* kcsan_.* tsan_.* kfence_.* sanitizer_.* ubsan_.* write_comp_data instrument_.*
        check_memory_region(_inline)? check_region_inline memory_is_poisoned.* print_(report|address_description)
        (start|end)_report qlist_free_all quarantine_.* kmemleak_.* create_object
        (delete|lookup|find_and_(get|remove))_object.*
        handle_(overflow|null_ptr_deref|misaligned_access|object_size_mismatch|missing_return)
        """,
        tells=True,
    ),
    Group(
        "lock checking",
        "lockdep follows every lock and reports at the operation that completes the mistake.",
        """
        lock_(acquire|release|acquired|contended|downgrade|is_held|is_held_type|set_class|pin_lock|unpin_lock)
        lockdep_.* register_lock_class validate_chain check_(prev_add|prevs_add|noncircular|deadlock|irq_usage|usage)
        check_(wait_context|flags|no_locks_freed) mark_(lock|lock_irq|held_locks|usage) (find|match)_held_lock
        reacquire_held_locks valid_state zap_class debug_check_no_locks_(freed|held) static_obj print_.*_bug(_.*)?
        print_(bad_irq_dependency|lock_.*|collision|shortest_.*|irq.*) assign_lock_key hlock_class look_up_lock_class
        (lookup|add)_chain_cache.* (alloc|free)_(chain_hlocks|list_entry) add_lock_to_list check_usage_(for|back)wards
        check_(chain_key|lock_chain_key|no_collision) find_usage_.* count_(matching_names|(for|back)ward_deps)
        trace_(hard|soft)irqs_.* debug_(mutex|rt_mutex|rwsem|spin)_.* (spin|rwlock)_(bug|dump)
        """,
        check=True,
    ),
    Group(
        "reference counting",
        "A counter is wrong because a reference was taken or put once too often: by the caller, or before it.",
        """
        refcount_.* kref_.* ref_tracker_.* rcuref_.* lockref_.*
        percpu_ref_(get|put|tryget|kill|exit|init|resurrect|reinit)(_.*)? (drop|inc|clear|set)_nlink
        (try_)?module_(put|get)
        """,
        check=True,
    ),
    Group(
        "list checking",
        "lib/list_debug.c finds at the next operation that a list was damaged; its caller owns the list.",
        "list_(add|del|del_entry)(_valid|_valid_or_report)?",
        check=True,
    ),
    Group(
        "object checking",
        "debugobjects, hardened usercopy, FORTIFY_SOURCE, DMA debugging, checks of addresses: the caller misused them.",
        """
        debug_(print_object|object_.*|check_no_obj_freed) (timer|work|hrtimer|rcuhead)_is_static_object
        usercopy_(abort|warn) check_(object_size|heap_object|stack_object|page_span|kernel_text_object|copy_size)
        copy_overflow fortify_(panic|report) debug_dma_.* check_(unmap|sync|sg) add_dma_entry
        phys_addr(_nodebug|_symbol)? virt_addr_valid virt_to_phys(_nodebug)? clear_inode
        static_key_.*
        """,
        check=True,
    ),
    Group(
        "context checking",
        "They find that the caller may not sleep, be preempted, wait for other CPUs or use a per-CPU variable here.",
        """
        might_(sleep|resched|fault).* schedule_(bug|debug) check_preemption_disabled debug_smp_processor_id
        this_cpu_preempt_check cant_(sleep|migrate) kernel_(fpu|neon)_(begin|end)(_.*)? on_each_cpu(_.*)?
        smp_call_function_(single|many|any)(_.*)?
        """,
        check=True,
        idle=True,
    ),
    Group(
        "slab checking",
        "SLUB's consistency checks find a write outside of an object: the caller uses the object.",
        """
        object_err slab_(err|fix|bug|pad_check) check_(bytes_and_report|object|slab|valid_pointer|pad_bytes) on_freelist
        (alloc|free)_(debug_processing|consistency_checks) list_slab_objects free_partial
        print_(trailer|section|tracking|track|page_info|slab_info) kmem_cache_(close|shutdown) shutdown_cache bad_page.*
        cache_(free|alloc)_debugcheck.* (check|free)_(new_page|page_is_bad|page_bad|pages_check).*
        """,
        check=True,
    ),
)
