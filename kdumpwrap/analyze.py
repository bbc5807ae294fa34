"""The story of a crash, in the order of the manual workflow: log, vmlinux, base + offset, line, instruction, source."""

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import codecheck, crashdir, culprit, rawcode, signature
from kdumpwrap.debuginfo import Places
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.excerpt import excerpt, marked, source
from kdumpwrap.model import (
    Analysis,
    Crash,
    Frame,
    Instruction,
    Kernel,
    Location,
    Log,
    Problem,
    Report,
    subject,
)
from kdumpwrap.parse import oops
from kdumpwrap.symbolize import Symbolizer, lookup

LONGEST = 16  # bytes: more than any instruction has


def analyze(target: Optional[str], places: Places) -> Analysis:
    """All that can be told of the crash ``target`` (see crashdir.find).

    Raises KdumpwrapError when there is nothing to analyse; what is missing on the way is a problem in the result.
    """
    crash = crashdir.find(target, places.root)
    return next(analyses([(crash, read(crash))], places))


def dmesg(target: Optional[str], places: Places) -> Analysis:
    """The reports of the crash ``target`` as its log tells them, no debuginfo needed."""
    crash = crashdir.find(target, places.root)
    log = read(crash)
    reports = tuple(_judged(report) for report in log.reports)
    kernel = Kernel(log.release, log.arch, kaslr_offset=log.kernel_offset)
    return _finished(crash, kernel, reports, log.fatal, ())


def read(crash: Crash) -> Log:
    """The reports in the log of ``crash``."""
    if crash.dmesg is None:
        raise KdumpwrapError(
            f"{crash.path}: no dmesg beside the vmcore", f"makedumpfile --dump-dmesg {crash.vmcore} FILE"
        )
    return oops.parse(crashdir.blocks(crash.dmesg))


def analyses(crashes: Sequence[Tuple[Crash, Log]], places: Places) -> Iterator[Analysis]:
    """The analysis of each crash of one kernel, in the order given; all are asked for together."""
    release, arch = crashes[0][1].release, crashes[0][1].arch
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-") as directory:
        symbolizer = Symbolizer(release, arch, places, Path(directory), _beside(crashes[0][0]))
        with closing(symbolizer):
            symbolizer.load(frame for _, log in crashes for report in log.reports for frame in _frames(report))
            placed = [tuple(_placed(report, symbolizer) for report in log.reports) for _, log in crashes]
            # objdump runs beside addr2line: each takes half a second on a vmlinux
            for (_, log), reports in zip(crashes, placed):
                _start_disassembly(reports, log.fatal, symbolizer)
            locations = symbolizer.locate(
                {frame for reports in placed for report in reports for frame in _frames(report)}
            )
            for (crash, log), reports in zip(crashes, placed):
                yield _analysis(crash, log, reports, locations, symbolizer)


def focus(report: Report) -> Optional[Frame]:
    """The frame whose instruction is shown: the instruction pointer, else (a bad pointer, a panic) the culprit's."""
    if report.ip is not None and report.ip.symbol is not None:
        return report.ip
    blamed = culprit.blame(report)
    return blamed.frame if blamed and blamed.frame in report.trace else None


# ---------------------------------------------------------------- the steps


def _placed(report: Report, symbolizer: Symbolizer) -> Report:
    """``report`` with link-time addresses: base + offset."""

    ip = report.ip and symbolizer.place(report.ip)
    return replace(report, ip=ip, trace=tuple(symbolizer.place(frame) for frame in report.trace))


def _start_disassembly(reports: Sequence[Report], fatal: Optional[int], symbolizer: Symbolizer) -> None:
    index = subject(reports, fatal)
    frame = focus(reports[index]) if index is not None else None
    window = _window(reports[index], frame, symbolizer) if index is not None and frame else None
    if frame is not None and window is not None:
        symbolizer.disassemble(frame, window.low, window.high)


