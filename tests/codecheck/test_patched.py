"""What kernels of CentOS rewrite in their own text, each mechanism in a small vmlinux: tests/patched/*.S."""

import json
import subprocess
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Sequence, Tuple

import pytest
from conftest import TESTS, RunCli

from kdumpwrap.codecheck import check as codecheck
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.model.log import Code
from kdumpwrap.parse import nm
from kdumpwrap.parse.patches import Patches
from kdumpwrap.symbolize import operands
from kdumpwrap.tools import binutils

SOURCES = TESTS / "patched"
SLIDE = 0x1B400000


class Kernel(NamedTuple):
    """A small vmlinux, read as symbolize does it."""

    path: Path
    symbols: bytes
    patches: Patches

    def rows(self, function: str) -> Tuple[Instruction, ...]:
        symbol = nm.parse(self.symbols, [function])[function][0]
        start, stop = symbol.address, symbol.address + (symbol.size or 0)
        return operands.named(binutils.instructions(TOOLS, self.path, start, stop), self.symbols)

    def compare(self, function: str, live: str, *, at: int = 0, slide: int = 0) -> codecheck.Checked:
        """``live``: the bytes that the log shows from ``function`` + ``at`` on."""
        rows = self.rows(function)
        code = Code(bytes.fromhex(live.replace(" ", "")), 0)
        return codecheck.compare(code, rows[0].address + at, rows, patches=lambda: self.patches, slide=slide or None)

    def checked(self, function: str, live: str, *, slide: int = 0) -> Tuple[str, str]:
        """``check`` and the name of what was done; no name for a mismatch."""
        found = self.compare(function, live, slide=slide).check
        name = (found.detail or "").partition("it: ")[2].partition(" at 0x")[0]
        return found.result, name.partition(" (slide")[0]


TOOLS = binutils.toolset("x86_64")
Build = Callable[..., Kernel]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    made: Dict[Tuple[str, ...], Kernel] = {}

    def kernel(source: str, *options: str) -> Kernel:
        key = (source, *options)
        if key not in made:
            directory = tmp_path_factory.mktemp("patched")
            unlinked, path = directory / "vmlinux.o", directory / "vmlinux"
            run("as", "--64", *options, "-o", unlinked, SOURCES / f"{source}.S")
            run(
                "ld",
                "-melf_x86_64",
                "-n",
                "--build-id=none",
                "-e0",
                "-T",
                SOURCES / "vmlinux.lds",
                "-o",
                path,
                unlinked,
            )
            made[key] = Kernel(path, binutils.symbols(TOOLS, path), binutils.patched(TOOLS, path))
        return made[key]

    return kernel


def run(*argv: object) -> None:
    subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def moved(value: int) -> str:
    return (value % (1 << 32)).to_bytes(4, "little").hex()


PARAVIRT = ("patched", "a paravirt call")
MISMATCH = ("mismatch", "")

# what apply_paravirt() of 4.18 puts in the place of 7 bytes: native instructions, a call, or nothing; then no-ops
NATIVE = (
    "c6 07 00 66 66 66 90",  # movb $0x0,(%rdi): queued_spin_unlock
    "fb 66 66 90 66 66 90",  # sti
    "fa 66 66 90 66 66 90",  # cli
    "57 9d 66 66 66 66 90",  # push %rdi; popf
    "9c 58 66 66 66 66 90",  # pushf; pop %rax
    "9c 58 0f 1f 44 00 00",  # with the no-ops of another CPU
    "48 89 f8 66 66 66 90",  # mov %rdi,%rax
    "89 f8 66 66 66 66 90",  # mov %edi,%eax
    "31 c0 66 66 66 66 90",  # xor %eax,%eax
    "0f 20 d0 66 66 66 90",  # mov %cr2,%rax
    "0f 20 d8 66 66 66 90",  # mov %cr3,%rax
    "0f 22 df 66 66 66 90",  # mov %rdi,%cr3
    "0f 01 f8 66 66 66 90",  # swapgs
    "0f 01 f8 48 0f 07 90",  # swapgs; sysretq
    "0f 09 66 66 66 66 90",  # wbinvd
    "0f 0b 66 66 66 66 90",  # ud2
    "e8 41 77 02 00 66 90",  # call
    "e9 41 77 02 00 66 90",  # jmp
    "0f 1f 80 00 00 00 00",  # nothing
    "66 66 90 66 66 66 90",
)
# a native instruction in which one bit is another, no-ops that are none
SPOILT = (
    "c6 07 01 66 66 66 90",
    "fb 66 66 90 66 66 91",
    "48 89 f9 66 66 66 90",
    "e8 41 77 02 00 66 91",
    "56 9d 66 66 66 66 90",
)


