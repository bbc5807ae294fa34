"""The meaning of a pointer's value: NULL, an error code, a poison that the kernel writes into freed memory.

Kernel source: include/linux/poison.h of 3.10 to 6.12, include/linux/err.h, Documentation/arch/x86/x86_64/mm.rst.
"""

from typing import Callable, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.arch import table
from kdumpwrap.literal import Literal

MeaningKind = Literal["null", "small", "error", "poison", "shadow", "ascii", "non-canonical", "user"]

PAGE = 4096
_MASK = (1 << 64) - 1

_REACH = 0x4000  # bytes: how far from a poisoned pointer a member may lie

# pointers made of the delta and a small number
_POINTERS: Sequence[Tuple[int, str, str]] = (
    (0x100, "LIST_POISON1", "the next pointer of an entry that was deleted from its list"),
    (0x122, "LIST_POISON2", "the previous pointer of an entry that was deleted from its list"),
    (0x200, "LIST_POISON2", "the previous pointer of an entry that was deleted from its list"),  # el7, el8
    (0x300, "TIMER_ENTRY_STATIC", "a timer that is not armed"),
    (0x040, "PP_SIGNATURE", "a page of a page pool"),
    (0xEB9F, "BPF_PTR_POISON", "a pointer that BPF gave up"),
)

# the same byte all over
_BYTES = {
    0x6B: ("POISON_FREE", "memory that was freed (use after free)"),
    0x5A: ("POISON_INUSE", "memory that was allocated and never written"),
    0xA5: ("POISON_END", "the end of a freed object"),
    0xBB: ("SLUB_RED_INACTIVE", "the redzone of a free object"),
    0xCC: ("SLUB_RED_ACTIVE", "the redzone of an object in use, or the kernel's freed init memory"),
    0xAA: ("PAGE_POISON", "a page that was freed"),
    0x5B: ("JBD_POISON_FREE", "a journal head that was freed"),
    0x5C: ("JBD2_POISON_FREE", "a journal head that was freed"),
    0x11: ("MUTEX_DEBUG_INIT", "a mutex's debugging mark"),
    0x22: ("MUTEX_DEBUG_FREE", "a mutex that was freed"),
    0xF5: ("VFS_PTR_POISON", "a pointer that the file system layer gave up"),
    0xBD: ("KEY_DESTROY", "a key that was destroyed"),
    0xFE: ("", "a pattern, no address"),
}

_WHOLE = {
    0x09F911029D74E35B: ("RED_INACTIVE", "SLAB's redzone of a free object"),
    0xD84156C5635688C0: ("RED_ACTIVE", "SLAB's redzone of an object in use"),
    0x57AC6E9D: ("STACK_END_MAGIC", "the mark at a stack's end"),
    0xDEAD4EAD: ("SPINLOCK_MAGIC", "a spinlock's magic number"),
}
_STACKLEAK = _MASK - 0xBEEF + 1  # STACKLEAK_POISON: -0xBEEF, "the kernel stack as it was erased"

# first, last, where the shadow of address 0 lies
_SHADOWS = {
    "x86_64": (0xDFFFFC0000000000, 0xE0000BFFFFFFFFFF, 0xDFFFFC0000000000),
    "aarch64": (0xDFFF800000000000, 0xE0007FFFFFFFFFFF, 0xDFFF800000000000),
}

_ERRORS = {
    1: "EPERM",
    2: "ENOENT",
    4: "EINTR",
    5: "EIO",
    6: "ENXIO",
    9: "EBADF",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    14: "EFAULT",
    16: "EBUSY",
    17: "EEXIST",
    19: "ENODEV",
    20: "ENOTDIR",
    21: "EISDIR",
    22: "EINVAL",
    28: "ENOSPC",
    30: "EROFS",
    34: "ERANGE",
    38: "ENOSYS",
    61: "ENODATA",
    62: "ETIME",
    71: "EPROTO",
    88: "ENOTSOCK",
    95: "EOPNOTSUPP",
    101: "ENETUNREACH",
    103: "ECONNABORTED",
    104: "ECONNRESET",
    105: "ENOBUFS",
    107: "ENOTCONN",
    110: "ETIMEDOUT",
    111: "ECONNREFUSED",
    113: "EHOSTUNREACH",
    115: "EINPROGRESS",
    116: "ESTALE",
    517: "EPROBE_DEFER",
    524: "ENOTSUPP",
}

_CODES = ((1, 133), (512, 531))  # include/uapi/asm-generic/errno.h, include/linux/errno.h of 6.1


class Meaning(NamedTuple):
    """The meaning of a value."""

    kind: MeaningKind
    text: str  # a noun phrase: "LIST_POISON1 (…)"
    base: int = 0  # the value without the offset of a member
    offset: int = 0  # what is left over


def meaning(value: int, arch: Optional[str]) -> Optional[Meaning]:
    """The meaning of ``value`` as a pointer of ``arch``; None for one that looks like any pointer of the kernel."""
    arch = arch or "x86_64"
    for rule in _RULES:
        found = rule(value & _MASK, arch)
        if found is not None:
            return found
    return None


