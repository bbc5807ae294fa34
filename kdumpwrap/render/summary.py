"""A crash in words: what happened, where, whom to ask, and how sure each statement is (pure, for every renderer)."""

from typing import Iterator, NamedTuple, Optional, Tuple

from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import Location, ResolvedFrame
from kdumpwrap.where import short, telling

TITLES = {
    "null-pointer": "NULL pointer dereference",
    "page-fault": "Page fault",
    "general-protection": "General protection fault",
    "bug": "Failed BUG() check",
    "invalid-opcode": "Invalid opcode",
    "divide-error": "Division error",
    "double-fault": "Double fault",
    "stack-overflow": "Kernel stack overflow",
    "machine-check": "Machine check",
    "soft-lockup": "Soft lockup",
    "hard-lockup": "Hard lockup",
    "hung-task": "Hung task",
    "rcu-stall": "RCU stall",
    "panic": "Panic",
    "warning": "Warning",
    "atomic-sleep": "Sleep in atomic context",
    "lockdep": "Locking error (lockdep)",
    "kasan": "Memory error (KASAN)",
    "kmsan": "Use of uninitialised memory (KMSAN)",
    "kcsan": "Data race (KCSAN)",
    "kfence": "Memory error (KFENCE)",
    "ubsan": "Undefined behaviour (UBSAN)",
    "slab": "Slab corruption",
    "memory-leak": "Memory leak",
    "oops": "Oops",
}

CERTAIN, LIKELY, DOUBTFUL, OPEN = "certain", "likely", "doubtful", "open"


class Statement(NamedTuple):
    """Something that the report says, and how far it can be trusted."""

    what: str
    level: str  # CERTAIN, LIKELY, DOUBTFUL or OPEN
    because: str


def chosen(analysis: Analysis) -> Optional[Finding]:
    """The report that a page is about: the fatal one, else the last."""
    index = analysis.subject
    return None if index is None else analysis.findings[index]


def headline(finding: Finding) -> str:
    """The kernel's own, or that the log lacks it."""
    return finding.report.headline or f"({finding.report.kind}: its headline is not in the log)"


def title(finding: Finding) -> str:
    """``Page fault in iptunnel_xmit``."""
    kind = TITLES.get(finding.report.kind, "Oops")
    return f"{kind} in {finding.culprit.symbol}" if finding.culprit else kind


def sentence(analysis: Analysis, finding: Finding) -> str:
    """What happened, in one or two sentences."""
    words = [TITLES.get(finding.report.kind, "Oops")]
    best = best_place(finding)
    culprit = finding.culprit
    if best is not None and finding.resolution.ip is not None and finding.resolution.ip.symbol is not None:
        words.append(f"at {where(best)} in {best.function or finding.resolution.ip.symbol}()")
        outer = finding.resolution.ip.locations[-1]
        if outer is not best and outer.function != best.function:
            words[-1] += f", inlined in {outer.function}(),"
    elif culprit is not None:
        at = f" at {where(Location(None, culprit.file, culprit.line))}" if culprit.file else ""
        words.append(f"in {culprit.symbol}(){at}")
    elif finding.resolution.ip is not None and finding.resolution.ip.symbol is not None:
        words.append(f"in {finding.resolution.ip.symbol}()")
    if finding.report.comm is not None:
        words.append(f"while the task {finding.report.comm} was running")
    text = " ".join(words).rstrip(",")
    if analysis.fatal is None:
        return f"{text}. No report in this log brought the kernel down; this is the last one."
    if finding.suspect is None:
        return f"{text}."
    where_it_is = "This is in" if _in_suspect(finding) else "On the way to it is"
    return f"{text}. {where_it_is} the out-of-tree module {finding.suspect.module}."


def best_place(finding: Finding) -> Optional[Location]:
    """The most telling line of the instruction pointer; None when there is none or it is not resolved."""
    return telling(finding.resolution.ip.locations) if finding.resolution.ip is not None else None


def where(location: Optional[Location]) -> str:
    """``include/net/ip_tunnels.h:462``, from the top of the kernel's tree on; empty when unknown."""
    if location is None or location.file is None:
        return ""
    return short(location.file) + (f":{location.line}" if location.line is not None else "")


