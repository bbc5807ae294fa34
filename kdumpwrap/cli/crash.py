"""``kdumpwrap crash`` on the command line."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, Sequence

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output
from kdumpwrap.cli.result import Result

if TYPE_CHECKING:
    from kdumpwrap.debuginfo import Search
    from kdumpwrap.model.crash import Problem


def crash(
    target: Optional[str] = typer.Argument(
        None, metavar="[CRASH]", help="A crash directory or a vmcore; else the newest crash."
    ),
    commands: Optional[List[str]] = typer.Option(
        None, "-c", "--command", metavar="CMD", help="A command for crash, such as 'bt -a' (repeatable)."
    ),
    rung: Optional[str] = typer.Option(
        None,
        "--rung",
        envvar="KDUMPWRAP_RUNG",
        metavar="NAME",
        help="Start crash so and not otherwise: plain, reduced, zero-excluded or minimal; else as memory allows.",
    ),
    timeout: Optional[float] = typer.Option(
        None,
        "--timeout",
        envvar="KDUMPWRAP_CRASH_TIMEOUT",
        metavar="SECONDS",
        min=0.1,
        help="For the start and for each command; else 600, or 120 for a crash too old for the kernel.",
    ),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """Ask crash(8) about a vmcore. Without -c, a session on the terminal, or the commands on standard input."""
    from kdumpwrap.render import crash as renderer
    from kdumpwrap.render import keys
    from kdumpwrap.render.walker import lines
    from kdumpwrap.vmcore import crashcmd

    options.one_format(raw, json)
    timeout = None if timeout is None else options.seconds(timeout)
    output.show_commands(verbose)
    search = options.search(root, vmlinux, module_dir, None)
    if not commands and not raw and not json and sys.stdin.isatty() and sys.stdout.isatty():
        return _session(target, search, rung, timeout)
    asked = commands or crashcmd.commands_of(sys.stdin.buffer.read().decode("utf-8", "backslashreplace"))
    with _progress() as progress:
        outcome, left = crashcmd.run(target, search, asked, rung=rung, timeout=timeout, progress=progress)
    whole = all(answer.complete for answer in outcome.answers)
    said = whole or any(answer.output.strip() and not answer.unavailable for answer in outcome.answers)
    rendered = ""
    if json:
        rendered = lines(outcome.answers, keys.ANSWER)
    elif said:
        rendered = renderer.raw(outcome.answers) if raw else renderer.text(outcome.answers, output.style())
    return Result(rendered, outcome.problems, _kept(left), answered=said)


def _session(target: Optional[str], search: "Search", rung: Optional[str], timeout: Optional[float]) -> Result:
    from kdumpwrap.vmcore import crashcmd

    with _progress() as progress:
        done, left = crashcmd.hand_over(target, search, output.problems, rung=rung, timeout=timeout, progress=progress)
    return Result("", done.problems, _kept(left), answered=done.end is not None)


@contextmanager
def _progress() -> Iterator[Callable[[str], object]]:
    """A function that shows words on the last line of a terminal. The line is cleared at the end."""
    tell = output.teller()
    if tell is None:
        yield lambda words: None
        return
    try:
        yield tell
    finally:
        tell("")


def _kept(left: Sequence[Path]) -> "List[Problem]":
    """A problem for each file that the user's commands wrote into crash's private directory, with its new path."""
    from kdumpwrap.model.crash import Problem

    hint = shell.hint("name a file by its full path, and it is written there")
    return [Problem(f"crash wrote {path}", hint) for path in left]
