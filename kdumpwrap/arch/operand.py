"""The parser of one instruction's text, as objdump prints it for each architecture."""

from functools import lru_cache
from importlib import import_module
from typing import Optional

from kdumpwrap.arch.operation import Memory, Operation

__all__ = ["Memory", "Operation", "parse"]

# the module of each, with a function parse(); a log needs one of them
_PARSERS = {
    "x86_64": "x86",
    "i386": "x86",
    "aarch64": "arm64",
    "ppc64le": "power",
    "ppc64": "power",
    "s390x": "s390",
}


@lru_cache(maxsize=1 << 14)  # a batch shows the same few functions for a thousand crashes
def parse(text: str, arch: Optional[str]) -> Operation:
    """The parsed instruction ``text``; for an unknown architecture an Operation of the mnemonic alone."""
    name = _PARSERS.get(arch or "x86_64")
    if name is None:
        return Operation(text.partition(" ")[0], ())
    operation: Operation = import_module(f"kdumpwrap.arch.{name}").parse(text)
    return operation
