"""The name of a crash directory: host and time of the crash (pure).

The forms are those of kexec-tools' and kdump-utils' mkdumprd/kdump.sh, Debian's kdump-config, SUSE's kdump, ABRT's
vmcore harvester and systemd-pstore.
"""

import re
from datetime import datetime
from typing import NamedTuple, Optional

from kdumpwrap.moment import local
from kdumpwrap.regex import regex


class Name(NamedTuple):
    """``time`` is ISO 8601, local time of the host that crashed; pstore's is local time here."""

    host: Optional[str] = None
    time: Optional[str] = None


_HOST = r"(?:(?:vmcore-)?(?P<host>.+)-)"
_DAY = r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
_FORMS = tuple(
    regex(form, re.ASCII | re.DOTALL)
    for form in (
        # 127.0.0.1-2023-12-20-10:51:07 el6, el7.1 and later; fe80::1-2023-…; ABRT's vmcore-127.0.0.1-2023-…;
        # copies to other file systems lose the colons
        rf"{_HOST}{_DAY}-(?P<H>\d\d)[:._-](?P<M>\d\d)[:._-](?P<S>\d\d)",
        # 127.0.0.1-2014.06.01-10:51:07 el7.0
        rf"{_HOST}(?P<Y>\d{{4}})\.(?P<m>\d\d)\.(?P<d>\d\d)-(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)",
        # 127.0.0.1-01.06.12-10:51:07 before that
        rf"{_HOST}(?P<d>\d\d)\.(?P<m>\d\d)\.(?P<y>\d\d)-(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)",
        # 202312201051 Debian and Ubuntu; HOST-202312201051 from a remote one
        rf"{_HOST}?(?P<Y>2\d{{3}})(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)(?P<M>\d\d)",
        # 2023-12-20-10-51 and 2023-12-20-10:51 SUSE; HOST-… from a remote one
        rf"{_HOST}?{_DAY}-(?P<H>\d\d)[:-](?P<M>\d\d)",
    )
)

# systemd-pstore: 1703069467 is the time; 170306946700001 of EFI is that, a part and a count. ERST's ids hold no time
_PSTORE = regex(r"(?P<seconds>1\d{9})(?:\d{5})?")


def parse(name: str) -> Name:
    """Host and time in the directory's name; None for a part that is not in it."""
    for form in _FORMS:
        match = form.fullmatch(name)
        if match:
            part = match.groupdict()
            year = int(part["Y"]) if part.get("Y") else 2000 + int(part["y"])
            try:
                month, day, hour, minute, second = (int(part.get(key) or 0) for key in ("m", "d", "H", "M", "S"))
                time = datetime(year, month, day, hour, minute, second)
            except ValueError:
                continue
            return Name(part["host"], time.isoformat())
    match = _PSTORE.fullmatch(name)
    return Name(None, clock(int(match["seconds"]))) if match else Name()


def clock(seconds: float) -> Optional[str]:
    """``seconds`` since 1970 as ISO 8601 local time."""
    return local(seconds)
