"""The statements of a finding, and how sure each is: location, reasons, culprit, trace, kernel (pure)."""

from typing import Iterator, Optional, Sequence, Tuple

from kdumpwrap.culprit import callchain
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Level, Part, Statement
from kdumpwrap.model.kernel import Kernel, Location, Resolution
from kdumpwrap.model.location import where
from kdumpwrap.model.verdict import Verdict

CERTAIN: Level = "certain"
LIKELY: Level = "likely"
DOUBTFUL: Level = "doubtful"
OPEN: Level = "open"


def statements(
    resolution: Resolution, verdict: Verdict, part: Part, place: Optional[Location], *, explained: bool
) -> Tuple[Statement, ...]:
    """The statements about a report. ``place`` is where it stopped, ``explained`` whether reasons are given.

    ``part`` is the suspect's (`part`).
    """
    reasons = _reasons(resolution) if explained else ()
    return (*_place(resolution, place), *reasons, *_blame(verdict, part), *_trace(resolution))


def part(resolution: Resolution, verdict: Verdict, place: Optional[Location]) -> Part:
    """The suspect's part in the crash.

    "in it": the module contains the place. "called it": the module called the function there. Else "on the way".
    """
    ip, culprit, suspect = resolution.ip, verdict.culprit, verdict.suspect
    if suspect is None:
        return "on the way"
    if place is None and culprit is not None:
        return "in it" if culprit.module == suspect.module else "on the way"
    path = callchain.certain(resolution)[:2]
    if ip is None or path[:1] != (ip,):
        return "on the way"
    if ip.module == suspect.module:
        return "in it"
    called = len(path) > 1 and path[1].module == suspect.module and not callchain.left(*path)
    return "called it" if called else "on the way"


def of_kernel(kernel: Kernel, problems: Sequence[Problem]) -> Iterator[Statement]:
    """Whether the kernel is known, and its vmlinux the right one."""
    doubts = [one.message for one in problems if one.wrong_vmlinux]
    if doubts:
        yield Statement("kernel", "The vmlinux is that of the crash", DOUBTFUL, "; ".join(doubts))
    elif kernel.vmlinux:
        build = f", build id {kernel.build_id}" if kernel.build_id else ""
        because = f"as log and vmlinux say{build}"
        yield Statement("kernel", f"The kernel is {kernel.release or 'unknown'}", CERTAIN, because)
    elif kernel.release:
        because = "as the log says; its vmlinux is not here"
        yield Statement("kernel", f"The kernel is {kernel.release}", CERTAIN, because)


def _place(resolution: Resolution, place: Optional[Location]) -> Iterator[Statement]:
    ip, check = resolution.ip, resolution.check
    if ip is None or ip.symbol is None:
        return
    what = f"It stopped at {where(place)}" if place else f"It stopped in {ip.symbol}+{ip.offset or 0:#x}"
    if ip.candidates:
        because = f"{len(ip.candidates)} functions are called {ip.symbol}; nothing tells them apart"
        yield Statement("place", what, OPEN, because)
        return
    detail = f": {check.detail}" if check.detail else ""
    if place is None:
        because = "no debug information for the line; the function is as the log names it"
        yield Statement("place", what, OPEN, because)
    elif check.result == "unchecked":
        because = f"the log's code bytes were not compared with the file{detail}"
        yield Statement("place", what, LIKELY, because)
    elif check.result == "mismatch":
        yield Statement("place", what, DOUBTFUL, f"the log's code bytes are not those of the file{detail}")
    else:
        how = "apart from what the kernel patches itself" if check.result == "patched" else "byte for byte"
        yield Statement("place", what, CERTAIN, f"the log's code bytes are those of the file, {how}{detail}")


def _reasons(resolution: Resolution) -> Iterator[Statement]:
    """The certainty of the explanation: that of the instruction that it starts from."""
    what = "The reasons given"
    if resolution.check.result == "mismatch":
        because = "they start from an instruction that may not be the one that ran"
        yield Statement("reasons", what, DOUBTFUL, because)
    elif resolution.check.result == "unchecked" and resolution.disassembly:
        because = "they start from an instruction that was not compared with the log"
        yield Statement("reasons", what, LIKELY, because)
    else:
        because = "each names what it rests on: instruction, registers or the log"
        yield Statement("reasons", what, CERTAIN, because)


def _blame(verdict: Verdict, part: Part) -> Iterator[Statement]:
    culprit, suspect = verdict.culprit, verdict.suspect
    if culprit is not None:
        yield Statement("culprit", f"{culprit.symbol} is where to look first", LIKELY, culprit.why)
    if suspect is not None:
        because = "the first out-of-tree module on the certain part of the way"
        if part == "in it":
            because += "; the place is in it, the mistake may be its caller's"
        elif part == "called it":
            because += "; it called the function in which it stopped"
        else:
            because += "; being on the way is no proof"
        yield Statement("suspect", f"{suspect.module} has a part in it", LIKELY, because)


def _trace(resolution: Resolution) -> Iterator[Statement]:
    if not resolution.trace:
        return
    unsure = sum(not frame.certain for frame in resolution.trace)
    if unsure:
        because = f"the other {unsure} of {len(resolution.trace)} may be left over on the stack from earlier calls"
        yield Statement("trace", "The frames without a question mark lead to it", CERTAIN, because)
    else:
        because = "the kernel's unwinder vouches for every frame"
        yield Statement("trace", "The whole trace leads to it", CERTAIN, because)
