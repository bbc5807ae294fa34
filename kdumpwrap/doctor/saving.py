"""Checks of how the dump is saved: the program, the action after a failure, the room on the disk."""

import os
import re
from typing import Iterator, NamedTuple, Optional

from kdumpwrap.doctor import causes, crashkernel, directives, dumpconfig, fixes, inventory
from kdumpwrap.doctor.crashkernel import K, human
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.errors import ToolFailed, ToolMissing
from kdumpwrap.host import kdumpconf
from kdumpwrap.model.host import Check

_SECONDS = 60.0  # kdumpctl estimate unpacks the initramfs


def collector(facts: Facts) -> Iterator[Check]:
    """``core_collector``: whether the program that writes the dump suits the target."""
    found = dumpconfig.read(facts)
    if found.missing:
        return
    fault = ""
    if facts.distribution.family.kdumpctl:
        generation = facts.distribution.generation
        fault = directives.collector_fault(found.collector, found.target, generation)
    level = directives.dump_level(found.collector)
    if not fault and not facts.distribution.family.kdumpctl and level is not None and not 0 <= level <= 31:
        fault = f"a dump level is 0 to 31, not {level}"
    if fault:
        flat = "makedumpfile -F -l --message-level 7 -d 31"
        value = flat if found.target.kind in ("ssh", "raw") else kdumpconf.COLLECTOR
        steps = (
            fixes.set_directive(facts, found.file, "core_collector", value)
            if facts.distribution.family.kdumpctl
            else fixes.by_hand(f"Mend the dump level in {found.file}")
        )
        yield Check("core_collector", "fail", f"{found.collector}: {fault}", steps, evidence=(found.file,))
    else:
        yield Check("core_collector", "ok", found.collector, evidence=(found.file,))


def actions(facts: Facts) -> Iterator[Check]:
    """``failure_action``: the action of the capture kernel when the dump cannot be written, and after the dump."""
    if not facts.distribution.family.kdumpctl:
        return
    found = dumpconfig.read(facts)
    if found.missing:
        return
    failure = kdumpconf.last(found.lines, "failure_action")
    old = kdumpconf.last(found.lines, "default")
    final = kdumpconf.last(found.lines, "final_action")
    name = "failure_action" if failure is not None else "default"
    chosen = failure if failure is not None else old
    if failure is not None and old is not None:
        seen = "failure_action and default together: kdump refuses that"
        steps = fixes.comment_out(facts, found.file, "default")
        yield Check("failure_action", "fail", seen, steps, evidence=(found.file,))
    elif chosen is not None and chosen not in directives.FAILURE_ACTIONS:
        seen = f"{name} {chosen}: not one of {', '.join(directives.FAILURE_ACTIONS)}"
        steps = fixes.set_directive(facts, found.file, name, "reboot")
        yield Check("failure_action", "fail", seen, steps, evidence=(found.file,))
    elif final is not None and final not in directives.FINAL_ACTIONS:
        seen = f"final_action {final}: not one of {', '.join(directives.FINAL_ACTIONS)}"
        steps = fixes.set_directive(facts, found.file, "final_action", "reboot")
        yield Check("failure_action", "fail", seen, steps, evidence=(found.file,))
    else:
        shown = f"{name} {chosen}" if chosen is not None else "reboot, by default"
        yield Check("failure_action", "ok", shown, evidence=(found.file,))


