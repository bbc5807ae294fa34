"""The facts of a host: distribution, kernel, memory, and its running kernel, if that is visible."""

import os
import re
from typing import Dict, NamedTuple, Optional, Tuple

from kdumpwrap.doctor import bootconfig
from kdumpwrap.doctor.crashkernel import K, values
from kdumpwrap.host import distribution as distributions
from kdumpwrap.host import release as releases
from kdumpwrap.host import variables
from kdumpwrap.host.distribution import Distribution
from kdumpwrap.host.release import known
from kdumpwrap.host.tree import Denied, Host

_FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of include/linux/proc_ns.h, the same on every machine


class Facts(NamedTuple):
    """The facts that the checks use. An unknown one is None."""

    host: Host
    distribution: Distribution
    pretty: str  # "CentOS Linux 7 (Core)"
    release: Optional[str]  # of the running kernel, else of the one that boots next
    arch: Optional[str]  # as uname -m says it
    memory: Optional[int]  # bytes
    cmdline: Optional[str]  # of the running kernel; None when unknown
    boot: bootconfig.Boot
    container: bool  # this process runs in one: the kernel belongs to its host

    @property
    def running(self) -> bool:
        """Whether there are facts of a running kernel. A mounted image has none."""
        return self.cmdline is not None

    @property
    def parameters(self) -> Tuple[str, ...]:
        """The values of crashkernel= of the running kernel; of an image, those of its next boot."""
        if self.cmdline is not None:
            return values(self.cmdline)
        return bootconfig.crashkernel(self.boot.next.parameters if self.boot.next else self.boot.settings)

    @property
    def fadump(self) -> bool:
        """Whether the command line asks for firmware-assisted dump (ppc64le) instead of kexec."""
        words = (self.cmdline or "").split()
        return self.arch == "ppc64le" and any(word in ("fadump=on", "fadump=nocma") for word in words)


def read(host: Host) -> Facts:
    """The facts of ``host``."""
    running, installed = _running_release(host), _installed_release(host)
    os_release = _quiet(host, "/etc/os-release") or _quiet(host, "/usr/lib/os-release") or ""
    kernel = releases.parse(running or installed)
    distribution = distributions.identify(os_release) if os_release else distributions.of_kernel(kernel)
    arch = _arch(host)
    boot = bootconfig.read(host, distribution, arch)
    release = known(running or (boot.next.release if boot.next else None) or installed)
    return Facts(
        host=host,
        distribution=distribution,
        pretty=_pretty(os_release),
        release=release,
        arch=arch or releases.machine(release or ""),
        memory=_memory(host),
        cmdline=_quiet(host, "/proc/cmdline"),
        boot=boot,
        container=host.live and _container(host),
    )


def meminfo(host: Host) -> Dict[str, int]:
    """/proc/meminfo in bytes: ``{"MemTotal": 7960203264, …}``."""
    # "MemAvailable:    7190440 kB"
    rows = re.findall(r"^(\w+):[ \t]+(\d{1,18}) kB$", _quiet(host, "/proc/meminfo") or "", re.M)
    return {name: int(number) * K for name, number in rows}


def iomem(host: Host) -> Tuple[Tuple[int, str], ...]:
    """/proc/iomem: size and name of every range; the sizes are 1 where the kernel hides addresses from this user."""
    # "  2d000000-34ffffff : Crash kernel"
    rows = re.findall(r"^[ \t]*([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (\S.*)", _quiet(host, "/proc/iomem") or "", re.M)
    return tuple((int(last, 16) - int(first, 16) + 1, name.rstrip()) for first, last, name in rows)


def _memory(host: Host) -> Optional[int]:
    """All System RAM in bytes: the size that the kernel uses when it reserves.

    MemTotal is smaller: it excludes the kernel, the crash kernel and page tables.
    """
    ram = sum(size for size, name in iomem(host) if name == "System RAM")
    if ram > 1 << 20:
        return ram
    total = meminfo(host).get("MemTotal")
    if total is None:
        return None
    try:
        blocks = [name for name in host.names("/sys/devices/system/memory") if re.fullmatch(r"memory\d+", name)]
        block = int(host.word("/sys/devices/system/memory/block_size_bytes") or "0", 16)
        reserved = host.number("/sys/kernel/kexec_crash_size") or 0
    except (Denied, ValueError):
        blocks, block, reserved = [], 0, 0
    if 0 < block <= 128 << 20:  # larger blocks are too coarse
        return len(blocks) * block
    return total + reserved + total // 64  # page structures take 64 bytes of 4096


def _running_release(host: Host) -> Optional[str]:
    if host.live:
        return os.uname().release
    for path in ("/proc/sys/kernel/osrelease", "/proc/version", "/uname", "/sos_commands/kernel/uname_-a"):
        text = _quiet(host, path)
        if text:
            found = releases.in_uname(text)
            if found:
                return found
    # "BOOT_IMAGE=(hd0,gpt2)/vmlinuz-5.14.0-503.el9.x86_64 root=…"
    words = (_quiet(host, "/proc/cmdline") or "").split()
    return next((releases.in_file_name(word) for word in words if word.startswith("BOOT_IMAGE=")), None)


def _installed_release(host: Host) -> Optional[str]:
    """The newest kernel under /lib/modules."""
    try:
        names = [name for name in host.names("/lib/modules") if name[:1].isdecimal()]
    except Denied:
        return None
    return max(names, key=releases.order, default=None)


def _arch(host: Host) -> Optional[str]:
    if host.live:
        return os.uname().machine
    for path in ("/uname", "/sos_commands/kernel/uname_-a"):
        found = releases.machine(_quiet(host, path) or "")
        if found:
            return found
    return releases.machine(_running_release(host) or _installed_release(host) or "") or _library_arch(host)


def _library_arch(host: Host) -> Optional[str]:
    """The architecture by the dynamic linker. An Ubuntu or SUSE release (``5.15.0-91-generic``) does not name it."""
    linkers = {
        "x86_64": "/lib64/ld-linux-x86-64.so.2",
        "aarch64": "/lib/ld-linux-aarch64.so.1",
        "ppc64le": "/lib64/ld64.so.2",
        "s390x": "/lib/ld64.so.1",
    }
    try:
        return next((arch for arch, path in linkers.items() if host.exists(path)), None)
    except Denied:
        return None


def _pretty(os_release: str) -> str:
    fields = variables.assignments([os_release])
    return fields.get("PRETTY_NAME") or fields.get("NAME") or "unknown distribution"


def _container(host: Host) -> bool:
    """Whether this is a container: its cmdline and sysctls are those of its host.

    Virtual machines made from a container image have the marker files too: the PID namespace decides.
    """
    namespace = host.link("/proc/self/ns/pid")  # "pid:[4026531836]"
    if namespace is not None:
        return namespace != _FIRST_PID_NAMESPACE
    try:
        return host.any("/run/.containerenv", "/.dockerenv", "/run/systemd/container") is not None
    except Denied:
        return False


def _quiet(host: Host, path: str) -> Optional[str]:
    """The text of ``path``; None when it is missing or this user may not read it."""
    try:
        return host.text(path)
    except Denied:
        return None
