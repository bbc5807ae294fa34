"""The kernel.* settings that decide which faults cause a dump: running and configured values."""

import re
from typing import Dict, Iterator, NamedTuple, Optional

from kdumpwrap import shell
from kdumpwrap.doctor import causes, fixes
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.host.tree import Host
from kdumpwrap.model.host import Check, Step
from kdumpwrap.regex import regex

_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
# "kernel.panic_on_oops = 1", "-kernel/sysrq=16"
_SETTING = regex(r"^[ \t-]*kernel[./](\w+)[ \t]*=[ \t]*(-?\d{1,18})[ \t]*$", re.M)

# faults that are logged by default and can be made to panic; no default is an error
_TROUBLE = {
    "softlockup_panic": "a soft lockup",
    "hardlockup_panic": "a hard lockup",
    "hung_task_panic": "a hung task",
    "unknown_nmi_panic": "an unknown NMI (the machine's dump button)",
    "panic_on_unrecovered_nmi": "an NMI for a hardware error",
}
_SYSRQ_DUMP = 8  # bit of kernel.sysrq: Alt-SysRq-c may crash the kernel (include/linux/sysrq.h, SYSRQ_ENABLE_DUMP)


class Setting(NamedTuple):
    """The value that the next boot sets, and the file under /etc that says so; None where no file does."""

    value: Optional[int]
    file: Optional[str]


def check(facts: Facts) -> Iterator[Check]:
    """``panic_on_oops``, ``softlockup_panic`` and the like, ``sysrq``."""
    yield from _panic_on_oops(facts)
    for name, trouble in _TROUBLE.items():
        yield from _policy(facts, name, trouble)
    yield from _sysrq(facts)
    yield from _post_notifiers(facts)
    yield from _panic_print(facts)


def configured(host: Host, name: str) -> Setting:
    """The setting of ``kernel.name`` in sysctl.d and sysctl.conf.

    Of two files with one name, that in /etc counts; then the last by name; /etc/sysctl.conf overrides all.
    """
    files: Dict[str, str] = {}
    for directory in reversed(_DIRECTORIES):
        files.update({entry: f"{directory}/{entry}" for entry in host.names(directory) if entry.endswith(".conf")})
    paths = [files[entry] for entry in sorted(files) if entry != "99-sysctl.conf"] + ["/etc/sysctl.conf"]
    found = Setting(None, None)
    for path in paths:
        for key, value in _SETTING.findall(host.text(path) or ""):
            if key == name:
                found = Setting(int(value), path if path.startswith("/etc/") else None)
    return found


def running(host: Host, name: str) -> Optional[int]:
    """The value of the running kernel, by /proc/sys or an sosreport's ``sysctl -a``."""
    value = host.number(f"/proc/sys/kernel/{name}")
    if value is None and host.report:
        settings = dict(_SETTING.findall(host.text("/sos_commands/kernel/sysctl_-a") or ""))
        value = int(settings[name]) if name in settings else None
    return value


def _panic_on_oops(facts: Facts) -> Iterator[Check]:
    name = "panic_on_oops"
    path = f"/proc/sys/kernel/{name}"
    value = running(facts.host, name)
    setting = configured(facts.host, name)
    sets_itself = facts.distribution.family.arms_panic  # loading the capture kernel sets it
    if value is None and facts.running:
        yield Check(name, "unknown", f"no {path} here")
    elif value is None and setting.value == 0 and not sets_itself:
        seen = f"0 in {setting.file}: an oops will not be dumped"
        yield Check(name, "fail", seen, fixes.sysctl(name, 1, setting.file), evidence=(setting.file or "",))
    elif value is None:
        seen = f"{setting.value} at the next boot" if setting.value is not None else "left as the kernel has it"
        yield Check(name, "ok", seen, evidence=(setting.file,) if setting.file else ())
    elif value == 0:
        seen = "0: after an oops the kernel goes on, and nothing is dumped"
        after = causes.AFTER["panic_on_oops"] if sets_itself else ()
        yield Check(name, "fail", seen, fixes.sysctl(name, 1, setting.file), after=after, evidence=(path,))
    elif setting.value == 0 and not sets_itself:
        seen = f"{value}, but 0 at the next boot"
        steps = fixes.sysctl(name, 1, setting.file)[:1]
        yield Check(name, "fail", seen, steps, evidence=(path, setting.file or ""))
    else:
        yield Check(name, "ok", str(value), evidence=(path,))


