"""The steps of an analysis: addresses, instructions, lines, culprit and suspect, and the findings of one crash."""

from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap import capturelog, shell
from kdumpwrap.host import packages
from kdumpwrap.model.capture import Capture
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis, Finding, Statement
from kdumpwrap.model.kernel import Kernel, Resolution, ResolvedFrame
from kdumpwrap.model.log import Log
from kdumpwrap.model.verdict import Signature, Verdict
from kdumpwrap.shell import hint
from kdumpwrap.symbolize.excerpt import source
from kdumpwrap.symbolize.failures import Failures
from kdumpwrap.symbolize.objects import CodeAddress, Located
from kdumpwrap.symbolize.symbolizer import Symbolizer

if TYPE_CHECKING:
    from kdumpwrap.symbolize.evidence import Evidence, Window
    from kdumpwrap.symbolize.scope import Scopes

# The packages of the verdict are imported where they are used: while they load, objdump and addr2line run.


class Case(NamedTuple):
    """A log in analysis: first its reports get addresses, then the one it is about gets its instructions."""

    log: Log
    resolutions: Tuple[Resolution, ...]
    failures: Failures  # of this log alone; other logs may not have them
    window: "Optional[Window]" = None
    evidence: "Optional[Evidence]" = None


class Answer(NamedTuple):
    """The part of an analysis that crashes of the same key share."""

    kernel: Kernel
    resolutions: Tuple[Resolution, ...]
    verdicts: Tuple[Verdict, ...]
    signature: Optional[Signature]
    problems: Tuple[Problem, ...]


def place(log: Log, symbolizer: Symbolizer) -> Case:
    """The Case of ``log``, with the address (base + offset) of every frame."""
    from kdumpwrap.symbolize.placed import placed

    failures = Failures()
    return Case(log, tuple(placed(report, symbolizer, failures) for report in log.reports), failures)


def start(case: Case, symbolizer: Symbolizer) -> Case:
    """``case`` with objdump started on the function that is shown."""
    from kdumpwrap.symbolize import evidence

    index = case.log.subject
    return case if index is None else case._replace(window=evidence.start(case.resolutions[index], symbolizer))


def gather(case: Case, symbolizer: Symbolizer) -> Case:
    """``case`` with its instructions, and the code bytes compared with them."""
    from kdumpwrap.symbolize import evidence

    index = case.log.subject
    if index is None:
        return case
    found = evidence.gather(case.resolutions[index], case.window, symbolizer, case.log.arch, case.failures)
    return case._replace(evidence=found)


def ask_gdb(asked: Sequence[Tuple[Log, Case]], symbolizer: Symbolizer) -> "Scopes":
    """gdb, started for the variables of each crash: with its own registers, and the instructions of its case."""
    from kdumpwrap.symbolize import scope

    questions: List[Tuple[scope.Asked, ...]] = []
    for log, case in asked:
        index = log.subject
        if index is None or case.evidence is None:
            questions.append(())
            continue
        evidence = case.evidence
        resolution = case.resolutions[index]._replace(
            report=log.reports[index],
            check=evidence.check,
            disassembly=evidence.rows,
            function=evidence.function,
        )
        questions.append(scope.questions(resolution, symbolizer))
    return scope.Scopes(questions, symbolizer)


def with_variables(analysis: Analysis, scopes: "Scopes", number: int) -> Analysis:
    """``analysis`` with gdb's variables of crash ``number``.

    Its instructions, and what they explain, are left out where gdb reads the marked one as another: objdump or gdb
    cannot read this code.
    """
    index = analysis.subject
    if index is None:
        return analysis
    found, problems = scopes.of(number, analysis.findings[index].resolution)
    findings = list(analysis.findings)
    findings[index] = findings[index]._replace(variables=found)
    if found is not None and found.otherwise is not None:
        resolution = findings[index].resolution
        ours = next(row.text for row in resolution.disassembly if row.fault)
        what = f"objdump and gdb disagree on the instruction: objdump reads {ours}, gdb reads {found.otherwise}"
        problems += (Problem(what, hint("OBJDUMP=PROGRAM names another objdump, GDB=PROGRAM another gdb"), True),)
        resolution = resolution._replace(disassembly=(), function=(), shown=None, from_log=False)
        sure = [one for one in findings[index].statements if one.about == "kernel"]
        told = _with_capture(finding(resolution, verdict(resolution), sure), analysis.capture, analysis.crash)
        findings[index] = told._replace(variables=found)
    return analysis._replace(findings=tuple(findings), problems=(*analysis.problems, *problems))


def answer(case: Case, located: Located, symbolizer: Symbolizer) -> Answer:
    """The Answer of a case: lines for frames and instructions, the source, culprits and suspects."""
    log = case.log
    if symbolizer.misplaced():
        case = Case(log, tuple(map(Resolution.of, log.reports)), case.failures)
    index = log.subject
    resolutions = [_located(one, located, symbolizer) for one in case.resolutions]
    slide = log.kernel_offset
    if index is not None and case.evidence is not None:
        evidence = case.evidence
        slide = evidence.slide
        marked = evidence.frame or resolutions[index].ip
        chain = located.get(CodeAddress.of(marked), ()) if marked is not None else ()
        resolutions[index] = resolutions[index]._replace(
            check=evidence.check,
            disassembly=evidence.lined(located),
            function=evidence.function,
            source=case.failures.keep(None, lambda: source(chain, symbolizer.release, symbolizer.search)),
            shown=_shown(resolutions[index], evidence.frame) if evidence.rows else None,
            from_log=bool(evidence.rows) and evidence.frame is None,
        )
    vmlinux = symbolizer.objects.get(None)
    kernel = Kernel(
        log.release,
        log.arch,
        str(symbolizer.vmlinux) if symbolizer.vmlinux else None,
        vmlinux.build_id if vmlinux else None,
        _slide(resolutions) if slide is None else slide,
    )
    # a log without a report needs no debuginfo, so none is missing
    frames = tuple(frame for one in resolutions for frame in one.frames)
    found: Sequence[Problem] = ()
    if resolutions:
        found = (*symbolizer.problems(frames), *case.failures.of(f.module for f in frames if f.module))
    verdicts = tuple(map(verdict, resolutions))
    return Answer(kernel, tuple(resolutions), verdicts, signature_of(log), tuple(dict.fromkeys(found)))


