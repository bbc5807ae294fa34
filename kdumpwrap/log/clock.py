"""The time of day at which a boot began: the kernel prints it when it sets its clock from the clock chip."""

from typing import Optional

from kdumpwrap.regex import regex

# rtc_cmos 00:05: setting system clock to 2024-01-25 12:21:17 UTC (1706185277)       drivers/rtc/class.c, hctosys.c
# rtc_cmos 00:05: setting system clock to 2024-01-25T12:21:17 UTC (1706185277)       4.20 and later
WORD = b"setting system clock to "
_WORD = WORD.decode()
_SET = regex(r"(?:\S+ \S+: )?setting system clock to \d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d UTC \((?P<epoch>\d{1,10})\)")
_EARLIEST, _LATEST = 946684800, 4102444800  # 2000, 2100: a chip without battery gives 1970


def parse(text: str) -> Optional[int]:
    """Seconds since 1970 in such a line; None for another line, or when the clock chip had no valid time."""
    match = _SET.match(text) if _WORD in text else None
    epoch = int(match["epoch"]) if match else 0
    return epoch if _EARLIEST <= epoch < _LATEST else None
