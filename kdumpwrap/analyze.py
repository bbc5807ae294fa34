"""The story of a crash, in the order of the manual workflow: log, vmlinux, base + offset, line, instruction, source."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import capturelog
from kdumpwrap.crashdir import crashfile, finder
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import packages
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis, Finding, Statement
from kdumpwrap.model.kernel import Kernel, Resolution, ResolvedFrame
from kdumpwrap.model.log import Frame, Log, Report, subject
from kdumpwrap.model.verdict import Signature, Verdict
from kdumpwrap.symbolize.excerpt import source
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import CodeAddress, Located
from kdumpwrap.symbolize.symbolizer import Symbolizer

if TYPE_CHECKING:
    from kdumpwrap.symbolize.evidence import Evidence, Window
    from kdumpwrap.symbolize.scope import Scopes

# The parser and the judgement are imported where they are used: while they load, nm and addr2line are at work.


def analyze(
    target: Optional[str],
    search: Search,
    *,
    variables: bool = False,
    early: Optional[Callable[[Analysis], None]] = None,
) -> Analysis:
    """All that can be told of the crash ``target`` (see finder.find); with ``variables`` also what gdb says of those.

    ``early`` gets the analysis without its variables, which take longest.
    Raises KdumpwrapError when there is nothing to analyse; what is missing on the way is a problem in the result.
    """
    crash = _find(target, search)

    def build_id() -> Optional[str]:
        from kdumpwrap.vmcore import vmcorelog

        asked = search.debuginfod is not None
        return vmcorelog.build_id(crash.vmcore, unpack=asked) if crash.vmcore is not None else None

    with Symbolizer(finder.release(crash), search, _beside(crash), build_id) as symbolizer:
        if symbolizer.release is not None:
            symbolizer.start()  # nm and addr2line work while the log is being read
        log = read(crash, search)
        if log.release in (None, symbolizer.release):
            return next(analyses([(crash, log)], symbolizer, variables=variables, early=early))
    with Symbolizer(log.release, search, _beside(crash), build_id) as symbolizer:
        return next(analyses([(crash, log)], symbolizer, variables=variables, early=early))


def dmesg(target: Optional[str], search: Search) -> Analysis:
    """The reports of the crash ``target`` as its log tells them, no debuginfo needed."""
    from kdumpwrap.explain import certainty

    crash = _find(target, search)
    log = read(crash, search)
    kernel = Kernel(log.release, log.arch, None, log.build_id, log.kernel_offset)
    resolutions = tuple(map(Resolution.of, log.reports))
    sure = tuple(certainty.of_kernel(kernel, log.problems))
    findings = tuple(_finding(one, _verdict(one), sure) for one in resolutions)
    return _finished(crash, log, kernel, findings, _signature(log), log.problems)


def _find(target: Optional[str], search: Search) -> Crash:
    try:
        return finder.find(target, search.root)
    except finder.NothingSaved as error:
        raise capturelog.nothing_saved(error.crash) from None


def read(crash: Crash, search: Search) -> Log:
    """The reports in the log of ``crash``; where it has none beside it, in the log of its vmcore.

    And what the capture kernel says, where there is no whole vmcore.
    """
    if crash.path != crash.dmesg:
        found = capturelog.beside(crash)
        return replace(_read(crash, search), capture=found) if found is not None else _read(crash, search)
    console = capturelog.Console(crash.path)
    log = _read(crash, search, console.watch)
    return replace(log, capture=console.capture())


def _read(crash: Crash, search: Search, watch: Callable[[Iterator[bytes]], Iterator[bytes]] = iter) -> Log:
    from kdumpwrap.log import reader

    if crash.dmesg is None:
        from kdumpwrap.vmcore import vmcorelog

        return vmcorelog.read(crash.vmcore or crash.path, search)
    log = reader.parse(watch(crashfile.blocks(crash.dmesg)))
    cut = crashfile.cut(crash.dmesg)
    if cut:
        log = replace(log, problems=(*log.problems, Problem(cut)))
    if not finder.is_incomplete(crash.dmesg):
        return log
    if not log.reports and crash.vmcore is not None:
        from kdumpwrap.vmcore import vmcorelog

        with suppress(KdumpwrapError):
            return vmcorelog.read(crash.vmcore, search)
    return replace(
        log,
        problems=(
            *log.problems,
            Problem(f"{crash.dmesg}: kdump did not finish it: the log may be cut off"),
        ),
    )


def analyses(
    crashes: Sequence[Tuple[Crash, Log]],
    symbolizer: Symbolizer,
    *,
    variables: bool = False,
    early: Optional[Callable[[Analysis], None]] = None,
) -> Iterator[Analysis]:
    """The analysis of each crash of one kernel, in the order given; what they ask of the tools is asked together.

    What crashes of one bug have in common is asked once for all of them. See ``analyze``.
    """
    from kdumpwrap.culprit.callchain import origins
    from kdumpwrap.culprit.key import key

    keys = [key(log) for _, log in crashes]
    distinct = {one: log for one, (_, log) in zip(keys, crashes)}
    frames = (frame for log in distinct.values() for report in log.reports for frame in _frames(report))
    symbolizer.load(frames, crashes[0][1].arch, {k: v for log in distinct.values() for k, v in origins(log).items()})
    started = [_start(log, symbolizer) for log in distinct.values()]
    from kdumpwrap.culprit import signature  # noqa: F401 (used below; they load while objdump and addr2line work)
    from kdumpwrap.explain import conclusion  # noqa: F401 (used below; they load while objdump and addr2line work)

    cases = [_gather(case, symbolizer) for case in started]
    gathered = dict(zip(distinct, cases))
    scopes = _scopes([(log, gathered[one]) for (_, log), one in zip(crashes, keys)], symbolizer) if variables else None
    located = symbolizer.locate({place for case in cases for place in _addresses(case, symbolizer)})
    answers = {one: _answer(case, located, symbolizer) for one, case in zip(distinct, cases)}
    for number, ((crash, log), one) in enumerate(zip(crashes, keys)):
        analysis = _analysis(crash, log, answers[one])
        if early is not None:
            early(analysis)
        yield analysis if scopes is None else _with_variables(analysis, scopes, number)


# ---------------------------------------------------------------- the steps


class _Case(NamedTuple):
    """A log on its way: first its reports get addresses, then the one it is about gets its instructions."""

    log: Log
    resolutions: Tuple[Resolution, ...]
    failures: Failures  # what could not be done for this log, and may well be done for others
    window: "Optional[Window]" = None
    evidence: "Optional[Evidence]" = None


class _Answer(NamedTuple):
    """What is true of every crash with the same key."""

    kernel: Kernel
    resolutions: Tuple[Resolution, ...]
    verdicts: Tuple[Verdict, ...]
    signature: Optional[Signature]
    problems: Tuple[Problem, ...]


def _start(log: Log, symbolizer: Symbolizer) -> _Case:
    """Base + offset for every frame; objdump sets out for the function that is shown."""
    from kdumpwrap.symbolize import evidence
    from kdumpwrap.symbolize.placed import placed

    failures = Failures()
    resolutions = tuple(placed(report, symbolizer, failures) for report in log.reports)
    index = subject(len(resolutions), log.fatal)
    window = None if index is None else evidence.start(resolutions[index], symbolizer)
    return _Case(log, resolutions, failures, window)


def _gather(case: _Case, symbolizer: Symbolizer) -> _Case:
    """The instructions are there: the code bytes are compared with them."""
    from kdumpwrap.symbolize import evidence

    index = subject(len(case.resolutions), case.log.fatal)
    if index is None:
        return case
    found = evidence.gather(case.resolutions[index], case.window, symbolizer, case.log.arch, case.failures)
    return case._replace(evidence=found)


def _scopes(asked: Sequence[Tuple[Log, _Case]], symbolizer: Symbolizer) -> "Scopes":
    """gdb sets out for the variables of each crash: its own registers, the instructions of its case."""
    from kdumpwrap.symbolize import scope

    questions: List[Optional[scope.Asked]] = []
    for log, case in asked:
        index = subject(len(log.reports), log.fatal)
        if index is None or case.evidence is None:
            questions.append(None)
            continue
        evidence = case.evidence
        resolution = replace(
            case.resolutions[index],
            report=log.reports[index],
            disassembly=evidence.rows,
            function=evidence.function,
        )
        questions.append(scope.question(resolution, symbolizer))
    return scope.Scopes(questions, symbolizer)


def _with_variables(analysis: Analysis, scopes: "Scopes", number: int) -> Analysis:
    """``analysis`` with what gdb said of crash ``number``."""
    index = analysis.subject
    if index is None:
        return analysis
    found, problems = scopes.of(number, analysis.findings[index].resolution)
    findings = list(analysis.findings)
    findings[index] = replace(findings[index], variables=found)
    return replace(analysis, findings=tuple(findings), problems=(*analysis.problems, *problems))


def _answer(case: _Case, located: Located, symbolizer: Symbolizer) -> _Answer:
    """Lines for frames and instructions, the source, whom to ask."""
    log = case.log
    index = subject(len(case.resolutions), log.fatal)
    resolutions = [_located(one, located, symbolizer) for one in case.resolutions]
    slide = log.kernel_offset
    if index is not None and case.evidence is not None:
        evidence = case.evidence
        slide = evidence.slide
        chain = located.get(CodeAddress.of(evidence.frame), ()) if evidence.frame is not None else ()
        resolutions[index] = replace(
            resolutions[index],
            check=evidence.check,
            disassembly=evidence.lined(located),
            function=evidence.function,
            source=source(chain, symbolizer.release, symbolizer.search),
            shown=_shown(resolutions[index], evidence.frame) if evidence.rows else None,
        )
    vmlinux = symbolizer.objects.get(None)
    kernel = Kernel(
        log.release,
        log.arch,
        str(symbolizer.vmlinux) if symbolizer.vmlinux else None,
        vmlinux.build_id if vmlinux else None,
        _slide(resolutions) if slide is None else slide,
    )
    # without a report nothing is missing for its sake
    frames = tuple(frame for one in resolutions for frame in one.frames)
    found: Sequence[Problem] = ()
    if resolutions:
        found = (*symbolizer.problems(frames), *case.failures.of(f.module for f in frames if f.module))
    verdicts = tuple(map(_verdict, resolutions))
    return _Answer(kernel, tuple(resolutions), verdicts, _signature(log), tuple(dict.fromkeys(found)))


def _analysis(crash: Crash, log: Log, answer: _Answer) -> Analysis:
    """The answer as it stands for one crash: with its own registers and times, and what these explain."""
    from kdumpwrap.explain import certainty

    kernel, problems = answer.kernel, (*log.problems, *answer.problems)
    if log.build_id is not None:
        if kernel.build_id not in (None, log.build_id):
            problems += (_other_build(kernel, log.build_id),)
        kernel = replace(kernel, build_id=log.build_id)
    sure = tuple(certainty.of_kernel(kernel, problems))
    findings = tuple(
        _finding(replace(resolution, report=own), verdict, sure)
        for own, resolution, verdict in zip(log.reports, answer.resolutions, answer.verdicts)
    )
    return _finished(crash, log, kernel, findings, answer.signature, problems)


def _finished(
    crash: Crash,
    log: Log,
    kernel: Kernel,
    findings: Tuple[Finding, ...],
    signature: Optional[Signature],
    problems: Tuple[Problem, ...],
) -> Analysis:
    if not findings:
        what = "standard input" if crash.dmesg == "-" else crash.dmesg or crash.vmcore
        problems += (Problem(f"{what}: no report of a crash in this log"),)
    index = subject(len(findings), log.fatal)
    if log.capture is not None and index is not None:
        from kdumpwrap.explain import conclusion

        told = conclusion.with_capture(findings[index], log.capture, capturelog.written(crash))
        findings = (*findings[:index], told, *findings[index + 1 :])
    return Analysis(crash, kernel, findings, log.fatal, signature, problems, log.around, log.capture)


# ---------------------------------------------------------------- one report


def _located(resolution: Resolution, located: Located, symbolizer: Symbolizer) -> Resolution:
    """``resolution`` with file and line for each frame that the object has in the size of the log."""
    from kdumpwrap.symbolize.placed import with_lines

    ip = resolution.ip and with_lines(resolution.ip, located, symbolizer)
    return replace(resolution, ip=ip, trace=tuple(with_lines(one, located, symbolizer) for one in resolution.trace))


def _shown(resolution: Resolution, marked: Optional[ResolvedFrame]) -> Optional[ResolvedFrame]:
    """Of the frames of ``resolution`` the one whose instruction is ``marked``; without a vmlinux its own ip."""
    if marked is None:
        return resolution.ip
    return next(
        (one for one in resolution.frames if (one.symbol, one.address) == (marked.symbol, marked.address)), None
    )


def _verdict(resolution: Resolution) -> Verdict:
    """Whom to ask."""
    from kdumpwrap.culprit import blame

    return blame.verdict(resolution)


def _finding(resolution: Resolution, verdict: Verdict, of_kernel: Sequence[Statement]) -> Finding:
    """What follows, why it happened, and how sure all that is."""
    from kdumpwrap.explain import conclusion

    return conclusion.finding(resolution, verdict, of_kernel)


def _signature(log: Log) -> Optional[Signature]:
    from kdumpwrap.culprit import signature

    index = subject(len(log.reports), log.fatal)
    return signature.signature(log.reports[index]) if index is not None else None


def _addresses(case: _Case, symbolizer: Symbolizer) -> Iterator[CodeAddress]:
    """Every address of a case that wants a line."""
    from kdumpwrap.symbolize.placed import candidates

    for frame in (frame for one in case.resolutions for frame in one.frames):
        yield from candidates(frame)
        if frame.address is not None and symbolizer.fits(frame):
            yield CodeAddress.of(frame)
    if case.evidence is not None:
        yield from case.evidence.addresses()


def _frames(report: Report) -> Iterator[Frame]:
    if report.ip is not None:
        yield report.ip
    yield from report.trace


def _slide(resolutions: Sequence[Resolution]) -> Optional[int]:
    """The KASLR offset, from an address that the log printed and the one that the vmlinux has for it."""
    for frame in (frame for one in resolutions for frame in one.frames):
        if frame.runtime is not None and frame.address is not None and frame.module is None:
            return frame.runtime - frame.address
    return None


def _other_build(found: Kernel, wanted: str) -> Problem:
    message = f"{found.vmlinux}: build id {found.build_id}, the crash is of {wanted}: not the build that crashed"
    return Problem(message, packages.debuginfo(found.release or ""), wrong_vmlinux=True)


def _beside(crash: Crash) -> Optional[Path]:
    path = crash.dmesg or crash.vmcore
    return None if path is None or path == "-" else Path(path).parent
