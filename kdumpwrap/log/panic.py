"""The cause that the text of a panic names, where no other report of the log tells it (pure).

Sources: kernel/panic.c __stack_chk_fail, kernel/sched/core.c schedule_debug, kernel/exit.c do_exit, init/do_mounts.c.
"""

import re
from typing import Dict, Optional

from kdumpwrap.literal import Literal
from kdumpwrap.regex import regex

Cause = Literal["canary", "stack end", "init", "root"]

# stack-protector: Kernel stack is corrupted in: wan_parse+0x1e8/0x1f0 [xxxwan]
# corrupted stack end detected inside scheduler
# Attempted to kill init! exitcode=0x0000000b
# VFS: Unable to mount root fs on unknown-block(0,0)
_CAUSES: Dict[Cause, "re.Pattern[str]"] = {
    "canary": regex(r"stack-protector|stack is corrupted in"),
    "stack end": regex(r"corrupted stack end"),
    "init": regex(r"Attempted to kill init"),
    "root": regex(r"VFS: Unable to mount root"),
}
_STATUS = regex(r"exitcode=0x([0-9a-f]{1,8})")


def cause(text: str) -> Optional[Cause]:
    """The cause; None when the text names none that is known here."""
    return next((name for name, words in _CAUSES.items() if words.search(text)), None)


def status(text: str) -> Optional[int]:
    """The wait status of the init that ended; None when the text has none."""
    match = _STATUS.search(text)
    return int(match[1], 16) if match else None
