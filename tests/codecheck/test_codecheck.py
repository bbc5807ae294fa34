"""Is it the right vmlinux: what a kernel rewrites in its own text is told from what it does not."""

import random
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import pytest
from conftest import Lab, RunCli, without_lab
from handmade import code
from hypothesis import given
from hypothesis import strategies as st
from processes import ran

from kdumpwrap.codecheck import check as codecheck
from kdumpwrap.model.kernel import CodeCheck, Instruction, Relocation
from kdumpwrap.model.log import Code
from kdumpwrap.parse import objdump, patches
from kdumpwrap.parse.alternatives import Site
from kdumpwrap.parse.patches import Patches
from kdumpwrap.tools import binutils

BASE = 0xFFFFFFFF81898C00


def checked(*given: Any, **more: Any) -> CodeCheck:
    return codecheck.compare(*given, **more).check


def rows(*texts: str, start: int = BASE) -> Tuple[Instruction, ...]:
    """``48 63 db|movslq %ebx,%rbx|comment`` one after the other, from ``start`` on."""
    made: List[Instruction] = []
    for text in texts:
        octets, words, comment = (*text.split("|"), "", "")[:3]
        data = bytes.fromhex(octets.replace(" ", ""))
        made.append(Instruction(start, data, words, comment=comment or None))
        start += len(data)
    return tuple(made)


def compared(log: str, *texts: str, arch: str = "x86_64", **more: Any) -> codecheck.Checked:
    """``log`` against the rows, the instruction pointer at the byte marked in it, both from BASE on."""
    found = code(log, 1 if arch in ("x86_64", "s390x") else 4)
    return codecheck.compare(found, BASE + found.trap, rows(*texts), arch=arch, **more)


# the worked example: objdump of the vmlinux, and what the log of its crash has there
EXAMPLE = (
    "48 8b 85 f0 04 00 00|mov 0x4f0(%rbp),%rax",
    "65 48 03 05 ae 63 77 7e|add %gs:0x7e7763ae(%rip),%rax|f128 <this_cpu_off>",
    "48 63 db|movslq %ebx,%rbx",
    "48 83 40 10 01|addq $0x1,0x10(%rax)",
)


def example(log: str) -> codecheck.Checked:
    found = code(log)
    return codecheck.compare(found, 0xFFFFFFFF81898D7D, rows(*EXAMPLE, start=0xFFFFFFFF81898D6B))


def test_the_worked_example_tells_its_slide() -> None:
    found = example("48 8b 85 f0 04 00 00 65 48 03 05 ae 63 77 46 48 63 db <48> 83 40 10 01")
    assert (found.check.result, found.slide) == ("patched", 0x38000000)
    assert "slide 0x38000000" in (found.check.detail or "")
    assert "0xffffffff81898d72" in (found.check.detail or "")


def test_the_same_bytes_match() -> None:
    found = example("48 8b 85 f0 04 00 00 65 48 03 05 ae 63 77 7e 48 63 db <48> 83 40 10 01")
    assert (found.check.result, found.slide) == ("match", None)


def test_one_bit_is_a_mismatch_and_shown() -> None:
    found = example("48 8b 85 f0 04 00 00 65 48 03 05 ae 63 77 46 48 63 db <48> 83 40 14 01")
    assert found.check.result == "mismatch"
    detail = found.check.detail or ""
    assert "one bit" in detail
    assert "48 83 40 10 01 (addq $0x1,0x10(%rax)), the log 48 83 40 14 01" in detail


def test_another_slide_than_the_known_one_is_a_mismatch() -> None:
    log = code("65 48 03 05 ae 63 77 46 48 63 db <48> 83 40 10 01")
    window = rows(*EXAMPLE, start=0xFFFFFFFF81898D6B)
    known = [codecheck.compare(log, 0xFFFFFFFF81898D7D, window, slide=slide) for slide in (0x38000000, 0x1000000)]
    assert [one.check.result for one in known] == ["patched", "mismatch"]


def test_two_fields_must_tell_the_same_slide() -> None:
    window = ("48 c7 c7 c0 03 04 82|mov $0xffffffff820403c0,%rdi", "48 c7 c6 68 99 34 82|mov $0xffffffff82349968,%rsi")
    same = compared("<48> c7 c7 c0 03 24 98 48 c7 c6 68 99 54 98", *window)
    assert (same.check.result, same.slide) == ("patched", 0x16200000)
    assert compared("<48> c7 c7 c0 03 24 98 48 c7 c6 68 99 74 98", *window).check.result == "mismatch"


