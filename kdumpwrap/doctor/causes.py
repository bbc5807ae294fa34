"""From which faults another one may follow: of these checks the first that fails is named as its cause (pure).

A check is named twice where its faults differ: a service that is off follows from less than one that failed.
"""

from typing import Dict, Tuple

_MEMORY = ("crashkernel", "bootloader", "reserved")
_LOADING = (
    *("package", *_MEMORY, "kexec_load_disabled", "lockdown", "fadump", "service", "config", "target", "path"),
    *("core_collector", "failure_action", "makedumpfile"),
)

AFTER: Dict[str, Tuple[str, ...]] = {
    "crashkernel": ("bootloader",),  # where the boot menu, or its settings, would mend it
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
    "panic_on_oops": ("loaded", "service", "package", *_MEMORY),  # where loading the capture kernel sets it
    "makedumpfile": ("package",),  # where kdump's package brings it
    "sources": ("debuginfo",),
}
