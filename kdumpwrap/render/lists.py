"""The rows of lists for people: frames, lines of the source, instructions (pure, not escaped)."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Optional, Sequence

from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame, Source
from kdumpwrap.model.location import short, telling, where

if TYPE_CHECKING:
    from kdumpwrap.model.vmcore import Backtrace, BacktraceFrame


def offset(frame: ResolvedFrame) -> str:
    """``+0xf2/0x1b0``; empty when unknown."""
    if frame.symbol is None or frame.offset is None:
        return ""
    return f"+{frame.offset:#x}" + (f"/{frame.size:#x}" if frame.size is not None else "")


def symbol(frame: ResolvedFrame) -> str:
    """``send4``; the address when the log has no name."""
    return frame.symbol or ("?" if frame.runtime is None else f"{frame.runtime:#x}")


def total(frame: ResolvedFrame) -> str:
    """``0xffffffff81898d7d = 0xffffffff81898c00 + 0x17d``; empty when unknown."""
    if frame.address is None or frame.offset is None:
        return ""
    return f"{frame.address:#x} = {frame.address - frame.offset:#x} + {frame.offset:#x}"


def candidates(frame: ResolvedFrame) -> Iterator[str]:
    """``net/ipv4/ip_input.c:254`` for each candidate of a frame, with its address where several share a line.

    A candidate without a line has its address alone.
    """
    chains = (*frame.candidate_locations, *[()] * len(frame.candidates))
    places = [where(telling(chain)) for _, chain in zip(frame.candidates, chains)]
    for address, found in zip(frame.candidates, places):
        if found and places.count(found) > 1:  # copies of one function of a header
            yield f"{found} at {address:#x}"
        else:
            yield found or f"{address:#x}"


class Row(NamedTuple):
    """One frame of a trace."""

    label: str  # "ip", or "#" and its number
    frame: ResolvedFrame
    note: str = ""  # frames left out after this one
    said: str = ""  # crash(8)'s line, where it differs, and its warning


def trace(finding: Finding) -> List[Row]:
    """The instruction pointer, then the frames of the trace, without their repeats."""
    frames = finding.resolution.trace
    rows = [Row("ip", finding.resolution.ip)] if finding.resolution.ip is not None else []
    again = {run.first + run.period: run for run in finding.repeats}
    number = finding.reporting
    if number:
        last = next((one.symbol for one in reversed(frames[:number]) if one.symbol), "")
        rows[-1] = rows[-1]._replace(note=f"… {number} frames that only made this report, up to {last}")
    while number < len(frames):
        run = again.get(number)
        if run is None:
            rows.append(Row(f"#{number}", frames[number]))
            number += 1
        else:
            rows[-1] = rows[-1]._replace(note=f"… and so on: {run.times} times in all, up to #{run.stop - 1}")
            number = run.stop
    return rows


def backtrace(task: "Backtrace") -> List[Row]:
    """The frames of crash(8). When there are several stacks, a frame without a context is on the task's stack."""
    rows: List[Row] = []
    before = -1
    several = any(row.frame.context for row in task.frames)
    for row in task.frames:
        frame = replace(row.frame, context=row.frame.context or "TASK") if several else row.frame
        rows.append(Row("ip" if row.number == before else f"#{row.number}", frame, said=_other(row)))
        before = row.number
    return rows


def _other(row: "BacktraceFrame") -> str:
    """crash's line of a frame, when the inline chain lacks it, and crash's warning.

    ``net/core/dev.c:6697``, ``possibly bogus exception frame``; empty when there is neither.
    """
    words = []
    said = (short(row.file), row.line) if row.file is not None else None
    known = [(short(one.file), one.line) for one in row.frame.locations if one.file is not None]
    if said is not None and said not in known:
        words.append(f"{said[0]}:{row.line}")
    if row.warning is not None:
        words.append(row.warning.partition("WARNING: ")[2] or row.warning)
    return ", ".join(words)


class Line(NamedTuple):
    """One line of the source."""

    number: int
    text: str
    fault: bool
    before: Optional[str] = None  # the text before the faulting expression; None when its column is unknown


def lines(source: Source) -> Iterator[Line]:
    """The lines of an excerpt."""
    for number, text in enumerate(source.lines, source.first):
        fault = number == source.fault_line
        column = source.fault_column if fault else None
        yield Line(number, text, fault, None if column is None else text[: column - 1])


class Step(NamedTuple):
    """One instruction."""

    row: Instruction
    place: str  # "net/ipv4/ip_output.c:462" where a line of the source begins, else empty
    target: str  # what the operand refers to; empty when unknown
    line: Optional[int]  # its line in the shown source; None when it has none there
    tied: bool  # that line is the faulting one


def _target(row: Instruction) -> str:
    """The target of the instruction: the called function, or an address, with its symbol when that is near."""
    if row.relocations:
        target = row.relocations[0].target
        # "call …  R_X86_64_PLT32 __fentry__-0x4": relative to the instruction's end
        return target[:-4] if row.text.startswith(("call", "j")) and target.endswith("-0x4") else target
    # "ffffffff82367cf1 <jumptable.49+0x6afd1>": a string, and the last symbol anywhere before it
    return re.sub(r" <[^<>+]+\+0x[0-9a-f]{4,}>$", "", row.comment or "")


def steps(rows: Sequence[Instruction], source: Optional[Source] = None) -> Iterator[Step]:
    """The instructions: each with its target, its source line where a new one begins, its line in ``source``."""
    before = ""
    for row in rows:
        place = where(Location(None, row.file, row.line)) if row.file else ""
        target = _target(row)
        known = source is not None and row.file == source.file and row.line in source.numbers
        tied = known and source is not None and row.line == source.fault_line
        yield Step(row, place if place != before else "", target, row.line if known else None, tied)
        before = place
