"""One frame of a call trace, of any architecture, and the instruction pointer's line."""

import re
from typing import List, NamedTuple, Optional, Tuple

from kdumpwrap.model import Frame

_CODE = (
    r"(?P<symbol>[\w.$@]{1,512})\+(?P<offset>0x[0-9a-f]{1,16})/(?P<size>0x[0-9a-f]{1,16})"
    r"(?:[ \t]+\[(?P<module>[\w-]{1,64})(?:[ ](?P<build>[0-9a-f]{16,40}))?\])?"
)
_SYMBOL = re.compile(_CODE)

# [<ffffffff810ae640>] ? f+0x1/0x2 [mod]       x86 to 4.9, s390 ("([<…>] f+…)" when uncertain), riscv, arm64 to 4.14
#  ? f+0x1/0x2 [mod]                           x86 from 4.10; arm64 adds " (P)" from 6.13
# [c000000003507890] [c000000000d89d7c] f+0x70/0xa0 (unreliable)                        powerpc
_FRAME = re.compile(
    r"(?P<paren>\()?"
    r"(?:\[<[ ]{0,16}(?P<runtime>[0-9a-f]{8,16}|\(null\)|)>\]|(?P<lost>\[\])|"
    r"(?:\[[0-9a-f]{8,16}\][ ])?\[(?P<power>[0-9a-f]{8,16})\])?[ \t]*"
    r"(?P<doubt>\?[ \t]+)?"
    r"(?:" + _CODE + r"|(?P<address>0x[0-9a-f]{2,16})(?:/0x[0-9a-f]{1,16})?|(?P<null>\(null\)))"
    r"(?P<rest>.*)$"
)
# what may follow a frame: " (unreliable)", " (P)", ")", or the line that a symbolizer added: " mm/slub.c:123"
_REST = re.compile(r"[ \t)]*(?:\((?P<note>\w{1,12})\)[ \t]*|[ \t][\w./+-]{1,200}:\d{1,6}.{0,40})?$")
# <IRQ> </IRQ> <EOI> <<EOE>> <TASK> <#DF>
_MARKER = re.compile(r"<{1,2}(?P<name>/?#?\w{2,24})>{1,2}[ \t]*")
# [<8011218c>] (unwind_backtrace) from [<8010e300>] (show_stack+0x18/0x1c);   unwind_backtrace from show_stack+0x18/0x1c
_ARM = re.compile(
    r"(?:\[<[0-9a-f]{8}>\] )?\(?[\w.]{1,256}(?:\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8})?\)?(?: \[[\w-]+\])?\)? from "
    r"(?:\[<(?P<runtime>[0-9a-f]{8})>\] )?\(?(?P<code>[\w.]{1,256}\+0x[^)]{3,80}|0x[0-9a-f]{8})\)?"
)
# --- interrupt: 700 at assert_slb_presence+0x2c/0x70      --- Exception: 901 at .foo+0x1/0x2
_POWER_INTERRUPT = re.compile(
    r"--- (?:interrupt|Exception): (?P<number>[0-9a-f]{1,5}) at (?P<code>\S{1,300}(?: \[[\w-]+\])?)"
)

# entries after which the unwinder prints the interrupted instruction itself
ENTRIES = re.compile(
    r"(?:el1h?_(?:64_)?(?:sync|irq|fiq|error|da|ia|undef|dbg|inv)|el1t_64_(?:sync|irq|fiq|error)|__bad_stack|"
    r"(?:ext|io|mcck)_int_handler|pgm_check_handler)$"
)


class Ip(NamedTuple):
    """An instruction pointer's line: where, and whether it is the user's program or a second look."""

    frame: Optional[Frame]  # None: user space
    register: str  # "ip", or "lr" for the link register
    head: bool = True  # False: a trailer or summary that repeats what the head said


def symbol(text: str) -> Optional[Frame]:
    """``f+0x1/0x2 [mod]`` anywhere in ``text``."""
    match = _SYMBOL.search(text)
    return _frame(match) if match else None


def frame(text: str, context: Optional[str], power: bool = False) -> Optional[Frame]:
    """The frame in ``text`` (a line, its markers taken off by `markers`); None when it is no frame."""
    text = text.strip()
    match = _FRAME.match(text)
    if match is None:
        arm = _ARM.match(text)
        if arm is None:
            return None
        runtime = int(arm["runtime"], 16) if arm["runtime"] else None
        found = symbol(arm["code"]) or Frame(None)
        return _with(found, runtime, context)
    rest = _REST.match(match["rest"])
    if rest is None:
        return None
    bare = match["address"] or match["null"]
    runtime_text = match["runtime"] or match["power"]
    if bare and not runtime_text and not bare.startswith("0x"):
        return None
    runtime = _hex(runtime_text) if runtime_text else _hex(bare) if bare else None
    certain = not (match["doubt"] or match["paren"] or rest["note"] == "unreliable")
    made = Frame(None) if bare else _frame(match)
    name = made.symbol
    if name and name.startswith(".") and match["power"]:
        name = name[1:]
    return Frame(
        name,
        made.offset,
        made.size,
        made.module,
        runtime,
        certain,
        context,
        exact=rest["note"] == "P",
        module_build_id=made.module_build_id,
    )


def markers(text: str) -> Tuple[Tuple[str, ...], str]:
    """The markers at the start of a trace line ("IRQ", "/IRQ", "EOI"), and what follows them."""
    found: List[str] = []
    text = text.strip()
    while text.startswith("<"):
        match = _MARKER.match(text)
        if match is None:
            break
        found.append(match["name"])
        text = text[match.end() :]
    return tuple(found), text


