"""Base + offset for the frames of a report; names that stand for several functions are settled or stay open."""

from dataclasses import replace
from typing import Iterator, Optional, Sequence

from kdumpwrap.model.kernel import Instruction, Resolution, ResolvedFrame, Symbol
from kdumpwrap.model.log import Frame, Report
from kdumpwrap.symbolize import namesakes
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import CodeAddress, Located, Section
from kdumpwrap.symbolize.symbolizer import Symbolizer


def placed(report: Report, symbolizer: Symbolizer, failures: Failures) -> Resolution:
    """The frames of ``report`` with link-time addresses, or with the candidates of each frame that stays ambiguous.

    Failures of objdump are added to ``failures``.
    """
    code = report.code if report.ip is not None else None

    def read(ranges: Sequence[namesakes.Range]) -> Sequence[Sequence[Instruction]]:
        jobs = [
            (one.module, symbolizer.disassembly.between(Section(one.module, one.section), one.start, one.stop))
            for one in ranges
        ]
        return [failures.keep(module, job.result) or () for module, job in jobs]

    def enclosing(frame: Frame, address: int) -> Optional[Symbol]:
        found = symbolizer.objects.get(frame.module)
        return found.enclosing(None, address) if found else None

    frames = report.frames
    settled = namesakes.settle(frames, symbolizer.symbols, read, code=code, arch=report.arch, enclosing=enclosing)
    done = [symbolizer.place(frame, symbols) for frame, symbols in zip(frames, settled)]
    ip = done.pop(0) if report.ip is not None else None
    return Resolution(report, ip, tuple(done))


def candidates(frame: ResolvedFrame) -> Iterator[CodeAddress]:
    """The addresses of an ambiguous frame's lines; none for one of a module, whose sections all begin at 0."""
    if frame.module is None:
        back = 0 if frame.exact else 1
        yield from (CodeAddress(Section(None, None), max(address - back, 0)) for address in frame.candidates)


def with_lines(frame: ResolvedFrame, located: Located, symbolizer: Symbolizer) -> ResolvedFrame:
    """``frame`` with file and line, where the object has it in the size of the log; or with those of its candidates."""
    if frame.candidates:
        return replace(frame, candidate_locations=tuple(located.get(place, ()) for place in candidates(frame)))
    if frame.address is None or not symbolizer.fits(frame):
        return frame
    return replace(frame, locations=located.get(CodeAddress.of(frame), ()))
