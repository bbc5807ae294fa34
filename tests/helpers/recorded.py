"""The recorded logs of tests/data/logs, and the parser's answers in the forms in which tests compare them."""

import json
from pathlib import Path
from typing import Any, Dict, Tuple

from kdumpwrap.log import reader
from kdumpwrap.model.log import Code, Frame, Log, Panicker, Report
from kdumpwrap.octets import spaced

LOGS = Path(__file__).resolve().parent.parent / "data" / "logs"
NAMES = sorted(path.stem for path in LOGS.glob("*.log"))
EVERY = [
    *NAMES,
    *sorted(f"../{path.parent.name}/{path.stem}" for path in LOGS.parent.glob("[bc]*/*.log")),
]  # for `data`
_HEX = ("fault_address", "runtime", "offset", "size", "error_code", "kernel_offset")
# what the parser of logs fills; the rest of a Report and its frames comes later, from the tools
_LOG = "reports fatal release arch kernel_offset"
_REPORT = (
    "kind headline line time panic cpu pid comm release arch taint taints modules fault_address ip trace registers "
    "code error_code access hardware workqueue kernel_offset last_line message"
)
_FRAME = "symbol offset size module runtime certain context exact module_build_id"
_CODE = "data trap unit"
_RARE = frozenset(
    "strangers panicker machine_checks named locks works blocker memory wall user_ip tracks".split()
)  # of a report: written where there is one
_FILLED = frozenset(f"{_LOG} {_REPORT} {_FRAME} {_CODE}".split())


def data(name: str) -> bytes:
    return (LOGS / f"{name}.log").read_bytes()


def parse(name: str) -> Log:
    return reader.parse([data(name)])


# ---------------------------------------------------------------- the whole answer


def answer(log: Log) -> str:
    """All that the parser found, as JSON: one frame, module, register a line; addresses in hex."""
    return _text(_plain(_facts(log)), 0) + "\n"


def _facts(value: Any) -> Any:
    """``value`` with a dict for each of the records that a log is made of."""
    if isinstance(value, (Log, Report, Frame, Code, Panicker)):
        return {name: _facts(getattr(value, name)) for name in type(value).__annotations__}
    return tuple(map(_facts, value)) if isinstance(value, tuple) else value


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _plain(item, key) for key, item in value.items() if key in _FILLED or (key in _RARE and item)}
    if name == "registers":
        return {register: f"{number:#x}" for register, number in value}
    if isinstance(value, bytes):
        return spaced(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return f"{value:#x}" if name in _HEX and value is not None else value


def _text(value: Any, depth: int) -> str:
    """JSON with a line for each item, down to the fourth level."""
    if depth > 3 or not isinstance(value, (dict, list)) or not value:
        return json.dumps(value)
    pad = "\n" + " " * depth
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_text(item, depth + 1)}" for key, item in value.items()]
        return "{" + pad + " " + f",{pad} ".join(items) + pad + "}"
    return "[" + pad + " " + f",{pad} ".join([_text(item, depth + 1) for item in value]) + pad + "]"


# ---------------------------------------------------------------- in a line


def place(frame: Frame) -> str:
    """``f+0x1/0x2 [mod]``; "?" before an uncertain frame, "=" before one that is no return address."""
    mark = "?" if not frame.certain else "=" if frame.exact else ""
    if frame.symbol is None:
        return f"{mark}{frame.runtime or 0:#x}"
    module = f" [{frame.module}]" if frame.module else ""
    return f"{mark}{frame.symbol}+{frame.offset or 0:#x}/{frame.size or 0:#x}{module}"


def outline(report: Report) -> Dict[str, Any]:
    """What is the same however a log was wrapped: all but lines and times, and the registers' order."""
    same = _facts(report._replace(line=0, last_line=0, time=None))
    return {**same, "registers": dict(report.registers)}


def outlines(log: Log) -> Tuple[Dict[str, Any], ...]:
    return tuple(outline(report) for report in log.reports)
