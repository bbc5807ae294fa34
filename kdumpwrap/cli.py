"""The command line: options in, one call, print. Errors become one line and an exit status here and nowhere else."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List, NoReturn, Optional

import typer

from kdumpwrap import __version__, cli_batch, cli_crash, cli_doctor, options, output
from kdumpwrap.errors import KdumpwrapError, UsageError

if TYPE_CHECKING:
    from kdumpwrap.model import Analysis

DONE, FAILED, USAGE, PARTLY = 0, 1, 2, 3

app = typer.Typer(
    name="kdumpwrap",
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a kernel crash dump to the source line that caused it.",
)

CRASHES = typer.Argument(
    None, metavar="[CRASH]...", help="A crash directory, a log, a vmcore or -; else the newest crash."
)

# typer stands on click, from 0.26 on a copy of its own: in both, what a wrong command line raises is above BadParameter
_WrongUsage: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 not done, 2 wrong usage, 3 done in part."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us (">&-")
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        status = app(prog_name="kdumpwrap", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else DONE)
    except KdumpwrapError as error:
        output.error(error.message, error.hint)
        sys.exit(USAGE if isinstance(error, UsageError) else FAILED)
    except _WrongUsage as error:
        error.show()
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)  # the reader has gone: no more can be said


@app.callback(invoke_without_command=True)
def _common(
    version: bool = typer.Option(False, "--version", is_eager=True, help="Show the version and exit."),
) -> None:
    if version:
        output.out(f"kdumpwrap {__version__}\n")
        raise typer.Exit()


app.command()(cli_doctor.doctor)
app.command()(cli_crash.crash)
app.command()(cli_batch.batch)
app.command()(cli_batch.merge)


@app.command("list")
def list_command(
    where: Optional[Path] = typer.Argument(None, metavar="[ROOT]", help="Where crashes lie; else as kdump.conf says."),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    root: Path = options.ROOT,
) -> None:
    """Every crash on this host, newest last."""
    from kdumpwrap import crashdir, kdumpconf
    from kdumpwrap.render import crashes as renderer

    options.one_format(raw, json)
    top = where or crashdir.default_path(root)
    found = crashdir.scan(where) if where else crashdir.scan_host(root)
    rows = [renderer.Listed(entry, crashdir.release(entry.crash)) for entry in found.entries]
    output.out(renderer.json(rows) if json else renderer.raw(rows) if raw else renderer.text(rows))
    for path, why in found.unreadable:
        output.error(f"{path}: {why}", f"sudo kdumpwrap list {path}")
    if not rows and not found.unreadable:
        output.error(
            f"{top}: no crash here", (kdumpconf.elsewhere(root) if where is None else "") or "kdumpwrap doctor"
        )
    raise typer.Exit(PARTLY if found.unreadable else DONE)


@app.command()
def dmesg(
    crashes: Optional[List[str]] = CRASHES,
    raw: bool = options.RAW,
    json: bool = options.JSON,
    root: Path = options.ROOT,
) -> None:
    """The reports in a crash's log; no debuginfo needed."""
    from kdumpwrap import analyze as story

    options.one_format(raw, json)
    places = options.places(root, None, None, None)
    _each(crashes, lambda crash: story.dmesg(crash, places), raw=raw, json=json, all_reports=True)


