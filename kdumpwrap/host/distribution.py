"""The distribution of a host, and what the distributions of one family have in common."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Mapping, NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.host import variables
from kdumpwrap.host.release import FamilyName, Release
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.shell import Hint


class Manager(NamedTuple):
    """The install commands of a package manager, to be followed by the name of a package."""

    asking: Hint  # interactive, for a person
    silent: Hint  # without questions, for a script

    def install(self, package: str) -> "Manager":
        """The commands that install ``package``."""
        return Manager(shell.hint("{} {}", self.asking, package), shell.hint("{} {}", self.silent, package))


YUM = Manager(shell.hint("yum install"), shell.hint("yum install -y"))  # el7 and before
DNF = Manager(shell.hint("dnf install"), shell.hint("dnf install -y"))
APT = Manager(shell.hint("apt install"), shell.hint("apt-get install -y"))
ZYPPER = Manager(shell.hint("zypper install"), shell.hint("zypper --non-interactive install"))


class Family(NamedTuple):
    """The row of a family of distributions. ``{release}`` is that of a kernel."""

    name: FamilyName
    manager: Manager
    packages: Mapping[str, str]  # tool -> package, where the names differ
    cross: Mapping[str, str]  # machine -> the package with cross binutils for it
    kdump: str  # the package that arms kdump
    unit: str  # the service that loads the capture kernel
    config: str  # kdump's configuration
    kdumpctl: bool  # whether kdumpctl runs kdump, with its rules for kdump.conf
    arms_panic: bool  # whether loading the capture kernel sets panic_on_oops
    programs: Tuple[Tuple[str, ...], ...]  # programs of the package: one of each row
    initramfs: Tuple[str, ...]  # paths of the capture kernel's initramfs, the usual one first
    built_from: Tuple[str, ...]  # files that it is made from, besides the kernel
    rebuild: Hint  # the command that rebuilds it before the service restarts; Debian's takes its path
    menu: str  # path of the GRUB menu
    write_menu: Hint  # the command that writes it; except for Debian's it takes its path
    parameters: str  # the variable of /etc/default/grub with the kernel's parameters


EL = Family(
    name="el",
    manager=DNF,
    packages={"debuginfod-find": "elfutils-debuginfod-client"},
    cross={
        "x86_64": "binutils-x86_64-linux-gnu",
        "aarch64": "binutils-aarch64-linux-gnu",
        "ppc64le": "binutils-powerpc64le-linux-gnu",
        "s390x": "binutils-s390x-linux-gnu",
    },
    kdump="kdump-utils",  # of its own since el10 and Fedora 40; before that a part of kexec-tools
    unit="kdump",
    config="/etc/kdump.conf",
    kdumpctl=True,
    arms_panic=False,
    programs=(("kdumpctl",), ("kexec",)),
    initramfs=("/boot/initramfs-{release}kdump.img", "/var/lib/kdump/initramfs-{release}kdump.img"),
    built_from=("/etc/kdump.conf",),
    rebuild=shell.hint("kdumpctl rebuild"),
    menu="/boot/grub2/grub.cfg",
    write_menu=shell.hint("grub2-mkconfig -o"),
    parameters="GRUB_CMDLINE_LINUX",
)
DEBIAN = Family(
    name="debian",
    manager=APT,
    packages={"xz": "xz-utils", "debuginfod-find": "debuginfod"},
    cross={**EL.cross, "x86_64": "binutils-x86-64-linux-gnu"},
    kdump="kdump-tools",
    unit="kdump-tools",
    config="/etc/default/kdump-tools",
    kdumpctl=False,
    arms_panic=True,
    programs=(("kdump-config",), ("kexec",)),
    initramfs=("/var/lib/kdump/initrd.img-{release}",),  # KDUMP_INITRD=/var/lib/kdump/initrd.img is a link to it
    built_from=(),
    rebuild=shell.hint("rm -f"),  # kdump-config builds a missing one
    menu="/boot/grub/grub.cfg",
    write_menu=shell.hint("update-grub"),
    parameters="GRUB_CMDLINE_LINUX",
)
SUSE = Family(
    name="suse",
    manager=ZYPPER,
    packages={"debuginfod-find": "debuginfod-client"},
    cross={machine: f"cross-{machine}-binutils" for machine in EL.cross},
    kdump="kdump",
    unit="kdump",
    config="/etc/sysconfig/kdump",
    kdumpctl=False,
    arms_panic=True,
    programs=(("kdumptool", "mkdumprd"), ("kexec",)),
    initramfs=("/var/lib/kdump/initrd", "/boot/initrd-{release}-kdump"),
    built_from=("/etc/sysconfig/kdump",),
    rebuild=shell.hint("mkdumprd -f"),
    menu="/boot/grub2/grub.cfg",
    write_menu=shell.hint("grub2-mkconfig -o"),
    parameters="GRUB_CMDLINE_LINUX_DEFAULT",
)
_PACKAGES = {
    **dict.fromkeys(("nm", "objdump", "addr2line", "readelf"), "binutils"),
    "eu-addr2line": "elfutils",
}  # the same names everywhere
_FAMILIES = {family.name: family for family in (EL, DEBIAN, SUSE)}
# vendor of a kernel -> id of the distribution; other vendors of "el" count as CentOS
_IDS = {"fedora": "fedora", "debian": "debian", "ubuntu": "ubuntu", "suse": "sles"}


class Distribution(NamedTuple):
    """``major`` is the number that el7, el8 … end in."""

    id: str
    family: Family
    major: Optional[int]

    @property
    def generation(self) -> int:
        """The N of the elN whose rules apply, 7 to 10. Fedora has those of el10; an unknown release those of el9."""
        return 10 if self.id == "fedora" else min(max(self.major or 9, 7), 10)

    @property
    def kdump(self) -> str:
        """The package that arms kdump."""
        if self.family is not EL:
            return self.family.kdump
        return EL.kdump if (self.major or 0) >= (40 if self.id == "fedora" else 10) else "kexec-tools"

    def package(self, tool: str) -> str:
        """The package with ``tool``; a package's own name stays as it is."""
        if tool == "makedumpfile" and self.kdump == "kexec-tools":
            return "kexec-tools"  # a package of its own since el10
        return _PACKAGES.get(tool) or self.family.packages.get(tool, tool)

    @property
    def manager(self) -> Manager:
        """The package manager of its release."""
        old = self.family is EL and self.id != "fedora" and (self.major or 9) < 8
        return YUM if old else self.family.manager


