"""The sentences that say why: the right register, the right address, the right cause, and on what they rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import handmade
import pytest
import recorded
from conftest import Lab, RunCli

from kdumpwrap.explain import access, reasons
from kdumpwrap.log import reader
from kdumpwrap.model.kernel import Instruction, Location, Resolution, ResolvedFrame, Source
from kdumpwrap.model.log import Message

IP = ResolvedFrame("f", 0x20, 0x100, exact=True)


def rows(*texts: str, fault: int = -1, start: int = 0x1000) -> Tuple[Instruction, ...]:
    """Instructions of four bytes each; ``fault`` is the place of the marked one."""
    place = fault % len(texts)
    return tuple(
        Instruction(start + 4 * n, b"\x90" * 4, text, "net/f.c", 100 + n, fault=n == place)
        for n, text in enumerate(texts)
    )


def report(*texts: str, kind: str = "page-fault", arch: str = "x86_64", fault: int = -1, **more: Any) -> Resolution:
    registers = tuple((name, value) for name, value in more.pop("registers", {}).items())
    shown = rows(*texts, fault=fault) if texts else ()
    more.setdefault("ip", IP)
    facts = {"kind": kind, "headline": "BUG", "arch": arch, "registers": registers, "disassembly": shown, **more}
    return handmade.finding(**facts).resolution


def told(*texts: str, **more: Any) -> str:
    return "\n".join(reasons.explain(report(*texts, **more)))


# ---------------------------------------------------------------- accesses


def test_a_member_of_null() -> None:
    text = told("mov 0x10(%rdi),%rax", registers={"rdi": 0}, fault_address=0x10, kind="null-pointer", access="read")
    assert "mov 0x10(%rdi),%rax reads 8 bytes at 0x10 (rdi 0x0 + 0x10), the address in CR2" in text
    assert "rdi is NULL" in text
    assert "NULL + 0x10" in text


def test_the_effective_address_is_checked_against_the_log() -> None:
    text = told("add %rdx,0x18(%rax)", registers={"rax": 0xFFFFAB6EB1645678}, fault_address=0xFFFFAB6EB1645690)
    assert "0xffffab6eb1645690 (rax 0xffffab6eb1645678 + 0x18), the address in CR2" in text
    other = told("add %rdx,0x18(%rax)", registers={"rax": 0xFFFFAB6EB1645678}, fault_address=0xFFFF888000000000)
    assert "do not agree" in other


def recorded_with(name: str, *texts: str, fault: int = -1) -> str:
    """What is said of the recorded log's last report when its instructions are ``texts``."""
    known = Resolution.of(recorded.parse(name).reports[-1])
    shown = known._replace(disassembly=rows(*texts, fault=fault) if texts else ())
    return "\n".join(reasons.explain(shown))


def test_el8_names_the_base_alone_of_a_general_protection_fault() -> None:
    text = recorded_with("el8-gpf-base-address", "mov 0x28(%rdi),%rdx", "mov 0x10(%rdx),%eax")
    assert (
        "reads 4 bytes at 0x6b6b6b6b6b6b6b7b (rdx 0x6b6b6b6b6b6b6b6b + 0x10); the log names 0x6b6b6b6b6b6b6b6b" in text
    )
    assert "the address without the displacement 0x10" in text
    assert "rdx holds 0x6b6b6b6b6b6b6b6b: POISON_FREE" in text and "0x10 bytes into it" in text
    assert "CR2" not in text and "agree" not in text
    # without the instruction it is not said that the address itself was accessed
    assert "An access by way of 0x6b6b6b6b6b6b6b6b failed" in recorded_with("el8-gpf-base-address")


def test_newer_kernels_name_the_whole_address() -> None:
    text = told(
        "mov 0x10(%rdx),%eax",
        kind="general-protection",
        fault_address=0x6B6B6B6B6B6B6B7B,
        registers={"rdx": 0x6B6B6B6B6B6B6B6B, "cr2": 0x559C5A},
    )
    assert text.startswith("mov 0x10(%rdx),%eax reads 4 bytes at 0x6b6b6b6b6b6b6b7b")
    assert "the address that the log names." in text


