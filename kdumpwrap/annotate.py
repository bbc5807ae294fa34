"""The annotated log: the frames, variables and instructions that belong to each line. `render.annotate` writes it.

A log is read in batches of whole lines. The tools are asked once for each distinct address, whatever the number of
reports.
"""

from time import monotonic
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.crashdir.release import release_in
from kdumpwrap.debuginfo import Search
from kdumpwrap.model.annotation import Line, Mark
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.log import Frame, Log, Report
from kdumpwrap.symbolize import opening

if TYPE_CHECKING:
    from kdumpwrap.log.owners import Name, References, Where
    from kdumpwrap.model.kernel import Instruction, ResolvedFrame
    from kdumpwrap.model.scope import Variables
    from kdumpwrap.symbolize.symbolizer import Symbolizer

# What follows the start of nm is imported where it is used: while it loads, nm is at work.

BATCH = 4 << 20  # bytes of a log in one batch: it takes 25 times as much memory when it is all traces
_MOST = 50_000  # reports in them
_KERNELS = 8  # whose tools and answers are held at a time
_FRAMES = 100_000  # distinct frames of one kernel that are held; each takes 500 bytes
_PROBLEMS = 1000  # that are kept
_PATIENCE = 2.0  # seconds that a line of a stream waits for the end of its report
_END = b"---[ end "


def batches(pieces: Iterable[Optional[bytes]]) -> Iterator[bytes]:
    """The bytes of ``pieces`` again, in batches of whole lines; only a longer line than BATCH is cut.

    ``None`` among the pieces means a pause of the stream: the lines so far are complete. A stream without a pause is
    cut behind the end of a report when its lines have waited for _PATIENCE seconds.
    """
    held: List[bytes] = []
    size = 0
    live = False
    since = monotonic()
    for piece in pieces:
        live = live or piece is None
        if piece:
            since = since if held else monotonic()
            held.append(piece)
            size += len(piece)
        late = live and piece is not None and monotonic() - since > _PATIENCE
        if not held or not (piece is None or late or size >= BATCH):
            continue
        data = b"".join(held)
        whole = data.rfind(b"\n") + 1
        stop = whole if piece is None else _complete(data, whole)
        if size >= BATCH:
            stop = stop or whole or size
        if stop:
            yield data[:stop]
        held = [data[stop:]] if stop < size else []
        size -= stop
        since = monotonic()
    if held:
        yield b"".join(held)


def _complete(data: bytes, whole: int) -> int:
    """Bytes of ``data[:whole]`` up to the end of the last report that is over; all when none is open."""
    end = data.rfind(_END, 0, whole)
    after = data.find(b"\n", end, whole) + 1 if end >= 0 else 0
    return after if data.find(b"+0x", after, whole) >= 0 else whole


