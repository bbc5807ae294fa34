"""Errors that a user, a file or a tool causes. Each has a message and a hint."""

import errno

from kdumpwrap.shell import NONE, Hint

# A file exists but cannot be read: a disk fault, or too many open files.
FAULTS = frozenset((errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT))
# Nothing can be written, or no process be started: no space, a limit.
REFUSALS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EAGAIN))


class KdumpwrapError(Exception):
    """Nothing could be done. ``message`` says what is wrong, ``hint`` what to type (may be empty)."""

    def __init__(self, message: str, hint: Hint = NONE, *, tool_failed: bool = False) -> None:
        """``tool_failed``: the failure of a program is the cause, so a later try may succeed."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.tool_failed = tool_failed


class WrongVmlinux(KdumpwrapError):
    """The vmlinux is that of another kernel than the one that crashed."""


class NoCrash(KdumpwrapError):
    """There is no crash where one was expected: no such path, an empty directory, a log without a report."""


class UsageError(KdumpwrapError):
    """The command line asks for something that makes no sense: exit status 2."""


class ReadFailed(KdumpwrapError):
    """The system failed to read a file that exists, or to open one more: a later try may succeed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, tool_failed=True)


class ToolMissing(KdumpwrapError):
    """A program that is needed is not installed; the hint is the command that installs it."""

    def __init__(self, message: str, hint: Hint, package: str) -> None:
        super().__init__(message, hint, tool_failed=True)
        self.package = package


class ToolFailed(KdumpwrapError):
    """A program failed, exceeded its time limit, or printed unknown output."""

    def __init__(self, message: str, hint: Hint = NONE, said: str = "") -> None:
        """``said``: the first line of its standard error."""
        super().__init__(message, hint, tool_failed=True)
        self.said = said


class ToolTold(ToolFailed):
    """A program ended without an error and printed only a part: as a rule its file is cut off."""


class ToolStopped(ToolFailed):
    """A signal ended a program, or it could not be started: a later try may succeed."""


class ToolTimeout(ToolStopped):
    """A program did not end within its time limit and was killed."""
