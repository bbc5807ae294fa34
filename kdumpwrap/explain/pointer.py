"""A bad pointer in sentences: what its value means, and where it came from."""

from typing import Iterator, List, Optional, Tuple

from kdumpwrap.arch import table
from kdumpwrap.explain.access import Access
from kdumpwrap.explain.origin import origin
from kdumpwrap.explain.poison import Meaning, hexed, meaning
from kdumpwrap.model.kernel import Instruction, Resolution, ResolvedFrame
from kdumpwrap.model.location import short, telling

_USER = "the kernel may use it only through copy_to_user() and the like"


def said(resolution: Resolution, access: Access) -> Iterator[str]:
    """Sentences on the registers of the address."""
    whole = meaning(access.address, resolution.report.arch)
    if access.memory.implied:
        return
    bad: List[Tuple[str, Meaning, int]] = []
    for name, value in access.terms:
        if name in ("gs", "fs"):
            continue
        if name == access.memory.indexed and len(access.terms) > 1:
            continue  # an index is no pointer
        found = meaning(value, resolution.report.arch)
        if found is not None:
            bad.append((name, found, value))
    displacement = access.memory.displacement
    base = bad[0] if bad else None
    if base is not None:
        name, found, value = base
        rest = (access.address - value + (1 << 63)) % (1 << 64) - (1 << 63)
        yield _named(name, found, value, rest, displacement, resolution)
    elif whole is not None and whole.kind != "user":
        yield _whole(access, whole)
    elif whole is not None:
        yield f"{access.address:#x} is {whole.text}: {_USER}."


def _named(name: str, found: Meaning, value: int, rest: int, displacement: int, resolution: Resolution) -> str:
    member = rest + found.offset
    if found.kind == "null":
        if value == 0:
            at = f"NULL + {member:#x}, the member {member:#x} bytes into the structure" if member else "NULL itself"
            return f"{name} is NULL: the address is {at}."
        return (
            f"{name} is {value:#x}, next to NULL: the address of a member {found.offset:#x} bytes into a structure "
            f"whose pointer is NULL (NULL + {member:#x})."
        )
    if found.kind == "poison":
        what = f"{name} holds {value:#x}: {found.text}"
        return f"{what}{distance(found.offset)}; the access is {_beside(member)}it."
    if found.kind == "error":
        wanted = f"the access was {_beside(rest)}it" if rest else "it was followed"
        return f"{name} holds {found.text}; {wanted}."
    if found.kind == "small":
        return f"{name} holds {value:#x}, {found.text}."
    if found.kind == "shadow":
        return f"{name} holds {value:#x}, {found.text}: the compiled-in check of that address failed."
    if found.kind == "user":
        return f"{name} holds {value:#x}, {found.text}: {_USER}; or it is no pointer at all."
    return f"{name} holds {value:#x}, {found.text}."


def _whole(access: Access, whole: Meaning) -> str:
    if whole.kind == "null":
        return f"The address is NULL + {whole.offset:#x}, though no register in it is NULL."
    return f"The address {access.address:#x} is {whole.text}{distance(whole.offset)}."


def distance(offset: int) -> str:
    """``, 0x10 from it``; empty for none."""
    return f", {hexed(offset)} from it" if offset else ""


def _beside(member: int) -> str:
    if member == 0:
        return "at "
    return f"{abs(member):#x} bytes {'into' if member > 0 else 'before'} "


def came_from(resolution: Resolution, row: Instruction, access: Access) -> Iterator[str]:
    """Sentences on the origin of the register that made the address bad."""
    suspects = [name for name, value in access.terms if meaning(value, resolution.report.arch) is not None]
    bases = [name for name in (access.memory.base, access.memory.indexed) if name is not None]
    name = next((name for name in suspects if name in bases), bases[0] if bases else None)
    if name is None or access.memory.implied or name in table.of(resolution.report.arch or "x86_64").stack:
        return
    found = origin(resolution, row, name)
    if found is None:
        return
    if found.percpu is not None:
        yield f"{found.text}; without that offset the per-CPU pointer is {found.percpu:#x}, which is no valid one."
        return
    if found.argument is not None:
        passed = caller(resolution)
        yield f"{found.text}{f': it was passed by {passed}' if passed else ''}."
        return
    yield f"{found.text}."


def caller(resolution: Resolution) -> Optional[str]:
    """The first certain frame above the instruction pointer, with its line."""
    for frame in resolution.trace:
        again = resolution.ip is not None and (frame.symbol, frame.offset) == (
            resolution.ip.symbol,
            resolution.ip.offset,
        )
        if frame.certain and frame.symbol and not again:
            return described(frame)
    return None


def described(frame: ResolvedFrame) -> str:
    """``send4 [xxxwan] (xxxwan.c:107)``."""
    text = f"{frame.symbol}{f' [{frame.module}]' if frame.module else ''}"
    place = telling(frame.locations)
    return f"{text} ({short(place.file)}:{place.line})" if place and place.file else text