def _policy(facts: Facts, name: str, trouble: str) -> Iterator[Check]:
    value = running(facts.host, name)
    setting = configured(facts.host, name)
    if value is None:
        return
    path = f"/proc/sys/kernel/{name}"
    if setting.value is not None and setting.value != value:
        command = shell.hint("sysctl -w {}", f"kernel.{name}={setting.value}")
        seen = f"{value}, but {setting.value} is configured ({setting.file or 'sysctl.d'})"
        step = Step(f"Set kernel.{name} to {setting.value} now, as configured", command)
        yield Check(name, "warn", seen, (step,), evidence=(path, setting.file or ""))
    else:
        what = "is dumped" if value else "is logged, not dumped"
        if name == "unknown_nmi_panic" and not value and _loaded(facts.host, "hpwdt"):
            what = "is dumped all the same: hpwdt, which is loaded, panics on it"
        yield Check(name, "ok", f"{value}: {trouble} {what}", evidence=(path,))


def _sysrq(facts: Facts) -> Iterator[Check]:
    value = running(facts.host, "sysrq")
    if value is None:
        return
    keyboard = value == 1 or bool(value & _SYSRQ_DUMP)
    what = "Alt-SysRq-c crashes on purpose" if keyboard else "Alt-SysRq-c is off; echo c >/proc/sysrq-trigger is not"
    yield Check("sysrq", "ok", f"{value}: {what}", evidence=("/proc/sys/kernel/sysrq",))


def _loaded(host: Host, module: str) -> bool:
    """Whether the module is loaded, by /proc/modules or an sosreport's lsmod."""
    text = host.text("/proc/modules") or host.text("/sos_commands/kernel/lsmod") or ""
    return re.search(rf"^{module} ", text, re.M) is not None


def _post_notifiers(facts: Facts) -> Iterator[Check]:
    """``crash_kexec_post_notifiers``: whether others run between the crash and kdump (kernel/panic.c).

    Hyper-V's code sets it too; only a parameter of the command line can be removed.
    """
    name, path = "crash_kexec_post_notifiers", "/sys/module/kernel/parameters/crash_kexec_post_notifiers"
    asked = re.search(rf"(?:^|\s){name}(?:=(?:1|[yY]|on))?(?:\s|$)", facts.cmdline or "") is not None
    if asked:
        command = shell.hint("grubby --update-kernel=ALL --remove-args={}", name)
        steps = (
            Step(
                f"Take {name} off the command line",
                command if facts.distribution.family.kdumpctl else shell.NONE,
                "boot",
            ),
            Step("Reboot", shell.hint("reboot"), "reboot", shell.hint("grep -qvw {} /proc/cmdline", name)),
        )
        seen = "all that waits for a panic runs before kdump, in the kernel that crashed: it may hang there"
        yield Check(name, "warn", seen, steps, evidence=("/proc/cmdline",))
    elif facts.running and facts.host.word(path) == "Y":
        yield Check(name, "ok", "set by the kernel itself: what waits for a panic runs before kdump", evidence=(path,))


def _panic_print(facts: Facts) -> Iterator[Check]:
    """``panic_print``: a kernel that starts kdump at once does not print it."""
    name = "panic_print"
    value = running(facts.host, name)
    if not value:
        return
    early = facts.host.word("/sys/module/kernel/parameters/crash_kexec_post_notifiers") == "Y"
    what = "printed before the dump" if early else "not printed where kdump starts: the vmcore has it all"
    yield Check(name, "ok", f"{value:#x}: {what}", evidence=(f"/proc/sys/kernel/{name}",))
