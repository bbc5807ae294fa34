"""The instructions of one report: which function to disassemble, which instruction is marked, do the code bytes fit."""

from concurrent.futures import Future
from dataclasses import replace
from typing import Mapping, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.codecheck import check
from kdumpwrap.culprit import blame, callchain
from kdumpwrap.log import symbolname
from kdumpwrap.model.kernel import Instruction, Location
from kdumpwrap.model.log import Frame, Report
from kdumpwrap.parse.patches import Patches
from kdumpwrap.symbolize import rawcode
from kdumpwrap.symbolize.excerpt import excerpt, lined, marked
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import Place, lookup, part
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.tools import binutils

_LONGEST = 16  # bytes: more than any instruction has


class Window(NamedTuple):
    """What is being disassembled for a report: a function, and round it what the log's code bytes reach."""

    frame: Frame
    start: int  # of the function
    stop: int
    job: "Future[Tuple[Instruction, ...]]"


class Evidence(NamedTuple):
    """What the instructions of a report tell. Lines are still missing: ``places`` says what to ask for."""

    report: Report  # its code bytes checked
    frame: Optional[Frame]  # whose instruction is marked
    rows: Tuple[Instruction, ...]
    slide: Optional[int]  # KASLR offset

    def places(self) -> Tuple[Place, ...]:
        """The address of each instruction."""
        if self.frame is None or self.frame.address is None:
            return ()
        where = part(self.frame)
        return tuple(Place(where, row.address) for row in self.rows)

    def lined(self, located: Mapping[Place, Sequence[Location]]) -> Tuple[Instruction, ...]:
        """The instructions with their lines."""
        return lined(self.rows, part(self.frame), located) if self.frame else self.rows


def focus(report: Report) -> Optional[Frame]:
    """The frame whose instruction is shown: the instruction pointer, else (a bad pointer, a panic) the culprit's."""
    if report.ip is not None and report.ip.symbol is not None:
        return report.ip
    blamed = blame.culprit(report)
    names = (frame for frame in callchain.way(report) if blamed and callchain.true_name(frame) == blamed.symbol)
    return next(names, None)


def start(report: Report, symbolizer: Symbolizer) -> Optional[Window]:
    """Start objdump for a placed ``report``; None when its function is not known."""
    frame = focus(_named(report, symbolizer))
    function = symbolizer.function(frame) if frame else None
    if frame is None or function is None or frame.address is None:
        return None
    first, last = symbolizer.extent(function)
    low, high = first, last
    if report.code is not None and frame is report.ip:
        reach, end = check.span(report.code, frame.address)
        if reach < first:  # objdump must begin where an instruction does: at the start of the function before
            before = symbolizer.objects[frame.module].enclosing(frame.section, max(reach, 0))
            low = before.address if before else first
        high = max(last, end + _LONGEST)
    return Window(frame, first, last, symbolizer.disassemble(part(frame), low, high))


def _named(report: Report, symbolizer: Symbolizer) -> Report:
    """The report in which each return address ``f+0x0`` has the name of the function before, as addr2line will say."""

    def named(frame: Frame) -> Frame:
        function = symbolizer.function(frame) if frame.offset == 0 and not frame.exact else None
        known = (Location(symbolname.plain(function.name), None, None),) if function else frame.locations
        return replace(frame, locations=known)

    return replace(report, trace=tuple(map(named, report.trace)))


def gather(
    report: Report, window: Optional[Window], symbolizer: Symbolizer, arch: Optional[str], failures: Failures
) -> Evidence:
    """What the instructions tell of a placed ``report``; without a vmlinux those of its ``Code:`` line.

    What objdump could not do is added to ``failures``.
    """
    slide = report.kernel_offset
    rows: Tuple[Instruction, ...] = ()
    if window is not None:
        frame = window.frame
        found = failures.keep(frame.module, window.job.result) or ()
        if found and report.code is not None and frame is report.ip and frame.address is not None:
            checked = check.compare(
                report.code,
                frame.address,
                found,
                arch=arch,
                entries=(window.start,),
                slide=slide,
                patches=lambda: failures.keep(frame.module, lambda: symbolizer.patched(part(frame))) or Patches(),
            )
            report, slide = replace(report, code=checked.code), checked.slide
        inside = marked([row for row in found if window.start <= row.address < window.stop], lookup(frame))
        report = replace(report, function=inside)
        rows = excerpt(inside)
    if rows and window is not None:
        return Evidence(report, window.frame, rows, slide)
    code, ip = report.code, report.ip
    if code is not None and ip is not None:
        machine = arch or "x86_64"
        objdump = binutils.toolset(machine).objdump
        rows = excerpt(failures.keep(None, lambda: rawcode.decode(code, machine, None, ip, objdump)) or ())
    return Evidence(report, None, rows, slide)
