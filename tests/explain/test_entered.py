"""What assembly has left of the registers that it was called with: every way through the code counts."""

from typing import Dict, List, Tuple

import pytest

from kdumpwrap.explain import entered
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.parse import patches
from kdumpwrap.parse.alternatives import Site
from kdumpwrap.parse.patches import Patches

NONE = Patches(fixups={})
KEPT = {"rbx", "rbp", "r12", "r13", "r14", "r15"}


def code(*texts: str, start: int = 0x1000) -> List[Instruction]:
    """Instructions of four bytes each; ``@2`` is the address of the one with that number."""
    return [
        Instruction(
            start + 4 * n, bytes(4), " ".join(f"{start + 4 * int(w[1:]):x}" if w[0] == "@" else w for w in text.split())
        )
        for n, text in enumerate(texts)
    ]


def held(*texts: str, fault: int = -1, found: Patches = NONE) -> Dict[str, Tuple[str, bool]]:
    rows = code(*texts)
    state = entered.held(rows, 0x1000, rows[fault].address, found)
    return {name: tuple(value) for name, value in state.items()}  # type: ignore[misc]


def known(*texts: str, fault: int = -1, found: Patches = NONE) -> Dict[str, str]:
    """Of each register at the entry, where it still is."""
    return {value: name for name, (value, exact) in held(*texts, fault=fault, found=found).items() if exact}


def test_a_copy_is_as_good_as_the_register() -> None:
    found = known("mov %rdi,%rax", "mov %rdx,%rcx", "rep movsb %ds:(%rsi),%es:(%rdi)")
    assert found["rdi"] == "rax" and found["rdx"] == "rdx" and "rsi" not in found and set(found) >= KEPT


def test_what_something_was_added_to_is_known_for_that_alone() -> None:
    found = held("lea 0x20(%rdi),%rdi", "add $0x8,%rsi", "add %rdx,%rbx", "mov %r8,(%rdi)")
    assert (found["rdi"], found["rsi"], found["rbx"]) == (("rdi", False), ("rsi", False), ("rbx", False))
    assert found["rdx"] == ("rdx", True)


@pytest.mark.parametrize(
    "text",
    [
        "mov %edi,%edi",
        "mov (%rsi),%rdi",
        "xor %edi,%edi",
        "pop %rdi",
        "xchg %rdi,%rax",
        "cmpxchg %rdi,(%rsi)",
        "call 5000 <f>",
        "cpuid",
        "frobnicate $0x1",
        "lea (%rdi,%rsi,1),%rdi",
        "setne %dil",
        "lods %ds:(%rsi),%al",
        "movq %xmm0,%rdi",
        "jmp *%rax",
    ],
)
def test_whatever_may_write_a_register_makes_it_unknown(text: str) -> None:
    found = held(text, "mov %r8,(%rdi)") if not text.startswith("jmp") else held("je @2", text, "mov %r8,(%rdi)")
    assert "rdi" not in {value for value, _ in found.values()}


@pytest.mark.parametrize(
    "text",
    (
        "cmp %rdi,%rsi|test %rdi,%rdi|nopw 0x0(%rax,%rax,1)|push %rdi|prefetcht0 (%rdi)|xchg %ax,%ax|cld|endbr64|"
        "sfence|movdqu %xmm0,(%rdi)|bt %rdi,%rsi|mov %rdi,0x8(%rsi)"
    ).split("|"),
)
def test_what_writes_no_register_leaves_all(text: str) -> None:
    assert known(text, "mov %r8,(%rdi)").keys() == known("cld").keys()


def test_every_way_counts() -> None:
    assert "rdi" not in known("je @2", "mov $0x1,%rdi", "mov %r8,(%rdi)")
    assert "rdi" in known("je @3", "mov $0x1,%rdi", "jmp 5000 <__x86_return_thunk>", "mov %r8,(%rdi)")
    assert "rdi" not in known("mov %r8,(%rdi)", "mov $0x1,%rdi", "jne @0", "ret", fault=0)  # a loop
    assert known("ret", "mov %r8,(%rdi)") == {}  # nothing leads there
    assert known("jmp 9000 <f>", "mov %r8,(%rdi)", fault=0) == {}  # f may come back


def site(at: int, length: int, replacement: str, origin: int = 0x9000) -> Patches:
    return Patches((Site(at, length, tuple(bytes.fromhex(replacement)), origin),), fixups={})


def test_what_the_kernel_may_have_put_there_counts() -> None:
    texts = ("jmp @2", "mov $0x1,%rdi", "mov %r8,(%rdi)")
    assert "rdi" in known(*texts)
    assert "rdi" not in known(*texts, found=site(0x1000, 4, ""))  # the jump becomes a no-op
    assert "rdi" in known(*texts, found=site(0x1000, 8, ""))
    assert "rdi" in known(*texts, found=site(0x1000, 8, "0f01cb90"))  # stac
    assert known(*texts, found=site(0x1000, 8, "4889c7")) == {}  # mov %rax,%rdi, which is not taken apart
    assert "rdi" in known("jmp @1", "ret", "mov %r8,(%rdi)", found=site(0x1000, 4, "eb06", 0x1000))
    assert entered.targets(code("nop"), site(0x1000, 5, "e9fb000000", 0x9000)) == {0x9100}
    assert entered.called(code("call 5000 <clear_page_orig>")[0], site(0x1000, 5, "e8fb000000", 0x9000)) == {
        0x5000,
        0x9100,
    }


def test_where_a_handled_fault_leads_counts() -> None:
    texts = ("mov %rdi,%rax", "mov (%rsi),%rcx", "mov $0x1,%rdx", "mov %r8,(%rdi)")
    assert known(*texts)["rdi"] and "rsi" in known(*texts)
    found = known(*texts, found=Patches(fixups={0x1004: 0x100C}))
    assert set(found) == set(known("cld")) - {"rax", "rcx", "rdx"}
    assert known(*texts, found=Patches(fixups={0x1004: 0x7000})) == {}  # of a section of its own
    assert known(*texts, found=Patches(fixups=None)) == {}  # a table that is not understood


def test_the_table_of_fixups() -> None:
    text = " ffffffff82434570 89c3bcfe 87c3bcfe 08000000 d9c3bcfe  ................\n"
    text += " ffffffff82434580 d7c3bcfe 08000000                    ........\n"
    found = patches.parse(f"Contents of section __ex_table:\n{text}", ["__ex_table"], "x86_64")
    assert found.fixups == {0xFFFFFFFF810008F9: 0xFFFFFFFF810008FB, 0xFFFFFFFF81000955: 0xFFFFFFFF81000957}
    falling = text.replace("89c3bcfe", "89c3bc7e")
    assert patches.parse(f"Contents of section __ex_table:\n{falling}", ["__ex_table"], "x86_64").fixups is None
