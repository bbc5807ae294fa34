"""Lines that belong together: wrapped by a mail program, or written in blocks by pstore."""

import re
from functools import lru_cache
from typing import Iterable, Iterator, List, Optional, Tuple

from kdumpwrap.log import code, headline
from kdumpwrap.log.kinds import TALKATIVE
from kdumpwrap.log.prefilter import PSTORE, Line
from kdumpwrap.model.log import LogLine
from kdumpwrap.regex import regex

_MAX_PSTORE = 65536  # lines
_MONTH = regex(r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b")  # a logger's prefix, cut off
_LONGEST = 8192  # characters of a line put together
_SHORTEST = 7  # "Code: 0" is the least that can be continued
_MOST = 100  # pieces of one line
_MODULE = regex(r"[\w-]{1,64}(?:\([A-Za-z+-]{1,12}\)){0,2}$|\[last$|unloaded:$|[\w-]{1,64}(?:\(\w{1,8}\))?\]$")

# how the lines of a report or of a program begin: such a line continues no other line
_START = regex(
    r"\s*(?:\d{4}[/-]\d\d[/-]|[A-Za-z][\w /]{0,30}:(?:\s|$)|[A-Z]|kernel BUG|#PF|---|===|\.\.\.|<|\? |"
    r"\(?\[<|\[\]|\[[ \d]{1,7}\.|\[[0-9a-f]{8,16}\]|[\w.]{1,256}\+0x)"
)
_HYPHEN = regex(r"[\w.]-$")  # a word cut at its hyphen: "5.14.0-" and "478.el9.x86_64"
_WIDEST = 82  # characters that a mail program leaves on a line
_NARROWEST = 66  # and the least that a line and the next word must have had together, to be cut in two

# A line that cannot end there, and what the piece that goes on with it looks like:
_JOINS = (
    # a frame or the instruction pointer | its module
    (r".*(?:/0x[0-9a-f]{1,8}|Workqueue: .{1,80})$", r"\[(?![0-9a-f]{8,16}\])[\w-]{1,64}\](?:$| )"),
    # RIP: 0010:[<ffffffffc06124a8>] | f+0x1/0x2       … in | f+0x1/0x2       [<ffffffffc06124a8>] ? | f+0x1/0x2
    (r".*(?:>\]|\?| in| at|[RE]IP:|^IP:| [0-9a-f]{4}:)$", r"(?:\[<[0-9a-f]{8,16}>\] +)?(?:\? )?[\w.]{1,256}\+0x"),
    # "RAX: 0000000000000000 RBX:", "dereference, address:", "GS:ffff88013fd00000(0000)" | a number, the next name
    (r".*(?:\bat|address:?|\b[RECDFGS][0-9A-Z]{1,3}:|knlGS:|ORIG_RAX:)$", r"(?:[0-9a-f]{8,16}|\(null\))(?=[ (]|$)"),
    # WARNING: CPU: 0 PID: 785 at | kernel/locking/qspinlock_paravirt.h:500 | f+0xc0/0xd0
    (r"WARNING: CPU:(?: \d{1,6}(?: PID:(?: \d{1,10})?)?)?$", r"(?:\d|PID:|at )"),
    (r"WARNING: (?:CPU: \d{1,6} PID: \d{1,10} )?at$", r"\S+:\d"),
    (r"WARNING: (?:CPU: \d{1,6} PID: \d{1,10} )?at \S{1,300}:\d{1,6}$", r"[\w.]{1,256}\+0x"),
    # … stuck for 22s! | [kworker/6:2:42513]                  … blocked for more than | 120 seconds.
    (r".*soft lockup -(?: CPU#\d+(?: stuck(?: for(?: \d{1,9}s!)?)?)?)?$", r"(?:CPU#|stuck|for|\d+s!|\[)"),
    (r"INFO: task .* blocked(?: for(?: more(?: than(?: \d{1,9})?)?)?)?$", r"(?:for|more|than|\d{1,9}|seconds)"),
    # csd: Detected non-responsive CSD lock (#1) on CPU#2, | waiting 5000000008 ns for CPU#03 acme_sync+0x0/0x30(0x0).
    (r"csd: \w+ non-responsive CSD lock .*(?:,|waiting|\d| \w?s|for)$", r"(?:waiting|\d+ \w?s|\w?s for|for|CPU#\d)"),
    # general protection fault, probably for non-canonical address | 0xdead000003e0: 0000 [#1]
    (r"(?:Oops: )?general protection .*(?: for|canonical|address)$", r"(?:non-|address|0x)"),
    # BUG: unable to handle kernel NULL pointer dereference | at 0000000000000008
    (r".*at virtual$", r"(?:kernel |user )?address"),
    (
        r".*(?:NULL|pointer|paging|page|fault|fault for|dereference,?|request)$",
        r"(?:pointer|deref|request|fault|for|at|addr)",
    ),
    # Hardware name: Red Hat KVM, BIOS | 1.12.0-5.scrmod+el8.2.0 04/01/2014
    (r"Hardware name:(?!.*\d\d/\d\d/\d{4}$)", r".{0,80}\d\d/\d\d/\d{4}$"),
    # #0: ffff88810a4c1e18 | (&acme->lock){+.+.}-{3:3}, at: | acme_ioctl+0x3d/0x120 [acme]
    (r"#\d{1,3}: (?:[0-9a-f]{8,16})?$", r"\("),
    (r"#\d{1,3}: .*\}(?:-\{\d:\d\})?,(?: at:)?$", r"(?:at:|\[<[0-9a-f]{8,16}>\]|[\w.]{1,256}\+0x)"),
    # CPU: 6 PID: 1 Comm: systemd Kdump: loaded Tainted: G        W | -------  ---  5.14.0-452.el9.x86_64+rt #1
    (r"(?:CPU: |Pid: ).*(?:CPU|PID|UID|[Cc]omm|Kdump):$", r"\S"),
    (
        r"(?:CPU: \d+ |Pid: \d+|Not tainted|Tainted: )(?!.*(?: \d\S{3,100}| syzkaller) #\d?)",
        r"(?:\d[\w.+~-]{3,100} #\d|[A-Z][A-Z -]{0,30}-{3,}|-+ |[A-Z]{1,12}(?: |$)|"
        r"loaded |Not tainted|tainted |Tainted:|PID:|Comm:|Kdump:|#\d)",
    ),
)
# RAX: 0000000000000000 RBX: ffff88acda150000 | RCX: 0000000000000001
_REGISTERS = regex(r"(?:R[0-9A-Z]{2}|[CD]R\d|[CDF]S): .*[0-9a-f)]$")
_REGISTER = regex(r"(?:R(?!IP)[0-9A-Z]{2}|[CD]R\d|[DEG]S|EFLAGS|knlGS|ORIG_RAX): *[0-9a-f]")


def unwrap(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """The same lines with those joined that a mail program, a terminal or a web page cut in pieces."""
    current: Optional[LogLine] = None
    pieces = 0
    for line in lines:
        piece = "" if line.prefixed else line.text.lstrip("+ \t").rstrip()  # some mark the piece with a "+"
        if current is not None and piece and pieces < _MOST and _continues(current, piece):
            pieces += 1
            width = line.width + len(current.text) - len(current.text.rstrip())
            text = current.text.rstrip()
            blank = "" if _HYPHEN.search(text) else " "
            current = current._replace(text=f"{text}{blank}{piece}", width=width)
            continue
        if current is not None:
            yield current
        current = line
        pieces = 0
    if current is not None:
        yield current


@lru_cache(maxsize=None)
def _joins() -> Tuple[Tuple["re.Pattern[str]", "re.Pattern[str]"], ...]:
    """The patterns of _JOINS, compiled when a log has cut lines: it takes 3 ms."""
    return tuple((regex(ends), regex(goes_on)) for ends, goes_on in _JOINS)


def _continues(line: LogLine, piece: str) -> bool:
    """Whether ``piece``, a line without a prefix, is the rest of ``line``."""
    text = line.text.strip()
    if not _SHORTEST < len(text) < _LONGEST:
        return False
    if text.startswith("Code:"):
        return code.words(text[5:]) is not None and code.words(piece) is not None
    if text.startswith("Modules linked in:"):
        return _full(line, piece) and not _MONTH.match(piece) and all(_MODULE.match(name) for name in piece.split())
    if any(ends.match(text) and goes_on.match(piece) for ends, goes_on in _joins()):
        return True
    if line.prefixed and _REGISTERS.match(text) and _REGISTER.match(piece):
        return True
    if not line.prefixed or not _full(line, piece) or _START.match(piece):
        return False
    found = headline.parse(text)
    return found is not None and found.kind in TALKATIVE and not found.facts.keys() & {"addr", "at", "pid"}


def is_cut(line: LogLine, piece: LogLine) -> bool:
    """Whether ``piece``, whatever its text, is the rest of ``line``, which a mail program wrapped."""
    return line.prefixed and not piece.prefixed and len(line.text) < _LONGEST and _full(line, piece.text)


def _full(line: LogLine, piece: str) -> bool:
    """Whether the first word of ``piece`` had no room left on ``line``."""
    widest = _WIDEST if line.prefixed else 2 * _WIDEST
    return line.width <= widest and line.width + 1 + len(piece.split(None, 1)[0]) >= _NARROWEST


def in_order(lines: Iterable[Line]) -> Iterator[Line]:
    """The same lines; when pstore wrote them, its blocks in the order of time. On disk the newest, part 1, is first."""
    iterator = iter(lines)
    blocks: List[Tuple[Tuple[int, int], List[Line]]] = []
    held = 0
    for line in iterator:
        part = PSTORE.match(line.data) if len(line.data) < 64 else None
        if part:
            blocks.append(((int(part["count"]), -int(part["part"])), []))
        elif blocks:
            blocks[-1][1].append(line)
            held += 1
        else:
            yield line
        if held > _MAX_PSTORE:
            break
    blocks.sort(key=lambda block: block[0])
    for _, block in blocks:
        yield from block
    yield from iterator