@pytest.mark.parametrize("function", ["named_call", "named_jump", "listed_call"])
def test_each_form_of_a_paravirt_call(build: Build, function: str) -> None:
    kernel = build("old")
    assert {live: kernel.checked(function, live) for live in NATIVE} == dict.fromkeys(NATIVE, PARAVIRT)
    assert {live: kernel.checked(function, live) for live in SPOILT} == dict.fromkeys(SPOILT, MISMATCH)


@pytest.mark.parametrize("length", range(1, 7))
def test_a_paravirt_call_that_the_window_cuts(build: Build, length: int) -> None:
    cut = " ".join(NATIVE[0].split()[:length])
    assert build("old").checked("named_call", cut) == PARAVIRT
    assert build("old").checked("listed_call", cut) == PARAVIRT
    assert build("old").compare("named_call", f"{' '.join(NATIVE[0].split()[length:])} 90", at=length).check.result in (
        "patched",
        "match",
    )


def test_a_call_through_something_else_is_no_paravirt_call(build: Build) -> None:
    kernel = build("old")
    assert [kernel.checked("stranger_call", live) for live in NATIVE] == [MISMATCH] * len(NATIVE)
    assert kernel.checked("stranger_call", "ff 14 25 88 5b 02 82")[0] == "match"


def test_a_listed_call_of_six_bytes(build: Build) -> None:
    kernel = build("old")
    for live in ("fb 66 66 90 66 90", "c6 07 00 0f 1f 00", "e8 41 77 02 00 90", "66 0f 1f 44 00 00"):
        assert kernel.checked("listed_relative_call", live) == PARAVIRT
    assert kernel.checked("listed_relative_call", "fb 66 66 90 66 91") == MISMATCH


def test_one_witness_is_enough(build: Build) -> None:
    """The name of nm's, or the entry in .parainstructions."""
    kernel = build("old")
    (named, listed) = (kernel.rows(function)[0] for function in ("named_call", "listed_call"))
    assert (named.comment, named.address in kernel.patches.paravirt) == ("ffffffff82025ac8 <pv_lock_ops+0x8>", False)
    assert (listed.comment, kernel.patches.paravirt[listed.address]) == ("ffffffff82025b48 <nameless+0x8>", 7)
    code = Code(bytes.fromhex(NATIVE[0].replace(" ", "")), 0)
    unnamed = [named._replace(comment=None)]
    assert codecheck.compare(code, named.address, unnamed, patches=lambda: kernel.patches).check.result == "mismatch"
    assert codecheck.compare(code, named.address, [named]).check.result == "patched"
    assert codecheck.compare(code, listed.address, [listed]).check.result == "mismatch"


@pytest.mark.parametrize(("section", "wanted"), [(".text", {1: 7}), (".text.unlikely", {2: 7}), (".init.text", {})])
def test_the_calls_that_a_module_lists(tmp_path: Path, section: str, wanted: Dict[int, int]) -> None:
    run("as", "--64", "-o", tmp_path / "module.ko", SOURCES / "module.S")
    found = binutils.patched(TOOLS, tmp_path / "module.ko", section)
    assert found == Patches(paravirt=wanted)
    if wanted:
        rows = binutils.instructions(TOOLS, tmp_path / "module.ko", 0, 16, section)
        code = Code(bytes.fromhex(NATIVE[0].replace(" ", "")), 0)
        assert codecheck.compare(code, min(wanted), rows, patches=lambda: found).check.result == "patched"
        assert codecheck.compare(code, min(wanted), rows).check.result == "mismatch"


# ---------------------------------------------------------------- calls


def test_an_alternative_call_of_4_18_is_no_call_depth_tracking(build: Build) -> None:
    """It goes to a function 16 bytes before: where call depth tracking would go, too."""
    kernel = build("old")
    row = kernel.rows("alternative_call")[0]
    slow = nm.parse(kernel.symbols, ["slow_copy"])["slow_copy"][0].address
    live = f"e8 {moved(slow - row.address - 5)}"
    assert kernel.checked("alternative_call", live) == ("patched", "an alternative for this CPU")
    other = nm.parse(kernel.symbols, ["moved_call"])["moved_call"][0].address
    assert kernel.checked("moved_call", f"e8 {moved(slow - other - 5)}") == MISMATCH