class Annotator:
    """Annotates one log, batch after batch. To be used in a ``with``."""

    def __init__(self, crash: Crash, search: Search, release: Optional[str] = None, *, variables: bool = False) -> None:
        """``release``: the kernel's, where the log does not tell it; ``variables``: look up those of fatal reports."""
        self._variables = variables
        self._crash = crash
        self._search = search
        self._release = release
        self._kernels: "Dict[Optional[str], Symbolizer]" = {}
        self._frames: Dict[Optional[str], Dict[Frame, None]] = {}  # of each kernel, all frames so far
        self._problems: Dict[Problem, None] = {}
        self._more = 0  # problems that were not kept
        self.named = 0  # references so far
        self.known = 0  # those of them that got a line

    def __enter__(self) -> "Annotator":
        return self

    def __exit__(self, *_: object) -> None:
        for symbolizer in self._kernels.values():
            symbolizer.close()

    def problems(self) -> Tuple[Problem, ...]:
        """The problems so far, each once. To be called behind the last line."""
        for release in tuple(self._kernels):
            self._close(release)
        more = (Problem(f"{self._more} more problems like these"),) if self._more else ()
        return (*self._problems, *more)

    def _close(self, release: Optional[str]) -> None:
        """Forget all of one kernel but its problems: a stream may have no end, and name new frames and kernels."""
        with self._kernels.pop(release) as symbolizer:
            self._keep(symbolizer.problems(self._frames.pop(release, ())))

    def _keep(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            if len(self._problems) < _PROBLEMS:
                self._problems[problem] = None
            elif problem not in self._problems:
                self._more += 1

    def lines(self, data: bytes) -> Iterator[Line]:
        """The lines of one batch, in order."""
        if not self._kernels and b"+0x" in data:
            release = self._release or release_in(data, data)
            if release is not None:
                self._symbolizer(release)
        from kdumpwrap.log import owners

        rows = data.split(b"\n")
        found = owners.references(rows)
        told = self._told(rows, found) if found else _Told({}, {}, {})
        last = len(rows) - 1
        for index, row in enumerate(rows):
            raw = row if index == last else row + b"\n"
            if raw:
                marks = tuple(told.marks.get(index, ()))
                yield Line(raw, marks, told.variables.get(index), told.instructions.get(index, ()))

    def _told(self, rows: List[bytes], found: "References") -> "_Told":
        from kdumpwrap.log import owners, reader

        log = reader.parse([b"\n".join(rows)], _MOST)
        releases = owners.Releases(rows, log, self._release)
        self._release = releases.last
        owned = owners.owned(log.reports, found)
        work: Dict[Optional[str], List[_Case]] = {}
        for report, where in zip(log.reports, owned):
            release = report.release or releases.at(report.line)
            work.setdefault(release, []).append(_of_report(report, where, found, rows))
        for stack in owners.stacks(found, {one for where in owned for one in where}):
            trace = Report("oops", "", stack.line, arch=log.arch, trace=stack.frames)
            work.setdefault(releases.at(stack.line), []).append(_Case(trace, tuple(enumerate(stack.where))))
        index = log.subject if self._variables else None
        about = log.reports[index] if index is not None else None
        told = _Told({}, {}, {})
        known: "Dict[Where, ResolvedFrame]" = {}
        for release, cases in work.items():
            symbolizer = self._symbolizer(release)
            frames = dict.fromkeys(frame for case in cases for frame in case.report.frames)
            self._frames.setdefault(release, {}).update(frames)
            symbolizer.load(frames, log.arch, lines=True)
            known.update(self._resolved(cases, symbolizer, told))
            stopped = next((case for case in cases if case.report is about and case.pointed is not None), None)
            if stopped is not None and stopped.pointed is not None:
                variables = self._ask_variables(stopped.report, release, log, symbolizer)
                if variables is not None:
                    told.variables[stopped.pointed] = variables
                    if variables.otherwise is not None and stopped.dumped is not None:
                        told.instructions[stopped.dumped] = ()
            if len(self._frames[release]) > _FRAMES:
                self._close(release)
        for index, several in found.items():
            for position, one in enumerate(several):
                frame = known.get(owners.Where(index, position))
                self.named += 1
                if frame is not None and (frame.locations or any(frame.candidate_locations)):
                    self.known += 1
                    told.marks.setdefault(index, []).append(Mark(one.end, frame))
        return told

    def _resolved(
        self, cases: "Sequence[_Case]", symbolizer: "Symbolizer", told: "_Told"
    ) -> "Iterator[Tuple[Where, ResolvedFrame]]":
        """The frames of ``cases``, all of one kernel, with their lines; ``told`` gets the instructions."""
        from kdumpwrap.symbolize.failures import Failures
        from kdumpwrap.symbolize.many import Dumps, Traces

        failures = Failures()
        traces, dumps = Traces(symbolizer, failures), Dumps(symbolizer, failures)
        placed = [traces.of(case.report) for case in cases]
        symbolizer.begin(traces.addresses())  # of all tools eu-addr2line takes longest
        asked = {
            case.dumped: dumps.ask(case.report, frames)
            for case, frames in zip(cases, placed)
            if case.dumped is not None
        }
        located = symbolizer.locate(traces.addresses(), dumps.addresses())
        told.instructions.update((row, dumps.rows(key, located)) for row, key in asked.items())
        traces.locate(located)
        for case in cases:
            frames = traces.of(case.report)
            yield from ((where, frames[index]) for index, where in case.named)
        self._keep(failures.of({one.module for frames in placed for one in frames if one.module is not None}))

    def _ask_variables(
        self, report: Report, release: Optional[str], log: Log, symbolizer: "Symbolizer"
    ) -> "Optional[Variables]":
        """The variables of ``report``, as gdb tells them."""
        from kdumpwrap import analyze

        alone = Log((report,), 0, release, report.arch or log.arch, report.kernel_offset)
        analysis = next(analyze.analyses([(self._crash, alone)], symbolizer, variables=True))
        finding = analysis.findings[0]
        own = set(symbolizer.problems(finding.resolution.frames))
        self._keep(problem for problem in analysis.problems if problem not in own)
        return finding.variables

    def _symbolizer(self, release: Optional[str]) -> "Symbolizer":
        if release not in self._kernels:
            if len(self._kernels) == _KERNELS:
                self._close(next(iter(self._kernels)))
            beside = self._crash.beside
            begun = opening.begin(release, self._search, beside)
            from kdumpwrap.symbolize.symbolizer import Symbolizer

            self._kernels[release] = Symbolizer(release, self._search, beside, opening=begun)
        return self._kernels[release]


class _Told(NamedTuple):
    """The additions to a batch of lines, each by the index of its line."""

    marks: Dict[int, List[Mark]]
    variables: "Dict[int, Variables]"
    instructions: "Dict[int, Tuple[Instruction, ...]]"


class _Case(NamedTuple):
    """A report, or a stack that belongs to none."""

    report: Report
    named: "Tuple[Tuple[int, Where], ...]"  # the index of a frame, its instruction pointer first, and what names it
    dumped: Optional[int] = None  # index of the last line of its code dump
    pointed: Optional[int] = None  # and of the first one that names its instruction pointer


def _of_report(report: Report, where: "Sequence[Where]", found: "References", rows: List[bytes]) -> _Case:
    """``where`` name frames of ``report``."""
    from kdumpwrap.log import owners, reference

    first: "Dict[Name, int]" = {}
    for index, frame in enumerate(report.frames):
        first.setdefault(owners.name(frame), index)
    named = tuple((first[owners.name(found[one.row][one.position].frame)], one) for one in where)
    own = (one for index, one in named if index == 0 and report.ip is not None)
    pointed = next((one.row for one in own if found[one.row][one.position].kind == "pointer"), None)
    dumped = reference.dump_end(rows, report.line - 1, owners.last_line(report), report.code)
    return _Case(report, named, dumped, pointed)
