"""The release of the kernel that crashed, from a few KiB of its log or vmcore."""

import re
from typing import Optional

from kdumpwrap.crashdir import crashfile
from kdumpwrap.errors import KdumpwrapError, ReadFailed
from kdumpwrap.host.release import known
from kdumpwrap.model.crash import Crash
from kdumpwrap.regex import regex

_HEAD = 4 << 10  # bytes of a log's beginning that hold "Linux version"
_ENDS = 64 << 10  # bytes at a log's end or a vmcore's beginning that hold the release when the head lacks it

_LINUX_VERSION = regex(rb"Linux version ([0-9]\S{0,99})")
_CPU_LINE = regex(rb"ainted(?:: [A-Z -]{0,64})? {1,64}([0-9][0-9.]\S{0,99}) #")
_OSRELEASE = regex(rb"OSRELEASE=([0-9][!-~]*)\n")  # VMCOREINFO is text, whatever the dump's format


def release_of(crash: Crash) -> Optional[str]:
    """The kernel's release, from a few KiB of the log (``Linux version 5.14.0-…``, ``Comm: … #1``) or the vmcore.

    None when it is in neither. Raises ReadFailed.
    """
    try:
        if crash.packed and crash.dmesg is not None:
            pack = crashfile.pack(crash.dmesg)
            return pack and (pack.release or release_in(pack.log, pack.log))
        if crash.dmesg is not None:
            head = release_in(crashfile.head(crash.dmesg, _HEAD), b"")
            return head or release_in(b"", crashfile.tail(crash.dmesg, _ENDS))
        if crash.vmcore is not None:
            return _known(_OSRELEASE.search(crashfile.head(crash.vmcore, _ENDS)))
    except ReadFailed:
        raise
    except KdumpwrapError:
        pass
    return None


def release_in(head: bytes, tail: bytes) -> Optional[str]:
    """The kernel's release by the first bytes of a log, else by its last ones."""
    return _known(_LINUX_VERSION.search(head[:_HEAD]) or _CPU_LINE.search(tail[-_ENDS:]))


def _known(match: "Optional[re.Match[bytes]]") -> Optional[str]:
    return known(match[1].decode("ascii", "replace")) if match else None
