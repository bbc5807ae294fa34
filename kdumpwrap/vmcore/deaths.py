"""Unexpected ends of crash(8): the cause, from its output and its exit status."""

from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.tools.crash import CrashDied, End


def at_start(died: CrashDied, vmlinux: str, *, tight: bool) -> Failure:
    """Before the first prompt. SILENT is either half a dump or a memory that ran out."""
    if died.expired or died.endless:
        return Failure(crash_failure.ENDLESS if died.endless else crash_failure.EXPIRED)
    if died.end.signal is not None:
        return of(died.end, died.text, tight=tight)
    return crash_failure.starting(died.text, vmlinux)


def answering(died: CrashDied, *, tight: bool) -> Failure:
    """In the middle of an answer."""
    if died.expired or died.endless:
        return Failure(crash_failure.ENDLESS if died.endless else crash_failure.EXPIRED)
    if died.end.status == 0:
        return Failure(crash_failure.ENDED)
    return of(died.end, died.text, tight=tight)


def of(end: End, text: str, *, tight: bool) -> Failure:
    """After its first prompt; ``tight`` says whether memory may well have run out, which crash often does not say."""
    found = crash_failure.answering(text)
    if found is not None and found.kind == crash_failure.MEMORY:
        return found
    if end.signal is not None:
        return Failure(crash_failure.KILLED, str(end.signal))
    if tight:
        return Failure(crash_failure.MEMORY)
    return Failure(crash_failure.OTHER, f"it ended with status {end.status}")
