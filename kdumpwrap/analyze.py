"""The story of a crash, in the order of the manual workflow: log, vmlinux, base + offset, line, instruction, source."""

from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Set, Tuple

from kdumpwrap import crashdir
from kdumpwrap.debuginfo import Places
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model import Analysis, Crash, Frame, Kernel, Location, Log, Problem, Report, subject
from kdumpwrap.objects import Place, lookup, part
from kdumpwrap.symbolize import Symbolizer


def analyze(target: Optional[str], places: Places) -> Analysis:
    """All that can be told of the crash ``target`` (see crashdir.find).

    Raises KdumpwrapError when there is nothing to analyse; what is missing on the way is a problem in the result.
    """
    crash = crashdir.find(target, places.root)
    with Symbolizer(crashdir.release(crash), places, _beside(crash)) as symbolizer:
        if symbolizer.release is not None:
            symbolizer.start()  # nm and addr2line work while the log is being read
        log = read(crash)
        if log.release in (None, symbolizer.release):
            return analyses([(crash, log)], symbolizer)[0]
    with Symbolizer(log.release, places, _beside(crash)) as symbolizer:
        return analyses([(crash, log)], symbolizer)[0]


def dmesg(target: Optional[str], places: Places) -> Analysis:
    """The reports of the crash ``target`` as its log tells them, no debuginfo needed."""
    crash = crashdir.find(target, places.root)
    log = read(crash)
    kernel = Kernel(log.release, log.arch, kaslr_offset=log.kernel_offset)
    return _finished(crash, kernel, [_judged(report) for report in log.reports], log.fatal, ())


def read(crash: Crash) -> Log:
    """The reports in the log of ``crash``."""
    from kdumpwrap.parse import oops

    if crash.dmesg is None:
        raise KdumpwrapError(
            f"{crash.path}: no dmesg beside the vmcore", f"makedumpfile --dump-dmesg {crash.vmcore} FILE"
        )
    return oops.parse(crashdir.blocks(crash.dmesg))


def analyses(crashes: Sequence[Tuple[Crash, Log]], symbolizer: Symbolizer) -> Tuple[Analysis, ...]:
    """The analysis of each crash of one kernel, in the order given; what they ask of the tools is asked together."""
    from kdumpwrap import evidence

    arch = crashes[0][1].arch
    symbolizer.load((frame for _, log in crashes for report in log.reports for frame in _frames(report)), arch)
    placed = [[_placed(report, symbolizer) for report in log.reports] for _, log in crashes]
    subjects = [subject(reports, log.fatal) for (_, log), reports in zip(crashes, placed)]
    windows = [
        evidence.start(reports[index], symbolizer) if index is not None else None
        for reports, index in zip(placed, subjects)
    ]
    wanted: Set[Place] = {
        place for reports in placed for report in reports for place in _places(report, symbolizer)
    }
    for reports, index, window in zip(placed, subjects, windows):
        ...
    return ()
