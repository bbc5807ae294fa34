"""The explanation: sentences from the registers, the instruction and the log, each with its evidence."""

from typing import Dict, Iterator, List, Optional, Tuple

from kdumpwrap.culprit import helpers
from kdumpwrap.explain import faults, hardware, holders, plain, traps
from kdumpwrap.explain.access import Registers
from kdumpwrap.explain.poison import meaning
from kdumpwrap.explain.repeats import recursion
from kdumpwrap.log import particulars, symbolname
from kdumpwrap.log.kinds import MEMORY, SAMPLED, TRAPS, WAITING
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Report
from kdumpwrap.model.verdict import Culprit

# KASAN's name of the error, and the memory that was accessed
_MISUSES: Dict[particulars.Misuse, str] = {
    "use-after-free": "memory that was freed before",
    "double-free": "memory that was freed before",
    "invalid-free": "an address that was never allocated",
    "slab-out-of-bounds": "memory next to an allocated object",
    "stack-out-of-bounds": "memory next to a variable on the stack",
    "global-out-of-bounds": "memory next to a global variable",
    "vmalloc-out-of-bounds": "memory next to a vmalloc area",
    "alloca-out-of-bounds": "memory next to an array on the stack",
    "use-after-scope": "a variable whose block was left before",
    "null-ptr-deref": "a member of a structure whose pointer is NULL",
    "user-memory-access": "a user-space address",
    "wild-memory-access": "an address that is none",
    "out-of-bounds": "memory next to an object",
}


def explain(resolution: Resolution, culprit: Optional[Culprit] = None) -> Tuple[str, ...]:
    """Sentences that say what failed and why, the most important first; () when nothing can be said.

    They come from the report alone: registers, the marked instruction, error code, headline, trace, source. Each
    sentence names its evidence; where two pieces of evidence disagree, it says so.
    """
    found: List[str] = []
    for sentence in _sentences(resolution, culprit):
        if sentence not in found:
            found.append(sentence)
    told = _history(resolution.report)
    if told is not None:
        found = [*(found or [plain.meaning(resolution.report)]), told]
    return tuple(found)


def _history(report: Report) -> Optional[str]:
    """``The object was freed by f [wan] (task 2201) and allocated by g [wan] (task 1911)``: the stacks of the log."""
    said = []
    for track in sorted(report.tracks, key=lambda track: not track.freed):
        own = (
            frame
            for frame in track.frames
            if frame.module or helpers.group(symbolname.plain(frame.symbol or "")) is None
        )
        frame = next(own, None)
        if frame is not None:
            module = f" [{frame.module}]" if frame.module else ""
            done = "freed" if track.freed else "allocated"
            said.append(f"{done} by {frame.symbol}{module} (task {track.pid})")
    return f"The object was {' and '.join(said)}, as the log says." if said else None


def _sentences(resolution: Resolution, culprit: Optional[Culprit]) -> Iterator[str]:
    asked = traps.asked_for(resolution)
    if asked is not None:
        yield asked
    if resolution.report.kind in MEMORY:
        yield from faults.sentences(resolution)
    elif resolution.report.kind in TRAPS:
        yield from traps.bug(resolution)
    elif resolution.report.kind == "divide-error":
        yield from traps.divide(resolution)
    elif resolution.report.kind in SAMPLED:
        yield from traps.stuck(resolution)
    elif resolution.report.kind == "panic":
        yield from traps.panic(resolution)
    elif resolution.report.kind in WAITING:
        yield from traps.waiting(resolution, culprit)
        yield from holders.holders(resolution)
    elif resolution.report.kind == "machine-check":
        yield from hardware.machine_check(resolution)
    elif resolution.report.kind == "kasan":
        yield from _kasan(resolution)
    if resolution.report.kind not in WAITING and resolution.report.works:
        yield from holders.holders(resolution)
    if resolution.report.kind in ("stack-overflow", "double-fault"):
        yield from _stack_used_up(resolution)
    again = recursion(resolution)
    if again is not None:
        yield f"{again}: an endless recursion uses up the stack."


def _kasan(resolution: Resolution) -> Iterator[str]:
    misuse = particulars.misuse(resolution.report.headline)
    if misuse is None:
        return
    address = resolution.report.fault_address
    told = f" at {address:#x}" if address is not None else ""
    known = meaning(address, resolution.report.arch) if address is not None else None
    extra = f" ({known.text})" if known and known.kind not in ("user", "null") else ""
    verb = {"read": "a read", "write": "a write"}.get(resolution.report.access or "", "an access")
    yield f"KASAN caught {verb}{told}{extra} of {_MISUSES[misuse]}, before it did harm (the headline)."


def _stack_used_up(resolution: Resolution) -> Iterator[str]:
    if resolution.report.kind == "stack-overflow":
        yield "The kernel says that the stack overflowed: the guard page below it was touched (the headline)."
        return
    pointer = Registers(resolution).get("rsp")
    if (
        pointer is not None
        and resolution.report.fault_address is not None
        and 0 <= pointer - resolution.report.fault_address < 4096
    ):
        yield (
            f"The fault address {resolution.report.fault_address:#x} lies just below rsp {pointer:#x}: "
            "the stack itself is gone, as after an overflow into its guard page."
        )
