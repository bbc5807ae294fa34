"""The tables of functions: each line of them earns its place, and none takes more than it should."""

import importlib
import itertools
import sys
from typing import Any, Iterable, Iterator, List, Tuple

import pytest

from kdumpwrap.culprit import dispatch, helpers
from kdumpwrap.log import symbolname

# the standard library's own parser of regular expressions moved in Python 3.11
sre_parse: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

TABLES = {"helpers": [group.names for group in helpers.GROUPS], "dispatch": [c.names for c in dispatch.CALLERS]}
GROUPS = [(table, index) for table, groups in TABLES.items() for index in range(len(groups))]


def spellings(parsed: Iterable[Tuple[Any, Any]]) -> Iterator[str]:
    """What a pattern of the tables may match: each branch, each option taken and not, ``.*`` as nothing or ``_q``."""
    parts: List[List[str]] = []
    for kind, value in parsed:
        name = str(kind)
        if name == "LITERAL":
            parts.append([chr(value)])
        elif name == "IN":
            parts.append([chr(c) for k, v in value for c in (range(v[0], v[1] + 1) if str(k) == "RANGE" else [v])])
        elif name == "BRANCH":
            parts.append([text for branch in value[1] for text in spellings(branch)])
        elif name == "SUBPATTERN":
            parts.append(list(spellings(value[3])))
        elif name == "MAX_REPEAT":
            low, _, body = value
            whole = ["_q"] if str(body[0][0]) == "ANY" else list(spellings(body))
            parts.append(whole if low else ["", *whole])
        else:
            raise AssertionError(f"{name}: keep the tables simple")
    return ("".join(choice) for choice in itertools.product(*parts))


@pytest.mark.parametrize(("table", "index"), GROUPS)
def test_each_pattern_matches_something_that_no_other_does(table: str, index: int) -> None:
    patterns = TABLES[table][index].split()
    assert len(set(patterns)) == len(patterns)
    for pattern in patterns:
        others = " ".join([*TABLES[table][:index], *(other for other in patterns if other != pattern)]).strip()
        texts = list(itertools.islice(spellings(sre_parse.parse(pattern)), 300))
        assert all(symbolname.matches(text, pattern) for text in texts if not text.startswith("_"))
        assert any(not others or not symbolname.matches(text, others) for text in texts), f"{pattern} is shadowed"


def wildcards(parsed: Iterable[Tuple[Any, Any]], inside: bool = False) -> int:
    """How many unbounded repetitions may follow each other; one in another counts as very many."""
    total = 0
    for kind, value in parsed:
        name = str(kind)
        if name == "MAX_REPEAT":
            endless = value[1] > 512
            total += 1000 if endless and inside else int(endless) + wildcards(value[2], inside or endless)
        elif name == "BRANCH":
            total += max(wildcards(branch, inside) for branch in value[1])
        elif name == "SUBPATTERN":
            total += wildcards(value[3], inside)
    return total


@pytest.mark.parametrize(("table", "index"), GROUPS)
def test_no_pattern_takes_long(table: str, index: int) -> None:
    slow = [pattern for pattern in TABLES[table][index].split() if wildcards(sre_parse.parse(pattern)) > 2]
    assert not slow


def test_a_name_too_long_for_a_kernel_is_not_even_tried() -> None:
    assert helpers.group("wait_" * 102, waiting=True) is not None
    assert helpers.group("wait_" * 1_000_000, waiting=True) is None
    assert dispatch.caller("notifier_call_chain" + "_x" * 1_000_000) is None


@pytest.mark.parametrize("table", [helpers.GROUPS, dispatch.CALLERS], ids=["helpers", "dispatch"])
def test_each_group_has_a_name_and_a_reason(table: Tuple[Any, ...]) -> None:
    titles = [row[0] for row in table]
    assert len(set(titles)) == len(titles)
    for row in table:
        assert row[0].strip()
        assert row.reason.endswith(".")
        assert len(row.reason.split()) > 5


