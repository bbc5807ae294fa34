"""Our script for gdb's Python: the arithmetic on members, in any Python from 2.7 on, with types that need no gdb."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest
from conftest import reads_source

SCRIPT = Path(__file__).resolve().parent.parent.parent / "kdumpwrap/tools/scope_in_gdb.py"
# stands before the script: a gdb whose types are written down here
FAKE = """
import json, sys
class Code(object): pass
class Gdb(object):
    TYPE_CODE_PTR, TYPE_CODE_INT, TYPE_CODE_ENUM, TYPE_CODE_BOOL, TYPE_CODE_CHAR = 1, 2, 3, 4, 5
    TYPE_CODE_STRUCT, TYPE_CODE_UNION, TYPE_CODE_ARRAY = 6, 7, 8
    TYPE_CODE_VOID, TYPE_CODE_FUNC, TYPE_CODE_TYPEDEF = 9, 10, 11
sys.modules["gdb"] = Gdb()
class Field(object):
    def __init__(self, name, type, at, bits=0):
        self.name, self.type, self.bitpos, self.bitsize = name, type, 8 * at, bits
class Type(object):
    def __init__(self, code, size, name=None, target=None, fields=(), tag=None):
        self.code, self.sizeof, self.name, self.below, self.own, self.tag = code, size, name, target, list(fields), tag
    def strip_typedefs(self): return self.below.strip_typedefs() if self.code == Gdb.TYPE_CODE_TYPEDEF else self
    def target(self): return self.below
    def fields(self): return self.own
    def unqualified(self): return self
    def __str__(self): return self.name or (self.tag and "struct " + self.tag) or (str(self.below) + " *")
def pointer(to): return Type(Gdb.TYPE_CODE_PTR, 8, target=to)
def struct(tag, size, *fields): return Type(Gdb.TYPE_CODE_STRUCT, size, tag=tag, fields=fields)
def union(size, *fields): return Type(Gdb.TYPE_CODE_UNION, size, fields=fields)
def array(of, count): return Type(Gdb.TYPE_CODE_ARRAY, of.sizeof * count, target=of, name="array")
int32 = Type(Gdb.TYPE_CODE_INT, 4, "int")
u64 = Type(Gdb.TYPE_CODE_INT, 8, "u64")
void = Type(Gdb.TYPE_CODE_VOID, 1, "void")
atomic = Type(Gdb.TYPE_CODE_TYPEDEF, 4, "atomic_t", struct(None, 4, Field("counter", int32, 0)))
ops = struct("ops", 0x20, Field("open", pointer(void), 0), Field("weight", int32, 0x10), Field("refs", atomic, 0x14))
session = struct("session", 0x60,
    Field("id", u64, 0),
    Field(None, union(0x10, Field("lstats", pointer(ops), 0), Field("tstats", pointer(u64), 0)), 8),
    Field("ops", pointer(ops), 0x20),
    Field("links", array(struct("link", 8, Field("a", int32, 0), Field("b", int32, 4)), 4), 0x28),
    Field("flag", int32, 0x48, 3))
"""


def follow(python: str, kind: str, *hops: int) -> List[List[Any]]:
    """[[text, structure, offset] of each step after the first] of every way that a Python finds."""
    ask = f"""
found = follow("s", {kind}, [{{"offset": at}} for at in {list(hops)}])
print(json.dumps([[[step[0], step[2], step[3]] for step in way[1:]] for way in found]))
"""
    source = FAKE + SCRIPT.read_text() + ask
    done = subprocess.run([python, "-"], input=source.encode(), stdout=subprocess.PIPE, check=True)
    found: List[List[Any]] = json.loads(done.stdout.decode())
    return found


def pythons() -> List[str]:
    """The Python that runs us, and a 2.7 as el7's gdb has it where there is one."""
    old = [*map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python")), shutil.which("python2.7")]
    return [sys.executable, *[path for path in old if path][:1]]


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize(
    ("kind", "hops", "ways"),
    [
        ("pointer(session)", [0], [[["s->id", "struct session", 0]]]),
        (
            "pointer(session)",
            [0x20, 0x10],
            [[["s->ops", "struct session", 0x20], ["s->ops->weight", "struct ops", 0x10]]],
        ),
        (
            "pointer(session)",
            [0x20, 0x14],
            [[["s->ops", "struct session", 0x20], ["s->ops->refs", "struct ops", 0x14]]],
        ),
        ("pointer(session)", [8], [[["s->lstats", "struct session", 8]], [["s->tstats", "struct session", 8]]]),
        ("pointer(session)", [0x34], [[["s->links[1].b", "struct link", 4]]]),
        ("pointer(session)", [0x60], []),
        ("pointer(session)", [-8], []),
        ("pointer(void)", [0], []),
        ("pointer(u64)", [0], [[["*s", None, 0]]]),
        ("pointer(u64)", [0x18], [[["s[3]", None, 0x18]]]),
        ("pointer(u64)", [3], []),
        ("u64", [0], []),
        ("pointer(atomic)", [0], [[["*s", None, 0]]]),
        ("pointer(session)", [], [[]]),
    ],
)
def test_members(python: str, kind: str, hops: List[int], ways: List[Any]) -> None:
    assert follow(python, kind, *hops) == ways


@reads_source
def test_the_script_is_of_every_python_that_gdb_has() -> None:
    text = SCRIPT.read_text()
    assert text.encode("ascii"), "Python 2.7 wants to be told of anything else"
    vermin = Path(sys.executable).parent / "vermin"
    done = subprocess.run([str(vermin), "--no-tips", "-t=2.7-", str(SCRIPT)], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stdout.decode()
