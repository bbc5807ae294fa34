"""The release of a kernel: the word that ``uname -r``, its log, packages and directories carry (pure).

Every distribution composes it in its own way::

    3.10.0-1160.el7.x86_64.debug    CentOS and its kin: version, build, elN, machine; a flavour behind them
    5.14.0-503.el9.aarch64+64k      the same since el8
    5.15.0-3.60.5.1.el8uek.x86_64   Oracle's own kernel
    6.1.0-47-cloud-amd64            Debian: version, ABI, flavour, machine in Debian's words
    5.15.0-91-generic               Ubuntu: version, ABI, flavour
    5.14.21-150400.24.100-default   SUSE: version, build, flavour
    6.18.0-rc3+                     built by hand
"""

import re
from typing import Dict, NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.regex import regex

Vendor = Literal[
    "el", "uek", "elrepo", "fedora", "amazon", "anolis", "alinux", "openeuler", "debian", "ubuntu", "suse", ""
]
FamilyName = Literal["el", "debian", "suse", ""]

# a release stands in paths and in commands that a person types: no "/", no blank, no quote, no leading "-" or "."
PATTERN = r"[0-9A-Za-z_][0-9A-Za-z_.+~-]{0,63}"  # 64 bytes: __NEW_UTS_LEN of include/uapi/linux/utsname.h
_WHOLE = regex(PATTERN)

# as uname -m says it, and how releases, compilers and Debian call it; the first that is found counts
_MACHINES = (
    ("x86_64", regex(r"x86_64|amd64")),
    ("aarch64", regex(r"aarch64|arm64")),
    ("ppc64le", regex(r"ppc64le|powerpc64le|ppc64el")),
    ("ppc64", regex(r"ppc64|powerpc64")),
    ("s390x", regex(r"s390x")),
    ("i386", regex(r"i[3-6]86|-686(?:-pae)?\b")),
    ("riscv64", regex(r"riscv64")),
    ("loongarch64", regex(r"loongarch64|loong64")),
    ("arm", regex(r"armv[5-8]|armhf|arm-linux|-armmp")),
)

_VERSION = regex(r"(?P<major>\d{1,4})\.(?P<minor>\d{1,4})(?:\.(?P<patch>\d{1,5}))?", re.A)

# ".el7.", ".el8_10.", ".el7a.", ".el8uek.", ".el9.elrepo.", ".fc41.", ".amzn2023.", ".an8.", ".al8.", ".oe2203sp2."
_RPM = regex(
    r"""
    \. (?P<tag> el | fc | amzn | an | al | oe ) (?P<generation> \d{1,4} )
    (?P<uek> uek )? (?: \.(?P<elrepo> elrepo )\b )?
    """,
    re.X | re.A,
)
# what follows the machine: ".debug" (el7 and before, Oracle), "+rt-debug", EulerOS' "-debug"
_BEHIND = regex(r"\.(?:x86_64|aarch64|ppc64le|ppc64|s390x|i[3-6]86|noarch)[.+-](?P<flavour>[\w+-]+)$", re.A)
_RT = regex(r"\.rt\d", re.A)  # before el9 the real-time kernel says so in its build: 4.18.0-305.rt7.72.el8.x86_64

# SUSE: a flavour that is its own ("-1-default"), or any after a build with a dot ("-150400.24.100-", "-lp152.106-")
_SUSE = regex(
    r"""
    - (?: (?P<own> default | preempt | kvmsmall | longterm )
        | (?: lp )? \d+ \. \d [\d.]* (?: \.g[0-9a-f]+ )? - (?P<shared> azure | rt | xen | vanilla | 64kb ) ) $
    """,
    re.X | re.A,
)
_UBUNTU = regex(
    r"-(?P<flavour>(?:generic|lowlatency|aws|azure|gcp|gke|gkeop|oracle|kvm|ibm|raspi|nvidia|intel|oem)[\w-]*)$", re.A
)
# "-47-amd64", "-47-cloud-amd64", "-0.deb11.13-rt-amd64", "+deb13-amd64", "-28-686-pae", "-25-armmp-lpae"
_DEBIAN = regex(
    r"""
    - (?: (?P<flavour> cloud | rt ) - )?
    (?: amd64 | arm64 | armmp | 686 | powerpc64le | ppc64el | s390x | riscv64 | loong64 ) (?P<more> (?: - [\w-]+ )? ) $
    """,
    re.X | re.A,
)

# "/boot/vmlinuz-5.14.0-503.11.1.el9_5.x86_64", "(hd0,msdos1)/vmlinuz-…", s390x "/boot/image-…"
_FILE = regex(r"(?:^|/)(?:vmlinuz|vmlinux|image|Image|linux)-(?P<release>[^/\s]+)$")
# "Linux version 5.14.0-503.el9.x86_64 (…) …", "Linux wan-gw1 5.14.0-503.el9.x86_64 #1 SMP …", "5.14.0-503.el9.x86_64"
_UNAME = regex(r"(?:Linux (?:version|\S+) )?(?P<release>\d[^\s/]*)")

