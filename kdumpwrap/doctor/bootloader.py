"""The check of the boot loader: whether crashkernel= of the next boot is that of this one."""

from typing import Iterator, Tuple

from kdumpwrap.doctor import bootconfig, causes, fixes
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.model.host import Check, Step

NAME = "bootloader"


def check(facts: Facts) -> Iterator[Check]:
    """``bootloader``: the running kernel's crashkernel= against the boot menu's, and that against its settings."""
    boot = facts.boot
    if boot.denied:
        yield Check(NAME, "unknown", f"{boot.denied} cannot be read", fixes.look_again())
    elif boot.next is None and boot.settings is None:
        yield Check(NAME, "unknown", "no configuration of a boot loader was found")
    elif boot.next is not None and facts.running and upcoming(facts) != facts.parameters:
        yield _other_next_boot(facts)
    elif boot.next is not None and boot.settings is not None and boot.kind == "grub.cfg" and _stale_menu(facts):
        yield _other_settings(facts)
    elif boot.kind == "bls":
        yield from _entries(facts)
    else:
        yield _fine(facts)


def upcoming(facts: Facts) -> Tuple[str, ...]:
    """The values of crashkernel= of the next boot."""
    return bootconfig.crashkernel(facts.boot.next.parameters if facts.boot.next else None)


def planned(facts: Facts) -> Tuple[str, ...]:
    """The values after the boot menu is next rewritten: those of the settings, else those of the menu."""
    if facts.boot.kind == "grub.cfg" and facts.boot.settings is not None:
        return bootconfig.crashkernel(facts.boot.settings)
    return upcoming(facts)


def shown(values: Tuple[str, ...]) -> str:
    """``crashkernel=256M``, or that there is none."""
    return " ".join(f"crashkernel={value}" for value in values) or "no crashkernel="


def _other_next_boot(facts: Facts) -> Check:
    source, running, coming = facts.boot.source, facts.parameters, upcoming(facts)
    evidence = ("/proc/cmdline", source)
    if coming:
        seen = f"{shown(coming)} in {source}, {shown(running)} in /proc/cmdline: not rebooted since"
        return Check(NAME, "fail", seen, fixes.reboot(coming), after=causes.AFTER["bootloader"], evidence=evidence)
    if planned(facts) == running:
        steps = fixes.menu(facts)
    elif planned(facts):
        steps = (*fixes.menu(facts), *fixes.reboot(planned(facts)))
    else:
        steps = _lasting(fixes.configure(facts, running))
    seen = f"the next boot loses {shown(running)}: it is not in {source}"
    return Check(NAME, "fail", seen, steps, after=causes.AFTER["bootloader"], evidence=evidence)


def _stale_menu(facts: Facts) -> bool:
    return planned(facts) != upcoming(facts)


def _other_settings(facts: Facts) -> Check:
    settings, coming, source = planned(facts), upcoming(facts), facts.boot.source
    evidence = (bootconfig.DEFAULTS, source)
    if not settings:
        seen = f"the next time that {source} is written it loses {shown(coming)}: not in {bootconfig.DEFAULTS}"
        return Check(NAME, "warn", seen, fixes.settings(facts, coming), evidence=evidence)
    seen = f"{shown(settings)} in {bootconfig.DEFAULTS}, {shown(coming)} in {source}: not written since"
    return Check(
        NAME,
        "fail",
        seen,
        (*fixes.menu(facts), *fixes.reboot(settings)),
        after=causes.AFTER["bootloader"],
        evidence=evidence,
    )


def _entries(facts: Facts) -> Iterator[Check]:
    """BLS: every kernel has parameters of its own, and a later grub2-mkconfig takes those of /etc/default/grub."""
    boot, coming = facts.boot, upcoming(facts)
    if not coming:
        yield _fine(facts)
        return
    without = [entry for entry in boot.entries if not entry.rescue and not bootconfig.crashkernel(entry.parameters)]
    settings = bootconfig.crashkernel(boot.settings)
    if without:
        seen = f"{without[0].id}.conf in {boot.source} has no crashkernel=: that kernel would boot without kdump"
        steps = _lasting(fixes.configure(facts, coming))
        yield Check(NAME, "warn", seen, steps, after=causes.AFTER["bootloader"], evidence=(boot.source,))
    elif settings and settings != coming:
        seen = f"{shown(settings)} in {bootconfig.DEFAULTS}, {shown(coming)} in {boot.source}"
        evidence = (bootconfig.DEFAULTS, boot.source)
        yield Check(
            NAME, "warn", seen, fixes.settings(facts, coming), after=causes.AFTER["bootloader"], evidence=evidence
        )
    else:
        yield _fine(facts)


def _fine(facts: Facts) -> Check:
    source = facts.boot.source or bootconfig.DEFAULTS
    values = upcoming(facts) or planned(facts)
    return Check(NAME, "ok", f"{shown(values)} in {source}", evidence=(source,))


def _lasting(steps: Tuple[Step, ...]) -> Tuple[Step, ...]:
    """``steps`` without the reboot: the running kernel has these values already."""
    return tuple(step for step in steps if step.phase != "reboot")