@pytest.mark.parametrize("back", [16, 10])
def test_call_depth_tracking_is_of_kernels_that_list_their_calls(build: Build, back: int) -> None:
    live = f"e8 {moved(-21 - back)}"
    tracking, without = build("new", "--defsym", "TRACKING=1"), build("new")
    assert tracking.checked("tracked_call", live) == ("patched", "a call moved for call depth tracking")
    assert without.checked("tracked_call", live) == MISMATCH
    assert tracking.checked("tracked_call", f"e8 {moved(-21 - back - 1)}") == MISMATCH


# ---------------------------------------------------------------- branches, no-ops


@pytest.mark.parametrize(
    ("live", "check"),
    [
        ("eb 08 cc cc cc", "patched"),  # since 6.3
        ("eb 08 0f 1f 00", "patched"),  # before
        ("eb 08 66 66 90", "patched"),
        ("0f 1f 44 00 00", "patched"),  # the feature is there
        ("66 66 66 66 90", "patched"),
        ("eb 08 cc cc cd", "mismatch"),
        ("eb 08 cc 90 cc", "mismatch"),
        ("ea 08 cc cc cc", "mismatch"),
    ],
)
def test_static_cpu_has(build: Build, live: str, check: str) -> None:
    kernel = build("new")
    assert kernel.checked("static_cpu_has", live)[0] == check
    for length in range(1, 5):
        if check == "patched":
            assert kernel.checked("static_cpu_has", live[: 3 * length])[0] == check


@pytest.mark.parametrize(
    ("live", "check"),
    [
        ("eb 0c cc cc cc cc cc cc cc cc cc cc cc cc", "patched"),  # no no-op is as long: a jump over breakpoints
        ("66 66 2e 0f 1f 84 00 00 00 00 00 0f 1f 00", "patched"),
        ("0f 01 ca 66 66 2e 0f 1f 84 00 00 00 00 00", "patched"),  # clac
        ("eb 0b cc cc cc cc cc cc cc cc cc cc cc cc", "mismatch"),
        ("eb 0c cc cc cc cc cc cc cc cc cc cc cc 90", "mismatch"),
    ],
)
def test_more_no_ops_than_one_instruction_can_be(build: Build, live: str, check: str) -> None:
    assert build("new").checked("long_nops", live)[0] == check


# ---------------------------------------------------------------- runtime constants


@pytest.mark.parametrize(("function", "opcode"), [("runtime_pointer", "48 b9"), ("runtime_pointer_r8", "49 b8")])
@pytest.mark.parametrize(
    ("constant", "check"),
    [
        ("00 f0 ff ff ff 7f 00 00", "patched"),  # the end of a process's addresses: TASK_SIZE_MAX
        ("00 f0 ff ff ff ff ff 00", "patched"),  # with five levels of pages
        ("00 f0 ff ff ff ff ff 7f", "patched"),  # with linear address masking
        ("00 80 2c 01 80 88 ff ff", "patched"),  # dentry_hashtable
        ("ef cd ab 89 67 45 23 01", "match"),
        ("00 f0 ff ff ff 7f 00 40", "mismatch"),
    ],
)
def test_a_runtime_pointer(build: Build, function: str, opcode: str, constant: str, check: str) -> None:
    kernel = build("new")
    assert kernel.checked(function, f"{opcode} {constant}")[0] == check
    if check == "patched":
        assert kernel.checked(function, f"{opcode} {constant}") == ("patched", "a runtime constant")
        for length in range(1, 8):
            assert kernel.checked(function, f"{opcode} {constant[: 3 * length]}")[0] == "patched"
        assert kernel.checked(function, f"48 ba {constant}") == MISMATCH  # another register
        assert kernel.checked("true_pointer", f"48 b9 {constant}") == MISMATCH


@pytest.mark.parametrize(("live", "check"), [("c1 ea 12", "patched"), ("c1 ea 0c", "match"), ("c1 ea 40", "mismatch")])
def test_a_runtime_shift(build: Build, live: str, check: str) -> None:
    kernel = build("new")
    assert kernel.checked("runtime_shift", live)[0] == check
    assert kernel.checked("runtime_shift", "c1 e8 12") == MISMATCH  # another register
    if check == "patched":
        assert kernel.checked("runtime_shift", live) == ("patched", "a runtime constant")
        assert kernel.checked("true_shift", live) == MISMATCH


# ---------------------------------------------------------------- KASLR


