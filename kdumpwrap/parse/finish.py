"""From what was gathered to the Report: the architecture, what is no return address, and who called a leaf."""

from dataclasses import replace
from typing import List, Optional, Tuple

from kdumpwrap.model import Frame, Report
from kdumpwrap.parse import banner, trace
from kdumpwrap.parse.draft import Draft
from kdumpwrap.taint import decode

_POINTERS = ("null-pointer", "page-fault", "oops")


def report(draft: Draft) -> Report:
    """The finished report. What the log does not say is None."""
    arch = _arch(draft)
    ip = _ip(draft, arch)
    frames = _frames(draft, ip, arch)
    caller = _caller(draft, ip, frames, arch)
    fault = _fault(draft)
    kind = draft.kind
    if kind == "page-fault" and fault is not None and fault < 4096 and "paging request at" not in draft.headline:
        kind = "null-pointer"
    return Report(
        kind=kind,
        headline=draft.headline,
        line=draft.line,
        time=draft.time,
        panic=draft.panic,
        cpu=draft.cpu,
        pid=draft.pid,
        comm=draft.comm,
        release=draft.release,
        arch=arch,
        taint=draft.taint,
        taints=decode(draft.taint or ""),
        modules=tuple(draft.modules or ()),
        fault_address=fault,
        ip=ip,
        trace=((caller,) if caller else ()) + tuple(frames),
        registers=tuple(draft.registers.items()),
        code=draft.dumped(little=arch != "ppc64"),
        error_code=_number(draft.facts.get("code")),
        access=_access(draft),
        hardware=draft.hardware,
        workqueue=draft.workqueue,
        kernel_offset=draft.kernel_offset,
        last_line=draft.last_line,
    )


def _number(text: Optional[str]) -> Optional[int]:
    if text is None:
        return None
    return 0 if text == "(null)" else int(text, 16)


def _arch(draft: Draft) -> Optional[str]:
    told = banner.machine(draft.release or "")
    if told or draft.arch:
        return told or draft.arch
    names = draft.registers
    if "x29" in names or "x0" in names:
        return "aarch64"
    if "rax" in names or "rsp" in names:
        return "x86_64"
    if "eax" in names:
        return "i386"
    if "cfar" in names or "xer" in names:
        return "ppc64le"
    runtime = next((frame.runtime for frame in draft.frames if frame.runtime), None)
    if runtime is not None and runtime >> 40 == 0xFFFFFF:
        return "x86_64"
    if runtime is not None and runtime >> 60 in (0xC, 0xD):
        return "ppc64le"
    return None


def _fault(draft: Draft) -> Optional[int]:
    address = _number(draft.facts.get("addr"))
    if address is None and draft.kind in _POINTERS:
        cr2 = draft.registers.get("cr2") if draft.kind != "oops" else None
        return draft.registers.get("dar", cr2)
    return address


def _access(draft: Draft) -> Optional[str]:
    said = draft.facts.get("access", "").lower()
    if said:
        return "execute" if said == "instruction" else said
    if "wnr" in draft.facts:
        return "write" if draft.facts["wnr"] == "1" else "read"
    teid = _number(draft.facts.get("teid"))
    if teid is not None and teid & 0xC00:
        return "write" if teid & 0x400 else "read"
    number = _number(draft.facts.get("code"))
    if number is not None and draft.kind in ("null-pointer", "page-fault") and "cr2" in draft.registers:
        return "execute" if number & 16 else "write" if number & 2 else "read"
    return None


# ---------------------------------------------------------------- what lies where


def _ip(draft: Draft, arch: Optional[str]) -> Optional[Frame]:
    ip = draft.ip
    if ip is None:
        found = trace.symbol(draft.facts.get("at", ""))
        if found is None:
            return None
        # a sanitizer or an out-of-line warning names its caller's return address; KFENCE and a trap the instruction
        return replace(found, exact=draft.kind == "kfence")
    if arch == "s390x" and draft.die and draft.die.startswith(("illegal operation", "monitor event")):
        return replace(ip, exact=False)
    return ip


def _frames(draft: Draft, ip: Optional[Frame], arch: Optional[str]) -> List[Frame]:
    """The trace; marked exact are the instruction pointer printed again, and what an exception interrupted."""
    frames: List[Frame] = []
    before: Optional[Frame] = None
    for frame in draft.frames:
        pointed = before is not None and before.symbol is not None and bool(trace.ENTRIES.match(before.symbol))
        if before is None and arch != "x86_64":
            again = ip is not None and ip.symbol == frame.symbol and ip.offset == frame.offset
            pointed = (again and (ip is None or ip.exact)) or (arch == "aarch64" and frame.offset == 0)
        frames.append(replace(frame, exact=True) if pointed and not frame.exact else frame)
        before = frame
    return frames


def _caller(draft: Draft, ip: Optional[Frame], frames: List[Frame], arch: Optional[str]) -> Optional[Frame]:
    """The caller of a leaf function, which only the link register knows; None when that is stale or known."""
    lr = draft.lr if arch != "s390x" else _s390_return(draft)
    if lr is None or lr.symbol is None or draft.ip is None:
        return None
    if ip is not None and (lr.symbol, lr.module) == (ip.symbol, ip.module):
        return None
    if any((lr.symbol, lr.offset) == (frame.symbol, frame.offset) for frame in frames[:3]):
        return None
    return replace(lr, context="LR", exact=False)


def _s390_return(draft: Draft) -> Optional[Frame]:
    """The code that GPR 14 points to, named with the help of an address whose name the log gives."""
    address = draft.registers.get("r14")
    if not address:
        return None
    known: Tuple[Optional[Frame], ...] = (draft.breaking, *draft.frames)
    for frame in known:
        if frame is None or frame.runtime is None or frame.offset is None or not frame.size:
            continue
        offset = address - frame.runtime + frame.offset
        if 0 <= offset < frame.size:
            return replace(frame, offset=offset, runtime=address, certain=True)
    return None
