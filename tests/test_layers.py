"""The house: imports point down only, and processes are started in two files alone."""

import ast
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "kdumpwrap"

# From the bottom up. A file imports from the layers under its own, and from its own directory.
LAYERS: Tuple[Tuple[str, ...], ...] = (
    ("__init__", "model", "errors"),  # values and errors: the standard library only
    ("taint", "where", "symbolname"),  # letters, lines, names of functions, and what they mean
    ("machinery", "dispatch"),  # tables of functions that are passed over, and of those that call back
    ("callchain",),  # what certainly ran
    ("parse", "render", "culprit", "packages"),  # pure: text in, values out; values in, text out
    ("signature",),  # what makes two culprits the same bug
    ("codecheck", "namesakes", "explain"),  # judgements on parsed text: is it so, which one, why
    ("crashfile", "crashname", "kdumpconf"),  # a crash's files, its name, and where kdump puts it
    ("tools", "crashdir"),  # one touches programs, the other files
    ("debuginfo", "rawcode"),
    ("analyze",),  # the story of one crash
    ("pages",),  # what is handed on as HTML
    ("batch", "doctor"),  # many crashes; no crash yet
    ("cli_doctor",),  # a command too large for cli.py
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
PURE = (
    "parse",
    "culprit",
    "explain",
    "codecheck",
    "namesakes",
    "machinery",
    "dispatch",
    "callchain",
    "symbolname",
    "signature",
    "where",
)
WORLD = {"os", "subprocess", "pathlib", "io", "shutil", "socket", "tempfile", "glob", "sys"}
BOUGHT = {"typer", "rich", "pygments", "pexpect", "packaging"}


def imports(file: Path) -> Iterator[str]:
    """Every module that ``file`` imports anywhere, as an absolute dotted name."""
    here = ("kdumpwrap", *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def layer(dotted: str) -> str:
    """``parse`` for kdumpwrap.parse.nm, ``__init__`` for what kdumpwrap itself holds (``__version__``)."""
    part = [*dotted.split("."), "__init__"][1]
    return part if (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").exists() else "__init__"


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_file_imports_from_below_and_keeps_to_its_trade(file: Path) -> None:
    own = file.relative_to(PACKAGE).with_suffix("").parts[0]
    assert own in RANK, f"say in LAYERS where {own} stands"
    names = list(imports(file))
    ours = [layer(name) for name in names if name.split(".")[0] == "kdumpwrap"]
    assert not [name for name in ours if name != own and RANK.get(name, 99) >= RANK[own]]
    roots = {name.split(".")[0] for name in names}
    assert "subprocess" not in roots or file == PACKAGE / "tools/run.py"
    assert "pexpect" not in roots or file == PACKAGE / "tools/crash.py"
    assert own not in PURE or not roots & WORLD
    assert RANK[own] > 0 or not roots & BOUGHT


def test_no_shell_between_us_and_the_tools() -> None:
    shells: List[str] = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                shells.append(f"{file}:{node.value.lineno}: shell=")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.system", "os.popen"):
                shells.append(f"{file}:{node.lineno}: {ast.unparse(node)}")
    assert not shells
