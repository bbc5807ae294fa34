"""What two crashes of one bug have in common: a log without its times, processes and addresses of data (pure).

Addresses in the code, lines, the culprit and the signature follow from the shape alone. Whoever has a thousand
crashes asks for those once for each shape, and gets the same answer as one who asks for each crash.
"""

import re
from dataclasses import replace

from kdumpwrap.model.log import Log, Report

# "…dereference, address: 0000000000000018", not "f+0x12345678/0x…"; "WARNING: CPU: 1 PID: 112 at …";
# "soft lockup - CPU#0 stuck for 11s! [comm:113]"; "INFO: task comm:113 blocked for more than 120 seconds."
_OWN = re.compile(
    r"(?<![\w+/.])(?:0x)?[0-9a-f]{8,16}(?![\w+.])|(?<=PID: )\d+|(?<=CPU: )\d+|(?<=CPU#)\d+|"
    r"(?<= stuck for )\d+|(?<=:)\d+(?=\]$| blocked for )"
)


def shape(log: Log) -> Log:
    """``log`` without what differs from one occurrence of a bug to the next."""
    return replace(log, reports=tuple(map(_shape, log.reports)), build_id=None, problems=())


def restored(answer: Report, own: Report) -> Report:
    """``answer``, found for the shape of ``own``, with what `shape` took away."""
    return replace(
        answer,
        headline=own.headline,
        line=own.line,
        last_line=own.last_line,
        time=own.time,
        cpu=own.cpu,
        pid=own.pid,
        fault_address=own.fault_address,
        registers=own.registers,
        hardware=own.hardware,
        message=own.message,
    )


def _shape(report: Report) -> Report:
    return replace(
        report,
        headline=_OWN.sub("0", report.headline),
        line=0,
        last_line=None,
        time=None,
        cpu=None,
        pid=None,
        fault_address=None,
        registers=(),
        hardware=None,
        message=None,
    )
