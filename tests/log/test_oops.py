"""What the reports of recorded logs must say: the rules that decide, one test for each."""

from typing import Dict, List, Optional, Tuple

import pytest
import recorded

from kdumpwrap.log import reader
from kdumpwrap.model.log import Frame, Log, Report

# name: the kinds of its reports, and which of them brought the kernel down
KINDS: Dict[str, Tuple[str, Optional[int]]] = {
    "debian-6.1-null-deref": ("null-pointer", 0),
    "debian-6.1-page-fault-softirq": ("page-fault", 0),
    "debian-6.1-bug": ("bug", 0),
    "debian-6.1-list-corruption": ("bug", 0),
    "debian-6.1-divide": ("divide-error", 0),
    "debian-6.1-gpf-no-code": ("general-protection", 0),
    "debian-6.1-sysrq-panic": ("panic", 0),
    "debian-6.1-soft-lockup-panic": ("soft-lockup", 0),
    "debian-6.1-warning-then-oops": ("warning null-pointer", 1),
    "el6-null-deref": ("null-pointer", 0),
    "el6-warning": ("warning", None),
    "el6-hard-lockup": ("hard-lockup", None),
    "el6-hung-task": ("hung-task", None),
    "el7-double-fault": ("double-fault", 0),
    "el7-hard-lockup-panic": ("hard-lockup", 0),
    "el7-invalid-opcode": ("invalid-opcode", 0),
    "el7-mce-panic": ("machine-check", 0),
    "el7-ppc64le-oops": ("null-pointer", 0),
    "el7-s390x-oops-escaped": ("null-pointer", 0),
    "el7-soft-lockup": ("soft-lockup soft-lockup", None),
    "el7-lockdep": ("lockdep", None),
    "el7-slab": ("slab", None),
    "el8-atomic-sleep": ("atomic-sleep atomic-sleep", None),
    "el8-ppc64le-hard-lockup": ("hard-lockup", None),
    "el9-kasan": ("kasan", None),
    "el9-rcu-expedited": ("rcu-stall", 0),
    "el9-s390x-specification": ("oops", 0),
    "el9-stack-guard": ("stack-overflow", 0),
    "aarch64-stack-overflow": ("stack-overflow", 0),
    "el10-gpf": ("general-protection", 0),
    "el10-invalid-opcode": ("bug", 0),
    "interleaved-cpus": ("page-fault warning", 0),
    "lustre-lbug": ("panic", 0),
    "spl-verify": ("panic", None),
    "mce-corrected": ("machine-check", None),
    "fatal-warn-on-panic": ("warning", 0),
    "fatal-hung-task-panic": ("hung-task hung-task", 0),
    "fatal-fallout-after": ("null-pointer warning", 0),
    "fatal-nested-oops": ("null-pointer page-fault", 0),
    "fatal-second-boot": ("panic general-protection", 1),
    "not-fatal-life-goes-on": ("null-pointer", None),
    "none-boot": ("", None),
}


def first(name: str) -> Report:
    return recorded.parse(name).reports[0]


def search(report: Report) -> Tuple[str, ...]:
    return tuple(recorded.place(frame) for frame in report.trace)


@pytest.mark.parametrize("name", KINDS)
def test_kinds_and_the_fatal_one(name: str) -> None:
    log = recorded.parse(name)
    assert (" ".join(report.kind for report in log.reports), log.fatal) == KINDS[name]


@pytest.mark.parametrize(
    ("name", "panic"),
    [
        ("debian-6.1-soft-lockup-panic", "softlockup: hung tasks"),
        ("fatal-warn-on-panic", "panic_on_warn set ..."),
        ("fatal-hung-task-panic", "hung_task: blocked tasks"),
        ("el9-rcu-expedited", "RCU Stall"),
        ("el10-invalid-opcode", "Fatal exception"),
        ("el7-double-fault", "Machine halted."),
        ("el7-mce-panic", "Fatal machine check on current CPU"),
        ("aarch64-stack-overflow", "kernel stack overflow"),
        ("el7-s390x-oops-escaped", "Fatal exception: panic_on_oops"),
        ("debian-6.1-null-deref", None),
    ],
)
def test_a_panic_that_a_report_brought_about_is_a_fact_of_that_report(name: str, panic: Optional[str]) -> None:
    log = recorded.parse(name)
    assert log.fatal is not None
    assert log.reports[log.fatal].panic == panic
    assert "panic" not in [report.kind for report in log.reports]


def test_a_panic_about_something_else_is_a_report() -> None:
    text = (
        b"[1.000000] kernel BUG at a.c:1!\n"
        b"[1.000001] invalid opcode: 0000 [#1] SMP\n"
        b"[9.000000] Kernel panic - not syncing: LBUG\n"
    )
    log = reader.parse([text])
    assert [report.kind for report in log.reports] == ["bug", "panic"]
    assert log.fatal == 1


