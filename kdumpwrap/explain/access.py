"""The memory that an instruction touches: effective addresses from its operands and the registers."""

from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.arch import operand, s390, x86
from kdumpwrap.arch.operand import Memory, Operation
from kdumpwrap.model.kernel import Instruction, Resolution
from kdumpwrap.model.log import Report

_MASK = (1 << 64) - 1
_PAGE = 4096
VERBS = {"read": "reads", "write": "writes", "read-write": "reads and writes"}


class Access(NamedTuple):
    """A memory operand and its address."""

    memory: Memory
    address: int
    terms: Tuple[Tuple[str, int], ...]  # (name in the log, value) of each register in the address

    @property
    def sum(self) -> str:
        """``rax 0xffffab6eb1645678 + 0x18``."""
        parts = []
        for place, (name, value) in enumerate(self.terms):
            scaled = self.memory.scale > 1 and name == self.memory.indexed and (place > 0 or self.memory.base is None)
            parts.append(f"{name} {value:#x}{f' * {self.memory.scale}' if scaled else ''}")
        text = " + ".join(parts)
        if self.memory.displacement and self.terms:
            sign = "-" if self.memory.displacement < 0 else "+"
            text += f" {sign} {abs(self.memory.displacement):#x}"
        return text


class Registers:
    """The registers of a report, under every spelling that a kernel's log uses."""

    def __init__(self, resolution: Resolution) -> None:
        self._values: Dict[str, int] = dict(resolution.report.registers)
        row = faulting(resolution)
        runtime = resolution.ip.runtime if resolution.ip else None
        if row is not None and runtime is not None:
            self._values["rip"] = runtime + len(row.data)  # what "0x19cf4(%rip)" counts from

    def get(self, name: str) -> Optional[int]:
        """The value of ``name`` (``r08`` and ``r8`` are the same, ``rax`` is ``eax`` on i386); None when unknown."""
        short = name[0] + name[1:].lstrip("0") if name[1:].isdigit() and name[1:] != "0" else name
        other = {"x30": "lr", "lr": "x30"}.get(name, f"e{name[1:]}")
        for spelling in (name, short, other):
            if spelling in self._values:
                return self._values[spelling]
        return None


def faulting(resolution: Resolution) -> Optional[Instruction]:
    """The instruction at the instruction pointer; None when that is unknown: the marked one may be a caller's."""
    if resolution.ip is None or (resolution.ip.symbol is None and resolution.ip.runtime is None):
        return None
    return resolution.marked


def operation(row: Instruction, resolution: Resolution) -> Operation:
    """The parsed ``row``; for s390x's ``ex`` and ``exrl`` the instruction that they execute."""
    done = operand.parse(row.text, resolution.report.arch)
    return _executed(row, done, resolution) if done.mnemonic in s390.EXECUTES else done


def _executed(row: Instruction, done: Operation, resolution: Resolution) -> Operation:
    """``mvc 0(1,%r1),0(%r2)`` for ``exrl %r3,3a2f66 <f+0x26>``, its length from %r3; else ``done``.

    The length byte of the instruction that is run is or-ed with the register's (z/Architecture, EXECUTE).
    """
    values = dict(resolution.report.registers)
    target = done.target
    if target is None and done.operands[1:]:  # ex: an address of the kernel that ran
        place = s390.address(done.operands[1], values)
        runtime = resolution.ip.runtime if resolution.ip is not None else None
        target = None if place is None or runtime is None else place - runtime + row.address
    shown = {one.address: one for one in (*resolution.disassembly, *resolution.function)}
    found = shown.get(target) if target is not None else None
    if found is None:
        return done
    run = operand.parse(found.text, resolution.report.arch)
    more = values.get(done.operands[0].lstrip("%"), 0) & 0xFF if done.operands[0] != "%r0" else 0
    memory = (one if one.size is None else one._replace(size=(one.size - 1 | more) + 1) for one in run.memory)
    return run._replace(memory=tuple(memory) if s390.is_storage(run.mnemonic) else run.memory)


def accesses(done: Operation, registers: Registers) -> Tuple[Access, ...]:
    """The memory operands of ``done`` whose address the registers give."""
    found = []
    for memory in done.memory:
        access = located(memory, registers)
        if access is not None and done.mnemonic.startswith("bt") and done.operands[0].startswith("%"):
            access = _bit(access, done.operands[0], registers)
        if access is not None:
            found.append(access)
    return tuple(found)


def _bit(access: Access, name: str, registers: Registers) -> Optional[Access]:
    """The word that ``bts %rax,MEMORY`` accesses: a bit number beyond the operand selects another word."""
    number = registers.get(x86.register(name[1:]))
    bits = 8 * (access.memory.size or 8)
    if number is None:
        return None
    number &= (1 << bits) - 1
    number -= number >> (bits - 1) << bits
    far = number // bits * (bits // 8)
    return access._replace(address=(access.address + far) & _MASK) if far else access


def located(memory: Memory, registers: Registers) -> Optional[Access]:
    """The address of ``memory``; None when a register is unknown, or the index is a 32-bit one of aarch64."""
    if memory.segment == "w":
        return None
    terms = []
    total = memory.displacement
    if memory.segment is not None:
        value = registers.get(memory.segment)
        if value is None:
            return None
        terms.append((memory.segment, value))
        total += value
    for name, factor in ((memory.base, 1), (memory.indexed, memory.scale)):
        if name is None:
            continue
        value = registers.get(name)
        if value is None:
            return None
        terms.append((name, value))
        total += value * factor
    return Access(memory, total & _MASK, tuple(terms))


def guilty(report: Report, found: Sequence[Access]) -> Tuple[Optional[Access], bool]:
    """The access in ``found`` at the log's fault address, and True; else the first printed one or None, and False.

    Without a fault address in the log an implied access counts where none is printed.
    """
    fault = report.fault_address
    printed = [access for access in found if not access.memory.implied]
    ordered = printed + [access for access in found if access.memory.implied]
    if fault is None:
        return (ordered[0] if ordered else None), False
    for access in ordered:
        if _same(access, fault, report.arch) or (report.kind == "general-protection" and base(access) == fault):
            return access, True
    return (printed[0] if printed else None), False


def base(access: Access) -> int:
    """The address without the displacement: 4.18 (el8) prints this in the headline of a general protection fault."""
    return (access.address - access.memory.displacement) & _MASK


def _same(access: Access, fault: int, arch: Optional[str]) -> bool:
    size = access.memory.size or 8
    if arch == "s390x":  # the log tells only the page
        return access.address // _PAGE == fault // _PAGE
    address = access.address
    if arch == "aarch64" and fault >> 56 == 0:
        address &= (1 << 56) - 1  # without its tag
    return address == fault or (address < fault < address + size and fault % _PAGE == 0)
