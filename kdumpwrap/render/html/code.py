"""Source and disassembly side by side, the faulting line tied to its instructions; the registers."""

from typing import List, Optional, Sequence, Tuple

from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame
from kdumpwrap.octets import spaced
from kdumpwrap.render import caret
from kdumpwrap.render.html import colour
from kdumpwrap.render.html.document import esc
from kdumpwrap.render.text import clean
from kdumpwrap.render.variables import remarks
from kdumpwrap.where import where

# what is no general register: told apart at the end of the table
_SPECIAL = frozenset(
    "eflags flags rflags cs ds es fs gs ss knlgs cr0 cr2 cr3 cr4 dr0 dr1 dr2 dr3 dr6 dr7 orig_rax pstate psr msr cr "
    "xer ctr cfar dar dsisr irqmask trap status badaddr cause pkru".split()
)
_FAULT = ("cr2", "far", "dar", "badaddr")  # where a CPU tells the address that faulted


def code(finding: Finding) -> str:
    """Both columns; one of them alone where the other is missing; empty when there is neither."""
    if not finding.resolution.disassembly and finding.resolution.source is None:
        return ""
    left, right = _source(finding), _disassembly(finding)
    css = "code" if finding.resolution.disassembly and finding.resolution.source else "code single"
    return f'<div class="{css}">{left}{right}</div>{_tie(finding)}'


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
    notes = [known.missing] if known.missing is not None else remarks(known)
    return table + "".join(f'<p class="note">{esc(note.strip())}</p>' for note in notes)


def registers(finding: Finding) -> str:
    """The log's register dump, the guilty ones marked and what is remarkable about a value said."""
    culprits = finding.guilty
    general: List[str] = []
    special: List[str] = []
    for name, value in finding.report.registers:
        marks = ["guilty"] if name in culprits else []
        note = _note(name, value, finding, culprits)
        if value == 0:
            marks.append("zero")
        width = 16 if value >> 32 or name not in _SPECIAL else 8
        cell = (
            f'<div class="reg {" ".join(marks)}"><dt>{esc(name)}</dt><dd><code>{value:0{width}x}</code>'
            f"{f'<span>{note}</span>' if note else ''}</dd></div>"
        )
        (special if name in _SPECIAL else general).append(cell)
    if not finding.report.registers:
        return ""
    rest = f'<dl class="regs special">{"".join(special)}</dl>' if special else ""
    return f'<dl class="regs">{"".join(general)}</dl>{rest}'


def _note(name: str, value: int, finding: Finding, culprits: Sequence[str]) -> str:
    if value == finding.report.fault_address and (name in _FAULT or (name not in _SPECIAL and value >= 0x1000)):
        return "the address that faulted"
    if name in culprits:
        if finding.report.fault_address is not None and 0 < finding.report.fault_address - value < 1 << 16:
            return f"the address that faulted is {finding.report.fault_address - value:#x} above it"
        return "used by the marked instruction"
    return ""


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
    for number, text in enumerate(colour.c(source.lines), source.first):
        css = "line fault" if number == source.fault_line else "line"
        mark = "▶" if number == source.fault_line else ""
        rows.append(
            f'<div class="{css}" data-n="{number}"><b>{mark}</b><i class="no">{number}</i><code>{text}</code></div>'
        )
        before = caret.before(source)
        if number == source.fault_line and before is not None:
            # what stands before it takes its room in whatever font shows it, and is not seen
            code = f"<code><span>{esc(clean(before))}</span>{caret.MARK}</code>"
            rows.append(f'<div class="caret" aria-hidden="true"><b></b><i class="no"></i>{code}</div>')
    return (
        f'<div class="pane source"><h3>Source <code>{esc(where(Location(None, source.file, None)))}</code></h3>'
        f'<div class="listing" tabindex="0" role="region" aria-label="Source">{"".join(rows)}</div></div>'
    )


def _disassembly(finding: Finding) -> str:
    rows = finding.resolution.disassembly
    if not rows:
        return ""
    culprits, base = finding.guilty, _base(finding)
    out: List[str] = []
    before: Tuple[Optional[str], Optional[int]] = (None, None)
    for row in rows:
        if row.file is not None and (row.file, row.line) != before:
            before = (row.file, row.line)
            tied = " tied" if _is_faulting_line(row, finding) else ""
            out.append(f'<div class="heading{tied}">{esc(where(Location(None, row.file, row.line)))}</div>')
        out.append(_instruction(row, finding, base, culprits))
    start = f" <span>offsets from <code>{esc(base.symbol)}</code></span>" if base else ""
    return (
        f'<div class="pane disassembly"><h3>Instructions{start}</h3>'
        f'<div class="listing" tabindex="0" role="region" aria-label="Instructions">{"".join(out)}</div></div>'
    )


def _instruction(row: Instruction, finding: Finding, base: Optional[ResolvedFrame], culprits: Sequence[str]) -> str:
    css = "line" + (" fault" if row.fault else " tied" if _is_faulting_line(row, finding) else "")
    line = (
        finding.resolution.source.fault_line if row.fault and finding.resolution.source else _line_shown(row, finding)
    )
    address = f"{row.address:x}"
    if base is not None and base.address is not None and base.offset is not None:
        address = f"+{row.address - (base.address - base.offset):x}"
    target = row.relocations[0].target if row.relocations else row.comment or ""
    note = f' <span class="faint"># {esc(target)}</span>' if target else ""
    data = f' data-n="{line}"' if line is not None else ""
    octets = spaced(row.data)
    return (
        f'<div class="{css}"{data} title="{row.address:#x}: {octets}"><b>{"▶" if row.fault else ""}</b>'
        f'<i class="no">{address}</i><code class="bytes">{octets}</code>'
        f"<code>{colour.assembly(row.text, culprits if row.fault else ())}{note}</code></div>"
    )


def _tie(finding: Finding) -> str:
    """In words, what the marks on both sides have to do with each other."""
    fault = next((row for row in finding.resolution.disassembly if row.fault), None)
    source, ip = finding.resolution.source, finding.resolution.ip
    if fault is None or source is None:
        return ""
    inner = ip.locations[0] if ip is not None and ip.locations else None
    if fault.file == source.file and fault.line == source.fault_line:
        number = sum(_is_faulting_line(row, finding) for row in finding.resolution.disassembly)
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


def _is_faulting_line(row: Instruction, finding: Finding) -> bool:
    return (
        _line_shown(row, finding) is not None
        and finding.resolution.source is not None
        and row.line == finding.resolution.source.fault_line
    )


def _line_shown(row: Instruction, finding: Finding) -> Optional[int]:
    """The line that the instruction comes from, if it is one of the source that is shown."""
    source = finding.resolution.source
    if source is None or row.line is None or row.file != source.file:
        return None
    return row.line if source.first <= row.line < source.first + len(source.lines) else None


def _base(finding: Finding) -> Optional[ResolvedFrame]:
    """The frame that the marked instruction belongs to, so that its offsets are those of the log."""
    shown = finding.resolution.shown
    return shown if shown is not None and shown.address is not None and shown.offset is not None else None
