"""Lines that belong together: wrapped by a mail program, or written in blocks by pstore."""

import re
from typing import Iterable, Iterator, List, Optional, Tuple

from kdumpwrap.model import LogLine
from kdumpwrap.parse import code, headline
from kdumpwrap.parse.scan import Line

# Panic#1 Part3: what pstore writes before each block; part 1 is the newest and often the first on disk
_PART = re.compile(rb"\s{0,8}(?P<why>[A-Z][a-z]{2,12})#(?P<count>\d{1,4}) Part(?P<part>\d{1,4})\s*$")
_MAX_PSTORE = 65536  # lines

# how the lines of a report begin: such a line continues no other one
_START = re.compile(
    r"\s*(?:[REGCDSFKPXIMNLUHTBWOIkpeslxrw][\w]{0,11}\s?(?:\[|:\s)|CPU:|Pid:|\[?<|\? |\(\[<|---|\[[ 0-9c]|Call [Tt]race|Modules linked|"
    r"Hardware name|Workqueue|Code:|Oops|PGD|Krnl|Instruction|general protection|invalid opcode|kernel BUG|BUG|"
    r"WARNING|INFO|=====|#PF|Internal error|Unable to|Kernel |Last Breaking|EFLAGS|\.\.\.|task:|Process )"
)
_FRAME = re.compile(r"\s*(?:\? )?[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[[\w-]+\])?\s*$")
_ONLY_MODULE = re.compile(r"\s*\[[\w-]{1,64}\]\s*$")
_ONLY_HEX = re.compile(r"\s*(?:[0-9a-f]{8,16}|\(null\))\b")
_ENDS_OPEN = re.compile(r"(?:\bat|address:|\b[RECDFGS][0-9A-Z]{1,3}:|knlGS:|ORIG_RAX:)\s*$")
_RELEASE = re.compile(r"\s\d[\w.+~-]{3,100} #\d|ainted.{0,60}\ssyzkaller #")
_CPU = re.compile(r"(?:CPU: \d+ |Pid: \d+|\s*(?:Not tainted|Tainted: ))")
# headlines that cannot end here: "… stuck for 22s!", "… blocked for more than 120", "… 0000"
_OPEN = re.compile(
    r"stuck for(?: \d+s!)?$|blocked for(?: more(?: than(?: \d+)?)?)?$|not syncing:?$|dereference(?: at| on|,)?$| in$| for$"
)
_DATE = re.compile(r"\d\d/\d\d/\d{4}\s*$")
_CODE = re.compile(r"Code: (?:[0-9a-f<>()]{2,10} ?){1,200}$")


def unwrap(lines: Iterable[LogLine]) -> Iterator[LogLine]:
    """The same lines with those joined that a mail program, a terminal or a web page cut in pieces."""
    current: Optional[LogLine] = None
    for line in lines:
        if current is None:
            current = line
            continue
        joined = None if line.prefixed else _join(current, line.text)
        if joined is None:
            yield current
            current = line
        else:
            current = current._replace(text=joined, width=line.width + (14 if current.prefixed else 0))
    if current is not None:
        yield current


def _join(line: LogLine, following: str) -> Optional[str]:
    """``line`` and the piece that belongs to it as one text; None when it belongs to something else."""
    text = line.text
    piece = following[1:] if following.startswith("+") else following
    if not piece.strip() or not text.strip() or len(text) > 8192:
        return None
    if _continues(line, text.rstrip(), piece):
        return f"{text.rstrip()} {piece.strip()}"
    return None


def _continues(line: LogLine, text: str, piece: str) -> bool:
    if text.startswith("Code:"):
        words = code.words(piece)
        return bool(words) and bool(_CODE.match(text)) and len(code.words(text[5:]) or ()) < 64
    if _ONLY_MODULE.match(piece):
        return bool(re.search(r"/0x[0-9a-f]{1,8}$|Workqueue: .{1,80}$", text))
    if _ENDS_OPEN.search(text) and _ONLY_HEX.match(piece):
        return True
    if text.startswith("Modules linked in:"):
        names = piece.split()
        return bool(names) and all(
            re.fullmatch(r"[\w-]+(?:\([A-Za-z+-]+\))?|\[last|unloaded:|[\w-]+(?:\(\w+\))?\]", n) for n in names
        )
    if text.startswith("Hardware name:"):
        return not _DATE.search(text) and bool(_DATE.search(piece)) and not _START.match(piece)
    if _CPU.match(text):
        return not _RELEASE.search(text) and bool(
            re.match(
                r"\s*(?:\d[\w.+~-]{3,100} #\d|[A-Z -]{0,40}-{3,}|[A-Z](?: |$)|loaded |Not tainted|Tainted:|PID:|Comm:)",
                piece,
            )
        )
    found = headline.parse(text)
    if found is None:
        return False
    if re.match(r"WARNING: CPU: \d+ PID: \d+ at(?: \S+:\d+)?$", text):
        return True
    if _START.match(piece) or _FRAME.match(piece):
        return False
    if _OPEN.search(text):
        return True
    return line.prefixed and line.width + 1 + len(piece.split(maxsplit=1)[0]) > 66 and line.width < 82


def in_order(lines: Iterable[Line]) -> Iterator[Line]:
    """The same lines; when they come from pstore, its blocks put into the order in which they were printed."""
    held: List[Line] = []
    blocks: List[Tuple[Tuple[int, int], List[Line]]] = []
    iterator = iter(lines)
    for line in iterator:
        match = _PART.match(line.data) if len(line.data) < 64 else None
        if match:
            held = []
            blocks.append(((int(match["count"]), -int(match["part"])), held))
            break
        yield line
    if not blocks:
        return
    count = 0
    for line in iterator:
        match = _PART.match(line.data) if len(line.data) < 64 else None
        if match:
            held = []
            blocks.append(((int(match["count"]), -int(match["part"])), held))
        else:
            held.append(line)
        count += 1
        if count > _MAX_PSTORE:
            break
    blocks.sort(key=lambda block: block[0])
    for _, block in blocks:
        yield from block
    yield from iterator