def for_crash(crash: Crash, log: Log, answer: Answer) -> Analysis:
    """The Analysis of one crash: the shared answer with the crash's own registers and times, and their explanation."""
    from kdumpwrap.explain import certainty

    kernel, problems = answer.kernel, (*log.problems, *answer.problems)
    if log.build_id is not None:
        if kernel.build_id not in (None, log.build_id):
            problems += (_other_build(kernel, log.build_id),)
        kernel = kernel._replace(build_id=log.build_id)
    sure = tuple(certainty.of_kernel(kernel, problems))
    findings = tuple(
        finding(resolution._replace(report=own), verdict, sure)
        for own, resolution, verdict in zip(log.reports, answer.resolutions, answer.verdicts)
    )
    return finished(crash, log, kernel, findings, answer.signature, problems)


def finished(
    crash: Crash,
    log: Log,
    kernel: Kernel,
    findings: Tuple[Finding, ...],
    signature: Optional[Signature],
    problems: Tuple[Problem, ...],
) -> Analysis:
    """The Analysis of all parts; a log without a report is a problem."""
    if not findings:
        problems += (no_report(crash),)
    index = log.subject
    if index is not None:
        findings = (
            *findings[:index],
            _with_capture(findings[index], log.capture, crash),
            *findings[index + 1 :],
        )
    return Analysis(crash, kernel, findings, log.fatal, signature, problems, log.around, log.capture)


def no_report(crash: Crash) -> Problem:
    """The problem of a log without a report, and what shows the log."""
    if crash.dmesg == "-":
        return Problem("standard input: no report of a crash in this log", shell.hint("kdumpwrap list"))
    log = crash.dmesg or ""
    look = shell.hint("less {}", log) if log else shell.hint("kdumpwrap crash {} -c log", crash.path)
    what = f"{log or crash.vmcore}: no report of a crash in this log"
    return Problem(what, shell.either([look, shell.hint("kdumpwrap list")]))


def _with_capture(found: Finding, capture: Optional[Capture], crash: Crash) -> Finding:
    """``found``, and why ``crash`` has no whole vmcore, where ``capture`` tells it."""
    if capture is None:
        return found
    from kdumpwrap.explain import conclusion

    return conclusion.with_capture(found, capture, capturelog.written(crash))


def _located(resolution: Resolution, located: Located, symbolizer: Symbolizer) -> Resolution:
    """``resolution`` with file and line for each frame that the object has in the size of the log."""
    from kdumpwrap.symbolize.placed import with_lines

    ip = resolution.ip and with_lines(resolution.ip, located, symbolizer)
    return resolution._replace(ip=ip, trace=tuple(with_lines(one, located, symbolizer) for one in resolution.trace))


def _shown(resolution: Resolution, marked: Optional[ResolvedFrame]) -> Optional[ResolvedFrame]:
    """The frame of ``resolution`` that is ``marked``; without a vmlinux its instruction pointer."""
    if marked is None:
        return resolution.ip
    return next(
        (one for one in resolution.frames if (one.symbol, one.address) == (marked.symbol, marked.address)), None
    )


def verdict(resolution: Resolution) -> Verdict:
    """The culprit and the suspect of a report."""
    from kdumpwrap.culprit import blame

    return blame.verdict(resolution)


def finding(resolution: Resolution, verdict: Verdict, of_kernel: Sequence[Statement]) -> Finding:
    """The Finding of a report, made by explain."""
    from kdumpwrap.explain import conclusion

    return conclusion.finding(resolution, verdict, of_kernel)


def signature_of(log: Log) -> Optional[Signature]:
    """The signature of the fatal report of ``log``."""
    from kdumpwrap.culprit import signature

    index = log.subject
    return signature.signature(log.reports[index]) if index is not None else None


def addresses_of(case: Case, symbolizer: Symbolizer) -> Iterator[CodeAddress]:
    """The address of each frame of a case."""
    from kdumpwrap.symbolize.placed import candidates

    for frame in (frame for one in case.resolutions for frame in one.frames):
        yield from candidates(frame)
        if frame.address is not None and symbolizer.fits(frame):
            yield CodeAddress.of(frame)


def _slide(resolutions: Sequence[Resolution]) -> Optional[int]:
    """The KASLR offset: an address in the log minus that of the vmlinux; None when no frame has both."""
    for frame in (frame for one in resolutions for frame in one.frames):
        if frame.runtime is not None and frame.address is not None and frame.module is None:
            return frame.runtime - frame.address
    return None


def _other_build(found: Kernel, wanted: str) -> Problem:
    message = f"{found.vmlinux}: build id {found.build_id}, the crash is of {wanted}: not the build that crashed"
    return Problem(message, packages.debuginfo(found.release or ""), wrong_vmlinux=True)
