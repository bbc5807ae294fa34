"""Many reports of one kernel: each distinct frame is placed once, each distinct code dump is read once."""

from typing import TYPE_CHECKING, Dict, Hashable, Iterator, List, NamedTuple, Optional, Tuple

from kdumpwrap.model.kernel import Instruction, Resolution, ResolvedFrame
from kdumpwrap.model.log import Frame, Report
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import CodeAddress, Located
from kdumpwrap.symbolize.placed import candidates, placed, with_lines
from kdumpwrap.symbolize.symbolizer import Symbolizer

if TYPE_CHECKING:
    from kdumpwrap.symbolize.evidence import Evidence, Window

# evidence is imported where it is used: while it loads, eu-addr2line is at work.


class Traces:
    """The frames of reports, each with its instruction pointer first, where it has one."""

    def __init__(self, symbolizer: Symbolizer, failures: Failures) -> None:
        """Failures of objdump are added to ``failures``."""
        self._symbolizer = symbolizer
        self._failures = failures
        self._clear: Dict[Frame, ResolvedFrame] = {}  # whose name stands for one function, or for none
        self._settled: Dict[Hashable, Tuple[ResolvedFrame, ...]] = {}  # of traces in which a name stands for several

    def of(self, report: Report) -> Tuple[ResolvedFrame, ...]:
        """The frames of ``report`` with their addresses; after ``locate`` with their lines too."""
        frames = report.frames
        clear = [self._clear.get(frame) or self._placed(frame) for frame in frames]
        known = tuple(frame for frame in clear if frame is not None)
        if len(known) == len(frames):
            return known
        key = (frames, report.code if report.ip is not None else None, report.arch)
        if key not in self._settled:
            self._settled[key] = placed(report, self._symbolizer, self._failures).frames
        return self._settled[key]

    def _placed(self, frame: Frame) -> Optional[ResolvedFrame]:
        symbols = self._symbolizer.symbols(frame) if frame.symbol else ()
        if len(symbols) > 1:
            return None
        self._clear[frame] = self._symbolizer.place(frame, symbols)
        return self._clear[frame]

    def addresses(self) -> Iterator[CodeAddress]:
        """Every address that wants a line."""
        for frame in (*self._clear.values(), *(one for several in self._settled.values() for one in several)):
            yield from candidates(frame)
            if frame.address is not None and self._symbolizer.fits(frame):
                yield CodeAddress.of(frame)

    def locate(self, located: Located) -> None:
        """Give the frames their lines."""

        def lined(frame: ResolvedFrame) -> ResolvedFrame:
            return with_lines(frame, located, self._symbolizer)

        self._clear = {frame: lined(one) for frame, one in self._clear.items()}
        self._settled = {key: tuple(map(lined, several)) for key, several in self._settled.items()}


class _Dump(NamedTuple):
    resolution: Resolution
    window: "Optional[Window]"


class Dumps:
    """The instructions at the instruction pointers of reports whose code bytes the log shows."""

    def __init__(self, symbolizer: Symbolizer, failures: Failures) -> None:
        """Failures of objdump are added to ``failures``."""
        self._symbolizer = symbolizer
        self._failures = failures
        self._asked: Dict[Hashable, _Dump] = {}
        self._found: "Dict[Hashable, Evidence]" = {}

    def ask(self, report: Report, frames: Tuple[ResolvedFrame, ...]) -> Hashable:
        """Start objdump for the code of ``report`` with its placed ``frames``; the key of the answer."""
        from kdumpwrap.symbolize import evidence

        ip = frames[0] if report.ip is not None else None
        key = (ip, report.code, report.arch)
        if key not in self._asked:
            resolution = Resolution(report, ip, frames[1:] if ip is not None else frames)
            known = ip is not None and ip.symbol is not None
            self._asked[key] = _Dump(resolution, evidence.start(resolution, self._symbolizer) if known else None)
        return key

    def addresses(self) -> List[CodeAddress]:
        """Every address that wants a line."""
        for key, dump in self._asked.items():
            self._found[key] = self._gather(dump)
        return [place for one in self._found.values() for place in one.addresses()]

    def _gather(self, dump: _Dump) -> "Evidence":
        """The file's instructions; those of the log's code bytes where the file is missing or of another build."""
        from kdumpwrap.symbolize import evidence

        report = dump.resolution.report
        found = evidence.gather(dump.resolution, dump.window, self._symbolizer, report.arch, self._failures)
        if found.check.result == "mismatch":
            return evidence.gather(dump.resolution, None, self._symbolizer, report.arch, self._failures)
        return found

    def rows(self, key: Hashable, located: Located) -> Tuple[Instruction, ...]:
        """The instructions with their lines, one of them marked; () where none is."""
        return () if self._symbolizer.misplaced() else self._found[key].lined(located)
