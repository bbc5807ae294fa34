"""Locations for display: the most telling line of an inline chain, and short names of files.

The innermost function of a faulting access is often a primitive: ``local_add`` of arch/x86/include/asm/local.h says
how the kernel adds, ``iptunnel_xmit_stats`` of include/net/ip_tunnels.h:526 says what it was doing.
"""

from typing import Optional, Sequence

from kdumpwrap.model.kernel import Location
from kdumpwrap.regex import regex

# headers whose inline functions are the kernel's vocabulary: accessors, atomics, lists, locks, copies, allocations
_PRIMITIVES = regex(
    r"(?:^|/)(?:"
    r"arch/[^/]+/include/(?:generated/)?(?:uapi/)?asm/[^/]+|"
    r"include/asm-generic/(?:[^/]+/)*[^/]+|"
    r"include/(?:uapi/)?linux/(?:atomic/[^/]+|"
    r"(?:bit|bits|bitops|bitmap|bug|build_bug|byteorder|compiler[^/]*|completion|cpumask|err|find|fortify-string|gfp|"
    r"hash|highmem(?:-internal)?|instrumented|iov_iter|irqflags|jhash|jump_label|kasan[^/]*|kernel|kref|kcsan[^/]*|list|"
    r"list_bl|list_nulls|llist|local_lock[^/]*|lockdep|math64|minmax|mm|mmap_lock|mutex|nodemask|overflow|page-flags|"
    r"page_ref|pagemap|percpu[^/]*|preempt|rbtree[^/]*|rculist[^/]*|rcupdate|rcu_sync|rcutree|refcount|rtmutex|rwlock[^/]*|rwsem|"
    r"sched|seqlock[^/]*|slab|smp|spinlock[^/]*|static_call|string|thread_info|timekeeping|topology|tracepoint|types|"
    r"u64_stats_sync|uaccess|ucopysize|unaligned[^/]*|vmalloc|wait|workqueue|xarray)\.h)"
    r")$"
)

# "/usr/src/debug/kernel-4.18.0-305.3.1.el8_4/linux-4.18.0-305.3.1.el8.x86_64/net/ipv4/ip_output.c"
# "debian/build/build_amd64_none_cloud-amd64/net/ipv4/ip_output.c"
_TREE = regex(r"^.*?(?:^|/)(?:linux-[^/]+|build_[^/]+)/")


def short(file: str) -> str:
    """``file`` from the top of the kernel's tree on, for people: ``include/net/ip_tunnels.h``."""
    return _TREE.sub("", file, count=1)


def where(location: Optional[Location]) -> str:
    """``include/net/ip_tunnels.h:462``, from the top of the kernel's tree on; empty when unknown."""
    if location is None or location.file is None:
        return ""
    return short(location.file) + (f":{location.line}" if location.line is not None else "")


def is_primitive(location: Location) -> bool:
    """Whether ``location`` lies in a header of primitives."""
    return location.file is not None and _PRIMITIVES.search(location.file) is not None


def telling(locations: Sequence[Location]) -> Optional[Location]:
    """The innermost location that is no primitive; the innermost where all are; None without a known line."""
    known = [location for location in locations if location.line is not None]
    return next((location for location in known if not is_primitive(location)), known[0] if known else None)
