"""Reports without a failed access: BUG and WARN, divisions, stuck CPUs, panics, hung tasks."""

import re
from typing import Dict, Iterator, Optional, Sequence, Tuple

from kdumpwrap.arch import operand
from kdumpwrap.arch.x86 import register, width
from kdumpwrap.culprit import spin
from kdumpwrap.explain import hardware
from kdumpwrap.explain.access import Registers, accesses, faulting, operation
from kdumpwrap.explain.flow import Flow
from kdumpwrap.explain.memory import table
from kdumpwrap.explain.pointer import described
from kdumpwrap.explain.poison import hexed, meaning
from kdumpwrap.log import oom, particulars
from kdumpwrap.log import panic as panics
from kdumpwrap.model.kernel import Instruction, Location, Resolution
from kdumpwrap.model.location import short, telling
from kdumpwrap.model.verdict import Culprit
from kdumpwrap.octets import spaced
from kdumpwrap.regex import regex

_HEX = regex(r"\b(?:0x)?([0-9a-f]{8,16})\b")
_STRING = regex(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)\'')
_LONGEST_STATEMENT = 8  # lines
_OUT_OF_MEMORY: Dict[oom.Policy, str] = {
    "no victim": "Memory was used up, and no process was left that might be killed.",
    "system-wide": "Memory was used up, and vm.panic_on_oom is 1: so the kernel panics instead of killing a process.",
    "compulsory": "Memory was used up, and vm.panic_on_oom is 2: so the kernel panics instead of killing a process.",
}
_LIST = regex(r"^__list_(?P<what>add|del_entry)_valid")
_HIGH_HALF = {4: ("rdx", 0xFFFFFFFF), 8: ("rdx", (1 << 64) - 1), 2: ("rdx", 0xFFFF)}


def bug(resolution: Resolution) -> Iterator[str]:
    """Sentences on BUG, WARN and other reports that end in an undefined instruction."""
    row = faulting(resolution)
    place = _condition(resolution)
    stop = "a condition that must never be true was true" if resolution.report.kind == "bug" else "a condition was true"
    if resolution.report.kind == "invalid-opcode" and not (row and _is_trap(row, resolution)):
        shown = f": {row.text} ({spaced(row.data)})" if row else ""
        yield f"The CPU does not know this instruction{shown}: it lacks the feature, or the code was overwritten."
        return
    msr = particulars.refused_msr(resolution.report.headline)
    if msr is not None:
        what = "read of" if msr.value is None else f"write of {msr.value:#x} to"
        yield f"The CPU refused a {what} the register MSR {msr.register:#x}; the kernel went on (the headline)."
        return
    name = {"bug": "BUG", "warning": "WARN"}.get(resolution.report.kind, "BUG")
    told = f", {row.text.partition(' ')[0]} is {name}'s instruction" if row and _is_trap(row, resolution) else ""
    source = _statement(resolution)
    message = resolution.report.message
    if resolution.report.said:
        yield _said(resolution.report.said)
        if place is not None and source:
            yield f"The check is {place}: {source} (the headline{told})."
    elif place is not None:
        yield f"{stop[0].upper()}{stop[1:]} at {place}{f': {source}' if source else ''} (the headline{told})."
    if message is not None and message.origin == "neighbour":
        yield f'The line before the headline says: "{message.text.rstrip(".")}".'
    if row is not None:
        yield from _tested(resolution, row)
    yield from _lists(resolution)


def _said(message: str) -> str:
    return f'The kernel said: "{message.rstrip(".")}".'


def _condition(resolution: Resolution) -> Optional[str]:
    found = particulars.check(resolution.report.headline)
    if found is not None:
        return f"{short(found[0])}:{found[1]}"
    locations: Tuple[Location, ...] = resolution.ip.locations if resolution.ip else ()
    told = telling(locations)
    return f"{short(told.file)}:{told.line}" if told and told.file else None


def _statement(resolution: Resolution) -> Optional[str]:
    """The statement in the source, ``BUG_ON(l->credits < 0);``; None without the source.

    A statement of several lines is joined with blanks; ``…`` marks an end that lies outside of the excerpt.
    """
    source = resolution.source
    if source is None or not 0 <= source.fault_line - source.first < len(source.lines):
        return None
    at = source.fault_line - source.first
    lines = [_without_comment(line) for line in source.lines]
    first, last = at, at + 1
    while first > max(0, at - _LONGEST_STATEMENT) and _depth(lines[first:last])[0] < 0:
        first -= 1
    while last < min(len(lines), at + _LONGEST_STATEMENT) and _depth(lines[first:last])[1] > 0:
        last += 1
    lowest, end = _depth(lines[first:last])
    text = " ".join(line for line in lines[first:last] if line)
    return f"{'… ' if lowest < 0 else ''}{text}{' …' if end > 0 else ''}" if text else None


