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
    crash, kernel = _object(value, "crash"), _object(value, "kernel")
    path = _text(crash, "path")
    if value.get("schema") != SCHEMA or path is None:
        return None
    reports, index = _objects(value, "reports"), _number(value, "fatal")
    fatal = index if index is not None and 0 <= index < len(reports) else None
    about = reports[len(reports) - 1 if fatal is None else fatal : len(reports) if fatal is None else fatal + 1]
    signature = _object(value, "signature")
    id, text = _text(signature, "id"), _text(signature, "text")
    return Analysis(
        Crash(path, _text(crash, "dmesg"), _text(crash, "vmcore"), _text(crash, "host"), _text(crash, "time")),
        Kernel(_text(kernel, "release"), _text(kernel, "arch"), _text(kernel, "vmlinux")),
        tuple(_finding(report) for report in about),
        0 if about and fatal is not None else None,
        Signature(id, text or "") if id else None,
        tuple(
            Problem(_text(problem, "message") or "", shell.own(_text(problem, "hint") or "") if ours else shell.NONE)
            for problem in _objects(value, "problems")
        ),
    )


def _finding(value: "Dict[str, Json]") -> Finding:
    culprit, suspect, ip = _object(value, "culprit"), _object(value, "suspect"), _object(value, "ip")
    symbol, module = _text(culprit, "symbol"), _text(suspect, "module")
    dump = _object(value, "registers")
    registers = ((name, _address(dump, name)) for name in dump)
    report = Report(
        cast(ReportKind, _text(value, "kind") or "oops"),  # the line of another host may have a newer kind
        _text(value, "headline") or "",
        _number(value, "line") or 0,
        time=_seconds(value, "time"),
        cpu=_number(value, "cpu"),
        pid=_number(value, "pid"),
        comm=_text(value, "comm"),
        fault_address=_address(value, "fault_address"),
        registers=tuple((name, number) for name, number in registers if number is not None),
    )
    stopped = _frame(ip) if ip else None
    return Finding(
        Resolution(report, stopped, tuple(map(_frame, _objects(value, "trace")))),
        Culprit(symbol, *_place(culprit), _text(culprit, "why") or "") if symbol else None,
        _suspect(module, suspect) if module else None,
        place=telling(stopped.locations) if stopped is not None else None,
    )


def _suspect(module: str, value: "Dict[str, Json]") -> Suspect:
    symbol, file, line = _text(value, "symbol"), _text(value, "file"), _number(value, "line")
    return Suspect(module, _text(value, "flags") or "", symbol, file, line)


def _place(value: "Dict[str, Json]") -> Tuple[Optional[str], Optional[str], Optional[int]]:
    return _text(value, "module"), _text(value, "file"), _number(value, "line")


def _frame(value: "Dict[str, Json]") -> ResolvedFrame:
    return ResolvedFrame(
        _text(value, "symbol"),
        _address(value, "offset"),
        _address(value, "size"),
        _text(value, "module"),
        certain=value.get("certain") is True,
        locations=tuple(
            Location(_text(place, "function"), _text(place, "file"), _number(place, "line"), _number(place, "column"))
            for place in _objects(value, "locations")
        ),
    )


def _object(of: "Dict[str, Json]", key: str) -> "Dict[str, Json]":
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def _objects(of: "Dict[str, Json]", key: str) -> "List[Dict[str, Json]]":
    value = of.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(of: "Dict[str, Json]", key: str) -> Optional[str]:
    value = of.get(key)
    return value if isinstance(value, str) else None


def _seconds(of: "Dict[str, Json]", key: str) -> Optional[float]:
    value = of.get(key)
    return value if isinstance(value, float) else None


def _number(of: "Dict[str, Json]", key: str) -> Optional[int]:
    value = of.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _address(of: "Dict[str, Json]", key: str) -> Optional[int]:
    text = _text(of, key)
    try:
        return int(text, 16) if text is not None and len(text) < 24 else None
    except ValueError:
        return None
