"""KASLR: the addresses that the kernel adds its slide to when it starts, inside its own instructions.

x86-64 keeps absolute addresses of the kernel in 32-bit fields (``movq $0xffffffff820403c0,…``), which grow by the
slide, and per-CPU variables at a distance from the instruction (``%gs:0x7ed73d9b(%rip)``), which shrinks by it.
The slide itself is a field too: kaslr_offset() subtracts _text as it was linked from _text as it is, so that the file
has a zero (``mov $0x0,%rsi``, ``sub $0x0,%rax``).
"""

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.codecheck.bits import Bytes, fits
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.regex import regex

_STEP = 0x200000  # the kernel's text is aligned to 2 MB: CONFIG_PHYSICAL_ALIGN
_LIMIT = 0x40000000  # 1 GB: KERNEL_IMAGE_SIZE
_TEXT = range(0x80000000, 0xA0000000)  # the low half of a kernel address at link time
_PERCPU = 1 << 24  # bytes: the per-CPU area is linked at 0 and smaller than this
# "sub $0x0,%rax", a zero of four bytes: an assembler writes one that it knows in one byte, or not at all
_ZERO = regex(r"^\w+ +\$0x0,%r(?:[a-d]x|[sd]i|[bs]p|\d+)$")


class Field(NamedTuple):
    """A field of four bytes in an instruction: it starts at ``at`` and changes by ``sign`` times the slide."""

    at: int
    value: int
    sign: int


def fields(row: Instruction) -> Tuple[Field, ...]:
    """The fields of ``row`` that a slide changes: bytes whose value its text shows, as an address or a distance."""
    found = []
    end = row.address + len(row.data)
    percpu = "(%rip)" in row.text
    if len(row.data) in (6, 7) and row.data[0] & 0xF8 == 0x48 and row.data[-4:] == bytes(4) and _ZERO.match(row.text):
        found.append(Field(len(row.data) - 4, 0, 1))
    for at in range(1, len(row.data) - 3):
        value = int.from_bytes(row.data[at : at + 4], "little")
        if value in _TEXT:
            # "movq $0xffffffff820403c0,…", "mov -0x7d5f8470(,%rax,8),…"
            if f"{value:x}" in row.text or f"-{(1 << 32) - value:#x}(" in row.text:
                found.append(Field(at, value, 1))
        elif percpu and (end + value) % (1 << 32) < _PERCPU:
            found.append(Field(at, value, -1))
    return tuple(found)


def agreed(differences: Sequence[Tuple[Instruction, Bytes]]) -> Optional[int]:
    """The slide that explains the most of ``differences``; None when there is none.

    Where a field starts is not certain, so a slide counts for an instruction that it explains whole. One that the
    window's end cuts does not count: a field of it that looks complete may be part of the one that is cut.
    """
    whole = [(row, live) for row, live in differences if live[-1] is not None]
    votes: Dict[int, int] = {}
    for slide in {slide for row, live in whole for slide in _slides(row, live)}:
        votes[slide] = sum(fits(live, moved(row, live, slide)[0]) for row, live in whole)
    best = max(votes, key=lambda slide: votes[slide], default=None)
    return best if best is not None and votes[best] else None


def _slides(row: Instruction, live: Bytes) -> List[int]:
    """The slides that the fields of ``row`` may tell of."""
    told = (_slide(field, live[field.at : field.at + 4]) for field in fields(row))
    return [slide for slide in told if slide is not None]


def _slide(field: Field, part: Bytes) -> Optional[int]:
    """The slide with which ``field`` reads ``part``; None when no slide gives that, or a byte is not known."""
    if None in part:
        return None
    now = int.from_bytes(bytes(byte or 0 for byte in part), "little")
    slide = (now - field.value) * field.sign % (1 << 32)
    return slide if 0 < slide < _LIMIT and slide % _STEP == 0 else None


def moved(row: Instruction, live: Bytes, slide: Optional[int]) -> Tuple[Bytes, bool]:
    """``row.data`` as it reads with ``slide`` added where ``live`` says so, and whether it was added anywhere.

    Without a known slide a field of an instruction that the window's end cuts is taken from ``live``, if any slide
    gives that.
    """
    changes = [(field.at, wanted) for field in fields(row) for wanted in _changes(row, live, field, slide)]
    best: Bytes = tuple(row.data)
    for chosen in _choices(changes):
        data: List[Optional[int]] = list(row.data)
        for at, wanted in chosen:
            data[at : at + 4] = wanted
        if fits(live, data):
            return tuple(data), bool(chosen)
        if chosen and best == tuple(row.data):
            best = tuple(data)  # the rest of the instruction has another reason to differ
    return best, best != tuple(row.data)


def _changes(row: Instruction, live: Bytes, field: Field, slide: Optional[int]) -> List[Bytes]:
    """What ``field`` becomes in ``live``: one answer, or none."""
    part = live[field.at : field.at + 4]
    if fits(part, row.data[field.at : field.at + 4]):
        return []
    if slide is None:
        return [part] if None in live and _possible(field, part) else []
    wanted = ((field.value + field.sign * slide) % (1 << 32)).to_bytes(4, "little")
    return [wanted] if fits(part, wanted) else []


def _choices(changes: Sequence[Tuple[int, Bytes]]) -> Iterator[Tuple[Tuple[int, Bytes], ...]]:
    """Every set of one or two changes that do not overlap: no instruction has more addresses."""
    for first, one in enumerate(changes):
        yield (one,)
        for other in changes[first + 1 :]:
            if other[0] >= one[0] + 4:
                yield (one, other)


def moved_value(value: int, slide: Optional[int]) -> List[int]:
    """What an address in a field of four bytes becomes; [] when ``value`` is none, or the slide is not known."""
    return [(value + slide) % (1 << 32)] if slide is not None and value in _TEXT else []


def _possible(field: Field, part: Bytes) -> bool:
    """Whether some slide makes the known bytes of ``part``: it leaves 21 bits as they are."""
    if None not in part:
        return _slide(field, part) is not None
    value = field.value.to_bytes(4, "little")
    return fits(part[:2], value[:2]) and (part[2] is None or (part[2] - value[2]) % (_STEP >> 16) == 0)