def of_root(root: Path = Path("/")) -> Distribution:
    """The distribution installed below ``root`` by its os-release; CentOS where that says nothing."""
    host = Host(root)
    for name in ("/etc/os-release", "/usr/lib/os-release"):
        with suppress(Denied):
            text = host.text(name)
            if text is not None:
                return identify(text)
    return identify("")


def identify(os_release: str) -> Distribution:
    """The distribution whose os-release says ``os_release``."""
    fields = variables.assignments([os_release])
    words = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".lower().split()
    if "debian" in words or "ubuntu" in words:
        family = DEBIAN
    elif any("suse" in word or word == "sles" for word in words):
        family = SUSE
    else:
        family = EL
    major = re.match(r"[0-9]{1,4}", fields.get("VERSION_ID", ""))
    return Distribution(fields.get("ID", "centos"), family, int(major[0]) if major else None)


def of_kernel(kernel: Optional[Release]) -> Distribution:
    """The distribution whose kernel this is, for a tree without an os-release; CentOS where that says nothing."""
    if kernel is None or not kernel.family:
        return identify("")
    major = kernel.generation if kernel.vendor in ("el", "uek", "elrepo", "fedora") else None
    return Distribution(_IDS.get(kernel.vendor, "centos"), _FAMILIES[kernel.family], major)
