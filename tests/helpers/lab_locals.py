"""The variables of a crashed thread as drgn reads them from the vmcore: run as a program of its own.

Usage: lab_locals.py VMCORE VMLINUX MODULE...; prints a JSON list of [function, {name: [number, ["&symbol+16", ...]]}].
"""

import contextlib
import json
import sys
from typing import Dict, List, Tuple

Values = Dict[str, Tuple[int, List[str]]]  # each number, and the symbols in which it lies when it is an address


def frames(core: str, files: List[str]) -> List[Tuple[str, Values]]:
    import drgn

    program = drgn.Program()
    program.set_core_dump(core)
    with contextlib.suppress(drgn.MissingDebugInfoError):  # of modules that no frame is in
        program.load_debug_info(files)
    found: List[Tuple[str, Values]] = []
    for frame in program.crashed_thread().stack_trace():
        values: Values = {}
        for name in frame.locals():
            try:
                value = frame[name].value_()
            except Exception:  # not there, not in the dump, or an expression of DWARF that divides by zero
                continue
            if isinstance(value, int):
                at = [(symbol.name, value - symbol.address) for symbol in program.symbols(value & ((1 << 64) - 1))]
                values[name] = (int(value), [f"&{name}+{offset}" if offset else f"&{name}" for name, offset in at])
        found.append((frame.name, values))
    return found


if __name__ == "__main__":
    print(json.dumps(frames(sys.argv[1], sys.argv[2:])))