def _without_comment(line: str) -> str:
    return re.sub(r"/\*.*?(?:\*/|$)", "", line).strip()


def _depth(lines: Sequence[str]) -> Tuple[int, int]:
    """How many brackets are open at the lowest point and at the end of ``lines``, those in strings apart."""
    depth = lowest = 0
    for character in _STRING.sub("", " ".join(lines)):
        depth += (character == "(") - (character == ")")
        lowest = min(lowest, depth)
    return lowest, depth


def _is_trap(row: Instruction, resolution: Resolution) -> bool:
    return operation(row, resolution).kind == "trap"


def _tested(resolution: Resolution, row: Instruction) -> Iterator[str]:
    """The comparison before the trap, and the registers that it compared: ``test %esi,%esi`` with esi 0xffffffff."""
    flow = Flow(resolution)
    branch = flow.before(row)
    test = flow.before(branch.row) if branch is not None and branch.done.kind == "branch" else None
    if branch is None or test is None or not test.row.text.startswith(("test", "cmp", "bt ")):
        return
    registers = Registers(resolution)
    values = []
    for part in test.done.operands:
        name = part[1:] if part.startswith("%") else ""
        value = registers.get(register(name)) if name else None
        size = width(name) if name else None
        if value is not None and size:
            known = value & ((1 << size * 8) - 1)
            signed = f" ({known - (1 << size * 8)})" if known >> (size * 8 - 1) else ""
            values.append(f"{name} {known:#x}{signed}")
    told = f" with {', '.join(dict.fromkeys(values))}" if values else ""
    went = "branched there" if branch.taken else "did not branch away"
    yield f"It got there because {branch.done.mnemonic} after {test.row.text}{told} {went}."


def _lists(resolution: Resolution) -> Iterator[str]:
    """Sentences on the kernel's list checks: a poisoned pointer in the message, else the operation that failed."""
    for word in _HEX.findall(resolution.report.said):
        found = meaning(int(word, 16), resolution.report.arch)
        if found is not None and found.kind == "poison":
            yield f"{word} is {found.text}{hexed(found.offset)}: the entry had been deleted already."
            return
    name = resolution.ip.symbol if resolution.ip and resolution.ip.symbol else ""
    if _LIST.match(name):
        doing = "added to" if "add" in name else "deleted from"
        yield f"{name} checks the neighbours of an entry that is {doing} a list: the list is corrupted."


def divide(resolution: Resolution) -> Iterator[str]:
    """Sentences on the divisor: its operand, and whether it must have been 0."""
    row = faulting(resolution)
    if row is None:
        yield "The divisor was 0, or so small that the quotient does not fit (the headline)."
        return
    done = operation(row, resolution)
    if done.kind != "divide" or done.divisor is None:
        yield f"{row.text} raised a divide error."
        return
    registers = Registers(resolution)
    name = done.divisor[1:] if done.divisor.startswith("%") else None
    if name is not None:
        value = registers.get(register(name))
        size = width(name) or 8
        known = None if value is None else value & ((1 << size * 8) - 1)
        if known == 0:
            yield f"{row.text} divides by {name}, which is 0 (the registers)."
        elif known is not None:
            yield f"{row.text} divides by {name}, which is {known:#x}: the quotient does not fit its register."
        return
    access = next(iter(accesses(done, registers)), None)
    size = access.memory.size or 4 if access else 4
    where = f" at {access.address:#x} ({access.sum})" if access else ""
    base = access.memory.base if access else None
    yield f"{row.text} divides by the {size} bytes that {base or done.divisor} points to{where}."
    high, mask = _HIGH_HALF.get(size, ("rdx", (1 << 64) - 1))
    value = registers.get(high)
    if value is not None and value & mask == 0 and done.mnemonic.startswith("div"):
        yield f"The divisor is 0: with nothing in {high}, the high half of the dividend, no other can fail."
    elif value is not None:
        yield f"The divisor is 0, or so small that the quotient does not fit ({high} is {value & mask:#x})."


