"""The forms of crashkernel= that each release's kernel understands, and the value that it recommends (pure)."""

from typing import Dict, Optional

from kdumpwrap.doctor.crashkernel import G, Kernel, M, size_of
from kdumpwrap.host import release as releases
from kdumpwrap.host.distribution import DEBIAN, EL, SUSE, Distribution

# ppc64le, the same from el7 to el10
_POWER = "2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G"
# firmware-assisted dump (kexec-tools kdump-lib.sh, kdump_get_arch_recommend_crashkernel)
_FADUMP = (
    "4G-16G:768M,16G-64G:1G,64G-128G:2G,128G-1T:4G,1T-2T:6G,2T-4T:12G,4T-8T:20G,8T-16T:36G,16T-32T:64G,"
    "32T-64T:128G,64T-:180G"
)

# what "auto" stands for: RHEL 7 and 8's tables of "minimum threshold" and "reserved memory"
_AUTO: Dict[int, Dict[str, str]] = {
    7: {"x86_64": "2G-:160M", "ppc64le": _POWER, "aarch64": "2G-:512M", "s390x": "4G-:160M"},
    8: {
        "x86_64": "1G-4G:160M,4G-64G:192M,64G-1T:256M,1T-:512M",
        "ppc64le": _POWER,
        "aarch64": "2G-:448M",
        "s390x": "4G-64G:160M,64G-1T:256M,1T-:512M",
    },
}

# literal values: kexec-tools 34d27c4 and b92bc6e (el9), kdump-utils fe18f93 and ca42bd6 (el10, Fedora)
_LITERAL: Dict[int, Dict[str, str]] = {
    9: {
        "x86_64": "1G-4G:192M,4G-64G:256M,64G-:512M",
        "s390x": "1G-4G:192M,4G-64G:256M,64G-:512M",
        "aarch64": "1G-4G:256M,4G-64G:320M,64G-:576M",
        "ppc64le": _POWER,
    },
    10: {
        "x86_64": "2G-64G:256M,64G-:512M",
        "s390x": "2G-64G:256M,64G-:512M",
        "aarch64": "2G-4G:256M,4G-64G:320M,64G-:576M",
        "ppc64le": _POWER,
    },
}
_64K = 100 * M  # kdumpctl adds this for aarch64 kernels with 64 KiB pages

# /etc/default/grub.d/kdump-tools.cfg: Debian 12's kdump-tools 1.8.1; Ubuntu's to 23.10, and since 24.04
_DEBIAN = "384M-:128M"
_UBUNTU = "512M-:192M"
_UBUNTU_24 = "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"


def kernel(distribution: Distribution, release: Optional[str], arch: Optional[str], memory: Optional[int]) -> Kernel:
    """The forms that the kernel ``release`` of ``distribution`` understands."""
    return Kernel(_auto(distribution, release, arch, memory), _suffixes(distribution, release, arch))


def default(
    distribution: Distribution, release: Optional[str], arch: Optional[str], *, fadump: bool = False
) -> Optional[str]:
    """The value that this release recommends; None when a tool computes it (SUSE)."""
    if distribution.family is SUSE:
        return None
    if distribution.family is DEBIAN:
        if distribution.id != "ubuntu":
            return _DEBIAN
        return _UBUNTU_24 if (distribution.major or 0) >= 24 and arch in (None, "x86_64") else _UBUNTU
    if fadump:
        return _FADUMP
    if distribution.generation <= 8 and _auto(distribution, release, arch, None) is not None:
        return "auto"
    table = _LITERAL[max(distribution.generation, 9)]
    value = table.get(arch or "x86_64", table["x86_64"])
    kernel_ = releases.parse(release)
    if arch == "aarch64" and kernel_ is not None and "64k" in kernel_.flavour:
        return _more(value, _64K)
    return value


def smallest(value: str) -> int:
    """The smallest size of a list of ranges, in bytes: for a machine that has less memory than its first range."""
    sizes = [size_of(part.rpartition(":")[2]) for part in value.split(",")]
    return min((size for size in sizes if size), default=160 * M)  # "auto": 160 MB are the least it reserves


def _auto(
    distribution: Distribution, release: Optional[str], arch: Optional[str], memory: Optional[int]
) -> Optional[str]:
    """The ranges of "auto" for this kernel; None when it does not know the word."""
    if distribution.family is not EL or distribution.id == "fedora":
        return None
    found = releases.parse(release)
    tagged = found is not None and found.vendor in ("el", "uek")  # 4.19.113-88.8bs.el7.x86_64 too
    major = found.generation if found is not None and tagged else distribution.generation
    if major not in _AUTO or (found is not None and found.vendor == "elrepo"):  # elrepo's are kernel.org's kernels
        return None
    value = _AUTO[major].get(arch or "x86_64", _AUTO[major]["x86_64"])
    if major == 7 and memory and arch in (None, "x86_64", "s390x"):
        size = 160 * M + memory // (16 << 10)  # 160 MB and 2 bits for every 4 KiB
        return value.replace("160M", f"{-(-size // M)}M")
    return value


def _suffixes(distribution: Distribution, release: Optional[str], arch: Optional[str]) -> bool:
    """x86 since 3.9, aarch64 since 6.0 (and in el9's 5.14); the others take no ,high."""
    if arch == "aarch64":
        found = releases.parse(release)
        if found is None or found.version == (0, 0, 0) or found.version >= (6, 0):
            return True
        return (found.family == "el" and found.generation == 9) or distribution.family is SUSE
    return arch not in ("ppc64le", "ppc64", "s390x")


def _more(value: str, extra: int) -> str:
    """Every size of a list of ranges with ``extra`` bytes added."""
    parts = (part.rpartition(":") for part in value.split(","))
    sums = ((span, (size_of(size) or 0) + extra) for span, _, size in parts)
    return ",".join(f"{span}:{size // M}M" if size % G else f"{span}:{size // G}G" for span, size in sums)
