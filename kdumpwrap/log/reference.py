"""The symbols that a line of a log names, whether the line belongs to a report or not."""

from dataclasses import replace
from functools import lru_cache
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.log import code, pointer, trace
from kdumpwrap.log import line as dmesg
from kdumpwrap.model.log import Code, Frame

ReferenceKind = Literal["pointer", "frame", "mention"]

_SIGNS = (b"+0x", b"+0X")
_DUMPS = ("Code: ", "Instruction dump:", "Krnl Code:")
_TITLES = (b"Code:", b"dump:")
_BREAKING = b"Last Breaking-Event-Address"  # of s390: the address of a branch, on the next line


class Reference(NamedTuple):
    """One ``f+0x1/0x2 [mod]`` in a line."""

    end: int  # bytes of the line up to the end of the size
    frame: Frame  # ``exact`` as far as the line alone tells
    kind: ReferenceKind  # "pointer": "RIP:"; "frame" of a call trace; "mention" in any other line


def references(raw: bytes, before: bytes = b"") -> Tuple[Reference, ...]:
    """The references in the line ``raw`` of a log, in their order; ``before`` is the line before it.

    A frame of a trace is a return address, a pointer ("RIP:", "pc :", "Krnl PSW", "--- interrupt: … at") is exact.
    So is ``f+0x0/0x20`` in any other line, "initcall f+0x0/0x20 returned 0": the function itself.
    """
    if not any(sign in raw for sign in _SIGNS):
        return ()
    raw = raw[: dmesg.MAX_LINE]
    breaking = _BREAKING in before
    text = dmesg.behind_stamp(raw)
    if text is None:
        return _found(raw, tuple(line.text for line in dmesg.parse(0, raw)), breaking)
    stamp = len(raw) - len(text)
    return tuple(one._replace(end=one.end + stamp) for one in _found(text, (text.decode("ascii"),), breaking))


@lru_cache(maxsize=1024)  # reports that come again differ in their times
def _found(raw: bytes, texts: Tuple[str, ...], breaking: bool) -> Tuple[Reference, ...]:
    """The references in ``raw``, whose log lines are ``texts``."""
    read = [*_read(texts)]
    found: List[Reference] = []
    for end, frame in trace.symbols(raw.decode("latin-1")):  # a character is a byte
        known = next((one for one in read if trace.same(one.frame, frame)), None)
        if known is not None:
            exact = known.frame.exact or trace.is_function(known.frame) or breaking
            found.append(Reference(end, replace(known.frame, module=frame.module, exact=exact), known.kind))
        else:
            found.append(Reference(end, replace(frame, exact=frame.offset == 0), "mention"))
    return tuple(found)


def _read(texts: Sequence[str]) -> Iterator[Reference]:
    """The frame of each of the log lines ``texts`` that is one of a trace or names a pointer."""
    for line in texts:
        text = line.strip()
        pointed = pointer.parse(text)
        if pointed is not None:
            if pointed.frame is not None:
                yield Reference(0, replace(pointed.frame, exact=pointed.register == "ip"), "pointer")
            continue
        interrupted = trace.interrupted(text)
        frame = interrupted[0] if interrupted is not None else trace.parse(trace.markers(text)[1])
        if frame is not None:
            yield Reference(0, frame, "frame")


def prefix(raw: bytes) -> bytes:
    """The prefix of the line ``raw``: its time, its level, its logger's name, blanks."""
    whole = raw.rstrip(b"\r\n")
    plain = dmesg.behind_stamp(whole)
    if plain:
        return whole[: len(whole) - len(plain.lstrip(b" \t"))]
    read = dmesg.parse(0, whole)
    text = read[-1].text.encode("utf-8", "replace") if read else b""
    if not text or not whole.endswith(text):
        return whole[: len(whole) - len(whole.lstrip(b" \t"))]
    return whole[: len(whole) - len(text.lstrip(b" \t"))]


def dump_end(lines: "List[bytes]", start: int, stop: int, wanted: Optional[Code]) -> Optional[int]:
    """Index of the last line of the code dump of a report whose lines are ``lines[start:stop]``; None without one.

    ``wanted`` is what the report has of it: a user's "Code:" line has other bytes.
    """
    at = start
    while wanted is not None and at < min(stop, len(lines)):
        text = _text(lines[at]) if any(word in lines[at] for word in _TITLES) else ""
        if text.startswith(_DUMPS):
            last = at
            while last + 1 < len(lines) and (code.words(_text(lines[last + 1])) or _s390(lines[last + 1])):
                last += 1
            words = code.words(text[6:]) if text.startswith("Code: ") and last == at else None
            if words is None or code.parse(words) == wanted:
                return last
            at = last
        at += 1
    return None


def _text(raw: bytes) -> str:
    if not raw.strip():
        return ""
    read = dmesg.parse(0, raw)
    return read[-1].text.strip() if read else ""


def _s390(raw: bytes) -> bool:
    return any(code.s390_line(line.text) is not None for line in dmesg.parse(0, raw))
