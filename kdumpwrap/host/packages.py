"""Which package brings what is missing, and the command that installs it, for each distribution."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Dict, NamedTuple, Optional

from kdumpwrap import shell
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.shell import Hint

# tool -> package where it is not called like the tool: (CentOS, Fedora …), (Debian, Ubuntu), (SUSE)
_PACKAGES = {
    "nm": ("binutils", "binutils", "binutils"),
    "objdump": ("binutils", "binutils", "binutils"),
    "addr2line": ("binutils", "binutils", "binutils"),
    "readelf": ("binutils", "binutils", "binutils"),
    "xz": ("xz", "xz-utils", "xz"),
    "debuginfod-find": ("elfutils-debuginfod-client", "debuginfod", "debuginfod-client"),
}

# what the cross binutils are called: (CentOS via EPEL and Fedora, Debian and Ubuntu, SUSE)
_CROSS = {
    "x86_64": ("binutils-x86_64-linux-gnu", "binutils-x86-64-linux-gnu", "cross-x86_64-binutils"),
    "aarch64": ("binutils-aarch64-linux-gnu", "binutils-aarch64-linux-gnu", "cross-aarch64-binutils"),
    "ppc64le": ("binutils-powerpc64le-linux-gnu", "binutils-powerpc64le-linux-gnu", "cross-ppc64le-binutils"),
    "s390x": ("binutils-s390x-linux-gnu", "binutils-s390x-linux-gnu", "cross-s390x-binutils"),
}


class Distribution(NamedTuple):
    """``family`` is "el", "debian" or "suse"; ``major`` the number that el7, el8 … end in."""

    id: str
    family: str
    major: Optional[int]


def distribution(root: Path = Path("/")) -> Distribution:
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
    fields: Dict[str, str] = dict(re.findall(r"^([A-Z_]+)=[\"']?([^\"'\n]*)", os_release, re.M))
    words = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".lower().split()
    if "debian" in words or "ubuntu" in words:
        family = "debian"
    elif any("suse" in word or word == "sles" for word in words):
        family = "suse"
    else:
        family = "el"
    major = re.match(r"\d{1,4}", fields.get("VERSION_ID", ""))
    return Distribution(fields.get("ID", "centos"), family, int(major[0]) if major else None)


def install(tool: str, root: Path = Path("/")) -> Hint:
    """The command that installs the package with ``tool`` (or the package of that name) on this host."""
    return install_on(distribution(root), tool)


def install_on(host: Distribution, tool: str) -> Hint:
    """The command that installs the package with ``tool`` (or the package of that name) on ``host``."""
    if tool == "makedumpfile" and kdump(host) == "kexec-tools":
        tool = "kexec-tools"  # a package of its own since el10
    return _command(*_PACKAGES.get(tool, (tool, tool, tool)), host)


def kdump(host: Distribution) -> str:
    """The package that arms kdump: kexec-tools; kdump-utils since el10 and Fedora 40; Debian's and SUSE's own."""
    if host.family == "debian":
        return "kdump-tools"
    if host.family == "suse":
        return "kdump"
    return "kdump-utils" if (host.major or 0) >= (40 if host.id == "fedora" else 10) else "kexec-tools"


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
    columns = _CROSS.get(arch)
    if columns is None:
        return shell.hint("install binutils that were built for {}", arch)
    return _command(*columns, distribution(root))


def newer_binutils(root: Path = Path("/")) -> Hint:
    """How to come by binutils that read DWARF 5 on this host, and how to use them."""
    host = distribution(root)
    toolset = "devtoolset-11" if host.major == 7 else "gcc-toolset-12"
    if host.family == "el" and host.id != "fedora" and host.major in (7, 8):
        tools = f"/opt/rh/{toolset}/root/usr/bin"
        command = _command(f"{toolset}-binutils", "", "", host)
        return shell.hint("{}; ADDR2LINE={} OBJDUMP={} kdumpwrap …", command, f"{tools}/addr2line", f"{tools}/objdump")
    return shell.hint("ADDR2LINE=FILE OBJDUMP=FILE kdumpwrap …, with the programs of newer binutils")


def _command(el: str, debian: str, suse: str, host: Distribution) -> Hint:
    if host.family == "debian":
        return shell.hint("apt install {}", debian)
    if host.family == "suse":
        return shell.hint("zypper install {}", suse)
    return shell.hint("{} install {}", "yum" if host.id != "fedora" and (host.major or 9) < 8 else "dnf", el)


# flavour at the end of the release -> the middle of the package's name
_FLAVOURS = {
    "debug": "debug-",
    "rt": "rt-",
    "rt-debug": "rt-debug-",
    "rt+debug": "rt-debug-",
    "64k": "64k-",
    "64k-debug": "64k-debug-",
    "64k+debug": "64k-debug-",
    "zfcpdump": "zfcpdump-",
}


def debuginfo(release: str) -> Hint:
    """The command that installs the debuginfo of the kernel ``release``, as its log prints it.

    By the release and not by this host: a CentOS crash is often read elsewhere.
    """
    if re.search(r"\.(el\d+|fc\d+|amzn\d|an\d+|al\d+|oe\d+)", release):
        return _el_debuginfo(release)
    if re.search(r"-(generic|lowlatency|aws|azure|gcp|gke|oracle|kvm|ibm|raspi|nvidia)[\w-]*$", release):
        return shell.hint("apt install {}", f"linux-image-unsigned-{release}-dbgsym")
    if re.search(r"-(default|preempt|azure|rt|kvmsmall)$", release) and re.search(r"-(lp)?\d+\.\d+", release):
        return shell.hint("zypper install {}", f"kernel-{release.rpartition('-')[2]}-debuginfo")
    if re.search(r"-(amd64|arm64|armmp|686(-pae)?|powerpc64le|s390x|riscv64|loong64)[\w-]*$", release):
        return shell.hint("apt install {}", f"linux-image-{release}-dbg")
    return shell.hint("install its debuginfo package, or name its vmlinux with --vmlinux FILE")


def _el_debuginfo(release: str) -> Hint:
    old = re.search(r"\.el[567](\D|$)", release)
    command = shell.hint("debuginfo-install") if old else shell.hint("dnf debuginfo-install")
    base, flavour = release, ""
    if old and release.endswith(".debug"):
        base, flavour = release[: -len(".debug")], "debug-"
    elif "+" in release:
        base, _, suffix = release.partition("+")
        flavour = _FLAVOURS.get(suffix, f"{suffix}-")
    elif re.search(r"\.rt\d", release):
        flavour = "rt-"
    elif re.search(r"el\d+uek", release):
        flavour = "uek-"
    return shell.hint("{} {}", command, f"kernel-{flavour}{base}")
