"""``symbol+offset`` from the command line: its file and line, its instructions. No crash is needed."""

import re
from contextlib import suppress
from dataclasses import replace
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import debuginfo, shell
from kdumpwrap.crashdir import finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError, UsageError
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Listing
from kdumpwrap.model.kernel import ResolvedFrame, Symbol
from kdumpwrap.model.log import Frame
from kdumpwrap.regex import regex
from kdumpwrap.symbolize import opening
from kdumpwrap.symbolize.excerpt import excerpt, lined, marked, source
from kdumpwrap.symbolize.objects import CodeAddress, Section, lookup
from kdumpwrap.symbolize.symbolizer import Symbolizer

# "iptunnel_xmit+0x17d/0x1c0", "send4+0xf2/0x1b0 [XxxWan]", "schedule", "f+0x1/0x2 [mod 1f0c…]"
_EXPRESSION = regex(
    r"(?P<symbol>[^\s+/\[\]]+)"
    r"(?:\+(?P<offset>0x[0-9a-f]{1,16}|\d{1,19})(?:/(?P<size>0x[0-9a-f]{1,16}|\d{1,19}))?)?"
    r"(?:\s+\[(?P<module>[\w-]+)(?:\s+(?P<build_id>[0-9a-f]+))?\])?",
    re.I | re.A,
)


def parse(expression: str, *, caller: bool = False) -> Frame:
    """The frame of ``expression``: an instruction pointer, or with ``caller`` a return address.

    Raises UsageError for any text that is not ``SYMBOL[+OFFSET[/SIZE]] [MODULE]``.
    """
    match = _EXPRESSION.fullmatch(expression.strip())
    if match is None or match["symbol"].startswith("0x"):
        raise UsageError(
            f"{expression!r} is not SYMBOL+OFFSET", shell.hint("kdumpwrap resolve iptunnel_xmit+0x17d/0x1c0")
        )
    return Frame(
        match["symbol"],
        _number(match["offset"] or "0"),
        _number(match["size"]) if match["size"] else None,
        match["module"],
        exact=not caller,
        module_build_id=match["build_id"],
    )


def _number(text: str) -> int:
    """``0x17d``, or decimal: ``09`` is nine."""
    return int(text, 16 if text[:2] in ("0x", "0X") else 10)


class Resolved(NamedTuple):
    """The frame of one expression; a name of several functions gives several."""

    expression: str
    frame: ResolvedFrame
    opened: bool = True  # False: the vmlinux or module is not here


def resolve(
    expressions: Sequence[str], release: Optional[str], search: Search, *, caller: bool = False
) -> Tuple[Tuple[Resolved, ...], Tuple[Problem, ...]]:
    """Each expression with its resolved frame, and the problems."""
    frames = [parse(expression, caller=caller) for expression in expressions]
    with _symbolizer(frames, release, search) as symbolizer:
        symbolizer.load(frames)
        placed = [
            (expression, one)
            for expression, frame in zip(expressions, frames)
            for one in _each_function(symbolizer, frame)
        ]
        lines = symbolizer.locate(CodeAddress.of(frame) for _, frame in placed if frame.address is not None)
        problems = [*symbolizer.problems(frames), *_one_of_several(symbolizer)]
        if symbolizer.misplaced():
            return tuple(map(Resolved, expressions, map(ResolvedFrame.of, frames))), tuple(problems)
        problems += [
            _unplaced(symbolizer, text, frame)
            for text, frame in placed
            if frame.address is None and frame.module in symbolizer.objects
        ]
        problems = _of_running(problems, symbolizer, release, search)
        found = ((text, frame, lines.get(CodeAddress.of(frame), ())) for text, frame in placed)
        answers = (
            Resolved(text, replace(frame, locations=chain), frame.module in symbolizer.objects)
            for text, frame, chain in found
        )
        return tuple(answers), tuple(problems)


