"""The packages with the debuginfo of a kernel, and the repositories that have them."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.host import packages
from kdumpwrap.host import release as releases
from kdumpwrap.host.distribution import Distribution
from kdumpwrap.host.release import Release
from kdumpwrap.model.crash import Problem
from kdumpwrap.shell import Hint

# the repository with a distribution's debuginfo, by the id in os-release; disabled unless somebody enables it
_DEBUGINFO = {
    "almalinux": "baseos-debuginfo",
    "rocky": "baseos-debug",
    "fedora": "fedora-debuginfo,updates-debuginfo",
    "amzn": "amazonlinux-debuginfo",
}
_CENTOS = {7: "base-debuginfo", 8: "debuginfo"}  # later: baseos-debuginfo
_MACHINES = {"x86_64": "for-x86_64", "aarch64": "for-aarch64", "ppc64le": "for-ppc64le", "s390x": "for-s390x"}
_DDEBS = "".join(f"deb http://ddebs.ubuntu.com CODENAME{which} main restricted\\n" for which in ("", "-updates"))


class Packaged(NamedTuple):
    """The packages with the debuginfo of one kernel, as the host's package manager takes their names."""

    debuginfo: Tuple[str, ...]  # names of one package: the first that exists counts
    sources: str
    same_version: bool  # the package of the sources has the same version


def fetchable(release: Optional[str], what: str) -> Tuple[Problem, ...]:
    """A note with the command that fetches the debuginfo of ``release``, for ``what``; none where nobody packs it."""
    if release is None or packaged(release) is None:
        return ()
    message = f"the debuginfo of {release} can be fetched without installing anything"
    return (Problem(message, shell.hint("kdumpwrap fetch {}", what)),)


def packaged(release: str) -> Optional[Packaged]:
    """The packages of the kernel ``release``; None where no package manager here has it (built by hand, SUSE)."""
    kernel = releases.parse(release)
    sources = packages.sources(release)
    if kernel is None or sources is None or kernel.family not in ("el", "debian"):
        return None
    if kernel.family == "debian":
        names = [f"linux-image-{release}-dbg"]
        if kernel.vendor == "ubuntu":
            names = [f"linux-image-unsigned-{release}-dbgsym", f"linux-image-{release}-dbgsym"]
        return Packaged(tuple(names), sources.package, same_version=kernel.vendor == "debian")
    flavours = ("ml", "lt") if kernel.vendor == "elrepo" else (kernel.flavour,)
    middles = (f"{flavour}-" if flavour else "" for flavour in flavours)
    return Packaged(
        tuple(f"kernel-{middle}debuginfo-{kernel.base}" for middle in middles), sources.package, same_version=False
    )


def enable(release: str, host: Distribution) -> Hint:
    """The command that enables, on ``host``, the repository with the debuginfo of ``release``."""
    kernel = releases.parse(release)
    if kernel is None or kernel.family not in ("el", "debian"):
        return shell.NONE
    if kernel.family == "debian":
        return _debian(kernel)
    return _el(kernel, host)


def past(release: str) -> str:
    """A sentence on where packages of older kernels are; "" when unknown."""
    kernel = releases.parse(release)
    if kernel is None:
        return ""
    if kernel.vendor == "debian":
        return "kernels of the past are on snapshot.debian.org/package/linux"
    if kernel.vendor == "el":
        return "past minor releases are in the vault: vault.centos.org, dl.rockylinux.org/vault, vault.almalinux.org"
    if kernel.vendor == "elrepo":
        return "ELRepo keeps the newest kernel alone"
    return ""


def _el(kernel: Release, host: Distribution) -> Hint:
    if kernel.vendor == "elrepo":
        return shell.hint("dnf config-manager --set-enabled elrepo-kernel")
    major = kernel.generation or host.generation
    if host.id == "rhel":
        arch = _MACHINES.get(kernel.arch or "x86_64", "for-x86_64")
        name = "rhel-7-server-debug-rpms" if major == 7 else f"rhel-{major}-{arch}-baseos-debug-rpms"
        return shell.hint("subscription-manager repos --enable={}", name)
    name = _DEBUGINFO.get(host.id) or _CENTOS.get(major, "baseos-debuginfo")
    if major == 7 and kernel.vendor == "el":
        return shell.hint("yum-config-manager --enable {}", name)
    return shell.hint("dnf config-manager --set-enabled {}", name)


def _debian(kernel: Release) -> Hint:
    if kernel.vendor != "ubuntu":
        return shell.hint("apt-get update")  # -dbg is in the archive itself
    return shell.hint(
        "apt-get install ubuntu-dbgsym-keyring && "
        "printf {} | sed s/CODENAME/$(lsb_release -cs)/ >/etc/apt/sources.list.d/ddebs.list && apt-get update",
        _DDEBS,
    )
