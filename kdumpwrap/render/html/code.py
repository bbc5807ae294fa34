"""The sections of the source and instructions, the variables and the registers."""

from typing import List, Optional, Sequence

from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import Location
from kdumpwrap.model.location import where
from kdumpwrap.octets import spaced
from kdumpwrap.render import lists, view
from kdumpwrap.render.html import colour
from kdumpwrap.render.html.document import esc

# special registers: listed apart, at the end of the table
_SPECIAL = frozenset(
    "eflags flags rflags cs ds es fs gs ss knlgs cr0 cr2 cr3 cr4 dr0 dr1 dr2 dr3 dr6 dr7 orig_rax pstate psr msr cr "
    "xer ctr cfar dar dsisr irqmask trap status badaddr cause pkru".split()
)
_FAULT = ("cr2", "far", "dar", "badaddr")  # registers that hold the faulting address


def code(finding: Finding) -> str:
    """The source beside the instructions, as HTML; empty when both are missing."""
    rows, source = finding.resolution.disassembly, finding.resolution.source
    if not rows and source is None:
        return ""
    steps = [*lists.steps(rows, source)]
    css = "code" if rows and source else "code single"
    return f'<div class="{css}">{_source(finding)}{_disassembly(finding, steps)}</div>{_tie(finding, steps)}'


def variables(finding: Finding) -> str:
    """The variables at the instruction pointer, the guilty one marked."""
    known = finding.variables
    if known is None:
        return ""
    rows = "".join(
        f"<tr{' class=fatal' if one.guilty else ''}><td><code>{esc(one.function)}</code>"
        f"{' <span class=faint>inlined</span>' if one.inlined else ''}</td><td><code>{esc(one.name)}</code></td>"
        f"<td><code>{esc(one.type)}</code></td><td><code>{esc(one.value)}</code></td></tr>"
        for one in known.rows
    )
    head = "<thead><tr><th>Function</th><th>Variable</th><th>Type</th><th>Value</th></tr></thead>"
    table = f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>' if rows else ""
    note = known.missing or view.unknown(known) or view.none_known(finding)
    return table + (f'<p class="note">{esc(note)}</p>' if note else "")


def registers(finding: Finding) -> str:
    """The log's register dump. Guilty registers are marked, and remarkable values have a note."""
    general: List[str] = []
    special: List[str] = []
    for name, value in finding.report.registers:
        marks = " ".join(["guilty"] * (name in finding.guilty) + ["zero"] * (value == 0))
        note = _note(name, value, finding)
        width = 16 if value >> 32 or name not in _SPECIAL else 8
        cell = (
            f'<div class="reg {marks}"><dt>{esc(name)}</dt><dd><code>{value:0{width}x}</code>'
            f"{f'<span>{note}</span>' if note else ''}</dd></div>"
        )
        (special if name in _SPECIAL else general).append(cell)
    if not finding.report.registers:
        return ""
    rest = f'<dl class="regs special">{"".join(special)}</dl>' if special else ""
    return f'<dl class="regs">{"".join(general)}</dl>{rest}'


def _note(name: str, value: int, finding: Finding) -> str:
    failed = finding.report.fault_address
    if value == failed and (name in _FAULT or (name not in _SPECIAL and value >= 0x1000)):
        return "the address that faulted"
    if name not in finding.guilty:
        return ""
    if failed is not None and 0 < failed - value < 1 << 16:
        return f"the address that faulted is {failed - value:#x} above it"
    return "used by the marked instruction"


def _source(finding: Finding) -> str:
    source = finding.resolution.source
    if source is None:
        best = finding.place
        if best is None or not finding.resolution.disassembly:
            return ""
        return (
            f'<div class="pane missing"><p>The source <code>{esc(where(best))}</code> is not on the host where this '
            "page was made; <code>--source-dir DIR</code> names its tree.</p></div>"
        )
    rows: List[str] = []
    for coloured, (number, _, fault, before) in zip(colour.c(source.lines), lists.lines(source)):
        rows.append(
            f'<div class="line{" fault" if fault else ""}" data-n="{number}"><b>{"▶" if fault else ""}</b>'
            f'<i class="no">{number}</i><code>{coloured}</code></div>'
        )
        if before is not None:
            # the text before the caret is invisible: it has the right width in every font
            code = f"<code><span>{esc(before)}</span>^</code>"
            rows.append(f'<div class="caret" aria-hidden="true"><b></b><i class="no"></i>{code}</div>')
    return (
        f'<div class="pane source"><h3>Source <code>{esc(where(Location(None, source.file, None)))}</code></h3>'
        f'<div class="listing" tabindex="0" role="region" aria-label="Source">{"".join(rows)}</div></div>'
    )


def _disassembly(finding: Finding, steps: Sequence[lists.Step]) -> str:
    if not steps:
        return ""
    base = finding.resolution.shown  # offsets then count from the symbol that the log names
    start = base.address - base.offset if base and base.address is not None and base.offset is not None else None
    out: List[str] = []
    for step in steps:
        if step.place:
            out.append(f'<div class="heading{" tied" if step.tied else ""}">{esc(step.place)}</div>')
        out.append(_instruction(step, finding, start))
    title = f" <span>offsets from <code>{esc(base.symbol)}</code></span>" if base and start is not None else ""
    title += " <span>of the log's Code: line</span>" if finding.resolution.from_log else ""
    return (
        f'<div class="pane disassembly"><h3>Instructions{title}</h3>'
        f'<div class="listing" tabindex="0" role="region" aria-label="Instructions">{"".join(out)}</div></div>'
    )


def _instruction(step: lists.Step, finding: Finding, start: Optional[int]) -> str:
    row, source = step.row, finding.resolution.source
    css = "line" + (" fault" if row.fault else " tied" if step.tied else "")
    line = source.fault_line if row.fault and source else step.line
    address = f"{row.address:x}" if start is None else f"+{row.address - start:x}"
    note = f' <span class="faint"># {esc(step.target)}</span>' if step.target else ""
    data = f' data-n="{line}"' if line is not None else ""
    octets = spaced(row.data)
    return (
        f'<div class="{css}"{data} title="{row.address:#x}: {octets}"><b>{"▶" if row.fault else ""}</b>'
        f'<i class="no">{address}</i><code class="bytes">{octets}</code>'
        f"<code>{colour.assembly(row.text, finding.guilty if row.fault else ())}{note}</code></div>"
    )


def _tie(finding: Finding, steps: Sequence[lists.Step]) -> str:
    """A sentence that relates the marked instruction to the marked source line."""
    fault = next((step.row for step in steps if step.row.fault), None)
    source, ip = finding.resolution.source, finding.resolution.ip
    if fault is None or source is None:
        return ""
    inner = ip.locations[0] if ip is not None and ip.locations else None
    if fault.file == source.file and fault.line == source.fault_line:
        number = sum(step.tied for step in steps)
        others = f"; {number - 1} more of its instructions are tinted" if number > 1 else ""
        text = f"The marked instruction is part of line {source.fault_line}{others}."
    elif inner is not None and inner.file == fault.file and inner.line == fault.line:
        text = (
            f"The marked instruction is <code>{esc(inner.function or '?')}</code> ({esc(where(inner))}), "
            f"inlined in line {source.fault_line}."
        )
    else:
        text = f"The marked instruction belongs to line {source.fault_line}."
    return f'<p class="note">{text}</p>'
