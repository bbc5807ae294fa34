"""The reason that is printed just before a report: BUG and WARN have no room for it in their own line.

BUG() prints scissors and its headline; a check that leads to it has printed its reason before them. WARN()'s text
stands between the scissors and the headline (logs of 4.16 to 6.19, include/asm-generic/bug.h of 6.1), on el6 and el7
behind the headline. WARN_ON() prints none, and from 4.15 to 5.1, so on el8, no scissors either (logs): then the line in
front of its headline is another's.
"""

from typing import Dict, NamedTuple, Optional

from kdumpwrap.log import unwrap
from kdumpwrap.model.log import LogLine, Message
from kdumpwrap.regex import regex

_CUT = "cut here ]-"  # "------------[ cut here ]------------", whose start a mail program may have left behind
_CONTEXTS = 256  # more than print at the same time
_SOON = 1.0  # seconds between the reason and the line of scissors
_NEAR = 4  # lines, those of others among them
# messages before the scissors that lead to BUG(); any other line there does not count
_REASON = regex(
    r"list_(?:add|del|head)|rbtree|refcount_t:|usercopy: |skbuff: |detected buffer overflow|"
    r"page dumped because|slab error|SLUB|kernel tried to execute|XFS.{0,40}: Assertion failed|"
    r"(?:EXT4-fs|JBD2|BTRFS).{0,40}[Aa]ssert|VERIFY|ASSERT|LBUG|Bad rss-counter|kobject.{0,80} is not initialized"
)
# lines of another report, or of programs, that may stand in front of a WARN whose scissors are missing
_BODY = regex(
    r"\(?\[<|[? ]*[\w.]{1,200}\+0x|<|---|===|[A-Z][\w ]{0,30}:(?: |$)|R\w\w: |CPU|\S{1,30} login:|\.\.\.|[^\w]|.{0,7}$"
)


class _Cut(NamedTuple):
    """The line of scissors in one context."""

    before: Optional[LogLine]
    lines: int = 0  # that followed


class Preamble:
    """Remembers, for each context that prints, the last line and whether scissors stood before it."""

    def __init__(self) -> None:
        self._last: Dict[Optional[str], LogLine] = {}
        self._cuts: Dict[Optional[str], _Cut] = {}

    def read(self, line: LogLine) -> None:
        """Read one line that is no headline."""
        if len(self._last) > _CONTEXTS:
            self._last.clear()
            self._cuts.clear()
        if _CUT in line.text:
            self._cuts[line.caller] = _Cut(self._last.pop(line.caller, None))
            rest = line.text.partition(_CUT)[2].lstrip("-").strip()
            if rest:  # joined with the next line by a program that wraps
                self._remember(line._replace(text=rest))
        elif line.text.strip():
            last = self._last.get(line.caller)
            if last is not None and unwrap.is_cut(last, line):
                self._last[line.caller] = last._replace(text=f"{last.text} {line.text}")
            else:
                self._remember(line)

    def _remember(self, line: LogLine) -> None:
        self._last[line.caller] = line
        cut = self._cuts.get(line.caller)
        if cut is not None:
            self._cuts[line.caller] = cut._replace(lines=cut.lines + 1)

    def reason(self, headline: LogLine, kind: str, behind: bool = False) -> Optional[Message]:
        """The reason for the report of this ``kind`` that ``headline`` begins, or None. It drops the remembered lines.

        The line between the scissors and the headline is WARN's text, unless that comes ``behind``. Where several stand
        there, or no scissors do, the line in front of a warning's headline is told as what it is. One before the
        scissors counts when it is of a kind that leads to BUG.
        """
        last = self._last.pop(headline.caller, None)
        cut = self._cuts.pop(headline.caller, None)
        if last is None:
            last = cut.before if cut is not None else None
            check = last is not None and _REASON.match(last.text.strip()) and self._soon(last, headline)
            return Message(last.text.strip(), "check") if last is not None and check else None
        text = last.text.strip()
        if kind != "warning" or behind or not self._soon(last, headline):
            return None
        if cut is not None and (cut.lines == 1 or headline.caller is not None):
            return Message(text, "report")
        near = headline.number - last.number <= _NEAR
        return Message(text, "neighbour") if near and not _BODY.match(text) else None

    @staticmethod
    def _soon(before: LogLine, line: LogLine) -> bool:
        return 0 <= (line.time or 0.0) - (before.time or 0.0) <= _SOON
