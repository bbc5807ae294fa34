"""The kernel's first line: which release runs, on which machine."""

import re
from typing import NamedTuple, Optional

from kdumpwrap.host.release import known

WORD = "Linux version "

# Linux version 3.10.0-514.el7.x86_64 (builder@kbuilder.dev.centos.org) (gcc version 4.8.5 …) #1 SMP …
_BANNER = re.compile(r"Linux version (?P<release>\d\S*) \(")
_MACHINES = (
    ("x86_64", re.compile(r"x86_64|amd64")),
    ("aarch64", re.compile(r"aarch64|arm64")),
    ("ppc64le", re.compile(r"ppc64le|powerpc64le|ppc64el")),
    ("ppc64", re.compile(r"ppc64|powerpc64")),
    ("s390x", re.compile(r"s390x")),
    ("i386", re.compile(r"i[3-6]86")),
    ("riscv64", re.compile(r"riscv64")),
    ("arm", re.compile(r"armv[5-8]|armhf|arm-linux")),
)


class Banner(NamedTuple):
    release: Optional[str]  # None where it can be none: "5.14.0-1;reboot"
    arch: Optional[str]


def parse(text: str) -> Optional[Banner]:
    """Release and machine in "Linux version …"; None when the line only mentions these words."""
    match = _BANNER.match(text)
    if match is None:
        return None
    release = known(match["release"])
    return Banner(release, machine(release or "") or machine(text[:200]))


def machine(text: str) -> Optional[str]:
    """The architecture that a release (or a compiler's name) tells: "…el7.x86_64" -> "x86_64"."""
    return next((name for name, pattern in _MACHINES if pattern.search(text)), None)