def test_a_field_that_the_end_of_the_window_cuts() -> None:
    text = "48 c7 47 10 30 79 80 81|movq $0xffffffff81807930,0x10(%rdi)"
    cut = compared("<48> c7 47 10 30 79 a0", text)
    assert (cut.check.result, cut.slide) == ("patched", None)  # which slide, three bytes do not tell
    assert compared("<48> c7 47 10 30 78 a0", text).check.result == "mismatch"


@pytest.mark.parametrize(
    ("log", "row", "words"),
    [
        ("<0f> 1f 44 00 00", "e8 cb 36 b6 ff|call ffffffff8106b4d0 <__fentry__>", "ftrace"),
        ("<66> 66 66 66 90", "e8 cb 36 b6 ff|call ffffffff8106b4d0 <__fentry__>", "ftrace"),
        ("<e8> 00 10 00 00", "e8 cb 36 b6 ff|call ffffffff8106b4d0 <__fentry__>", "ftrace"),
        ("<c3> cc cc cc cc", "e9 0c ae 55 00|jmp ffffffff81e01ef0 <__x86_return_thunk>", "return thunk"),
        ("<e9> 11 22 33 00", "e9 0c ae 55 00|jmp ffffffff81e01ef0 <__x86_return_thunk>", "return thunk"),
        ("<ff> d0 0f 1f 00", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_array>", "retpoline"),
        ("<0f> ae e8 ff d0", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_rax>", "retpoline"),
        ("<41> ff d3 66 90", "e8 ed 83 cb 00|call ffffffff81e01760 <__x86_indirect_thunk_r11>", "retpoline"),
        ("<ff> e0 cc 66 90", "e9 81 88 6e 00|jmp ffffffff81e01740 <__x86_indirect_thunk_array>", "retpoline"),
        ("<e8> db dd 94 00", "e8 1b 81 d4 00|call ffffffff81e00580 <__SCT__might_resched>", "static call"),
        ("<2e> 2e 2e 31 c0", "e8 a1 5c df 00|call ffffffff81e008a0 <__SCT____perf_guest_state>", "static call"),
        ("<e8> ed 85 cb 00", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_rax>", "retpoline"),
        ("<e9> 81 90 6e 00", "e9 81 88 6e 00|jmp ffffffff81e01740 <__x86_indirect_thunk_array>", "retpoline"),
        ("<e8> 20 10 00 20", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_rax>", "retpoline"),
        ("<c3> cc cc cc cc", "e9 be 8d df 00|jmp ffffffff81e000c8 <__SCT__x86_pmu_sched_task>", "static call"),
        ("<fa> 0f 1f 44 00 00", "ff 15 c4 9a 8d 01|call *0x18d9ac4(%rip)|ffffffff82a39c38 <pv_ops+0xf8>", "paravirt"),
        ("<9c> 58 0f 1f 40 00", "ff 15 49 03 81 01|call *0x1810349(%rip)|ffffffff82a39c30 <pv_ops+0xf0>", "paravirt"),
        ("<48> 89 f8 0f 1f 00", "ff 15 ab 58 76 01|call *0x17658ab(%rip)|ffffffff82a39d40 <pv_ops+0x200>", "paravirt"),
        ("<e8> 41 77 02 00 90", "ff 15 c8 db 9e 01|call *0x19edbc8(%rip)|ffffffff82a39c08 <pv_ops+0xc8>", "paravirt"),
        ("<e9> 10 00 00 00", "0f 1f 44 00 00|nopl 0x0(%rax,%rax,1)", "static key"),
        ("<eb> 02", "66 90|xchg %ax,%ax", "static key"),
        ("<66> 90", "eb 02|jmp ffffffff81898c04 <f+0x4>", "static key"),
        ("<0f> 1f 44 00 00", "66 66 66 66 90|data16 data16 data16 xchg %ax,%ax", "static key"),
        ("<eb> 0c 0f 1f 00", "e9 d4 86 02 02|jmp ffffffff830b09b5 <_einittext+0x140a>", "branch"),
        ("<3e> 48 01 06", "f0 48 01 06|lock add %rax,(%rsi)", "lock"),
        ("<66> 0f 1f 00", "f3 0f 1e fa|endbr64", "endbr64"),
        ("<cc> 89 e5", "48 89 e5|mov %rsp,%rbp", "kprobe"),
    ],
)
def test_what_a_kernel_rewrites(log: str, row: str, words: str) -> None:
    found = compared(log, row).check
    assert found.result == "patched", found.detail
    assert words in (found.detail or "")


@pytest.mark.parametrize(
    ("log", "row"),
    [
        ("<0f> 1f 44 00 01", "e8 cb 36 b6 ff|call ffffffff8106b4d0 <__fentry__>"),
        ("<0f> 1f 44 00 00", "e8 cb 36 b6 ff|call ffffffff8106b4d0 <memcpy>"),
        ("<c3> cc cc cc cd", "e9 0c ae 55 00|jmp ffffffff81e01ef0 <__x86_return_thunk>"),
        ("<c3> cc cc cc cc", "e9 0c ae 55 00|jmp ffffffff81e01ef0 <schedule>"),
        ("<ff> d1 0f 1f 00", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_rax>"),
        ("<e8> ed 83 cc 00", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_rax>"),  # no thunk is there
        ("<e8> ee 83 cb 00", "e8 ed 83 cb 00|call ffffffff81e01740 <__x86_indirect_thunk_rax>"),
        ("<ff> e0 cc 66 91", "e9 81 88 6e 00|jmp ffffffff81e01740 <__x86_indirect_thunk_array>"),
        ("<fa> 0f 1f 44 00 01", "ff 15 c4 9a 8d 01|call *0x18d9ac4(%rip)|ffffffff82a39c38 <pv_ops+0xf8>"),
        ("<fa> 0f 1f 44 00 00", "ff 15 c4 9a 8d 01|call *0x18d9ac4(%rip)|ffffffff82a39c38 <other+0xf8>"),
        ("<3e> 48 01 06", "f1 48 01 06|int1"),
        ("<eb> 02", "66 91|xchg %ax,%cx"),
        ("<cc> 89 e4", "48 89 e5|mov %rsp,%rbp"),
        ("<48> c7 c7 c0 03 25 98", "48 c7 c7 c0 03 04 82|mov $0xffffffff820403c0,%rdi"),  # no multiple of 2 MB
        ("<48> 3d 10 d2 a3 97", "48 3d 10 d2 83 81|cmp $0x42,%rax"),  # no address, whatever its bytes look like
    ],
)
def test_what_it_does_not(log: str, row: str) -> None:
    assert compared(log, row).check.result == "mismatch"


def test_a_lock_prefix_and_a_relocation_in_one_instruction() -> None:
    found = compared("<3e> 48 01 34 d5 50 c9 0e aa", "f0 48 01 34 d5 50 c9 2e 83|lock add %rsi,-0x7cd136b0(,%rdx,8)")
    assert (found.check.result, found.slide) == ("patched", 0x26E00000)


# ---------------------------------------------------------------- alternatives


def test_alternatives_are_asked_for_only_when_nothing_else_explains() -> None:
    asked: List[int] = []

    def listed() -> Patches:
        asked.append(1)
        return Patches(alternatives=(Site(BASE, 5, (0x0F, 0x01, 0xCB), None),))

    nops = "90|nop", "90|nop", "90|nop", "90|nop", "90|nop"
    assert compared("<90> 90 90 90 90", *nops, patches=listed).check.result == "match"
    key = compared("<eb> 02", "66 90|xchg %ax,%ax", patches=listed).check
    assert (key.result, asked) == ("patched", [])
    swapped = compared("<0f> 01 cb 66 90", *nops, patches=listed).check
    assert (swapped.result, asked) == ("patched", [1])
    assert "alternative" in (swapped.detail or "")
    assert compared("<0f> 01 cb 66 91", *nops, patches=listed).check.result == "mismatch"
    assert compared("<0f> 1f 44 00 00", *nops, patches=listed).check.result == "patched"  # the no-ops made one


def test_branches_of_an_alternative_move_along() -> None:
    jump = ("e9 9b 00 00 00|jmp ffffffff81898ca0 <f+0xa0>",)
    target = BASE + 0x42
    origin = BASE + 0x100000
    body = (0xE9, *((target - origin - 5) % (1 << 32)).to_bytes(4, "little"))
    site = Patches(alternatives=(Site(BASE, 5, body, origin),))
    near = compared("<eb> 40 0f 1f 00", *jump, patches=lambda: site).check
    assert near.result == "patched"
    assert compared("<eb> 40 cc cc cc", *jump, patches=lambda: site).check.result == "patched"  # since 6.3
    assert compared("<e9> 3d 00 00 00", *jump, patches=lambda: site).check.result == "patched"
    assert compared("<e9> 3e 00 00 00", *jump, patches=lambda: site).check.result == "mismatch"


def read(text: str, arch: str) -> Sequence[Site]:
    return patches.parse(text, (), arch).alternatives


def test_the_table_of_alternatives_is_read_in_any_size() -> None:
    text = """
x.ko:     file format elf64-x86-64

Contents of section .altinstructions:
 2000 00efffff fc0f0000 97000503           ............
Contents of section .altinstr_replacement:
 3000 0f01cb                               ...
"""
    assert read(text, "x86_64") == (Site(0xF00, 5, (0x0F, 0x01, 0xCB), 0x3000),)
    longer = text.replace("97000503           ............", "97000503 02        .............")
    assert read(longer, "x86_64") == (Site(0xF00, 5, (0x0F, 0x01, 0xCB), 0x3000),)
    assert read(text.replace("0503", "0306"), "x86_64") == ()  # more than it replaces
    assert read(text, "riscv64") == ()


# ---------------------------------------------------------------- modules, other machines, windows


def test_what_the_module_loader_fills_in_is_passed_over() -> None:
    row = Instruction(BASE, bytes.fromhex("48c7c700000000"), "mov $0x0,%rdi")
    row = row._replace(relocations=(Relocation(BASE + 3, "R_X86_64_32S", ".rodata.str1.1+0x3c"),))
    for log, check in (("<48> c7 c7 3e b1 5a c0", "match"), ("<48> c7 c6 3e b1 5a c0", "mismatch")):
        assert checked(code(log), BASE, [row]).result == check


def test_a_modules_call_to_fentry_is_known_by_its_relocation() -> None:
    row = Instruction(BASE, bytes.fromhex("e800000000"), f"call {BASE + 5:x} <f+0x5>")
    row = row._replace(relocations=(Relocation(BASE + 1, "R_X86_64_PLT32", "__fentry__-0x4"),))
    assert checked(code("<0f> 1f 44 00 00"), BASE, [row]).result == "patched"


@pytest.mark.parametrize(
    ("arch", "log", "row", "check"),
    [
        ("aarch64", "(aa1e03e9)", "1f 20 03 d5|nop", "patched"),  # ftrace: mov x9, x30
        ("aarch64", "(14000010)", "1f 20 03 d5|nop", "patched"),
        ("aarch64", "(d503201f)", "10 00 00 14|b ffff800008a1c2b8 <f>", "patched"),
        ("aarch64", "(f9400c20)", "20 0c 40 f9|ldr x0, [x1, #24]", "match"),
        ("aarch64", "(f9400c21)", "20 0c 40 f9|ldr x0, [x1, #24]", "mismatch"),
        ("ppc64le", "<60000000>", "01 12 43 48|bl c000000000431200 <_mcount>", "patched"),
        ("ppc64le", "<48000010>", "00 00 00 60|nop", "patched"),
        ("ppc64le", "<e8410018>", "00 00 00 60|nop", "patched"),
        ("ppc64le", "<e93f0018>", "18 00 3f e9|ld r9,24(r31)", "match"),
        ("ppc64le", "<e93f0019>", "18 00 3f e9|ld r9,24(r31)", "mismatch"),
        ("s390x", "<c0f400000010>", "c0 04 00 00 00 10|jgnop 20", "patched"),
        ("s390x", "<9601201f>", "96 01 20 1f|oi 31(%r2),1", "match"),
        ("s390x", "<9602201f>", "96 01 20 1f|oi 31(%r2),1", "mismatch"),
    ],
)
def test_words_of_other_machines(arch: str, log: str, row: str, check: str) -> None:
    found = compared(log, row, arch=arch).check
    assert found.result == check, found.detail


def test_a_word_of_a_module_may_differ_where_it_is_relocated() -> None:
    row = Instruction(BASE, bytes.fromhex("00000094"), f"bl {BASE:x} <f>")
    row = row._replace(relocations=(Relocation(BASE, "R_AARCH64_CALL26", "_printk"),))
    for word, check in (("(97ff0123)", "match"), ("(b7ff0123)", "mismatch")):
        assert checked(code(word, 4), BASE, [row], arch="aarch64").result == check


def test_a_window_that_the_instructions_cover_in_part() -> None:
    found = code("00 11 22 48 63 <db> 90 90")
    done = checked(found, BASE + 2, rows("48 63 db|movslq %ebx,%rbx"))
    assert done.result == "match"
    assert "3 of 8 bytes compared" in (done.detail or "")
    assert codecheck.span(found, BASE + 2) == (BASE - 3, BASE + 5)


@pytest.mark.parametrize(
    ("found", "window"),
    [(Code(b"", 0), rows("90|nop")), (code("<90>"), ()), (Code(b"\x90", 7), rows("90|nop"))],
    ids=["no bytes", "no instructions", "no trap"],
)
def test_what_cannot_be_compared_is_unchecked(found: Code, window: Tuple[Instruction, ...]) -> None:
    assert checked(found, BASE, window).result == "unchecked"


@given(
    data=st.binary(max_size=80),
    trap=st.integers(-2, 90),
    texts=st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.text(max_size=40)), max_size=20),
    arch=st.sampled_from(["x86_64", "aarch64", "ppc64le", "s390x", "mips", None]),
)
def test_no_bytes_raise(data: bytes, trap: int, texts: List[Tuple[bytes, str]], arch: Optional[str]) -> None:
    start = BASE
    window: List[Instruction] = []
    for octets, text in texts:
        window.append(Instruction(start, octets, text))
        start += len(octets)
    done = checked(Code(data, trap), BASE + max(trap, 0), window, arch=arch)
    assert done.result in ("match", "patched", "mismatch", "unchecked")


# ---------------------------------------------------------------- a real kernel's live text


class Live(NamedTuple):
    """A stretch of a crashed kernel's text, as it was in memory and as the vmlinux has it."""

    start: int
    memory: bytes
    window: Tuple[Instruction, ...]
    inside: Tuple[int, ...]  # addresses of instructions with room for a log's window round them
    file: bytes


class Text(NamedTuple):
    stretches: Tuple[Live, ...]
    slide: int
    patches: Patches


STRETCHES, LENGTH = 50, 4096  # places in the text, bytes read at each
WINDOWS = 2000


@pytest.fixture(scope="module")
def live(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Text:
    """Text of the kernel of one crash, read from its vmcore by crash(8)."""
    if shutil.which("crash") is None:
        without_lab("crash is not installed")
    directory = tmp_path_factory.mktemp("live")
    vmlinux, vmcore = lab.vmlinux, lab.crashes["null_deref"] / "vmcore"
    symbols = ran(["nm", "-n", vmlinux], check=True).stdout
    addresses = [int(row.split()[0], 16) for row in symbols.splitlines() if re.match(r"f{8}\S+ [tT] ", row)]
    ends = {
        row.split()[2]: int(row.split()[0], 16) for row in symbols.splitlines() if row.endswith(("_stext", "_etext"))
    }
    inside = [a for a in addresses if ends["_stext"] <= a < ends["_etext"] - LENGTH]
    starts = random.Random(4).sample(inside, STRETCHES)
    offset = re.search(rb"KERNELOFFSET=([0-9a-f]+)\n", vmcore.read_bytes())  # crash 8.0.2 finds not that of 6.12
    assert offset
    slide = int(offset[1], 16)
    run = ["crash", "--minimal", "--no_crashrc", "-s", f"--kaslr={slide:#x}", str(vmlinux), str(vmcore)]
    script = "\n".join(f"rd -r {directory}/{start:x} {start + slide:#x} {LENGTH}" for start in starts) + "\nquit\n"
    ran(run, input=script, check=True)
    patches = binutils.patched(binutils.toolset("x86_64"), vmlinux)
    return Text(tuple(_stretches(vmlinux, directory, starts)), slide, patches)


def _stretches(vmlinux: Path, directory: Path, starts: Sequence[int]) -> Iterator[Live]:
    for start in starts:
        run = ["objdump", "-d", f"--start-address={start}", f"--stop-address={start + LENGTH}", str(vmlinux)]
        window = objdump.parse(ran(run, check=True).stdout)
        inside = tuple(row.address for row in window if 64 <= row.address - start < LENGTH - 64)
        memory = (directory / f"{start:x}").read_bytes()
        yield Live(start, memory, window, inside, b"".join(row.data for row in window))


def _windows(live: Text, count: int, seed: int) -> Iterator[Tuple[Live, int]]:
    """Random instruction pointers."""
    chance = random.Random(seed)
    for _ in range(count):
        stretch = chance.choice(live.stretches)
        yield stretch, chance.choice(stretch.inside)


def _checked(live: Text, stretch: Live, ip: int, data: bytes) -> codecheck.Checked:
    return codecheck.compare(Code(data, 42), ip, stretch.window, patches=lambda: live.patches)


@pytest.mark.lab
def test_of_2000_windows_of_live_text_less_than_one_in_500_is_a_false_mismatch(live: Text) -> None:
    counts: Dict[str, int] = {}
    slides = set()
    wrong: List[str] = []
    for stretch, ip in _windows(live, WINDOWS, 1):
        at = ip - stretch.start
        done = _checked(live, stretch, ip, stretch.memory[at - 42 : at + 22])
        counts[done.check.result or ""] = counts.get(done.check.result or "", 0) + 1
        slides.add(done.slide)
        if done.check.result == "mismatch":
            wrong.append(f"{ip:#x}: {done.check.detail}")
    assert len(wrong) < WINDOWS / 500, wrong
    assert slides <= {None, live.slide}
    assert live.slide in slides
    assert counts["patched"] > WINDOWS / 10  # an exact comparison would have cried wolf


@pytest.mark.lab
def test_of_flipped_bytes_more_than_99_in_a_hundred_are_caught(live: Text) -> None:
    chance = random.Random(2)
    tried = caught = 0
    for stretch, ip in _windows(live, WINDOWS, 3):
        at = ip - stretch.start
        data = bytearray(stretch.memory[at - 42 : at + 22])
        place = chance.randrange(len(data))
        if stretch.file[at - 42 + place] != data[place]:
            continue  # a place that the kernel did rewrite
        data[place] ^= chance.randrange(1, 256)
        tried += 1
        caught += _checked(live, stretch, ip, bytes(data)).check.result == "mismatch"
    assert tried > WINDOWS / 2
    assert caught > 0.99 * tried, f"{caught} of {tried}"


# ---------------------------------------------------------------- the crashes of the lab


CASES = ("iptunnel", "null_deref", "bug_on", "list_del", "divide", "softlockup", "warn_then_oops", "uaf", "list_poison")


@pytest.mark.lab
@pytest.mark.parametrize("case", CASES)
def test_the_code_of_every_crash_is_that_of_its_vmlinux(lab: Lab, run_cli: RunCli, case: str) -> None:
    report = fatal(run_cli, lab, case)
    assert report["code"]["check"] in ("match", "patched"), report["code"]["detail"]


@pytest.mark.lab
def test_the_slide_is_told(lab: Lab, run_cli: RunCli) -> None:
    found = analysed(run_cli, lab, "iptunnel")
    offset = int(found["kernel"]["kaslr_offset"], 16)
    assert offset and offset % 0x200000 == 0
    assert f"slide {offset:#x}" in found["reports"][found["fatal"]]["code"]["detail"]


@pytest.mark.lab
@pytest.mark.parametrize("case", ["iptunnel", "list_del"])
def test_the_vmlinux_of_another_build_is_noticed(lab: Lab, run_cli: RunCli, case: str) -> None:
    other = lab.second_vmlinux
    done = analysed(run_cli, lab, case, "--vmlinux", str(other))
    code_found = done["reports"][done["fatal"]]["code"]
    assert code_found["check"] in ("mismatch", "unchecked"), code_found
    told = " ".join(problem["message"] + problem["hint"] for problem in done["problems"])
    assert lab.release in told  # which one it wants


def analysed(run_cli: RunCli, lab: Lab, case: str, *more: str) -> Dict[str, Any]:
    import json

    where = ["--root", str(lab.root), "--module-dir", str(lab.module_dir)]
    done = run_cli("analyze", "--json", *where, *more, lab.crashes[case])
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


def fatal(run_cli: RunCli, lab: Lab, case: str) -> Dict[str, Any]:
    found = analysed(run_cli, lab, case)
    report: Dict[str, Any] = found["reports"][found["fatal"]]
    return report
