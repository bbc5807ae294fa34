"""The possible causes of each fault: the first check among them that fails is reported as the cause (pure).

A check with two kinds of faults has two rows: a disabled service has fewer causes than one that failed.
"""

from typing import Dict, Tuple

_MEMORY = ("crashkernel", "bootloader", "reserved")
_LOADING = (
    *("package", *_MEMORY, "kexec_load_disabled", "lockdown", "fadump", "service", "config", "target", "path"),
    *("core_collector", "failure_action", "makedumpfile"),
)

AFTER: Dict[str, Tuple[str, ...]] = {
    "crashkernel": ("bootloader",),  # when the boot menu or its settings would fix it
    "bootloader": ("crashkernel",),
    "reserved": ("crashkernel", "bootloader"),
    "fadump": ("crashkernel",),
    "config": ("package",),
    "service": ("package",),
    "service failed": tuple(name for name in _LOADING if name not in ("fadump", "service")),
    "initramfs": ("package", "service", *_MEMORY),
    "initramfs old": ("package",),
    "loaded": _LOADING,
    "loaded unknown": ("reserved",),
    "estimate": _MEMORY,
    "panic_on_oops": ("loaded", "service", "package", *_MEMORY),  # when loading the capture kernel sets it
    "makedumpfile": ("package",),  # when kdump's package contains it
    "sources": ("debuginfo",),
}
