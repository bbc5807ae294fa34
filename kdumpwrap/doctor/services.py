"""The service that loads the capture kernel: its package, its unit, its initramfs."""

import re
from typing import Iterator, List, Optional, Tuple

from kdumpwrap.doctor import causes, fixes, inventory
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.errors import ToolFailed, ToolMissing
from kdumpwrap.model.host import Check, Status

_SECONDS = 20.0  # systemctl answers at once, or D-Bus is broken


def package(facts: Facts) -> Iterator[Check]:
    """``package``: whether kdump's package is installed."""
    name = facts.distribution.kdump
    listed = inventory.packages(facts.host)
    if listed is not None and (name in listed or not inventory.has_programs(facts.host)):
        wanted = [name] if name == "kdump-tools" else [name, "kexec-tools"]
        missing = [one for one in wanted if one not in listed]
        if not missing:
            yield Check("package", "ok", f"{name} {listed[name][-1]}")
            return
        yield Check("package", "fail", f"{missing[0]} is not installed", fixes.install(facts, missing[0]))
        return
    if not inventory.has_programs(facts.host):
        yield Check("package", "unknown", "neither programs nor a list of packages here")
        return
    found: List[str] = []
    for row in facts.distribution.family.programs:
        path = next((path for path in (inventory.program(facts.host, one) for one in row) if path), None)
        if path is None:
            lacking = name if not found and row[0] != "kexec" else "kexec-tools"
            yield Check("package", "fail", f"no {row[0]}: {lacking} is not installed", fixes.install(facts, lacking))
            return
        found.append(path)
    yield Check("package", "ok", f"{name}: {', '.join(found)}", evidence=tuple(found))


def service(facts: Facts) -> Iterator[Check]:
    """``service``: whether it is enabled at boot, and active."""
    unit = f"{facts.distribution.family.unit}.service"
    if facts.container:
        yield Check("service", "unknown", "a container: the service belongs to its host")
        return
    state, evidence = _enabled(facts, unit)
    if state is None:
        yield Check("service", "unknown", "no units of systemd here")
        return
    if state not in ("enabled", "enabled-runtime", "static", "generated", "alias", "indirect"):
        seen = f"{unit} is {state}"
        steps = fixes.enable(facts, masked=state.startswith("masked"))
        yield Check("service", "fail", seen, steps, after=causes.AFTER["service"], evidence=(evidence,))
        return
    active = _active(facts, unit)
    if active in ("failed", "inactive"):
        loaded = facts.host.number("/sys/kernel/kexec_crash_loaded")
        seen = f"{unit} is {state}, but {active} (journalctl -u {facts.distribution.family.unit})"
        status: Status = "warn" if loaded else "fail"
        yield Check(
            "service", status, seen, fixes.load(facts), after=causes.AFTER["service failed"], evidence=(evidence,)
        )
        return
    yield Check("service", "ok", f"{unit} is {state}{', ' + active if active else ''}", evidence=(evidence,))


def initramfs(facts: Facts) -> Iterator[Check]:
    """``initramfs``: whether the capture kernel's exists, and is newer than the files that it was made from."""
    name, host, release = "initramfs", facts.host, facts.release
    if facts.fadump:  # fadump boots the usual one
        return
    if release is None:
        yield Check(name, "unknown", "the kernel's release is not known")
        return
    candidates = tuple(path.format(release=release) for path in facts.distribution.family.initramfs)
    path = host.any(*candidates)
    if path is None and host.report:
        yield from _reported(facts, candidates)
    elif path is None and not (host.is_dir("/boot") or host.is_dir("/var/lib/kdump")):
        yield Check(name, "unknown", "no /boot here")
    elif path is None and not facts.running:
        yield Check(name, "ok", "none yet: the service builds it when it starts first")
    elif path is None:
        after = causes.AFTER["initramfs"]
        yield Check(name, "fail", f"no {candidates[0]}", fixes.rebuild(facts), after=after)
    else:
        built = host.modified(path) or 0
        sources = [*facts.distribution.family.built_from, *_kernels(release)]
        newer = [source for source in sources if (host.modified(source) or 0) > built]
        drivers = _newer_drivers(facts, release, built) if not newer else ()
        if drivers:
            seen = f"{drivers[0]}, which is loaded, is newer than {path}: that has another one, or none"
            yield Check(name, "warn", seen, fixes.rebuild(facts), evidence=(path, drivers[0]))
        elif newer:
            seen = f"{newer[0]} is newer than {path}"
            yield Check(
                name, "fail", seen, fixes.rebuild(facts), after=causes.AFTER["initramfs old"], evidence=(path, newer[0])
            )
        else:
            yield Check(name, "ok", path, evidence=(path,))


