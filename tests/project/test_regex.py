"""Regular expressions are compiled when they are first used, so a faulty one would only be seen then."""

import gc
import pkgutil
import re
from importlib import import_module
from typing import Any, List

import pytest

import kdumpwrap
from kdumpwrap import regex as module
from kdumpwrap.regex import regex


def test_every_one_is_well_formed() -> None:
    for info in pkgutil.walk_packages(kdumpwrap.__path__, "kdumpwrap."):
        if not info.name.endswith(("__main__", "scope_in_gdb")):  # they run when they are imported
            import_module(info.name)
    kind: type = getattr(module, "regex")  # noqa: B009 (mypy takes it for re.compile)
    found: List[Any] = [one for one in gc.get_objects() if type(one) is kind]
    assert len(found) > 300
    for one in found:
        assert re.compile(one.pattern)


def test_it_does_what_re_compile_does() -> None:
    words = regex("(?P<word>[a-z]+) ", re.I)
    assert words.sub("-", "One two ") == "--" and words.groupindex == {"word": 1}
    found = words.match("One two ")
    assert found is not None and found["word"] == "One" and words.findall("One two ") == ["One", "two"]


def test_it_is_compiled_when_it_is_used() -> None:
    faulty = regex("(")
    with pytest.raises(re.error):
        faulty.match("")
