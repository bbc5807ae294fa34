"""The diagnosis of a host: lines for people, rows for scripts, an object for programs."""

from typing import Iterator, List, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.model.host import Check, Diagnosis, Step
from kdumpwrap.render import raw as rows
from kdumpwrap.render.text import PLAIN, Style, clean

_SIDES = (("capture", "Catching the next crash"), ("analysis", "Reading it"))
_WORDS = {"ok": "ok", "warn": "warn", "fail": "fail", "unknown": "warn", "skip": "-"}


def text(diagnosis: Diagnosis, style: Style = PLAIN, *, verbose: bool = False) -> str:
    """One line for each check, the commands of its fix below it. ``verbose`` adds the files that were read for it."""
    lines = [f"{style.bold}{clean(_host(diagnosis))}{style.reset}"]
    width = max((len(clean(check.name)) for check in diagnosis.checks), default=0)
    for side, title in _SIDES:
        checks = [check for check in diagnosis.checks if check.side == side]
        lines += ["", f"{style.bold}{title}{style.reset}"] if checks else []
        for check in checks:
            lines += _check(check, width, style, verbose)
    lines += ["", *_verdict(diagnosis, style)]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def raw(diagnosis: Diagnosis) -> str:
    """``CHECK  ok|warn|fail  SEEN  FIX`` for each check. An unknown result is ``warn`` and ``cannot tell: …``.

    A fault that follows from another one has no row of its own.
    """
    told = (check for check in diagnosis.checks if check.status != "skip")
    return "".join(rows.row(check.name, _WORDS[check.status], seen(check), command(check.fix)) + "\n" for check in told)


def seen(check: Check) -> str:
    """The observation of a check, in words."""
    return f"cannot tell: {check.seen}" if check.status == "unknown" else check.seen


def command(fix: Sequence[Step]) -> str:
    """The commands of a fix as one line for a shell. Steps without a command become comments."""
    commands = [step.command for step in fix if step.command]
    by_hand = [f"# {step.what}" for step in fix if not step.command]
    return "  ".join([*([" && ".join(commands)] if commands else []), *by_hand])


def verdict(diagnosis: Diagnosis) -> str:
    """The diagnosis in one sentence."""
    faults = _count(diagnosis, "capture")
    if diagnosis.ready is None:
        return "Cannot tell whether this host will catch its next crash."
    if faults:
        return f"Not ready: {faults} fault{'' if faults == 1 else 's'} between this host and its next dump."
    reading = _count(diagnosis, "analysis")
    if reading:
        what = "one thing is missing" if reading == 1 else f"{reading} things are missing"
        return f"It will catch its next crash, but {what} to read it here."
    return "Ready: this host will catch its next crash."


def _count(diagnosis: Diagnosis, side: str) -> int:
    return sum(check.side == side and check.status == "fail" for check in diagnosis.checks)


def _host(diagnosis: Diagnosis) -> str:
    memory = f"{diagnosis.memory / (1 << 30):.1f} GiB" if diagnosis.memory else None
    words = (diagnosis.distribution, diagnosis.release, diagnosis.arch, memory)
    root = f" in {diagnosis.root}" if diagnosis.root != "/" else ""
    return ", ".join(word for word in words if word) + root


def _check(check: Check, width: int, style: Style, verbose: bool) -> Iterator[str]:
    colour = {"fail": style.alarm, "warn": style.bold, "skip": style.faint, "ok": style.place}.get(
        check.status, style.bold
    )
    because = f" (follows from {clean(check.cause)})" if check.cause else ""
    tail = style.reset if check.status == "skip" else ""
    word = f"{colour}{_WORDS[check.status]:4}{'' if tail else style.reset}"
    yield f"  {word}  {clean(check.name):{width}}  {clean(seen(check))}{because}{tail}"
    indent = " " * (width + 10)
    if check.status in ("fail", "warn", "unknown"):
        for step in check.fix:
            yield f"{indent}{clean(step.command or step.what)}"
    if verbose and check.evidence:
        yield f"{indent}{style.faint}by {clean(', '.join(check.evidence))}{style.reset}"


def _verdict(diagnosis: Diagnosis, style: Style) -> Tuple[str, ...]:
    sentence = verdict(diagnosis)
    colour = style.alarm if diagnosis.ready is False else style.bold
    lines: List[str] = [f"{colour}{sentence}{style.reset}"]
    if any(check.status in ("fail", "warn") and check.fix for check in diagnosis.checks):
        lines.append(clean(shell.hint("The commands as a script: kdumpwrap doctor --fix")))
    return tuple(lines)