def hexed(value: int) -> str:
    """``+0x18`` or ``-0x8``; "" for nothing."""
    return "" if value == 0 else f"{'+' if value > 0 else '-'}{abs(value):#x}"


def _null(value: int, _: str) -> Optional[Meaning]:
    return Meaning("null", "NULL", 0, value) if value < PAGE else None


def _error(value: int, _: str) -> Optional[Meaning]:
    number = _MASK + 1 - value
    if not 0 < number < PAGE:
        return None
    name = f"-{_ERRORS[number]}" if number in _ERRORS else "an error code"
    code = f"ERR_PTR(-{number}), {name}: an error that was taken for a pointer"
    known = any(first <= number <= last for first, last in _CODES)
    if number % 8 and known:
        return Meaning("error", code, value, 0)
    # a member that lies 0xe0 bytes into its structure; members that are pointers or locks lie at multiples of 8
    outer = f"NULL - {number:#x}, what container_of() makes of a NULL pointer"
    both = f"{code}, or {outer}" if known else f"{outer}, or ERR_PTR(-{number}), which is no error code of Linux"
    return Meaning("error", both, value, 0)


def _pointer(value: int, arch: str) -> Optional[Meaning]:
    delta = table.of(arch).poison_delta
    if not delta:
        return None
    if arch == "aarch64" and value >> 56 == 0:  # faults are printed without the top byte
        delta &= (1 << 56) - 1
    best = min(_POINTERS, key=lambda row: (abs(value - delta - row[0]), row[0]))
    offset = value - delta - best[0]
    if not -PAGE <= offset < _REACH:
        return None
    return Meaning("poison", f"{best[1]} ({value - offset:#x}), {best[2]}", value - offset, offset)


def _pattern(value: int, arch: str) -> Optional[Meaning]:
    wide = 0x0101010101010101
    for byte, (name, text) in _BYTES.items():
        whole = byte * wide
        if arch == "aarch64" and value >> 56 == 0:
            whole &= (1 << 56) - 1
        near = byte < 0x80 or abs(value - whole) < 0x100  # ffff… is far from every pattern, but small ints are not
        if near and -PAGE <= value - whole < _REACH:
            return Meaning("poison", f"{name or f'{byte:#x}'} ({whole:#x}), {text}", whole, value - whole)
    narrow = value >> 32 == 0 and value & 0xFF in (0x6B, 0x5A) and value == (value & 0xFF) * 0x01010101
    if narrow:
        name, text = _BYTES[value & 0xFF]
        return Meaning("poison", f"{name} ({value:#x}), {text}", value, 0)
    return None


def _whole(value: int, _: str) -> Optional[Meaning]:
    if value in _WHOLE:
        name, text = _WHOLE[value]
        return Meaning("poison", f"{name} ({value:#x}), {text}", value, 0)
    if -PAGE <= value - _STACKLEAK < 8:
        offset = value - _STACKLEAK
        return Meaning("poison", f"STACKLEAK_POISON ({_STACKLEAK:#x}), the stack as it was erased", _STACKLEAK, offset)
    return None


def _shadow(value: int, arch: str) -> Optional[Meaning]:
    first, last, zero = _SHADOWS.get(arch, (1, 0, 0))
    if not first <= value <= last:
        return None
    real = ((value - zero) << 3) & _MASK
    behind = meaning(real, arch)
    what = f", {behind.text}{hexed(behind.offset)}" if behind else ""
    return Meaning("shadow", f"KASAN's shadow of {real:#x}{what}", real, 0)


def _ascii(value: int, arch: str) -> Optional[Meaning]:
    data = value.to_bytes(8, "big" if arch in ("s390x", "ppc64") else "little")
    text = data.strip(b"\0")
    if len(text) < 6 or any(byte < 0x20 or byte > 0x7E for byte in text) or len(set(text)) < 3:
        return None
    return Meaning("ascii", f"text, {text.decode('ascii')!r}: a string was written over a pointer", value, 0)


def _canonical(value: int, arch: str) -> Optional[Meaning]:
    # 0xff00… to 0xffff7fff… are addresses of the kernel where the CPU pages in five levels
    if arch != "x86_64" or value >> 47 in (0, 0x1FFFF) or value >> 56 == 0xFF:
        return None
    return Meaning("non-canonical", "a non-canonical address, which no pointer can be", value, 0)


def _small(value: int, _: str) -> Optional[Meaning]:
    # vm.mmap_min_addr: nothing can be mapped there
    return Meaning("small", "a small number that was taken for a pointer", value, 0) if value < 0x10000 else None


def _user(value: int, arch: str) -> Optional[Meaning]:
    limits = {"x86_64": 1 << 47, "aarch64": 1 << 52, "ppc64le": 1 << 52, "riscv64": 1 << 47}
    if value < limits.get(arch, 0):
        return Meaning("user", "a user-space address", value, 0)
    return None


_RULES: Sequence[Callable[[int, str], Optional[Meaning]]] = (
    _null,
    _small,
    _error,
    _shadow,
    _pointer,
    _whole,
    _pattern,
    _ascii,
    _canonical,
    _user,
)
