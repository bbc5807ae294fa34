"""The output of our script in gdb: a JSON object a line, each behind a word that gdb itself never prints."""

import json
from typing import Any, Dict, Optional

from kdumpwrap.model.scope import Member, Reading, Scope, Variable

PREFIX = "kdumpwrap: "
_MOST = 1000  # variables, ways and members that are taken of one answer
_LONGEST = 400  # characters of a name, a type or a value


def parse(text: str) -> Dict[int, Scope]:
    """The scope of each question that was answered, by its number; what is no answer is passed over. Sample line::

    kdumpwrap: {"id": 0, "unknown": 2, "ways": [], "variables": [{"function": "wan_next_seq", "inlined": false,
     "name": "s", "type": "struct wan_session *", "value": "0x0", "argument": true, "register": "rdi", "added": 0}],
     "instruction": "mov    0x10(%rdi),%rax"}
    """
    found: Dict[int, Scope] = {}
    for line in text.splitlines():
        if line.startswith(PREFIX):
            try:
                answer = json.loads(line[len(PREFIX) :])
                found[int(answer["id"])] = _scope(answer)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
    return found


def _scope(answer: Dict[str, Any]) -> Scope:
    variables = tuple(
        Variable(
            _text(row["function"]),
            bool(row["inlined"]),
            _text(row["name"]),
            _text(row["type"]),
            _text(row["value"]),
            bool(row["argument"]),
            register=_maybe(row["register"]),
            added=int(row["added"]),
        )
        for row in answer["variables"][:_MOST]
    )
    readings = tuple(
        Reading(int(row["chain"]), int(row["variable"]), tuple(_member(step) for step in row["steps"][:_MOST]))
        for row in answer["ways"][:_MOST]
        if 0 <= int(row["variable"]) < len(variables) and row["steps"]
    )
    return Scope(variables, int(answer["unknown"]), readings, " ".join(_text(answer.get("instruction", "")).split()))


def _member(step: Dict[str, Any]) -> Member:
    return Member(_text(step["text"]), _text(step["type"]), _maybe(step["struct"]), int(step["offset"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value[:_LONGEST]


def _maybe(value: Any) -> Optional[str]:
    return None if value is None else _text(value)