def test_an_oops_of_init_becomes_the_panic_of_its_death() -> None:
    text = (
        b"[1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000018\n"
        b"[1.000001] Oops: 0000 [#1] SMP\n"
        b"[1.000002] CPU: 0 PID: 1 Comm: init Not tainted 5.14.0-503.el9.x86_64 #1\n"
        b"[1.000003] ---[ end trace 0000000000000000 ]---\n"
        b"[%s] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009\n"
    )
    soon, late = reader.parse([text % b"1.100000"]), reader.parse([text % b"900.100000"])
    assert [(report.kind, bool(report.panic)) for report in soon.reports] == [("null-pointer", True)]
    assert [report.kind for report in late.reports] == ["null-pointer", "panic"]
    assert late.fatal == 1


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize(
    ("name", "caller"),
    [
        ("el7-ppc64le-oops", "wan_ctl+0x5c/0xd0 [xxxwan]"),
        ("el7-s390x-oops-escaped", "wan_ctl+0x28/0xa8 [xxxwan]"),  # from GPR 14 and the breaking event's name
        ("el9-aarch64-bug", "wan_rx+0x30/0x80 [xxxwan]"),
        ("riscv-oops", "wan_ctl+0x40/0xa2 [xxxwan]"),
        ("el7a-aarch64-page-fault", None),  # it is the next frame
        ("arm-oops", None),
        ("el9-s390x-specification", None),
        ("aarch64-stack-overflow", None),  # stale: in the function itself
        ("el8-s390x-bug", None),
    ],
)
def test_the_caller_of_a_leaf_stands_first_with_the_context_lr(name: str, caller: Optional[str]) -> None:
    trace = first(name).trace
    assert (recorded.place(trace[0]) if trace[0].context == "LR" else None) == caller
    assert "LR" not in [frame.context for frame in trace[1:]]


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("debian-6.1-null-deref", []),
        ("el9-aarch64-bug", ["wan_ring_check", "cpuidle_enter_state"]),  # the pc again; behind el1h_64_irq
        ("aarch64-stack-overflow", ["wan_recurse"]),  # behind __bad_stack
        ("aarch64-6.13-trace-notes", ["wan_timer"]),  # "(P)"
        ("el8-s390x-bug", ["psw_idle_exit"]),  # behind ext_int_handler; the first one is uncertain
        ("el9-refcount-warning", ["intel_idle"]),  # a nested RIP:
        ("kfence", ["wan_lookup"]),
        ("kmsan", []),
    ],
)
def test_frames_that_are_no_return_addresses_are_exact(name: str, exact: Tuple[str, ...]) -> None:
    assert [frame.symbol for frame in first(name).trace if frame.exact] == list(exact)


def test_powerpc_names_the_code_that_an_interrupt_hit() -> None:
    text = (
        b"WARNING: CPU: 1 PID: 4 at a.c:1 f+0x2c/0x70\nCall Trace:\n"
        b"[c000000005cd36b0] [c0000000000090a4] program_check_common+0x184/0x190\n"
        b"--- interrupt: 700 at f+0x2c/0x70\n    LR = g+0x19c/0x2d0\n"
        b"[c000000005cd36b0] [c000000000144264] h+0x94/0xa0\n--- interrupt: c01 at 0x100ceb70\n"
        b"NIP:  00000000100ceb70 LR: 00000000100ceb70 CTR: 0000000000000000\nNIP [00000000100ceb70] 0x100ceb70\n"
    )
    (report,) = reader.parse([text]).reports
    assert search(report) == ("program_check_common+0x184/0x190", "=f+0x2c/0x70", "h+0x94/0xa0")
    assert report.registers == ()


@pytest.mark.parametrize("name", ["el8-s390x-bug", "el9-kasan", "el6-warning", "kmsan"])
def test_an_instruction_pointer_behind_its_instruction_is_a_return_address(name: str) -> None:
    ip = first(name).ip
    assert ip is not None
    assert not ip.exact


@pytest.mark.parametrize(
    ("name", "uncertain"),
    [
        ("el7-ppc64le-oops", ["0xc000000210f93110"]),  # (unreliable)
        ("el7-s390x-oops-escaped", ["wan_ctl+0x18/0xa8 [xxxwan]"]),  # ([<…>] f)
        ("aarch64-6.13-trace-notes", ["call_timer_fn+0x3c/0x15c"]),  # "(L)", and the next frame says the same
        ("el7-null-deref", ["ns_capable+0x29/0x50"]),
        ("debian-6.1-sysrq-panic", ["_printk+0x68/0x83", "do_user_addr_fault+0x1b0/0x550"]),
    ],
)
def test_uncertain_frames(name: str, uncertain: List[str]) -> None:
    found = [recorded.place(frame)[1:] for frame in first(name).trace if not frame.certain]
    assert found[: len(uncertain)] == uncertain


