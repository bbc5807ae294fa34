"""The examination: whether this host saves its next crash, and whether crashes can be analysed here.

``examine`` checks the whole chain: reserved memory, the capture kernel in it, the service that loads it, the target of
the dump and how it is written; for the analysis, the tools and the debuginfo. Each check is a generator of ``Check``. A
file that it may not read ends it as "unknown". A fault that follows from another one is marked as such.
"""

from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.doctor import (
    analysis,
    bootloader,
    dumpconfig,
    facts,
    firmware,
    fixes,
    lastdump,
    reservation,
    saving,
    services,
    sysctls,
    target,
)
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.errors import KdumpwrapError, ReadFailed
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.model.host import Check, Diagnosis, Side

# the name under which a refusal is reported, and the check; in the order of the report
_CAPTURE: Tuple[Tuple[str, Callable[[Facts], Iterator[Check]]], ...] = (
    ("package", services.package),
    ("crashkernel", reservation.asked),
    ("bootloader", bootloader.check),
    ("zipl", firmware.zipl),
    ("reserved", reservation.reserved),
    ("lockdown", firmware.lockdown),
    ("fadump", firmware.fadump),
    ("kexec_load_disabled", reservation.forbidden),
    ("config", dumpconfig.check),
    ("target", target.target),
    ("path", target.path),
    ("core_collector", saving.collector),
    ("failure_action", saving.actions),
    ("service", services.service),
    ("initramfs", services.initramfs),
    ("loaded", reservation.loaded),
    ("space", saving.space),
    ("estimate", saving.estimate),
    ("sysctl", sysctls.check),
)
_DECISIVE = ("crashkernel", "service", "loaded")


def examine(root: Path = Path("/")) -> Diagnosis:
    """The diagnosis of the host below ``root``: this one, a mounted image, or an sosreport.

    Raises KdumpwrapError when there is no host below ``root``.
    """
    host = Host(root)
    if not host.is_dir("/"):
        raise KdumpwrapError(f"{root}: no such directory")
    if not any(host.is_dir(f"/{name}") for name in ("etc", "proc", "usr", "boot", "sos_commands")):
        raise KdumpwrapError(
            f"{root}: no Linux host here", shell.hint("name the top of a mounted image or of an sosreport")
        )
    known = facts.read(host)
    checks: List[Check] = []
    crashes = analysis.find(known)
    if not known.container:
        checks += _told("last_dump", "capture", _about(lastdump.check, crashes), known)
    for name, check in _CAPTURE:
        if not known.container or name in ("crashkernel", "service"):
            checks += _told(name, "capture", check, known)
    if not known.container:
        checks += _told("tested", "capture", _about(lastdump.tested, crashes), known)
    for name, check_crashes in analysis.CHECKS:
        checks += _told(name, "analysis", _about(check_crashes, crashes), known)
    explained = explain(tuple(checks))
    return Diagnosis(
        root=str(root),
        distribution=known.pretty,
        release=known.release,
        arch=known.arch,
        memory=known.memory,
        ready=_ready(explained),
        checks=explained,
    )


def explain(checks: Tuple[Check, ...]) -> Tuple[Check, ...]:
    """``checks``, where a fault that follows from another one is "skip" and names it: each cause is reported once."""
    faulty = [check for check in checks if check.status in ("fail", "warn")]
    skipped: Dict[str, str] = {}
    for check in faulty:
        causes = {one.name for one in faulty if one.status == "fail" and one.name not in skipped}
        cause = next((name for name in check.after if name in causes), None)
        if cause is not None:
            skipped[check.name] = cause
    return tuple(_explained(check, skipped) for check in checks)


def _explained(check: Check, skipped: Dict[str, str]) -> Check:
    cause: Optional[str] = skipped.get(check.name) if check.status in ("fail", "warn") else None
    if cause is None:
        return check
    while cause in skipped and skipped[cause] != check.name:
        cause = skipped[cause]
    return check._replace(status="skip", cause=cause)


def _about(
    check: Callable[[Facts, analysis.Crashes], Iterator[Check]], crashes: analysis.Crashes
) -> Callable[[Facts], Iterator[Check]]:
    return lambda known: check(known, crashes)


def _told(name: str, side: Side, check: Callable[[Facts], Iterator[Check]], known: Facts) -> List[Check]:
    """The results of a check; "unknown" for a file that this user may not read."""
    found: List[Check] = []
    try:
        for one in check(known):
            found.append(one)  # one by one: results before a refusal stay
    except Denied as denied:
        found.append(Check(name, "unknown", f"{denied.path} cannot be read", fixes.look_again(), side=side))
    except ReadFailed as failed:
        found.append(Check(name, "unknown", failed.message, fixes.look_again(), side=side))
    return found


def _ready(checks: Tuple[Check, ...]) -> Optional[bool]:
    """False with any fault; None when a check that decides is unknown; True otherwise."""
    if any(check.status == "fail" for check in checks):
        return False
    state = {check.name: check.status for check in checks}
    if state.get("crashkernel") == "unknown":
        return None
    armed = [state[name] for name in ("service", "loaded") if name in state]
    return True if any(one != "unknown" for one in armed) else None
