"""The C function that called the assembly in which a crash happened, and the registers that still hold its values."""

from contextlib import suppress
from typing import Dict, Optional, Set, Tuple

from kdumpwrap.arch import table
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.explain import chain, entered
from kdumpwrap.explain.access import Registers
from kdumpwrap.explain.entered import State
from kdumpwrap.explain.origin import is_hook
from kdumpwrap.model.kernel import Instruction, Resolution, ResolvedFrame
from kdumpwrap.model.scope import Question
from kdumpwrap.parse import nm
from kdumpwrap.parse.patches import Patches
from kdumpwrap.symbolize.objects import Section, lookup
from kdumpwrap.symbolize.symbolizer import Symbolizer

_KERNEL = Section(None, None)
_FUNCTIONS = 6  # functions that are followed through jumps, the called one included


def questions(
    resolution: Resolution, frame: ResolvedFrame, symbolizer: Symbolizer
) -> Optional[Tuple[Question, Question]]:
    """Two questions about ``frame``, the caller of what may be assembly of the vmlinux; None if that is not proven.

    The first is about the call, with the registers whose values there are certain. The second is about the place behind
    the call, with the registers that calls keep: DWARF puts a variable that is still needed into one of them.
    """
    ip = resolution.ip
    if ip is None or ip.module is not None or ip.address is None or resolution.check.result == "mismatch":
        return None
    if frame.exact or frame.address is None or not symbolizer.fits(frame) or not _is_hookless(resolution):
        return None
    with suppress(KdumpwrapError):
        patches = symbolizer.disassembly.patches(_KERNEL)
        rows = _instructions(frame, symbolizer)
        call = next((row for row in rows if row.address + len(row.data) == frame.address), None)
        for entry in _entries(call, frame, patches, symbolizer) if call is not None else ():
            state = _held(entry, ip.address, patches, symbolizer)
            values = Registers(resolution)
            exact = {one.register: values.get(name) for name, one in state.items() if one.exact}
            known = {name: value for name, value in exact.items() if value is not None}
            if call is not None and known:
                led = chain.of_call(resolution, state, known, call, rows)
                kept = {name: value for name, value in known.items() if name in table.of(entered.ARCH).kept}
                return (
                    Question(frame.section, call.address, tuple(sorted(known.items())), led),
                    Question(frame.section, lookup(frame), tuple(sorted(kept.items()))),
                )
    return None


def _instructions(frame: ResolvedFrame, symbolizer: Symbolizer) -> Tuple[Instruction, ...]:
    """The instructions of the function of ``frame``; () when it is unknown."""
    function = symbolizer.function(frame)
    return symbolizer.disassembly.of(Section.of(frame), function).result() if function is not None else ()


def _is_hookless(resolution: Resolution) -> bool:
    """Whether the function may be assembly: it has no place for ftrace, as nearly every C function has."""
    rows = resolution.function
    arch = resolution.report.arch or entered.ARCH
    return arch == entered.ARCH and bool(rows) and not any(row.text.startswith("call") and is_hook(row) for row in rows)


def _entries(row: Instruction, frame: ResolvedFrame, patches: Patches, symbolizer: Symbolizer) -> Set[int]:
    """The addresses in the vmlinux that the call ``row`` may go to."""
    if frame.module is None:
        return set(entered.called(row, patches))
    symbols = symbolizer.objects[None].nm
    names = (relocation.target.rpartition("-0x")[0] for relocation in row.relocations)
    found = (nm.address(symbols, name) for name in names if name)
    return {address for address in found if address is not None}


def _held(entry: int, fault: int, patches: Patches, symbolizer: Symbolizer) -> State:
    """What the registers at ``fault`` hold of those at ``entry``; {} when no jump leads from ``entry`` to ``fault``."""
    region: Dict[int, Instruction] = {}
    todo, functions = [entry], 0
    while todo:
        address = todo.pop()
        if address in region:
            continue
        function = symbolizer.objects[None].enclosing(None, address)
        functions += 1
        if function is None or functions > _FUNCTIONS:
            return {}
        rows = symbolizer.disassembly.of(_KERNEL, function).result()
        region.update((row.address, row) for row in rows)
        if address not in region:
            return {}
        todo += entered.targets(rows, patches)
    return entered.held(region.values(), entry, fault, patches)
