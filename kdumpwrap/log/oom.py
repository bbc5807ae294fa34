"""The kernel's messages when its memory is used up (mm/oom_kill.c, mm/page_alloc.c, mm/memcontrol.c)."""

from typing import Dict, List, Optional, cast

from kdumpwrap.literal import Literal
from kdumpwrap.model.log import LogLine, MemoryTask, OutOfMemory
from kdumpwrap.regex import regex

Policy = Literal["compulsory", "system-wide", "no victim"]

# Out of memory: compulsory panic_on_oom is enabled                vm.panic_on_oom=2
# Out of memory: system-wide panic_on_oom is enabled               vm.panic_on_oom=1
# System is deadlocked on memory                                   4.20 and later
# Out of memory and no killable processes...                       before
_PANIC = regex(
    r"(?:Kernel panic - not syncing: )?"
    r"(?:Out of memory: (?P<policy>compulsory|system-wide) panic_on_oom is enabled|"
    r"(?P<nobody>System is deadlocked on memory|Out of memory and no killable processes))"
)


def policy(panic: str) -> Optional[Policy]:
    """The reason why the kernel called panic() when its memory was used up; None when ``panic`` is of another kind.

    ``system-wide`` and ``compulsory``: the setting vm.panic_on_oom, 1 or 2; ``no victim``: no process could be killed.
    """
    match = _PANIC.match(panic.strip())
    if match is None:
        return None
    return cast(Policy, match["policy"] or "no victim")


# acme_cache invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|…), order=0, oom_score_adj=0
BEGINS = "invoked oom-killer: "
# active_anon:1050 inactive_anon:94499 isolated_anon:0         slab_reclaimable:2112 slab_unreclaimable:1602     pages
_PAGES = regex(r"\b(?P<name>[a-z_]{2,40}):(?P<pages>\d{1,18})(?![\dkK])")
# Node 0 active_anon:4200kB inactive_anon:377996kB active_file:0kB …
_NODE = regex(r"Node \d{1,4} active_anon:(?P<active>\d{1,18})kB inactive_anon:(?P<inactive>\d{1,18})kB")
# Node 0 hugepages_total=16 hugepages_free=2 hugepages_surp=0 hugepages_size=2048kB
_HUGE = regex(r"Node \d{1,4} hugepages_total=(?P<total>\d{1,12}) .{0,80}hugepages_size=(?P<size>\d{1,12})kB")
# Free swap  = 0kB             Total swap = 2097148kB             163707 pages RAM
_SWAP = regex(r"(?P<what>Free|Total) swap {1,2}= (?P<size>\d{1,18})kB")
_RAM = regex(r"(?P<pages>\d{1,18}) pages RAM")
# oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/acme,task_memcg=/acme,…   4.19
# Task in /acme/job killed as a result of limit of /acme                                                       to 4.18
_GROUP = regex(
    r"(?:oom-kill:constraint=.{0,400}?,oom_memcg=|Task in .{1,400} killed as a result of limit of )"
    r"(?P<name>[^, ]{1,400})"
)
# memory: usage 102400kB, limit 102400kB, failcnt 12
_LIMIT = regex(r"memory: usage (?P<usage>\d{1,18})kB, limit (?P<limit>\d{1,18})kB")
# [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
# [ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name                                    el7
# [  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name   6.8
_TITLES = regex(r"\[ *pid *\] +(?P<titles>uid +tgid .{1,200} name)$")
_TASK = regex(r"\[ *(?P<pid>\d{1,10})\] +(?P<rest>.{1,500})$")
_NUMBER = regex(r"-?\d{1,18}")
_ROW = regex(r"\[ *(?:pid *|\d{1,10})\] ")
_SIZES = (4, 8, 16, 64)  # KiB in a page
_SHOWN = 5
_MOST = 1000  # rows that are kept because they are not understood