def space(facts: Facts) -> Iterator[Check]:
    """``space``: free space where dumps go, against memory.

    A dump without user pages, caches and free pages (-d 31) takes a few per cent of memory on most machines: less than
    a tenth free is a fault, less than a quarter a warning. An unfiltered dump is as large as memory.
    """
    found = dumpconfig.read(facts)
    memory = facts.memory
    if found.missing or memory is None or found.target.kind in ("raw", *kdumpconf.REMOTE):
        return
    mountpoint = kdumpconf.mounted(facts.host, found.target)
    if mountpoint is None:
        return
    directory = f"{mountpoint.rstrip('/')}{found.path}"
    room = _free(facts, directory)
    if room is None:
        return
    filtered = directives.filters(found.collector)
    fault, doubt = (memory // 10, memory // 4) if filtered else (memory, memory)
    seen = f"{human(room)} free for {directory}, {human(memory)} of memory"
    if room >= doubt:
        yield Check("space", "ok", seen, evidence=(directory,))
        return
    what = seen if filtered else f"{seen}, and {found.collector} leaves nothing out"
    steps = fixes.by_hand(f"Make room: {human(doubt)} free for {directory}, or another target in {found.file}")
    yield Check("space", "fail" if room < fault else "warn", what, steps, evidence=(directory,))


class Estimate(NamedTuple):
    """The figures of ``kdumpctl estimate``, in bytes."""

    reserved: int
    recommended: int
    value: str  # the recommended crashkernel=, as printed


def estimate(facts: Facts) -> Iterator[Check]:
    """``estimate``: what ``kdumpctl estimate`` (el8.5 and later) recommends against what is reserved."""
    try:
        told = recommended(facts)
    except ToolFailed as error:
        yield Check("estimate", "unknown", error.message)
        return
    if told is None:
        if _estimates(facts) and inventory.program(facts.host, "kdumpctl") and os.geteuid() != 0:
            yield Check("estimate", "unknown", "kdumpctl estimate wants root", fixes.look_again())
        return  # an older kdumpctl has no such command
    seen = f"{human(told.reserved)} reserved, {human(told.recommended)} recommended by kdumpctl estimate"
    if told.reserved >= told.recommended:
        yield Check("estimate", "ok", seen)
    else:
        steps = fixes.configure(facts, (told.value,))
        yield Check("estimate", "warn", seen, steps, after=causes.AFTER["estimate"])


def recommended(facts: Facts) -> Optional[Estimate]:
    """The figures of ``kdumpctl estimate``; None where it gives none. Raises ToolFailed."""
    if not _estimates(facts):
        return None
    from kdumpwrap.tools.argv import options
    from kdumpwrap.tools.run import run

    try:
        text = run("kdumpctl", options("estimate"), timeout=_SECONDS, ok=(0, 1)).text
    except ToolMissing:
        return None
    # "Reserved crashkernel:    256M", "Recommended crashkernel: 655M"
    sizes = dict(re.findall(r"^(Reserved|Recommended) crashkernel:\s+(\d+[KMG]?)\s*$", text, re.M))
    reserved = crashkernel.size_of(sizes.get("Reserved", ""))
    wanted = crashkernel.size_of(sizes.get("Recommended", ""))
    if reserved is None or wanted is None:
        return None
    return Estimate(reserved, wanted, sizes["Recommended"])


def _estimates(facts: Facts) -> bool:
    return facts.host.live and facts.distribution.family.kdumpctl and facts.distribution.generation >= 8


def room(facts: Facts) -> Optional[int]:
    """Bytes free where dumps go; None when unknown."""
    found = dumpconfig.read(facts)
    if found.missing or found.target.kind in ("raw", *kdumpconf.REMOTE):
        return None
    mountpoint = kdumpconf.mounted(facts.host, found.target)
    return None if mountpoint is None else _free(facts, f"{mountpoint.rstrip('/')}{found.path}")


def _free(facts: Facts, directory: str) -> Optional[int]:
    """Bytes free on the file system of ``directory``; None when this tree does not tell."""
    if facts.host.report:
        return _df(facts.host.text("/df") or facts.host.text("/sos_commands/filesys/df_-al_-x_autofs") or "", directory)
    if not facts.host.live and not os.path.ismount(facts.host.root):
        return None  # a copy: the free space here is not the host's
    while directory and not facts.host.exists(directory):
        directory = directory.rpartition("/")[0]
    real = facts.host.locate(directory or "/")
    try:
        status = os.statvfs(real) if real else None
    except OSError:
        return None
    return status.f_bavail * status.f_frsize if status else None


def _df(text: str, directory: str) -> Optional[int]:
    """The column Available (1K-blocks) of the file system that holds ``directory``."""
    best, room = "", None
    # "/dev/mapper/rhel-root  73364480 5193640 68170840   8% /"
    for available, mountpoint in re.findall(r"[ \t](\d{1,18})[ \t]+\d{1,3}%[ \t]+(/\S*)$", text, re.M):
        inside = directory == mountpoint or directory.startswith(mountpoint.rstrip("/") + "/")
        if inside and len(mountpoint) > len(best):
            best, room = mountpoint, int(available) * K
    return room
