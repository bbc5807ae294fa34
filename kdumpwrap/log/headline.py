"""The first line of a report: recognised by the table of kinds.py."""

import re
from functools import lru_cache
from typing import Dict, NamedTuple, Optional

from kdumpwrap.log.kinds import ANY_TRIGGER, FIRST_LINES, Role
from kdumpwrap.model.log import ReportKind
from kdumpwrap.regex import regex

# WARNING: at lib/list_debug.c:29 __list_add+0x65/0xc0()                    el7
# WARNING: at fs/hugetlbfs/inode.c:940 hugetlb_file_setup+0x227/0x250() (Tainted: P           ---------------   )
_OLD_WARNING = regex(r"\(\)(?: \((?:Not tainted|Tainted: .*)\))?$")


class Headline(NamedTuple):
    """A first line of a report, or the line of its die() or panic()."""

    kind: ReportKind
    role: Role
    text: str  # the whole line
    facts: Dict[str, str]  # what the pattern's groups found


@lru_cache(maxsize=1024)  # a line is asked for when it is looked for, joined and read, and many logs of a bug share it
def parse(text: str) -> Optional[Headline]:
    """The headline in ``text``, a line of the log without its prefix; None when it is another line."""
    if not ANY_TRIGGER.search(text):  # most lines need no search of the table
        return None
    text = text.strip()
    for row in FIRST_LINES:
        match = re.match(row.pattern, text) if row.literal in text else None
        if match:
            facts = {name: value for name, value in match.groupdict().items() if value is not None}
            return Headline(row.kind, row.role, text, facts)
    return None


def text_follows(kind: ReportKind, text: str) -> bool:
    """Whether the headline ``text`` is one of el6's or el7's WARN, which prints its text behind it."""
    return kind == "warning" and bool(_OLD_WARNING.search(text))
