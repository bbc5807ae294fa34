"""Checks of the capture kernel's memory: requested, valid, reserved, and with the kernel loaded into it."""

import re
from typing import Iterator, Tuple

from kdumpwrap import shell
from kdumpwrap.doctor import bootconfig, bootloader, causes, crashkernel, defaults, fixes, sysctls
from kdumpwrap.doctor import facts as fact
from kdumpwrap.doctor.crashkernel import M, human
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.model.host import Check, Status, Step

_LEAST = 32 * M  # bytes; no kernel with an initramfs fits in less: "crashkernel=256" without its M is 256 bytes
_SIZE = "/sys/kernel/kexec_crash_size"
_LOADED = "/sys/kernel/kexec_crash_loaded"


def asked(facts: Facts) -> Iterator[Check]:
    """``crashkernel``: whether the running kernel (of an image: the next boot) asks for memory that it will get."""
    name = "crashkernel"
    if facts.container:
        yield Check(name, "unknown", "a container: it is its host's kernel that crashes")
        return
    if not facts.running and facts.boot.next is None and facts.boot.settings is None:
        if facts.boot.denied:
            yield Check(name, "unknown", f"{facts.boot.denied} cannot be read", fixes.look_again())
        else:
            yield Check(name, "unknown", "neither /proc/cmdline nor a boot loader's configuration here")
        return
    where = "/proc/cmdline" if facts.running else facts.boot.source or bootconfig.DEFAULTS
    values = facts.parameters
    fault = "" if _works(facts) else _fault(facts, values)
    if fault:
        mended = facts.running and not _fault(facts, bootloader.planned(facts))
        seen = f"{bootloader.shown(values)}: {fault}" if values else f"no crashkernel= in {where}"
        after = causes.AFTER["crashkernel"] if mended else ()
        yield Check(name, "fail", seen, fixes.reserve(facts), after=after, evidence=(where,))
        return
    coming = bootloader.upcoming(facts)
    if facts.running and coming and coming != values and _fault(facts, coming):
        seen = f"the next boot has {bootloader.shown(coming)}: {_fault(facts, coming)}"
        yield Check(name, "fail", seen, fixes.reserve(facts), evidence=(facts.boot.source,))
        return
    size = _reservation(facts, values).size
    amount = f" ({human(size)})" if size and not any(value == human(size) for value in values) else ""
    yield Check(name, "ok", bootloader.shown(values) + amount, evidence=(where,))


def reserved(facts: Facts) -> Iterator[Check]:
    """``reserved``: the memory that the kernel reserved, by /sys/kernel/kexec_crash_size and /proc/iomem."""
    name = "reserved"
    if not facts.running:
        return
    if facts.fadump:
        firmware = facts.host.number("/sys/kernel/fadump/mem_reserved")
        if firmware:
            yield Check(name, "ok", f"{human(firmware)} for fadump", evidence=("/sys/kernel/fadump/mem_reserved",))
        return
    size = facts.host.number(_SIZE)
    ranges = fact.iomem(facts.host)
    listed = sum(size for size, what in ranges if what.startswith("Crash kernel"))
    if size is None and facts.host.live:
        steps = fixes.by_hand("Boot the distribution's own kernel: this one cannot kexec")
        yield Check(name, "fail", f"no {_SIZE}: this kernel was built without kexec", steps)
    elif size is None and listed:
        yield Check(name, "ok", f"{human(listed)} by /proc/iomem", evidence=("/proc/iomem",))
    elif size is None:
        yield Check(name, "unknown", f"no {_SIZE} here")
    elif size < _LEAST:
        asked_for = bootloader.shown(facts.parameters)
        why = "too little for any kernel" if size else f"the kernel found no room for {asked_for}"
        seen = f"{_SIZE} is {size}: {why}"
        yield Check(name, "fail", seen, _other_value(facts), after=causes.AFTER["reserved"], evidence=(_SIZE,))
    elif ranges and not listed and facts.arch != "ppc64le":  # ppc64le does not list it
        seen = f"{human(size)} by {_SIZE}, but /proc/iomem has no Crash kernel"
        again = Step(
            "Reboot, and look again", shell.hint("reboot"), "reboot", shell.hint("grep -q 'Crash kernel' /proc/iomem")
        )
        yield Check(name, "warn", seen, (again,), evidence=(_SIZE, "/proc/iomem"))
    else:
        yield Check(name, "ok", human(size), evidence=(_SIZE, "/proc/iomem") if listed else (_SIZE,))


def loaded(facts: Facts) -> Iterator[Check]:
    """``loaded``: whether a capture kernel is in that memory (fadump: is registered with the firmware)."""
    name = "loaded"
    if not facts.running:
        return
    paths = ("/sys/kernel/fadump/registered", "/sys/kernel/fadump_registered") if facts.fadump else (_LOADED,)
    path = facts.host.any(*paths) or paths[0]
    number = facts.host.number(path)
    if number is None:
        status: Status = "fail" if facts.host.live else "unknown"
        yield Check(name, status, f"no {path} here", after=causes.AFTER["loaded unknown"])
    elif number:
        seen = "fadump is registered" if facts.fadump else "a capture kernel is loaded"
        yield Check(name, "ok", seen, evidence=(path,))
    else:
        after = causes.AFTER["loaded"]
        yield Check(
            name, "fail", f"{path} is 0: no capture kernel is loaded", fixes.load(facts), after=after, evidence=(path,)
        )


def forbidden(facts: Facts) -> Iterator[Check]:
    """``kexec_load_disabled``: once it is 1, nothing can be loaded until the next boot."""
    name, path = "kexec_load_disabled", "/proc/sys/kernel/kexec_load_disabled"
    value = None if not facts.running else facts.host.number(path)
    if value is None:
        return
    if value and facts.host.number(_LOADED) == 0:
        file = sysctls.configured(facts.host, name).file
        lasting = fixes.sysctl(name, 0, file)[:1] if file else ()
        done = shell.hint("grep -qx 0 {}", path)
        steps = (*lasting, Step("Reboot: it cannot be switched back", shell.hint("reboot"), "reboot", done))
        yield Check(name, "fail", "1, and no capture kernel is loaded", steps, evidence=(path,))
    else:
        yield Check(name, "ok", str(value), evidence=(path,))


def _works(facts: Facts) -> bool:
    """Whether enough memory is reserved now: that counts more than a fault in the parameter."""
    return facts.running and (facts.host.number(_SIZE) or 0) >= _LEAST


def _reservation(facts: Facts, values: Tuple[str, ...]) -> crashkernel.Reservation:
    kernel = defaults.kernel(facts.distribution, facts.release, facts.arch, facts.memory)
    return crashkernel.reserve(values, facts.memory, kernel)


def _fault(facts: Facts, values: Tuple[str, ...]) -> str:
    """Why these values reserve too little; empty when they reserve enough."""
    if not values:
        by_other_means = facts.fadump and re.search(r"\bfadump_reserve_mem=", facts.cmdline or "")
        return "" if by_other_means else "not asked for"
    reservation = _reservation(facts, values)
    if not reservation.fault and reservation.size is not None and reservation.size < _LEAST:
        return f"{reservation.size} bytes are too few (is an M missing?)"
    return reservation.fault


def _other_value(facts: Facts) -> Tuple[Step, ...]:
    """The recommended value of this release; when that is set already, a look into the kernel's log."""
    if facts.parameters == (fixes.proposal(facts),):
        return fixes.by_hand("See why it failed: dmesg | grep -i crashkernel; then ask for less, or reboot")
    return fixes.reserve(facts)
