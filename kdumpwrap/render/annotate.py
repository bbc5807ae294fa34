"""The log, with file and line behind each symbol, in the form of scripts/decode_stacktrace.sh of the kernel.

``(file:line)`` follows each symbol. Inlined functions, instructions and variables get lines of their own. Such a line
begins with the prefix of the log line that it belongs to.
"""

from functools import lru_cache
from typing import Iterator, List, NamedTuple, Optional, Tuple

from kdumpwrap.log.reference import prefix
from kdumpwrap.model.annotation import Line
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame
from kdumpwrap.model.location import short, telling
from kdumpwrap.model.scope import Variables
from kdumpwrap.render import text
from kdumpwrap.render.escape import shown

_MOST = 4  # functions of one name that are listed


class Piece(NamedTuple):
    """Some bytes of the output."""

    data: bytes
    added: bool  # True: not in the log


def pieces(line: Line, strip: Optional[str] = None) -> Iterator[Piece]:
    """``line`` and its annotations, in output order. The pieces that are not ``added`` make up the line.

    ``strip``: the directory to remove from the start of each path; None: everything up to the top of the kernel's tree.
    """
    inlined = any(len(mark.frame.locations) > 1 for mark in line.marks)
    begin = prefix(line.raw) if inlined or line.variables or line.instructions else b""
    body = line.raw.rstrip(b"\r\n")
    end = line.raw[len(body) :]

    def own(said: str) -> Piece:
        return Piece(begin + said.rstrip().encode("utf-8", "backslashreplace") + (end or b"\n"), True)

    for mark in line.marks:
        for inner in mark.frame.locations[:-1] if mark.frame.certain else ():
            yield own(f"{shown(inner.function or '?')} ({_place(inner, strip)}) [inline]")
    done = 0
    for mark in line.marks:
        yield Piece(body[done : mark.end], False)
        yield Piece(f" ({_places(mark.frame, strip)})".encode("utf-8", "backslashreplace"), True)
        done = mark.end
    after = [*_variables(line.variables), *_instructions(line.instructions)]
    yield Piece(body[done:], False)
    if not end and after:  # the log ends without a newline
        yield Piece(b"\n" + b"\n".join(own(said).data.rstrip(b"\n") for said in after), True)
        return
    yield Piece(end, False)
    yield from map(own, after)


def _places(frame: ResolvedFrame, strip: Optional[str]) -> str:
    """``net/ipv4/ip_output.c:462``; several places joined by "or" when several functions have the name."""
    if frame.locations:
        other = f" in {shown(frame.function)}" if frame.function else ""
        return _place(frame.locations[-1], strip) + other
    found: List[str] = []
    for chain in frame.candidate_locations:
        location = telling(chain)
        found.append(_place(location, strip) if location is not None else "?")
    found = [*dict.fromkeys(found)]
    more = f" or {len(found) - _MOST} more" if len(found) > _MOST else ""
    return " or ".join(found[:_MOST]) + more


def _place(location: Location, strip: Optional[str]) -> str:
    if location.file is None:
        return "?"
    file = location.file
    if strip is None:
        file = short(file)
    elif file.startswith(strip.rstrip("/") + "/"):
        file = file[len(strip.rstrip("/")) + 1 :]
    return f"{shown(file)}:{location.line if location.line is not None else '?'}"


@lru_cache(maxsize=64)  # the reports of one bug have the same instructions
def _instructions(rows: Tuple[Instruction, ...]) -> Tuple[str, ...]:
    return tuple(text.disassembly(rows)) if any(row.fault for row in rows) else ()


def _variables(found: Optional[Variables]) -> Iterator[str]:
    if found is not None and found.missing is None:
        yield from text.scope(found)


def on_terminal(data: bytes) -> str:
    """``data`` (whole lines) as text for a terminal: control characters of the log are escaped."""
    rows = data.decode("utf-8", "backslashreplace").split("\n")
    return "\n".join(shown(row.rstrip("\r")) for row in rows)
