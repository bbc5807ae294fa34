"""``kdumpwrap analyze`` and ``kdumpwrap dmesg`` on the command line."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Tuple

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output
from kdumpwrap.cli import result as results
from kdumpwrap.cli.result import Result
from kdumpwrap.errors import KdumpwrapError, UsageError

if TYPE_CHECKING:
    from kdumpwrap.debuginfo import Search
    from kdumpwrap.model.command import Command
    from kdumpwrap.model.crash import Problem
    from kdumpwrap.model.finding import Analysis
    from kdumpwrap.model.vmcore import VmcoreFacts
    from kdumpwrap.render.redact import Redactor

    Asked = Tuple[Optional[VmcoreFacts], Sequence[Problem]]

CRASHES = typer.Argument(
    None, metavar="[CRASH]...", help="A crash directory, a log, a vmcore or -; else the newest crash."
)


def dmesg(
    crashes: Optional[List[str]] = CRASHES,
    raw: bool = options.RAW,
    json: bool = options.JSON,
    redact: Optional[str] = options.REDACT,
    root: Path = options.ROOT,
) -> Result:
    """The reports in a crash's log; no debuginfo needed."""
    from kdumpwrap import analyze as story

    options.one_format(raw, json)
    search = options.search(root, None, None, None)
    redactor = options.redactor(redact)
    job = partial(story.dmesg, search=search)
    return _each(crashes, job, raw=raw, json=json, all_reports=True, redactor=redactor)


