"""Turns of addr2line: every address once, in order, on no more pages than were allowed."""

from typing import List

from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.symbolize import turns

ADDRESSES = st.lists(st.integers(0, 1 << 20), unique=True)


@given(ADDRESSES, st.integers(0, 20))
def test_every_address_once_on_few_pages(addresses: List[int], most: int) -> None:
    found = list(turns.turns(addresses, most))
    assert [address for turn in found for address in turn] == addresses
    assert all(1 <= turns.pages(turn) <= max(1, most) for turn in found)


def test_as_few_turns_as_can_be() -> None:
    addresses = [0x1000, 0x1004, 0x2000, 0x1008, 0x3000, 0x3010, 0x4000]
    assert list(turns.turns(addresses, 2)) == [[0x1000, 0x1004, 0x2000, 0x1008], [0x3000, 0x3010, 0x4000]]
    assert list(turns.turns(addresses, 4)) == [addresses]
    assert list(turns.turns([], 4)) == []
