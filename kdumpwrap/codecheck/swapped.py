"""Alternatives: instructions that the kernel exchanged for others that suit its CPU."""

from functools import lru_cache
from typing import Optional, Tuple

from kdumpwrap.codecheck import x86
from kdumpwrap.codecheck.bits import Bytes, fits, pattern
from kdumpwrap.codecheck.slide import moved_value
from kdumpwrap.parse.alternatives import Site

_S390_FILLERS = tuple(map(pattern, ("07 07", "07 00", "47 00", "c0 04", "c0 f4", "a7 f4")))
_A64_BRANCH = 0x7C000000  # the bits that tell "b" and "bl": 0x14000000


def swapped(site: Site, was: Bytes, now: Bytes, arch: str, slide: Optional[int]) -> bool:
    """Whether ``now`` is what ``site`` may become where the file has ``was``: the replacement, or what it was."""
    if site.replacement is None:
        return True
    if arch == "aarch64":
        return _words(site, now)
    if arch == "s390x":
        body, rest = now[: len(site.replacement)], now[len(site.replacement) :]
        return fits(body, site.replacement) and (not rest or any(fits(rest[:2], form) for form in _S390_FILLERS))
    return _becomes(tuple(was), now, 0, slide) or _x86(site, now, slide)


def _x86(site: Site, now: Bytes, slide: Optional[int]) -> bool:
    body = site.replacement or ()
    filled = (*body, *(0x90 for _ in range(site.length - len(body))))
    if body[:1] in ((0xE9,), (0xEB,)) and fits(now[:1], (0xEB,)) and x86.is_filler(now[2:]):
        return _short(site, body, now[1])  # a jump that became short where it went
    distance = 0 if site.origin is None else site.origin - site.address
    return _becomes(filled, now, distance, slide)


def _short(site: Site, body: Tuple[Optional[int], ...], now: Optional[int]) -> bool:
    """Whether the short jump over ``now`` bytes goes where ``body`` went from its place."""
    known = bytes(byte or 0 for byte in body[1:])
    if site.origin is None or None in body or now is None:
        return True
    target = site.origin + len(body) + int.from_bytes(known, "little", signed=True)
    return (target - (site.address + 2)) % 256 == now and -128 <= target - (site.address + 2) < 128


def _becomes(was: Tuple[Optional[int], ...], now: Bytes, distance: int, slide: Optional[int]) -> bool:
    """Whether ``was`` reads ``now`` once it moved by ``distance``: its no-ops optimised, its targets kept."""
    live = tuple(now)

    @lru_cache(maxsize=None)
    def rest(at: int) -> bool:
        if at == len(was):
            return True
        if fits(was[at : at + 1], live[at : at + 1]) and rest(at + 1):
            return True
        stop = at
        while stop < len(was) and was[stop] in (0x90, None):
            stop += 1
        if stop > at and x86.is_nops(live[at:stop]) and rest(stop):
            return True
        field, now4 = was[at : at + 4], live[at : at + 4]
        if len(field) == 4 and None not in field:
            value = int.from_bytes(bytes(byte or 0 for byte in field), "little")
            wanted = [(value + distance) % (1 << 32)] if at and distance else []
            wanted += moved_value(value, slide)
            return any(fits(now4, place.to_bytes(4, "little")) for place in wanted) and rest(at + 4)
        return False

    return len(was) == len(live) and rest(0)


def _words(site: Site, now: Bytes) -> bool:
    """aarch64: whether ``now`` is the replacement word for word, with the targets of its branches kept."""
    body = site.replacement or ()
    if len(body) != len(now):
        return not body  # a function of the kernel computes it
    for at in range(0, len(body), 4):
        if fits(body[at : at + 4], now[at : at + 4]):
            continue
        word, live = (int.from_bytes(bytes(b or 0 for b in part[at : at + 4]), "little") for part in (body, now))
        if word & _A64_BRANCH != 0x14000000 or live >> 26 != word >> 26:
            return False
        if site.origin is not None and (word + (site.origin - site.address) // 4 - live) & 0x03FFFFFF:
            return False
    return True
