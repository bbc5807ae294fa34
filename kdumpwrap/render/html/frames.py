"""The call trace: frames in bands of their context, inlined callers folded, stale frames greyed."""

from itertools import groupby
from typing import Callable, Optional, Sequence

from kdumpwrap.log.strangers import OUT_OF_TREE, origins
from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import Location, ResolvedFrame
from kdumpwrap.model.location import telling, where
from kdumpwrap.model.vmcore import Backtrace
from kdumpwrap.render import lists
from kdumpwrap.render.html.document import esc, path

MOST = 400  # frames that a page shows: a runaway recursion prints thousands

_CONTEXTS = {
    "IRQ": ("irq", "interrupting whatever ran on this CPU"),
    "HARDIRQ": ("irq", "interrupting whatever ran on this CPU"),
    "SOFTIRQ": ("softirq", "deferred work of an interrupt"),
    "NMI": ("nmi", "a non-maskable interrupt"),
    "TASK": ("task", "on the task's own stack"),
    "LR": ("lr", "from the link register: the caller of a function that calls nothing"),
}


def trace(finding: Finding) -> str:
    """The section's content: the instruction pointer, then the bands."""
    return _banded(lists.trace(finding), finding, lambda row: None if row.label == "ip" else row.frame.context or "")


def backtrace(task: Backtrace, finding: Finding) -> str:
    """The frames of crash(8). The instruction pointer of an exception is a frame of its band."""
    return _banded(lists.backtrace(task), finding, lambda row: row.frame.context or "")


def name(frame: ResolvedFrame) -> str:
    """``send4<span>+0xf2/0x1b0</span>``: the offset in grey."""
    rest = f'<span class="faint">{lists.offset(frame)}</span>' if frame.symbol is not None else ""
    return f"{esc(lists.symbol(frame))}{rest}"


def tag(finding: Finding, module: Optional[str]) -> str:
    """The module of a function; one from outside the kernel's tree is marked."""
    if module is None:
        return ""
    origin = origins(finding.report).get(module)
    if origin == OUT_OF_TREE:
        return f' <span class="tag vendor" title="not of the kernel&#x27;s own tree">{esc(module)} · {origin}</span>'
    return f' <span class="tag">{esc(module)}{f" · {origin}" if origin else ""}</span>'


def _banded(rows: Sequence[lists.Row], finding: Finding, context: Callable[[lists.Row], Optional[str]]) -> str:
    shown = rows[:MOST]
    parts = [_band(name, list(band), finding) for name, band in groupby(shown, key=context)]
    if len(rows) > len(shown):
        parts.append(f'<p class="note">{len(rows) - len(shown)} more frames are not shown.</p>')
    return "".join(parts)


def _band(context: Optional[str], rows: Sequence[lists.Row], finding: Finding) -> str:
    frames = "".join(_frame(row, finding) for row in rows)
    if context is None:
        return f'<ol class="band ip">{frames}</ol>'
    if not context:
        return f'<ol class="band none">{frames}</ol>'
    css, meaning = _CONTEXTS.get(context, ("other", ""))
    says = f" <span>{meaning}</span>" if meaning else ""
    return f'<h3 class="context {css}">{esc(context)}{says}</h3><ol class="band {css}">{frames}</ol>'


def _frame(row: lists.Row, finding: Finding) -> str:
    frame = row.frame
    chain = frame.locations
    foreign = origins(finding.report).get(frame.module or "") == OUT_OF_TREE
    kind = "frame" + ("" if frame.certain else " unsure") + (" vendor" if foreign else "")
    kind += " pointer" if row.label == "ip" else ""
    label = "IP" if row.label == "ip" else row.label
    doubt = "" if frame.certain else '<span class="mark" title="may be left over on the stack">?</span> '
    note = f'<p class="note again">{esc(row.note)}</p>' if row.note else ""
    inlined = f' <span class="tag fold">{len(chain) - 1} inlined</span>' if len(chain) > 1 else ""
    said = f' <span class="faint said">crash: <code>{path(row.said)}</code></span>' if row.said else ""
    head = (
        f'<span class="no">{label}</span><span class="fn">{doubt}<code>{name(frame)}</code>'
        f'{tag(finding, frame.module)}{inlined}</span><span class="at">{_at(frame, row.label == "ip")}{said}</span>'
    )
    if len(chain) < 2:
        return f'<li class="{kind}"><div class="row">{head}</div>{note}</li>'
    opened = " open" if row.label == "ip" else ""
    return (
        f'<li class="{kind}"><details{opened}><summary class="row">{head}</summary>{_chain(chain)}</details>{note}</li>'
    )


def _at(frame: ResolvedFrame, known: bool) -> str:
    if frame.candidates:
        each = ", ".join(f"<code>{path(one)}</code>" for one in [*lists.candidates(frame)][:8])
        return f"{len(frame.candidates)} functions have this name: {each}"
    if frame.locations:
        return f"<code>{path(where(frame.locations[-1]))}</code>"
    return '<span class="faint">no line known</span>' if known else ""


def _chain(locations: Sequence[Location]) -> str:
    """The functions inlined into the frame's function, outermost first."""

    best = telling(locations)
    items = []
    for depth, place in enumerate(reversed(locations[:-1]), 1):
        css = f"row depth{min(depth, 6)}" + (" best" if place is best else "")
        items.append(
            f'<li class="{css}"><span class="no"></span><span class="fn"><span class="faint">└ </span>'
            f'<code>{esc(place.function or "?")}</code> <span class="faint">inlined</span></span>'
            f'<span class="at"><code>{path(where(place))}</code></span></li>'
        )
    return f'<ol class="chain">{"".join(items)}</ol>'