class Table:
    """Gathers what out_of_memory() prints before it kills or panics."""

    def __init__(self) -> None:
        self._begin()
        self.open = False

    def _begin(self) -> None:
        self.open = True
        self._pages: Dict[str, int] = {}
        self._kib: Dict[str, int] = {}
        self._titles: List[str] = []
        self._tasks: List[MemoryTask] = []  # the largest among them
        self._listed = 0
        self.unread: List[LogLine] = []  # lines that begin like a row of the table and are not understood
        self._group: Optional[str] = None
        self._node = 0

    def read(self, line: LogLine) -> None:
        """Read one line of the log."""
        text = line.text
        if BEGINS in text:
            self._begin()
        elif not self.open:
            return
        elif text.startswith("["):
            if not self._task(text) and _ROW.match(text) and len(self.unread) < _MOST:
                self.unread.append(line)
        else:
            self._line(text.strip())

    def _line(self, text: str) -> None:
        for pattern in (_NODE, _HUGE, _SWAP, _RAM, _LIMIT, _GROUP):
            found = pattern.match(text)
            if found is None:
                continue
            if pattern is _NODE:
                self._node += int(found["active"]) + int(found["inactive"])
            elif pattern is _HUGE:
                self._kib["huge"] = self._kib.get("huge", 0) + int(found["total"]) * int(found["size"])
            elif pattern is _SWAP:
                self._kib[found["what"]] = int(found["size"])
            elif pattern is _RAM:
                self._pages["ram"] = int(found["pages"])
            elif pattern is _LIMIT:
                self._kib.update(usage=int(found["usage"]), limit=int(found["limit"]))
            else:
                self._group = found["name"]
            return
        if text[:1].isalpha() and not text.startswith("Node") and ":" in text:
            for found in _PAGES.finditer(text[:400]):
                self._pages.setdefault(found["name"], int(found["pages"]))

    def _task(self, text: str) -> bool:
        """Whether ``text`` is the title or a row of the table of tasks."""
        titles = _TITLES.match(text)
        if titles:
            self._titles = titles["titles"].split()[:-1]
        found = _TASK.match(text) if self._titles else None
        values = found["rest"].split(None, len(self._titles)) if found is not None else []
        if found is None or len(values) <= len(self._titles) or not all(map(_NUMBER.fullmatch, values[:-1])):
            return titles is not None
        if "rss" in self._titles:
            self._listed += 1
            rss = int(values[self._titles.index("rss")])
            self._tasks.append(MemoryTask(int(found["pid"]), values[-1].strip(), rss))
            if len(self._tasks) > 16 * _SHOWN:
                self._tasks = self._largest()
        return True

    def take(self) -> Optional[OutOfMemory]:
        """The contents of the table, in KiB; None when there was none."""
        if not self.open:
            return None
        self.open = False
        unit = self._unit()
        pages = {name: count * unit for name, count in self._pages.items()}
        return OutOfMemory(
            tasks=tuple(task._replace(rss=task.rss * unit) for task in self._largest()),
            listed=self._listed,
            ram=pages.get("ram"),
            free=pages.get("free"),
            anonymous=_sum(pages, "active_anon", "inactive_anon"),
            shmem=pages.get("shmem"),
            slab=_sum(pages, "slab_reclaimable", "slab_unreclaimable"),
            unreclaimable=pages.get("slab_unreclaimable"),
            hugepages=self._kib.get("huge"),
            swap=self._kib.get("Total"),
            swap_free=self._kib.get("Free"),
            cgroup=self._group,
            limit=self._kib.get("limit"),
        )

    def _largest(self) -> List[MemoryTask]:
        return sorted(self._tasks, key=lambda task: -task.rss)[:_SHOWN]

    def _unit(self) -> int:
        """KiB in a page: the nodes' sizes are printed in KiB, the sums in pages."""
        pages = self._pages.get("active_anon", 0) + self._pages.get("inactive_anon", 0)
        return next(
            (size for size in _SIZES if pages and abs(self._node - pages * size) * 50 < pages * size), _SIZES[0]
        )


def _sum(pages: Dict[str, int], *names: str) -> Optional[int]:
    known = [pages[name] for name in names if name in pages]
    return sum(known) if known else None
