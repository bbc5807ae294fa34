"""Doctor's values: checks, fixes, and the diagnosis of a host."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.shell import NONE, Hint

Phase = Literal["install", "configure", "boot", "enable", "load", "reboot"]
Side = Literal["capture", "analysis"]
Status = Literal["ok", "fail", "warn", "unknown", "skip"]


class Step(NamedTuple):
    """One command of a fix."""

    what: str  # in words: "Install kexec-tools"
    command: Hint  # ready for a shell; "" when a person has to do it by hand
    phase: Phase = "configure"
    unless: Hint = NONE  # a shell's condition under which nothing is left to do, for a command that may not run twice
    silent: Hint = NONE  # the command for a script, where ``command`` asks the one who types it
    later: "Optional[Step]" = None  # what to do instead where the machine reboots afterwards


PHASES: Tuple[Phase, ...] = (
    "install",
    "configure",
    "boot",
    "enable",
    "load",
    "reboot",
)  # the order in which steps are taken


class Check(NamedTuple):
    """One check of a host and its result.

    ``status``: "ok"; "fail", a fault; "warn", a fact that stops nothing; "unknown", no answer; "skip", a fault that is
    only the consequence of the fault in the check ``cause``.
    """

    name: str
    status: Status
    seen: str
    fix: Tuple[Step, ...] = ()
    side: Side = "capture"  # "capture": catching the next crash; "analysis": reading it
    after: Tuple[str, ...] = ()  # checks whose fault would explain this one
    cause: Optional[str] = None
    evidence: Tuple[str, ...] = ()  # files and commands that show it


class Diagnosis(NamedTuple):
    """The diagnosis of one host."""

    root: str
    distribution: str  # "CentOS Linux 7 (Core)", from os-release
    release: Optional[str]  # of the kernel that runs, or of the one that boots next
    arch: Optional[str]
    memory: Optional[int]  # bytes that the kernel counts when it reserves
    ready: Optional[bool]  # None: it cannot be told
    checks: Tuple[Check, ...] = ()