def _analysis(
    crash: Crash,
    log: Log,
    placed: Sequence[Report],
    locations: Dict[Frame, Tuple[Location, ...]],
    symbolizer: Symbolizer,
) -> Analysis:
    resolved = [_resolved(report, locations) for report in placed]
    index, slide = subject(resolved, log.fatal), log.kernel_offset
    if index is not None:
        resolved[index], slide = _shown(resolved[index], log, symbolizer)
    reports = tuple(_judged(report) for report in resolved)
    vmlinux = symbolizer.objects.get(None)
    kernel = Kernel(
        log.release,
        log.arch,
        str(symbolizer.vmlinux) if symbolizer.vmlinux else None,
        vmlinux.build_id if vmlinux else None,
        _slide(reports) if slide is None else slide,
    )
    problems = symbolizer.problems(frame for report in reports for frame in _frames(report))
    return _finished(crash, kernel, reports, log.fatal, problems)


def _resolved(report: Report, locations: Dict[Frame, Tuple[Location, ...]]) -> Report:
    ip = report.ip and replace(report.ip, locations=locations.get(report.ip, ()))
    trace = tuple(replace(frame, locations=locations.get(frame, ())) for frame in report.trace)
    return replace(report, ip=ip, trace=trace)


def _shown(report: Report, log: Log, symbolizer: Symbolizer) -> Tuple[Report, Optional[int]]:
    """``report`` with its instructions, the check of its code bytes, and its source; the KASLR slide they tell of."""
    frame = focus(report)
    window = _window(report, frame, symbolizer) if frame else None
    slide = log.kernel_offset
    rows: Tuple[Instruction, ...] = ()
    if frame is not None and window is not None:
        found = symbolizer.keep(frame.module, symbolizer.disassemble(frame, window.low, window.high).result) or ()
        if found and report.code is not None and frame is report.ip and frame.address is not None:
            checked = codecheck.compare(
                report.code,
                frame.address,
                found,
                arch=log.arch,
                entries=(window.start,),
                slide=slide,
                sites=lambda: symbolizer.alternatives(frame),
            )
            report, slide = replace(report, code=checked.code), checked.slide
        rows = marked([row for row in found if window.start <= row.address < window.stop], lookup(frame))
    if not rows and report.code is not None and report.ip is not None:
        code, ip, arch = report.code, report.ip, log.arch or "x86_64"
        rows = symbolizer.keep(None, lambda: rawcode.decode(code, arch, None, ip, symbolizer.tools.objdump)) or ()
    return replace(report, disassembly=excerpt(rows), source=source(frame, symbolizer)), slide


def _judged(report: Report) -> Report:
    """``report`` with whom to ask and why it happened."""
    return replace(report, culprit=culprit.culprit(report), suspect=culprit.suspect(report))


def _finished(
    crash: Crash, kernel: Kernel, reports: Tuple[Report, ...], fatal: Optional[int], problems: Sequence[Problem]
) -> Analysis:
    index = subject(reports, fatal)
    if index is None:
        what = "standard input" if crash.dmesg == "-" else crash.dmesg
        problems = (*problems, Problem(f"{what}: no report of a crash in this log"))
    sign = signature.signature(reports[index]) if index is not None else None
    return Analysis(crash, kernel, reports, fatal, sign, tuple(problems))


class _Window(NamedTuple):
    """What to disassemble: the function from ``start`` to ``stop``, and round it what the log's code bytes reach."""

    start: int
    stop: int
    low: int
    high: int


def _window(report: Report, frame: Frame, symbolizer: Symbolizer) -> Optional[_Window]:
    function = symbolizer.function(frame)
    if function is None or frame.address is None:
        return None
    start, stop = symbolizer.extent(function)
    low, high = start, stop
    if report.code is not None and frame is report.ip:
        first, last = codecheck.span(report.code, frame.address)
        if first < start:  # objdump must begin where an instruction does: at the start of the function before
            before = symbolizer.enclosing(frame, first)
            low = before.address if before and first >= 0 else min(start, 0)
        high = max(stop, last + LONGEST)
    return _Window(start, stop, low, high)


def _slide(reports: Sequence[Report]) -> Optional[int]:
    """The KASLR offset, from an address that the log printed and the one that the vmlinux has for it."""
    for report in reports:
        for frame in _frames(report):
            if frame.runtime is not None and frame.address is not None and frame.module is None:
                return frame.runtime - frame.address
    return None


def _frames(report: Report) -> Iterator[Frame]:
    if report.ip is not None:
        yield report.ip
    yield from report.trace


def _beside(crash: Crash) -> Optional[Path]:
    path = crash.dmesg or crash.vmcore
    return None if path is None or path == "-" else Path(path).parent
