"""The Report made of a draft: its architecture, its return addresses, the caller of a leaf function."""

from dataclasses import replace
from typing import Dict, List, Optional, Sequence, Tuple

from kdumpwrap.host.release import machine
from kdumpwrap.log import taint, trace
from kdumpwrap.log.builder import Draft
from kdumpwrap.model.log import Accessed, Blocker, Frame, LoadedModule, Panicker, Report, ReportKind
from kdumpwrap.regex import regex

_POINTERS = ("null-pointer", "page-fault")
_PAGE = 4096
# die() after a bad access: x86 "Oops: 0002 [#1]" (other traps have names), arm64 data and instruction aborts, powerpc,
# s390's protection and translation exceptions
_BAD_ACCESS = regex(
    r"(?:Oops: )+[0-9a-f]{4} \[#|Internal error: Oops: (?:00000000)?[89][0-9a-f]{7} |Oops: Kernel access of bad area|"
    r"Oops: 00(?:04|10|11|38|39|3a|3b) ilc"
)
# registers that tell the architecture of a dump
_REGISTERS: Dict[str, str] = {
    "x29": "aarch64",
    "x0": "aarch64",
    "rax": "x86_64",
    "rsp": "x86_64",
    "eax": "i386",
    "esp": "i386",
    "xer": "ppc64le",
    "psr": "arm",
    "gp": "riscv64",
}
# functions that tell the architecture of a trace without registers
_ENTRIES: Tuple[Tuple[str, str], ...] = (
    ("entry_SYSCALL_64", "x86_64"),
    ("do_syscall_64", "x86_64"),
    ("asm_sysvec_", "x86_64"),
    ("asm_exc_", "x86_64"),
    ("__x64_sys_", "x86_64"),
    ("el0_svc", "aarch64"),
    ("el0t_64_", "aarch64"),
    ("__arm64_sys_", "aarch64"),
    ("system_call_vectored_common", "ppc64le"),
    ("__s390x_sys_", "s390x"),
    ("__riscv_sys_", "riscv64"),
)


def report(draft: Draft, strangers: Sequence[LoadedModule] = (), booted: Optional[float] = None) -> Report:
    """The finished report. A value that the log does not tell is None.

    ``strangers`` are the modules that other lines of the boot call out of tree. ``booted`` is the time at which the
    boot began, in seconds since 1970.
    """
    arch = _arch(draft)
    ip = _ip(draft, arch)
    frames = _frames(draft, ip, arch)
    caller = _caller(draft, ip, frames, arch)
    fault = _fault(draft)
    return Report(
        kind=_kind(draft, fault),
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
        taints=taint.decode(draft.taint or "", draft.release),
        modules=tuple(draft.modules or ()),
        strangers=tuple(module for module in strangers if module not in (draft.modules or ())),
        panicker=_panicker(draft),
        fault_address=fault,
        ip=ip,
        trace=((caller,) if caller else ()) + tuple(frames),
        registers=tuple(draft.registers.items()),
        code=draft.dump.code(little=arch != "ppc64"),
        error_code=_number(draft.facts.get("code")),
        access=_access(draft, arch),
        hardware=draft.hardware,
        workqueue=draft.workqueue,
        kernel_offset=draft.kernel_offset,
        last_line=draft.last_line,
        message=draft.message,
        machine_checks=tuple(draft.checks.found),
        named=draft.locks.named,
        locks=tuple(draft.locks.held),
        works=tuple(draft.works.running),
        blocker=_blocker(draft),
        memory=draft.memory,
        wall=None if booted is None or draft.time is None else booted + draft.time,
        user_ip=draft.user_ip,
        tracks=tuple(draft.tracks.found),
        tasks=len({draft.pid, *draft.pids}),
    )


def _panicker(draft: Draft) -> Optional[Panicker]:
    """The task that called panic() because of a hang; None when the log does not tell it."""
    found = draft.panicker
    if found is None or not (found.frames or found.comm):
        return None
    return Panicker(found.cpu, found.pid, found.comm, tuple(_frames(found, None, _arch(found))))


def _blocker(draft: Draft) -> Optional[Blocker]:
    if draft.blocker is None or draft.owner is None:
        return draft.blocker
    return draft.blocker._replace(trace=tuple(_frames(draft.owner, None, _arch(draft.owner))))


def _number(text: Optional[str]) -> Optional[int]:
    return None if text is None else trace.address(text)


def _kind(draft: Draft, fault: Optional[int]) -> ReportKind:
    """The kind by the headline; when that is cut off, by the line of die() and the fault address."""
    null = fault is not None and fault < _PAGE
    if draft.kind == "oops" and (
        _BAD_ACCESS.match(draft.die or "") or (draft.role in ("headless", "piece") and fault is not None)
    ):
        return "null-pointer" if null else "page-fault"
    # s390, and powerpc to 4.20, use the same words for a null pointer and for any other
    told = not draft.headline.startswith("Unable to handle kernel p") or "virtual address" in draft.headline
    return "null-pointer" if draft.kind == "page-fault" and null and not told else draft.kind


