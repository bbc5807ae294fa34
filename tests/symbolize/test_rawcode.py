"""The Code: line without any debuginfo, decoded by objdump."""

import re
import shutil
from typing import Dict, List, Optional, Tuple

import pytest
from conftest import Lab, ToolDir
from handmade import code
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import ran

from kdumpwrap.errors import ToolFailed, ToolMissing
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.model.log import Code, Frame
from kdumpwrap.parse import objdump
from kdumpwrap.symbolize import rawcode

# bytes of iptunnel_xmit+0x1d9 to +0x219 of Debian's 6.1.0-47 and of a module's function, as their logs print them
IPTUNNEL = (
    "41 5d 41 5e 41 5f c3 cc cc cc cc 45 31 ed e9 47 ff ff ff 65 ff 05 4d 8a 57 68 49 8b 84 24 10 05 00 00 "
    "65 48 03 05 65 20 57 68 <48> 01 50 18 48 ff 40 10 65 ff 0d 2e 8a 57 68 75 bd 0f 1f 44 00 00"
)
NEXT_SEQ = (
    "e8 34 fd ff ff 48 89 df 5b e9 fb c3 db ed 5b c3 cc cc cc cc 0f 1f 44 00 00 "
    "<48> 8b 47 10 83 4f 1c 01 48 8d 50 01 48 89 57 10 c3 cc cc cc cc 0f"
)


def texts(rows: Tuple[Instruction, ...]) -> List[str]:
    return [row.text for row in rows]


def marked(rows: Tuple[Instruction, ...]) -> Instruction:
    (found,) = (row for row in rows if row.fault)
    return found


def test_an_instruction_starts_at_the_trap_byte() -> None:
    rows = rawcode.decode(code(IPTUNNEL), "x86_64", None, Frame("iptunnel_xmit", 0x203, 0x240))
    assert marked(rows) == Instruction(0x203, bytes.fromhex("48015018"), "add %rdx,0x18(%rax)", fault=True)
    shown = texts(rows)
    assert shown[shown.index("add %rdx,0x18(%rax)") - 2 :][:2] == [
        "mov 0x510(%r12),%rax",
        "add %gs:0x68572065(%rip),%rax",
    ]
    assert "incq 0x10(%rax)" in shown


def test_branches_name_symbol_and_offset() -> None:
    shown = texts(rawcode.decode(code(IPTUNNEL), "x86_64", None, Frame("iptunnel_xmit", 0x203, 0x240)))
    assert "jmp iptunnel_xmit+0x133" in shown
    assert "jne iptunnel_xmit+0x1d1" in shown


def test_a_branch_out_of_the_function_keeps_its_distance() -> None:
    rows = rawcode.decode(code(NEXT_SEQ), "x86_64", 0xFFFFFFFFC0001000, Frame("next_seq", 5, 0x1A, "xxxwan"))
    assert Instruction(0xFFFFFFFFC0000FF5, bytes.fromhex("e9fbc3dbed"), "jmp next_seq-0x12243c0b") in rows
    assert marked(rows).address == 0xFFFFFFFFC0001005


def test_the_function_before_has_no_offsets() -> None:
    rows = rawcode.decode(code(NEXT_SEQ), "x86_64", None, Frame("next_seq", 5, 0x1A, "xxxwan"))
    assert [row.address for row in rows][:2] == [0, 5]
    assert texts(rows)[:2] == ["nopl 0x0(%rax,%rax,1)", "mov 0x10(%rdi),%rax"]


def test_the_address_that_the_log_printed_counts() -> None:
    frame = Frame("next_seq", 5, 0x1A, runtime=0xFFFFFFFFA0001005)
    rows = rawcode.decode(code(NEXT_SEQ), "x86_64", None, frame)
    assert marked(rows).address == 0xFFFFFFFFA0001005


def test_what_the_end_cuts_is_left_out() -> None:
    rows = rawcode.decode(code("<48> 01 50 18 48 ff 40"), "x86_64", None, Frame("f", 0x10, 0x20))
    assert texts(rows) == ["add %rdx,0x18(%rax)"]
    assert rawcode.decode(code("<48>"), "x86_64", None, Frame("f", 0x10, 0x20)) == ()


def test_without_a_symbol_branches_are_addresses() -> None:
    rows = rawcode.decode(code("<eb> fe"), "x86_64", None, Frame(None, runtime=0xFFFFFFFFC0A12345))
    assert texts(rows) == ["jmp 0xffffffffc0a12345"]


