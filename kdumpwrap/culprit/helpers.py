"""Functions that act for their callers: they are never the culprit, and each group has a reason (pure).

An oops in ``memcpy`` is seldom the fault of ``memcpy``: it was handed a bad pointer. Each group below holds functions
that act on what their caller hands them, or that report what other code has found. A person should look at the frame
past them first. Each name is listed for what the function does in any kernel from 2.6.32 to today. dispatch.py lists
the functions that call back (``process_one_work``, ``call_timer_fn``).

Names are regular expressions, split by blanks, that must match a whole name as `symbolname.bare` gives it: without
compiler suffix and leading underscores, so that ``lock_acquire`` stands for ``__lock_acquire`` too.
"""

from functools import lru_cache
from typing import Optional, Tuple

from kdumpwrap.culprit.checkers import CHECKERS, Group
from kdumpwrap.log import symbolname

__all__ = ["GROUPS", "Group", "group"]

GROUPS: Tuple[Group, ...] = (
    *CHECKERS,
    Group(
        "spin locking",
        "A spinlock waits for its owner, or faults on the object it lies in: the caller chose lock and object.",
        """
        (do_|rt_)?(raw_)?(spin|read|write)_(try|un)?lock(_(bh|init|irq|irqsave|irqrestore|nested|nest_lock|flags|slow.*|failed|irqsave_.*))?
        bit_spin_.* lock_text_start console_(try)?lock (native_|pv_)?queued_(spin|read|write)_(un)?lock(_.*)?
        pv_(wait|kick|hash|unhash).* slowpath bust_spinlocks
        (kvm|xen|hv)_(wait|kick_cpu|lock_spinning|qlock_kick|qlock_wait) ticket_spin_.* osq_.* mcs_spin_.*
        atomic_dec_and_.*lock.* (read|write)_seq.* seqprop_.* raw_spin_rq_lock.* double_rq_lock task_rq_lock
        lock_task_sighand
        """,
    ),
    Group(
        "sleeping lock",
        "mutex, rwsem, semaphore, rt_mutex: they fault on the object they lie in, or wait for the owner.",
        """
        (ww_|rt_)?mutex_.* rwsem_.* ldsem_.* rwbase_.* call_rwsem_.* (percpu_)?(down|up)(_(read|write|common).*)?
        remove_waiter down_(interruptible|killable|timeout|trylock) percpu_rwsem_.* owner_on_cpu task_blocks_on_rt_mutex
        mmap_(read|write)_(try|un)?lock.*
        """,
    ),
    Group(
        "RCU",
        "Entering, leaving and waiting for RCU sections; the caller owns the object or the section.",
        """
        s?rcu_read_.* call_s?rcu(_.*)? k?v?free_call_rcu synchronize_(rcu|srcu|sched|net|rcu_bh)(_.*)? wait_rcu_gp
        rcu_(note_context_switch|is_watching|barrier|segcblist_.*|cblist_.*|all_qs|qs|lock_.*|exp_.*|gp_is_.*|sync_.*)
        sync_rcu_.* cond_synchronize_.*
        """,
    ),
    Group(
        "scheduling",
        "Giving up the CPU and waking tasks: the frames below show what the task waits for.",
        """
        schedule(_(timeout|preempt_disabled|hrtimeout|rtlock|idle).*)? io_schedule.* preempt_schedule.* cond_resched.*
        context_switch switch_to(_asm)? (finish_task|prepare_task)_switch (do_)?sched_yield yield(_to)?
        migrate_(en|dis)able try_to_wake_up wake_up(_.*)? (default|autoremove|woken)_wake_function ttwu_.* swake_up.*
        wake_q_.* complete(_all)? (prepare_to|finish|init|add|remove|abort_exclusive)_s?wait(_.*)?
        preempt_count_(add|sub) (m|u|s|ss|f)sleep(_.*)?
        """,
        idle=True,
    ),
    Group(
        "completion",
        "Waiting until other code is done: the caller chose what to wait for.",
        "(do_)?wait_for_(common|completion).* do_wait_intr.* wait_on_bit.* out_of_line_wait_on_.*",
    ),
    Group(
        "page lock",
        "Locking a page or a buffer, or waiting for its I/O: the caller knows which one.",
        """
        (un)?lock_(page|buffer)(_.*)? sync_(page|buffer)(_killable)? folio_((un)?lock|wait|wake)(_.*)?
        wait_on_(page|buffer).*
        """,
    ),
    Group(
        "timer",
        "Arming and cancelling timers: the caller owns the timer, and its memory.",
        """
        (add|del|mod|init|setup|try_to_del)_timer(_.*)? timer_(delete|shutdown|reduce|fixup|debug).* enqueue_timer
        del_singleshot_timer_sync internal_(add|mod)_timer detach_(timer|if_pending|expired_timer) lock_timer_base
        calc_wheel_index hrtimer_(start|cancel|try_to_cancel|init|setup|reprogram|sleeper).* (en|de)queue_hrtimer
        remove_hrtimer lock_hrtimer_base timerqueue_.*
        """,
    ),
    Group(
        "workqueue",
        "Flushing and cancelling work: the caller owns the work item, and waits for it or misuses it.",
        """
        (flush|cancel)_(delayed_)?work(_sync|_timer)? (flush|drain)_workqueue start_flush_work try_to_grab_pending
        queue_(delayed_|rcu_)?work(_on|_node)? mod_delayed_work(_on)? destroy_workqueue kthread_(un)?(stop|park)
        insert_(work|wq_barrier) init_work schedule_on_each_cpu check_flush_dependency get_work_pool
        schedule_(delayed_)?work(_on)? kthread_(queue|flush|cancel|mod)_.* irq_work_(queue|sync|claim).*
        tasklet_(kill|schedule|hi_schedule|schedule_common|unlock_.*) task_work_(add|cancel).*
        """,
    ),
    Group(
        "allocator",
        "kmalloc, slab, pages, vmalloc, per-CPU memory, pools: they fault on memory freed twice or overwritten.",
        """
        (do_)?k(m|z|c|vm|vz|vc|re|vre)alloc(_(node|track_caller|caller|trace|large|order|array|noprof|cache|nolock))*
        k?[vz]?free(_(const|sensitive|bulk|atomic|mightsleep|rcu|hook))? vfree_.* vunmap(_.*)? kmem_cache_.*
        slab_(alloc|free|post_alloc|pre_alloc|out_of_memory|update).* allocate_slab new_slab(_objects)?
        get_freepointer.* freelist_.* deactivate_slab get_partial.* init_object set_track.* slob_.* discard_slab
        free_(to_partial_list|large_kmalloc|slab|block|pcppages_bulk|one_page|unref_.*|frozen_.*|pcp_.*)
        cache_(alloc|free|grow|flusharray).* fallback_alloc drain_(array|alien_cache|local_pages|pages|freelist)
        memcg_(slab|kmem|alloc_slab).* obj_cgroup_(charge|uncharge|alloc|free).* alloc_(pages?|frozen_pages|folio)(_.*)?
        folio_alloc(_noprof)? vma_alloc_.* get_page_from_freelist (prep_new_page|post_alloc_hook) rmqueue.*
        get_(free_pages|zeroed_page) free_(hot_cold_)?pages?(_.*)? (folio_)?put(_compound)?(_pages?)?(_list)?
        release_pages folios_put.* (pagevec|folio_batch)_release kmalloc_(slab|reserve) (alloc|new)_inode(_.*)?
        iget5?_locked(_.*)? page_frag_.* vm(alloc|ap)(_.*)? vz?alloc(_node)? get_vm_area.*
        (alloc|free|find|remove)_(vmap|vm)_area.* purge_vmap_area_lazy pcpu_(alloc|free|populate|create|block|chunk).*
        alloc_percpu.* free_percpu mempool_.* devm_k.* devres_(alloc|free|add).* k(mem|str|strn)dup.* kv?asprintf.*
        (v?mem|strn)dup_user(_nul)? sock_k[mz]alloc
        """,
    ),
    Group(
        "memory copying",
        "Copying, filling, comparing and printing memory with pointers and lengths that the caller hands over.",
        """
        (pi_)?mem(cpy|move|set|cmp|chr|scan)(_(erms|orig|inv|rep|flushcache|and_pad|io|fromio|toio|explicit|mcsafe))?
        mem(set|cpy)_?(16|32|64|io)(_.*)? memcpy_(fromio|toio|sglist|from_page|to_page) memzero_explicit
        (pi_)?str(len|nlen|cmp|ncmp|casecmp|ncasecmp|cpy|ncpy|lcpy|scpy|scpy_pad|cat|ncat|lcat|chr|rchr|chrnul|nchr)
        str(str|nstr|sep|spn|cspn|pbrk|im|replace|reverse) sized_strscpy.* stpcpy skip_spaces full_name_hash
        sg_(p?copy|zero)_.* nla_(put|reserve|memcpy|memcmp|strcmp|strscpy|strlcpy|append)(_.*)?
        copy_(to|from|in)_user(_.*)? copy_user(_.*)? copy_mc_.* rep_(movs|stos)_alternative raw_copy_.*
        (get|put|clear)_user(_(nocheck_|asm_|erms|original|rep_good)?[0-9a-z]?)?
        (copy|clear)_(huge_)?(high)?page(_(erms|orig|rep|mc))? copy_(to|from)_iter(_.*)? simple_copy_to_iter iov_iter_.*
        copy_page_(to|from)_iter.* copy(in|out) iterate_(and_advance|iovec|bvec|kvec|xarray|all_kinds).*
        csum_(partial|and_copy).* do_csum ip_fast_csum copy_(from|to)_kernel_nofault.* probe_kernel_.* strncpy_from_.*
        strnlen_user fault_in_.* read_word_at_a_time (read|write)_once_size(_nocheck)? get_unaligned_.* put_unaligned_.*
        v?s[cn]?n?printf format_decode string(_nocheck)? number pointer va_format put_dec.* v?sscanf ptr_to_id
        (widen|hex|symbol|error|mac_address|ip[46]|ip[46]_addr|uuid|resource|bitmap|flags|device_node|fwnode)_string(_sa)?
        (dentry|file_dentry|bdev)_name check_pointer(_msg)? (k|simple_)strto.* seq_(v?printf|puts|putc|write|pad)
        seq_(put_.*|escape.*|path.*|hex_dump) hex_dump_to_buffer print_hex_dump.* crc(16|32c?|_ccitt|_t10dif)(_.*)?
        crc_[0-9]+ crypto_(shash|ahash)_(init|update|final|finup|digest)(_.*)? jhash.*
        (memcpy|copy_tofrom_user|copypage)_(power7|base)
        """,
    ),
    Group(
        "data structure",
        "Lists, trees, hash tables, bitmaps and atomics that are only as sound as the objects their caller linked.",
        """
        list_(add|del|move|replace)(_(tail|rcu|tail_rcu|init|init_rcu|init_careful))?
        list_(bulk_move|splice|empty|rotate)_.* list_sort (h|k|p|l)list_.* interval_tree_.*
        rb_(erase|insert|next|prev|first|last|replace_node|link|add|find)(_.*)? radix_tree_.* x(a|as)_.* id[ra]_.*
        mas_.* mtree_.* rht_(bucket|key|lock|unlock|ptr|assign|head).* rh(ash|l)table_.* assoc_array_.* btree_.*
        kfifo_.* sbitmap_.* bitmap_.* (test|set|clear|change)_bit(_.*)? test_and_.*_bit(_.*)?
        (arch|const|constant|generic|variable)_.*_bit find_(next|first|last|nth)_.*bit.* hweight.* sort(_r)? bsearch
        percpu_counter_.* u64_stats_.* page_counter_.*
        (arch_|raw_|ll_sc_|lse_)*atomic(64|_long)?_(dec|inc|read|set|x?or|and|andnot|add|sub|fetch|xchg|cmpxchg|try).*
        (this_cpu|local)_(add|sub|inc|dec|read|write|cmpxchg).* sg_(next|last|init_.*|miter_.*|nents.*)
        """,
    ),
    Group(
        "interrupt flags",
        "Enabling and disabling interrupts and softirqs, and short delays: they are part of the caller's section.",
        """
        (arch_|raw_)?local_(irq|save|bh)_.* native_(irq|save|restore)_.* (pv_native_)?irq_(en|dis)able
        irqentry_(enter|exit) (const_)?[un]?delay delay_(tsc|loop|halt.*|mwaitx)
        """,
    ),
    Group(
        "MSR access",
        "Reading and writing a model-specific register of the CPU: the caller chose the register and the value.",
        "native_(read|write)_msr(_safe)?",
    ),
    Group(
        "register access",
        "Reading and writing a register of a device: the driver chose it, mapped it, and may have unmapped it.",
        """
        io(read|write)(8|16|32|64)(_rep|_lo_hi|_hi_lo|be.*)? regmap_(read|write|update|bulk|raw|field)(_.*)?
        """,
    ),
    Group(
        "registration",
        "Names, references and events of devices, sysfs and proc files: the caller registers or removes them.",
        """
        kobject_.* kset_.* kobj_(child_ns_ops|ns_ops|kset_.*) add_uevent_var (get|put)_device
        sysfs_(do_)?create_(dir_ns|link.*) proc_(register|create.*|mkdir.*) sysfs_remove_.*
        (device_remove|sysfs_add)_file(_.*)? proc_remove remove_proc_(entry|subtree) (dpm|bus|class)_sysfs_.*
        sysfs_(create|update|merge|unmerge|add)_(file|bin_file|group|mount)s?(_.*)? (create|remove)_files
        kernfs_(find|name|add)(_.*)?
        kernfs_remove_(by_name|self)(_ns)? cdev_(device_)?(add|del)
        device_(add|del|register|unregister|initialize|create|create_with_groups|create_vargs|create_groups_vargs|destroy)
        """,
    ),
    Group(
        "device resource",
        "Interrupts, DMA and register mappings, clocks, regulators: the driver takes and releases them.",
        """
        (en|dis)able_irq(_.*)? free_irq request_(threaded_|percpu_)?irq dma_(direct_)?(map|unmap|alloc|free|sync)_.*
        dma_pool_.* swiotlb_.* io(re|un)map(_.*)? (pci|of|platform|devm)_io(re|un)?map.* mem(re|un)map(_.*)?
        clk_(core_)?(un)?(prepare|dis|en)(able)?(_.*)? regulator_(put|(en|dis)able)(_.*)? iommu_dma_.*
        (alloc|free)_iova(_fast)?
        pci_(en|dis)able_(msix?|device)(_.*)? pci_(alloc|free)_irq_vectors(_.*)?
        (pci_)?free_msi_irqs (pci_)?msix?_(domain|setup|capability)_.*
        irq_domain_(alloc|free|activate|deactivate|associate)_.*
        (irq_)?(alloc|free)_descs? (un)?register_(irq|handler)_proc
        """,
    ),
    Group(
        "socket buffer",
        "Growing, shrinking and freeing of an skb that the caller built or should have kept.",
        """
        skb_(put|push|pull|trim)(_.*)? (dev_)?(kfree|consume)_skb(_.*)? napi_consume_skb skb_release_(head_state|all)
        p?skb_(expand_head|pull_tail|ensure_writable|copy_bits|cow(_.*)?)
        """,
    ),
    Group(
        "network device",
        "The network core checks how a driver turns its polling and its queues on and off.",
        "napi_(enable|disable|schedule|complete)(_.*)?",
    ),
    Group(
        "buffer",
        "The block layer checks a buffer whose state the file system keeps.",
        "submit_bh(_wbc)? mark_buffer_dirty(_.*)?",
    ),
    Group(
        "USB request",
        "The USB core checks and waits for a request (URB) that a driver filled in.",
        """
        usb_(submit|kill|poison|unlink)_urb usb_hcd_(submit|unlink)_urb usb_start_wait_urb
        usb_(control|bulk|interrupt)_msg(_.*)?
        """,
    ),
    Group(
        "object creation",
        "They allocate an object of the core for the caller: the caller lost the memory that leaks.",
        """
        ((net)?dev_|napi_|sock_)?(alloc|build)_skb(_.*)? sock_alloc_send_p?skb sk_(prot_)?alloc bio_alloc(_.*)?
        alloc_(netdev|etherdev)_mqs? vm_area_(alloc|dup) alloc_(buffer_head|page_buffers|file|empty_file)(_.*)?
        d_alloc(_.*)? skb_(clone|copy)(_.*)? pskb_.*copy.* (create|alloc)_(workqueue|worker)
        """,
        leaking=True,
    ),
    Group(
        "waiting",
        "A task that hangs is in a wait function: the caller chose to wait.",
        """
        (.*_)?(timed)?wait(_.*)? (.*_)?fdatawait(_.*)? sleep_on_.* synchronize_.* rcu_barrier_.*
        kthread_(stop|park|create).* do_read_cache_(page|folio) refrigerator try_to_freeze freezing_slow_path
        blk_(mq_)?(freeze|quiesce|drain)_queue(_.*)?
        """,
        waiting=True,
    ),
)


@lru_cache(maxsize=1 << 15)
def group(symbol: str, waiting: bool = False, leaking: bool = False) -> Optional[Group]:
    """The group that passes ``symbol`` over, or None. ``waiting``, ``leaking``: the groups for such reports count."""
    groups = (group for group in GROUPS if (waiting or not group.waiting) and (leaking or not group.leaking))
    return next((group for group in groups if symbolname.matches(symbol, group.names)), None)