def test_an_address_that_no_operand_has_is_told_without_cr2() -> None:
    text = told(
        "mov 0x10(%rdx),%eax", kind="general-protection", fault_address=0xDEAD000000000100, registers={"rdx": 0x1000}
    )
    assert "the log names 0xdead000000000100, which is another address" in text
    assert "CR2" not in text


def test_index_and_scale() -> None:
    text = told("mov (%rdi,%rax,8),%rcx", registers={"rdi": 0xDEAD00000000, "rax": 0x7C}, fault_address=0xDEAD000003E0)
    assert "0xdead000003e0 (rdi 0xdead00000000 + rax 0x7c * 8)" in text
    assert "non-canonical" in text


def test_a_freed_object() -> None:
    text = told("mov 0x18(%rbx),%rax", registers={"rbx": 0x6B6B6B6B6B6B6B6B}, kind="general-protection")
    assert "rbx holds 0x6b6b6b6b6b6b6b6b: POISON_FREE" in text
    assert "0x18 bytes into it" in text


def test_an_error_that_was_taken_for_a_pointer() -> None:
    text = told("cmp %rsi,0x58(%rdx)", registers={"rdx": (1 << 64) - 2}, fault_address=0x56, kind="null-pointer")
    assert "ERR_PTR(-2), -ENOENT" in text
    assert "0x58 bytes into it" in text


def test_an_emulated_cpu_is_told_from_a_real_one() -> None:
    common = {"registers": {"rax": 0xFFFF888000000000}, "fault_address": 0xFFFF888000000000, "error_code": 0}
    text = told("addq $0x1,(%rax)", access="read", **common)
    assert "says a read, though the instruction also writes" in text
    assert "emulated" in text
    assert "emulated" not in told("mov (%rax),%rbx", access="read", **common)
    differing = told("mov %rbx,(%rax)", access="read", **common)
    assert "says a read; the instruction is a write" in differing


def test_rights_that_the_error_code_names() -> None:
    common = {"registers": {"rax": 0xFFFFFFFF82000000}, "fault_address": 0xFFFFFFFF82000000}
    assert "may not be written" in told("mov %rbx,(%rax)", access="write", error_code=3, **common)
    assert "reserved bit" in told("mov (%rax),%rbx", access="read", error_code=9, **common)


def test_the_guard_page_under_the_stack() -> None:
    text = told("call *%rax", kind="stack-overflow", registers={"rax": 1, "rsp": 0xFFFFAD5F441DC000})
    assert "writes 8 bytes at 0xffffad5f441dbff8" in text
    assert "guard page" in text


def test_the_push_of_the_faults_own_frame() -> None:
    body = ("xor %eax,%eax", "mov %cl,(%rsp,%rdx,1)")
    text = recorded_with("el8-stack-overflow-push", *body)
    assert "writes 1 byte at 0xffffb1a1c8b33fd8" in text
    assert "CR2 0xffffb1a1c8b33fc8 is where the CPU then pushed that fault's own frame, just below rsp" in text
    assert "agree" not in text
    # 16 bytes elsewhere it is another matter
    assert "do not agree" in told(*body, kind="double-fault", fault_address=0x1FE0, registers={"rsp": 0x2008, "rdx": 0})


def test_a_jump_to_null_names_the_caller() -> None:
    above = ResolvedFrame("send4", 0xF2, 0x1B0, "xxxwan", locations=(Location("send4", "xxxwan.c", 107),))
    text = told(ip=ResolvedFrame(None, runtime=0, exact=True), trace=(above,), kind="null-pointer", access="execute")
    assert "The CPU was sent to 0x0: NULL, as by a function pointer that is not set (the instruction pointer)." in text
    assert "send4 [xxxwan] (xxxwan.c:107)" in text


def test_a_jump_to_freed_memory() -> None:
    text = told(ip=ResolvedFrame(None, runtime=0x6B6B6B6B6B6B6B6B, exact=True), kind="general-protection")
    assert "POISON_FREE" in text


def test_a_register_that_an_msr_is_named_by() -> None:
    assert "0x1b" in told("wrmsr", kind="general-protection", registers={"rcx": 0x1B})


# ---------------------------------------------------------------- where it came from


