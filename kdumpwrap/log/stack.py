"""The stack in a report: its title, its frames with the context that each stands in, and its end."""

from dataclasses import replace
from typing import List, Optional

from kdumpwrap.log import trace
from kdumpwrap.model.log import Frame
from kdumpwrap.regex import regex

MAX_FRAMES = 512

# "Call Trace:", alone or with the first frame behind it; "Call Trace TBD:" (libcfs); "backtrace (crc 1f2e):" (kmemleak)
_TITLE = regex(r"(?:Call [Tt]race(?: TBD)?|[Ss]tack [Bb]acktrace|[Bb]acktrace(?: \(crc \w{1,8}\))?): ?(?P<rest>.*)$")
# how a line begins that stands behind a stack and does not belong to it
_END = regex(
    r"Allocated |Freed |Allocated:|Freed:|Last potentially|Uninit was|Local variable|kfence-#|The buggy addr|"
    r"Memory state|value changed|(?:read|write|read-write)[\w ()-]{0,40} to 0x|Sending NMI|NMI backtrace|Showing |"
    r"Mem-Info|Task dump|Object |INFO: (?:Alloc|Freed|Slab|Object)|Kernel Offset|task:\S|Bytes \d|Reported by|"
    r"irq event stamp|other info|rcu: |\S{1,20} kthread starved"
)


def title(text: str) -> Optional[str]:
    """The text behind the title of a stack: "", or its first frame; None for another line."""
    match = _TITLE.match(text)
    return match["rest"] if match else None


def ends(text: str) -> bool:
    """Whether ``text``, which is no frame, does not belong to the stack before it."""
    return bool(_END.match(text))


class Stack:
    """Gathers the frames of one stack, and the context ("IRQ", "NMI") in which each ran."""

    def __init__(self) -> None:
        self.frames: List[Frame] = []
        self._context: Optional[str] = None

    def leave(self) -> None:
        """Leave the context: another stack begins."""
        self._context = None

    def read(self, text: str) -> bool:
        """Read the markers and the frame of a line; True when it has any."""
        marks, rest = trace.markers(text)
        for mark in marks:
            if mark == trace.EATEN and self._context is None:  # the <NMI> in front of the stack was lost
                self.frames = [frame if frame.context else replace(frame, context="NMI") for frame in self.frames]
            self._context = None if mark.startswith("/") or mark in ("EOI", "EOE", trace.EATEN) else mark
        found = trace.parse(rest, self._context)
        self.push(found)
        return found is not None or bool(marks)

    def push(self, frame: Optional[Frame]) -> None:
        """Add ``frame``, unless it is None, in the context that was entered last."""
        if frame is not None and len(self.frames) < MAX_FRAMES:
            known = frame.context or not self._context
            self.frames.append(frame if known else replace(frame, context=self._context))
