"""One line of a call trace, of any architecture."""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Iterator, List, Optional, Tuple

from kdumpwrap.model.log import Frame
from kdumpwrap.regex import regex

EATEN = "<>"  # a marker whose inner brackets a web page took for a tag
SHARED = 1024  # lines whose result is cached: the logs of one bug have them in common

# f+0x1/0x2 [mod], with CONFIG_STACKTRACE_BUILD_ID [mod 1f0c…]
_CODE = (
    r"(?<![\w.$@])(?P<symbol>[\w.$@]{1,512})\+(?P<offset>0[xX][0-9a-f]{1,16})/(?P<size>0[xX][0-9a-f]{1,16})"
    r"(?![0-9a-f])(?:[ \t]+\[(?P<module>[\w-]{1,64})(?:[ ](?P<build>[0-9a-f]{16,40}))?\]|"
    r"(?![ \t]+\[[\w-]{0,64}(?: [0-9a-f]*)?$))"  # cut in its module's name: it is no frame without a module
)
_SYMBOL = regex(_CODE)

# [<ffffffff810ae640>] ? f+0x1/0x2 [mod]     x86 to 4.9, s390 ("([<…>] f+…)" when uncertain), riscv, arm64 to 4.14
# [] f+0x1/0x2                               the same after a web page took <…> for markup
#  ? f+0x1/0x2 [mod]                         x86 from 4.10; arm64 adds where it read the address from 6.13 on:
#                                            " (P)" the pc, " (L)" the link register, " (T)" a sleeping task
# [c000000003507890] [c000000000d89d7c] f+0x70/0xa0 (unreliable)                        powerpc
# 0xffffffffc0123456                         code without a symbol
_FRAME = regex(
    r"(?P<paren>\()?"
    r"(?:\[<[ ]{0,16}(?P<runtime>[0-9a-f]{1,16}|\(null\)|)>\]|\[\]|"
    r"(?:\[[0-9a-f]{8,16}\][ ])?\[(?P<power>[0-9a-f]{8,16})\])?[ \t]*"
    r"(?P<doubt>\?[ \t]+)?"
    r"(?:" + _CODE + r"|(?P<address>0x[0-9a-f]{2,16})(?:/0x[0-9a-f]{1,16})?|(?P<null>\(null\)))"
    r"(?P<rest>.*)$"
)
_BEGINNING = regex(r"\(?\[<[0-9a-f]{8,16}>\] |\?? ?[A-Za-z_][\w.$@]{1,200}\+0[xX][0-9a-f]")
# what may follow a frame: " (unreliable)", " (P)", ")", or the line that a symbolizer added, " mm/slub.c:123"
# or what a person typed behind it: "/*", "<---", "-- here"
_REST = regex(
    r"[ \t)]*(?:\((?P<note>\w{1,12})\)[ \t]*|[ \t][\w./+-]{1,200}:\d{1,6}.{0,40}|"
    r"[/*.,;]{1,3}[ \t]*|[ \t]*<?-{2,}.{0,80})?$"
)
# <IRQ> </IRQ> <EOI> <<EOE>> <TASK> <#DF>; "<>" is what a web page leaves of <<EOE>>
_MARKER = regex(r"<{1,2}(?P<name>/?#?\w{2,24})>{1,2}[ \t]*|<>[ \t]*")
# [<8011218c>] (unwind_backtrace) from [<8010e300>] (show_stack+0x18/0x1c);  unwind_backtrace from show_stack+0x18/0x1c
_ARM = regex(
    r"(?:\[<[0-9a-f]{8}>\] )?\(?[\w.]{1,256}(?:\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8})?\)?(?: \[[\w-]{1,64}\])?\)? from "
    r"(?:\[<(?P<runtime>[0-9a-f]{8})>\] )?\(?(?P<code>[\w.]{1,256}\+0x[^)]{3,80}|0x[0-9a-f]{8})\)?"
)
# --- interrupt: 700 at assert_slb_presence+0x2c/0x70      --- Exception: 901 at .foo+0x1/0x2
_POWER_INTERRUPT = regex(r"--- (?:interrupt|Exception): [0-9a-f]{1,5}(?: at (?P<code>\S{1,300}(?: \[[\w-]+\])?))?")

# entries of the architecture after which the unwinder prints the interrupted instruction itself
_ENTRIES = regex(
    r"(?:el1h?_(?:64_)?(?:sync|irq|fiq|error|da|ia|undef|dbg|inv)|el1t_64_(?:sync|irq|fiq|error)|__bad_stack|"
    r"(?:ext|io|mcck)_int_handler|pgm_check_handler)$"
)


def begins(text: str) -> bool:
    """Whether ``text`` begins like a frame, whatever follows: "[<ffffffff810ae640>]", "? f+0x", "f+0X"."""
    return bool(_BEGINNING.match(text))


