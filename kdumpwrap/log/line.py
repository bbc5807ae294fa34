"""One line of a kernel log without the prefix of a console, a logger or a mail program."""

import re
from typing import List, NamedTuple, Optional

from kdumpwrap.model.log import LogLine
from kdumpwrap.regex import regex

MAX_LINE = 16384  # bytes of one line that are read; the kernel's own records end at 1,024

# [ 1823.251269]    [  772.91 ]… with the difference dmesg -d shows, and CONFIG_PRINTK_CALLER's [ T123] or [    C0]
_STAMP = regex(
    r"\[[ ]{0,8}(?P<seconds>\d{1,9}\.\d{6})(?:[ ]<[^<>]{1,20}>)?\]"
    r"(?:[ ]?\[[ ]{0,12}(?P<caller>[TC]\d{1,10})\])?[ ]?"
)
_CALLER = regex(r"\[[ ]{0,12}(?P<caller>[TC]\d{1,10})\] ")  # [ T123] without a time

# ">> <4>": quoted in a mail, and the level that console and dmesg -r print ("<48> 83 40" is code, wrapped by a mailer)
# (">000003ff7fd10aca: 9601201f" is s390's mark of the faulting instruction)
_QUOTE = regex(r"(?!>[0-9a-f]{16}:)(?:[>|] ?){1,8}")
_LEVEL = regex(r"<\d{1,3}>(?! [0-9a-f]{2}(?: |$))|kern *:\w{1,8} *: ")
# "4,1234,5678901,-;": /dev/kmsg and extended netconsole; microseconds
_KMSG = regex(r"\d{1,4},\d{1,12},(?P<micro>\d{1,16}),[-c+](?:,[^;]{0,60})?;")
# "[Wed Dec 20 10:51:06 2023] ": dmesg -T
_WALL = regex(
    r"\[[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[ \d]\d) "
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) \d{4}\] ?"
)
# "Jun 14 20:03:13 ", "2017-04-08 03:34:51    ", "2023-12-20T10:51:06.123456+08:00 "
_DATE = regex(
    r"(?:(?P<month>[A-Z][a-z]{2})\s{1,2}(?P<day>\d{1,2})\s|\d{4}-(?P<number>\d\d)-(?P<date>\d\d)[T ])"
    r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?[ \t]{1,8}"
)
# "host1 kernel: ", "kernel: ", "host1 kernel[0]: ", "(none) user.warn kernel: "
_KERNEL = regex(r"(?:[\w.:()-]{1,64}[ ]{1,2}){0,2}[ ]?kernel(?:\[\d{1,9}\])?: ?")
# "host1 mcelog: ", "host1 systemd[1]: ": a message of another program, not of the kernel
_PROGRAM = regex(r"[\w.:-]{1,64} [\w./@()-]{1,64}(?:\[\d{1,9}\])?: ")
_LOGIN = regex(r"[\w.-]{1,64} login: ")  # the prompt on a serial console

_ESCAPE = regex(rb"\\x(?:0[9ad]|20|5c|[89a-f][0-9a-f])")  # vmcore-dmesg and /dev/kmsg write these for one byte
_SYSLOG_ESCAPE = regex(r"#0(11|12)")  # rsyslog writes a tab and a newline so
_COLOUR = regex(r"\x1b\[[\d;?]{0,16}[A-Za-z]")


class _Prefix(NamedTuple):
    end: int  # where the text begins
    time: Optional[float]
    caller: Optional[str]
    found: bool  # there was a prefix that a logger writes, so lines without one are continued lines
    foreign: bool  # another program's line
    syslog: bool
    clock: Optional[float] = None


_NO_PREFIX = _Prefix(0, None, None, False, False, False)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)  # of a year, before each month
# Most lines by far: one stamp, and text in which nothing was lost, escaped or coloured.
# [ 1823.280261]  send4+0xf2/0x1b0 [XxxWan]
_PLAIN = regex(rb"\[ {0,8}(\d{1,9}\.\d{6})\] ([\t -%'-\[\]-~]*)\Z")
_ONE_MORE = regex(rb"\[ {0,12}[TC\d]|.Modules linked in:|kernel:")
_BEGIN = regex(r"\s*[\[<>|]")  # how a prefix begins that has neither colon nor semicolon


def parse(number: int, raw: bytes) -> List[LogLine]:
    """The log lines in line ``number`` of the file: one, or more where newlines were lost or escaped.

    No log line for the message of another program than the kernel. Never raises.
    """
    raw = raw[:MAX_LINE]
    plain = _plain(raw)
    if plain is not None:
        return [LogLine(number, float(plain[1]), None, plain[2].decode("ascii"), True, len(raw))]
    return _careful(number, raw)


