"""Missing dumps: sentences on why there is no whole vmcore, for `list`, `analyze` and doctor (pure)."""

from typing import Dict, Optional

from kdumpwrap.model.capture import Capture, Cause

_M = 1 << 20

_BRIEF: Dict[Cause, str] = {
    "memory": "the capture kernel ran out of memory",
    "crash": "the capture kernel crashed too",
    "space": "no space left on the target",
    "device": "the target's device did not appear",
    "network": "the target's host was not reached, or refused",
    "mount": "the target was not mounted",
    "killed": "makedumpfile was killed",
    "makedumpfile": "makedumpfile failed",
    "failed": "kdump failed, and does not say why",
    "cut": "the log ends while the vmcore is written",
}


def brief(capture: Capture, written: Optional[int] = None) -> str:
    """The cause in half a sentence, or that the vmcore is gone; "" when neither is known. ``written``: its bytes."""
    if capture.cause is None:
        return "saved, and gone since" if capture.saved else ""
    amounts = _amounts(capture, written)
    if capture.cut and capture.cause == "space" and capture.room is not None:
        return f"{_BRIEF['space']}: {capture.room // _M} MiB are free now, and the capture kernel's log is cut off too"
    if capture.cut:
        return "the target was full, or the machine was reset: the capture kernel's log is cut off too"
    if capture.cause == "cut" and capture.said is None:
        return "the capture kernel came to no end, and left no log"
    about = f" ({capture.subject})" if capture.subject and capture.cause in ("device", "network", "mount") else ""
    return f"{_BRIEF[capture.cause]}{about}{f': {amounts}' if amounts else ''}"


def sentence(capture: Capture, written: Optional[int] = None) -> Optional[str]:
    """The sentence of `analyze` under Why, with the line it rests on; None when nothing is known to have failed."""
    if capture.cause is None:
        return None
    if capture.said is None:
        return f"There is no whole vmcore: {brief(capture, written)}."
    number = f" line {capture.said.number}" if capture.said.number is not None else ""
    where = f"{(capture.file or 'the log').rpartition('/')[2]}{number}"
    driver = ""
    if capture.driver is not None and capture.cause in ("device", "network", "mount", "failed", "cut"):
        driver = f" Before that a driver failed: {capture.driver.text}"
    return f"There is no whole vmcore: {brief(capture, written)} ({where}: {capture.said.text}).{driver}"


def needed(capture: Capture, written: Optional[int]) -> Optional[int]:
    """The estimated bytes of the whole vmcore, from the percentage that was copied; None when it is unknown."""
    if not written or not capture.percent or capture.percent < 1:
        return None
    return int(written * 100 / capture.percent)


def _amounts(capture: Capture, written: Optional[int]) -> str:
    """The amounts of memory or space behind the cause; "" when none is known."""
    if capture.cause == "memory":
        had = f"it had {-(-capture.memory // _M)} MiB" if capture.memory else ""
        process = f"{capture.subject} took {capture.used // _M} MiB" if capture.used and capture.subject else ""
        return ", ".join(filter(None, (had, process)))
    if capture.cause in ("space", "cut", "killed"):
        whole = needed(capture, written)
        if whole is not None and written:
            return f"{written // _M} MiB written, {capture.percent:.0f} % of some {-(-whole // _M)} MiB"
        return f"{written // _M} MiB written" if written else ""
    return ""
