"""The first line of a report: recognised by the table of kinds.py."""

import re
from functools import lru_cache
from typing import Dict, NamedTuple, Optional

from kdumpwrap.log.kinds import SHAPES, Role
from kdumpwrap.model.log import ReportKind

# a line without any of these is no headline: spares most lines the table
_WORDS = re.compile(
    r"BUG|WARNING: |INFO: |Kernel panic - |PANIC|\[#\d|Oops|general protection|nable to handle|LOCKUP|UBSAN: |"
    r"Hardware Error|tack overflow|stack space|stack guard|VERIFY|ASSERT|LustreError|unchecked MSR|unreferenced object|"
    r"suspected memory|Bad mode in|SError|Slab corr|Unhandled fault|Alignment trap|Machine [Cc]heck|divide e|"
    r"double fault|invalid opcode"
)


class Headline(NamedTuple):
    """A first line of a report, or the line of its die() or panic()."""

    kind: ReportKind
    role: Role
    text: str  # the whole line
    facts: Dict[str, str]  # what the pattern's groups found


@lru_cache(maxsize=1024)  # a line is asked for when it is looked for, joined and read, and many logs of a bug share it
def parse(text: str) -> Optional[Headline]:
    """The headline in ``text``, a line of the log without its prefix; None when it is another line."""
    if not _WORDS.search(text):
        return None
    text = text.strip()
    for shape in SHAPES:
        match = re.match(shape.pattern, text) if shape.literal in text else None
        if match:
            facts = {name: value for name, value in match.groupdict().items() if value is not None}
            return Headline(shape.kind, shape.role, text, facts)
    return None
