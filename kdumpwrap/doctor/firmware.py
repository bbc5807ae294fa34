"""Checks of the firmware: Secure Boot's lockdown, ppc64le's firmware-assisted dump, s390x's boot record."""

import re
from typing import Iterator

from kdumpwrap import shell
from kdumpwrap.doctor import causes, fixes
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.host import release as releases
from kdumpwrap.model.host import Check, Step

_SYSCONFIG = "/etc/sysconfig/kdump"


def lockdown(facts: Facts) -> Iterator[Check]:
    """``lockdown``: Secure Boot allows only a signed kernel, loaded by kexec_file_load(2)."""
    if not facts.running:
        return
    path = "/sys/kernel/security/lockdown"
    # "none [integrity] confidentiality"
    match = re.search(r"\[(\w+)\]", facts.host.text(path) or "")
    mode = match[1] if match else ""
    if not mode:
        path = "/sos_commands/boot/mokutil_--sb-state"
        # "SecureBoot enabled"
        mode = "integrity" if "SecureBoot enabled" in (facts.host.text(path) or "") else ""
    if not mode:
        return
    if mode == "none":
        yield Check("lockdown", "ok", "none", evidence=(path,))
        return
    loaded = facts.host.number("/sys/kernel/kexec_crash_loaded")
    if loaded == 0 and _lacks_file_load(facts):
        step = Step(
            "Load the capture kernel by kexec_file_load",
            shell.hint("sed -i {} {}", 's/^KEXEC_ARGS="/&-s /', _SYSCONFIG),
            unless=shell.hint("grep -q '^KEXEC_ARGS=.*-s' {}", _SYSCONFIG),
        )
        seen = f"{mode}: kexec needs -s, and KEXEC_ARGS in {_SYSCONFIG} lacks it"
        yield Check("lockdown", "fail", seen, (step, *fixes.load(facts)), evidence=(path, _SYSCONFIG))
    elif loaded == 0 and _built_by_hand(facts):
        seen = f"{mode}: only a signed kernel can be loaded, and {facts.release} is of no distribution"
        steps = fixes.by_hand(f"Sign {facts.release} (mokutil --import, sbsign), or boot the distribution's kernel")
        yield Check("lockdown", "fail", seen, steps, evidence=(path,))
    else:
        yield Check("lockdown", "ok", f"{mode}: only a signed kernel can be loaded", evidence=(path,))


def fadump(facts: Facts) -> Iterator[Check]:
    """``fadump`` (ppc64le): whether the firmware does what the command line asks for."""
    if facts.arch != "ppc64le" or not facts.running:
        return
    path = facts.host.any("/sys/kernel/fadump/enabled", "/sys/kernel/fadump_enabled") or "/sys/kernel/fadump/enabled"
    enabled = facts.host.number(path)
    if not facts.fadump:
        yield Check("fadump", "ok", "not asked for: kexec loads the capture kernel", evidence=("/proc/cmdline",))
    elif enabled is None and not facts.host.live:
        yield Check("fadump", "unknown", f"no {path} here")
    elif enabled:
        yield Check("fadump", "ok", "enabled", evidence=(path,))
    else:
        seen = f"fadump=on in /proc/cmdline, but {path} is {enabled or 0}"
        yield Check("fadump", "fail", seen, fixes.reserve(facts), after=causes.AFTER["fadump"], evidence=(path,))


def zipl(facts: Facts) -> Iterator[Check]:
    """``zipl`` (s390x): whether the boot record was written after its configuration."""
    if facts.arch != "s390x":
        return
    host, record = facts.host, "/boot/bootmap"
    written = host.modified(record)
    if written is None:
        yield Check("zipl", "unknown", f"no {record} here")
        return
    directory = "/boot/loader/entries"
    configuration = ["/etc/zipl.conf", *(f"{directory}/{name}" for name in host.names(directory))]
    newer = [path for path in configuration if (host.modified(path) or 0) > written]
    if newer:
        seen = f"{newer[0]} is newer than {record}: the next boot does not know of it"
        yield Check("zipl", "fail", seen, fixes.zipl(facts), evidence=(record, *newer))
    else:
        yield Check("zipl", "ok", "the boot record is newer than its configuration", evidence=(record,))


def _lacks_file_load(facts: Facts) -> bool:
    """Whether KEXEC_ARGS lacks -s, which el9 and later set. Earlier, kdumpctl adds it when Secure Boot is on."""
    if not facts.distribution.family.kdumpctl or facts.distribution.generation < 9:
        return False
    # KEXEC_ARGS="-s"
    arguments = re.search(r'^KEXEC_ARGS="([^"\n]*)', facts.host.text(_SYSCONFIG) or "", re.M)
    return arguments is not None and not {"-s", "-a"} & set(arguments[1].split())


def _built_by_hand(facts: Facts) -> bool:
    """Whether the running kernel is of no distribution, and so unsigned."""
    kernel = releases.parse(facts.release)
    return kernel is not None and kernel.vendor in ("", "elrepo")
