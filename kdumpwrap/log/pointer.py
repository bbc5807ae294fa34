"""The line of the instruction pointer and, where there is one, that of the link register."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Optional

from kdumpwrap.literal import Literal
from kdumpwrap.log import trace
from kdumpwrap.model.log import Frame
from kdumpwrap.regex import regex

# RIP: 0010:[<ffffffff810ad2c0>]  [<ffffffff810ad2c0>] source_load+0x10/0x50     RIP: 0010:0x0     RIP: e030:f+0x1/0x2
_X86 = regex(r"(?P<name>[RE]IP): (?P<segment>[0-9a-f]{4}):\s*(?P<place>.*)$")
# EIP: [<f8d2a0c1>] wan_next+0x11/0x30 [xxxwan] SS:ESP 0068:f6d19f30     (i386, the trailer)
_TRAILER = " SS:ESP "
# IP: [<ffffffffba828802>] f+0x12/0x20     RIP  [<ffffffff810ad2c0>] f+0x1/0x2     RIP: f+0x7d/0x170 RSP: ffff…
_X86_BARE = regex(r"(?P<name>RIP|EIP|IP)(?: is at|:)?\s{1,4}(?P<place>.*)$")
# mce: [Hardware Error]: RIP !INEXACT! 10:<ffffffff813a7b1c> {intel_idle+0xcc/0x1e0}
_MCE = regex(
    r"(?:mce: )?\[Hardware Error\]: RIP[ !A-Z]{0,12} ?(?:[0-9a-f]{2}:)?"
    r"<(?P<runtime>[0-9a-f]{16})>(?: \{(?P<place>[^}]{1,200})\})?"
)
# pc : f+0x44/0x1a0 [mod]     lr : g+0x20/0x60     PC is at f+0x30/0xa8     epc : f+0x72/0xb2     NIP [c000…] f+0x1/0x2
_OTHERS = regex(r"(?P<name>pc|lr|PC|LR|NIP|epc|ra)(?: is at| ?:|(?= \[))\s*(?P<place>.*)$")
# Krnl PSW : 0704f00180000000 000003ff8086d03a (will_oops_init+0x3a/0x1000 [will_oops])
_S390 = regex(
    r"(?P<name>Krnl|User) PSW : (?P<mask>[0-9a-f]{16}) (?P<runtime>[0-9a-f]{16})(?: \((?P<place>[^)]{1,300})\))?"
)
_RUNTIME = regex(
    r"\[<\s{0,16}(?P<runtime>[0-9a-f]{8,16}|\(null\))>\]|"
    r"^(?:\[(?P<power>[0-9a-f]{8,16})\]|(?P<bare>0x[0-9a-f]{1,16}|\(null\)))"
)
_USER_PSW = 1 << 48  # the problem state bit of a PSW's mask
_POWER_KERNEL = 1 << 60  # powerpc's kernel lies above: 0xc000000000000000


Register = Literal["ip", "lr"]


class Pointer(NamedTuple):
    """The instruction pointer. ``frame`` is None when a user's program ran."""

    frame: Optional[Frame]
    register: Register = "ip"
    arch: Optional[str] = None  # where the line's form tells it
    user: Optional[int] = None  # of user space: ``frame`` is None
    repeats: bool = False  # a trailer that repeats the line of the head


@lru_cache(maxsize=trace.SHARED)
def parse(text: str) -> Optional[Pointer]:
    """The instruction pointer (or link register) in ``text``; None when it is another line."""
    match = _X86.match(text)
    if match:
        arch = "x86_64" if match["name"] == "RIP" else "i386"
        if int(match["segment"], 16) & 3 == 3:  # the privilege level of user space
            bare = _RUNTIME.search(match["place"])
            user = bare and (bare["runtime"] or bare["bare"])
            return Pointer(None, arch=arch, user=trace.address(user) if user else None)
        return _pointer(match["place"], arch=arch)
    match = _X86_BARE.match(text)
    if match:
        found = _pointer(match["place"], arch={"EIP": "i386", "RIP": "x86_64"}.get(match["name"]))
        repeats = match["name"] == "RIP" or _TRAILER in text
        return found._replace(repeats=repeats) if found else None
    match = _OTHERS.match(text)
    if match:
        name = match["name"]
        return _pointer(
            match["place"], "lr" if name in ("lr", "LR", "ra") else "ip", "riscv64" if name == "epc" else None
        )
    match = _S390.match(text)
    if match:
        if match["name"] == "User" or int(match["mask"], 16) & _USER_PSW:
            return Pointer(None, arch="s390x", user=int(match["runtime"], 16))
        return Pointer(_exact(match["place"] or "", int(match["runtime"], 16)), arch="s390x")
    match = _MCE.match(text)
    if match:
        return Pointer(_exact(match["place"] or "", int(match["runtime"], 16)), arch="x86_64")
    return None


def _pointer(place: str, register: Register = "ip", arch: Optional[str] = None) -> Optional[Pointer]:
    found = _RUNTIME.search(place)
    text = found and (found["runtime"] or found["power"] or found["bare"])
    runtime = trace.address(text) if text else None
    frame = _exact(place, runtime)
    if found and found["power"]:
        if frame.symbol is None and runtime is not None and runtime < _POWER_KERNEL and not _at_zero(runtime):
            return Pointer(None, register, arch)
        frame = trace.undotted(frame)
    if frame.symbol is None and runtime is None:
        return None
    return Pointer(frame, register, arch)


def _at_zero(runtime: int) -> bool:
    """Whether it is a jump through a null pointer, or near one: no user's program lies there."""
    return runtime < 1 << 12


def _exact(place: str, runtime: Optional[int]) -> Frame:
    return replace(trace.symbol(place) or Frame(None), runtime=runtime, exact=True)


def merged(known: Optional[Frame], new: Frame) -> Frame:
    """The instruction pointer of two lines: "IP: [<…>] f+…" and "RIP: …", "PC is at f+…" and "pc : [<…>]"."""
    if known is None:
        return new
    if new.symbol is None or trace.same(known, new):
        return known if known.runtime is not None else replace(known, runtime=new.runtime)
    if known.symbol is None and (new.runtime is None or new.runtime == known.runtime):
        return replace(new, runtime=known.runtime)
    return new
