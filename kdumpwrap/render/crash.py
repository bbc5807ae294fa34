"""The answers of ``kdumpwrap crash``."""

from typing import Sequence

from kdumpwrap.model.vmcore import Answer
from kdumpwrap.render.text import PLAIN, Style, clean


def text(answers: Sequence[Answer], style: Style = PLAIN) -> str:
    """Each answer below its command. The cause of an incomplete answer follows it in brackets."""
    blocks = []
    for answer in answers:
        lines = [f"{style.bold}crash> {clean(answer.command)}{style.reset}", *map(clean, _lines(answer.output))]
        if not answer.complete:
            lines.append(f"{style.alarm}[not complete: {clean(answer.cause)}]{style.reset}")
        blocks.append("".join(f"{line}\n" for line in lines))
    return "\n".join(blocks)


def raw(answers: Sequence[Answer]) -> str:
    """The answers without their commands. TABs are kept."""
    lines = (line for answer in answers for line in _lines(answer.output))
    return "".join("\t".join(map(clean, line.split("\t"))) + "\n" for line in lines)


def _lines(output: str) -> Sequence[str]:
    """The lines of crash's output. Only a newline ends a line: a log may hold form feeds and NELs."""
    return [line.rstrip("\r") for line in output.rstrip("\n").split("\n")] if output.strip("\n") else []
