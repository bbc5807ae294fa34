"""Hung tasks with the same stack become one report: the first of them, with the number of tasks."""

from typing import Dict, Hashable, List, Sequence

from kdumpwrap.log.builder import Draft

_ROUND = 60.0  # seconds within which one scan of all tasks prints its reports


def fold(drafts: Sequence[Draft]) -> List[Draft]:
    """``drafts`` without the hung tasks whose stack an earlier one of the same boot has; that one counts them.

    The locks that all tasks hold are listed behind the last report of a scan: each report of the scan gets them.
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
