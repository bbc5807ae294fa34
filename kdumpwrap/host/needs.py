"""The version of a tool that reads a kernel, and the source of that knowledge."""

import re
from typing import NamedTuple, Optional, Tuple

from kdumpwrap.host import release as releases


class Need(NamedTuple):
    """Kernels from ``since`` on need ``tool`` of ``version`` or newer. ``why``: "its maple trees"."""

    tool: str
    since: Tuple[int, int]
    version: str
    why: str
    stumbles: str = ""  # the symbol or member that an older crash(8) does not find when it starts


# The newest that applies counts. A kernel with backports may need a newer tool than its number says: the tools of that
# distribution are made for it.
NEEDS = (
    # crash's own record of changes, as Debian's package keeps it (/usr/share/doc/crash/changelog.Debian.gz, 7.2.6 to
    # 8.0.6). 7.3.0: "Add support for new lockless righbuffer that Linux 5.10 introduced. Without the two patches, crash
    # fails during session initialization"
    Need("crash", (5, 10), "7.3.0", "its log's ring buffer", "log_end"),
    # 8.0.0: "Handle task_struct state member changes for kernels >= 5.14-rc1 … Without the patch, crash fails to start"
    Need("crash", (5, 14), "8.0.0", "its task_struct", "task_struct_state"),
    # 8.0.1: "memory: Handle struct slab changes on Linux 5.17-rc1 and later … Without the patch, crash fails to start"
    Need("crash", (5, 17), "8.0.1", "its struct slab", "kmem_cache_s_num"),
    # 8.0.3, which the record does not list: crash 8.0.2 does not know maple trees, 8.0.4 mends what 8.0.3 does to them
    Need("crash", (6, 1), "8.0.3", "its maple trees"),
    # 8.0.4: "Support module memory layout change on Linux 6.4", which later kernels of el9 took over
    Need("crash", (6, 4), "8.0.4", "the layout of its modules", "module_core_size"),
    # 8.0.6: "Fix "kmem -v" option on Linux 6.9 and later kernels"
    Need("crash", (6, 9), "8.0.6", "its vmap areas"),
    # Debian's record of makedumpfile, 1.6.8-4: "Fix failure of dmesg.<timestamp> creation on 5.10+ kernels"; the fix
    # came to 1.6.9
    Need("makedumpfile", (5, 10), "1.6.9", "its log's ring buffer"),
)

# The newest kernel that a makedumpfile counts as supported; of others it says "The kernel version is not supported. The
# makedumpfile operation may be incomplete." By the comparison in get_kernel_version() of Debian's binaries. Between two
# of these versions the later one's is the most that it can be.
MAKEDUMPFILE_READS = (("1.6.8", (5, 9)), ("1.7.2", (6, 0)), ("1.7.6", (6, 11)), ("1.7.8", (6, 17)))

# 8.0.0: "Add support for reading dumpfiles compressed by Zstandard (zstd)"
ZSTD_DUMP = Need("crash", (0, 0), "8.0.0", "a zstd dump")

# el9's own 2.35.2 reads its kernels; el8's 2.30 says ??:0 for every address of one, like el7's 2.27
DWARF5 = Need("addr2line", (0, 0), "2.35", "its DWARF 5")

# binutils of CentOS N, for a tree whose programs cannot be run
BINUTILS_OF = {7: "2.27", 8: "2.30", 9: "2.35", 10: "2.41"}


def needed(tool: str, release: Optional[str]) -> Optional[Need]:
    """The version of ``tool`` that the kernel ``release`` needs; None where any will do, as far as is known."""
    kernel = releases.parse(release)
    if kernel is None:
        return None
    if tool == DWARF5.tool:
        return DWARF5 if dwarf5(kernel) else None
    return next((need for need in reversed(NEEDS) if need.tool == tool and kernel.version >= need.since), None)


def unmet(tool: str, version: Optional[str], release: Optional[str]) -> Tuple[Need, ...]:
    """All needs of the kernel ``release`` that this ``version`` of ``tool`` does not meet, by their numbers."""
    kernel = releases.parse(release)
    if kernel is None or version is None:
        return ()
    own = (need for need in NEEDS if need.tool == tool and kernel.version >= need.since)
    return tuple(need for need in own if older(version, need.version))


def lacking(tool: str, version: Optional[str], release: Optional[str]) -> Optional[Need]:
    """The need of the kernel ``release`` that this ``version`` of ``tool`` does not meet; None where it may."""
    need = needed(tool, release)
    return need if need is not None and version is not None and older(version, need.version) else None


def beyond(version: Optional[str], release: Optional[str]) -> Optional[Tuple[int, int]]:
    """The newest kernel that makedumpfile ``version`` may count as supported, if ``release`` is newer; else None."""
    kernel, number = releases.parse(release), re.match(r"\d{1,4}(?:\.\d{1,4}){1,3}", version or "")
    if number is None or kernel is None:
        return None
    most = next((series for known, series in MAKEDUMPFILE_READS if not older(known, number[0])), None)
    return most if most is not None and kernel.version[:2] > most else None


def of_stumbling(lacking: str) -> Optional[Need]:
    """The need of a crash(8) that did not find ``lacking``, whatever the kernel's number: changes are backported."""
    return next((need for need in NEEDS if need.stumbles and need.stumbles == lacking), None)


def stronger(one: Optional[Need], other: Optional[Need]) -> Optional[Need]:
    """The one of two needs with the newer version."""
    if one is None or other is None:
        return one or other
    return other if older(one.version, other.version) else one


def dwarf5(kernel: releases.Release) -> bool:
    """Whether it was compiled with DWARF 5: gcc 11 does so, which el9 and Fedora 34 brought.

    Elsewhere it is the compiler that decides (DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT), from about 5.18 on.
    """
    if kernel.vendor in ("el", "uek", "elrepo", "fedora"):
        return (kernel.generation or 0) >= (34 if kernel.vendor == "fedora" else 9)
    return kernel.version >= (5, 18)


def older(version: str, than: str) -> bool:
    """Whether the version that ``version`` starts with ("2.35.2-54.el9") came before ``than``; False for no version."""
    from packaging.version import Version

    number = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9}){1,9}", version)
    return number is not None and Version(number[0]) < Version(than)
