"""The capture kernel: the cause that kept kdump from saving a whole vmcore, and the line that shows it."""

from typing import NamedTuple, Optional

from kdumpwrap.literal import Literal

# memory: of the capture kernel, used up             space: none left on the target
# crash: the capture kernel died                     killed: makedumpfile was
# device: of the target, did not appear              mount: the target was not mounted
# network: the target's host not reached, or refused
# makedumpfile: failed for another reason            failed: kdump gives no reason
# cut: the log ends while the vmcore is written
Cause = Literal["memory", "crash", "space", "device", "network", "mount", "killed", "makedumpfile", "failed", "cut"]
Outcome = Literal["success", "fail", "manual", "clear"]


class Said(NamedTuple):
    """A line of a log. ``number`` counts from 1; None where the log was not read from its beginning."""

    text: str
    number: Optional[int]


class Capture(NamedTuple):
    """The log of the capture kernel. ``cause`` is None when no line shows that saving failed."""

    cause: Optional[Cause] = None
    said: Optional[Said] = None  # the line that shows the cause
    subject: Optional[str] = None  # the device, host, mount point, or process that it is about
    driver: Optional[Said] = None  # a driver that timed out or failed, or wanted firmware
    firmware: Optional[str] = None  # the file that the driver wanted
    saved: bool = False  # "saving vmcore complete"
    memory: Optional[int] = None  # bytes that the capture kernel had
    used: Optional[int] = None  # resident bytes of the process that the out-of-memory killer killed
    percent: Optional[float] = None  # of the pages, copied
    fadump: bool = False  # the firmware kept the memory, no kexec
    file: Optional[str] = None
    cut: bool = False  # the log ends in the middle of a line: the log had no room either, or the machine was reset
    room: Optional[int] = None  # bytes free now on the file system of a log that is cut


class Creation(NamedTuple):
    """vmcore-creation.status: the outcome of the last test of kdump, or of the last crash."""

    outcome: Outcome
    time: Optional[int] = None  # seconds since 1970
