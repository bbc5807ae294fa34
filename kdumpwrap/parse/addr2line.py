"""Addresses and their lines as ``addr2line -a -i -f`` prints them."""

from bisect import bisect_right
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from kdumpwrap.model.kernel import Location
from kdumpwrap.regex import regex

_DISCRIMINATOR = regex(r" \(discriminator \d+\)$")
_ADDRESS = regex(r"0x[0-9a-f]+")
# "net/ipv4/ip_tunnel_core.c:87 (discriminator 1)", "??:0", "file.c:?"
_PLACE = regex(r".*:(?:\d+|\?)(?: \(discriminator \d+\))?")


class Answered(NamedTuple):
    """The answers of one run of addr2line."""

    chains: Dict[int, Tuple[Location, ...]]  # innermost inlined function first; addresses without a line are left out
    missing: Tuple[int, ...]  # addresses whose answer is not there, or not whole


def parse(text: str, asked: Sequence[int]) -> Answered:
    """The locations of each address of ``asked``, which addr2line was given in this order, the last one as a mark.

    An answer is whole when the answer to the next address stands behind it; the mark's own answer does not count. An
    answer with too many or too few lines does not count either. Sample (binutils 2.40): the address, then two lines for
    each function of the inline chain::

        0xffffffff818a7103
        local_add
        debian/build/build_amd64_none_cloud-amd64/arch/x86/include/asm/local.h:33
        iptunnel_xmit
        debian/build/build_amd64_none_cloud-amd64/net/ipv4/ip_tunnel_core.c:87 (discriminator 1)
    """
    positions: Dict[int, List[int]] = {}
    for position, address in enumerate(asked):
        positions.setdefault(address, []).append(position)
    whole: Dict[int, Tuple[Location, ...]] = {}
    at = -1  # of the answer before, in asked
    before: List[str] = []
    for address, lines in _answers(text):
        if at + 1 < len(asked) and asked[at + 1] == address:
            if at >= 0 and _fits(before):
                whole[asked[at]] = tuple(map(_location, before[::2], before[1::2]))
            at += 1
        else:  # what was lost may have left its lines behind the answer before
            known = positions.get(address, [])
            at = next(iter(known[bisect_right(known, at) :]), at)
        before = lines
    chains = {one: chain for one, chain in whole.items() if any(place != _NOWHERE for place in chain)}
    return Answered(chains, tuple(one for one in dict.fromkeys(asked[:-1]) if one not in whole))


def _answers(text: str) -> Iterator[Tuple[int, List[str]]]:
    """Each address that was printed, and the lines behind it. A last line without its end is left out."""
    address = -1
    lines: List[str] = []
    for line in text.split("\n")[:-1]:
        if _ADDRESS.fullmatch(line):
            if address >= 0:
                yield address, lines
            address, lines = int(line, 16), []
        else:
            lines.append(line)
    if address >= 0:
        yield address, lines


def _fits(lines: Sequence[str]) -> bool:
    return bool(lines) and len(lines) % 2 == 0 and all(_PLACE.fullmatch(line) for line in lines[1::2])


def place(text: str) -> Tuple[str, int]:
    """File and line of ``FILE:LINE``, with ``/./`` folded away; ("", 0) for an unknown place.

    The tool prints ``??:0``, ``??:?``, ``FILE:?`` or ``:?`` for it: a file without a line is no answer.
    """
    file, _, line = _DISCRIMINATOR.sub("", text.rstrip()).rpartition(":")
    if not line.isdigit() or int(line) == 0 or file in ("", "??"):
        return "", 0
    return fold(file), int(line)


def fold(path: str) -> str:
    """``path`` without ``/./``: CentOS's DWARF has "linux-5.14.0/./include/net/ip.h"."""
    while "/./" in path:
        path = path.replace("/./", "/")
    return path[2:] if path.startswith("./") else path


def _location(function: str, text: str) -> Location:
    file, line = place(text)
    return Location(None if function in ("", "??") else function, file or None, line or None)


_NOWHERE = Location(None, None, None)