_TAGS: Dict[str, Vendor] = {
    "el": "el",
    "fc": "fedora",
    "amzn": "amazon",
    "an": "anolis",
    "al": "alinux",
    "oe": "openeuler",
}
# the others install by yum and dnf
_FAMILIES: Dict[Vendor, FamilyName] = {
    "debian": "debian",
    "ubuntu": "debian",
    "suse": "suse",
    "": "",
}


class Release(NamedTuple):
    """The parts of a release. A missing part is None or empty."""

    text: str
    version: Tuple[int, int, int]  # (5, 14, 0); (0, 0, 0) where it does not start with one
    vendor: Vendor  # "" for a kernel that was built by hand
    generation: Optional[int]  # the N of elN, fcN, amznN …
    flavour: str  # "debug", "rt", "rt-debug", "64k", "uek"; Debian's "cloud", Ubuntu's "generic", SUSE's "default"
    base: str  # the kernel of which this is a flavour, and whose sources it shares
    arch: Optional[str]  # as uname -m says it

    @property
    def family(self) -> FamilyName:
        """Its family of packages: "el" (yum, dnf), "debian", "suse", "" for one that was built by hand."""
        return _FAMILIES.get(self.vendor, "el")

    @property
    def minor(self) -> str:
        """``5.14``."""
        return f"{self.version[0]}.{self.version[1]}"


def valid(text: Optional[str]) -> bool:
    """Whether ``text`` can be the release of a kernel: 1 to 64 of ``A-Za-z0-9_.+~-``, no ``-``, ``.``, ``+`` first."""
    return text is not None and _WHOLE.fullmatch(text) is not None


def known(text: Optional[str]) -> Optional[str]:
    """``text`` out of a log, a name or a dump, if it can be a release; else None: the release is unknown."""
    return text if valid(text) else None


def parse(text: Optional[str]) -> Optional[Release]:
    """The release that ``text`` is; None when it cannot be one."""
    if text is None or not valid(text):
        return None
    match = _VERSION.match(text)
    version = (int(match["major"]), int(match["minor"]), int(match["patch"] or 0)) if match else (0, 0, 0)
    rpm = _RPM.search(text)
    if rpm:
        vendor: Vendor = "uek" if rpm["uek"] else "elrepo" if rpm["elrepo"] else _TAGS[rpm["tag"]]
        flavour, base = _rpm_flavour(text, vendor)
        return Release(text, version, vendor, int(rpm["generation"]), flavour, base, machine(text))
    suse = _SUSE.search(text)
    if suse:
        flavour = suse["own"] or suse["shared"]
        return Release(text, version, "suse", None, flavour, text[: -len(flavour) - 1], machine(text))
    ubuntu = _UBUNTU.search(text)
    debian = None if ubuntu else _DEBIAN.search(text)
    if ubuntu:
        return Release(text, version, "ubuntu", None, ubuntu["flavour"], text, machine(text))
    if debian:
        flavours = (debian["flavour"], debian["more"].strip("-"))
        return Release(text, version, "debian", None, "-".join(filter(None, flavours)), text, machine(text))
    flavour, base = _rpm_flavour(text, "")
    return Release(text, version, "", None, flavour, base, machine(text))


def order(text: Optional[str]) -> Tuple[Tuple[int, str], ...]:
    """A key that sorts releases as rpm does, near enough: numbers by value, letters before numbers."""
    parts = re.findall(r"[0-9]+|[A-Za-z]+", text or "")
    return tuple((int(part[:18]), "") if part.isdecimal() else (-1, part) for part in parts)


def in_file_name(path: str) -> Optional[str]:
    """``5.14.0-503.el9.x86_64`` of ``/boot/vmlinuz-5.14.0-503.el9.x86_64``, ``(hd0,msdos1)/vmlinuz-…``."""
    match = _FILE.search(path)
    return match["release"] if match else None


def in_uname(text: str) -> Optional[str]:
    """The release in what uname prints, or in /proc/version, or alone."""
    match = _UNAME.match(text)
    return match["release"] if match else None


def machine(text: str) -> Optional[str]:
    """The architecture that a release (or a compiler's name) tells: ``x86_64`` of ``6.1.0-47-cloud-amd64``."""
    return next((name for name, pattern in _MACHINES if pattern.search(text)), None)


def _rpm_flavour(text: str, vendor: Vendor) -> Tuple[str, str]:
    """Flavour and base of a release that ends in its machine and perhaps a flavour."""
    match = _BEHIND.search(text)
    base = text[: match.start("flavour") - 1] if match else text
    found = [*(["rt"] if _RT.search(text) else []), *(["uek"] if vendor == "uek" else [])]
    found += match["flavour"].replace("+", "-").split("-") if match else []
    return "-".join(dict.fromkeys(found)), base
