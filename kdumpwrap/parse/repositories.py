"""The output of package managers: a package's repository, its size, its files, its signer."""

import re
from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from kdumpwrap.model.fetched import Offer
from kdumpwrap.regex import regex

# dnf repoquery -q --qf=%{name}|%{version}-%{release}|%{arch}|%{repoid}|%{downloadsize}\n (dnf 4.14)
# kernel-debuginfo|5.14.0-503.el9|x86_64|baseos-debuginfo|7253
_ROW = regex(r"(?P<name>[^|\s]+)\|(?P<version>[^|\s]*)\|(?P<arch>\w*)\|(?P<repository>[^|]*)\|(?P<size>\d{0,15})")

# apt-get --print-uris download linux-source-6.1 (apt 2.6)
# 'http://deb.debian.org/debian/pool/…_all.deb' linux-source-6.1_6.1.170-3_all.deb 139330232 …
_URI = regex(
    r"'(?P<uri>[^']*)' (?P<name>[^_\s]+)_(?P<version>[^_\s]+)_(?P<arch>[^_\s]+)\.deb (?P<size>\d{1,15})(?: \S*)?", re.A
)

# rpm -Kv (rpm 4.11, 4.14, 4.18):
#     Header V4 RSA/SHA256 Signature, key ID 5ee4ba63: OK
#     V4 RSA/SHA256 Signature, key ID f4a80eb5: NOKEY
#     Payload SHA256 digest: BAD (Expected 0d… != 7a…)
# rpm 6, as its documentation shows it:
#     Header OpenPGP V4 RSA/SHA512 signature, key fingerprint: 36f612dcf27f7d1a48a835e4dbfcf71c6d9f90a6: OK
_KEY = r"(?:, key (?:ID [0-9a-f]{8,40}|fingerprint: [0-9a-f]{40,64}))?"
_CHECK = regex(rf"\s+(?P<what>.*?(?P<signed>[Ss]ignature)?{_KEY}): (?P<said>[A-Z]+)\b")

# rpm -qp --qf [%{FILEMODES:perms}|%{LONGFILESIZES}|%{FILENAMES}\n]
# -rw-r--r--|587352384|/usr/lib/debug/lib/modules/5.14.0-503.el9.x86_64/vmlinux
_FILE = regex(r"-[-rwxsStT]{9}\|(?P<size>\d{1,15})\|(?P<name>/.+)")


class Packed(NamedTuple):
    """A regular file in a package."""

    name: str  # absolute
    size: int


def repoquery(text: str) -> Tuple[Offer, ...]:
    """The packages that dnf repoquery, or yum's, lists: each once, of the first repository that it names."""
    found: Dict[str, Offer] = {}
    for line in text.splitlines():
        match = _ROW.fullmatch(line.strip())
        if match:
            size = int(match["size"]) if match["size"] else None
            file = f"{match['name']}-{match['version']}.{match['arch']}.rpm"
            found.setdefault(match["name"], Offer(match["name"], match["version"], match["repository"], size, file))
    return tuple(found.values())


def uris(text: str) -> Tuple[Offer, ...]:
    """The packages that apt-get would download; the host of the URI stands for the repository."""
    found = []
    for line in text.splitlines():
        match = _URI.fullmatch(line.strip())
        if match:
            repository = "/".join(match["uri"].split("/")[:3])
            file = f"{match['name']}_{match['version']}_{match['arch']}.deb"
            found.append(Offer(match["name"], unquote(match["version"]), repository, int(match["size"]), file))
    return tuple(found)


def files(text: str) -> Tuple[Packed, ...]:
    """The regular files of a package, by rpm's list of it."""
    matches = (_FILE.fullmatch(line) for line in text.splitlines())
    return tuple(Packed(match["name"], int(match["size"])) for match in matches if match)


class Distrust(NamedTuple):
    """Why a package is not to be trusted."""

    why: str
    signed: bool = True
    known: bool = True  # rpm has the key


def distrust(text: str) -> Optional[Distrust]:
    """Why a package that rpm has checked is not to be trusted; None when a known key has signed it and all is well.

    The form of rpm 6 is that of its documentation.
    """
    signed = False
    faults: List[str] = []
    for line in text.splitlines():
        match = _CHECK.match(line)
        if match is None:
            continue
        if match["said"] != "OK":
            faults.append(f"{match['what'].strip()}: {match['said']}")
        signed = signed or bool(match["signed"])
    if faults:
        return Distrust(faults[0], known="NOKEY" not in faults[0])
    return None if signed else Distrust("nobody has signed it", signed=False)
