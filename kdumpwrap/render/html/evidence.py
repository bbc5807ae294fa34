"""The sections Log, Evidence, Commands and What is missing."""

from typing import Sequence, Tuple

from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis, Finding
from kdumpwrap.render.html.document import esc, pill

LONGEST = 500  # characters of a log line
COMMAND = 100_000  # characters of a command: room for 5,000 addresses of addr2line; a cut command cannot be pasted

LogLines = Sequence[Tuple[int, str]]  # number in the file, from 1, and the line as it stands there


def log(finding: Finding, lines: LogLines, path: str) -> str:
    """The log lines around the report. Lines of the report itself are highlighted."""
    if not lines:
        return ""
    last = finding.report.last_line or lines[-1][0]
    rows = []
    before = lines[0][0] - 1
    for number, text in lines:
        if number != before + 1:
            rows.append('<div class="gap">…</div>')
        before = number
        own = " own" if finding.report.line < number <= last else ""
        css = "line" + (" head" if number == finding.report.line else own)
        shown = esc(text[:LONGEST]) + ("…" if len(text) > LONGEST else "")
        rows.append(f'<div class="{css}"><i class="no">{number}</i><code>{shown}</code></div>')
    count = f"lines {lines[0][0]} to {lines[-1][0]}"
    return (
        f'<details class="log"><summary>{count} of <code>{esc(path)}</code></summary>'
        f'<div class="listing" tabindex="0" role="region" aria-label="Log">{"".join(rows)}</div></details>'
    )


def sure(analysis: Analysis, finding: Finding) -> str:
    """The table of statements."""
    rows = "".join(
        f"<tr><td>{pill(one.level)}</td><td>{esc(one.what)}</td><td>{esc(one.because)}</td></tr>"
        for one in finding.statements
    )
    if not rows:
        return ""
    return (
        '<table class="sure"><thead><tr><th>How sure</th><th>Statement</th><th>Because</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def commands(run: Sequence[str]) -> str:
    """Every command that was run, ready for a shell. A click selects a whole command."""
    if not run:
        return ""
    shown = (esc(command[:COMMAND]) + (" …" if len(command) > COMMAND else "") for command in run)
    rows = [f"<li><code>{command}</code></li>" for command in shown]
    return f'<ol class="commands">{"".join(rows)}</ol>'


def problems(found: Sequence[Problem]) -> str:
    """The problems with their hints."""
    items = "".join(
        f"<li>{esc(one.message)}{f'<br><code>{esc(one.hint)}</code>' if one.hint else ''}</li>" for one in found
    )
    return f'<ul class="problems">{items}</ul>' if items else ""