def _newer_drivers(facts: Facts, release: str, built: int) -> Tuple[str, ...]:
    """Loaded modules, the kernel's own or others, that were installed after the initramfs was built."""
    # "megaraid_sas 172032 3 - Live 0xffffffffc0a12000 (OE)"
    loaded = set(re.findall(r"^(\w+) ", facts.host.text("/proc/modules") or "", re.M))
    top = f"/lib/modules/{release}"
    # "kernel/drivers/scsi/megaraid/megaraid_sas.ko.xz: …" of depmod; el9's file has some 700 kB
    listed = facts.host.text(f"{top}/modules.dep", 8 << 20) or ""
    found = re.findall(r"^((?:[^\s:]+/)?([\w-]+)\.ko(?:\.(?:xz|gz|zst))?):", listed, re.M)
    paths = [f"{top}/{path}" for path, name in found if name.replace("-", "_") in loaded]
    return tuple(path for path in paths if (facts.host.modified(path) or 0) > built)


def _enabled(facts: Facts, unit: str) -> Tuple[Optional[str], str]:
    """``enabled``, ``disabled``, ``masked``, … as in systemctl is-enabled, and its source."""
    if facts.host.live:
        answer = _systemctl("is-enabled", unit)
        if answer:
            return ("not installed" if answer == "not-found" else answer), f"systemctl is-enabled {unit}"
    directory = "/etc/systemd/system"
    if facts.host.link(f"{directory}/{unit}") == "/dev/null":
        return "masked", f"{directory}/{unit}"
    for parent in (directory, "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system"):
        for name in facts.host.names(parent):
            path = f"{parent}/{name}/{unit}"
            if name.endswith((".wants", ".requires", ".upholds")) and unit in facts.host.names(f"{parent}/{name}"):
                return "enabled", path
    if facts.host.report:
        # "kdump.service      enabled   enabled"
        listing = facts.host.text("/sos_commands/systemd/systemctl_list-unit-files") or ""
        match = re.search(rf"^{re.escape(unit)}\s+([\w-]+)", listing, re.M)
        if match:
            return match[1], "systemctl list-unit-files"
        return None, ""
    if not facts.host.is_dir(directory):
        return None, ""
    return "disabled", directory


def _active(facts: Facts, unit: str) -> Optional[str]:
    """``active``, ``failed``, ``inactive``; None when it is not known."""
    if facts.host.live:
        answer = _systemctl("is-active", unit)
        return answer if answer in ("active", "failed", "inactive", "activating") else None
    # "  kdump.service      loaded active exited Crash recovery kernel arming"
    listing = facts.host.text("/sos_commands/systemd/systemctl_list-units") or ""
    match = re.search(rf"^[^\w\n]*{re.escape(unit)}\s+loaded\s+(\w+)", listing, re.M)
    return match[1] if match else None


def _systemctl(question: str, unit: str) -> Optional[str]:
    """systemctl's one-word answer; None when it is missing or systemd does not run here."""
    from kdumpwrap.tools.argv import word
    from kdumpwrap.tools.run import run

    try:
        answer = run("systemctl", [word(question), word(unit)], timeout=_SECONDS, ok=(0, 1, 3, 4)).text.strip()
    except (ToolMissing, ToolFailed):
        return None
    return answer if re.fullmatch(r"[a-z-]+", answer) else None


def _kernels(release: str) -> Tuple[str, ...]:
    return tuple(f"/boot/{name}-{release}" for name in ("vmlinuz", "vmlinux", "image", "Image"))


def _reported(facts: Facts, candidates: Tuple[str, ...]) -> Iterator[Check]:
    """The initramfs of an sosreport, which has no images but a list of /boot."""
    listing = facts.host.text("/sos_commands/boot/ls_-lanR_.boot")
    names = [path.rpartition("/")[2] for path in candidates if path.startswith("/boot/")]
    if listing is None or not names:
        yield Check("initramfs", "unknown", "images are not part of an sosreport")
    elif any(f" {name}\n" in listing + "\n" for name in names):
        yield Check("initramfs", "ok", f"/boot/{names[0]}", evidence=("ls -lanR /boot",))
    else:
        after = causes.AFTER["initramfs"]
        yield Check("initramfs", "fail", f"no /boot/{names[0]}", fixes.rebuild(facts), after=after)
