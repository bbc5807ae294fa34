"""Headlines of one event: the kernel prints several for one fault."""

from typing import Optional

from kdumpwrap.log.builder import Draft
from kdumpwrap.log.headline import Headline
from kdumpwrap.log.kinds import DIE
from kdumpwrap.model.log import LogLine

_SOON = 5.0  # seconds within which two headlines may be of one event


def is_near(draft: Draft, line: LogLine) -> bool:
    """Whether ``line`` was printed so soon behind ``draft`` that both may be of one event."""
    return (draft.since(line) or 0) <= _SOON


def says_more(draft: Draft, line: LogLine, found: Headline) -> bool:
    """Whether this headline belongs to ``draft``, the report that has just begun."""
    if not is_near(draft, line) or draft.role in ("headless", "piece"):
        return False
    if found.role == "die":
        return draft.die is None and not draft.frames and draft.kind in (*DIE, "machine-check")
    if found.kind == "machine-check" == draft.kind:
        return True
    if found.kind == "kmsan" == draft.kind and not draft.frames:  # one headline for each function inlined there
        return True
    if draft.frames or draft.ip:
        return False
    if found.kind == "stack-overflow" == draft.kind:  # "BUG: stack guard page was hit", then "kernel stack overflow"
        return True
    if found.role == "late":
        return draft.kind in ("warning", found.kind)
    if draft.role in ("weak", "logged"):
        checked = draft.kind == "bug" and found.kind in ("bug", "warning")  # the WARN() or BUG() behind the words
        return checked or found.role in ("weak", "logged")
    return draft.headline == found.text and draft.pid == _pid(found) and draft.release is None


def is_same_wait(draft: Draft, found: Headline, boot: int) -> bool:
    """Whether ``found``, of this ``boot``, is of the same wait for another CPU as ``draft``."""
    same = draft.boot == boot and draft.facts.get("csd") == found.facts.get("csd")
    return draft.kind == found.kind == "csd-stall" and same


def _pid(found: Headline) -> Optional[int]:
    return int(found.facts["pid"]) if "pid" in found.facts else None
