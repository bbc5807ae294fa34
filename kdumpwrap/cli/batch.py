"""``kdumpwrap batch`` and ``kdumpwrap merge``: options in, crash after crash, print."""

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, Sequence

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output, signals
from kdumpwrap.cli import result as results
from kdumpwrap.cli.result import Result
from kdumpwrap.errors import KdumpwrapError, NoCrash, UsageError
from kdumpwrap.regex import regex

if TYPE_CHECKING:
    from kdumpwrap.batch.engine import Done
    from kdumpwrap.batch.tally import Tally
    from kdumpwrap.cli.pages import Site
    from kdumpwrap.model.bugs import Row
    from kdumpwrap.model.command import Command
    from kdumpwrap.model.crash import Crash, Problem

_AGO = regex(r"(?P<number>\d{1,6})(?P<unit>[hdw])", re.ASCII)
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def batch(
    where: Optional[Path] = typer.Argument(None, metavar="[DIR]", help="Where crashes lie; else where kdump saves."),
    since: Optional[str] = typer.Option(None, "--since", metavar="TIME", help="2024-01-31, 2024-01-31T10:00, 7d, 12h."),
    host: Optional[List[str]] = typer.Option(None, "--host", metavar="PATTERN", help="Of these hosts (repeatable)."),
    release: Optional[List[str]] = typer.Option(
        None, "--release", metavar="PATTERN", help="Of these kernels, as '5.14.*' (repeatable)."
    ),
    jobs: Optional[int] = typer.Option(
        None, "--jobs", "-j", envvar="KDUMPWRAP_JOBS", metavar="N", min=1, help="Processes that read logs."
    ),
    save: bool = typer.Option(False, "--save", help="Keep kdumpwrap.json and kdumpwrap.txt beside each crash."),
    new: bool = typer.Option(False, "--new", help="Only crashes that had no answer yet; exit status 4: there is none."),
    html: Optional[str] = typer.Option(None, "--html", metavar="DIR", help="Write an index and a page for each bug."),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    source_dir: Optional[List[Path]] = options.SOURCE_DIR,
    variables: Optional[bool] = options.VARIABLES,
    redact: Optional[str] = options.REDACT,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """Every crash at once, grouped by bug. How often, since when, on which kernels, where in the source."""
    from kdumpwrap.batch import engine as many
    from kdumpwrap.batch import news
    from kdumpwrap.batch import tally as counting
    from kdumpwrap.crashdir import finder
    from kdumpwrap.tools.recording import Recording

    options.one_format(raw, json)
    if new and not save:
        raise UsageError("--new needs --save: it is about saved answers", shell.hint("kdumpwrap batch --save --new"))
    output.show_commands(verbose)
    redactor = options.redactor(redact)
    scrub = str if redactor is None else redactor.text
    search = options.search(root, vmlinux, module_dir, source_dir)
    selection = many.Selection(_time(since) if since else None, tuple(host or ()), tuple(release or ()))
    tops = (where,) if where else finder.default_paths(root)
    shown = ", ".join(map(str, tops))
    with news.alone(tops if new else ()):
        found = finder.scan(where) if where else finder.scan_host(root)
        crashes = many.candidates(found.entries, selection)
        tally, site = counting.Tally(), None
        for path, why in found.unreadable:
            from kdumpwrap.model.crash import Problem

            tally.fail(Problem(f"{path}: {why}", shell.hint("sudo kdumpwrap batch {}", path)))
        if not crashes and tally.whole and new:
            return Result(news=False)
        if not crashes and tally.whole:
            if found.entries:
                raise NoCrash(f"{shown}: no crash here that fits", shell.hint("kdumpwrap list {}", tops[0]))
            look = shell.hint("kdumpwrap list") if where else shell.hint("kdumpwrap doctor")
            raise NoCrash(f"{shown}: no crash here", look)
        if html:
            from kdumpwrap.cli import pages

            site = pages.Site(html, shown, search, scrub)
        outcomes = many.outcomes(
            crashes,
            search,
            selection,
            jobs=jobs or _processors(),
            save_below=tops if save else (),
            reuse=not html,
            variables=bool(variables),
            only_new=new,
        )
        printed: "List[Crash]" = []  # crashes printed and not noted yet
        interrupted: Optional[KeyboardInterrupt] = None
        recording = Recording()
        with contextlib.closing(outcomes), recording, _progress(len(crashes), raw or json) as advance:
            try:
                for done in outcomes:
                    signals.check()  # a stopped tool may give half an answer
                    with signals.uninterrupted():  # a crash counted as done must be printed
                        one = tally.add(done)
                        if redactor is not None and done.analysis is not None:
                            redactor.crash(done.analysis)
                        output.out(scrub(_line(done, one, raw=raw, json=json)))
                        if site and one and done.analysis:
                            site.add(done.analysis)
                        if new and done.wanted and done.analysis:
                            printed.append(done.crash)
                        if raw or json:
                            _note(printed, tops, tally)
                    advance()
            except KeyboardInterrupt as ending:
                interrupted = ending
        if not (raw or json):
            from kdumpwrap.render import batch as renderer

            output.out(scrub(renderer.text(tally.groups.sorted(), output.style())))
        _note(printed, tops, tally)
        written = site is None or _written(site, tuple(tally.problems()), recording.commands)
        result = Result(
            problems=tuple(tally.problems()),
            answered=bool(tally.told or (new and tally.passed_over)),
            complete=written,
            news=bool(tally.told),
        )
        if interrupted:
            results.show(results.redacted(result, redactor))
            output.error(f"interrupted: {len(crashes) - tally.seen} of {len(crashes)} crashes are left")
            raise interrupted
        return results.redacted(result, redactor, last=True)


def _note(printed: "List[Crash]", tops: Sequence[Path], tally: "Tally") -> None:
    """Note that the crashes in ``printed`` are no longer new."""
    from kdumpwrap.batch import engine, news

    while printed:
        crash = printed.pop(0)
        try:
            news.told(crash, engine.top(crash, tops))
        except KdumpwrapError as error:
            tally.fail(results.failed(error).problems[0])


def _written(site: "Site", problems: "Sequence[Problem]", commands: "Sequence[Command]") -> bool:
    """Write the pages. False, with a message, if that fails: the batch is printed all the same."""
    try:
        site.write(problems, commands)
    except KdumpwrapError as error:
        output.error(error.message, error.hint)
        return False
    return True


def merge(
    files: List[str] = typer.Argument(
        ..., metavar="FILE...", help="What 'batch --json' wrote on each host; - is stdin."
    ),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    redact: Optional[str] = options.REDACT,
) -> Result:
    """The bugs of many hosts, from 'batch --json' on each of them."""
    from kdumpwrap.batch import merge
    from kdumpwrap.model.bugs import Groups
    from kdumpwrap.render import batch as renderer
    from kdumpwrap.render import keys
    from kdumpwrap.render.walker import lines

    options.one_format(raw, json)
    redactor = options.redactor(redact)
    groups, rows, bad = Groups(), 0, 0
    for item in merge.rows(files):
        if isinstance(item, merge.Bad):
            output.error(item.message if redactor is None else redactor.text(item.message), item.hint)
            bad += 1
        else:
            if redactor is not None and item.host:
                redactor.hosts([item.host])
            groups.add(item)
            rows += 1
    bugs = groups.sorted()
    if not rows and not bad:
        raise NoCrash("no crash in what was given", shell.hint("kdumpwrap batch --json >FILE"))
    rendered = renderer.raw(bugs) if raw else lines(bugs, keys.GROUP) if json else renderer.text(bugs, output.style())
    return results.redacted(Result(rendered, answered=bool(rows), complete=not bad), redactor, last=True)


def _line(done: "Done", row: "Optional[Row]", *, raw: bool, json: bool) -> str:
    """The output of one crash, printed as soon as it is done."""
    if json and done.line is not None and done.wanted:
        return done.line
    if json and done.analysis is not None and done.wanted:
        from kdumpwrap.render import json as json_renderer

        return json_renderer.render(done.analysis)
    if raw and row is not None:
        from kdumpwrap.render import batch as renderer

        return renderer.row(row)
    return ""


def _time(text: str) -> str:
    """The time that ``--since`` means: ISO 8601, local, as in Crash.time. Raises UsageError."""
    from datetime import datetime, timedelta

    from kdumpwrap import moment

    ago = _AGO.fullmatch(text)
    if ago:
        since = datetime.min  # before the year 1: every crash is later
        with contextlib.suppress(OverflowError):
            since = datetime.now() - timedelta(**{_UNITS[ago["unit"]]: int(ago["number"])})
        return since.isoformat(timespec="seconds")
    try:
        return moment.parse(text).isoformat(timespec="seconds")
    except ValueError:
        raise UsageError(
            f"--since {text}: not a time", shell.hint("--since 2024-01-31, 2024-01-31T10:00:00, 7d or 12h")
        ) from None


def _processors() -> int:
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def _progress(total: int, streaming: bool) -> Iterator[Callable[[], object]]:
    """A function to call after each crash. It moves a progress bar, if standard error is a terminal without output."""
    if not sys.stderr.isatty() or (streaming and sys.stdout.isatty()) or total < 2:
        yield lambda: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:  # typer 0.10 brings no rich
        yield lambda: None
        return

    columns = (TextColumn("crashes"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=total)

    def advance() -> None:
        with contextlib.suppress(RuntimeError):  # no thread can be started: no bar
            bar.start()  # it starts a thread: the processes that read logs must be forked before
            bar.advance(task)

    try:
        yield advance
    finally:
        bar.stop()