def interrupted(text: str, context: Optional[str]) -> Tuple[bool, Optional[Frame]]:
    """Whether ``text`` is powerpc's "--- interrupt" line, and the kernel code that it interrupted."""
    if not text.startswith("--- "):
        return False, None
    match = _POWER_INTERRUPT.match(text)
    if match is None:
        return text.startswith(("--- interrupt", "--- Exception")), None
    found = symbol(match["code"])
    if found is None:
        return True, None
    return True, _exact(_undotted(found), None, context)


def _frame(match: "re.Match[str]") -> Frame:
    return Frame(
        match["symbol"],
        int(match["offset"], 16),
        int(match["size"], 16),
        match["module"],
        module_build_id=match["build"],
    )


def _with(found: Frame, runtime: Optional[int], context: Optional[str]) -> Frame:
    return Frame(found.symbol, found.offset, found.size, found.module, runtime, True, context)


def _exact(found: Frame, runtime: Optional[int], context: Optional[str] = None) -> Frame:
    return Frame(
        found.symbol,
        found.offset,
        found.size,
        found.module,
        runtime,
        True,
        context,
        exact=True,
        module_build_id=found.module_build_id,
    )


def _undotted(found: Frame) -> Frame:
    if not found.symbol or not found.symbol.startswith("."):
        return found
    return Frame(found.symbol[1:], found.offset, found.size, found.module, module_build_id=found.module_build_id)


def _hex(text: str) -> int:
    return 0 if text == "(null)" else int(text, 16)


# ---------------------------------------------------------------- the instruction pointer

# RIP: 0010:[<ffffffff810ad2c0>]  [<ffffffff810ad2c0>] source_load+0x10/0x50       RIP: 0010:0x0      RIP: e030:f+0x1/0x2
_X86 = re.compile(r"[RE]IP: (?P<segment>[0-9a-f]{4}):\s*(?P<place>.*)$")
# RIP  [<ffffffff810ad2c0>] f+0x1/0x2     RIP: f+0x7d/0x170 RSP: ffff…     IP: [<ffffffffba828802>] f+0x12/0x20
_X86_BARE = re.compile(r"(?P<name>RIP|EIP|IP)(?: is at|:)?\s{1,4}(?P<place>.*)$")
_MCE = re.compile(
    r"(?:\[Hardware Error\]: )?RIP[ !A-Z]{0,12} ?(?:[0-9a-f]{2}:)?<(?P<runtime>[0-9a-f]{16})> \{(?P<place>[^}]{3,200})\}"
)
# pc : f+0x44/0x1a0 [mod]     lr : g+0x20/0x60     PC is at f+0x30/0xa8     epc : f+0x72/0xb2     NIP [c000…] f+0x1/0x2
_OTHERS = re.compile(r"(?P<name>pc|lr|PC|LR|NIP|epc| ra|ra)(?: is at| ?:|(?= \[))\s*(?P<place>.*)$")
# Krnl PSW : 0704f00180000000 000003ff8086d03a (will_oops_init+0x3a/0x1000 [will_oops])
_S390 = re.compile(
    r"(?P<name>Krnl|User) PSW : (?P<mask>[0-9a-f]{16}) (?P<runtime>[0-9a-f]{16})(?: \((?P<place>[^)]{3,300})\))?"
)
_RUNTIME = re.compile(
    r"\[<\s{0,16}(?P<runtime>[0-9a-f]{8,16}|\(null\))>\]|^\[(?P<power>[0-9a-f]{8,16})\]|^(?P<bare>0x[0-9a-f]{1,16})|^(?P<null>\(null\))"
)


def ip(text: str) -> Optional[Ip]:
    """The instruction pointer (or link register) in ``text``; None when it is another line."""
    match = _X86.match(text)
    if match:
        if int(match["segment"], 16) & 3 == 3:
            return Ip(None, "ip")
        return _ip(match["place"], "ip")
    match = _X86_BARE.match(text)
    if match:
        found = _ip(match["place"], "ip")
        return found._replace(head=match["name"] == "IP") if found else None
    match = _OTHERS.match(text)
    if match:
        name = match["name"].strip()
        register = "lr" if name in ("lr", "LR", "ra") else "ip"
        return _ip(match["place"], register, power=match["place"].startswith("["))
    match = _S390.match(text)
    if match:
        if match["name"] == "User" or int(match["mask"], 16) >> 48 & 1:  # the problem state bit
            return Ip(None, "ip")
        found_frame = symbol(match["place"] or "") or Frame(None)
        return Ip(_exact(found_frame, int(match["runtime"], 16)), "ip")
    match = _MCE.match(text)
    if match:
        made = symbol(match["place"]) or Frame(None)
        return Ip(_exact(made, int(match["runtime"], 16)), "ip")
    return None


def _ip(place: str, register: str, power: bool = False) -> Optional[Ip]:
    address = _RUNTIME.search(place)
    runtime: Optional[int] = None
    if address:
        runtime = _hex(address["runtime"] or address["power"] or address["bare"] or "(null)")
    found = symbol(place)
    if found is None:
        if runtime is None or (power and runtime < 1 << 60):
            return None if runtime is None else Ip(None, register)
        return Ip(_exact(Frame(None), runtime), register)
    if power:
        found = _undotted(found)
    return Ip(_exact(found, runtime), register)


def in_context(found: Frame, context: Optional[str]) -> Frame:
    """``found`` with the marker under which it stands in the trace."""
    return Frame(
        found.symbol,
        found.offset,
        found.size,
        found.module,
        found.runtime,
        found.certain,
        context,
        found.exact,
        found.module_build_id,
    )
