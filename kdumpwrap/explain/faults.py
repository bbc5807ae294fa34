"""Failed accesses to memory: sentences on the instruction, the address and the pointer."""

from typing import Iterator, Optional, Tuple

from kdumpwrap.arch import table
from kdumpwrap.arch.operand import Memory
from kdumpwrap.explain import pointer
from kdumpwrap.explain.access import VERBS, Access, Registers, accesses, base, faulting, guilty, operation
from kdumpwrap.explain.poison import hexed, meaning
from kdumpwrap.model.kernel import Instruction, Resolution

_PAGE = 4096
# bits of the x86 page fault's error code, Documentation/arch/x86: arch/x86/include/asm/trap_pf.h
_PRESENT, _WRITE, _USER, _RESERVED, _FETCH, _KEY = 1, 2, 4, 8, 16, 32


def sentences(resolution: Resolution) -> Iterator[str]:
    """The sentences about a failed access; none when the report is of another kind."""
    jumped = _jump(resolution)
    if jumped is not None:
        yield from jumped
        return
    row = faulting(resolution)
    if row is None:
        yield from _address_alone(resolution)
        return
    done = operation(row, resolution)
    found = accesses(done, Registers(resolution))
    access, agrees = guilty(resolution.report, found)
    if access is None:
        yield from _without_access(resolution, row, done.memory)
        return
    yield _what(resolution, row, access, agrees)
    yield from pointer.said(resolution, access)
    if access.memory.implied:
        yield from _stack(resolution, access)
    yield from pointer.came_from(resolution, row, access)
    yield from _rights(resolution, access, agrees)


def _what(resolution: Resolution, row: Instruction, access: Access, agrees: bool) -> str:
    """``add %rdx,0x18(%rax) reads and writes 8 bytes at 0x… (rax 0x… + 0x18), the address in CR2.``"""
    memory = access.memory
    size = f"{memory.size} byte{'' if memory.size == 1 else 's'}" if memory.size else "memory"
    where = f" ({access.sum})" if access.sum and access.sum != f"{access.address:#x}" else ""
    text = f"{row.text} {VERBS[memory.access]} {size} at {access.address:#x}{where}"
    fault = resolution.report.fault_address
    if fault is None:
        return f"{text}; the log names no address."
    if (
        resolution.report.kind == "general-protection"
    ):  # the headline names the address: CR2 is that of an earlier page fault
        if fault == access.address:
            return f"{text}, the address that the log names."
        if fault == base(access):
            return f"{text}; the log names {fault:#x}, the address without the displacement {_displacement(access)}."
        return f"{text}, by the instruction and the registers; the log names {fault:#x}, which is another address."
    told = table.of(resolution.report.arch or "x86_64").fault
    pushed = _pushed(resolution)
    if not agrees and pushed is not None:
        return f"{text}. {pushed}"
    if agrees:
        page = " (it tells only the page)" if resolution.report.arch == "s390x" else ""
        return f"{text}, the address in {told}{page}."
    return (
        f"{text}, by the instruction and the registers, but {told} says {fault:#x}: "
        "the two do not agree, so one of them is not of this moment."
    )


def _displacement(access: Access) -> str:
    displacement = access.memory.displacement
    return f"{'-' if displacement < 0 else ''}{abs(displacement):#x}"


def _pushed(resolution: Resolution) -> Optional[str]:
    """A sentence on a second fault: the CPU pushed the first one's frame below a full stack. None for another fault.

    The CPU aligns the stack pointer to 16 bytes and then pushes SS, 8 bytes: Intel SDM 3A, 6.14.2.
    """
    pointer, fault = Registers(resolution).get("rsp"), resolution.report.fault_address
    if (
        resolution.report.kind not in ("stack-overflow", "double-fault")
        or pointer is None
        or fault != (pointer & ~15) - 8
    ):
        return None
    return (
        f"CR2 {fault:#x} is where the CPU then pushed that fault's own frame, just below rsp {pointer:#x}: "
        "there is no stack left for it either."
    )


