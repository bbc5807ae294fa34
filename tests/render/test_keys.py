"""The table of keys: each stands for a field that there is, and the walker writes what the field holds."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap.render import keys, walker
from kdumpwrap.render.walker import Json, Key, Table


class Inner(NamedTuple):
    """What lies below a field."""

    size: Optional[int]


class Outer(NamedTuple):
    """A value with one field of each sort."""

    name: str
    inner: Optional[Inner] = None
    rows: Tuple[Inner, ...] = ()
    nested: Tuple[Tuple[Inner, ...], ...] = ()


INNER = (Key("bytes", walker._field("size"), walker.address),)
OUTER = (
    *walker.keys("name"),
    walker.key("size", "inner.size"),
    walker.key("inner", of=INNER),
    walker.key("rows", of=INNER),
    walker.key("nested", of=INNER),
)


def test_a_value_becomes_an_object() -> None:
    whole = Outer("a", Inner(0), (Inner(16), Inner(None)), ((Inner(1),), ()))
    assert walker.walk(whole, OUTER) == {
        "name": "a",
        "size": 0,
        "inner": {"bytes": "0x0"},
        "rows": [{"bytes": "0x10"}, {"bytes": None}],
        "nested": [[{"bytes": "0x1"}], []],
    }


def test_every_key_is_there_when_nothing_is_known() -> None:
    expected: Json = {"name": "a", "size": None, "inner": None, "rows": [], "nested": []}
    assert walker.walk(Outer("a"), OUTER) == expected


def test_no_table_names_a_key_twice() -> None:
    tables = [value for name, value in vars(keys).items() if name.isupper() and type(value) is tuple]
    assert len(tables) > 10
    todo = [*tables]
    while todo:
        table: Table = todo.pop()
        names = [key.name for key in table]
        assert len(names) == len({*names})
        todo += [key.of for key in table if isinstance(key.of, tuple)]
