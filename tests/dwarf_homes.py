"""Where the debug information puts the variables of an address, by llvm-dwarfdump: a second opinion on gdb's."""

import re
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

# "0x08790d7a:   DW_TAG_inlined_subroutine"
_DIE = re.compile(r"^0x(?P<offset>[0-9a-f]+):(?P<indent> +)(?P<tag>DW_TAG_\w+|NULL)", re.M)
# "[0xffffffff818a6ca0, 0xffffffff818a8d44)" and, behind it in a list of locations, ": DW_OP_reg5 RDI"
_RANGE = re.compile(r"\[0x(?P<low>[0-9a-f]+), 0x(?P<high>[0-9a-f]+)\)(?:: (?P<what>[^\n]*?)\)*$)?", re.M)
_WHOLE = re.compile(r"DW_AT_location\t\((?P<what>DW_OP_[^\n]*)\)$", re.M)
_NAME = re.compile(r'DW_AT_(?:name\t\("|abstract_origin\t\(0x[0-9a-f]+ ")(?P<name>[^"]*)')
_SCOPES = ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine", "DW_TAG_lexical_block")
_REGISTER = re.compile(r"DW_OP_reg\d+ (?P<register>R\w+)")


class Die(NamedTuple):
    """One entry of the debug information."""

    offset: str
    depth: int
    tag: str
    text: str


def homes(vmlinux: Path, address: int, symbol: Optional[int] = None) -> Optional[Dict[str, Set[str]]]:
    """The registers (``rdi``, ``r8``) of each name at ``address``, in any block there; None outside of functions.

    ``symbol`` is where the function begins.
    """
    entry = symbol if symbol is not None else address  # at a function's entry nothing is inlined, mostly
    function = _entry(vmlinux, entry)
    return None if function is None else _inside(_function(vmlinux, function), address)


@lru_cache(maxsize=None)
def _entry(vmlinux: Path, address: int) -> Optional[str]:
    """The offset of the entry of the function at ``address``."""
    inner = _dies(vmlinux, f"--lookup={address:#x}")
    if inner and inner[-1].tag == "DW_TAG_subprogram":
        return inner[-1].offset
    parents = _dies(vmlinux, f"--debug-info=0x{inner[-1].offset}", "--show-parents") if inner else []
    return next((die.offset for die in parents if die.tag == "DW_TAG_subprogram"), None)


@lru_cache(maxsize=None)
def _function(vmlinux: Path, offset: str) -> Tuple[Die, ...]:
    return tuple(_dies(vmlinux, f"--debug-info=0x{offset}", "--show-children"))


def _dies(vmlinux: Path, *options: str) -> List[Die]:
    argv = ["llvm-dwarfdump", *options, str(vmlinux)]
    text = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    heads = list(_DIE.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [
        Die(head["offset"], len(head["indent"]), head["tag"], text[head.start() : end])
        for head, end in zip(heads, ends)
    ]


def _inside(dies: Tuple[Die, ...], address: int) -> Dict[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    outside: Optional[int] = None  # depth of a block that does not cover the address: what is in it does not count
    for die in dies:
        if outside is not None and die.depth > outside:
            continue
        outside = None
        if die.tag in _SCOPES and not _covers(die, address):
            outside = die.depth
        elif die.tag in ("DW_TAG_formal_parameter", "DW_TAG_variable"):
            name, register = _NAME.search(die.text), _register(die, address)
            if name is not None and register is not None:
                found.setdefault(name["name"], set()).add(register)
    return found


def _covers(die: Die, address: int) -> bool:
    low = re.search(r"DW_AT_low_pc\t\(0x([0-9a-f]+)\)", die.text)
    high = re.search(r"DW_AT_high_pc\t\(0x([0-9a-f]+)\)", die.text)
    if low and high:
        return int(low[1], 16) <= address < int(high[1], 16)
    return any(int(one["low"], 16) <= address < int(one["high"], 16) for one in _RANGE.finditer(die.text))


def _register(die: Die, address: int) -> Optional[str]:
    whole = _WHOLE.search(die.text)
    what = whole["what"] if whole else ""
    for one in _RANGE.finditer(die.text):
        if one["what"] and int(one["low"], 16) <= address < int(one["high"], 16):
            what = one["what"]
    match = _REGISTER.fullmatch(what)
    return match["register"].lower() if match else None
