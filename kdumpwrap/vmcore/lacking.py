"""Gaps in an answer that crash(8) gave on a lower rung and does not mention.

Measured with crash 8.0.2, the same commands on each rung. Without modules ``bt`` leaves their frames out, one by one
and without a word, ``dev`` shows addresses for names, ``mod`` and ``kmem ADDRESS`` say less.
"""

import re
from typing import Optional

from kdumpwrap.vmcore.rungs import LEAST, PLAIN, Rung

# their answers are the same without the symbols of modules and without slab caches; any other may hold one
_SAME = frozenset(
    "log sys ps runq mount swap files net vm ipcs mach sig irq fuse struct union whatis p list tree search vtop pte "
    "ptov btop ptob ascii eval set help alias extend".split()
)
_SAME_OF_KMEM = frozenset("-i -v -n -z -V -p -f".split())
# those that take an address or a name, and say so when they know nothing of it; with these options they list all
_LOOK_UP = {"sym": ("-l", "-m", "-M", "-q"), "dis": (), "rd": ("-s", "-S")}
# symbol not found: wan_next_seq
# sym: invalid address: ffffffffc0629512
# WARNING: ffffffffc0629512: no associated kernel symbol found
# rd: seek error: kernel virtual address: ffffffffc0629512  type: "64-bit KVADDR"
_UNKNOWN = re.compile(r"symbol not found: |invalid address: |: no associated kernel symbol found|: seek error: ")


def lacks(rung: Rung, command: str, output: str) -> Optional[str]:
    """What may be missing in the ``output`` of ``command`` on ``rung``, in half a sentence; None: nothing."""
    words = command.split()
    if rung is PLAIN or not words or words[0].startswith("!"):
        return None
    name, options = words[0], words[1:]
    if name in _LOOK_UP:
        whole = not any(option in options for option in _LOOK_UP[name]) and not _UNKNOWN.search(output)
    elif rung is LEAST:
        whole = True  # of the others, --minimal refuses what it cannot answer
    else:
        whole = name in _SAME or (name == "kmem" and options[:1] != [] and options[0] in _SAME_OF_KMEM)
    return None if whole else f"crash knows nothing of modules{'' if rung is LEAST else ' and slabs'} as {rung.name}"
