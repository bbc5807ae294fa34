"""The kernel's first line: its release and its machine."""

from typing import NamedTuple, Optional

from kdumpwrap.host.release import known, machine
from kdumpwrap.regex import regex

WORD = "Linux version "

# Linux version 3.10.0-514.el7.x86_64 (builder@kbuilder.dev.centos.org) (gcc version 4.8.5 …) #1 SMP …
_BANNER = regex(r"Linux version (?P<release>\d\S*) \(")


class Banner(NamedTuple):
    release: Optional[str]  # None for a text that is no release: "5.14.0-1;reboot"
    arch: Optional[str]


def parse(text: str) -> Optional[Banner]:
    """Release and machine in "Linux version …"; None when the line only mentions these words."""
    match = _BANNER.match(text)
    if match is None:
        return None
    release = known(match["release"])
    return Banner(release, machine(release or "") or machine(text[:200]))
