"""``crashkernel=``: its syntax, and what it reserves on a given amount of memory (pure).

The rules are those of the kernel's parse_crashkernel(), tested on 6.1. The last value counts; one with ``,high`` counts
only when every value has a suffix. In a list of ranges a size that exceeds the memory invalidates the whole list, even
in a range that does not apply. ``auto`` is a patch of the el7 and el8 kernels.
"""

from typing import NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.regex import regex

K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40
_ROUND = 128 * M  # firmware reserves some memory: the kernel rounds up to this before it compares ranges
_LONGEST = 4096  # characters; no command line is longer (COMMAND_LINE_SIZE: 2048, 4096 on s390x)
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}

# memparse(): "256M", "0x10000000", "0144M" (octal)
_NUMBER = regex(r"(?P<number>0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]{0,25})(?P<unit>[kKmMgGtTpPeE]?)")


class Reservation(NamedTuple):
    """The memory that the kernel reserves. ``size`` in bytes; None when it depends on an unknown memory size."""

    size: Optional[int]
    fault: str = ""  # why nothing is reserved; else empty


class Kernel(NamedTuple):
    """The forms of crashkernel= that a kernel understands."""

    auto: Optional[str] = None  # the ranges that "auto" stands for; None when it does not know "auto"
    suffixes: bool = True  # ,high and ,low


def values(parameters: str) -> Tuple[str, ...]:
    """Every crashkernel= of a kernel command line, in order. Like the kernel, this accepts any text before it."""
    words = (word[:_LONGEST] for word in parameters.split())
    return tuple(word.partition("crashkernel=")[2] for word in words if "crashkernel=" in word)


def reserve(given: Sequence[str], memory: Optional[int], kernel: Kernel) -> Reservation:
    """The reservation for ``given``, the values of the command line, on ``memory`` bytes."""
    plain = [value for value in given if not value.endswith((",high", ",low", ",cma"))]
    high = [value for value in given if value.endswith(",high")]
    if plain:
        return _plain(plain[-1], memory, kernel)
    if high:
        if not kernel.suffixes:
            return Reservation(0, "this kernel does not know ,high")
        size, rest = _number(high[-1])
        if size is None:
            return Reservation(0, "a size is expected before ,high")
        return _sized(size, memory) if rest == ",high" else Reservation(0, f"unrecognized: {rest}")
    return Reservation(0, "a size with ,low reserves nothing without one with ,high" if given else "not asked for")


def size_of(text: str) -> Optional[int]:
    """``256M`` in bytes; None when it is not a plain size."""
    size, rest = _number(text)
    return None if rest else size


def human(size: int) -> str:
    """``192M``, ``1.8G``: binary units, as crashkernel= counts."""
    for unit, name in ((T, "T"), (G, "G"), (M, "M"), (K, "K")):
        if size >= unit:
            return f"{size // unit}{name}" if size % unit == 0 else f"{size / unit:.1f}{name}"
    return f"{size}"


def _plain(value: str, memory: Optional[int], kernel: Kernel) -> Reservation:
    if value == "auto":
        if kernel.auto is None:
            return Reservation(0, "this kernel does not know auto")
        reservation = _ranges(kernel.auto, memory)
        return reservation._replace(fault=reservation.fault and f"auto {reservation.fault}")
    if ":" in value:
        return _ranges(value, memory)
    size, rest = _number(value)
    if size is None:
        return Reservation(0, "a size is expected")
    if rest.startswith("@") or not rest:
        return _sized(size, memory)
    return Reservation(0, f"unrecognized: {rest}")


def _sized(size: int, memory: Optional[int]) -> Reservation:
    if size == 0:
        return Reservation(0, "the size is 0")
    if memory is not None and size >= memory:
        return Reservation(0, f"{human(size)} are more than there is")
    return Reservation(size)


def _ranges(value: str, memory: Optional[int]) -> Reservation:
    """``1G-4G:192M,4G-64G:256M,64G-:512M[@offset]``; the kernel reads up to the range that applies."""
    total = None if memory is None else -(-memory // _ROUND) * _ROUND
    sizes = []
    starts = []
    rest = "," + value
    while rest.startswith(","):
        start, rest = _number(rest[1:])
        if start is None:
            return Reservation(0, "a memory size is expected at the start of a range")
        if not rest.startswith("-"):
            return Reservation(0, "'-' is expected in a range")
        rest, end = rest[1:], None
        if not rest.startswith(":"):
            end, rest = _number(rest)
            if end is None:
                return Reservation(0, "a memory size is expected at the end of a range")
            if end <= start:
                return Reservation(0, "a range ends before it starts")
        if not rest.startswith(":"):
            return Reservation(0, "':' is expected after a range")
        size, rest = _number(rest[1:])
        if size is None:
            return Reservation(0, "a size is expected after ':'")
        if total is not None and size >= total:
            return Reservation(
                0, f"asks for {human(size)} from {human(start)} on: with {human(total)} the kernel drops the whole list"
            )
        if total is not None and start <= total and (end is None or total < end):
            return Reservation(size, "" if size else "the size is 0")
        sizes.append(size)
        starts.append(start)
    if rest and not rest.startswith("@"):
        return Reservation(0, f"unrecognized: {rest}")
    if total is None:
        return Reservation(sizes[0] if len(set(sizes)) == 1 and min(starts) == 0 else None)
    if total < min(starts):
        return Reservation(0, f"reserves nothing below {human(min(starts))}, and there are {human(total)}")
    return Reservation(0, f"has no range for {human(total)}")


def _number(text: str) -> Tuple[Optional[int], str]:
    """The size at the start of ``text`` (None without one), and the rest of ``text``."""
    match = _NUMBER.match(text)
    if not match:
        return None, text
    digits = match["number"]
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10
    return int(digits, base) * _UNITS.get(match["unit"].lower(), 1), text[match.end() :]
