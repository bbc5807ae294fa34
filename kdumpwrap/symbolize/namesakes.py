"""Several functions of one name: the one that a frame means, by its code bytes, its callers and what it called.

Debian's 6.1 vmlinux has 300 names that stand for more than one function; their sizes tell 143 of them apart. The rest
is settled here, or stays a list: a wrong single answer is worse than none.
"""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from kdumpwrap.model.kernel import Instruction, Symbol
from kdumpwrap.model.log import Code, Frame

_LONGEST = 16  # bytes: more than any instruction has
_ROUNDS = 4
# a call to one of these goes somewhere that only the running kernel knows
_INDIRECT = ("__x86_indirect_", "__SCT__", "pv_ops", "__s390_indirect_", "ftrace")
_HOOKS = ("__fentry__", "mcount", "_mcount")


class Range(NamedTuple):
    """A stretch of code in one object."""

    module: Optional[str]
    section: Optional[str]
    start: int
    stop: int


# the instructions of each range, () for one that cannot be read; asked for together, so that they may be read together
Reader = Callable[[Sequence[Range]], Sequence[Sequence[Instruction]]]
# the function of an object that holds an address
Finder = Callable[[Frame, int], Optional[Symbol]]


class _Call(NamedTuple):
    """The call before a return address."""

    found: bool  # whether there is one
    target: Optional[int]  # None: through a register or a table


class _Link(NamedTuple):
    """A frame and the one that called it, by their places in the trace."""

    callee: int
    caller: int


def settle(
    frames: Sequence[Frame],
    symbols: Callable[[Frame], Sequence[Symbol]],
    read: Reader,
    *,
    code: Optional[Code] = None,
    arch: Optional[str] = None,
    enclosing: Optional[Finder] = None,
) -> Tuple[Tuple[Symbol, ...], ...]:
    """For each of ``frames`` (the instruction pointer, then the trace) the functions that it may mean.

    One where the evidence is clear, several where it is not, none for a name that the object does not have. ``symbols``
    gives those of the right name and size; ``code`` belongs to the first frame. Frames that may be stale are left as
    they are. Nothing is read unless a certain frame is ambiguous.
    """
    left: List[Tuple[Symbol, ...]] = [tuple(symbols(frame)) if frame.symbol else () for frame in frames]
    open_ = [at for at, frame in enumerate(frames) if frame.certain and len(left[at]) > 1]
    if not open_:
        return tuple(left)
    evidence = _Evidence(frames, read, arch, enclosing)
    if open_[0] == 0 and code is not None and frames[0].exact:
        left[0] = evidence.by_code(frames[0], left[0], code)
    links = _links(frames)
    evidence.prepare(left, links)
    for at in open_:
        left[at] = evidence.that_call(at, left[at])
    for _ in range(_ROUNDS):
        before = list(left)
        for at in open_:
            if len(left[at]) > 1:
                left[at] = evidence.linked(at, left, links)
        if left == before:
            break
    return tuple(left)


def _links(frames: Sequence[Frame]) -> Tuple[_Link, ...]:
    """Which certain frame called which. An interrupted frame did not call the one before it."""
    certain = [at for at, frame in enumerate(frames) if frame.certain and frame.symbol]
    return tuple(
        _Link(one, other)
        for one, other in zip(certain, certain[1:])
        if not frames[other].exact and frames[other].offset
    )


