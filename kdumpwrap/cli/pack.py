"""``kdumpwrap pack`` on the command line."""

from pathlib import Path
from typing import List, Optional

import typer

from kdumpwrap.cli import options, output
from kdumpwrap.cli.result import Result


def pack(
    crash: Optional[str] = typer.Argument(
        None, metavar="[CRASH]", help="A crash directory, a log, a vmcore or -; else the newest crash."
    ),
    to: Optional[str] = typer.Option(
        None, "-o", "--output", metavar="FILE", help="Where to write it; - is standard output."
    ),
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """One small file of a crash, for analyze on another machine. It holds the log and facts of its kernel."""
    from kdumpwrap import pack as story
    from kdumpwrap.cli import pages
    from kdumpwrap.render.text import clean

    output.show_commands(verbose)
    text, found, problems = story.pack(crash, options.search(root, None, module_dir, None))
    if to == "-":
        return Result(text, problems)
    name = to if to is not None else f"{_name(found.path)}.kdumpwrap.json"
    pages.write(name, text, private=True)
    return Result(f"{clean(name)}\n", problems)


def _name(path: str) -> str:
    """The name of a crash directory, as ``127.0.0.1-2024-01-31-10:00:00``; "crash" for a log on standard input."""
    return "crash" if path == "-" else Path(path).resolve().name.lstrip(".-") or "crash"
