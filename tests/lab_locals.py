"""The variables of a crashed thread as drgn reads them from the vmcore: run as a program of its own.

Usage: lab_locals.py VMCORE VMLINUX MODULE...; prints a JSON list of [function, {name: number or "&symbol"}].
"""

import contextlib
import json
import sys
from typing import Dict, List, Tuple, Union


def frames(core: str, files: List[str]) -> List[Tuple[str, Dict[str, Union[int, str]]]]:
    import drgn

    program = drgn.Program()
    program.set_core_dump(core)
    with contextlib.suppress(drgn.MissingDebugInfoError):  # of modules that no frame is in
        program.load_debug_info(files)
    found: List[Tuple[str, Dict[str, Union[int, str]]]] = []
    for frame in program.crashed_thread().stack_trace():
        values: Dict[str, Union[int, str]] = {}
        for name in frame.locals():
            try:
                value = frame[name].value_()
            except Exception:  # not there, not in the dump, or an expression of DWARF that divides by zero
                continue
            if isinstance(value, int):
                values[name] = int(value)
        found.append((frame.name, values))
    return found


if __name__ == "__main__":
    print(json.dumps(frames(sys.argv[1], sys.argv[2:])))