def symbol(text: str) -> Optional[Frame]:
    """The first ``f+0x1/0x2 [mod]`` anywhere in ``text``."""
    match = _SYMBOL.search(text)
    return _frame(match) if match else None


def symbols(text: str) -> Iterator[Tuple[int, Frame]]:
    """Every ``f+0x1/0x2 [mod]`` anywhere in ``text``, each behind the index at which its size ends."""
    for match in _SYMBOL.finditer(text):
        yield match.end("size"), _frame(match)


@lru_cache(maxsize=SHARED)
def parse(text: str, context: Optional[str] = None) -> Optional[Frame]:
    """The frame in ``text`` (a line, its markers taken off by `markers`); None when it is no frame."""
    text = text.strip()
    match = _FRAME.match(text)
    if match is None:
        return arm(text)
    rest = _REST.match(match["rest"])
    if rest is None:
        return None
    bare = match["address"] or match["null"]
    runtime = match["runtime"] or match["power"] or (match["address"] if bare else None)
    if bare and runtime is None:  # a "(null)" without brackets may be anything
        return None
    note = rest["note"] or ""
    name = match["symbol"]
    return Frame(
        name[1:] if name and match["power"] and name.startswith(".") else name,
        int(match["offset"], 16) if name else None,
        int(match["size"], 16) if name else None,
        match["module"],
        None if runtime is None else address(runtime),
        not (match["doubt"] or match["paren"] or note == "unreliable"),
        "LR" if note == "L" else context,
        "P" in note,
        match["build"],
    )


def arm(text: str) -> Optional[Frame]:
    """The caller in a line of a 32-bit arm trace, which needs no title: "(f) from [<8010e300>] (g+0x18/0x1c)"."""
    match = _ARM.match(text) if " from " in text else None
    if match is None:
        return None
    runtime = match["runtime"] or (None if "+" in match["code"] else match["code"])
    return replace(symbol(match["code"]) or Frame(None), runtime=None if runtime is None else address(runtime))


@lru_cache(maxsize=SHARED)
def markers(text: str) -> Tuple[Tuple[str, ...], str]:
    """The markers at the start of a trace line ("IRQ", "/IRQ", "EOI"), and what follows them."""
    found: List[str] = []
    text = text.strip()
    while text.startswith("<"):
        match = _MARKER.match(text)
        if match is None:
            break
        found.append(match["name"] or EATEN)
        text = text[match.end() :]
    return tuple(found), text


@lru_cache(maxsize=SHARED)
def interrupted(text: str) -> Optional[Tuple[Optional[Frame]]]:
    """The kernel code in powerpc's "--- interrupt: 700 at f+0x1/0x2", ``(None,)`` for a user's; None: another line."""
    match = _POWER_INTERRUPT.match(text)
    if match is None:
        return None
    found = symbol(match["code"] or "")
    return (None if found is None else replace(undotted(found), exact=True),)


def enters(frame: Frame) -> bool:
    """Whether ``frame`` is an exception's entry: what comes after it is what was interrupted, no return address."""
    return frame.symbol is not None and bool(_ENTRIES.match(frame.symbol))


def is_exact(frame: Frame, before: Optional[Frame]) -> bool:
    """Whether ``frame``, which follows ``before`` in its stack, is no return address by what these two say."""
    return frame.exact or (before is not None and enters(before)) or is_function(frame)


def is_function(frame: Frame) -> bool:
    """Whether ``frame`` is a pointer to a function, no return address: ``? __pfx_kthread+0x10/0x10`` is ``kthread``.

    The kernel (6.3, el9 and later) looks an address of a stack up one byte back, which here lies in the padding that
    it keeps before each function: there is no call in it.
    """
    return bool(frame.symbol and frame.symbol.startswith("__pfx_")) and frame.offset == frame.size


def same(one: Optional[Frame], other: Optional[Frame]) -> bool:
    """Whether both name the same place in the same function."""
    return one is not None and other is not None and (one.symbol, one.offset) == (other.symbol, other.offset)


def undotted(frame: Frame) -> Frame:
    """``frame`` without the dot that big-endian powerpc puts before the name of a function's code."""
    return replace(frame, symbol=frame.symbol[1:]) if frame.symbol and frame.symbol.startswith(".") else frame


def address(text: str) -> int:
    """A hexadecimal address; the kernel prints "(null)" for 0."""
    return 0 if text == "(null)" else int(text, 16)


def _frame(match: "re.Match[str]") -> Frame:
    offset, size = int(match["offset"], 16), int(match["size"], 16)
    return Frame(match["symbol"], offset, size, match["module"], module_build_id=match["build"])
