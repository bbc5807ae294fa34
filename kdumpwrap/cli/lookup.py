"""``kdumpwrap resolve`` and ``kdumpwrap disasm`` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence

import typer

from kdumpwrap.cli import options, output
from kdumpwrap.cli.result import Result

if TYPE_CHECKING:
    from kdumpwrap.model.crash import Problem


def resolve(
    expressions: List[str] = typer.Argument(
        ..., metavar="EXPR...", help="iptunnel_xmit+0x17d/0x1c0, 'send4+0xf2 [XxxWan]'."
    ),
    caller: bool = typer.Option(
        False, "--caller", help="EXPR is a return address: the line of the call, one byte back."
    ),
    release: Optional[str] = options.RELEASE,
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """File and line of symbol+offset: nm, the hex sum, and addr2line."""
    from kdumpwrap import resolve

    options.one_format(raw, json)
    output.show_commands(verbose)
    search = options.search(root, vmlinux, module_dir, None)
    answers, problems = resolve.resolve(expressions, release, search, caller=caller)
    if json:
        from kdumpwrap.render import json as renderer

        rendered = "".join(renderer.resolved(*answer[:2]) for answer in answers)
    elif raw:
        from kdumpwrap.render import raw as raw_renderer

        rendered = "".join(raw_renderer.resolved(*answer[:2]) for answer in answers)
    else:
        from kdumpwrap.render import text

        style = output.style()
        rendered = "".join(text.resolved(one.expression, one.frame, style, opened=one.opened) for one in answers)
    known = [one for one in answers if one.frame.locations]
    unopened = vmlinux is None and any(not one.opened and one.frame.module is None for one in answers)
    notes = _fetchable(release) if unopened else ()
    return Result(rendered, problems, notes, answered=bool(known), complete=len(known) == len(answers))


def _fetchable(release: Optional[str]) -> "Sequence[Problem]":
    """The command that brings the debuginfo of the kernel that was asked."""
    import os

    from kdumpwrap.host import repositories

    asked = release or os.uname().release
    return repositories.fetchable(asked, asked)


def disasm(
    expression: str = typer.Argument(..., metavar="EXPR", help="iptunnel_xmit+0x17d/0x1c0, 'send4+0xf2 [XxxWan]'."),
    whole: bool = typer.Option(False, "--all", help="The whole function, not a window round the instruction."),
    caller: bool = typer.Option(False, "--caller", help="EXPR is a return address: mark the call."),
    release: Optional[str] = options.RELEASE,
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    source_dir: Optional[List[Path]] = options.SOURCE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """The instructions round symbol+offset, with lines and source."""
    from kdumpwrap import resolve

    options.one_format(raw, json)
    output.show_commands(verbose)
    search = options.search(root, vmlinux, module_dir, source_dir)
    listing, problems = resolve.disassemble(expression, release, search, caller=caller, whole=whole)
    if json:
        from kdumpwrap.render import json as renderer

        rendered = renderer.listing(expression, listing)
    elif raw:
        from kdumpwrap.render import raw as raw_renderer

        rendered = raw_renderer.listing(listing)
    else:
        from kdumpwrap.render import text

        rendered = text.listing(listing, output.style())
    return Result(rendered, problems, answered=bool(listing.instructions) or not problems)
