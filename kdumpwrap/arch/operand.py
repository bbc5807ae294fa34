"""The text of one instruction, as objdump prints it for each architecture, taken apart."""

from functools import lru_cache
from typing import Optional

from kdumpwrap.arch import arm64, power, s390, x86
from kdumpwrap.arch.operation import Memory, Operation

__all__ = ["Memory", "Operation", "parse"]

_PARSERS = {
    "x86_64": x86.parse,
    "i386": x86.parse,
    "aarch64": arm64.parse,
    "ppc64le": power.parse,
    "ppc64": power.parse,
    "s390x": s390.parse,
}


@lru_cache(maxsize=1 << 14)  # a batch shows the same few functions for a thousand crashes
def parse(text: str, arch: Optional[str]) -> Operation:
    """The instruction ``text`` taken apart; of an architecture not known here an empty Operation."""
    parser = _PARSERS.get(arch or "x86_64")
    if parser is None:
        return Operation(text.partition(" ")[0], ())
    return parser(text)