def statements(analysis: Analysis, finding: Finding) -> Tuple[Statement, ...]:
    """How sure the answers are: the place, the blame, the trace, the kernel."""
    return (*_place(finding), *_why(finding), *_blame(finding), *_trace(finding), *_kernel(analysis, finding))


def _place(finding: Finding) -> Iterator[Statement]:
    ip = finding.resolution.ip
    if ip is None or ip.symbol is None:
        return
    best = best_place(finding)
    what = f"It stopped at {where(best)}" if best else f"It stopped in {ip.symbol}+{ip.offset or 0:#x}"
    if ip.candidates:
        yield Statement(what, OPEN, f"{len(ip.candidates)} functions are called {ip.symbol}; nothing tells them apart")
        return
    check = finding.resolution.check
    detail = f": {check.detail}" if check.detail else ""
    if best is None:
        yield Statement(what, OPEN, "no debug information for the line; the function is as the log names it")
    elif check.result == "unchecked":
        yield Statement(what, LIKELY, f"the log's code bytes were not compared with the file{detail}")
    elif check.result == "mismatch":
        yield Statement(what, DOUBTFUL, f"the log's code bytes are not those of the file{detail}")
    else:
        how = "apart from what the kernel patches itself" if check.result == "patched" else "byte for byte"
        yield Statement(what, CERTAIN, f"the log's code bytes are those of the file, {how}{detail}")


def _blame(finding: Finding) -> Iterator[Statement]:
    if finding.culprit is not None:
        yield Statement(f"{finding.culprit.symbol} is where to look first", LIKELY, finding.culprit.why)
    if finding.suspect is not None:
        because = "the first out-of-tree module on the certain part of the way"
        if _in_suspect(finding):
            because += "; the place is in it, the mistake may be its caller's"
        else:
            because += "; being on the way is no proof"
        yield Statement(f"{finding.suspect.module} has a part in it", LIKELY, because)


def _in_suspect(finding: Finding) -> bool:
    return (
        finding.suspect is not None and finding.culprit is not None and finding.culprit.module == finding.suspect.module
    )


def _why(finding: Finding) -> Iterator[Statement]:
    """How far the explanation can be trusted: it stands and falls with the instruction that it starts from."""
    if not finding.explanation:
        return
    check = finding.resolution.check.result
    if check == "mismatch":
        yield Statement(
            "The reasons given", DOUBTFUL, "they start from an instruction that may not be the one that ran"
        )
    elif check == "unchecked" and finding.resolution.disassembly:
        yield Statement(
            "The reasons given", LIKELY, "they start from an instruction that was not compared with the log"
        )
    else:
        yield Statement("The reasons given", CERTAIN, "each names what it rests on: instruction, registers or the log")


def _trace(finding: Finding) -> Iterator[Statement]:
    if not finding.resolution.trace:
        return
    unsure = sum(not frame.certain for frame in finding.resolution.trace)
    if unsure:
        because = (
            f"the other {unsure} of {len(finding.resolution.trace)} may be left over on the stack from earlier calls"
        )
        yield Statement("The frames without a question mark lead to it", CERTAIN, because)
    else:
        yield Statement("The whole trace leads to it", CERTAIN, "the kernel's unwinder vouches for every frame")


def _kernel(analysis: Analysis, finding: Finding) -> Iterator[Statement]:
    kernel = analysis.kernel
    doubts = [
        one.message for one in analysis.problems if "the crash is of" in one.message or "not the build" in one.message
    ]
    if doubts:
        yield Statement("The vmlinux is that of the crash", DOUBTFUL, "; ".join(doubts))
    elif kernel.vmlinux:
        build = f", build id {kernel.build_id}" if kernel.build_id else ""
        yield Statement(f"The kernel is {kernel.release or 'unknown'}", CERTAIN, f"as log and vmlinux say{build}")
    elif kernel.release:
        yield Statement(f"The kernel is {kernel.release}", CERTAIN, "as the log says; its vmlinux is not here")


def certain_frames(finding: Finding) -> Tuple[ResolvedFrame, ...]:
    """The instruction pointer and the frames of the trace that are no leftovers."""
    first = (
        (finding.resolution.ip,)
        if finding.resolution.ip is not None and finding.resolution.ip.symbol is not None
        else ()
    )
    return (*first, *(frame for frame in finding.resolution.trace if frame.certain))
