"""``kdumpwrap doctor``: options in, one examination, print."""

from pathlib import Path

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output
from kdumpwrap.cli.result import Result
from kdumpwrap.errors import UsageError


def doctor(
    root: Path = options.ROOT,
    raw: bool = options.RAW,
    json: bool = options.JSON,
    fix: bool = typer.Option(False, "--fix", help="Print the commands that mend it, as a script. Nothing is run."),
    verbose: bool = options.VERBOSE,
) -> Result:
    """Will this host catch its next crash, and what to type if not. 0 ready, 3 not ready, 1 cannot tell."""
    from kdumpwrap.doctor import examination as surgery
    from kdumpwrap.doctor import script
    from kdumpwrap.render import doctor as renderer
    from kdumpwrap.render import keys
    from kdumpwrap.render.walker import lines

    options.one_format(raw, json)
    if fix and (raw or json):
        raise UsageError("--fix prints a script: leave --raw and --json out")
    output.show_commands(verbose)
    diagnosis = surgery.examine(root)
    notes = []
    if fix:
        from kdumpwrap.model.crash import Problem

        rendered = script.render(diagnosis)
        if diagnosis.ready is None:
            unknown = (check.fix for check in diagnosis.checks if check.status == "unknown")
            again = next((step.command for fix in unknown for step in fix if step.command), shell.NONE)
            notes.append(Problem(renderer.verdict(diagnosis), shell.hint("{} --fix", again) if again else again))
    elif json:
        rendered = lines([diagnosis], keys.DIAGNOSIS)
    elif raw:
        rendered = renderer.raw(diagnosis)
    else:
        rendered = renderer.text(diagnosis, output.style(), verbose=verbose)
    return Result(rendered, notes=notes, answered=diagnosis.ready is not None, complete=diagnosis.ready is True)