# functions of every subsystem that look like machinery, and are where people should look
@pytest.mark.parametrize(
    "name",
    """
    vfs_write iterate_supers iterate_dir get_user_pages copy_page_range clear_page_dirty_for_io list_netdevice
    list_lru_add list_add_event xs_wake_up do_epoll_wait kernel_init_freeable mempolicy_slab_node sg_remove_request
    kfree_link kmalloc_oob_right get_user_ifreq put_user_ns lock_sock_nested rtnl_lock lock_mount __alloc_skb sk_free
    free_huge_page __kernfs_remove dma_pool free_netdev pcpu_balance_workfn rht_deferred_worker task_dump_owner
    printer_write panic_on_this_driver warn_user_draw read_lock_stat timer_settime wait_consider_task __put_task_struct
    iput dput mntput fput path_openat __netif_receive_skb_core sysrq_handle_crash hrtimer_nanosleep debugfs_create_file
        eeh_dev_check_failure
    """.split(),
)
def test_what_only_looks_like_machinery_is_not_passed_over(name: str) -> None:
    found = helpers.group(name)
    assert found is None, found


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("symbol", "plain", "lasting"),
    [
        ("__lock_acquire.constprop.0.isra.0", "__lock_acquire", "lock_acquire"),
        ("sched_show_task.cold.83", "sched_show_task", "sched_show_task"),
        ("do_one.llvm.1234567", "do_one", "do_one"),
        ("__pfx_foo", "foo", "foo"),
        ("__cfi_foo", "foo", "foo"),
        (".eeh_dev_check_failure", "eeh_dev_check_failure", "eeh_dev_check_failure"),
        ("__x64_sys_write", "__x64_sys_write", "sys_write"),
        ("__arm64_sys_write", "__arm64_sys_write", "sys_write"),
        ("SyS_write", "SyS_write", "sys_write"),
        ("ksys_write", "ksys_write", "sys_write"),
        ("__ia32_compat_sys_write", "__ia32_compat_sys_write", "sys_write"),
        ("bpf_prog_6deef7357e7b4530_sd_devices", "bpf_prog_6deef7357e7b4530_sd_devices", "bpf_prog_sd_devices"),
        ("bpf_trampoline_6442453466_1", "bpf_trampoline_6442453466_1", "bpf_trampoline"),
        ("", "", ""),
        ("...", "", ""),
    ],
)
def test_names(symbol: str, plain: str, lasting: str) -> None:
    assert symbolname.plain(symbol) == plain
    assert symbolname.lasting(symbol) == lasting


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("do_syscall_64", "system call"),
        ("el0_svc_common.constprop.0", "system call"),
        ("vfs_write", "operation of a file"),
        ("__x64_sys_ioctl", "operation of a file"),
        ("proc_reg_write", "handler of a pseudo file"),
        ("__sys_setsockopt", "operation of a socket"),
        ("netlink_rcv_skb", "netlink handler"),
        ("process_one_work", "work item"),
        ("ret_from_fork_asm", "thread function"),
        ("call_timer_fn", "timer function"),
        ("__do_softirq", "softirq"),
        ("__netif_receive_skb_list_ptype", "protocol handler"),
        ("__handle_irq_event_percpu", "interrupt handler"),
        ("nf_hook_slow", "hook"),
        ("task_work_run", "task work"),
        ("really_probe", "function of a driver"),
        ("smp_call_function_many_cond", "other CPU"),
    ],
)
def test_who_calls_what(name: str, calls: str) -> None:
    found = dispatch.caller(name)
    assert found is not None
    assert found.calls == calls


def test_what_does_not_call_back() -> None:
    names = "ext4_file_write_iter do_recvmmsg __x64_sys_recvmmsg entry_create_dir sysenter tcp_sendmsg"
    assert [name for name in names.split() if dispatch.caller(name)] == []


def test_the_way_into_an_interrupt() -> None:
    inside = (
        "apic_timer_interrupt asm_sysvec_apic_timer_interrupt el1h_64_irq ext_int_handler decrementer_common_virt nmi"
    )
    assert [name for name in inside.split() if not dispatch.is_interrupt(name)] == []
    assert not any(map(dispatch.is_interrupt, "hrtimer_interrupt tick_sched_timer ip_rcv asm_exc_page_fault".split()))
    assert all(map(dispatch.is_watch, "rcu_sched_clock_irq.cold print_other_cpu_stall watchdog_timer_fn panic".split()))
    assert not any(map(dispatch.is_watch, "rcu_core hrtimer_interrupt panic_drv".split()))