def disassemble(
    expression: str, release: Optional[str], search: Search, *, caller: bool = False, whole: bool = False
) -> Tuple[Listing, Tuple[Problem, ...]]:
    """The instructions of the function, the one at ``expression`` marked; a window of them, or the ``whole`` function.

    Raises KdumpwrapError when there is no such function, or several, or when ``expression`` lies outside of it.
    """
    frame = parse(expression, caller=caller)
    with _symbolizer([frame], release, search) as symbolizer:
        symbolizer.load([frame])
        if symbolizer.misplaced():
            first = symbolizer.problems([frame])[0]
            raise KdumpwrapError(first.message, first.hint)
        placed = symbolizer.place(frame)
        if placed.candidates:
            addresses = ", ".join(f"{address:#x}" for address in placed.candidates)
            raise KdumpwrapError(
                f"{frame.symbol} names {len(placed.candidates)} functions: {addresses}",
                shell.hint(
                    "kdumpwrap disasm {}, SIZE as the log prints it", f"{frame.symbol}+{frame.offset or 0:#x}/SIZE"
                ),
            )
        function = symbolizer.function(placed)
        if function is None:
            problems = symbolizer.problems([frame]) or (_unplaced(symbolizer, expression, placed),)
            first = _of_running(problems, symbolizer, release, search)[0]
            raise KdumpwrapError(first.message, first.hint)
        if _outside(function, placed):
            raise KdumpwrapError(_unplaced(symbolizer, expression, placed).message)
        section = Section.of(placed)
        job = symbolizer.disassembly.of(section, function)
        rows = marked(symbolizer.failures.keep(placed.module, job.result) or (), lookup(placed))
        shown = rows if whole else excerpt(rows)
        if rows and not shown:  # its end is not known, and there is no instruction
            raise KdumpwrapError(_unplaced(symbolizer, expression, placed).message)
        lines = symbolizer.locate([CodeAddress.of(placed)], [CodeAddress(section, row.address) for row in shown])
        placed = replace(placed, locations=lines.get(CodeAddress.of(placed), ()))
        shown_source = symbolizer.failures.keep(None, lambda: source(placed.locations, symbolizer.release, search))
        listing = Listing(placed, lined(shown, section, lines), shown_source)
        return listing, (*symbolizer.problems([frame]), *_one_of_several(symbolizer))


def _symbolizer(frames: Sequence[Frame], release: Optional[str], search: Search) -> Symbolizer:
    release = debuginfo.asked(release, search)
    needed = release is not None or any(frame.module is None for frame in frames)  # else a module alone is asked
    return Symbolizer(release, search, None, opening.begin(release, search) if needed else None)


def _one_of_several(symbolizer: Symbolizer) -> Tuple[Problem, ...]:
    """The problem that several builds of the release are here: without a crash nothing tells which is meant."""
    taken, release = symbolizer.vmlinux, symbolizer.release
    other = debuginfo.another(taken, release, symbolizer.search) if taken is not None else None
    if other is None:
        return ()
    return (
        Problem(f"{taken}: not the only build of {release} here", shell.hint("the other one: --vmlinux {}", other)),
    )


def _of_running(
    problems: Sequence[Problem], symbolizer: Symbolizer, release: Optional[str], search: Search
) -> List[Problem]:
    """``problems``; without a vmlinux of the running kernel the first gets a hint that names the crashed release."""
    if not problems or release is not None or search.vmlinux is not None or symbolizer.vmlinux is not None:
        return [*problems]
    crashed = None
    with suppress(KdumpwrapError):
        crashed = release_of(finder.newest(search.root))
    if crashed == symbolizer.release:
        return [*problems]
    crashed_one = shell.hint("this asks the running kernel; for the one that crashed: --release {}", crashed or "REL")
    hint = shell.either([crashed_one, problems[0].hint])
    return [problems[0]._replace(hint=hint), *problems[1:]]


def _each_function(symbolizer: Symbolizer, frame: Frame) -> List[ResolvedFrame]:
    """``frame`` placed in each function of its name that contains it; unplaced where there is none."""
    placed = [(symbol, symbolizer.place(frame, [symbol])) for symbol in symbolizer.symbols(frame)]
    return [one for symbol, one in placed if not _outside(symbol, one)] or [ResolvedFrame.of(frame)]


def _outside(function: Symbol, placed: ResolvedFrame) -> bool:
    """Whether ``placed`` lies behind the end of ``function``.

    The return address of a last call does not, nor a pointer to the function behind its padding (``__pfx_f+0x10``).
    """
    if function.size is None:
        return False
    behind = lookup(placed) - function.address - function.size
    return behind > 0 or (behind == 0 and not function.name.startswith("__pfx_"))


def _unplaced(symbolizer: Symbolizer, expression: str, frame: Frame) -> Problem:
    """Why ``frame`` has no address."""
    if symbolizer.symbols(frame):
        return Problem(f"{expression} lies outside of {frame.symbol}")
    where = f"the module {frame.module}" if frame.module else str(symbolizer.vmlinux)
    return Problem(f"no function {frame.symbol} in {where}")
