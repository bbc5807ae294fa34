"""``--json``: one object a line. Every key is always there; unknown is null; addresses are strings ``"0x…"``."""

import json
from typing import Dict, List, Optional, Sequence, Union

from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis, Finding, Listing
from kdumpwrap.model.kernel import CodeCheck, Instruction, Location, ResolvedFrame, Source
from kdumpwrap.model.log import Code
from kdumpwrap.model.scope import Expression, Variables
from kdumpwrap.octets import spaced

Json = Union[None, bool, int, float, str, List["Json"], Dict[str, "Json"]]

SCHEMA = "kdumpwrap/1"


def render(analysis: Analysis, vmcore: Json = None) -> str:
    """One crash as one line; ``vmcore`` is what crash(8) added (see render.vmcore)."""
    return line({**as_dict(analysis), "vmcore": vmcore})


def line(value: Json) -> str:
    """``value`` as a line of NDJSON, in ASCII: a log's control characters cannot reach a terminal through it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(", ", ": ")) + "\n"


def address(value: Optional[int]) -> Optional[str]:
    """``"0x…"``, since a 64-bit number does not survive jq."""
    return None if value is None else f"{value:#x}"


def as_dict(analysis: Analysis) -> Dict[str, Json]:
    """The object of contract ``kdumpwrap/1``."""
    crash, kernel, signature = analysis.crash, analysis.kernel, analysis.signature
    return {
        "schema": SCHEMA,
        "crash": {
            "path": crash.path,
            "dmesg": crash.dmesg,
            "vmcore": crash.vmcore,
            "host": crash.host,
            "time": crash.time,
        },
        "kernel": {
            "release": kernel.release,
            "arch": kernel.arch,
            "vmlinux": kernel.vmlinux,
            "build_id": kernel.build_id,
            "kaslr_offset": address(kernel.kaslr_offset),
        },
        "reports": [_report(finding) for finding in analysis.findings],
        "fatal": analysis.fatal,
        "signature": {"id": signature.id, "text": signature.text} if signature else None,
        "problems": problems(analysis.problems),
        "vmcore": None,
    }


def resolved(expression: str, found: ResolvedFrame) -> str:
    """One answer of ``resolve``."""
    return line({"schema": SCHEMA, "expression": expression, **frame(found)})


def listing(expression: str, found: Listing) -> str:
    """The answer of ``disasm``."""
    return line(
        {
            "schema": SCHEMA,
            "expression": expression,
            "frame": frame(found.frame),
            "disassembly": instructions(found.instructions),
            "source": _source(found.source) if found.source else None,
        }
    )


def problems(found: Sequence[Problem]) -> List[Json]:
    """Each problem with the command that mends it."""
    return [{"message": problem.message, "hint": problem.hint} for problem in found]


def _report(finding: Finding) -> Dict[str, Json]:
    return {
        "kind": finding.report.kind,
        "headline": finding.report.headline or None,
        "panic": finding.report.panic,
        "line": finding.report.line,
        "time": finding.report.time,
        "cpu": finding.report.cpu,
        "pid": finding.report.pid,
        "comm": finding.report.comm,
        "release": finding.report.release,
        "taint": finding.report.taint,
        "taints": [{"flag": taint.flag, "meaning": taint.meaning} for taint in finding.report.taints],
        "modules": [{"name": module.name, "flags": module.flags} for module in finding.report.modules],
        "fault_address": address(finding.report.fault_address),
        "ip": frame(finding.resolution.ip) if finding.resolution.ip else None,
        "trace": [frame(one) for one in finding.resolution.trace],
        "registers": {name: address(value) for name, value in finding.report.registers},
        "code": _code(finding.report.code, finding.resolution.check) if finding.report.code else None,
        "culprit": dict(finding.culprit._asdict()) if finding.culprit else None,
        "suspect": dict(finding.suspect._asdict()) if finding.suspect else None,
        "explanation": list(finding.reasons),
        "disassembly": instructions(finding.resolution.disassembly),
        "source": _source(finding.resolution.source) if finding.resolution.source else None,
        "access": finding.report.access,
        "error_code": address(finding.report.error_code),
        "hardware": finding.report.hardware,
        "workqueue": finding.report.workqueue,
        "kernel_offset": address(finding.report.kernel_offset),
        "last_line": finding.report.last_line,
        "message": finding.report.message,
        "shown": _number(finding),
        "guilty": list(finding.guilty),
        "repeats": [dict(run._asdict()) for run in finding.repeats],
        "statements": [dict(statement._asdict()) for statement in finding.statements],
        "variables": _variables(finding.variables) if finding.variables is not None else None,
        "expression": _expression(finding.variables.expression) if finding.variables is not None else None,
    }


def _variables(variables: Variables) -> Optional[List[Json]]:
    """Null also where there was nobody to ask."""
    if variables.missing is not None:
        return None
    return [
        {
            "function": one.function,
            "inlined": one.inlined,
            "name": one.name,
            "type": one.type,
            "value": one.value,
            "argument": one.argument,
            "guilty": one.guilty,
        }
        for one in variables.rows
    ]


def _expression(said: Optional[Expression]) -> Optional[Dict[str, Json]]:
    if said is None:
        return None
    return {
        "text": said.text,
        "type": said.type,
        "struct": said.struct,
        "offset": address(said.offset),
        "certain": said.certain,
    }


def _number(finding: Finding) -> Json:
    """The frame whose instruction is marked, as ``--raw`` counts: ``ip``, or its number in the trace."""
    shown = finding.resolution.shown
    if shown is None or shown is finding.resolution.ip:
        return None if shown is None else "ip"
    return next((number for number, one in enumerate(finding.resolution.trace) if one is shown), None)


def frame(one: ResolvedFrame) -> Dict[str, Json]:
    """One frame of contract ``kdumpwrap/1``."""
    return {
        "symbol": one.symbol,
        "offset": address(one.offset),
        "size": address(one.size),
        "module": one.module,
        "address": address(one.address),
        "certain": one.certain,
        "context": one.context,
        "locations": _locations(one.locations),
        "candidates": [address(candidate) for candidate in one.candidates],
        "candidate_locations": [_locations(chain) for chain in one.candidate_locations],
    }


def _locations(chain: Sequence[Location]) -> List[Json]:
    return [
        {"function": place.function, "file": place.file, "line": place.line, "column": place.column} for place in chain
    ]


def instructions(rows: Sequence[Instruction]) -> List[Json]:
    """Each instruction with its bytes as in ``objdump``."""
    return [
        {
            "address": address(insn.address),
            "bytes": spaced(insn.data),
            "text": insn.text,
            "file": insn.file,
            "line": insn.line,
            "fault": insn.fault,
        }
        for insn in rows
    ]


def _code(code: Code, check: CodeCheck) -> Dict[str, Json]:
    return {"bytes": spaced(code.data), "trap": code.trap, "check": check.result, "detail": check.detail}


def _source(source: Source) -> Dict[str, Json]:
    return {
        "file": source.file,
        "path": str(source.path),
        "first": source.first,
        "lines": list(source.lines),
        "fault_line": source.fault_line,
        "fault_column": source.fault_column,
    }
