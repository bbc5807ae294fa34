"""What the kernel says when its memory is used up (mm/oom_kill.c)."""

import re
from typing import Optional

# Out of memory: compulsory panic_on_oom is enabled                vm.panic_on_oom=2
# Out of memory: system-wide panic_on_oom is enabled               vm.panic_on_oom=1
# System is deadlocked on memory                                   4.20 and later
# Out of memory and no killable processes...                       before
_PANIC = re.compile(
    r"(?:Kernel panic - not syncing: )?"
    r"(?:Out of memory: (?P<policy>compulsory|system-wide) panic_on_oom is enabled|"
    r"(?P<nobody>System is deadlocked on memory|Out of memory and no killable processes))"
)


def policy(panic: str) -> Optional[str]:
    """Why the kernel called panic() when its memory was used up; None when ``panic`` is of another kind.

    ``system-wide`` and ``compulsory``: the setting vm.panic_on_oom, 1 or 2; ``no victim``: no process could be killed.
    """
    match = _PANIC.match(panic.strip())
    if match is None:
        return None
    return match["policy"] or "no victim"
