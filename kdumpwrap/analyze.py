"""The analysis of a crash, in the order of the manual workflow: log, vmlinux, base + offset, line, instructions."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Dict, Hashable, Iterator, List, Optional, Sequence, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.crashdir import contents, crashfile
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError, ReadFailed
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.symbolize import opening
from kdumpwrap.vmcore import crashed

if TYPE_CHECKING:
    from kdumpwrap.crashdir.packed import Packed
    from kdumpwrap.model.finding import Analysis
    from kdumpwrap.model.log import Frame, Log
    from kdumpwrap.steps import Answer, Case
    from kdumpwrap.symbolize.symbolizer import Symbolizer

# What follows the start of nm is imported where it is used: while it loads, nm and addr2line are at work.

_KNOWN = 1000  # bugs of one kernel whose answers are kept: 20 KB each


def analyze(
    target: Optional[str],
    search: Search,
    *,
    variables: bool = False,
    early: "Optional[Callable[[Analysis], None]]" = None,
    meanwhile: Optional[Callable[[], object]] = None,
) -> "Analysis":
    """The Analysis of the crash ``target`` (see finder.find); with ``variables`` also the variables, by gdb.

    ``early`` gets the analysis without its variables, which take longest; ``meanwhile`` is called while tools run.
    Raises KdumpwrapError when there is nothing to analyse; whatever else is missing is a problem in the result.
    """
    crash, search = crashed.find(target, search)
    release = release_of(crash)
    known = release is not None or opening.foreseen()  # else the log may tell the release, and nm would run twice
    begun = opening.begin(release, search, crash.beside) if known else None
    from kdumpwrap.symbolize.symbolizer import Symbolizer

    with Symbolizer(release, search, crash.beside, begun) as symbolizer:
        log = read(crash, search)
        if log.release in (None, release):
            return next(analyses([(crash, log)], symbolizer, variables=variables, early=early, meanwhile=meanwhile))
    with Symbolizer(log.release, search, crash.beside) as symbolizer:
        return next(analyses([(crash, log)], symbolizer, variables=variables, early=early))


def dmesg(target: Optional[str], search: Search) -> "Analysis":
    """The Analysis of the crash ``target`` from its log alone, without debuginfo. Raises KdumpwrapError without one."""
    from kdumpwrap import steps
    from kdumpwrap.explain import certainty
    from kdumpwrap.model.kernel import Kernel, Resolution

    crash, search = crashed.find(target, search)
    log = read(crash, search)
    kernel = Kernel(log.release, log.arch, None, log.build_id, log.kernel_offset)
    resolutions = tuple(map(Resolution.of, log.reports))
    sure = tuple(certainty.of_kernel(kernel, log.problems))
    findings = tuple(steps.finding(one, steps.verdict(one), sure) for one in resolutions)
    return steps.finished(crash, log, kernel, findings, steps.signature_of(log), log.problems)


def read(crash: Crash, search: Search) -> "Log":
    """The reports in the log of ``crash``, or of its vmcore when there is no log beside it.

    Where there is no whole vmcore, ``capture`` of the result has the outcome of the capture kernel's log.
    """
    from kdumpwrap import capturelog

    if crash.path != crash.dmesg:
        log = _read(crash, search)
        try:
            return log._replace(capture=capturelog.beside(crash))
        except ReadFailed as error:
            return log._replace(problems=(*log.problems, Problem(error.message, error.hint, error.tool_failed)))
    console = capturelog.Console(crash.path)
    log = _read(crash, search, console.watch)
    return log._replace(capture=console.capture())


def _with_packed(log: "Log", pack: "Packed") -> "Log":
    """``log`` with the other facts of its ``pack``: release, build ids, KASLR offset."""

    def known(frame: "Frame") -> "Frame":
        build_id = pack.modules.get(frame.module or "") if frame.module_build_id is None else None
        return frame if build_id is None else replace(frame, module_build_id=build_id)

    reports = tuple(
        one._replace(ip=one.ip and known(one.ip), trace=tuple(map(known, one.trace))) for one in log.reports
    )
    offset = pack.kaslr_offset if log.kernel_offset is None else log.kernel_offset
    return log._replace(
        reports=reports,
        release=log.release or pack.release,
        build_id=log.build_id or pack.build_id,
        kernel_offset=offset,
    )


def _read(crash: Crash, search: Search, watch: Callable[[Iterator[bytes]], Iterator[bytes]] = iter) -> "Log":
    from kdumpwrap.log import reader

    if crash.dmesg is None:
        from kdumpwrap.vmcore import vmcorelog

        return vmcorelog.read(crash.vmcore or crash.path, search)
    packs: "List[Packed]" = []
    log = reader.parse(watch(crashfile.blocks(crash.dmesg, unpacked=packs.append)))
    for pack in packs:
        log = _with_packed(log, pack)
    cut = crashfile.cut(crash.dmesg)
    if cut:
        log = log._replace(problems=(*log.problems, Problem(cut)))
    if not contents.is_incomplete(crash.dmesg):
        return log
    if not log.reports and crash.vmcore is not None:
        from kdumpwrap.vmcore import vmcorelog

        with suppress(KdumpwrapError):
            return vmcorelog.read(crash.vmcore, search)
    return log._replace(
        problems=(
            *log.problems,
            Problem(f"{crash.dmesg}: kdump did not finish it: the log may be cut off"),
        ),
    )


def analyses(
    crashes: "Sequence[Tuple[Crash, Log]]",
    symbolizer: "Symbolizer",
    *,
    variables: bool = False,
    early: "Optional[Callable[[Analysis], None]]" = None,
    meanwhile: Optional[Callable[[], object]] = None,
    known: "Optional[Dict[Hashable, Tuple[Case, Answer]]]" = None,
) -> "Iterator[Analysis]":
    """The analysis of each crash of one kernel, in the order given; each tool is asked once for all of them.

    The common part of crashes of one bug is made once. It is taken from ``known`` where that has it, from other crashes
    of the kernel; else it is added to ``known``, unless a tool failed. See ``analyze``.
    """
    from kdumpwrap.culprit.callchain import origins
    from kdumpwrap.culprit.key import key

    known = {} if known is None else known
    crashes = [(crash, _of_build(log, symbolizer)) for crash, log in crashes]
    keys = [key(log) for _, log in crashes]
    distinct = {one: log for one, (_, log) in zip(keys, crashes) if one not in known}
    frames = (frame for log in distinct.values() for frame in log.frames)
    strangers = {name: flagged for log in distinct.values() for name, flagged in origins(log).items()}
    symbolizer.load(frames, crashes[0][1].arch, strangers, meanwhile=_load_steps, lines=True)
    from kdumpwrap import steps

    cases = [steps.place(log, symbolizer) for log in distinct.values()]
    addresses = {address for case in cases for address in steps.addresses_of(case, symbolizer)}
    symbolizer.begin(addresses)  # of all tools eu-addr2line takes longest
    cases = [steps.start(case, symbolizer) for case in cases]
    from kdumpwrap.culprit import signature  # noqa: F401 (used by the steps; they load while objdump and addr2line work)
    from kdumpwrap.explain import conclusion  # noqa: F401

    if meanwhile is not None:
        meanwhile()
    cases = [steps.gather(case, symbolizer) for case in cases]
    gathered = {**{one: case for one, (case, _) in known.items()}, **dict(zip(distinct, cases))}
    asked = [(log, gathered[one]) for (_, log), one in zip(crashes, keys)]
    scopes = steps.ask_gdb(asked, symbolizer) if variables else None
    instructions = {one for case in cases if case.evidence is not None for one in case.evidence.addresses()}
    located = symbolizer.locate(addresses, instructions)
    answers = {one: answer for one, (_, answer) in known.items()}
    answers.update((one, steps.answer(case, located, symbolizer)) for one, case in zip(distinct, cases))
    if len(answers) > _KNOWN:
        known.clear()
    whole = (one for one in distinct if not any(problem.tool_failed for problem in answers[one].problems))
    known.update((one, (gathered[one], answers[one])) for one in whole)
    for number, ((crash, log), one) in enumerate(zip(crashes, keys)):
        analysis = steps.for_crash(crash, log, answers[one])
        if early is not None:
            early(analysis)
        yield analysis if scopes is None else steps.with_variables(analysis, scopes, number)


def _of_build(log: "Log", symbolizer: "Symbolizer") -> "Log":
    """``log`` with the build id of its kernel, where files were chosen by it."""
    if log.build_id is not None:
        return log
    return log._replace(build_id=debuginfo.build_id(symbolizer.release, symbolizer.search))


def _load_steps() -> None:
    from kdumpwrap import steps  # noqa: F401
    from kdumpwrap.parse import eu_addr2line  # noqa: F401
    from kdumpwrap.symbolize import placed  # noqa: F401
