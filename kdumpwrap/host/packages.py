"""The command that installs what is missing, for each distribution: tools, debuginfo, sources."""

from pathlib import Path
from typing import NamedTuple, Optional

from kdumpwrap import shell
from kdumpwrap.host import distribution
from kdumpwrap.host import release as releases
from kdumpwrap.host.distribution import EL, Distribution
from kdumpwrap.host.release import Release
from kdumpwrap.shell import Hint

# Red Hat's toolsets bring newer binutils beside the system's, for el7 and el8
_TOOLSETS = {7: "devtoolset-11", 8: "gcc-toolset-13"}
_BY_HAND = shell.hint("install its debuginfo package, or name its vmlinux with --vmlinux FILE")


class Toolset(NamedTuple):
    """Binutils that read DWARF 5, beside the system's own."""

    package: str
    directory: str  # of its programs


def install(tool: str, root: Path = Path("/")) -> Hint:
    """The command that installs the package with ``tool`` (or the package of that name) on the host below ``root``."""
    return install_on(distribution.of_root(root), tool)


def install_on(host: Distribution, tool: str) -> Hint:
    """The command that installs the package with ``tool`` (or the package of that name) on ``host``."""
    return host.install(host.package(tool))


def unattended(command: str) -> str:
    """``command`` of a package manager so that it asks nothing: for a script. Any other command as it is."""
    words = {
        "yum install ": "yum install -y ",
        "dnf install ": "dnf install -y ",
        "dnf debuginfo-install ": "dnf debuginfo-install -y ",
        "debuginfo-install ": "debuginfo-install -y ",
        "apt install ": "apt-get install -y ",
        "zypper install ": "zypper --non-interactive install ",
    }
    for asking, silent in words.items():
        if command.startswith(asking):
            return silent + command[len(asking) :]
    return command


def cross_binutils(arch: str, root: Path = Path("/")) -> Hint:
    """The command that installs binutils which read the code of ``arch`` (as uname -m says it)."""
    host = distribution.of_root(root)
    package = host.family.cross.get(arch)
    if package is None:
        return shell.hint("install binutils that were built for {}", arch)
    return host.install(package)


def toolset(host: Distribution) -> Optional[Toolset]:
    """The newer binutils that ``host`` has to offer; None where it has none, or its own are new enough."""
    name = _TOOLSETS.get(host.generation) if host.family is EL else None
    return Toolset(f"{name}-binutils", f"/opt/rh/{name}/root/usr/bin") if name else None


def newer_binutils(root: Path = Path("/")) -> Hint:
    """How to come by binutils that read DWARF 5 on the host below ``root``, and how to use them."""
    host = distribution.of_root(root)
    newer = toolset(host)
    if newer is None:
        return shell.hint("ADDR2LINE=FILE OBJDUMP=FILE kdumpwrap …, with the programs of newer binutils")
    programs = (f"{newer.directory}/addr2line", f"{newer.directory}/objdump")
    return shell.hint("{}; ADDR2LINE={} OBJDUMP={} kdumpwrap …", host.install(newer.package), *programs)


def debuginfo(release: str) -> Hint:
    """The command that installs the debuginfo of the kernel ``release``, as its log prints it.

    By the release and not by this host: a CentOS crash is often read elsewhere.
    """
    kernel = releases.parse(release)
    if kernel is None:
        return _BY_HAND
    if kernel.family == "el":
        middle = f"{kernel.flavour}-" if kernel.flavour else ""
        command = shell.hint("debuginfo-install") if _is_old(kernel) else shell.hint("dnf debuginfo-install")
        return shell.hint("{} {}", command, f"kernel-{middle}{kernel.base}")
    if kernel.family == "suse":
        return shell.hint("zypper install {}", f"kernel-{kernel.flavour}-debuginfo")
    if kernel.vendor == "ubuntu":
        return shell.hint("apt install {}", f"linux-image-unsigned-{release}-dbgsym")
    if kernel.vendor == "debian":
        return shell.hint("apt install {}", f"linux-image-{release}-dbg")
    return _BY_HAND


class Sources(NamedTuple):
    """The commands that bring the sources of a kernel."""

    package: str
    command: Hint
    packed: bool = False  # the package brings an archive of them in /usr/src (Debian, Ubuntu)


def sources(release: str) -> Optional[Sources]:
    """The package with the sources of the kernel ``release``, by the kernel as `debuginfo`; None: who knows."""
    kernel = releases.parse(release)
    if kernel is None or not kernel.family:
        return None
    if kernel.family == "el":
        name, _, machine = kernel.base.rpartition(".")
        package = f"kernel-debuginfo-common-{machine}-{name}"
        manager = shell.hint("yum") if _is_old(kernel) else shell.hint("dnf")
        return Sources(package, shell.hint("{} install --enablerepo='*debug*' {}", manager, package))
    if kernel.family == "suse":
        package = f"kernel-{kernel.flavour}-debugsource"
        return Sources(package, shell.hint("zypper install {}", package))
    package = f"linux-source-{kernel.minor}{'.0' if kernel.vendor == 'ubuntu' else ''}"
    return Sources(package, shell.hint("apt install {}", package), packed=True)


def _is_old(kernel: Release) -> bool:
    """Whether it belongs to a host without dnf."""
    return kernel.vendor in ("el", "uek", "elrepo") and (kernel.generation or 0) <= 7