def behind_stamp(raw: bytes) -> Optional[bytes]:
    """The text of a line that has a time before it and nothing else to be undone; None when only `parse` reads it."""
    plain = _plain(raw[:MAX_LINE])
    return plain[2] if plain is not None else None


def _plain(raw: bytes) -> "Optional[re.Match[bytes]]":
    plain = _PLAIN.match(raw)
    if plain is None or raw.startswith(b"<", plain.start(2)):
        return None
    more = b"[" in plain[2] or b"linked in:" in raw or b"kernel:" in raw
    return None if more and _ONE_MORE.search(plain[2]) else plain


def _careful(number: int, raw: bytes) -> List[LogLine]:
    """The log lines of any line, as `parse` gives them."""
    width = len(raw)
    if b"\\x" in raw:
        raw = _ESCAPE.sub(lambda m: bytes([int(m[0][2:], 16)]), raw)
    whole = raw.decode("utf-8", "backslashreplace").replace("\0", "").replace("\xa0", " ")
    if "\x1b" in whole:
        whole = _COLOUR.sub("", whole)
    lines: List[LogLine] = []
    for piece in whole.replace("\r", "\n").rstrip("\n").split("\n"):
        _split(number, piece, width, lines)
    return lines


def _split(number: int, piece: str, width: int, lines: List[LogLine]) -> None:
    prefix = _prefix(piece)
    if prefix.foreign:
        return
    time, caller, found, text = prefix.time, prefix.caller, prefix.found, piece[prefix.end :]
    if not found and lines and lines[-1].prefixed:  # the second line of an escaped record
        time, caller, found = lines[-1].time, lines[-1].caller, True
    if prefix.syslog and "#01" in text:
        head, *more = _SYSLOG_ESCAPE.sub(lambda m: "\t" if m[1] == "11" else "\n", text).split("\n")
        lines.append(LogLine(number, time, caller, head, found, width, prefix.clock))
        lines.extend(LogLine(number, time, caller, part, found, width, prefix.clock) for part in more)
        return
    # two records on one line: the first one's newline was lost, on a serial console most often
    while "[" in text:
        again = _STAMP.search(text)
        if again is None:
            break
        if again.start() or found:
            lines.append(LogLine(number, time, caller, text[: again.start()], True, width, prefix.clock))
        time, caller, found = float(again["seconds"]), again["caller"], True
        text = text[again.end() :]
    glued = text.find("Modules linked in:")
    if glued > 0:
        lines.append(LogLine(number, time, caller, text[:glued], found, width, prefix.clock))
        text = text[glued:]
    lines.append(LogLine(number, time, caller, text, found, width, prefix.clock))


def _prefix(text: str) -> _Prefix:
    match = _STAMP.match(text)
    if match:  # by far the most common
        end = match.end()
        level = _LEVEL.match(text, end) or (_KERNEL.match(text, end) if "kernel:" in text[end : end + 80] else None)
        return _Prefix(level.end() if level else end, float(match["seconds"]), match["caller"], True, False, False)
    if ":" not in text and ";" not in text and not _BEGIN.match(text):
        return _NO_PREFIX
    end = indent = len(text) - len(text.lstrip(" \t"))
    time: Optional[float] = None
    clock: Optional[float] = None
    caller: Optional[str] = None
    found = syslog = foreign = False
    for pattern in (_QUOTE, _LEVEL, _KMSG, _WALL, _DATE, _KERNEL, _LEVEL, _LOGIN, _STAMP, _LEVEL, _CALLER):
        match = pattern.match(text, end)
        if match is None:
            if pattern is _KERNEL and syslog:
                foreign = bool(_PROGRAM.match(text, end)) and not _STAMP.search(text[end : end + 120])
            continue
        end = match.end()
        if pattern is _STAMP:
            time, caller = float(match["seconds"]), match["caller"]
        elif pattern is _DATE or pattern is _WALL:
            clock = _clock(match)
        elif pattern is _KMSG:
            time = int(match["micro"]) / 1e6
        elif pattern is _CALLER:
            caller = match["caller"]
        found = found or pattern is not _QUOTE
        syslog = syslog or pattern is _DATE
    return _Prefix(end if end > indent else 0, time, caller, found, foreign, syslog, clock)


def _clock(date: "re.Match[str]") -> Optional[float]:
    """Seconds since the year began. A logger's date may lack the year, so leap days do not count."""
    found = date.groupdict()
    name = found["month"]
    month = _MONTHS.index(name) if name in _MONTHS else int(found.get("number") or 0) - 1
    if not 0 <= month < len(_DAYS):
        return None
    day = _DAYS[month] + int(found.get("date") or found["day"] or 0)
    return float(((day * 24 + int(date["hour"])) * 60 + int(date["minute"])) * 60 + int(date["second"]))
