"""The walker that makes JSON objects: of any value, by a table of keys."""

import json
from operator import attrgetter
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple, Union

Json = Union[None, bool, int, float, str, List["Json"], Dict[str, "Json"]]


class Key(NamedTuple):
    """A key of an object, and where its value comes from."""

    name: str
    get: Callable[[Any], Any]
    of: Union[Callable[[Any], Json], "Tuple[Key, ...]", None] = None  # a table for objects, else how a value is written


Table = Tuple[Key, ...]


def walk(value: Any, table: Table) -> Dict[str, Json]:
    """The object that ``table`` makes of ``value``."""
    found: Dict[str, Json] = {}
    for name, get, of in table:
        part = get(value)
        if part is None:
            found[name] = None
        elif of is None:
            found[name] = list(part) if type(part) is tuple else part
        elif type(of) is not tuple:
            found[name] = of(part)  # type: ignore[operator]  # mypy does not see that it is the function
        else:
            found[name] = _objects(part, of) if type(part) in (tuple, list) else walk(part, of)
    return found


def _objects(rows: Sequence[Any], table: Table) -> List[Json]:
    return [_objects(row, table) if type(row) is tuple else walk(row, table) for row in rows]


def line(value: Json) -> str:
    """``value`` as a line of NDJSON, in ASCII: a log's control characters cannot reach a terminal through it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(", ", ": ")) + "\n"


def lines(rows: Iterable[Any], table: Table) -> str:
    """A line for each of ``rows``: the object that ``table`` makes of it."""
    return "".join(line(walk(row, table)) for row in rows)


def address(value: int) -> str:
    """``"0x…"``: jq would round a 64-bit number."""
    return f"{value:#x}"


def _field(path: str) -> Callable[[Any], Any]:
    """A getter of a path such as ``variables.expression``: None when a value of the path is None."""
    first, dot, rest = path.partition(".")
    get = attrgetter(first)
    if not dot:
        return get
    further = _field(rest)

    def follow(value: Any) -> Any:
        part = get(value)
        return None if part is None else further(part)

    return follow


def key(name: str, field: Union[str, Callable[[Any], Any], None] = None, of: Any = None) -> Key:
    """A key. ``field``: a path such as ``report.time`` (``name`` when None), or a function of the value."""
    return Key(name, field if callable(field) else _field(field or name), of)


def keys(names: str, under: str = "") -> Table:
    """Keys that are called like their fields, all of them below the field ``under``."""
    return tuple(key(name, f"{under}.{name}" if under else name) for name in names.split())


def below(field: str, table: Table) -> Table:
    """The keys of ``table``, of what the field ``field`` holds."""
    outer = attrgetter(field)

    def inner(get: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: get(outer(value))

    return tuple(key._replace(get=inner(key.get)) for key in table)