def test_a_per_cpu_pointer_without_its_offset() -> None:
    text = told(
        "mov 0x510(%r12),%rax",
        "add %gs:0x7e772065(%rip),%rax",
        "add %rdx,0x18(%rax)",
        registers={"rax": 0xFFFFAB6EB1645678, "r12": 0xFFFF8B6E82904000, "gs": 0xFFFF8B6E9F300000},
        fault_address=0xFFFFAB6EB1645690,
    )
    assert "per-CPU pointer is 0x200012345678" in text
    assert "loaded from 0x510(%r12) at 0xffff8b6e82904510" in text
    assert "net/f.c:100" in text


def test_an_argument_is_the_callers() -> None:
    above = ResolvedFrame("caller", 0x10, 0x20, locations=(Location("caller", "net/g.c", 7),))
    text = told(
        "push %rbx",
        "mov %rdi,%rbx",
        "mov 0x10(%rbx),%rax",
        ip=ResolvedFrame("f", 8, 0x40, exact=True),
        registers={"rbx": 0, "rdi": 5},
        fault_address=0x10,
        trace=(above,),
    )
    assert "copied from rdi" in text
    assert "first argument of the function (rdi): it was passed by caller (net/g.c:7)" in text


def test_a_constant_is_the_codes_own() -> None:
    shown = "mov $0xfee1deb5,%eax", "movl $0x1,(%rax)"
    text = told(*shown, registers={"rax": 0xFEE1DEB5}, fault_address=0xFEE1DEB5)
    assert "The code itself put the constant 0xfee1deb5 in rax, net/f.c:100." in text
    copied = told("xor %ecx,%ecx", "mov %rcx,%rax", "movl $0x1,(%rax)", registers={"rax": 0}, fault_address=0)
    assert "rax was copied from rcx, net/f.c:101; before that it was set to 0, net/f.c:100." in copied
    assert "the kernel may use it only through copy_to_user() and the like; or it is no pointer at all." in text


def test_what_a_call_returned() -> None:
    text = told("call 2000 <lookup>", "mov 0x8(%rax),%rdx", registers={"rax": 0}, fault_address=8)
    assert "rax is what <lookup> returned" in text or "rax is what lookup returned" in text


def test_a_join_of_two_ways_ends_the_search() -> None:
    body = ("mov 0x8(%rdi),%rax", "jmp 100c <f+0xc>", "xor %eax,%eax", "mov 0x8(%rax),%rdx")
    shown = report(*body, registers={"rax": 0}, fault_address=8)
    assert not any("loaded" in one or "set to 0" in one for one in reasons.explain(shown))


# ---------------------------------------------------------------- traps, divisions, loops


def test_a_bug_shows_its_condition() -> None:
    source = Source("net/f.c", Path("/x/net/f.c"), 226, ("\tl->credits--;", "\tBUG_ON(l->credits < 0);"), 227)
    text = told(
        "test %esi,%esi",
        "jns 1010 <f+0x10>",
        "ud2",
        kind="bug",
        headline="kernel BUG at net/f.c:227!",
        registers={"rsi": 0xFFFFFFFF},
        source=source,
    )
    assert "net/f.c:227: BUG_ON(l->credits < 0);" in text
    assert "jns after test %esi,%esi with esi 0xffffffff (-1) did not branch away" in text


@pytest.mark.parametrize(
    ("lines", "fault", "expected"),
    [
        (("\tif (x)", "\t\tWARN_ONCE(mtu > 1500,", '\t\t\t  "mtu %u (max)\\n",', "\t\t\t  mtu);", "\treturn 0;"), 227,
         'WARN_ONCE(mtu > 1500, "mtu %u (max)\\n", mtu);'),
        (("\tBUG_ON(a &&", "\t       b); /* both", "never */", "\tfoo();"), 227, "BUG_ON(a && b);"),
        (("\tfoo();", "\tif (WARN_ON(a ||", "\t\t    b))", "\t\treturn;"), 228, "if (WARN_ON(a || b))"),
        (("\tfoo();", "\tWARN(1, \":-(\");", "\tbar();"), 227, 'WARN(1, ":-(");'),
        (("\tfoo();", "\tBUG_ON(a(b,"), 227, "BUG_ON(a(b, …"),
        (("\t\t b));", "\tfoo();"), 226, "… b));"),
    ],
    ids=["three lines", "comment", "from its end", "bracket in a string", "cut off", "cut in front"],
)  # fmt: skip
def test_a_statement_of_several_lines_is_whole(lines: Tuple[str, ...], fault: int, expected: str) -> None:
    source = Source("net/f.c", Path("/x/net/f.c"), 226, lines, fault)
    text = told("ud2", kind="warning", headline="WARNING: CPU: 0 PID: 1 at net/f.c:227 f+0x1/0x2", source=source)
    assert f": {expected} (the headline" in text


