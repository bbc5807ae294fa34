"""Out-of-tree modules in reports without a list of modules: what the kernel said elsewhere in the log proves them."""

import pytest
import recorded

from kdumpwrap.culprit import blame, signature
from kdumpwrap.log import reader, strangers
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import LoadedModule, Log

STALL = """\
[  880.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:
[  880.000013] rcu: \t5-...0: (1 GPs behind) idle=7f1/1/0x4000000000000000 softirq=9021/9021 fqs=14210
[  880.000026] NMI backtrace for cpu 5
[  880.000039] CPU: 5 PID: 1420 Comm: wan_rx Tainted: G           OE    -------- -  - 4.18.0-477.el8.x86_64 #1
[  880.000052] RIP: 0010:wan_poll+0x17/0x40 [wan]
[  880.000065] Call Trace:
[  880.000078]  wan_rx_thread+0x2b/0x60 [wan]
[  880.000091]  kthread+0x134/0x150
"""
LOADED = "[    7.000000] wan: loading out-of-tree module taints kernel.\n"
BANNER = "[    0.000000] Linux version 4.18.0-477.el8.x86_64 (mockbuild@x) (gcc) #1 SMP\n"
QUIET = "".join(f"[    9.{i:06d}] usb 1-1: new high-speed USB device number {i}\n" for i in range(400))


def parse(text: str) -> Log:
    return reader.parse([text.encode()])


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("wan: loading out-of-tree module taints kernel.", "O"),
        ("wan: module license 'Proprietary' taints kernel.", "P"),
        ("wan: module verification failed: signature and/or required key missing - tainting kernel", "E"),
        ("wan: module verification failed: signature and/or  required key missing - tainting kernel", "E"),  # el7
    ],
)
def test_what_the_kernel_says_when_it_loads_a_module(text: str, flags: str) -> None:
    assert strangers.parse(text) == LoadedModule("wan", flags)
    (report,) = parse(f"[    7.000000] {text}\n{QUIET}{STALL}").reports
    assert report.modules == ()
    assert blame.suspect(Resolution.of(report)) == ("wan", flags, "wan_poll", None, None)


@pytest.mark.parametrize(
    "text",
    [
        "Disabling lock debugging due to kernel taint",
        "wan: module is from the staging directory, the quality is unknown, you have been warned.",
        "wan: loading test module taints kernel.",
        "wan: no symbol version for module_layout; kernel tainted.",
        "somebody wrote: loading out-of-tree module taints kernel.",
    ],
)
def test_other_words_prove_nothing(text: str) -> None:
    found = strangers.parse(text)
    assert found is None or found.name != "wan"
    (report,) = parse(f"[    7.000000] {text}\n{QUIET}{STALL}").reports
    assert blame.suspect(Resolution.of(report)) is None


def test_a_loop_has_one_culprit_and_one_suspect_whoever_finds_it() -> None:
    (stall,) = recorded.parse("el8-rcu-stall-other-cpu").reports
    (lockup,) = recorded.parse("el8-soft-lockup-same-loop").reports
    assert not stall.modules and lockup.modules
    for report in (stall, lockup):
        found = blame.culprit(Resolution.of(report))
        assert found is not None
        assert (found.symbol, found.why) == ("acme_ring_poll", "the out-of-tree code in which the CPU was")
        suspect = blame.suspect(Resolution.of(report))
        assert suspect is not None and (suspect.module, suspect.symbol) == ("acmewan", "acme_ring_poll")
    first, second = (signature.signature(report).text.partition(" ")[2] for report in (stall, lockup))
    assert first == second == "acme_rx_thread[acmewan]"


def test_an_unsigned_module_is_a_strangers_only_where_the_kernels_own_are_signed() -> None:
    line = "[    7.000000] wan: module verification failed: signature and/or required key missing - tainting kernel\n"
    built = STALL.replace("4.18.0-477.el8.x86_64", "6.12.9")
    assert blame.suspect(Resolution.of(parse(line + QUIET + STALL).reports[0])) is not None
    assert blame.suspect(Resolution.of(parse(line + QUIET + built).reports[0])) is None


def test_a_licence_is_proof() -> None:
    (report,) = recorded.parse("el8-hung-task-watcher-panics").reports
    assert blame.suspect(Resolution.of(report)) == ("acmefs", "P", "acmefs_lock_super", None, None)


def test_the_list_of_another_report_is_proof() -> None:
    warning, stall = recorded.parse("el9-stall-after-warning").reports
    assert warning.strangers == () and stall.modules == ()
    assert blame.suspect(Resolution.of(stall)) == ("acmelib", "OE", "acmelib_wait_bit", None, None)
    found = blame.culprit(Resolution.of(stall))
    assert found is not None and found.symbol == "acmelib_wait_bit"


def test_another_boot_proves_nothing() -> None:
    log = parse(BANNER + LOADED + QUIET + BANNER + QUIET + STALL)
    assert blame.suspect(Resolution.of(log.reports[0])) is None
    assert blame.suspect(Resolution.of(parse(BANNER + QUIET + BANNER + LOADED + QUIET + STALL).reports[0])) is not None


def test_one_sample_is_not_said_to_move() -> None:
    (report,) = parse(QUIET + STALL).reports
    found = blame.culprit(Resolution.of(report))
    assert found is not None and found.symbol == "wan_rx_thread"
    assert found.why == "the thread function that was called: the CPU was in it, or in what it called"


def test_a_flood_of_names_is_held_in_bounds() -> None:
    flood = "".join(f"[    7.000000] wan{i}: loading out-of-tree module taints kernel.\n" for i in range(5000))
    (report,) = parse(flood + STALL).reports
    assert len(report.strangers) == 1024
