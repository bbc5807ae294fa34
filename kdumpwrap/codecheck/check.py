"""The code check: whether the bytes of the log's "Code:" line are those that objdump prints of the vmlinux.

A kernel rewrites its own text when it starts and while it runs: three of ten good windows of 64 bytes differ from the
file. A difference is therefore no verdict until every byte of it is one that a kernel is known to write there.
"""

from typing import Callable, Collection, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.codecheck import relocated, words, x86
from kdumpwrap.codecheck import slide as kaslr
from kdumpwrap.codecheck.bits import Bytes, fits, printed
from kdumpwrap.codecheck.swapped import swapped
from kdumpwrap.model.kernel import CodeCheck, Instruction
from kdumpwrap.model.log import Code
from kdumpwrap.parse.patches import Patches

_X86 = ("x86_64", "i386")
_KASLR = "a KASLR relocation"
_SHOWN = 3  # differing instructions that the detail shows


class Checked(NamedTuple):
    """The result of a comparison."""

    check: CodeCheck
    slide: Optional[int]  # the KASLR slide by the relocated fields; None when no field tells it


class _Difference(NamedTuple):
    row: Instruction
    live: Bytes  # as long as the row; None where the log has no byte


def span(code: Code, ip_address: int) -> Tuple[int, int]:
    """The addresses that ``code`` covers: ``(start, stop)`` when the instruction pointer is at ``ip_address``.

    The window for ``check`` has to begin where an instruction begins: disassemble from the start of the function
    that holds ``start`` (it may be one before that of the instruction pointer) to ``stop`` + 16, so that the last
    instruction is whole.
    """
    start = ip_address - code.trap  # below 0 where a module's section begins later than the bytes
    return start, start + len(code.data)


def compare(
    code: Code,
    ip_address: int,
    window: Sequence[Instruction],
    *,
    arch: Optional[str] = "x86_64",
    entries: Collection[int] = (),
    slide: Optional[int] = None,
    patches: Optional[Callable[[], Patches]] = None,
) -> Checked:
    """``code`` against ``window``, the object's instructions over ``span(code, ip_address)``.

    match: all bytes that the window covers are the same. patched: each difference is one that the kernel makes itself;
    ``detail`` names them, and the KASLR slide. mismatch: another build, or memory was overwritten; ``detail`` shows the
    bytes. unchecked: no bytes, or the window does not cover the instruction pointer.

    ``slide`` is the KASLR slide where it is known. ``entries``: where functions start. ``patches`` is asked for
    the places that the object's sections list only when a difference has no other explanation (it costs an objdump).
    """
    start, stop = span(code, ip_address)
    if not 0 <= code.trap < len(code.data):
        return Checked(CodeCheck("unchecked", "the log shows no code bytes here"), slide)
    rows = [row for row in window if row.address < stop and row.address + len(row.data) > start]
    if not any(row.address <= ip_address < row.address + len(row.data) for row in rows):
        return Checked(CodeCheck("unchecked", "there are no instructions to compare with"), slide)
    covered = sum(min(stop, row.address + len(row.data)) - max(start, row.address) for row in rows)
    partly = "" if covered == len(code.data) else f" ({covered} of {len(code.data)} bytes compared)"
    pairs = [_Difference(row, _live(code, start, row.address, len(row.data))) for row in rows]
    differences = [(row, live) for row, live in pairs if not fits(live, relocated.filled(row, live))]
    if not differences:
        return Checked(CodeCheck("match", f"the bytes are those of the file{partly}"), slide)
    left = [_Difference(*pair) for pair in differences]
    known, arch = slide, arch or "x86_64"
    if arch == "x86_64" and slide is None:
        slide = kaslr.agreed([(row, x86.locked(row, live)) for row, live in left])
    done = _explained(left, arch, entries, slide)
    left = [difference for difference in left if difference.row.address not in done]
    if left and patches is not None:
        listed = patches()
        done.update(_alternatives(left, window, code, start, listed, arch, slide))
        done.update(_listed([difference for difference in left if difference.row.address not in done], listed))
        left = [difference for difference in left if difference.row.address not in done]
    if left:
        return Checked(CodeCheck("mismatch", _mismatch(left, covered) + partly), known)
    if _KASLR not in done.values():
        slide = known
    return Checked(CodeCheck("patched", _patched(done, slide) + partly), slide)


def _live(code: Code, start: int, address: int, length: int) -> Bytes:
    """The log's bytes from ``address`` on; None outside of what it shows."""
    at = address - start
    return tuple(code.data[i] if 0 <= i < len(code.data) else None for i in range(at, at + length))