@pytest.mark.parametrize("data", [Code(b"", 0), Code(b"\x90", 1), Code(b"\x90", -1)], ids=["none", "past", "before"])
def test_no_bytes_no_instructions(data: Code) -> None:
    assert rawcode.decode(data, "x86_64", None, Frame("f", 0, 1)) == ()


@pytest.mark.parametrize(
    ("arch", "tool", "text", "unit", "fault", "others"),
    [
        ("aarch64", "aarch64-linux-gnu-", "17ffffcf 91006024 (c85f7c82)", 4, "ldxr x2, [x4]", ["b f+0x228"]),
        (
            "ppc64le",
            "powerpc64le-linux-gnu-",
            "41820014 7c0802a6 <8143001c> 7c691b78",
            4,
            "lwz r10,28(r3)",
            ["mr r9,r3"],
        ),
        ("s390x", "s390x-linux-gnu-", "b9040012 <9601201f> e32020100004", 1, "oi 31(%r2),1", ["lg %r2,16(%r2)"]),
        ("i386", "", "55 <8b> 40 08 c3", 1, "mov 0x8(%eax),%eax", ["ret"]),
    ],
    ids=["aarch64", "ppc64le", "s390x", "i386"],
)
def test_other_machines(arch: str, tool: str, text: str, unit: int, fault: str, others: List[str]) -> None:
    program = tool + "objdump"
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    rows = rawcode.decode(code(text, unit), arch, None, Frame("f", 0x2F4, 0x310), program)
    assert marked(rows).text == fault
    for other in others:
        assert other in texts(rows)


def test_a_machine_that_objdump_does_not_know() -> None:
    with pytest.raises(ToolFailed, match="mips"):
        rawcode.decode(code("<90>"), "mips", None, Frame("f", 0, 1))


def test_an_objdump_of_llvm_is_not_asked_for_bare_bytes() -> None:
    with pytest.raises(ToolFailed, match="no objdump of binutils here knows arm, to read the bytes"):
        rawcode.decode(code("(e5933008)", 4), "arm", None, Frame("f", 0, 8), "/usr/bin/llvm-objdump-14")


def test_without_objdump_the_package_is_named() -> None:
    with pytest.raises(ToolMissing) as caught:
        rawcode.decode(code("<90>"), "x86_64", None, Frame("f", 0, 1), "no-such-objdump")
    assert "binutils" in caught.value.hint


def test_an_objdump_that_says_something_else(tool_dir: ToolDir) -> None:
    odd = tool_dir.fake("objdump", "echo hello")
    with pytest.raises(ToolFailed, match="printed no instruction"):
        rawcode.decode(code("<90>"), "x86_64", None, Frame("f", 0, 1), str(odd))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(min_size=1, max_size=70), share=st.floats(0, 1), offset=st.none() | st.integers(0, 100))
def test_any_bytes_give_instructions_one_after_the_other(data: bytes, share: float, offset: Optional[int]) -> None:
    trap = int(share * (len(data) - 1))
    rows = rawcode.decode(Code(data, trap), "x86_64", 0x1000, Frame("f", offset, 0x200))
    origin = 0x1000 + (offset or 0) - trap
    for row in rows:
        assert data[row.address - origin :][: len(row.data)] == row.data
    for one, other in zip(rows, rows[1:]):
        assert one.address + len(one.data) <= other.address
    assert sum(row.fault for row in rows) <= 1


@pytest.mark.lab
def test_instructions_before_the_trap_are_the_compilers(lab: Lab) -> None:
    """Windows from a real function, decoded from their bytes alone: where vmlinux's instructions start, ours do."""
    symbols = ran(["nm", "-n", lab.vmlinux], check=True).stdout
    start = int(re.search(r"^(\w+) [tT] tcp_sendmsg_locked$", symbols, re.M)[1], 16)  # type: ignore[index]
    run = ["objdump", "-d", f"--start-address={start}", f"--stop-address={start + 2048}", str(lab.vmlinux)]
    rows = objdump.parse(ran(run, check=True).stdout)
    data = b"".join(row.data for row in rows)
    starts = {row.address - start for row in rows}
    counts: Dict[bool, int] = {True: 0, False: 0}
    for row in rows[20:-20:8]:
        at = row.address - start
        for one in rawcode.decode(Code(data[at - 42 : at + 22], 42), "x86_64", 0, Frame("f", at, 4096)):
            counts[one.address in starts] += 1
    assert counts[False] < 0.02 * counts[True]
