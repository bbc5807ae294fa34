"""Hung tasks that wait at one place are one report: the first of them, and how many there are."""

from typing import Dict, Hashable, List, Sequence

from kdumpwrap.log.builder import Draft

_ROUND = 60.0  # seconds in which one look at all tasks reports what it finds


def fold(drafts: Sequence[Draft]) -> List[Draft]:
    """``drafts`` without the hung tasks whose stack an earlier one of the same boot has; that one counts them.

    What is listed behind the last of one look, the locks that all tasks hold, is said of each.
    """
    kept: List[Draft] = []
    first: Dict[Hashable, Draft] = {}
    for draft in drafts:
        stack = tuple((frame.symbol, frame.offset, frame.module) for frame in draft.frames)
        known = first.setdefault((draft.boot, stack), draft) if draft.kind == "hung-task" and stack else draft
        if known is draft:
            kept.append(draft)
        else:
            known.absorb(draft)
    _share(kept)
    return kept


def _share(drafts: Sequence[Draft]) -> None:
    listed: List[Draft] = []
    for draft in reversed(drafts):
        if draft.kind != "hung-task":
            continue
        if draft.locks.everybody:
            listed = [draft]
        elif listed and listed[0].boot == draft.boot and (listed[0].time or 0) - (draft.time or 0) <= _ROUND:
            draft.locks.take(listed[0].locks)
