"""The exit status of a command: what its Result says, whatever the command."""

import ast
from pathlib import Path

import pytest
from conftest import reads_source

from kdumpwrap.cli import result
from kdumpwrap.cli.result import Result
from kdumpwrap.errors import NoCrash, UsageError
from kdumpwrap.model.crash import Problem

CLI = Path(result.__file__).parent
MISSING = Problem("no vmlinux")


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (Result("a line\n"), 0),
        (Result("a line\n", notes=[MISSING]), 0),
        (Result("a line\n", [MISSING]), 3),
        (Result("a line\n", complete=False), 3),
        (Result(answered=False), 1),
        (Result(problems=[MISSING], answered=False), 1),
        (Result(news=False), 4),
        (Result(problems=[MISSING], news=False), 3),
        (Result(answered=False, news=False), 1),
        (result.failed(NoCrash("no such directory")), 1),
        (result.failed(UsageError("--raw and --json exclude each other")), 2),
        (result.together([Result(), Result()]), 0),
        (result.together([Result(), Result(answered=False)]), 3),
        (result.together([Result(), Result(problems=[MISSING])]), 3),
        (result.together([Result(problems=[MISSING]), Result(problems=[MISSING])]), 3),
        (result.together([Result(answered=False), Result(answered=False)]), 1),
    ],
)
def test_the_status_follows_from_what_was_answered(one: Result, status: int) -> None:
    assert one.status == status


def test_what_is_missing_goes_to_standard_error_before_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    result.show(Result("a line\n", [MISSING], [Problem("crash wrote core.1")]))
    assert capsys.readouterr() == ("a line\n", "kdumpwrap: no vmlinux\nkdumpwrap: crash wrote core.1\n")


@reads_source
@pytest.mark.parametrize("file", sorted(CLI.glob("*.py")), ids=lambda file: file.name)
def test_no_command_decides_its_own_exit_status(file: Path) -> None:
    """``typer.Exit`` stands without a status; the names of the statuses stay where they are made and given to exit."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "typer.Exit":
            assert not node.args and not node.keywords
        if isinstance(node, ast.Name) and node.id in ("DONE", "FAILED", "USAGE", "PARTLY"):
            assert file.name == "result.py"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sys.exit":
            assert file.name == "signals.py"
