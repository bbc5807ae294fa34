"""The stacks on which the memory of a KASAN or KFENCE report was allocated and freed."""

from typing import List

from kdumpwrap.log import trace
from kdumpwrap.model.log import Track
from kdumpwrap.regex import regex

# Allocated by task 1911:                                         mm/kasan/report.c print_track(), 4.11 to 6.18
# Freed by task 2201 on cpu 3 at 983.180830s:                                                     since 6.9
# allocated by task 1201 on cpu 2 at 811.042318s (0.957s ago):    mm/kfence/report.c; "ago" since 6.11
_TITLE = regex(
    r"(?P<what>[Aa]llocated|[Ff]reed) by task (?P<pid>\d{1,10})"
    r"(?: on cpu \d{1,6} at [\d.]{1,30}s(?: \([\d.]{1,30}s ago\))?)?:(?P<rest> .*)?$"
)
_FRAMES = 64


class Tracks:
    """Gathers the first allocation stack and the first free stack."""

    def __init__(self) -> None:
        self.found: List[Track] = []
        self._open = False

    def read(self, text: str) -> None:
        """Read one line of the report; a line that is no frame ends the stack.

        A log without prefixes may have its first frame behind the title: two lines that look like one that was wrapped.
        """
        title = _TITLE.match(text)
        if title:
            freed = title["what"].lower() == "freed"
            self._open = freed not in [track.freed for track in self.found]
            self.found += [Track(freed, int(title["pid"]))] if self._open else []
        rest = title["rest"] if title else text
        if not self._open or not rest:
            return
        frame = trace.parse(rest)
        self._open = frame is not None
        if frame is not None and frame.certain and len(self.found[-1].frames) < _FRAMES:
            last = self.found.pop()
            self.found.append(last._replace(frames=(*last.frames, frame)))
