"""The culprit and the suspect: the function to look at first, and the first out-of-tree module of the trace (pure).

The way is what certainly ran (callchain.py). Which functions on it are passed over stands in helpers.py, which of
them call back in dispatch.py.
"""

import re
from dataclasses import replace
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.culprit import callchain, dispatch, helpers, spin
from kdumpwrap.log import symbolname, trace
from kdumpwrap.log.kinds import SAMPLED, WAITING
from kdumpwrap.log.strangers import OUT_OF_TREE, origin
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.location import telling
from kdumpwrap.model.log import Frame
from kdumpwrap.model.verdict import Culprit, Suspect, Verdict

# Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: udp4_lib_lookup2+0x7ea/0x7f0
# BUG: KASAN: use-after-free in aead_recvmsg+0x1758/0x1bc0
# WARNING: CPU: 0 PID: 5944 at ./include/net/sock.h:1508 strp_data_ready+0x2b7/0x390
_NAMED = re.compile(
    r"(?P<symbol>[A-Za-z_.][\w.$]{0,255})\+(?P<offset>0x[0-9a-f]{1,16})/(?P<size>0x[0-9a-f]{1,16})"
    r"(?: \[(?P<module>[\w-]{1,64})\])?"
)
_CALLED = re.compile(r"\b[\w-]{1,64}\.c:\d{1,6}:(?P<symbol>[A-Za-z_]\w{0,127})\(\)")
_LONGEST_HEADLINE = 1024  # characters that are searched for a name
_STACK_PROTECTOR = "ernel stack is corrupted in"
_POOL_LOCKUP = "workqueue lockup"  # BUG: workqueue lockup - pool cpus=2 node=0 flags=0x0 nice=0 stuck for 33s!
_STACK_END = "corrupted stack end"
_ATOMIC = "scheduling while atomic"
# WARNING: lock held when returning to user space!    WARNING: acmed/1201 still has locks held!
# WARNING: held lock freed!
_KEPT = re.compile(r"lock held when returning to user space|still has locks held|held lock freed")
_IDLE = "(do|cpu)_idle(_.*)? cpu_startup_entry schedule_(idle|preempt_disabled) rest_init"


class Blame(NamedTuple):
    """A frame and why a person should look there first."""

    frame: ResolvedFrame
    why: str
    at_ip: bool = False  # because it stopped there


def verdict(resolution: Resolution) -> Verdict:
    """Both."""
    found = blame(resolution)
    return Verdict(_culprit(found), suspect(resolution), found is not None and found.at_ip)


def culprit(resolution: Resolution) -> Optional[Culprit]:
    """The culprit; None when the log names no function of the kernel.

    ``symbol`` is the function's name in the source, without compiler suffix; ``file`` and ``line`` are known for
    resolved frames only: of the inlined function that tells most (`location.telling`). ``why`` is one phrase.
    """
    return _culprit(blame(resolution))


def _culprit(found: Optional[Blame]) -> Optional[Culprit]:
    if found is None:
        return None
    place = telling(found.frame.locations)
    file, line = (place.file, place.line) if place else (None, None)
    return Culprit(callchain.true_name(found.frame), found.frame.module, file, line, found.why)


def blame(resolution: Resolution) -> Optional[Blame]:
    """As `culprit`, but the frame itself (one made from the headline where the trace has none)."""
    named = _named(resolution)
    if named and resolution.report.kind == "panic" and _STACK_PROTECTOR in resolution.report.headline:
        return Blame(named, "its stack was overwritten")
    if resolution.report.kind == "machine-check":  # the hardware's word: the function that ran did not cause it
        return None
    if resolution.report.kind in SAMPLED:
        return _sampled(resolution)
    if overflown(resolution):
        return _overflowing(resolution)
    path = callchain.certain(resolution)
    found = _kept_lock(resolution) or _first(resolution, path)
    if found is None and resolution.report.kind in WAITING:
        found = _doubtful(resolution)
    if found is None or _is_idle(resolution, found) or dispatch.caller(callchain.true_name(found.frame)):
        told = _told(resolution)
        found = Blame(told, "the report names it") if told is not None else found
    if found is not None or path:
        return found
    if named is None:
        named = _called(resolution)
    return Blame(named, "named in the headline") if named else None