def analyze(
    crashes: Optional[List[str]] = CRASHES,
    example: bool = typer.Option(False, "--example", help="Analyse the crash that the package carries."),
    all_reports: bool = typer.Option(False, "--all-reports", help="Every report in the log, not the fatal one alone."),
    html: Optional[str] = typer.Option(
        None, "--html", metavar="FILE", help="Write an HTML page to FILE; - is standard output."
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
    fetch: bool = typer.Option(False, "--fetch", help="First do what kdumpwrap fetch does."),
    variables: Optional[bool] = options.VARIABLES,
    redact: Optional[str] = options.REDACT,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """Which line brought the kernel down, who called it, and why. The main job."""
    from kdumpwrap import analyze as story

    options.one_format(raw, json, markdown, html == "-")
    if html is not None and len(crashes or ()) > 1:
        raise UsageError("--html makes the page of one crash", shell.hint("kdumpwrap batch --html DIR"))
    if fetch and "-" in (crashes or ()):
        raise UsageError(
            "--fetch reads a log twice, and standard input can be read once", shell.hint("kdumpwrap fetch RELEASE")
        )
    output.show_commands(verbose)
    redactor = options.redactor(redact)
    unpacked: "Sequence[Command]" = ()
    if example:
        from kdumpwrap.example import worked as carried
        from kdumpwrap.tools.recording import Recording

        with Recording() as recording:
            root = carried.root()
        unpacked = recording.commands
    search = options.search(root, vmlinux, module_dir, source_dir, debuginfod)
    wanted = variables is not False
    at_once = wanted and not (raw or json or markdown or html or with_crash or all_reports)
    renderer = "json" if json else "raw" if raw else "markdown" if markdown else "html" if html == "-" else "text"
    load = partial(import_module, f"kdumpwrap.render.{renderer}")
    early = (lambda analysis: _early(analysis, redactor)) if at_once else None
    return _each(
        crashes,
        lambda crash: story.analyze(crash, search, variables=wanted, early=early, meanwhile=load),
        early=early is not None,
        ask=(lambda analysis: _ask(analysis, search)) if with_crash else None,
        raw=raw,
        json=json,
        markdown=markdown,
        html=html,
        search=search,
        fetch=fetch,
        all_reports=all_reports,
        before=unpacked,
        redactor=redactor,
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
    search: "Optional[Search]" = None,
    fetch: bool = False,
    ask: "Optional[Callable[[Analysis], Asked]]" = None,
    before: "Sequence[Command]" = (),
    redactor: "Optional[Redactor]" = None,
) -> Result:
    """Do ``job`` for each crash and show its result at once. A failure does not stop the others.

    ``before``: the commands that prepared the crash.
    """
    from kdumpwrap.tools.recording import Recording

    shown: List[Result] = []
    targets: List[Optional[str]] = [*crashes] if crashes else [None]
    for target in targets:
        unfetched: Sequence[Problem] = ()
        with Recording() as recording:
            try:
                if fetch and search is not None:
                    unfetched = _fetched(target, search)
                analysis = job(target)
            except KdumpwrapError as error:
                shown.append(results.show(results.redacted(results.failed(error), redactor)))
                continue
            facts, refused = ask(analysis) if ask is not None else (None, ())
        if redactor is not None:
            redactor.crash(analysis)
        commands = (*before, *recording.commands)
        problems = (*unfetched, *refused, *analysis.problems, *(facts.problems if facts is not None else ()))
        rendered = ""
        if html is not None:
            rendered, unwritten = _page(analysis, commands, facts, search, html, redactor)
            problems = (*unwritten, *problems)
        if early:
            rendered = _late(analysis)
        elif html != "-":
            rendered = _text(analysis, commands, facts, raw=raw, json=json, markdown=markdown, all_reports=all_reports)
        notes = _fetchable(analysis) if search is not None and not fetch else ()
        result = Result(rendered, problems, notes, answered=bool(analysis.findings))
        shown.append(results.show(results.redacted(result, redactor)))
    return results.redacted(results.together(shown), redactor, last=True)


def _fetched(target: Optional[str], search: "Search") -> "Sequence[Problem]":
    """Fetch what is missing for the crash ``target``. Returns the problems of what could not be fetched."""
    from kdumpwrap.fetch import order, story

    try:
        return story.fetch(order.of(target, search, analysis=True), search, tell=output.teller()).problems
    except KdumpwrapError as error:
        return results.failed(KdumpwrapError(f"--fetch: {error.message}", error.hint)).problems


def _fetchable(analysis: "Analysis") -> "Sequence[Problem]":
    """The command that brings the vmlinux, where ``analysis`` lacks it and a distribution has it."""
    kernel, path = analysis.kernel, analysis.crash.path
    if kernel.vmlinux is not None or kernel.release is None or not analysis.findings:
        return ()
    from kdumpwrap.host import repositories

    return repositories.fetchable(kernel.release, kernel.release if path == "-" else path)


def _early(analysis: "Analysis", redactor: "Optional[Redactor]") -> None:
    """Print the rest before gdb answers: a user at a terminal does not wait for gdb."""
    from kdumpwrap.render import text

    if redactor is not None:
        redactor.crash(analysis)
    if analysis.findings:
        rendered = text.render(analysis, style=output.style())
        output.out(rendered if redactor is None else redactor.text(rendered))


def _late(analysis: "Analysis") -> str:
    """The section with gdb's answer."""
    from kdumpwrap.render import text

    return text.variables(analysis, output.style())


def _text(
    analysis: "Analysis",
    commands: "Sequence[Command]",
    facts: "Optional[VmcoreFacts]",
    *,
    raw: bool,
    json: bool,
    markdown: bool,
    all_reports: bool,
) -> str:
    """``analysis`` in the format asked for, and what crash added to it."""
    if facts is not None:
        from kdumpwrap.render import vmcore
    if markdown:
        from kdumpwrap.cli.commands import pasteable
        from kdumpwrap.render import markdown as markdown_renderer

        return markdown_renderer.render(analysis, pasteable(commands), facts)
    if json:
        from kdumpwrap.render import json as renderer

        return renderer.render(analysis, facts)
    if raw:
        from kdumpwrap.render import raw as raw_renderer

        rows = raw_renderer.render(analysis, all_reports=all_reports)
        return rows if facts is None else rows + vmcore.raw(facts)
    if not analysis.findings:
        return ""
    from kdumpwrap.render import text

    page = text.render(analysis, style=output.style(), all_reports=all_reports)
    return page if facts is None else f"{page}\n{vmcore.text(facts, output.style())}"


def _page(
    analysis: "Analysis",
    commands: "Sequence[Command]",
    facts: "Optional[VmcoreFacts]",
    search: "Optional[Search]",
    html: str,
    redactor: "Optional[Redactor]",
) -> "Tuple[str, Sequence[Problem]]":
    """The page of ``analysis`` when ``html`` is -; else it is written to that file. With it, why writing failed."""
    from kdumpwrap.cli import pages

    page = pages.crash(analysis, commands, facts)
    page = page if redactor is None else redactor.text(page)
    if html == "-":
        return page, ()
    try:
        pages.write(html, page, private=pages.is_private(analysis, facts, search))
    except KdumpwrapError as error:
        return "", results.failed(error).problems
    return "", ()


def _ask(analysis: "Analysis", search: "Search") -> "Asked":
    """The facts that crash adds to ``analysis``; None, and the reason, when it cannot be asked."""
    from kdumpwrap.vmcore import withcrash

    try:
        return withcrash.learn(analysis, search), ()
    except KdumpwrapError as error:
        return None, results.failed(error).problems
