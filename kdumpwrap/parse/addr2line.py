"""Addresses and their lines as ``addr2line -a -i -f`` prints them."""

import re
from typing import Dict, List, Tuple

from kdumpwrap.model.kernel import Location

_DISCRIMINATOR = re.compile(r" \(discriminator \d+\)$")


def parse(text: str) -> Dict[int, Tuple[Location, ...]]:
    """The locations of each address, innermost inlined function first; unknown ones are left out.

    Sample (binutils 2.40): the address, then two lines for each function of the inline chain::

        0xffffffff818a7103
        local_add
        debian/build/build_amd64_none_cloud-amd64/arch/x86/include/asm/local.h:33
        iptunnel_xmit
        debian/build/build_amd64_none_cloud-amd64/net/ipv4/ip_tunnel_core.c:87 (discriminator 1)
    """
    chains: Dict[int, List[Location]] = {}
    chain: List[Location] = []
    function = ""
    for line in text.splitlines():
        if not function and line.startswith("0x"):
            chain = chains.setdefault(_number(line), [])
            chain.clear()
        elif not function:
            function = line or "??"
        else:
            chain.append(_location(function, line))
            function = ""
    return {
        address: tuple(chain)
        for address, chain in chains.items()
        if any(place != Location(None, None, None) for place in chain)
    }


def place(text: str) -> Tuple[str, int]:
    """File and line of ``FILE:LINE``, with ``/./`` folded away; ("", 0) where the tool did not know.

    ``??:0``, ``??:?``, ``FILE:?`` and ``:?`` are its ways to say so: a file without a line is not an answer.
    """
    file, _, line = _DISCRIMINATOR.sub("", text.rstrip()).rpartition(":")
    if not line.isdigit() or int(line) == 0 or file in ("", "??"):
        return "", 0
    return fold(file), int(line)


def fold(path: str) -> str:
    """``path`` without ``/./``: "linux-5.14.0/./include/net/ip.h" is what CentOS's DWARF says."""
    while "/./" in path:
        path = path.replace("/./", "/")
    return path[2:] if path.startswith("./") else path


def _location(function: str, text: str) -> Location:
    file, line = place(text)
    return Location(None if function == "??" else function, file or None, line or None)


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return -1
