"""The files of one crash, and the problems with them."""

from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from kdumpwrap.shell import NONE, Hint


class Problem(NamedTuple):
    """A problem: what could not be done, and a hint. The rest of the answer stands beside it."""

    message: str
    hint: Hint = NONE
    tool_failed: bool = False  # a program failed, and may not the next time: no answer with it is final
    wrong_vmlinux: bool = False  # the vmlinux may not be that of the kernel that crashed


class Crash(NamedTuple):
    """The files of one crash. ``path`` is what was asked for: a directory, a dmesg text, a vmcore or "-"."""

    path: str
    dmesg: Optional[str] = None
    vmcore: Optional[str] = None
    host: Optional[str] = None
    time: Optional[str] = None  # ISO 8601, local time of the host: "2023-12-20T10:51:07"
    capture: Optional[str] = None  # the log of the capture kernel: kexec-dmesg.log, or the console's
    creation: Optional[str] = None  # of a test of kdump: vmcore-creation.status
    packed: bool = False  # ``dmesg`` is what kdumpwrap pack wrote

    @property
    def beside(self) -> Optional[Path]:
        """The directory of the log, or of the vmcore: a vmlinux or modules may lie there too; None for "-"."""
        path = self.dmesg or self.vmcore
        return None if path is None or path == "-" else Path(path).parent


class Entry(NamedTuple):
    """One crash of a listing: its files, and what their names and sizes tell."""

    crash: Crash
    vmcore_bytes: Optional[int]  # None: no vmcore
    incomplete: Tuple[str, ...]  # names of files that kdump did not finish
    dmesg_bytes: Optional[int] = None  # None: no log beside the vmcore

    @property
    def missing(self) -> Tuple[str, ...]:
        """The files that kdump did not save, or not to the end, in words."""
        if self.crash.dmesg is None and self.crash.vmcore is None:
            return ("nothing was saved",)
        missing: Tuple[str, ...] = () if self.crash.vmcore else ("no vmcore",)
        missing += () if self.crash.dmesg else ("no dmesg",)
        missing += ("empty vmcore",) if self.vmcore_bytes == 0 else ()
        return missing + self.incomplete
