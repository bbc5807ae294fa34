"""Operands: the memory that an instruction touches, of each architecture."""

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.arch import operand


@pytest.mark.parametrize(
    ("arch", "text", "access", "size", "base", "displacement"),
    [
        ("x86_64", "addq $0x1,0x10(%rax)", "read-write", 8, "rax", 0x10),
        ("x86_64", "mov 0x10(%rdi),%rax", "read", 8, "rdi", 0x10),
        ("x86_64", "mov %eax,-0x8(%r12)", "write", 4, "r12", -8),
        ("x86_64", "movzbl 0xb(%r8),%ecx", "read", 1, "r08", 0xB),
        ("x86_64", "movslq 0x4(%rsi),%rdx", "read", 4, "rsi", 4),
        ("x86_64", "cmpl $0x0,0x10(%r9)", "read", 4, "r09", 0x10),
        ("x86_64", "lock cmpxchg %rdx,(%rdi)", "read-write", 8, "rdi", 0),
        ("x86_64", "sete 0x4(%rax)", "write", 1, "rax", 4),
        ("x86_64", "call *0x18(%rax)", "read", 8, "rax", 0x18),
        ("x86_64", "rep stos %al,%es:(%rdi)", "write", 1, "rdi", 0),
        ("aarch64", "ldr x0, [x1, #24]", "read", 8, "x1", 24),
        ("aarch64", "stp x29, x30, [sp, #-32]!", "write", 16, "sp", -32),
        ("aarch64", "ldxr x2, [x4]", "read", 8, "x4", 0),
        ("aarch64", "strh w1, [x3, #4]", "write", 2, "x3", 4),
        ("aarch64", "ldadd x1, x2, [x3]", "read-write", 8, "x3", 0),
        ("ppc64le", "ld r9,24(r31)", "read", 8, "r31", 24),
        ("ppc64le", "stw r0,-4(r1)", "write", 4, "r1", -4),
        ("s390x", "oi 31(%r2),1", "read-write", 1, "r2", 31),
        ("s390x", "lg %r2,16(%r2)", "read", 8, "r2", 16),
        ("s390x", "mvc 0(8,%r1),0(%r2)", "write", 8, "r1", 0),
    ],
)
def test_memory_operands(arch: str, text: str, access: str, size: int, base: str, displacement: int) -> None:
    memory = operand.parse(text, arch).memory[0]
    assert (memory.access, memory.size, memory.base, memory.displacement) == (access, size, base, displacement)


@pytest.mark.parametrize(
    "text", ["lea 0x8(%rax),%rbx", "nopl 0x0(%rax,%rax,1)", "ud2", "jne 10 <f+0x10>", "xor %eax,%eax"]
)
def test_what_touches_no_memory(text: str) -> None:
    assert operand.parse(text, "x86_64").memory == ()


@given(text=st.text(max_size=80), arch=st.sampled_from(["x86_64", "i386", "aarch64", "ppc64le", "s390x", "arm", None]))
def test_no_text_raises(text: str, arch: Optional[str]) -> None:
    operand.parse(text, arch)
