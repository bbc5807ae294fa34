"""A report without its head: it begins with any line of its body, anywhere in a log."""

from typing import Dict, Optional

from kdumpwrap import shell
from kdumpwrap.log.builder import Draft
from kdumpwrap.log.headline import Headline
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.log import LogLine
from kdumpwrap.regex import regex

_CONTEXTS = 256  # that print at the same time
_LONGEST = 24  # lines within which a piece must show the instruction pointer, and code bytes or registers
_REGISTERS = 4  # that are enough where there are no code bytes
# how the lines of a body begin, up to the line of the instruction pointer
_BODY = regex(
    r"CPU: \d{1,6} .{0,20}(?:PID|Pid): \d|Hardware name: |Workqueue: |[RE]IP: [0-9a-f]{4}:|pstate: |pc : |NIP:? |"
    r"Krnl PSW : |Modules linked in:"
)
# lines before a dump of a CPU's registers that is no crash: a request for all stacks, SysRq p, a guest's own dump
_ASKED = regex(r"NMI backtrace for cpu|Sending NMI|[sS]ys[rR]q ?:|Show|invoked oom-killer|page allocation failure")


# text that only a crash report holds
_SIGN = regex(r"RIP:? |Call [Tt]race:|\[<[0-9a-f]{16}>\]|\[&lt;[0-9a-f]{16}")


class Leftovers:
    """Signs of a report in a log in which none was found."""

    def __init__(self) -> None:
        self._sign: Optional[LogLine] = None

    def read(self, line: LogLine) -> None:
        """Read any line of the log."""
        if self._sign is None and _SIGN.search(line.text):
            self._sign = line

    def problem(self, web: bool) -> Optional[Problem]:
        """The problem of the log's form, with a hint; None without a sign of a report. ``web``: it had tags."""
        if self._sign is None:
            return None
        text = self._sign.text.strip()[:120]
        if web:
            looks, hint = "the source of a web page", shell.hint("save what the browser shows as text, and give that")
        else:
            looks = "a piece of a report whose first lines are missing"
            hint = shell.hint('give the log from the line on that says "BUG:", "Oops:", "WARNING:" or "Kernel panic"')
        return Problem(f"line {self._sign.number} is of a crash report ({text}): this looks like {looks}", hint)


class Pieces:
    """Collects, for each context that prints, the lines that may be a report without its head."""

    def __init__(self) -> None:
        self._open: Dict[Optional[str], Draft] = {}
        self._asked: Dict[Optional[str], int] = {}  # number of the line that asked for a dump

    def read(self, line: LogLine, boot: int) -> Optional[Draft]:
        """Read ``line``, which belongs to no known report. The report when the line completes one, else None."""
        if len(self._open) > _CONTEXTS or len(self._asked) > _CONTEXTS:
            self._open.clear()
            self._asked.clear()
        text = line.text.strip()
        if _ASKED.search(text):
            self.forget(line)
            self._asked[line.caller] = line.number
            return None
        draft = self._open.get(line.caller)
        if draft is None:
            if not _BODY.match(text) or line.number - self._asked.get(line.caller, -_LONGEST) < _LONGEST:
                return None
            draft = self._open[line.caller] = Draft(line, Headline("oops", "piece", "", {}), boot)
        draft.feed(line)
        if draft.ip is not None and (draft.dump or len(draft.registers) >= _REGISTERS):
            del self._open[line.caller]
            return draft
        # a stack without registers before it was asked for: a RIP behind it is the code that was interrupted
        if line.number - (draft.last_line if draft.frames else draft.line) > _LONGEST:
            del self._open[line.caller]
        return None

    def forget(self, line: LogLine) -> None:
        """Drop the open piece of this context: a report with a head begins."""
        self._open.pop(line.caller, None)
