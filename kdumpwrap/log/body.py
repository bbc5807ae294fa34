"""Single facts in a report's body: the bad address, the kind of access, the error code, the task."""

import re
from typing import Dict, Optional, Tuple

from kdumpwrap.regex import regex

_ROWS: Tuple["re.Pattern[str]", ...] = (
    # Write of size 1 at addr ffff88802d3c9688 by task dockerd/2201
    regex(
        r"(?P<access>Read|Write) (?:of size \d+)?(?: ?at addr (?P<addr>[0-9a-f]{1,16}))?"
        r"(?: ?by task (?P<comm>.{1,64})/(?P<pid>\d+))?$"
    ),
    # Use-after-free read at 0xffff88823bc8cf68 (in kfence-#69):
    regex(
        r"(?:[A-Z][\w -]{3,40} (?P<access>read|write)|Invalid free|Corrupted memory) (?:at|of) "
        r"0x(?P<addr>[0-9a-f]{1,16}) "
    ),
    # race at unknown origin, with assert no writes to 0xffff8881001cb1e8 of 4 bytes by task 4926 on cpu 0:
    # write to 0xffff888103d6ab20 of 8 bytes by task 123 on cpu 1:          read (marked) to …
    regex(
        r"(?:race at unknown origin, with )?(?:assert no )?(?P<access>read|write)[\w-]{0,8}(?: \([a-z-]{1,20}\))? to "
        r"0x(?P<addr>[0-9a-f]{8,16}) of \d+ bytes by (?:task (?P<pid>\d+)|interrupt) on cpu (?P<cpu>\d+)"
    ),
    # #PF: supervisor write access in kernel mode
    regex(r"#PF: \w+ (?P<access>read|write|instruction) "),
    regex(r"#PF: error_code\(0x(?P<code>[0-9a-f]{1,8})\)"),
    regex(r"ESR(?: =|:) 0x(?P<code>[0-9a-f]{4,16})"),
    regex(r"FAR: 0x(?P<addr>[0-9a-f]{16})$"),
    # Failing address: 0000200030f55000 TEID: 0000200030f55803     failing address: 0000000000000000
    regex(r"[Ff]ailing address: (?P<addr>[0-9a-f]{16})(?: TEID: (?P<teid>[0-9a-f]{16}))?"),
    # syz-fuzzer/4405 is trying to release lock (&mm->mmap_lock) at:     swapper/30/0 [HC0[0]:SC1[1]:HE1:SE0] takes:
    regex(
        r"(?P<comm>\S.{0,63}?)/(?P<pid>\d+) (?:is trying to|\[HC|is freeing memory|just changed the state|"
        r"is leaving the kernel|still has)"
    ),
    regex(r'comm "(?P<comm>.{1,16})", pid (?P<pid>\d+)(?:, jiffies|$)'),
    # in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 123, name: kworker/0:1
    regex(r"in_atomic\(\): \d.{0,80} pid: (?P<pid>\d+), name: (?P<comm>.{1,64})$"),
    regex(r"(?:SPL: )?Showing stack for process (?P<pid>\d+)"),
    # Process java (pid: 14045, threadinfo ffff8802…, task ffff88…)          Process top (pid: 1035, stack limit = 0x…)
    regex(r"Process (?P<comm>.{1,64}) \(pid: (?P<pid>\d+), (?:threadinfo|stack limit|ti)"),
    regex(r"CPU (?P<cpu>\d{1,5})$"),  # el6
)
_WORDS = regex(
    r" of size | at addr |by task |#PF|ESR|FAR: |ailing address| (?:at|of|to) 0x|/\d+ (?:is|\[|just|still)|comm \"|"
    r"pid: |for process|^CPU \d"
)


def parse(text: str) -> Optional[Dict[str, str]]:
    """The facts in ``text`` by the names that headlines use (``addr``, ``access``, ``code``, ``pid``…), or None."""
    if not _WORDS.search(text):
        return None
    for pattern in _ROWS:
        match = pattern.match(text)
        if match:
            return {name: value for name, value in match.groupdict().items() if value is not None}
    return None
