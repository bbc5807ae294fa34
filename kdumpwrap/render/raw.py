"""``--raw``: one fact a line, fields split by one TAB. New keys and columns are only ever added at the end."""

from pathlib import Path
from typing import Iterator, Optional, Tuple, Union

from kdumpwrap.model.finding import Analysis, Finding, Listing
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame, Source
from kdumpwrap.octets import spaced
from kdumpwrap.render.escape import field

Value = Union[str, int, Path, None]


def render(analysis: Analysis, *, all_reports: bool = False) -> str:
    """Every fact of one crash: its ``crash`` line, those of the kernel, then the fatal report (or all of them)."""
    return "".join(f"{line}\n" for line in _facts(analysis, all_reports))


def row(*values: Value) -> str:
    """One line without its end: values escaped, unknown ones empty."""
    return "\t".join(escape(value) for value in values)


def escape(value: Value) -> str:
    """``value`` as a field: TAB, newline, backslash and control characters as ``\\t``, ``\\n``, ``\\\\``, ``\\xNN``."""
    return "" if value is None else field(str(value))


def address(value: Optional[int]) -> str:
    """An address, offset or size: ``0x…``, empty when unknown."""
    return "" if value is None else f"{value:#x}"


def resolved(expression: str, frame: ResolvedFrame) -> str:
    """``resolve``: ``EXPR  ADDRESS  FUNCTION  FILE  LINE  INLINE  COLUMN``, innermost first."""
    rows = frame.locations or (Location(frame.symbol, None, None),)
    last = len(rows) - 1
    return "".join(
        row(expression, address(frame.address), place.function, place.file, place.line, int(index < last), place.column)
        + "\n"
        for index, place in enumerate(rows)
    )


def listing(found: Listing) -> str:
    """``disasm``: ``insn`` lines, then ``source`` lines."""
    return "".join(f"{line}\n" for line in (*map(_insn, found.instructions), *_source(found.source)))


def _facts(analysis: Analysis, all_reports: bool) -> Iterator[str]:
    crash, kernel = analysis.crash, analysis.kernel
    yield row("crash", crash.path)
    yield row("dmesg", crash.dmesg)
    yield row("vmcore", crash.vmcore)
    yield row("release", kernel.release)
    yield row("arch", kernel.arch)
    yield row("vmlinux", kernel.vmlinux)
    chosen = analysis.subject
    for index, finding in enumerate(analysis.findings):
        if all_reports or index == chosen:
            yield row("report", index, int(index == analysis.fatal))
            yield from _report(analysis, finding, index == chosen)
    if analysis.capture is not None:
        said = analysis.capture.said
        yield row("capture", analysis.capture.cause, said.number if said else None, said.text if said else None)
    yield from (row("problem", problem.message, problem.hint) for problem in analysis.problems)


def _report(analysis: Analysis, finding: Finding, with_signature: bool) -> Iterator[str]:
    report = finding.report
    yield row("kind", report.kind)
    yield row("headline", report.headline)
    yield row("time", analysis.crash.time)
    yield row("cpu", report.cpu)
    yield row("pid", report.pid)
    yield row("comm", report.comm)
    yield row("taint", report.taint)
    yield row("fault_address", address(report.fault_address))
    culprit, suspect = finding.culprit, finding.suspect
    unknown = (None,) * 4
    yield row("culprit", *((culprit.symbol, culprit.module, culprit.file, culprit.line) if culprit else unknown))
    yield row("suspect", *((suspect.module, suspect.symbol, suspect.file, suspect.line) if suspect else unknown))
    if with_signature and analysis.signature:
        yield row("signature", analysis.signature.id, analysis.signature.text)
    if finding.resolution.ip:
        yield row("ip", *_place(finding.resolution.ip))
        yield from _inlined("ip", finding.resolution.ip)
    for number, frame in enumerate(finding.resolution.trace):
        yield row("frame", number, frame.context, int(frame.certain), *_place(frame))
        yield from _inlined(number, frame)
    for insn in finding.resolution.disassembly:
        yield _insn(insn)
    yield from _source(finding.resolution.source)
    if report.message is not None:
        yield row("message", report.message.text, report.message.origin)
    yield row("uptime", None if report.time is None else f"{report.time:.6f}")
    for sentence in finding.reasons:
        yield row("explanation", sentence)
    if report.code:
        yield row("code_check", finding.resolution.check.result, finding.resolution.check.detail)
    if finding.variables is not None:
        for one in finding.variables.rows:
            yield row("variable", one.function, one.name, one.type, one.value, int(one.guilty))
        said = finding.variables.expression
        if said is not None:
            yield row("expression", said.text, said.type, said.struct, address(said.offset), int(said.certain))


def _place(frame: ResolvedFrame) -> Tuple[Value, ...]:
    inner = frame.locations[0] if frame.locations else Location(None, None, None)
    return (
        frame.symbol,
        address(frame.offset),
        address(frame.size),
        frame.module,
        address(frame.address),
        inner.file,
        inner.line,
        inner.column,
    )


def _inlined(number: Union[str, int], frame: ResolvedFrame) -> Iterator[str]:
    """The inline chain of a frame: every function but the outermost, which the frame itself names."""
    for place in frame.locations[:-1]:
        yield row("inline", number, place.function, place.file, place.line, place.column)


def _source(source: Optional[Source]) -> Iterator[str]:
    if source is not None:
        for number, text in enumerate(source.lines, source.first):
            yield row("source", number, text, int(number == source.fault_line))


def _insn(insn: Instruction) -> str:
    return row("insn", address(insn.address), spaced(insn.data), insn.text, insn.file, insn.line, int(insn.fault))
