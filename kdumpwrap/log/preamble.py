"""The reason that is printed just before a report: BUG and WARN have no room for it in their own line."""

from typing import Dict, Optional

from kdumpwrap.log import unwrap
from kdumpwrap.model.log import LogLine
from kdumpwrap.regex import regex

_CUT = "cut here ]-"  # "------------[ cut here ]------------", whose start a mail program may have left behind
_CONTEXTS = 256  # more than print at the same time
_SOON = 1.0  # seconds between the reason and the line of scissors
_NEAR = 4  # lines, those of others among them
# messages before the scissors that lead to BUG(); any other line there does not count
_REASON = regex(
    r"list_(?:add|del|head)|rbtree|refcount_t:|usercopy: |skbuff: |net_ratelimit|detected buffer overflow|"
    r"page dumped because|slab error|SLUB|kernel tried to execute|XFS.{0,40}: Assertion failed|"
    r"(?:EXT4-fs|JBD2|BTRFS).{0,40}[Aa]ssert|VERIFY|ASSERT|LBUG|Bad rss-counter|kobject.{0,80} is not initialized"
)
# lines of another report, or of programs, that may stand in front of a WARN whose scissors are missing
_BODY = regex(
    r"\(?\[<|[? ]*[\w.]{1,200}\+0x|<|---|===|[A-Z][\w ]{0,30}:(?: |$)|R\w\w: |CPU|\S{1,30} login:|\.\.\.|[^\w]|.{0,7}$"
)


class Preamble:
    """Remembers, for each context that prints, the last line and whether scissors followed it."""

    def __init__(self) -> None:
        self._last: Dict[Optional[str], LogLine] = {}
        self._before: Dict[Optional[str], Optional[LogLine]] = {}

    def read(self, line: LogLine) -> None:
        """Read one line that is no headline."""
        if len(self._last) > _CONTEXTS:
            self._last.clear()
            self._before.clear()
        if _CUT in line.text:
            self._before[line.caller] = self._last.pop(line.caller, None)
            rest = line.text.partition(_CUT)[2].lstrip("-").strip()
            if rest:  # joined with the next line by a program that wraps
                self._last[line.caller] = line._replace(text=rest)
        elif line.text.strip():
            last = self._last.get(line.caller)
            cut = last is not None and unwrap.is_cut(last, line)
            self._last[line.caller] = last._replace(text=f"{last.text} {line.text}") if last and cut else line

    def reason(self, headline: LogLine, kind: str, behind: bool = False) -> Optional[str]:
        """The reason for the report of this ``kind`` that ``headline`` begins, or None. It drops the remembered lines.

        A line between the scissors and the headline is WARN's text, as is the line in front of a warning's headline
        where the scissors are missing, unless its text comes ``behind``; one before them counts when it is of a kind
        that leads to BUG.
        """
        last = self._last.pop(headline.caller, None)
        if headline.caller not in self._before:
            near = last is not None and headline.number - last.number <= _NEAR and self._soon(last, headline)
            text = last.text.strip() if last is not None and near and kind == "warning" and not behind else ""
            return text if text and not _BODY.match(text) else None
        before = self._before.pop(headline.caller)
        if last is not None:
            return last.text.strip()
        if before is None or not _REASON.match(before.text.strip()):
            return None
        return before.text.strip() if self._soon(before, headline) else None

    @staticmethod
    def _soon(before: LogLine, line: LogLine) -> bool:
        return 0 <= (line.time or 0.0) - (before.time or 0.0) <= _SOON
