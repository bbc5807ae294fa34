"""Addresses and their lines as elfutils' ``eu-addr2line -a -f -i --pretty-print`` prints them, and ``-a`` alone."""

import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.model.kernel import Location
from kdumpwrap.parse.addr2line import fold
from kdumpwrap.regex import regex

# "0xffffffff818a7103: ", without functions "0xffffffff818a7103" alone on its line: always 16 digits
_ADDRESS = regex(r"^(0x[0-9a-f]{16})(?:: |\n)", re.M)
# "debian/build/…/arch/x86/include/asm/local.h:33:2"; assembly has no column: "…/arch/x86/kernel/head_64.S:65"
_POSITION = regex(r"(?P<file>.+?):(?P<line>[0-9]{1,9})(?::(?P<column>[0-9]{1,9}))?")
_CALLER = " (inlined by) "


class Answer(NamedTuple):
    """The answer for one address."""

    address: int  # as printed: with ``-j`` one in elfutils' own layout of the file, and not the one asked for
    chain: Optional[Tuple[Location, ...]]  # innermost function first; () where nothing is known, None: not whole


def parse(text: str, *, functions: bool = True) -> List[Answer]:
    """The answers in the order of the questions. The last one may be cut without a trace.

    Sample (elfutils 0.188): the innermost function, then those that it was inlined into::

        0xffffffff818a7103: local_add at debian/build/build_amd64/arch/x86/include/asm/local.h:33:2
         (inlined by) iptunnel_xmit at debian/build/build_amd64/net/ipv4/ip_tunnel_core.c:87:3
        0x0000000000000010: ?? at ??:0

    Without ``functions`` (-a alone) there is one line for each address::

        0xffffffff818a7103
        debian/build/build_amd64/arch/x86/include/asm/local.h:33:2
    """
    pieces = _ADDRESS.split(text)  # what stands before the first address, then each address and what stands behind it
    read = _chain if functions else _line
    return [Answer(int(address, 16), read(said.split("\n"))) for address, said in zip(pieces[1::2], pieces[2::2])]


def _line(lines: Sequence[str]) -> Optional[Tuple[Location, ...]]:
    """The place in ``lines``, which are one and an empty one."""
    match = _POSITION.fullmatch(lines[0])
    if match is None or lines[1:] != [""]:
        return None
    place = _location("??", match)
    return (place,) if place.line else ()


def _chain(lines: Sequence[str]) -> Optional[Tuple[Location, ...]]:
    """The chain in ``lines``, which end with an empty one."""
    if lines[-1] or any(not line.startswith(_CALLER) for line in lines[1:-1]):
        return None
    found = [line.replace(_CALLER, "", 1).partition(" at ") for line in lines[:-1]]
    places = [(function, _POSITION.fullmatch(position)) for function, _, position in found]
    chain = tuple(_location(function, match) for function, match in places if match is not None)
    if not chain or len(chain) < len(places):
        return None
    return chain if any(place.function or place.line for place in chain) else ()


def _location(function: str, position: "re.Match[str]") -> Location:
    known = None if function in ("", "??") else function
    if position["file"] == "??" or int(position["line"]) == 0:
        return Location(known, None, None)
    return Location(known, fold(position["file"]), int(position["line"]), int(position["column"] or 0) or None)
