"""The key of a crash: equal for two crashes of one bug in one build of a kernel (pure).

Addresses in the code, lines, the culprit and the signature follow from the key alone. Whoever has a thousand crashes
asks for those once for each key, and gets the same answer as one who asks for each crash.
"""

import re
from typing import Hashable

from kdumpwrap.model.log import Log, Report

# what differs from one occurrence of a bug to the next
_OWN = frozenset(
    "headline message line last_line time wall cpu pid user_ip fault_address registers hardware memory machine_checks "
    "blocker panicker tracks".split()  # of the first two _DIFFERS
)
# "…dereference, address: 0000000000000018", not "f+0x12345678/0x…"; "WARNING: CPU: 1 PID: 112 at …";
# "soft lockup - CPU#0 stuck for 11s! [comm:113]"; "INFO: task comm:113 blocked for more than 120 seconds."
_DIFFERS = re.compile(
    r"(?<![\w+/.])(?:0x)?[0-9a-f]{8,16}(?![\w+.])|(?<=PID: )\d+|(?<=CPU: )\d+|(?<=CPU#)\d+|"
    r"(?<= stuck for )\d+|(?<=:)\d+(?=\]$| blocked for )"
)


def key(log: Log) -> Hashable:
    """The same for two logs of which everything but an explanation can be told together."""
    return (log.release, log.arch, log.kernel_offset, log.fatal, *map(_key, log.reports))


def _key(report: Report) -> Hashable:
    same = tuple(value for name, value in vars(report).items() if name not in _OWN)
    return (_DIFFERS.sub("0", report.headline), _DIFFERS.sub("0", report.message or ""), *same)