def test_code_of_what_was_interrupted_is_not_the_reports() -> None:
    report = first("el9-refcount-warning")
    assert recorded.place(report.ip or Frame(None)) == "=refcount_warn_saturate+0xba/0x110"
    assert (report.code, report.registers) == (None, ())


def test_a_corrected_machine_check_is_a_report_only_where_nothing_else_is() -> None:
    corrected = recorded.data("mce-corrected")
    log = reader.parse([corrected + recorded.data("el8-atomic-sleep")])
    assert [report.kind for report in log.reports] == ["atomic-sleep", "atomic-sleep"]


def test_contexts_are_the_markers() -> None:
    contexts = {frame.symbol: frame.context for frame in first("el9-refcount-warning").trace}
    assert contexts == {
        "wan_session_put": "IRQ",
        "wan_timer": "IRQ",
        "asm_sysvec_apic_timer_interrupt": "TASK",
        "intel_idle": "TASK",
        "cpuidle_enter_state": "TASK",
    }
    assert [frame.context for frame in first("el7-rcu-stall").trace][4:7] == ["IRQ", None, None]  # <EOI>
    assert [frame.context for frame in first("el6-hard-lockup").trace][3:5] == ["NMI", None]  # <<EOE>>
    assert first("el7-double-fault").trace[0].context == "#DF"
    assert [frame.context for frame in first("aarch64-6.13-trace-notes").trace][:3] == [None, "LR", None]


def test_user_space_is_never_the_crash_site() -> None:
    report = first("el10-gpf")
    assert recorded.place(report.ip or Frame(None)) == "=wan_unlink+0x1a/0x50 [xxxwan]"
    assert dict(report.registers)["rax"] == 0xDEAD000000000100
    assert report.code is not None
    assert report.code.data[report.code.trap :][:4].hex() == "48895008"
    alone = reader.parse([b"general protection fault: 0000 [#1] SMP\nRIP: 0033:0x47b7a0\nRSP: 002b:00007ffdb46442b8\n"])
    assert (alone.reports[0].ip, alone.reports[0].registers) == (None, ())


def test_stacks_of_other_tasks_do_not_mix_in() -> None:
    assert [frame.symbol for frame in first("el9-kasan").trace][-2:] == ["wan_reap_work", "process_one_work"]
    assert search(first("rcu-stall-gp-kthread"))[:2] == ("dump_stack+0x111/0x171", "rcu_dump_cpu_stacks+0x1e8/0x226")
    assert search(first("fatal-hung-task-panic"))[2:] == ("wan_wait_idle+0x53/0x90 [xxxwan]",)
    assert search(first("kcsan"))[0] == "wan_update+0x6df/0x760 [xxxwan]"
    assert "lock_acquire+0x14f/0x3b0" not in search(first("el8-lockdep-state"))


def test_the_interrupted_code_of_a_stall_is_its_instruction_pointer() -> None:
    assert recorded.place(first("rcu-stall-gp-kthread").ip or Frame(None)) == "=wan_scan+0x12e/0x2a0 [xxxwan]"
    assert first("debian-6.1-sysrq-panic").ip is None


def test_a_call_through_a_null_pointer_keeps_its_address() -> None:
    ip = first("el7-null-function").ip
    assert ip is not None
    assert (ip.symbol, ip.runtime, ip.exact) == (None, 0, True)


# ---------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("name", "unit", "word"),
    [
        ("debian-6.1-page-fault-softirq", 1, "48015018"),
        ("el7a-aarch64-page-fault", 4, "440000b9"),  # printed (b9000044): in memory the low byte comes first
        ("el7-ppc64le-oops", 4, "180063e8"),
        ("el7-s390x-oops-escaped", 1, "9601201f"),
        ("arm-oops", 4, "1c0093e5"),
    ],
)
def test_code_is_in_the_order_of_memory(name: str, unit: int, word: str) -> None:
    code = first(name).code
    assert code is not None
    assert (code.unit, code.data[code.trap :][:4].hex()) == (unit, word)


def test_code_that_could_not_be_read_is_none() -> None:
    assert first("debian-6.1-gpf-no-code").code is None
    assert first("el7-null-function").code is None