def stuck(resolution: Resolution) -> Iterator[str]:
    """Sentences on a CPU that hangs: where it was sampled."""
    wait = particulars.csd_wait(resolution.report.headline)
    if wait is not None:
        asked = f" to run {wait.function}" if wait.function else ""
        yield f"CPU {wait.by} waited for CPU {wait.cpu}{asked}, which does not answer (the headline)."
    row = faulting(resolution)
    if row is None or resolution.ip is None:
        if resolution.ip is not None and resolution.ip.symbol is not None:
            yield f"The CPU was sampled in {described(resolution.ip)}, while it was stuck (the instruction pointer)."
            yield from _pauses(resolution)
        return
    place = telling(resolution.ip.locations)
    at = f" ({short(place.file)}:{place.line})" if place and place.file else ""
    yield f"The CPU was sampled at {row.text}{at}, while it was stuck (the instruction pointer)."
    rows = spin.loop(resolution.rows, resolution.report.arch)
    if rows is None:
        yield from _pauses(resolution)
        return
    reads = []
    for one in rows:
        for memory in operand.parse(one.text, resolution.report.arch).memory:
            if not memory.implied and memory.access != "write":
                named = one.relocations[0].target if one.relocations else one.comment
                reads.append(f"{memory.text}{f' ({named})' if named else ''}")
    spread = _spread(rows, place.file if place and place.file else row.file)
    waits = f"; it reads {', '.join(dict.fromkeys(reads))} and waits for a change" if reads else ""
    kind = "A loop" if spin.calls(rows, resolution.report.arch) else "A loop that calls nothing"
    span = f"{rows[0].address:#x} to {rows[-1].address:#x}"
    yield f"{kind} of {len(rows)} instructions surrounds it ({span}{spread}){waits}."


def _pauses(resolution: Resolution) -> Iterator[str]:
    if spin.pauses(resolution.report.code, resolution.report.arch):
        yield "It was in a loop that waits for a change: the code pauses there (the code bytes)."


def _spread(rows: Sequence[Instruction], file: Optional[str]) -> str:
    """``, xxxwan.c lines 345 to 347``: the lines of ``file`` in ``rows``, or of the first file in them."""
    named = [row.file for row in rows if row.file is not None and row.line is not None]
    shown = file if file in named else next(iter(named), None)
    lines = sorted({row.line for row in rows if row.line is not None and row.file == shown})
    if shown is None or not lines:
        return ""
    return f", {short(shown)} line{f's {lines[0]} to' if len(lines) > 1 else ''} {lines[-1]}"


def asked_for(resolution: Resolution) -> Optional[str]:
    """A sentence on a crash that a user triggered with SysRq c; None for any other crash."""
    names = {
        frame.symbol for frame in (*((resolution.ip,) if resolution.ip else ()), *resolution.trace) if frame.certain
    }
    if particulars.is_sysrq(resolution.report.headline) or "sysrq_handle_crash" in names:
        report = resolution.report
        by = f"{report.comm} (pid {report.pid})" if report.comm else "somebody"
        how = "triggered SysRq c, as `echo c > /proc/sysrq-trigger` does"
        return f"This crash was made on purpose: {by} {how}. It is not a bug."
    return None


def panic(resolution: Resolution) -> Iterator[str]:
    """Sentences on a panic without another report, from its text."""
    text = resolution.report.headline
    if resolution.report.said and text.endswith(":"):
        yield f"The reason stands in the machine's own logs: {resolution.report.said} (the panic's text)."
    elif resolution.report.said:
        yield _said(resolution.report.said)
    cause, policy = panics.cause(text), oom.policy(text)
    if cause == "canary":
        yield (
            "The stack canary of the function that the headline names was overwritten when it returned: "
            "one of its local arrays was written past its end."
        )
    elif cause == "stack end":
        yield "The mark at the end of the stack was overwritten: the task used more stack than it has."
    elif cause == "init":
        code = panics.status(text)
        how = ""
        if code is not None:
            how = f", killed by signal {code & 0x7F}" if code & 0x7F else f" with exit status {code >> 8}"
        yield f"Process 1 ended{how}: without it the kernel cannot go on."
    elif hardware.own_log(text) is not None:
        yield str(hardware.own_log(text))
    elif policy is not None:
        yield _OUT_OF_MEMORY[policy]
        yield from table(resolution.report)
    elif cause == "root":
        yield "The root file system could not be mounted: its driver or device is missing."


def waiting(resolution: Resolution, culprit: Optional[Culprit]) -> Iterator[str]:
    """Sentences on a hung task: where it waits."""
    for frame in resolution.trace:
        if frame.symbol and culprit and frame.symbol.startswith(culprit.symbol):
            evidence = (
                "the certain frames of its stack" if frame.certain else "its stack, of which this frame is in doubt"
            )
            yield f"The task sleeps in {described(frame)} and was not woken up ({evidence})."
            return