def _arch(draft: Draft) -> Optional[str]:
    told = machine(draft.release or "") or draft.arch
    if told:
        return told
    for name, arch in _REGISTERS.items():
        if name in draft.registers:
            return arch
    for frame in draft.frames:
        for start, arch in _ENTRIES:
            if frame.symbol and frame.symbol.startswith(start):
                return arch
    runtime = next((frame.runtime for frame in draft.frames if frame.runtime), 0)
    if runtime >> 40 == 0xFFFFFF:
        return "x86_64"
    return "ppc64le" if runtime >> 60 in (0xC, 0xD) else None


def _fault(draft: Draft) -> Optional[int]:
    said = _number(draft.facts.get("addr"))
    if said is None and (draft.kind in (*_POINTERS, "stack-overflow") or _BAD_ACCESS.match(draft.die or "")):
        return draft.registers.get("dar", draft.registers.get("cr2"))
    return said


_RISCV_CAUSES: Dict[int, Accessed] = {12: "execute", 13: "read", 15: "write"}


def _access(draft: Draft, arch: Optional[str]) -> Optional[Accessed]:
    """The access to the bad address, by the log's text or by a bit of the error code; None when neither tells it."""
    said = draft.facts.get("access", "").lower()
    if said or "instruction fetch" in draft.headline:
        return "read" if said == "read" else "write" if said == "write" else "execute"
    if _kind(draft, None) not in _POINTERS:
        return None
    teid, error = _number(draft.facts.get("teid")), _number(draft.facts.get("code"))
    if arch == "s390x" and teid is not None and teid & 0xC00:  # the fetch-store indication
        return "write" if teid & 0x400 else "read"
    if arch == "aarch64" and error is not None and error >> 26 in (0x20, 0x21, 0x24, 0x25):  # instruction, data abort
        return "execute" if error >> 26 < 0x24 else "write" if error & 1 << 6 else "read"
    if arch in ("x86_64", "i386") and error is not None:
        return "execute" if error & 16 else "write" if error & 2 else "read"
    if arch in ("ppc64le", "ppc64") and "dsisr" in draft.registers:
        return "write" if draft.registers["dsisr"] & 1 << 25 else "read"
    if arch == "riscv64":
        return _RISCV_CAUSES.get(draft.registers.get("cause", 0))
    return None


def _ip(draft: Draft, arch: Optional[str]) -> Optional[Frame]:
    if draft.ip is None:
        named = trace.symbol(draft.facts.get("at", ""))
        if named is None or draft.kind == "panic":
            return None
        # sanitizers and out-of-line warnings name a return address; a fence or a trap is hit by the instruction itself
        return replace(named, exact=draft.kind == "kfence" or "at rIP:" in draft.headline)
    if arch == "s390x" and draft.die and draft.die.startswith(("illegal operation", "monitor event")):
        return replace(draft.ip, exact=False)
    return draft.ip


def _frames(draft: Draft, ip: Optional[Frame], arch: Optional[str]) -> List[Frame]:
    """The trace. Frames that are no return addresses are marked exact.

    These are the instruction pointer printed again (on x86 as ``? f+…``: the register that the exception saved), the
    instruction that an exception interrupted, and a pointer to a function.
    """
    frames: List[Frame] = []
    for frame in draft.frames:
        pointed = trace.is_exact(frame, frames[-1] if frames else None)
        saved = ip is not None and ip.exact and not frame.certain and trace.same(ip, frame)
        pointed = pointed or saved
        if not frames and (arch not in ("x86_64", "i386") or draft.kind == "kfence"):
            again = ip is not None and ip.exact and trace.same(ip, frame)
            pointed = pointed or again or (arch == "aarch64" and frame.offset == 0)
        frames.append(replace(frame, exact=True) if pointed and not frame.exact else frame)
    return [_link(frame, frames, index) if frame.context == "LR" else frame for index, frame in enumerate(frames)]


def _link(frame: Frame, frames: List[Frame], index: int) -> Frame:
    """A link register's frame: uncertain when it lies in the function before it, or repeats the next frame."""
    before, after = frames[index - 1] if index else None, frames[index + 1] if index + 1 < len(frames) else None
    stale = before is not None and (before.symbol, before.module) == (frame.symbol, frame.module)
    return replace(frame, certain=not stale and not trace.same(frame, after), exact=False)


def _caller(draft: Draft, ip: Optional[Frame], frames: List[Frame], arch: Optional[str]) -> Optional[Frame]:
    """The caller of a leaf function, which only the link register knows; None when that is stale or known."""
    lr = _s390_return(draft) if arch == "s390x" else draft.lr
    if ip is None or draft.ip is None or lr is None or lr.symbol is None:
        return None
    if (lr.symbol, lr.module) == (ip.symbol, ip.module) or any(trace.same(lr, frame) for frame in frames[:3]):
        return None
    return replace(lr, context="LR", exact=False)


def _s390_return(draft: Draft) -> Optional[Frame]:
    """The code that GPR 14 points to, named with the help of an address whose name the log gives."""
    address = draft.registers.get("r14")
    for frame in (draft.breaking, *draft.frames):
        if not address or frame is None or frame.runtime is None or frame.offset is None or not frame.size:
            continue
        offset = address - frame.runtime + frame.offset
        if 0 <= offset < frame.size:
            return replace(frame, offset=offset, runtime=address, certain=True)
    return None