@pytest.mark.parametrize(
    ("headline", "words"),
    [
        ("WRMSR to 0x10f (tried to write 0x0000000000000001) at", "write of 0x1 to the register MSR 0x10f"),
        ("RDMSR from 0x1b0 at", "read of the register MSR 0x1b0"),
    ],
)
def test_an_msr_that_the_cpu_refuses(headline: str, words: str) -> None:
    shown = f"unchecked MSR access error: {headline} rIP: 0xffffffff8106a1b4 (native_write_msr+0x4/0x20)"
    assert told(kind="warning", headline=shown) == f"The CPU refused a {words}; the kernel went on (the headline)."


def test_the_kernels_own_word_on_a_list() -> None:
    said = "list_del corruption, ffff8f175ffa9180->next is LIST_POISON1 (dead000000000100)"
    text = told("ud2", kind="bug", headline="kernel BUG at lib/list_debug.c:53!", message=Message(said, "check"))
    assert said in text
    assert "LIST_POISON1 (0xdead000000000100)" in text


@pytest.mark.parametrize(
    ("text", "registers", "words"),
    [
        ("div %ecx", {"rcx": 0}, "ecx, which is 0"),
        ("divq 0x8(%rdi)", {"rdi": 0xFFFF888000000000, "rdx": 0}, "The divisor is 0"),
        ("idiv %r8d", {"r08": 0x100000000}, "r8d, which is 0"),
        ("div %rcx", {"rcx": 2}, "does not fit"),
    ],
)
def test_divisions(text: str, registers: Dict[str, int], words: str) -> None:
    assert words in told(text, kind="divide-error", registers=registers)


def test_the_loop_in_which_a_cpu_was_sampled() -> None:
    text = told(
        "pause",
        "mov 0x8(%rdi),%eax",
        "test %eax,%eax",
        "je 1000 <f>",
        "ret",
        kind="soft-lockup",
        fault=1,
        registers={"rdi": 1},
    )
    assert "loop that calls nothing of 4 instructions" in text
    assert "0x8(%rdi)" in text
    assert "loop" not in told("mov 0x8(%rdi),%eax", "ret", kind="soft-lockup", fault=0)


def test_a_loop_in_the_bytes_of_the_log_alone() -> None:
    stalled = Resolution.of(recorded.parse("el8-soft-lockup-same-loop").reports[0])
    shown = rows("jmp f+0x9", "pause", "mov 0x21c9(%rip),%eax", "test %eax,%eax", "je f+0x7", fault=2)
    text = reasons.explain(stalled._replace(disassembly=shown))
    assert text[1] == "It was in a loop that waits for a change: the code pauses there (the code bytes)."


def test_the_lines_of_a_loop_are_those_of_the_file_that_is_named() -> None:
    """The marked instruction is READ_ONCE() of a header, inlined in the driver's loop."""
    texts = ("pause", "mov 0x8(%rdi),%eax", "test %eax,%eax", "je 1000 <f>")
    files = (("vdso/processor.h", 11), ("linux/compiler.h", 339), ("drivers/wan.c", 346), ("drivers/wan.c", 345))
    shown = tuple(row._replace(file=file, line=line) for row, (file, line) in zip(rows(*texts, fault=1), files))
    chain = (Location("__read_once_size", "include/linux/compiler.h", 339), Location("f", "drivers/wan.c", 346))
    stalled = report(kind="rcu-stall", ip=replace(IP, locations=chain))._replace(disassembly=shown)
    text = "\n".join(reasons.explain(stalled))
    assert "(drivers/wan.c:346), while it was stuck" in text
    assert "0x1000 to 0x100c, drivers/wan.c lines 345 to 346)" in text
    assert "339" not in text
    header = stalled._replace(disassembly=tuple(row._replace(file="linux/compiler.h", line=339) for row in shown))
    assert "linux/compiler.h line 339)" in "\n".join(reasons.explain(header))


