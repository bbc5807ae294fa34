"""The facts of each architecture: one row for each, by its name in ``uname -m``.

Registers are called as the kernel's logs call them: ``r08`` and not ``r8`` on x86_64.
"""

from typing import Dict, FrozenSet, NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal

ByteOrder = Literal["<", ">"]


class Layout(NamedTuple):
    """The layout of the registers in one machine's core file."""

    machine: int  # e_machine
    order: ByteOrder
    registers: Tuple[str, ...]  # as logs name them, in the order of elf_gregset_t, 8 bytes each; "" for another
    pc: str  # which of them is the instruction pointer
    flags: int = 0  # e_flags
    widths: Tuple[int, ...] = ()  # bytes of each where not all are of 8


class Arch(NamedTuple):
    """One architecture. A fact that is not known is empty or None."""

    readelf: Optional[str] = None  # how readelf -h calls the machine
    bfd: Optional[str] = None  # how objdump -i calls its files
    binutils: Optional[str] = None  # prefix of the cross binutils, as Debian, Fedora and EPEL call them
    arguments: Tuple[str, ...] = ()  # registers of a function's arguments
    result: Optional[str] = None  # register of what a function returns
    kept: Tuple[str, ...] = ()  # registers that a call leaves alone
    clobbered: FrozenSet[str] = frozenset()  # registers that a call may change
    stack: Tuple[str, ...] = ()  # registers through which the stack (and code) is reached
    fault: str = "the log"  # what tells the address of a fault
    poison_delta: int = 0  # POISON_POINTER_DELTA: CONFIG_ILLEGAL_POINTER_VALUE
    core: Optional[Layout] = None  # of the file that hands registers to gdb


def _numbered(letter: str, *numbers: int) -> Tuple[str, ...]:
    return tuple(f"{letter}{number}" for number in numbers)


# the layouts: arch/x86/include/asm/user_64.h struct user_regs_struct; arch/arm64/include/uapi/asm/ptrace.h
# struct user_pt_regs; arch/powerpc/include/uapi/asm/ptrace.h struct pt_regs, 48 words;
# arch/s390/include/uapi/asm/ptrace.h s390_regs
ARCHES: Dict[str, Arch] = {
    "x86_64": Arch(
        readelf="Advanced Micro Devices X86-64",
        bfd="elf64-x86-64",
        binutils="x86_64-linux-gnu-",
        arguments=("rdi", "rsi", "rdx", "rcx", "r08", "r09"),
        result="rax",
        kept=("rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"),
        clobbered=frozenset(("rax", "rcx", "rdx", "rsi", "rdi", "r08", "r09", "r10", "r11")),
        stack=("rsp", "rbp", "rip"),
        fault="CR2",
        poison_delta=0xDEAD000000000000,
        core=Layout(
            62,
            "<",
            (
                *"r15 r14 r13 r12 rbp rbx r11 r10 r09 r08 rax rcx rdx rsi rdi".split(),
                *("", "rip", "", "eflags", "rsp", "", "fs", "gs", "", "", "", ""),
            ),
            "rip",
        ),
    ),
    "aarch64": Arch(
        readelf="AArch64",
        bfd="elf64-littleaarch64",
        binutils="aarch64-linux-gnu-",
        arguments=_numbered("x", *range(8)),
        result="x0",
        kept=("sp", *_numbered("x", *range(19, 30))),
        clobbered=frozenset(_numbered("x", *range(19), 30)),
        stack=("sp", "x29"),
        fault="FAR",
        poison_delta=0xDEAD000000000000,
        core=Layout(183, "<", (*_numbered("x", *range(30)), "lr", "sp", "pc", "pstate"), "pc"),
    ),
    "ppc64le": Arch(
        readelf="PowerPC64",
        bfd="elf64-powerpcle",
        binutils="powerpc64le-linux-gnu-",
        arguments=_numbered("r", *range(3, 11)),
        result="r3",
        kept=("r1", *_numbered("r", *range(14, 32))),
        clobbered=frozenset(_numbered("r", 0, *range(3, 14))),
        stack=("r1",),
        fault="DAR",
        poison_delta=0x5DEADBEEF0000000,
        core=Layout(
            21,
            "<",
            (*_numbered("r", *range(32)), "nip", "msr", "", "ctr", "lr", "xer", "cr", *("",) * 9),
            "nip",
            flags=2,  # the ELFv2 ABI
        ),
    ),
    "s390x": Arch(
        readelf="IBM S/390",
        bfd="elf64-s390",
        binutils="s390x-linux-gnu-",
        arguments=_numbered("r", *range(2, 7)),
        result="r2",
        kept=_numbered("r", *range(6, 16)),
        clobbered=frozenset(_numbered("r", *range(6), 14)),
        stack=("r15",),
        poison_delta=0xDEAD000000000000,  # 5.12 and later; 0 before
        core=Layout(
            22,
            ">",
            ("", "psw", *_numbered("r", *range(16)), *("",) * 16, ""),
            "psw",
            widths=(8,) * 18 + (4,) * 16 + (8,),
        ),
    ),
    "ppc64": Arch(poison_delta=0x5DEADBEEF0000000),
    "i386": Arch(readelf="Intel 80386", fault="CR2"),
    "arm": Arch(readelf="ARM"),
    "riscv64": Arch(readelf="RISC-V", poison_delta=0xDEAD000000000000),
}
_UNKNOWN = Arch()


def of(name: Optional[str]) -> Arch:
    """The row of ``name``; an empty one for an architecture that has none."""
    return ARCHES.get(name or "", _UNKNOWN)