def _explained(
    differences: Sequence[_Difference], arch: str, entries: Collection[int], slide: Optional[int]
) -> Dict[int, str]:
    """By address, what the kernel did to each instruction that a rule explains."""
    done: Dict[int, str] = {}
    for row, live in differences:
        data = relocated.filled(row, live)
        changed = False
        if arch in _X86:
            prefixed = x86.locked(row, live)
            if arch == "x86_64":
                data, changed = kaslr.moved(row, prefixed, slide)
            if fits(prefixed, data):
                done[row.address] = _KASLR if changed else "a lock prefix that one CPU does not need"
                continue
        known = row._replace(data=bytes(was if now is None else now for was, now in zip(row.data, data)))
        entry = row.address in entries
        what = x86.rewritten(known, live, entry) if arch in _X86 else words.rewritten(arch, known, live)
        if what is not None:
            done[row.address] = what
    return done


def _alternatives(
    left: Sequence[_Difference],
    window: Sequence[Instruction],
    code: Code,
    start: int,
    patches: Patches,
    arch: str,
    slide: Optional[int],
) -> Dict[int, str]:
    """By address, the instructions of ``left`` that lie in a place where the kernel put other instructions."""
    done: Dict[int, str] = {}
    file: Dict[int, int] = {}
    for row in window:
        file.update(enumerate(row.data, row.address))
    for site in patches.alternatives:
        end = site.address + site.length
        inside = [d for d in left if d.row.address < end and d.row.address + len(d.row.data) > site.address]
        if not inside:
            continue
        was = tuple(file.get(address) for address in range(site.address, end))
        if not swapped(site, was, _live(code, start, site.address, site.length), arch, slide):
            continue
        for row, live in inside:
            ours = zip(range(row.address, row.address + len(row.data)), row.data, live)
            if all(now in (was, None) for at, was, now in ours if not site.address <= at < end):
                done[row.address] = "an alternative for this CPU"
    return done


def _listed(left: Sequence[_Difference], patches: Patches) -> Dict[int, str]:
    """By address, the instructions of ``left`` that another list of ``patches`` names."""
    done: Dict[int, str] = {}
    for row, live in left:
        if patches.paravirt.get(row.address) == len(row.data) and x86.paravirt(row, live):
            done[row.address] = x86.PARAVIRT
        elif fits(live, _constant(row, live, patches)):
            done[row.address] = "a runtime constant"
        elif patches.calls_tracked and x86.tracked(row, live):
            done[row.address] = "a call moved for call depth tracking"
    return done


def _constant(row: Instruction, live: Bytes, patches: Patches) -> Bytes:
    """``row.data`` with the runtime constant that it ends with as ``live`` has it, if that may be one."""
    end = row.address + len(row.data)
    for length, may_be in ((8, _is_pointer), (1, _is_shift)):
        if patches.constants.get(end - length) == length and may_be(live[-length:]):
            return (*row.data[:-length], *live[-length:])
    return row.data


def _is_pointer(live: Bytes) -> bool:
    """Whether ``live`` may be a kernel address or USER_PTR_MAX (0x7fff… with linear address masking)."""
    return live[-1] in (0x00, 0x7F, 0xFF, None)


def _is_shift(live: Bytes) -> bool:
    return live[0] is None or 0 < live[0] < 32  # runtime_const_shift_right_32()


def _patched(done: Dict[int, str], slide: Optional[int]) -> str:
    """``2 instructions are as the kernel rewrites them: a static key at 0x…; a KASLR relocation (…) at 0x…``."""
    places: Dict[str, List[str]] = {}
    for address in sorted(done):
        places.setdefault(done[address], []).append(f"{address:#x}")
    if slide is not None and _KASLR in places:
        places = {f"{what} (slide {slide:#x})" if what == _KASLR else what: at for what, at in places.items()}
    kinds = "; ".join(f"{what} at {', '.join(at)}" for what, at in places.items())
    told = f"{len(done)} instructions are as the kernel rewrites them"
    return f"{'1 instruction is as the kernel rewrites it' if len(done) == 1 else told}: {kinds}"


def _mismatch(left: Sequence[_Difference], covered: int) -> str:
    """A mismatch in words: the bytes that differ, and the likelier of the two causes."""
    bits = differing = 0
    for row, live in left:
        for was, now in zip(row.data, live):
            if now is not None and was != now:
                differing += 1
                bits += bin(was ^ now).count("1")
    shown = "; ".join(
        f"{row.address:#x}: the file has {printed(row.data)} ({row.text}), the log {printed(live)}"
        for row, live in left[:_SHOWN]
    )
    more = f"; and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    if bits == 1:
        cause = "one bit differs: the memory of the crashed machine was damaged, or this is the file of another build"
    elif differing <= 8 and differing * 4 <= covered:
        cause = f"{differing} bytes differ: memory was overwritten, or this is the file of another build"
    else:
        cause = f"{differing} of {covered} bytes differ: this is the file of another build, or memory was overwritten"
    return f"{cause}: {shown}{more}"