def _rights(resolution: Resolution, access: Access, agrees: bool) -> Iterator[str]:
    """The error code in words, and whether the instruction agrees with it."""
    error = resolution.report.error_code
    x86 = resolution.report.arch in ("x86_64", "i386", None) and resolution.report.kind in (
        "null-pointer",
        "page-fault",
    )
    if x86 and error is not None:
        if error & _RESERVED:
            yield f"The #PF error code {error:#06x} says that the page tables hold a reserved bit: they are damaged."
        elif error & _PRESENT and error & _WRITE and not error & _USER and resolution.report.fault_address:
            yield (
                f"The #PF error code {error:#06x} says that the page is there but may not be written: "
                "read-only memory, such as a constant or the kernel's text, or SMAP guarding user space."
            )
        elif error & _PRESENT:
            yield f"The #PF error code {error:#06x} says that the page is there: it may not be accessed like this."
    told = resolution.report.access
    if told not in ("read", "write") or not agrees:
        return
    evidence = "the #PF error code" if x86 else "the log"
    if told == "read" and access.memory.access == "read-write":
        yield (
            f"{evidence[0].upper()}{evidence[1:]} says a read, though the instruction also writes there: "
            "a real CPU reports such an access as a write, an emulated one its read, which comes first."
        )
    elif (told == "write") != (access.memory.access in ("write", "read-write")):
        yield f"{evidence[0].upper()}{evidence[1:]} says a {told}; the instruction is a {access.memory.access}."


def _stack(resolution: Resolution, access: Access) -> Iterator[str]:
    """Sentences on an access to the stack itself: push, call, ret."""
    stack = dict(access.terms)
    name, value = next(iter(stack.items()), ("the stack pointer", 0))
    if value % _PAGE == 0 and access.memory.displacement < 0:
        yield (
            f"{name} {value:#x} is the first byte of its page: the access below it falls into the guard page "
            "under the stack, which is used up."
        )


def _address_alone(resolution: Resolution) -> Iterator[str]:
    """Sentences on the meaning of the address when the instruction is not known."""
    address = resolution.report.fault_address
    if address is None:
        return
    verb = {"read": "A read of", "write": "A write to", "execute": "A jump to"}.get(
        resolution.report.access or "", "An access to"
    )
    if resolution.report.kind == "general-protection":  # 4.18 leaves the displacement out
        verb = "An access by way of"
    found = meaning(address, resolution.report.arch)
    if found is None:
        yield f"{verb} {address:#x} failed, as the log says."
    elif found.kind == "null" and address == 0:
        yield f"{verb} NULL failed, as the log says."
    elif found.kind == "null":
        yield f"{verb} NULL + {address:#x} failed, as the log says: a member of a structure whose pointer is NULL."
    else:
        yield f"{verb} {address:#x} failed, as the log says: {found.text}{pointer.distance(found.offset)}."


def _without_access(resolution: Resolution, row: Instruction, memory: Tuple[Memory, ...]) -> Iterator[str]:
    """Sentences on an instruction that accesses no memory, or whose address is unknown."""
    if resolution.report.kind == "general-protection" and not memory:
        mnemonic = row.text.partition(" ")[0]
        ecx = Registers(resolution).get("rcx")
        if mnemonic in ("wrmsr", "rdmsr") and ecx is not None:
            yield f"{row.text}: the CPU refuses the model-specific register {ecx & 0xFFFFFFFF:#x} (ecx)."
        else:
            yield f"{row.text} touches no memory: the CPU refuses the instruction itself."
        return
    if memory:
        what = " and ".join(f"{VERBS[one.access]} {one.text}" for one in memory if not one.implied)
        if what:
            yield f"{row.text} {what}; the registers do not tell its address."
    yield from _address_alone(resolution)


def _jump(resolution: Resolution) -> Optional[Tuple[str, ...]]:
    """Sentences on a jump to an address without code, by a bad function pointer or return address; else None."""
    ip = resolution.ip
    target = None
    if ip is not None and ip.symbol is None:
        target = ip.runtime if ip.runtime is not None else ip.offset
    elif resolution.report.access == "execute":
        target = resolution.report.fault_address
    if target is None:
        return None
    found = meaning(target, resolution.report.arch)
    if found is None:
        what = f"{target:#x}, where there is no code"
    elif found.kind == "null":
        what = f"{target:#x}: NULL{hexed(target)}, as by a function pointer that is not set"
    elif found.kind == "poison":
        given_up = "the function pointer lay in memory that was given up"
        what = f"{target:#x}: {found.text}{pointer.distance(found.offset)}: {given_up}"
    else:
        what = f"{target:#x}: {found.text}"
    caller = pointer.caller(resolution)
    told = (
        "the instruction pointer"
        if ip is not None and ip.symbol is None
        else "the instruction fetch that the log names"
    )
    lines = [f"The CPU was sent to {what} ({told})."]
    if caller:
        lines.append(f"It was called from {caller}, the first certain frame.")
    return tuple(lines)
