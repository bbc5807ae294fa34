"""The locks that tasks hold, and the function that a report names outside of its stack."""

from typing import List, Optional, Tuple, cast

from kdumpwrap.log import trace
from kdumpwrap.model.log import Blocker, Frame, HeldLock, LockKind
from kdumpwrap.regex import regex

# 2 locks held by kworker/2:1/188:        no locks held by swapper/2/0.        lockdep_print_held_locks()
_HOLDER = regex(r"\d{1,3} locks? held by (?P<comm>.{1,64})/(?P<pid>\d{1,10}):")
#  #0: ffff88810a4c1e18 (&acme->lock){+.+.}-{3:3}, at: acme_ioctl+0x3d/0x120 [acme]                          4.19
#  #0:  (&md->suspend_lock){+.+.+.}, at: [<ffffffffc02a514e>] dm_suspend+0x2e/0x160 [dm_mod]                 3.10
_LOCK = regex(
    r"#\d{1,3}: +(?:(?P<lock>[0-9a-f]{8,16}) +)?\((?P<name>[^{]{1,200})\)\{[^}]{1,16}\}(?:-\{\d:\d\})?, at: "
    r"(?:\[<[0-9a-f]{8,16}>\] )?(?P<place>\S.*)$"
)
# Preemption disabled at:[<ffffffff8170b1f0>] acme_lock+0x10/0x20 [acme]      to 4.11; later in two lines
# caller is acme_xmit+0x22/0x90 [acme]                                        lib/smp_processor_id.c
#      last function: acme_work [acme]                                        kernel/workqueue.c, process_one_work()
_NAMED = regex(
    r"(?:Preemption disabled at: ?|caller is |last function: )(?:\[<[0-9a-f]{8,16}>\] ?)?(?P<place>[A-Za-z_.].*)$"
)
# sh/1201 is trying to release lock (&acme->lock) at:        Preemption disabled at:
_NAMES_NEXT = regex(r"Preemption disabled at:$|.{1,64}/\d{1,10} is trying to (?:release|contend) lock \(.* at:$")
_BRACKETED = regex(r"\[<[0-9a-f]{8,16}>\] ?(?P<place>[A-Za-z_.].*)$")
_FUNCTION = regex(r"(?P<symbol>[A-Za-z_.][\w.$]{0,255})(?: \[(?P<module>[\w-]{1,64})\])?$")


# INFO: task cat:1201 is blocked on a mutex likely owned by task cat:1188.                                  6.15
# INFO: task cat:1201 blocked on a semaphore likely last held by task cat:1188                              6.16
# INFO: task cat:1201 <reader> blocked on an rw-semaphore likely owned by task cat:1188 <writer>            6.16
_OWNER = regex(
    r"INFO: task .{1,64}:\d{1,10}(?: <\w+>)? (?:is )?blocked on an? (?P<what>mutex|semaphore|rw-semaphore)"
    r" likely (?:owned|last held) by task (?P<comm>.{1,64}):(?P<pid>\d{1,10})\b"
)
_MOST = 512  # locks of one report


def owner(text: str) -> Optional[Blocker]:
    """The owner of the lock that a hung task waits for, as khungtaskd names it, without a stack; None: another line."""
    match = _OWNER.match(text) if " likely " in text else None
    return Blocker(cast(LockKind, match["what"]), int(match["pid"]), match["comm"]) if match else None


class Locks:
    """Gathers the locks that are listed in a report, and the function that it names outside of its stack."""

    def __init__(self) -> None:
        self.held: List[HeldLock] = []
        self.named: Optional[Frame] = None
        self.everybody = False  # all tasks' locks are listed
        self._by: Optional[Tuple[str, int]] = None  # the holder of the locks on the next lines
        self._announced = False  # the next line names a function

    def read(self, text: str) -> bool:
        """Read one line of the report; True when it was understood."""
        announced, self._announced = self._announced, text.endswith(" at:") and bool(_NAMES_NEXT.match(text))
        if self._announced:
            return False  # the line may name the task, too
        if text.startswith("#"):
            return self._lock(text)
        if text.startswith("Showing all locks held in the system"):
            self.everybody = True
            return True
        found = _HOLDER.match(text) if " held by " in text else None
        if found:
            self._by = (found["comm"], int(found["pid"]))
            return True
        place = _BRACKETED.match(text) if announced else _NAMED.match(text) if text[:1] in "Pcl" else None
        if place is None:
            return False
        if self.named is None:
            self.named = _function(place["place"])
        return True

    def take(self, other: "Locks") -> None:
        """Add the locks of ``other``."""
        known = set(self.held)
        self.held += [lock for lock in other.held if lock not in known][: _MOST - len(self.held)]
        self.everybody = self.everybody or other.everybody

    def _lock(self, text: str) -> bool:
        found = _LOCK.match(text)
        place = trace.symbol(found["place"]) if found else None
        if found is None or place is None or self._by is None or len(self.held) >= _MOST:
            return False
        comm, pid = self._by
        instance = int(found["lock"], 16) if found["lock"] else None
        self.held.append(HeldLock(pid, comm, found["name"].strip("() "), instance, place))
        return True


def _function(text: str) -> Optional[Frame]:
    plain = _FUNCTION.match(text)
    return trace.symbol(text) or (Frame(plain["symbol"], module=plain["module"]) if plain else None)