def test_a_crash_that_was_asked_for() -> None:
    assert "made on purpose: sh (pid 1) triggered SysRq c" in told(
        kind="panic", headline="Kernel panic - not syncing: sysrq triggered crash", comm="sh", pid=1
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("el8-oom-panic", "vm.panic_on_oom is 1: so the kernel panics instead of killing a process"),
        ("el10-oom-panic", "vm.panic_on_oom is 2: so the kernel panics instead of killing a process"),
        ("el9-oom-deadlock", "no process was left that might be killed"),
    ],
)
def test_why_memory_that_is_used_up_ends_in_a_panic(name: str, words: str) -> None:
    text = recorded_with(name)
    assert f"Memory was used up, and {words}." in text
    assert ("panic_on_oom" in text) != ("was left" in text)


def test_older_words_for_no_process() -> None:
    headline = "Kernel panic - not syncing: Out of memory and no killable processes..."
    assert "no process was left that might be killed" in told(kind="panic", headline=headline)


@pytest.mark.parametrize(
    ("code", "words"), [("0x0000000b", ", killed by signal 11:"), ("0x00000700", " with exit status 7:")]
)
def test_how_process_1_ended(code: str, words: str) -> None:
    headline = f"Kernel panic - not syncing: Attempted to kill init! exitcode={code}"
    assert f"Process 1 ended{words}" in told(kind="panic", headline=headline)


def test_a_stack_canary() -> None:
    text = told(
        kind="panic", headline="Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: f+0x1"
    )
    assert "canary" in text


# ---------------------------------------------------------------- logs


