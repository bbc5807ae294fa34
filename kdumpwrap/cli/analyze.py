"""``kdumpwrap analyze`` and ``kdumpwrap dmesg`` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, NoReturn, Optional, Sequence

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output
from kdumpwrap.cli.output import DONE, FAILED, PARTLY
from kdumpwrap.errors import KdumpwrapError, UsageError

if TYPE_CHECKING:
    from kdumpwrap.debuginfo import Places
    from kdumpwrap.model.finding import Analysis
    from kdumpwrap.model.vmcore import VmcoreFacts

CRASHES = typer.Argument(
    None, metavar="[CRASH]...", help="A crash directory, a log, a vmcore or -; else the newest crash."
)


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


def analyze(
    crashes: Optional[List[str]] = CRASHES,
    example: bool = typer.Option(False, "--example", help="Analyse the crash that the package carries."),
    all_reports: bool = typer.Option(False, "--all-reports", help="Every report in the log, not the fatal one alone."),
    html: Optional[str] = typer.Option(
        None, "--html", metavar="FILE", help="Write a page to hand on; - is standard output."
    ),
    with_crash: bool = typer.Option(
        False, "--with-crash", help="Ask crash(8) too: the other CPUs, memory, stuck tasks. Takes 10 s and 500 MB."
    ),
    markdown: bool = typer.Option(False, "--markdown", help="Sixty lines of Markdown, for a ticket or a mail."),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    source_dir: Optional[List[Path]] = options.SOURCE_DIR,
    debuginfod: bool = options.DEBUGINFOD,
    variables: Optional[bool] = options.VARIABLES,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> None:
    """Which line brought the kernel down, who called it, and why: the main job."""
    from kdumpwrap import analyze as story

    options.one_format(raw, json, markdown, html == "-")
    if html is not None and len(crashes or ()) > 1:
        raise UsageError("--html makes the page of one crash", shell.hint("kdumpwrap batch --html DIR"))
    output.show_commands(verbose)
    unpacked: Sequence[str] = ()
    if example:
        from kdumpwrap.example import worked as carried
        from kdumpwrap.tools import run

        with run.Recording() as recording:
            root = carried.root()
        unpacked = recording.commands
    places = options.places(root, vmlinux, module_dir, source_dir, debuginfod)
    wanted = variables is not False
    early = _early if wanted and not (raw or json or markdown or html or with_crash or all_reports) else None
    _each(
        crashes,
        lambda crash: story.analyze(crash, places, variables=wanted, early=early),
        early=early is not None,
        ask=(lambda analysis: _ask(analysis, places)) if with_crash else None,
        raw=raw,
        json=json,
        markdown=markdown,
        html=html,
        places=places,
        all_reports=all_reports,
        before=unpacked,
    )


def _each(
    crashes: Optional[List[str]],
    job: "Callable[[Optional[str]], Analysis]",
    *,
    raw: bool,
    json: bool,
    all_reports: bool,
    markdown: bool = False,
    html: Optional[str] = None,
    early: bool = False,
    places: "Optional[Places]" = None,
    ask: "Optional[Callable[[Analysis], Optional[VmcoreFacts]]]" = None,
    before: Sequence[str] = (),
) -> NoReturn:
    """Do ``job`` for each crash, print what it gives, and exit: one that fails does not stop the others.

    ``before``: the commands that made the crash ready.
    """
    from kdumpwrap.tools import run

    statuses = []
    targets: List[Optional[str]] = [*crashes] if crashes else [None]
    for target in targets:
        with run.Recording() as recording:
            try:
                analysis = job(target)
            except KdumpwrapError as error:
                output.error(error.message, error.hint)
                statuses.append(FAILED)
                continue
            facts = ask(analysis) if ask is not None else None
        commands = (*before, *recording.commands)
        whole = not analysis.problems and (ask is None or (facts is not None and not facts.problems))
        if html is not None:
            whole &= _page(analysis, commands, facts, places, html)
        if early:
            _late(analysis)
        elif html != "-":
            _show(analysis, commands, facts, raw=raw, json=json, markdown=markdown, all_reports=all_reports)
        output.problems((*analysis.problems, *(facts.problems if facts is not None else ())))
        statuses.append(FAILED if not analysis.findings else DONE if whole else PARTLY)
    raise typer.Exit(statuses[0] if len(set(statuses)) == 1 else PARTLY)


def _early(analysis: "Analysis") -> None:
    """Print what is known before gdb has answered: nobody at a terminal waits for it."""
    from kdumpwrap.render import text

    if analysis.findings:
        output.out(text.render(analysis, style=output.style()))


def _late(analysis: "Analysis") -> None:
    """Print what gdb has answered."""
    from kdumpwrap.render import text

    output.out(text.variables(analysis, output.style()))


def _show(
    analysis: "Analysis",
    commands: Sequence[str],
    facts: "Optional[VmcoreFacts]",
    *,
    raw: bool,
    json: bool,
    markdown: bool,
    all_reports: bool,
) -> None:
    """Print ``analysis`` in the format asked for, and what crash added to it."""
    if facts is not None:
        from kdumpwrap.render import vmcore
    if markdown:
        from kdumpwrap.commands import pasteable
        from kdumpwrap.render import markdown as markdown_renderer

        output.out(markdown_renderer.render(analysis, pasteable(commands), facts))
    elif json:
        from kdumpwrap.render import json as renderer

        output.out(renderer.render(analysis, None if facts is None else vmcore.as_json(facts)))
    elif raw:
        from kdumpwrap.render import raw as raw_renderer

        output.out(raw_renderer.render(analysis, all_reports=all_reports))
        output.out("" if facts is None else vmcore.raw(facts))
    elif analysis.findings:
        from kdumpwrap.render import text

        output.out(text.render(analysis, style=output.style(), all_reports=all_reports))
        output.out("" if facts is None else "\n" + vmcore.text(facts, output.style()))


def _page(
    analysis: "Analysis",
    commands: Sequence[str],
    facts: "Optional[VmcoreFacts]",
    places: "Optional[Places]",
    html: str,
) -> bool:
    """Write the page of ``analysis`` to the file ``html`` (-: standard output); False, and a word, if that fails."""
    from kdumpwrap import pages

    page = pages.crash(analysis, commands, facts)
    if html == "-":
        output.out(page)
        return True
    try:
        pages.write(html, page, private=pages.is_private(analysis, facts, places))
    except KdumpwrapError as error:
        output.error(error.message, error.hint)
        return False
    return True


def _ask(analysis: "Analysis", places: "Places") -> "Optional[VmcoreFacts]":
    """What crash adds to ``analysis``; None, and a word, when it cannot be asked."""
    from kdumpwrap.vmcore import withcrash

    try:
        return withcrash.learn(analysis, places)
    except KdumpwrapError as error:
        output.error(error.message, error.hint)
        return None
