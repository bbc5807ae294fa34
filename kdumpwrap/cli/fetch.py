"""``kdumpwrap fetch`` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output
from kdumpwrap.cli.result import Result
from kdumpwrap.errors import UsageError
from kdumpwrap.regex import regex

if TYPE_CHECKING:
    from kdumpwrap.model.crash import Problem

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = regex(r"(\d{1,12})([KMGT]?)")
_LARGEST = "5G"  # size of the cache after --prune without --max-size


def fetch(
    what: Optional[str] = typer.Argument(
        None, metavar="[CRASH|RELEASE]", help="A crash (the newest when left out), or the release of a kernel."
    ),
    everything: bool = typer.Option(False, "--all", help="All modules, not those of the trace alone."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the commands, and how much they load; load nothing."),
    list_kept: bool = typer.Option(False, "--list", help="Show what is kept."),
    prune: bool = typer.Option(False, "--prune", help="Remove what was not used for the longest time."),
    max_size: str = typer.Option(_LARGEST, "--max-size", metavar="SIZE", help="How much --prune leaves: 500M, 5G, 0."),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """Bring the debuginfo of the kernel that crashed. Nothing is installed, no repository is enabled."""
    options.one_format(raw, json)
    asked = [name for name, wanted in (("--list", list_kept), ("--prune", prune), ("--dry-run", dry_run)) if wanted]
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} exclude each other")
    if what is not None and (list_kept or prune):
        raise UsageError(f"{asked[0]} is about all that is kept, not about {what}")
    output.show_commands(verbose)
    if list_kept or prune:
        return _kept(root, _size(max_size) if prune else None, raw=raw, json=json)
    from kdumpwrap.fetch import order, story
    from kdumpwrap.render import fetched as renderer
    from kdumpwrap.render import keys
    from kdumpwrap.render.walker import lines

    search = options.search(root, None, module_dir, None)
    wanted = order.of(what, search, everything=everything)
    found = story.fetch(wanted, search, tell=output.teller(), say=output.error, dry=dry_run)
    rendered = lines([found], keys.FETCHED) if json else renderer.raw(found) if raw else renderer.text(found)
    return Result(rendered, found.problems, found.notes)


def _kept(root: Path, most: Optional[int], *, raw: bool, json: bool) -> Result:
    """The kept builds, the longest unused first. With ``most``: those removed to keep at most so many bytes."""
    from kdumpwrap.fetch import stage
    from kdumpwrap.host import fetched
    from kdumpwrap.model.crash import Problem
    from kdumpwrap.render import fetched as renderer
    from kdumpwrap.render import keys
    from kdumpwrap.render.walker import lines

    top = fetched.own(root)
    builds = fetched.entries(top) if top in fetched.tops(root) else ()
    problems: "List[Problem]" = []
    if most is not None and builds:
        removed = []
        with stage.locked(top, root, output.teller()):
            builds = fetched.entries(top)
            left = sum(build.size for build in builds)
            for build in builds:
                if left <= most:
                    break
                try:
                    fetched.remove(build)
                except OSError as error:
                    problems.append(Problem(f"{build.path}: {error.strerror}"))
                    continue
                left -= build.size
                removed.append(build)
        builds = tuple(removed)
    rows = lines(builds, keys.KEPT) if json else renderer.kept_raw(builds) if raw else renderer.kept_text(builds)
    notes = () if builds else (Problem(f"{top}: nothing to {'show' if most is None else 'remove'}"),)
    return Result(rows, problems, notes)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.upper())
    if match is None:
        raise UsageError(f"--max-size {text}: no size", shell.hint("--max-size 500M, or 5G, or 0"))
    return int(match[1]) * _UNITS[match[2]]
