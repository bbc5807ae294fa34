"""The meaning of a pointer's value."""

from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.explain import poison


@pytest.mark.parametrize(
    ("value", "arch", "kind", "words", "offset"),
    [
        (0, "x86_64", "null", "NULL", 0),
        (0x18, "x86_64", "null", "NULL", 0x18),
        (0x4000, "x86_64", "small", "small number", 0),
        (0xFFFFFFFFFFFFFFF4, "x86_64", "error", "-ENOMEM", 0),
        (0xFFFFFFFFFFFFFFFE, "aarch64", "error", "-ENOENT", 0),
        (0xDEAD000000000100, "x86_64", "poison", "LIST_POISON1", 0),
        (0xDEAD0000000000E8, "x86_64", "poison", "LIST_POISON1", -0x18),
        (0xDEAD000000000122, "x86_64", "poison", "LIST_POISON2", 0),
        (0xDEAD000000000200, "x86_64", "poison", "LIST_POISON2", 0),
        (0x5DEADBEEF0000100, "ppc64le", "poison", "LIST_POISON1", 0),
        (0x6B6B6B6B6B6B6B6B, "x86_64", "poison", "POISON_FREE", 0),
        (0x6B6B6B6B6B6B6C2B, "x86_64", "poison", "POISON_FREE", 0xC0),
        (0x006B6B6B6B6B6B7B, "aarch64", "poison", "POISON_FREE", 0x10),
        (0x5A5A5A5A5A5A5A5A, "x86_64", "poison", "POISON_INUSE", 0),
        (0xBBBBBBBBBBBBBBBB, "x86_64", "poison", "redzone", 0),
        (0xCCCCCCCCCCCCCCCC, "x86_64", "poison", "redzone", 0),
        (0xAAAAAAAAAAAAAAAA, "x86_64", "poison", "PAGE_POISON", 0),
        (0x09F911029D74E35B, "x86_64", "poison", "RED_INACTIVE", 0),
        (0xFFFFFFFFFFFF4111, "x86_64", "poison", "STACKLEAK_POISON", 0),
        (0xDFFFFC0000000003, "x86_64", "shadow", "KASAN's shadow of 0x18", 0),
        (0x6C6C2F6E69622F2E, "x86_64", "ascii", "'./bin/ll'", 0),
        (0x2E2F62696E2F6C6C, "s390x", "ascii", "'./bin/ll'", 0),
        (0x0000DEAD00000000, "x86_64", "non-canonical", "non-canonical", 0),
        (0x00007F0012345678, "x86_64", "user", "a user-space address", 0),
    ],
)
def test_what_a_value_means(value: int, arch: str, kind: str, words: str, offset: int) -> None:
    found = poison.meaning(value, arch)
    assert found is not None
    assert (found.kind, found.offset) == (kind, offset)
    assert words in found.text


@pytest.mark.parametrize(
    ("value", "arch"),
    [
        (0xFFFF888012345678, "x86_64"),
        (0xFFFFFFFFC0A12345, "x86_64"),
        (0xFF11000012345678, "x86_64"),  # five levels of page tables
        (0xFFFF000012345678, "aarch64"),
        (0xC000000012345678, "ppc64le"),
        (0x0000000012345678, "s390x"),  # the kernel has an address space of its own
    ],
)
def test_a_pointer_of_the_kernel_means_nothing(value: int, arch: str) -> None:
    assert poison.meaning(value, arch) is None


@given(value=st.integers(0, (1 << 64) - 1), arch=st.sampled_from(["x86_64", "aarch64", "ppc64le", "s390x", None]))
def test_any_value_has_a_meaning_or_none(value: int, arch: Optional[str]) -> None:
    found = poison.meaning(value, arch)
    assert found is None or found.text