def _kept_lock(resolution: Resolution) -> Optional[Blame]:
    """The function that took a lock and never gave it back, which lockdep finds where the task leaves the kernel."""
    locks = resolution.report.locks
    if resolution.report.kind != "lockdep" or not locks or not _KEPT.search(resolution.report.headline):
        return None
    last = [lock for lock in locks if lock.pid == resolution.report.pid] or locks
    return Blame(_unresolved(last[-1].frame), f"it took the lock {last[-1].name}")


def _is_idle(resolution: Resolution, found: Blame) -> bool:
    """Whether the idle task has to pay for what somebody else left behind: a count of preemption."""
    return _ATOMIC in resolution.report.headline and symbolname.matches(callchain.true_name(found.frame), _IDLE)


def _told(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function that the report names beside its stack, or its message does: ``timer: f+0x0/0x90 preempt leak``."""
    report = resolution.report
    if report.named is not None:
        return _unresolved(report.named)
    if _POOL_LOCKUP in report.headline:
        pool = re.search(r"cpus=([\d,-]{1,64})", report.headline)
        running = [work for work in report.works if pool is not None and work.cpus == pool[1]]
        return ResolvedFrame(running[0].symbol, module=running[0].module) if running else None
    inside = _NAMED.search((report.message or "")[:_LONGEST_HEADLINE])
    return _made(inside) if inside and int(inside["offset"], 16) == 0 else None


def _unresolved(frame: Frame) -> ResolvedFrame:
    return ResolvedFrame(frame.symbol, frame.offset, frame.size, frame.module)


def _made(match: "re.Match[str]") -> ResolvedFrame:
    return ResolvedFrame(match["symbol"], int(match["offset"], 16), int(match["size"], 16), match["module"])


def suspect(resolution: Resolution) -> Optional[Suspect]:
    """The first out-of-tree module on the way; None when there is none, or the log does not prove one.

    Proof is a flag in the module list, of this report or another one of the same boot, or what the kernel said when the
    module was loaded (`callchain.strangers`). Without one there is no suspect.
    """
    strangers = callchain.strangers(resolution.report)
    for frame in callchain.certain(resolution):
        if frame.module in strangers:
            place = telling(frame.locations)
            file, line = (place.file, place.line) if place else (None, None)
            known = (*resolution.report.modules, *resolution.report.strangers)
            flags = next(module.flags for module in known if module.name == frame.module)
            symbol = None if callchain.hidden(frame) else callchain.true_name(frame)
            return Suspect(str(frame.module), flags, symbol, file, line)
    return None


def passed_over(resolution: Resolution, frame: ResolvedFrame) -> Optional[helpers.Group]:
    """The group of machinery to which ``frame`` belongs, or None.

    A function of an out-of-tree module is no helper, whatever its name, but for ported libraries. Where the
    taint says that there are such modules and the list does not tell which, every module may be one.
    """
    group = helpers.group(callchain.true_name(frame), _waits(resolution), resolution.report.kind == "memory-leak")
    if group is None or group.anywhere or frame.module is None:
        return group
    report = resolution.report
    # of the kernel's own taint U is another flag: something that a user asked for
    tainted = origin((report.taint or "").replace("U", ""), report.release)
    doubtful = not report.modules and tainted == OUT_OF_TREE
    return None if doubtful or frame.module in callchain.strangers(report) else group


def _waits(resolution: Resolution) -> bool:
    return resolution.report.kind in WAITING or _ATOMIC in resolution.report.headline


# ---------------------------------------------------------------- the search


def _first(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The first frame of ``path`` that is no machinery, not looking past the end of its context."""
    skipped: List[Tuple[str, ResolvedFrame]] = []
    concealed: Optional[ResolvedFrame] = None
    for before, frame in zip((None, *path), path):
        if frame is not resolution.ip and (_ends(frame) or (before is not None and callchain.left(before, frame))):
            break
        group = passed_over(resolution, frame)
        if group:
            skipped.append((group.name, frame))
        elif callchain.hidden(frame):
            concealed = concealed or frame
        else:
            at_ip = frame is resolution.ip and resolution.report.kind != "panic"
            return Blame(frame, _reason(resolution, frame, skipped, concealed), at_ip)
    return _last_resort(resolution, skipped)


def _doubtful(resolution: Resolution) -> Optional[Blame]:
    """For a hung task of whose stack the unwinder gives up behind the scheduler: the first frame with a question mark.

    What is no return address does not count: a pointer to a function, or to its end.
    """
    likely = (frame for frame in resolution.trace if not frame.exact and 0 < (frame.offset or 0) < (frame.size or 0))
    shown = replace(resolution, trace=tuple(replace(frame, certain=True) for frame in likely))
    found = _first(shown, callchain.certain(shown))
    return None if found is None else found._replace(why=f"{found.why}; the kernel marks the frame with ?")


def _reason(
    resolution: Resolution,
    frame: ResolvedFrame,
    skipped: Sequence[Tuple[str, ResolvedFrame]],
    concealed: Optional[ResolvedFrame],
) -> str:
    others = [(name, passed) for name, passed in skipped if name not in callchain.MESSENGERS]
    if concealed is not None:
        return f"below a function that the log cannot name: the one that ends at {concealed.symbol}+0x0"
    if not others:
        if resolution.ip is not None and not resolution.ip.symbol:
            address = "" if resolution.ip.runtime is None else f" (0x{resolution.ip.runtime:x})"
            return f"it called through a bad pointer{address}"
        if resolution.report.kind == "panic":
            return "called panic()"
        if frame is resolution.ip:
            return "the instruction pointer"
        return "first frame past the report's own" if skipped else "first frame of the trace"
    names = " < ".join(dict.fromkeys(callchain.true_name(passed) for _, passed in others[-4:]))  # innermost first
    groups = " and ".join(dict.fromkeys(name for name, _ in others[-4:]))
    start = "the task's own frame, past" if _waits(resolution) else "first frame past"
    return f"{start} the {groups} functions: {names}"


def _last_resort(resolution: Resolution, skipped: Sequence[Tuple[str, ResolvedFrame]]) -> Optional[Blame]:
    """All is machinery, or the log was cut there: what is left to say.

    Of a task that waits, or that called panic(), the outermost frame that says for what; otherwise the innermost that
    does not only report.
    """
    hopeless = (*callchain.MESSENGERS, "scheduling", "context checking")
    known = [frame for name, frame in skipped if name not in hopeless or frame is resolution.ip]
    if not known:
        return None
    frame = known[-1] if _waits(resolution) or resolution.report.kind == "panic" else known[0]
    if frame is resolution.ip:
        return Blame(frame, "the instruction pointer", at_ip=True)
    return Blame(frame, "nothing but helper functions on the way")


def _sampled(resolution: Resolution) -> Optional[Blame]:
    """For a loop that was sampled: the function that stays the same from sample to sample.

    Where the CPU stood is chance, somewhere in the loop. A sample in an out-of-tree module, or in what that called, is
    in that module's own loop. A function that only waits is the loop itself (spin.py). Otherwise it is the function
    that was called back: the system call, the driver's operation, the timer's, the work item's function.
    """
    path = callchain.interrupted(resolution)
    own = out_of_tree(resolution, path)
    if own:
        return Blame(own[0], "the out-of-tree code in which the CPU was")
    return (
        _waiting(resolution, path)
        or called_back(resolution, path)
        or _first(resolution, path or callchain.certain(resolution))
    )


def _waiting(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The function that only waits, if the CPU was sampled in one, or in a delay or a spinlock that it called.

    Who waits for other CPUs is not it: see `called_back`.
    """
    what: Optional[str] = None
    for frame in path:
        name = callchain.true_name(frame)
        what = spin.waits(name) or what
        if spin.waits(name) is None and not passed_over(resolution, frame):
            caller = dispatch.caller(name)
            if caller is not None:
                return None
            if what is None and frame is path[0] and trace.same(frame, resolution.ip):
                found = spin.idles(resolution)
                return Blame(frame, found, at_ip=True) if found else None
            return Blame(frame, f"it busy-waits: the CPU was in {what}") if what else None
        if spin.waits(name) is None and what is None:
            return None  # another helper, by chance
    return None


def out_of_tree(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Tuple[ResolvedFrame, ...]:
    """The first run of frames in one out-of-tree module, above whatever called it back."""
    strangers = callchain.strangers(resolution.report)
    run: List[ResolvedFrame] = []
    for frame in path:
        if run and frame.module != run[0].module:
            break
        if frame.module in strangers:
            run.append(frame)
        elif _calls_long(frame):
            break
    return tuple(run)


def overflown(resolution: Resolution) -> bool:
    """Whether the stack ran over: how deep it was matters, not where the last straw fell."""
    deep = resolution.report.kind == "stack-overflow" or _STACK_END in resolution.report.headline
    return deep or (resolution.report.kind == "double-fault" and bool(callchain.recursion(resolution)))


def _overflowing(resolution: Resolution) -> Optional[Blame]:
    path = callchain.interrupted(resolution)
    again = callchain.recursion(resolution)
    if again:
        return Blame(again[-1], "it is called again and again until the stack is full")
    return called_back(resolution, path) or _first(resolution, path or callchain.certain(resolution))


def called_back(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The function on ``path`` that somebody called back, and what it is; None when the path shows no such call."""
    before: Optional[ResolvedFrame] = None
    item = _work_item(resolution, path)
    if item is not None:
        return item
    for frame in path:
        caller = dispatch.caller(callchain.true_name(frame))
        if caller is not None and caller.calls == dispatch.OTHER_CPU:
            return Blame(frame, "it waits for the answer of another CPU")
        if _calls_long(frame) and caller is not None:
            if before is not None and not passed_over(resolution, before):
                return Blame(before, f"the {caller.calls} that was called: the CPU was in it, or in what it called")
            return None if _is_entry(frame) else Blame(frame, f"it runs each {caller.calls}")
        before = frame
    return None


def _work_item(resolution: Resolution, path: Sequence[ResolvedFrame]) -> Optional[Blame]:
    """The work item that a softirq interrupted: the softirq goes away and comes back, the item is what does not end."""
    softirq, before = False, None
    for frame in path:
        caller = dispatch.caller(callchain.true_name(frame))
        calls = caller.calls if caller is not None else None
        softirq = softirq or calls == "softirq"
        if softirq and calls == "work item" and before is not None and not passed_over(resolution, before):
            return Blame(before, "the work item that a softirq interrupted")
        before = frame
    return None


def _calls_long(frame: ResolvedFrame) -> bool:
    caller = dispatch.caller(callchain.true_name(frame))
    return caller is not None and caller.loops


def _ends(frame: ResolvedFrame) -> bool:
    """Whether the way ends above ``frame``: where a context was entered."""
    return _is_entry(frame) or dispatch.is_interrupt(frame.symbol or "")


def _is_entry(frame: ResolvedFrame) -> bool:
    caller = dispatch.caller(callchain.true_name(frame))
    return caller is not None and caller.calls in ("system call", "thread function")


def _called(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The function that code of Lustre and ZFS names: ``(dcache.c:136:ll_ddelete())``, ``PANIC at dnode.c:9:f()``."""
    for text in (resolution.report.headline, resolution.report.message or ""):
        found = _CALLED.search(text[:_LONGEST_HEADLINE])
        if found:
            return ResolvedFrame(found["symbol"])
    return None


def _named(resolution: Resolution) -> Optional[ResolvedFrame]:
    """The last function that the headline names with an offset; the frame of the trace where it stands there too."""
    found = list(_NAMED.finditer(resolution.report.headline[:_LONGEST_HEADLINE]))
    if not found:
        return None
    made = _made(found[-1])
    same = (
        frame for frame in callchain.certain(resolution) if (frame.symbol, frame.offset) == (made.symbol, made.offset)
    )
    return next(same, made)
