"""The log itself with what is known of it: which line of it gets which text. `render.annotate` dresses it.

A log is taken in batches of whole lines. What is asked of the tools is asked once for each distinct address, whatever
the number of reports.
"""

from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Type

from kdumpwrap import analyze
from kdumpwrap.debuginfo import Places
from kdumpwrap.log import owners, reader, reference
from kdumpwrap.log.owners import Stack, Where
from kdumpwrap.model.annotation import Line, Mark
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.log import Frame, Log, Report, subject
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import Place, lookup, part
from kdumpwrap.symbolize.placed import candidates, placed, with_lines
from kdumpwrap.symbolize.symbolizer import Symbolizer

BATCH = 8 << 20  # bytes of a log that are worked on at a time
_MOST = 50_000  # reports in them
_PATIENCE = 2.0  # seconds that a line of a stream waits for the end of its report
_END = b"---[ end "


def batches(pieces: Iterable[Optional[bytes]]) -> Iterator[bytes]:
    """The bytes of ``pieces`` again, in batches of whole lines; only a longer line than BATCH is cut.

    ``None`` says that nothing came for a while: what is there is complete. A stream that never rests is cut behind the
    end of a report when its lines have waited for _PATIENCE seconds.
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

    def __init__(self, crash: Crash, places: Places, release: Optional[str] = None, *, variables: bool = False) -> None:
        """``release``: of the kernel, where the log does not tell it; ``variables``: ask for those of fatal reports."""
        self._variables = variables
        self._crash = crash
        self._places = places
        self._release = release
        self._kernels: Dict[Optional[str], Symbolizer] = {}
        self._frames: Dict[Optional[str], Dict[Frame, None]] = {}  # of each kernel, all that were met
        self._problems: List[Problem] = []
        self.named = 0  # references that were met
        self.known = 0  # and those that got a line

    def __enter__(self) -> "Annotator":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for symbolizer in self._kernels.values():
            symbolizer.close()

    @property
    def problems(self) -> Tuple[Problem, ...]:
        """What could not be done so far, each thing once."""
        for release, frames in self._frames.items():
            self._problems += self._kernels[release].problems(frames)
        return tuple(dict.fromkeys(self._problems))

    def lines(self, data: bytes) -> Iterator[Line]:
        """The lines of one batch, in order."""
        rows = data.split(b"\n")
        found = owners.references(rows)
        told = self._told(rows, found) if found else _Told({}, {}, {})
        last = len(rows) - 1
        for index, row in enumerate(rows):
            raw = row if index == last else row + b"\n"
            if raw:
                marks = tuple(told.marks.get(index, ()))
                yield Line(raw, marks, told.stopped.get(index), told.dumped.get(index))

    def _told(self, rows: List[bytes], found: owners.References) -> "_Told":
        log = reader.parse([b"\n".join(rows)], _MOST)
        releases = owners.Releases(rows, log, self._release)
        self._release = releases.last
        owned = owners.owned(log.reports, found)
        work: Dict[Optional[str], _Work] = {}
        for report, places in zip(log.reports, owned):
            release = report.release or releases.at(report.line)
            work.setdefault(release, _Work([], [])).reports.append((report, places))
        for stack in owners.stacks(found, {where for places in owned for where in places}):
            work.setdefault(releases.at(stack.line), _Work([], [])).stacks.append(stack)
        told = _Told({}, {}, {})
        known: Dict[Where, ResolvedFrame] = {}
        for release, part_of in work.items():
            known.update(self._work(part_of, release, log, rows, found, told))
        for index, several in found.items():
            for position, one in enumerate(several):
                frame = known.get(Where(index, position))
                self.named += 1
                if frame is not None and (frame.locations or any(frame.candidate_locations)):
                    self.known += 1
                    told.marks.setdefault(index, []).append(Mark(one.end, frame))
        return told

    def _work(
        self,
        work: "_Work",
        release: Optional[str],
        log: Log,
        rows: List[bytes],
        found: owners.References,
        told: "_Told",
    ) -> Dict[Where, ResolvedFrame]:
        """The frames of one kernel with their lines; what else there is to tell is added to ``told``."""
        symbolizer = self._symbolizer(release)
        frames = [one for report, _ in work.reports for one in owners.frames(report)]
        frames += [frame for stack in work.stacks for frame in stack.frames]
        self._frames.setdefault(release, {}).update(dict.fromkeys(frames))
        symbolizer.load(frames, log.arch)
        known: Dict[Where, ResolvedFrame] = {}
        logs = [
            (self._crash, Log((one,), 0, release, one.arch or log.arch, one.kernel_offset)) for one, _ in work.reports
        ]
        about = subject(len(log.reports), log.fatal)
        for (report, places), asked, analysis in zip(
            work.reports, logs, analyze.analyses(logs, symbolizer) if logs else ()
        ):
            if self._variables and about is not None and report is log.reports[about]:
                analysis = next(analyze.analyses([asked], symbolizer, variables=True))
            finding = analysis.findings[0]
            own = set(symbolizer.problems(finding.resolution.frames))
            self._problems += [problem for problem in analysis.problems if problem not in own]
            resolved = {owners.name(frame): frame for frame in reversed(finding.resolution.frames)}
            for where in places:
                one = found[where.row][where.position]
                known[where] = resolved[owners.name(one.frame)]
                if one.kind == "pointer" and known[where] is finding.resolution.ip:
                    told.stopped.setdefault(where.row, finding)
            end = reference.dump_end(rows, report.line - 1, owners.last_line(report), report.code)
            if end is not None:
                told.dumped.setdefault(end, finding)
        known.update(_loose(work.stacks, log.arch, symbolizer))
        return known

    def _symbolizer(self, release: Optional[str]) -> Symbolizer:
        if release not in self._kernels:
            path = self._crash.dmesg or self._crash.vmcore
            beside = None if path is None or path == "-" else Path(path).parent
            self._kernels[release] = Symbolizer(release, self._places, beside)
        return self._kernels[release]


class _Told(NamedTuple):
    """What there is to tell of a batch, each by the index of its line."""

    marks: Dict[int, List[Mark]]
    stopped: Dict[int, Finding]
    dumped: Dict[int, Finding]


class _Work(NamedTuple):
    """What is to be done for one kernel."""

    reports: List[Tuple[Report, List[Where]]]
    stacks: List[Stack]


def _loose(stacks: Sequence[Stack], arch: Optional[str], symbolizer: Symbolizer) -> Dict[Where, ResolvedFrame]:
    """The frames of ``stacks``, with lines."""
    distinct = {stack.frames: Report("oops", "", 0, arch=arch, trace=stack.frames) for stack in stacks}
    failures = Failures()
    traces = {frames: placed(report, symbolizer, failures).trace for frames, report in distinct.items()}
    wanted: Set[Place] = set()
    for frame in (frame for several in traces.values() for frame in several):
        wanted.update(candidates(frame))
        if frame.address is not None and symbolizer.fits(frame):
            wanted.add(Place(part(frame), lookup(frame)))
    located = symbolizer.locate(wanted)
    lined = {frames: [with_lines(one, located, symbolizer) for one in several] for frames, several in traces.items()}
    return {where: frame for stack in stacks for where, frame in zip(stack.where, lined[stack.frames])}
