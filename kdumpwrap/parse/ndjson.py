"""The output of ``--json``, read back for groups and rows. Any line is accepted."""

import json
from typing import Dict, List, Optional, Tuple, Union, cast

from kdumpwrap import shell
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.model.kernel import Kernel, Location, Resolution, ResolvedFrame
from kdumpwrap.model.location import telling
from kdumpwrap.model.log import Report, ReportKind
from kdumpwrap.model.verdict import Culprit, Signature, Suspect

SCHEMA = "kdumpwrap/1"
_LONGEST = 64 << 20  # bytes of a line; the largest logs give a few MB

Json = Union[None, bool, int, float, str, "List[Json]", "Dict[str, Json]"]


def parse(line: str, *, ours: bool = False) -> Optional[Analysis]:
    """The analysis in ``line``, with the report it is about alone; None when it is no object of ``kdumpwrap/1``.

    ``ours``: this program wrote it and nobody else could change it. Otherwise the hints of the problems are left out.
    """
    if len(line) > _LONGEST:
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return analysis(value, ours=ours) if isinstance(value, dict) else None


def analysis(value: "Dict[str, Json]", *, ours: bool = False) -> Optional[Analysis]:
    """The analysis in ``value``, a JSON object, as `parse` gives it."""
    crash, kernel = _object(value.get("crash")), _object(value.get("kernel"))
    path = _text(crash.get("path"))
    if value.get("schema") != SCHEMA or path is None:
        return None
    reports, index = _objects(value.get("reports")), _number(value.get("fatal"))
    fatal = index if index is not None and 0 <= index < len(reports) else None
    about = reports[len(reports) - 1 if fatal is None else fatal : len(reports) if fatal is None else fatal + 1]
    signature = _object(value.get("signature"))
    id, text = _text(signature.get("id")), _text(signature.get("text"))
    return Analysis(
        Crash(
            path,
            _text(crash.get("dmesg")),
            _text(crash.get("vmcore")),
            _text(crash.get("host")),
            _text(crash.get("time")),
        ),
        Kernel(_text(kernel.get("release")), _text(kernel.get("arch")), _text(kernel.get("vmlinux"))),
        tuple(_finding(report) for report in about),
        0 if about and fatal is not None else None,
        Signature(id, text or "") if id else None,
        tuple(
            Problem(
                _text(problem.get("message")) or "", shell.own(_text(problem.get("hint")) or "") if ours else shell.NONE
            )
            for problem in _objects(value.get("problems"))
        ),
    )


def _finding(value: "Dict[str, Json]") -> Finding:
    culprit, suspect, ip = _object(value.get("culprit")), _object(value.get("suspect")), _object(value.get("ip"))
    symbol, module = _text(culprit.get("symbol")), _text(suspect.get("module"))
    registers = ((name, _address(text)) for name, text in _object(value.get("registers")).items())
    report = Report(
        cast(ReportKind, _text(value.get("kind")) or "oops"),  # the line of another host may have a newer kind
        _text(value.get("headline")) or "",
        _number(value.get("line")) or 0,
        time=_seconds(value.get("time")),
        cpu=_number(value.get("cpu")),
        pid=_number(value.get("pid")),
        comm=_text(value.get("comm")),
        fault_address=_address(value.get("fault_address")),
        registers=tuple((name, number) for name, number in registers if number is not None),
    )
    stopped = _frame(ip) if ip else None
    return Finding(
        Resolution(report, stopped, tuple(map(_frame, _objects(value.get("trace"))))),
        Culprit(symbol, *_place(culprit), _text(culprit.get("why")) or "") if symbol else None,
        _suspect(module, suspect) if module else None,
        place=telling(stopped.locations) if stopped is not None else None,
    )


def _suspect(module: str, value: "Dict[str, Json]") -> Suspect:
    symbol, file, line = _text(value.get("symbol")), _text(value.get("file")), _number(value.get("line"))
    return Suspect(module, _text(value.get("flags")) or "", symbol, file, line)


def _place(value: "Dict[str, Json]") -> Tuple[Optional[str], Optional[str], Optional[int]]:
    return _text(value.get("module")), _text(value.get("file")), _number(value.get("line"))


def _frame(value: "Dict[str, Json]") -> ResolvedFrame:
    return ResolvedFrame(
        _text(value.get("symbol")),
        _address(value.get("offset")),
        _address(value.get("size")),
        _text(value.get("module")),
        certain=value.get("certain") is True,
        locations=tuple(
            Location(
                _text(place.get("function")),
                _text(place.get("file")),
                _number(place.get("line")),
                _number(place.get("column")),
            )
            for place in _objects(value.get("locations"))
        ),
    )


def _object(value: Json) -> "Dict[str, Json]":
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> "List[Dict[str, Json]]":
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Json) -> Optional[str]:
    return value if isinstance(value, str) else None


def _seconds(value: Json) -> Optional[float]:
    return value if isinstance(value, float) else None


def _number(value: Json) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _address(value: Json) -> Optional[int]:
    try:
        return int(value, 16) if isinstance(value, str) and len(value) < 24 else None
    except ValueError:
        return None