SCISSORS = b"""[    1.000000] list_del corruption, ffff8f17->next is LIST_POISON1 (dead000000000100)
[    1.000100] ------------[ cut here ]------------
[    1.000200] kernel BUG at lib/list_debug.c:53!
[    1.000300] invalid opcode: 0000 [#1] SMP
[    1.000400] RIP: 0010:f+0x5c/0x6f
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("el7-warning-text-behind", "list_add corruption. prev->next should be next (ffff8b1fdb6a4e30), but was"),
        ("el6-warning-text-behind", "NETDEV WATCHDOG: em2 (bnx2): transmit queue 0 timed out"),
        ("el6-warning", "NETDEV WATCHDOG: eth0 (be2net): transmit queue 3 timed out"),
        ("lustre-lbug", "(dcache.c:136:ll_ddelete()) ASSERTION( d_count(de) == 1 ) failed:"),
    ],
)
def test_the_kernels_own_sentence_comes_first(name: str, words: str) -> None:
    report = recorded.parse(name).reports[-1]
    first = reasons.explain(Resolution.of(report))[0]
    assert first.startswith('The kernel said: "') and words in first
    assert "condition was true" not in " ".join(reasons.explain(Resolution.of(report)))


def test_a_line_before_a_warning_is_no_word_of_the_kernel() -> None:
    report = recorded.parse("no-scissors-before-warning").reports[-1]
    first, second, *_ = reasons.explain(Resolution.of(report))
    assert first == "A condition was true at drivers/net/acme/acme_tx.c:412 (the headline)."
    text = "acme_tx: queue 3 has 17 descriptors more than it was given"
    assert second == f'The line before the headline says: "{text}".'


def test_where_the_reason_of_an_nmi_is_logged() -> None:
    text = recorded_with("el7-hpwdt-nmi")
    assert text.startswith(
        "The reason stands in the machine's own logs: Integrated Management Log (IML), OA Syslog, "
        "OA Forward Progress Log, iLO Event Log"
    )


@pytest.mark.parametrize(
    "before",
    [
        "[    0.900000] EXT4-fs (sda1): mounted\n" * 5 + "[    0.950000] foo+0x1/0x20\n",
        "[    0.950000] ---[ end trace 5e1f7c21d0b9a3c4 ]---\n",
        "[    0.950000] Modules linked in: a b c\n",
        "[    0.950000] RDX: 0000000000000000 RSI: 0000000000000000\n",
        "[    0.950000] server1 login: root\n",
        "",
    ],
)
def test_what_stands_before_a_warning_without_scissors_may_be_another_matter(before: str) -> None:
    (found,) = reader.parse([f"{before}[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n".encode()]).reports
    assert found.message is None


@pytest.mark.parametrize(
    ("before", "message"),
    [
        # two lines: of WARN, or of another CPU, which printed at the same time
        (["------------[ cut here ]------------", "ODEBUG: free active", "xt_CT: no protocol"], "neighbour"),
        (["------------[ cut here ]------------", "ODEBUG: free active"], "report"),
        (["xxxwan: setting off warn_then_oops"], "neighbour"),  # WARN_ON() of 4.18 prints no scissors
        (["------------[ cut here ]------------"], None),
    ],
)
def test_whose_words_stand_before_a_warning(before: List[str], message: Optional[str]) -> None:
    lines = [*before, "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2"]
    text = "".join(f"[    1.00000{number}] {line}\n" for number, line in enumerate(lines))
    (found,) = reader.parse([text.encode()]).reports
    assert (found.message and found.message.origin) == message
    assert found.message is None or found.message.text == before[-1]


def test_a_line_between_the_scissors_and_bug_is_another_cpus() -> None:
    other = SCISSORS.replace(b"[    1.000200]", b"[    1.000150] eth0: link is up\n[    1.000200]")
    (found,) = reader.parse([other]).reports
    assert found.message is None


def test_scissors_that_a_mailer_joined_with_the_text() -> None:
    text = "[    1.000000] ------------[ cut here ]------------ Trying to free already-free IRQ 0\n"
    text += "[    1.000001] WARNING: CPU: 2 PID: 12 at kernel/irq/manage.c:1868 __free_irq+0x1e3/0x350\n"
    (found,) = reader.parse([text.encode()]).reports
    assert found.message == Message("Trying to free already-free IRQ 0", "report")


def test_what_was_said_before_the_scissors_is_kept() -> None:
    (found,) = reader.parse([SCISSORS]).reports
    text = "list_del corruption, ffff8f17->next is LIST_POISON1 (dead000000000100)"
    assert found.message == Message(text, "check")


def test_a_line_of_no_account_before_the_scissors_is_not() -> None:
    (found,) = reader.parse([SCISSORS.replace(b"list_del corruption, ffff8f17->next", b"xxxwan: setting off,")]).reports
    assert found.message is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "el9-kasan",
            "freed by wan_session_free [xxxwan] (task 2201) and allocated by wan_session_new [xxxwan] (task 1911)",
        ),
        (
            "kfence",
            "freed by wan_session_free [xxxwan] (task 9997) and allocated by wan_session_new [xxxwan] (task 9997)",
        ),
        ("../blamed/kfence", "allocated by acme_alloc [acme] (task 1201)"),
    ],
)
def test_who_freed_and_who_allocated(name: str, words: str) -> None:
    *others, last = recorded_with(name).splitlines()
    assert others and last == f"The object was {words}, as the log says."


def test_a_stack_behind_those_of_the_object_is_not_theirs() -> None:
    text = (
        recorded.data("el9-kasan")
        .decode()
        .replace("\nThe buggy", "\nLast potentially related work creation:\n g+0x1/0x2\n\nThe buggy")
    )
    freed = next(track for track in reader.parse([text.encode()]).reports[0].tracks if track.freed)
    assert [frame.symbol for frame in freed.frames] == ["kasan_save_stack", "kfree", "wan_session_free"]


# ---------------------------------------------------------------- the crashes of the lab


EXPECTED = {
    "iptunnel": ("0x18(%rax)", "the address in CR2", "per-CPU pointer is 0x200012345678", "emulated"),
    "sysrq": ("SysRq c", "not a bug"),
    "null_deref": ("rdi is NULL", "NULL + 0x10", "reads 8 bytes at 0x10", "the address in CR2"),
    "bug_on": ("BUG_ON(l->credits < 0)", "xxxwan.c:{FAULT:bug_on}"),
    "list_del": ("list_del corruption", "LIST_POISON1 (0xdead000000000100)"),
    "divide": ("div %ecx divides by ecx, which is 0",),
    "softlockup": ("sampled at", "loop", "xxxwan.c:{FAULT:softlockup}"),
    "warn_then_oops": ("writes 4 bytes at 0x10", "rax is NULL", "NULL + 0x10", "the address in CR2"),
    "uaf": ("holds 0x6b6b6b6b6b6b6b6b: POISON_FREE", "the address that the log names"),
    "list_poison": ("rdx holds 0xdead000000000122: LIST_POISON2", "previous pointer of an entry"),
    "distmod": ("rdi holds 0x6b6b6b6b6b6b6b6b: POISON_FREE", "first argument of the function"),
    "memcpy": ("writes 8 bytes at 0xc0ffee", "the address in CR2", "a user-space address"),
}


@pytest.mark.lab
@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_every_crash_of_the_lab_is_explained(lab: Lab, run_cli: RunCli, case: str) -> None:
    text = "\n".join(explained(lab, run_cli, case))
    for words in EXPECTED[case]:
        for mark, line in lab.marks.items():
            words = words.replace(f"{{{mark}}}", str(line))
        assert words in text


@pytest.mark.lab
@pytest.mark.parametrize(
    ("case", "words"),
    [("iptunnel", "per-CPU pointer is 0x200012345678"), ("null_deref", "x0 is NULL: the address is NULL + 0x10")],
)
def test_aarch64_too(lab_arm64: Lab, run_cli: RunCli, case: str, words: str) -> None:
    assert words in "\n".join(explained(lab_arm64, run_cli, case))


def explained(lab: Lab, run_cli: RunCli, case: str) -> List[str]:
    where = ["--root", str(lab.root), "--module-dir", str(lab.module_dir), "--source-dir", str(lab.source.parent)]
    done = json.loads(run_cli("analyze", "--json", *where, lab.crashes[case]).stdout)
    sentences: List[str] = done["reports"][done["fatal"]]["explanation"]
    return sentences


# ---------------------------------------------------------------- s390x: EXECUTE; arithmetic on NULL


@pytest.mark.parametrize(
    ("text", "registers"),
    [
        ("exrl %r3,1008 <f+0x28>", {"r1": 0x3FF80001000, "r2": 0xDEAD000, "r3": 0x1F}),
        ("ex %r3,0(%r5)", {"r1": 0x3FF80001000, "r2": 0xDEAD000, "r3": 0x1F, "r5": 0x3FF8000A1D0}),
    ],
)
def test_execute_is_the_instruction_that_it_runs(text: str, registers: Dict[str, int]) -> None:
    """memcpy() of a length that is not known when it is compiled: the operands are those of mvc."""
    ip = replace(IP, runtime=0x3FF8000A1C8)
    shown = report(text, "br %r14", "mvc 0(1,%r1),0(%r2)", arch="s390x", fault=0, registers=registers, ip=ip)
    done = access.operation(shown.disassembly[0], shown)
    assert (done.mnemonic, [(one.text, one.access, one.size) for one in done.memory][:1]) == (
        "mvc",
        [("0(1,%r1)", "write", 32)],
    )
    assert [one.base for one in done.memory] == ["r1", "r2"]
    alone = access.operation(shown.disassembly[0], shown._replace(disassembly=shown.disassembly[:2]))
    assert alone.memory == ()  # what it runs is not shown: nothing is known of its operands


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-0xE0, "NULL - 0xe0, what container_of() makes of a NULL pointer, or ERR_PTR(-224), which is no error code"),
        (-16, "ERR_PTR(-16), -EBUSY: an error that was taken for a pointer, or NULL - 0x10, what container_of() makes"),
        (-2, "ERR_PTR(-2), -ENOENT: an error that was taken for a pointer; "),
    ],
)
def test_a_pointer_below_null_has_two_readings(value: int, words: str) -> None:
    text = told("mov 0x18(%rbx),%rax", registers={"rbx": value % (1 << 64)}, fault_address=(value + 0x18) % (1 << 64))
    assert words in text


def test_a_stack_overflow_of_s390x_is_one_report() -> None:
    (found,) = recorded.parse("s390x-stack-overflow").reports
    assert (found.kind, found.panic) == ("stack-overflow", "Corrupt kernel stack, can't continue.")
    assert "acme_deep calls itself" in "\n".join(reasons.explain(Resolution.of(found)))
