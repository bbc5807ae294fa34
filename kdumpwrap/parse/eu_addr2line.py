"""Addresses and their lines as elfutils' ``eu-addr2line -a -f -i`` prints them, and ``eu-addr2line -a``."""

import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.model.kernel import Location
from kdumpwrap.parse.addr2line import fold

# "0xffffffff818a7103": always 16 digits, alone on its line
_ADDRESS = re.compile(r"^(0x[0-9a-f]{16})\n", re.M)
# "debian/build/…/arch/x86/include/asm/local.h:33:2"; assembly has no column: "…/arch/x86/kernel/head_64.S:65"
_POSITION = re.compile(r"(?P<file>.+?):(?P<line>[0-9]{1,9})(?::(?P<column>[0-9]{1,9}))?")


class Answer(NamedTuple):
    """The answer for one address."""

    address: int  # as printed: with ``-j`` one in elfutils' own layout of the file, and not the one asked for
    chain: Optional[Tuple[Location, ...]]  # innermost function first; () where nothing is known, None: not whole


def parse(text: str, *, functions: bool = True) -> List[Answer]:
    """The answers in the order of the questions. The last one may be cut without a trace.

    Sample (elfutils 0.188): the address, then two lines for each function of the inline chain. Where the innermost is
    inlined its line goes on with its caller, which follows anyway::

        0xffffffff818a7103
        local_add inlined at debian/build/build_amd64/include/linux/u64_stats_sync.h:89:2 in iptunnel_xmit
        debian/build/build_amd64/arch/x86/include/asm/local.h:33:2
        iptunnel_xmit
        debian/build/build_amd64/net/ipv4/ip_tunnel_core.c:87:3
        0x0000000000000010
        ??
        ??:0

    Without ``functions`` (no -f, no -i) there is one line for each address::

        0xffffffff818a7103
        debian/build/build_amd64/arch/x86/include/asm/local.h:33:2
    """
    pieces = _ADDRESS.split(text)  # what stands before the first address, then each address and what stands behind it
    unnamed = [] if functions else ["??"]
    answers = zip(pieces[1::2], pieces[2::2])
    return [Answer(int(address, 16), _chain([*unnamed, *lines.split("\n")])) for address, lines in answers]


def _chain(lines: Sequence[str]) -> Optional[Tuple[Location, ...]]:
    """The chain in ``lines``, which end with an empty one."""
    found = [_POSITION.fullmatch(position) for position in lines[1::2]]
    whole = [match for match in found if match is not None]
    if len(lines) % 2 == 0 or lines[-1] or not whole or len(whole) < len(found):
        return None
    chain = tuple(_location(function, match) for function, match in zip(lines[::2], whole))
    return chain if any(place.function or place.line for place in chain) else ()


def _location(function: str, position: "re.Match[str]") -> Location:
    name = function.partition(" inlined at ")[0]
    known = None if name in ("", "??") else name
    if position["file"] == "??" or int(position["line"]) == 0:
        return Location(known, None, None)
    return Location(known, fold(position["file"]), int(position["line"]), int(position["column"] or 0) or None)
