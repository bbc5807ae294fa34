"""The command that installs what is missing, for each distribution: tools, debuginfo, sources."""

from pathlib import Path
from typing import NamedTuple, Optional

from kdumpwrap import shell
from kdumpwrap.host import distribution
from kdumpwrap.host import release as releases
from kdumpwrap.host.distribution import APT, DNF, EL, YUM, ZYPPER, Distribution, Manager
from kdumpwrap.host.release import Release
from kdumpwrap.shell import Hint

# Red Hat's toolsets bring newer binutils beside the system's, for el7 and el8
_TOOLSETS = {7: "devtoolset-11", 8: "gcc-toolset-13"}
_DEBUGINFO = Manager(shell.hint("dnf debuginfo-install"), shell.hint("dnf debuginfo-install -y"))
_DEBUGINFO_OLD = Manager(shell.hint("debuginfo-install"), shell.hint("debuginfo-install -y"))
_BY_HAND = shell.hint("install its debuginfo package, or name its vmlinux with --vmlinux FILE")


class Toolset(NamedTuple):
    """Binutils that read DWARF 5, beside the system's own."""

    package: str
    directory: str  # of its programs


def install(tool: str, root: Path = Path("/")) -> Hint:
    """The command that installs the package with ``tool`` (or the package of that name) on the host below ``root``."""
    host = distribution.of_root(root)
    return host.manager.install(host.package(tool)).asking


def cross_binutils(arch: str, root: Path = Path("/")) -> Hint:
    """The command that installs binutils which read the code of ``arch`` (as uname -m says it)."""
    host = distribution.of_root(root)
    package = host.family.cross.get(arch)
    if package is None:
        return shell.hint("install binutils that were built for {}", arch)
    return host.manager.install(package).asking


def toolset(host: Distribution) -> Optional[Toolset]:
    """The newer binutils for ``host``; None when it has none, or its own are new enough."""
    name = _TOOLSETS.get(host.generation) if host.family is EL else None
    return Toolset(f"{name}-binutils", f"/opt/rh/{name}/root/usr/bin") if name else None


def newer_binutils(root: Path = Path("/")) -> Hint:
    """The command that installs binutils which read DWARF 5 on the host below ``root``, and their use."""
    host = distribution.of_root(root)
    newer = toolset(host)
    if newer is None:
        return shell.hint("ADDR2LINE=FILE OBJDUMP=FILE kdumpwrap …, with the programs of newer binutils")
    programs = (f"{newer.directory}/addr2line", f"{newer.directory}/objdump")
    return shell.hint("{}; ADDR2LINE={} OBJDUMP={} kdumpwrap …", host.manager.install(newer.package).asking, *programs)


def debuginfo(release: str) -> Hint:
    """The command that installs the debuginfo of the kernel ``release``, as its log prints it; else advice in words.

    The release decides, not this host: a CentOS crash is often read elsewhere.
    """
    found = debuginfo_of(release)
    return found.asking if found is not None else _BY_HAND


def debuginfo_of(release: str) -> Optional[Manager]:
    """The commands that install the debuginfo of the kernel ``release``; None for one that was built by hand."""
    kernel = releases.parse(release)
    if kernel is None:
        return None
    if kernel.family == "el":
        middle = f"{kernel.flavour}-" if kernel.flavour else ""
        return (_DEBUGINFO_OLD if _is_old(kernel) else _DEBUGINFO).install(f"kernel-{middle}{kernel.base}")
    if kernel.family == "suse":
        return ZYPPER.install(f"kernel-{kernel.flavour}-debuginfo")
    if kernel.vendor == "ubuntu":
        return APT.install(f"linux-image-unsigned-{release}-dbgsym")
    if kernel.vendor == "debian":
        return APT.install(f"linux-image-{release}-dbg")
    return None


class Sources(NamedTuple):
    """The commands that bring the sources of a kernel."""

    package: str
    install: Manager
    packed: bool = False  # the package brings an archive of them in /usr/src (Debian, Ubuntu)


def sources(release: str) -> Optional[Sources]:
    """The package with the sources of the kernel ``release``, chosen like `debuginfo`; None when unknown."""
    kernel = releases.parse(release)
    if kernel is None or not kernel.family:
        return None
    if kernel.family == "el":
        name, _, machine = kernel.base.rpartition(".")
        package = f"kernel-debuginfo-common-{machine}-{name}"
        manager = YUM if _is_old(kernel) else DNF
        return Sources(
            package, Manager(*(shell.hint("{} --enablerepo='*debug*'", one) for one in manager)).install(package)
        )
    if kernel.family == "suse":
        package = f"kernel-{kernel.flavour}-debugsource"
        return Sources(package, ZYPPER.install(package))
    package = f"linux-source-{kernel.minor}{'.0' if kernel.vendor == 'ubuntu' else ''}"
    return Sources(package, APT.install(package), packed=True)


def _is_old(kernel: Release) -> bool:
    """Whether it belongs to a host without dnf."""
    return kernel.vendor in ("el", "uek", "elrepo") and (kernel.generation or 0) <= 7
