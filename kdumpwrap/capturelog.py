"""The capture kernel's log, beside a crash or behind it in a console's log: why there is no whole vmcore."""

import os
import re
from typing import Iterable, Iterator, List, Optional

from kdumpwrap import shell
from kdumpwrap.crashdir import contents, crashfile
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.errors import KdumpwrapError, NoCrash, ReadFailed
from kdumpwrap.host import release as releases
from kdumpwrap.model.capture import Capture, Creation, Said
from kdumpwrap.model.crash import Crash

_MOST = 4 << 20  # bytes that are read; CentOS' has some 200 kB
_FULL = 8 << 20  # bytes: where fewer are free, no dump had room
_SIGNS = (b"elfcorehdr=", b"reset_devices", b"Firmware-assisted dump is active")  # of a capture kernel


def beside(crash: Crash) -> Optional[Capture]:
    """The outcome in the capture kernel's log, where ``crash`` has no whole vmcore; None where there is no such log.

    Raises ReadFailed.
    """
    begun = crash.vmcore is not None and contents.is_incomplete(crash.vmcore)
    if written(crash) is not None and not begun:
        return None
    file = crash.capture or ""
    own = file.endswith(f"/{contents.CAPTURE_LOG}")
    try:
        text = crashfile.tail(file, _MOST) if file else b""
    except ReadFailed:
        raise
    except KdumpwrapError:
        return None
    from kdumpwrap.parse import kdump

    found = kdump.capture((text,), whole=len(text) < _MOST, console=not own)
    if found is None:  # there is no log, or one of a console on which no capture kernel speaks
        return Capture("cut") if begun and _keeps_log(release_of(crash)) else None
    if own and not text.endswith(b"\n") and found.cause is None and not found.saved:
        found = _cut(found, text, file)
    return found._replace(file=file)


def _keeps_log(release: Optional[str]) -> bool:
    """Whether that kernel's kdump saves its own log behind the vmcore, whole or not: el8.4 (d7054f4) and later."""
    kernel = releases.parse(release)
    if kernel is None or kernel.vendor not in ("el", "fedora"):
        return False
    # 4.18.0-305.el8.x86_64 is 8.4's
    build = re.match(r"4\.18\.0-(\d{1,4})", kernel.base)
    return int(build[1]) >= 305 if build else kernel.version >= (5, 14)


def _cut(found: Capture, text: bytes, path: str) -> Capture:
    """``found`` for a log that is cut off: "space" where the file system is full, else "cut".

    The capture kernel writes the log after the vmcore, so a full target cuts off both.
    """
    try:
        status = os.statvfs(os.path.dirname(path))  # noqa: PTH120
    except OSError:
        room = None
    else:
        room = status.f_bavail * status.f_frsize
    last = text.rpartition(b"\n")[2][-200:].decode("utf-8", "backslashreplace") or "empty"
    full = room is not None and room < _FULL
    return found._replace(
        cause="space" if full else "cut",
        said=Said(last, text.count(b"\n") + 1 if len(text) < _MOST else None),
        cut=True,
        room=room,
    )


def written(crash: Crash) -> Optional[int]:
    """Bytes of the vmcore; None when there is none, or an empty one."""
    try:
        return os.stat(crash.vmcore).st_size or None if crash.vmcore is not None else None  # noqa: PTH116
    except OSError:
        return None


def creation(crash: Crash) -> Optional[Creation]:
    """The outcome of a test of kdump; None when ``crash`` is no test."""
    try:
        text = crashfile.head(crash.creation, 4096) if crash.creation is not None else b""
    except KdumpwrapError:
        return None
    return status(text.decode("utf-8", "replace"))


def status(text: str) -> Optional[Creation]:
    """The outcome in vmcore-creation.status."""
    from kdumpwrap.parse import kdump

    return kdump.creation(text)


def nothing_saved(crash: Crash) -> NoCrash:
    """The error that kdump saved nothing of ``crash``, with the cause where it is known."""
    from kdumpwrap.explain import nodump

    found = beside(crash)
    why = nodump.brief(found) if found is not None else ""
    log = found.file if found is not None and found.file else crash.path
    hint = shell.hint("kdumpwrap doctor") if why else shell.hint("less {}", log)
    return NoCrash(f"{crash.path}: kdump saved neither the vmcore nor its dmesg{f': {why}' if why else ''}", hint)


class Console:
    """Passes a console's log to the reader and keeps a copy of the part that a capture kernel wrote."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._kept: List[bytes] = []
        self._size = 0
        self._number = 1  # of the first line that is kept

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """``blocks``, unchanged; the part of a capture kernel is copied."""
        before = b""
        for block in blocks:
            if self._kept or any(sign in before[-64:] + block for sign in _SIGNS):
                if not self._kept:
                    self._kept.append(before)
                if self._size < _MOST:
                    self._kept.append(block)
                    self._size += len(block)
            else:
                self._number += before.count(b"\n")
                before = block
            yield block

    def capture(self) -> Optional[Capture]:
        """The outcome in the log, when all blocks have passed; None without a capture kernel's part."""
        if not self._kept:
            return None
        from kdumpwrap.parse import kdump

        found = kdump.capture(self._kept, first=self._number, console=True)
        return None if found is None else found._replace(file=self._file)
