"""How many addresses one addr2line is asked for, so that many crashes take no more memory than one (pure).

addr2line keeps what it has read of each compilation unit. Of a vmlinux of 600 MB it takes 205 MB for one address, 285
for the 30 functions of a long trace, 310 for 90 functions, over 1000 for 2000.
"""

from typing import Iterable, Iterator, List, Set

MOST = 100  # pages of code, however many a single crash asks about


def page(address: int) -> int:
    """What tells functions apart here: those of one page are likely of one compilation unit."""
    return address >> 12


def pages(addresses: Iterable[int]) -> int:
    """On how many pages they lie."""
    return len({page(address) for address in addresses})


def turns(addresses: Iterable[int], most: int) -> Iterator[List[int]]:
    """``addresses`` in their order, in lists that lie on ``most`` pages at most; none of them is empty."""
    turn: List[int] = []
    seen: Set[int] = set()
    for address in addresses:
        if page(address) not in seen and len(seen) >= max(1, most):
            yield turn
            turn, seen = [], set()
        turn.append(address)
        seen.add(page(address))
    if turn:
        yield turn
