"""Times as text in ISO 8601, the form of the times of crashes."""

import re
from datetime import datetime, timezone
from typing import Optional

from kdumpwrap.regex import regex

_ISO = regex(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)


def parse(text: str) -> datetime:
    """The time in ``2024-01-31``, ``2024-01-31T10:00:00`` or ``2024-01-31 10:00``, to the second, without its offset.

    The same on every Python: ``datetime.fromisoformat`` accepts more with each version. Raises ValueError.
    """
    match = _ISO.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(year, month, day, hour, minute, second)


def local(seconds: float) -> Optional[str]:
    """``seconds`` since 1970 as ISO 8601 local time."""
    try:
        return datetime.fromtimestamp(seconds).isoformat(timespec="seconds")
    except (OSError, OverflowError, ValueError):
        return None


def utc(seconds: float) -> Optional[str]:
    """``seconds`` since 1970 as ISO 8601, ``2024-01-25T12:21:33Z``."""
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OSError, OverflowError, ValueError):
        return None
