"""Colours for C and assembly. The text is untrusted: unusual or long text gets no colour."""

from typing import Collection, List, Sequence, Tuple

from kdumpwrap.explain.guilty import dumped
from kdumpwrap.regex import regex
from kdumpwrap.render.html.document import esc
from kdumpwrap.render.text import clean

_LONGEST = 400  # characters of a coloured line at most
_MOST = 20_000  # characters of all coloured lines at most

# one operand's parts: "%rax", "$0x10", "0x10", "#16", "<iptunnel_xmit+0x17d>", "(", "," …
_OPERAND = regex(r"(?P<symbol><[^<>]*>)|(?P<register>%?\b[a-z][a-z0-9]*\b)|(?P<number>[$#]?-?\b(?:0x)?[0-9a-f]+\b)")
_MEMORY = regex(r"[(\[][^()\[\]]*[)\]]")  # "(%rax,%rbx,8)", "[x0, #16]"
_CLASSES = {"Keyword": "k", "Name.Function": "f", "Literal.String": "s", "Literal.Number": "n", "Comment": "c"}


def c(lines: Sequence[str]) -> Tuple[str, ...]:
    """Each of ``lines`` of C as HTML."""
    lines = [clean(line) for line in lines]
    plain = tuple(esc(line) for line in lines)
    if any(len(line) > _LONGEST for line in lines) or sum(map(len, lines)) > _MOST:
        return plain
    try:
        from pygments.lexers.c_cpp import CLexer
    except ImportError:  # an RPM host without python3-pygments
        return plain
    text = "\n".join(lines) + "\n"
    opened, closed = text.find("/*"), text.find("*/")
    inside = closed >= 0 and (opened < 0 or closed < opened)  # the excerpt begins within a comment
    if inside:
        text = "/*" + text
    out: List[List[str]] = [[]]
    # "statement" leaves out the rules that look for whole functions: slow on text that only resembles C
    for _, token, value in CLexer().get_tokens_unprocessed(text, ("statement",)):  # type: ignore[no-untyped-call]
        name = next((short for long, short in _CLASSES.items() if str(token)[6:].startswith(long)), "")
        for number, part in enumerate(value.split("\n")):
            if number:
                out.append([])
            if part:
                out[-1].append(f'<i class="{name}">{esc(part)}</i>' if name else esc(part))
    if inside:
        out[0][0] = out[0][0].replace("/*", "", 1)
    coloured = tuple("".join(parts) for parts in out[: len(lines)])
    return coloured if len(coloured) == len(lines) else plain


def assembly(text: str, guilty: Collection[str]) -> str:
    """One instruction as HTML, its ``guilty`` registers marked. One pattern serves the syntax of every machine."""
    text = clean(text)[:_LONGEST]
    mnemonic, blank, operands = text.partition(" ")
    parts: List[str] = [f'<i class="k">{esc(mnemonic)}</i>{blank}']
    memory = [match.span() for match in _MEMORY.finditer(operands)] or [(0, len(operands))]
    end = 0
    for match in _OPERAND.finditer(operands):
        parts.append(esc(operands[end : match.start()]))
        end = match.end()
        kind, found = match.lastgroup, match[0]
        inside = any(start <= match.start() < stop for start, stop in memory)
        if inside and kind == "register" and dumped(found.lstrip("%"), guilty):
            parts.append(f'<b class="guilty">{esc(found)}</b>')
        else:
            parts.append(
                f'<i class="{"r" if kind == "register" else "n" if kind == "number" else "f"}">{esc(found)}</i>'
            )
    parts.append(esc(operands[end:]))
    return "".join(parts)