@pytest.mark.parametrize(
    ("function", "opcode"), [("kaslr_sub", "48 81 ed"), ("kaslr_sub_rax", "48 2d"), ("kaslr_mov", "48 c7 c6")]
)
def test_kaslr_offset_has_the_slide_where_the_file_has_a_zero(build: Build, function: str, opcode: str) -> None:
    kernel = build("new")
    found = kernel.compare(function, f"{opcode} {moved(SLIDE)} c3")
    assert (found.check.result, found.slide) == ("patched", SLIDE)
    assert "a KASLR relocation (slide 0x1b400000)" in (found.check.detail or "")
    assert kernel.checked(function, f"{opcode} {moved(SLIDE)}", slide=SLIDE)[0] == "patched"
    assert kernel.checked(function, f"{opcode} {moved(SLIDE)}", slide=0x200000)[0] == "mismatch"
    assert kernel.checked(function, f"{opcode} {moved(SLIDE + 1)}")[0] == "mismatch"
    assert kernel.checked(function, f"{opcode} {moved(0x40000000)}")[0] == "mismatch"
    assert kernel.checked("kaslr_store_short", f"48 c7 06 {moved(SLIDE)}")[0] == "mismatch"
    assert kernel.checked("kaslr_store", f"48 c7 46 10 {moved(SLIDE)}")[0] == "mismatch"


@pytest.mark.parametrize("slide", [0, SLIDE])
@pytest.mark.parametrize("length", range(4, 12))
def test_a_percpu_operand_before_an_immediate_that_the_window_cuts(build: Build, length: int, slide: int) -> None:
    kernel = build("new")
    whole = f"65 c7 05 {moved(0x7F000055 - SLIDE)} 00 00 00 80"
    octets: Sequence[int] = bytes.fromhex(whole.replace(" ", ""))
    live = bytes(octets[:length]).hex()
    told = kernel.compare("percpu_store", live, slide=slide)
    assert told.check.result == ("match" if length < 6 else "patched"), told.check.detail
    for at in range(2, min(length, 6)):  # a byte that no slide makes so
        spoilt = bytearray(octets[:length])
        spoilt[at] ^= 0x01
        assert kernel.checked("percpu_store", spoilt.hex(), slide=slide)[0] == "mismatch"


@pytest.mark.parametrize("length", [7, 8])
def test_a_percpu_operand_before_a_short_immediate(build: Build, length: int) -> None:
    live = f"65 80 3d {moved(0x7F000048 - SLIDE)} 7f"
    assert build("new").checked("percpu_compare", live.replace(" ", "")[: 2 * length])[0] == "patched"
    assert build("new").checked("percpu_compare", f"65 80 3d {moved(0x7F000048 - SLIDE)} 7e")[0] == "mismatch"


# ---------------------------------------------------------------- the whole way


@pytest.mark.parametrize(
    ("source", "function", "size", "live", "what"),
    [
        ("old", "named_call", 16, "c6 07 00 66 66 66 90 <90> c3", "a paravirt call"),
        ("old", "listed_call", 16, "57 9d 66 66 66 66 90 <90> c3", "a paravirt call"),
        ("new", "static_cpu_has", 16, "eb 08 cc cc cc <90> c3", "a CPU feature's branch"),
        ("new", "runtime_pointer", 16, "48 b9 00 f0 ff ff ff 7f 00 00 <c3>", "a runtime constant"),
        ("new", "runtime_shift", 16, "c1 ea 12 <c3>", "a runtime constant"),
        ("new", "kaslr_sub", 16, "48 81 ed 00 00 40 1b <c3>", "a KASLR relocation (slide 0x1b400000)"),
    ],
)
def test_analyze_says_what_the_kernel_did(
    build: Build, run_cli: RunCli, tmp_path: Path, source: str, function: str, size: int, live: str, what: str
) -> None:
    kernel = build(source)
    at = live.split().index(next(octet for octet in live.split() if octet[0] == "<"))
    log = f"""\
[   12.000100] BUG: unable to handle kernel NULL pointer dereference at 0000000000000010
[   12.000200] Oops: 0000 [#1] SMP NOPTI
[   12.000300] CPU: 0 PID: 7 Comm: cat Not tainted 4.18.0-553.66.1.el8_10.x86_64 #1
[   12.000400] RIP: 0010:{function}+{at:#x}/{size:#x}
[   12.000500] Code: {live}
"""
    (tmp_path / "log").write_text(log)
    done = run_cli("analyze", "--json", "--vmlinux", kernel.path, "--root", tmp_path, tmp_path / "log")
    (report,) = json.loads(done.stdout)["reports"]
    assert report["code"]["check"] == "patched", report["code"]["detail"]
    assert f"it: {what} at {kernel.rows(function)[0].address:#x}" in report["code"]["detail"]