class _Evidence:
    """What the code says of the frames. Each stretch of code is read once."""

    def __init__(self, frames: Sequence[Frame], read: Reader, arch: Optional[str], enclosing: Optional[Finder]) -> None:
        self._frames = frames
        self._read = read
        self._arch = arch
        self._enclosing = enclosing
        self._rows: Dict[Range, Sequence[Instruction]] = {}

    def _fetch(self, ranges: Sequence[Range]) -> None:
        missing = [one for one in dict.fromkeys(ranges) if one not in self._rows]
        if missing:
            self._rows.update(zip(missing, self._read(missing)))

    def by_code(self, frame: Frame, symbols: Tuple[Symbol, ...], code: Code) -> Tuple[Symbol, ...]:
        """The functions whose bytes are the log's; all, when none or each of them is."""
        from kdumpwrap.codecheck import check

        search = [symbol.address + (frame.offset or 0) for symbol in symbols]
        ranges = [
            Range(frame.module, symbol.section, symbol.address, check.span(code, place)[1] + _LONGEST)
            for symbol, place in zip(symbols, search)
        ]
        self._fetch(ranges)
        fitting = []
        for symbol, place, stretch in zip(symbols, search, ranges):
            rows = self._rows[stretch]
            checked = check.compare(code, place, rows, arch=self._arch, entries=(symbol.address,)).check
            starts = any(row.address == place for row in rows)
            if checked.result in ("match", "patched") and starts:
                fitting.append(symbol)
        return tuple(fitting) or symbols

    def prepare(self, left: Sequence[Sequence[Symbol]], links: Sequence[_Link]) -> None:
        """Read the code before each return address that may tell something, all at once."""
        wanted: Set[int] = set()
        for link in links:
            if len(left[link.callee]) > 1 or len(left[link.caller]) > 1:
                wanted.add(link.caller)
        self._fetch([self._before(at, symbol) for at in sorted(wanted) for symbol in left[at]])

    def _before(self, at: int, symbol: Symbol) -> Range:
        frame = self._frames[at]
        return Range(frame.module, symbol.section, symbol.address, symbol.address + (frame.offset or 0))

    def _call(self, at: int, symbol: Symbol) -> Optional[_Call]:
        """The call that ``symbol`` would have made at the return address of frame ``at``; None when unknown."""
        from kdumpwrap.arch import operand

        frame = self._frames[at]
        stretch = self._before(at, symbol)
        if frame.exact or not frame.offset or stretch.stop <= stretch.start:
            return None
        self._fetch([stretch])
        rows = self._rows[stretch]
        if not rows:
            return None
        last = rows[-1]
        if self._arch == "ppc64le" and len(rows) > 1 and last.text == "nop":
            last = rows[-2]  # the nop behind a call that may leave the module
        done = operand.parse(last.text, self._arch)
        ends = rows[-1].address + len(rows[-1].data) == stretch.stop
        if done.kind != "call" or not ends:
            return _Call(False, None)
        known = done.target is not None and not last.relocations
        return _Call(True, done.target if known and not any(name in last.text for name in _INDIRECT) else None)

    def that_call(self, at: int, symbols: Tuple[Symbol, ...]) -> Tuple[Symbol, ...]:
        """The functions that have a call before the return address; all, when none has."""
        calls = [self._call(at, symbol) for symbol in symbols]
        return tuple(symbol for symbol, call in zip(symbols, calls) if call is None or call.found) or symbols

    def linked(self, at: int, left: Sequence[Tuple[Symbol, ...]], links: Sequence[_Link]) -> Tuple[Symbol, ...]:
        """The functions of frame ``at`` that no neighbouring frame rules out; all, when none is left.

        A caller that is certain and calls one of them by its address decides. One that calls the frame below by its
        address does not: another may have called it through a pointer at the same offset.
        """
        possible = left[at]
        for link in links:
            if at == link.callee:
                pairs = {symbol: [(symbol, caller) for caller in left[link.caller]] for symbol in possible}
            elif at == link.caller:
                pairs = {symbol: [(callee, symbol) for callee in left[link.callee]] for symbol in possible}
            else:
                continue
            scores = {
                symbol: max((self._score(link, *pair) for pair in some), default=1) for symbol, some in pairs.items()
            }
            if at == link.callee and len(left[link.caller]) == 1:
                called = self._call(link.caller, left[link.caller][0])
                named = tuple(s for s in possible if called and s.address == called.target and scores[s] == 2)
                if named:
                    return named
            possible = tuple(symbol for symbol in possible if scores[symbol]) or possible
        return possible

    def _score(self, link: _Link, callee: Symbol, caller: Symbol) -> int:
        """2: ``caller`` calls ``callee`` there; 0: it cannot have; 1: it is not known."""
        call = self._call(link.caller, caller)
        if call is None or call.target is None:
            return 1
        below, above = self._frames[link.callee], self._frames[link.caller]
        if (below.module, callee.section) != (above.module, caller.section) or ".cold" in callee.name:
            return 1
        if call.target == callee.address:
            return 2
        return self._jumps(above, caller, call.target, callee.address)

    def _jumps(self, above: Frame, caller: Symbol, start: int, goal: int) -> int:
        """As _score: whether the function at ``start`` jumps to ``goal``, a tail call, which leaves no frame."""
        from kdumpwrap.arch import operand

        function = self._enclosing(above, start) if self._enclosing else None
        if function is None or function.size is None or function.address != start:
            return 1
        stretch = Range(above.module, caller.section, start, start + function.size)
        self._fetch([stretch])
        answer = 0
        for row in self._rows[stretch]:
            done = operand.parse(row.text, self._arch)
            if done.kind not in ("jump", "branch"):
                continue
            if done.target == goal:
                return 2
            outside = done.target is not None and not stretch.start <= done.target < stretch.stop
            if done.target is None or outside:
                answer = 1  # through a register, or over one more function
        return answer if self._rows[stretch] else 1
