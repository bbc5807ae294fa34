"""The fatal report: which one brought the kernel down, by the text of the panic or by its absence."""

import re
from typing import AbstractSet, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.log.builder import Draft
from kdumpwrap.log.kinds import DIE, WARNS
from kdumpwrap.model.log import LogLine, ReportKind
from kdumpwrap.regex import regex


class _Panic(NamedTuple):
    words: "re.Pattern[str]"  # in the panic's text
    kinds: AbstractSet[ReportKind]  # of the report that brings it about
    alone: ReportKind  # the kind of a panic whose report is not in the log
    soon: bool = False  # only of a report that ended just before


_PANICS = (
    # oops_end(), die(): "Fatal exception in interrupt", "Fatal exception: panic_on_oops"
    _Panic(regex(r"Fatal exception"), DIE | {"kasan", "kfence"}, "oops"),
    _Panic(regex(r"panic_on_warn|kasan\.fault=panic"), WARNS, "warning"),
    _Panic(regex(r"softlockup: hung tasks"), {"soft-lockup"}, "soft-lockup"),
    _Panic(regex(r"hung_task: blocked tasks"), {"hung-task"}, "hung-task"),
    _Panic(regex(r"RCU Stall"), {"rcu-stall"}, "rcu-stall"),
    _Panic(regex(r"hard lockup", re.I), {"hard-lockup"}, "hard-lockup"),
    _Panic(regex(r"machine check|MCE|Fatal hardware error", re.I), {"machine-check"}, "machine-check"),
    _Panic(regex(r"kernel stack overflow|Corrupt kernel stack", re.I), {"stack-overflow"}, "stack-overflow"),
    _Panic(regex(r"SError|bad mode", re.I), {"oops"}, "oops"),
    _Panic(regex(r"Machine halted"), {"double-fault", "stack-overflow"}, "double-fault"),
    _Panic(regex(r"scheduling while atomic"), {"atomic-sleep"}, "panic"),
    # do_exit() of an oopsing init, idle task or interrupt handler
    _Panic(regex(r"Attempted to kill|Aiee, killing|Fatal exception|Unrecover|BUG"), DIE, "panic", soon=True),
)

_BACK = 64  # reports, from the panic back, among which its cause is looked for
_AT_ONCE = 8  # reports among which the one that panics is looked for
_SOON = 5.0  # seconds between an oops and the panic that do_exit() makes of it
_ROUND = 30.0  # seconds that one round of khungtaskd takes at most
_NESTED = 2.0  # seconds within which an oops is the fallout of one that has not ended


def cause(text: str, line: LogLine, drafts: Sequence[Draft], boot: int) -> Tuple[Optional[Draft], ReportKind]:
    """The report that brought about the panic with this ``text``, if one did; else the kind of the panic alone."""
    rule = next((rule for rule in _PANICS if rule.words.search(text)), None)
    if rule is None:
        return None, "panic"
    able: List[int] = []
    for index in range(len(drafts) - 1, max(-1, len(drafts) - 1 - _BACK), -1):
        draft = drafts[index]
        if draft.boot != boot or (rule.soon and not _within(draft.last_time, line.time, _SOON)):
            break
        if draft.kind in rule.kinds and draft.panic is None:
            able.append(index)
        if rule.soon or len(able) > _AT_ONCE:
            break
    if not able:
        return None, rule.alone
    # CPUs may die at the same time: the one that panics prints from where it oopsed
    own = next((index for index in able if line.caller and drafts[index].caller == line.caller), able[0])
    return _first(drafts, own), rule.alone


def _first(drafts: Sequence[Draft], index: int) -> Draft:
    """The report whose panic it is: of hung tasks found in one round the first, of nested oopses the outermost."""
    found = drafts[index]
    for before in reversed(drafts[max(0, index - _BACK) : index]):
        if before.boot != found.boot or before.panic is not None:
            break
        if found.kind == "hung-task":
            if before.kind != "hung-task" or not _within(before.time, found.time, _ROUND):
                break
        elif found.kind in DIE:
            unended = before.kind in DIE and before.die is not None and not before.ended
            if not unended or not _within(before.last_time, found.time, _NESTED):
                break
            if None not in (before.cpu, found.cpu) and before.cpu != found.cpu:
                break
        else:
            break
        found = before
    return found


def _within(start: Optional[float], end: Optional[float], seconds: float) -> bool:
    return start is None or end is None or end - start <= seconds


def choose(drafts: List[Draft], boot: int, end: Optional[float], captures: AbstractSet[int]) -> Optional[int]:
    """Index of the report that brought the kernel down; None when none did, as far as the log goes.

    ``boot`` and ``end`` are the boot and the time at which the log ends. The last boot that died counts; of boots of a
    capture kernel, only when no other died.
    """
    for number in sorted(range(boot + 1), key=lambda one: (one not in captures, one), reverse=True):
        own = [i for i, draft in enumerate(drafts) if draft.boot == number]
        for index in own:
            if drafts[index].panic is not None:
                return index
        dead = [i for i in own if drafts[i].final] or [i for i in own if drafts[i].kind in DIE and drafts[i].die]
        dead = dead or [i for i in own if drafts[i].kind in DIE and drafts[i].ip and drafts[i].role != "piece"]
        if not dead:
            continue
        last = drafts[dead[-1]]
        if number < boot or _within(last.last_time, end, 2 * _SOON):
            return drafts.index(_first(drafts, dead[-1]))
    return None
