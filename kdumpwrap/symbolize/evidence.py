"""The instructions of one report: the function to disassemble, the marked instruction, the code check."""

from typing import Mapping, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.codecheck import check
from kdumpwrap.codecheck.check import Checked
from kdumpwrap.culprit import blame, callchain
from kdumpwrap.log.kinds import SAMPLED
from kdumpwrap.model.kernel import UNCHECKED, CodeCheck, Instruction, Location, Resolution, ResolvedFrame
from kdumpwrap.parse.patches import Patches
from kdumpwrap.symbolize.disassembly import extent
from kdumpwrap.symbolize.excerpt import excerpt, lined, marked
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import CodeAddress, Section, lookup
from kdumpwrap.symbolize.pool import Job
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.tools import binutils

_LONGEST = 16  # bytes: more than any instruction has


class Window(NamedTuple):
    """The instructions to disassemble for a report: a function, and round it the reach of the code bytes."""

    frame: ResolvedFrame
    start: int  # of the function
    stop: int
    job: Job[Tuple[Instruction, ...]]


class Evidence(NamedTuple):
    """The facts from the instructions of a report, still without lines: ``addresses`` gives those to look up."""

    check: CodeCheck  # of the report's code bytes
    frame: Optional[ResolvedFrame]  # whose instruction is marked
    rows: Tuple[Instruction, ...]  # the marked one and those round it
    function: Tuple[Instruction, ...]  # all of the function's
    slide: Optional[int]  # KASLR offset

    def addresses(self) -> Tuple[CodeAddress, ...]:
        """The address of each instruction."""
        if self.frame is None or self.frame.address is None:
            return ()
        section = Section.of(self.frame)
        return tuple(CodeAddress(section, row.address) for row in self.rows)

    def lined(self, located: Mapping[CodeAddress, Sequence[Location]]) -> Tuple[Instruction, ...]:
        """The instructions with their lines."""
        return lined(self.rows, Section.of(self.frame), located) if self.frame else self.rows


def focus(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The frame whose instruction is shown: where the CPU was, else (a bad pointer, a panic) the culprit's."""
    if resolution.ip is not None and resolution.ip.symbol is not None:
        return resolution.ip
    stood = callchain.stood(resolution) if resolution.report.kind in SAMPLED else None
    if stood is not None and stood.address is not None:
        return stood
    blamed = blame.culprit(resolution)
    names = (frame for frame in callchain.certain(resolution) if blamed and callchain.true_name(frame) == blamed.symbol)
    return next(names, None)


def start(resolution: Resolution, symbolizer: Symbolizer) -> Optional[Window]:
    """Start objdump for a placed report; None when its function is not known."""
    frame = focus(resolution)
    function = symbolizer.function(frame) if frame else None
    if frame is None or function is None or frame.address is None:
        return None
    first, last = extent(function)
    low, high = first, last
    if resolution.report.code is not None and frame is resolution.ip:
        reach, end = check.span(resolution.report.code, frame.address)
        if reach < first:  # objdump must begin where an instruction does: at the start of the function before
            before = symbolizer.objects[frame.module].enclosing(frame.section, max(reach, 0))
            low = before.address if before else first
        high = max(last, end + _LONGEST)
    return Window(frame, first, last, symbolizer.disassembly.between(Section.of(frame), low, high))


def gather(
    resolution: Resolution, window: Optional[Window], symbolizer: Symbolizer, arch: Optional[str], failures: Failures
) -> Evidence:
    """The facts from the instructions of a placed report; without a vmlinux those of its ``Code:`` line.

    Failures of objdump are added to ``failures``. There are no instructions where a tool failed: those of the log have
    other addresses and other text than those of the file.
    """
    code, ip = resolution.report.code, resolution.ip
    checked = Checked(UNCHECKED, resolution.report.kernel_offset)
    inside: Tuple[Instruction, ...] = ()
    if window is not None:
        frame, rewritten = window.frame, symbolizer.disassembly.patches
        found = failures.keep(frame.module, window.job.result)
        if found is None:
            return Evidence(checked.check, None, (), (), checked.slide)
        if found and code is not None and frame is ip and frame.address is not None:
            checked = check.compare(
                code,
                frame.address,
                found,
                arch=arch,
                entries=(window.start,),
                slide=checked.slide,
                patches=lambda: failures.keep(frame.module, lambda: rewritten(Section.of(frame))) or Patches(),
            )
        inside = marked([row for row in found if window.start <= row.address < window.stop], lookup(frame))
        rows = excerpt(inside)
        if rows:
            return Evidence(checked.check, frame, rows, inside, checked.slide)
    rows = ()
    if code is not None and ip is not None and not symbolizer.unread(ip.module):
        from kdumpwrap.symbolize import rawcode  # rarely used

        machine = arch or "x86_64"
        objdump = binutils.toolset(machine).objdump
        base = ip.address - ip.offset if ip.address is not None and ip.offset is not None else None
        rows = excerpt(failures.keep(None, lambda: rawcode.decode(code, machine, base, ip, objdump)) or ())
    return Evidence(checked.check, None, rows, inside, checked.slide)