@app.command()
def analyze(
    crashes: Optional[List[str]] = CRASHES,
    example: bool = typer.Option(False, "--example", help="Analyse the crash that the package carries."),
    all_reports: bool = typer.Option(False, "--all-reports", help="Every report in the log, not the fatal one alone."),
    html: Optional[str] = typer.Option(
        None, "--html", metavar="FILE", help="Write a page to hand on; - is standard output."
    ),
    markdown: bool = typer.Option(False, "--markdown", help="Sixty lines of Markdown, for a ticket or a mail."),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    source_dir: Optional[List[Path]] = options.SOURCE_DIR,
    debuginfod: bool = options.DEBUGINFOD,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> None:
    """Which line brought the kernel down, who called it, and why: the main job."""
    from kdumpwrap import analyze as story

    options.one_format(raw, json, markdown, html == "-")
    if html is not None and len(crashes or ()) > 1:
        raise UsageError("--html makes the page of one crash", "kdumpwrap batch --html DIR")
    output.show_commands(verbose)
    if example:
        from kdumpwrap import example as carried

        root = carried.root()
    places = options.places(root, vmlinux, module_dir, source_dir, debuginfod)
    _each(
        crashes,
        lambda crash: story.analyze(crash, places),
        raw=raw,
        json=json,
        markdown=markdown,
        html=html,
        all_reports=all_reports,
    )


@app.command()
def resolve(
    expressions: List[str] = typer.Argument(
        ..., metavar="EXPR...", help="iptunnel_xmit+0x17d/0x1c0, 'send4+0xf2 [XxxWan]'."
    ),
    caller: bool = typer.Option(
        False, "--caller", help="EXPR is a return address: the line of the call, one byte back."
    ),
    release: Optional[str] = typer.Option(
        None, "--release", envvar="KDUMPWRAP_RELEASE", metavar="REL", help="The kernel's release; else the running one."
    ),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> None:
    """File and line of symbol+offset: nm, the hex sum, and addr2line."""
    from kdumpwrap import lookup

    options.one_format(raw, json)
    output.show_commands(verbose)
    places = options.places(root, vmlinux, module_dir, None)
    answers, problems = lookup.resolve(expressions, release, places, caller=caller)
    if json:
        from kdumpwrap.render import json as renderer

        output.out("".join(renderer.resolved(*answer) for answer in answers))
    elif raw:
        from kdumpwrap.render import raw as raw_renderer

        output.out("".join(raw_renderer.resolved(*answer) for answer in answers))
    else:
        from kdumpwrap.render import text

        output.out("".join(text.resolved(*answer, output.style()) for answer in answers))
    output.problems(problems)
    known = [frame for _, frame in answers if frame.locations]
    raise typer.Exit(DONE if len(known) == len(answers) and not problems else PARTLY if known else FAILED)


@app.command()
def disasm(
    expression: str = typer.Argument(..., metavar="EXPR", help="iptunnel_xmit+0x17d/0x1c0, 'send4+0xf2 [XxxWan]'."),
    whole: bool = typer.Option(False, "--all", help="The whole function, not a window round the instruction."),
    caller: bool = typer.Option(False, "--caller", help="EXPR is a return address: mark the call."),
    release: Optional[str] = typer.Option(
        None, "--release", envvar="KDUMPWRAP_RELEASE", metavar="REL", help="The kernel's release; else the running one."
    ),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    source_dir: Optional[List[Path]] = options.SOURCE_DIR,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> None:
    """The instructions round symbol+offset, with their lines and the source."""
    from kdumpwrap import lookup

    options.one_format(raw, json)
    output.show_commands(verbose)
    places = options.places(root, vmlinux, module_dir, source_dir)
    listing, problems = lookup.disassemble(expression, release, places, caller=caller, whole=whole)
    if json:
        from kdumpwrap.render import json as renderer

        output.out(renderer.listing(expression, listing))
    elif raw:
        from kdumpwrap.render import raw as raw_renderer

        output.out(raw_renderer.listing(listing))
    else:
        from kdumpwrap.render import text

        output.out(text.listing(listing, output.style()))
    output.problems(problems)
    raise typer.Exit(DONE if not problems else PARTLY if listing.instructions else FAILED)


def _each(
    crashes: Optional[List[str]],
    job: "Callable[[Optional[str]], Analysis]",
    *,
    raw: bool,
    json: bool,
    all_reports: bool,
    markdown: bool = False,
    html: Optional[str] = None,
) -> NoReturn:
    """Do ``job`` for each crash, print what it gives, and exit: one that fails does not stop the others."""
    statuses = []
    targets: List[Optional[str]] = [*crashes] if crashes else [None]
    for target in targets:
        try:
            analysis = job(target)
        except KdumpwrapError as error:
            output.error(error.message, error.hint)
            statuses.append(FAILED)
            continue
        written = html is None or _page(analysis, html)
        if html == "-":
            pass
        elif markdown:
            from kdumpwrap import commands
            from kdumpwrap.render import markdown as markdown_renderer
            from kdumpwrap.tools import run

            output.out(markdown_renderer.render(analysis, commands.pasteable(run.history())))
        elif json:
            from kdumpwrap.render import json as renderer

            output.out(renderer.render(analysis))
        elif raw:
            from kdumpwrap.render import raw as raw_renderer

            output.out(raw_renderer.render(analysis, all_reports=all_reports))
        elif analysis.reports:
            from kdumpwrap.render import text

            output.out(text.render(analysis, style=output.style(), all_reports=all_reports))
        output.problems(analysis.problems)
        statuses.append(FAILED if not analysis.reports else PARTLY if analysis.problems or not written else DONE)
    raise typer.Exit(statuses[0] if len(set(statuses)) == 1 else PARTLY)


def _page(analysis: "Analysis", html: str) -> bool:
    """Write the page of ``analysis`` to the file ``html`` (-: standard output); False, and a word, if that fails."""
    from kdumpwrap import pages
    from kdumpwrap.tools import run

    page = pages.crash(analysis, run.history())
    if html == "-":
        output.out(page)
        return True
    try:
        pages.write(html, page)
    except KdumpwrapError as error:
        output.error(error.message, error.hint)
        return False
    return True
