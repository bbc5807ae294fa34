"""The work items that workers run, as kernel/workqueue.c lists them: ``in-flight: 188:acme_work``."""

from typing import List, Optional

from kdumpwrap.model.log import WorkItem
from kdumpwrap.regex import regex

# workqueue events: flags=0x0                                                     kernel/workqueue.c, show_pwq()
#   pwq 4: cpus=2 node=0 flags=0x0 nice=0 active=3/256 refcnt=4
#     in-flight: 188:acme_work [acme] BAR(1180), 1201(RESCUER):acme_flush [acme] for 33s        "for" since 6.7
_QUEUE = regex(r"workqueue (?P<name>\S.{0,63}): flags=0x")
_POOL = regex(r"pwq \d{1,6}: cpus=(?P<cpus>[\d,-]{1,64}) ")
_ITEM = regex(
    r" (?P<pid>\d{1,10})(?:\(RESCUER\))?:(?P<symbol>[A-Za-z_][\w.$]{0,255})(?: \[(?P<module>[\w-]{1,64})\])?"
    r"(?: for (?P<seconds>\d{1,9})s)?"
)
_MOST = 256


class Works:
    """Gathers the work items that are being run."""

    def __init__(self) -> None:
        self.running: List[WorkItem] = []
        self._queue = ""
        self._cpus: Optional[str] = None

    def read(self, text: str) -> bool:
        """Read one line of the list; True when it was understood."""
        if text.startswith("workqueue "):
            found = _QUEUE.match(text)
            self._queue = found["name"] if found else self._queue
            return found is not None
        if text.startswith("pwq "):
            found = _POOL.match(text)
            self._cpus = found["cpus"] if found else None
            return found is not None
        if not text.startswith("in-flight:") or not self._queue:
            return False
        for item in _ITEM.finditer(text, len("in-flight:")):
            if len(self.running) < _MOST:
                seconds = None if item["seconds"] is None else int(item["seconds"])
                row = WorkItem(self._queue, self._cpus, int(item["pid"]), item["symbol"], item["module"], seconds)
                self.running.append(row)
        return True
