"""The key of a crash: equal for two crashes of one bug in one build of a kernel (pure).

Addresses in the code, lines, the culprit and the signature follow from the key alone. A batch of crashes is resolved
once for each key, with the same answers as once for each crash.
"""

from typing import Hashable

from kdumpwrap.model.log import Log, Report
from kdumpwrap.regex import regex

# what differs from one occurrence of a bug to the next
_OWN = frozenset(
    "headline message line last_line time wall cpu pid user_ip fault_address registers hardware memory machine_checks "
    "blocker panicker tracks".split()  # headline, message: without _DIFFERS
)
# "…dereference, address: 0000000000000018", not "f+0x12345678/0x…"; "WARNING: CPU: 1 PID: 112 at …";
# "soft lockup - CPU#0 stuck for 11s! [comm:113]"; "INFO: task comm:113 blocked for more than 120 seconds."
_DIFFERS = regex(
    r"(?<![\w+/.])(?:0x)?[0-9a-f]{8,16}(?![\w+.])|(?<=PID: )\d+|(?<=CPU: )\d+|(?<=CPU#)\d+|"
    r"(?<= stuck for )\d+|(?<=:)\d+(?=\]$| blocked for )"
)


def key(log: Log) -> Hashable:
    """The key: equal for two logs when one analysis is true of both, except for the explanation."""
    return (log.release, log.arch, log.kernel_offset, log.fatal, *map(_key, log.reports))


def _key(report: Report) -> Hashable:
    same = tuple(value for name, value in zip(report._fields, report) if name not in _OWN)
    message = report.message and report.message._replace(text=_DIFFERS.sub("0", report.message.text))
    return (_DIFFERS.sub("0", report.headline), message, *same)
