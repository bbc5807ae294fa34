"""The house: imports point down only, text is handled apart from files and programs, one place starts processes."""

import ast
from functools import lru_cache
from pathlib import Path
from typing import FrozenSet, List, Set

import pytest

PACKAGE = Path(__file__).resolve().parent.parent.parent / "kdumpwrap"
FILES = sorted(PACKAGE.rglob("*.py"))
# a layer is a file or a directory of the package; these get text and values, and never see the world outside
PURE = (
    "shell",
    "model",
    "errors",
    "log",
    "parse",
    "arch",
    "render",
    "culprit",
    "codecheck",
    "explain",
    "moment",
    "octets",
    "literal",
)
WORLD = {"os", "subprocess", "pexpect", "socket", "shutil", "tempfile", "glob", "fcntl", "resource"}
BOUGHT = {"typer", "click", "rich", "pygments", "pexpect", "packaging"}


def layer(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


@lru_cache(maxsize=None)
def imports(file: Path) -> FrozenSet[str]:
    """Every module and name that ``file`` imports, wherever in it: "os", "kdumpwrap.parse.nm.parse"."""
    here = ("kdumpwrap", *file.relative_to(PACKAGE).parent.parts)
    found: List[str] = []
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            found += [".".join([*base, alias.name]) for alias in node.names]
    return frozenset(found)


def outside(file: Path) -> FrozenSet[str]:
    return frozenset(name.split(".")[0] for name in imports(file)) - {"kdumpwrap"}


@lru_cache(maxsize=None)
def inside(file: Path) -> FrozenSet[Path]:
    """The files of the package that ``file`` imports."""
    found = set()
    for name in imports(file):
        parts = name.split(".")
        for end in range(len(parts), 0, -1) if parts[0] == "kdumpwrap" else ():
            target = PACKAGE.joinpath(*parts[1:end])
            if target.with_suffix(".py").is_file() or (target / "__init__.py").is_file():
                found.add(target.with_suffix(".py") if target.with_suffix(".py").is_file() else target / "__init__.py")
                break
    return frozenset(found)


def below(start: str) -> FrozenSet[Path]:
    """Every file that the layer ``start`` reaches by imports, its own included."""
    reached = {file for file in FILES if layer(file) == start}
    todo = list(reached)
    while todo:
        new = inside(todo.pop()) - reached
        reached |= new
        todo += new
    return frozenset(reached)


@pytest.mark.parametrize("name", sorted({layer(file) for file in FILES}))
def test_imports_point_down(name: str) -> None:
    own = {file for file in FILES if layer(file) == name}
    under = {imported for file in own for imported in inside(file)} - own
    ups = {layer(file) for file in under if own & below(layer(file))}
    assert not ups, f"{name} imports from {ups}, which import from {name}"
    if name in PURE:
        assert not [file for file in below(name) if outside(file) & WORLD]
    if name in ("model", "errors"):
        assert below(name) <= own | below("shell") | below("literal") and not [
            file for file in own if outside(file) & BOUGHT
        ]
    if name in ("log", "parse", "arch"):
        assert not [file for file in own if "pathlib" in outside(file)]
    if not name.startswith(("cli", "__main__")):
        over = [imported for imported in under if layer(imported).startswith("cli")]
        assert not over, "options, printing and exit statuses are the business of the command line alone"


@pytest.mark.parametrize("start", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_file_imports_what_imports_it(start: Path) -> None:
    """Nor inside a package, wherever in a file the import stands."""
    reached: Set[Path] = set()
    todo = [start]
    while todo:
        new = inside(todo.pop()) - reached
        reached |= new
        todo += new
    assert start not in reached


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_processes_start_in_one_place_and_without_a_shell(file: Path) -> None:
    assert "subprocess" not in outside(file) or file == PACKAGE / "tools/run.py"
    assert "pexpect" not in outside(file) or file == PACKAGE / "tools/crash.py"
    for node in ast.walk(ast.parse(file.read_text())):
        assert not (isinstance(node, ast.keyword) and node.arg == "shell")
        assert not (isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen", "os.fork"))