@pytest.mark.parametrize(
    ("name", "fault", "access", "error"),
    [
        ("debian-6.1-null-deref", 0x10, "read", 0),
        ("el9-null-deref", 0x18, "write", 2),
        ("el7-null-function", 0, "execute", 0x10),
        ("el10-gpf", 0xDEAD000000000108, None, 0),
        ("el7a-aarch64-page-fault", 0xFFFF00000E240840, "write", 0x96000047),
        ("el7-s390x-oops-escaped", 0, "write", 4),
        ("el7-ppc64le-oops", 0x18, "read", None),
        ("arm-oops", 0x1C, "read", 0x17),
        ("riscv-oops", 0x1C, "read", None),
        ("el9-kasan", 0xFFFF8881075E07F0, "read", None),
        ("debian-6.1-bug", None, None, 0),
    ],
)
def test_fault_address_access_and_error_code(
    name: str, fault: Optional[int], access: Optional[str], error: Optional[int]
) -> None:
    report = first(name)
    assert (report.fault_address, report.access, report.error_code) == (fault, access, error)


@pytest.mark.parametrize(
    ("name", "cpu", "pid", "comm", "taint", "release"),
    [
        ("el7-null-deref", 1, 3026, "Wan Daemon [1]", "POET", "3.10.0-1160.el7.x86_64"),
        ("el6-null-deref", 1, 14045, "java", "P", "2.6.32-573.el6.x86_64"),
        ("el10-null-deref", 2, 132253, "kworker/u96:0", "GWOE", "6.12.0-55.9.1.el10_0.x86_64"),
        ("el7-s390x-oops-escaped", 1, 1931, "wand", "GFO", "3.10.0-54.0.1.el7.s390x"),
        ("el8-page-fault", 3, 2919, "wan_gc/14", "GOEX", "4.18.0-425.19.2.el8_7.x86_64"),
        ("el8-lockdep-state", None, 0, "swapper/30", "GW", "4.18.0-348.el8.x86_64+debug"),
        ("fatal-hung-task-panic", None, 1911, "wand", "GOE", "5.14.0-503.el9.x86_64"),  # not khungtaskd
        ("i386-oops", None, 2210, "wand", "", "2.6.32-71.el6.i686"),
        ("release-cut", 0, 0, "swapper/0", "GWOE", None),
        ("kcsan", 0, 4926, "wand", "", "6.12.0-wan"),
        ("spl-verify", 36, 44943, "mdt01_026", "POE", "3.10.0-1062.4.1.el7.x86_64"),
    ],
)
def test_who_ran_where(name: str, cpu: Optional[int], pid: int, comm: str, taint: str, release: Optional[str]) -> None:
    report = first(name)
    assert (report.cpu, report.pid, report.comm, report.taint, report.release) == (cpu, pid, comm, taint, release)


def test_modules_with_their_flags() -> None:
    flags = {module.name: module.flags for module in first("el7-null-deref").modules}
    assert (flags["xxxwan"], flags["sd_mod"], flags["tun"]) == ("POE", "OE+", "")
    assert "xxxold" not in flags  # it is the last that was unloaded
    assert first("el6-null-deref").modules[0].flags == "PU"


def test_what_else_the_lines_say() -> None:
    report = first("el10-null-deref")
    assert report.hardware == "Dell Inc. PowerEdge R740/0DY2X0, BIOS 2.12.2 07/09/2021"
    assert report.workqueue == "wan wan_service_task [xxxwan]"
    assert [flag.flag for flag in report.taints] == list("GWOE")
    frame = first("console-levels-callers").trace[0]
    assert (frame.module, frame.module_build_id) == ("xxxwan", "0123456789abcdef0123456789abcdef01234567")


def log_of(name: str) -> Tuple[Optional[str], Optional[str], Optional[int]]:
    log = recorded.parse(name)
    return log.release, log.arch, log.kernel_offset


def test_the_log_tells_release_machine_and_offset() -> None:
    assert log_of("none-boot") == ("5.14.0-503.el9.x86_64", "x86_64", None)  # from the banner
    assert log_of("el10-invalid-opcode") == ("6.12.0-124.el10.x86_64", "x86_64", 0x2600000)
    assert log_of("el7a-aarch64-page-fault") == ("4.14.0-49.el7a.aarch64", "aarch64", 0)  # "disabled"
    assert log_of("fatal-second-boot")[0] == "5.14.0-503.el9.x86_64"  # the boot that the fatal report belongs to


def test_lines_are_those_of_the_file() -> None:
    lines = recorded.data("debian-6.1-warning-then-oops").split(b"\n")
    for report in recorded.parse("debian-6.1-warning-then-oops").reports:
        assert report.headline.encode() in lines[report.line - 1]
        assert report.last_line is not None
    second = recorded.parse("debian-6.1-warning-then-oops").reports[1]
    assert second.time == pytest.approx(7.582821)
    assert lines[(second.last_line or 0) - 1].endswith(b"CR2: 0000000000000010")


def test_no_bytes_no_reports() -> None:
    assert reader.parse([]) == reader.parse([b""]) == Log()
