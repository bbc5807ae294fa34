"""The commands that fix a fault, for each release. Nothing is run here (pure).

Every command can be run twice: one that is not idempotent has a condition (``Step.unless``).
"""

import re
from typing import Iterator, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.doctor import bootconfig, crashkernel, defaults
from kdumpwrap.doctor.crashkernel import M
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.host import packages
from kdumpwrap.host.distribution import DEBIAN, SUSE, Manager
from kdumpwrap.model.host import Step
from kdumpwrap.regex import regex
from kdumpwrap.shell import Hint

Steps = Tuple[Step, ...]

_RUNNING = shell.hint("tr ' ' '\\n' </proc/cmdline | grep -qxF --")  # whether the kernel runs with this parameter
_SAFE = regex(r"[\w:,@.+-]+")  # a value of crashkernel= that may stand in a command
_WORD = regex(r"\w+")
_DROP_IN = "/etc/default/grub.d/kdump-tools.cfg"


def look_again() -> Steps:
    """Run doctor again as root, when this user may not read a file."""
    return (Step("Look again as root", shell.hint("sudo kdumpwrap doctor")),)


def install(facts: Facts, tool: str) -> Steps:
    """Install the package with ``tool``, or the package of that name."""
    package = facts.distribution.package(tool)
    return (_installing(f"Install {package}", facts.distribution.manager.install(package)),)


def _installing(what: str, manager: Manager) -> Step:
    return Step(what, manager.asking, "install", silent=manager.silent)


def debuginfo(release: str) -> Steps:
    """Install the debuginfo of a kernel."""
    known = packages.debuginfo_of(release)
    if known is None:
        return by_hand(f"For {release}: {packages.debuginfo(release)}")
    return (_installing(f"Install the debuginfo of {release}", known),)


def sources(release: str, package: packages.Sources) -> Steps:
    """Install the sources of a kernel."""
    return (_installing(f"Install the sources of {release}", package.install),)


def by_hand(what: str) -> Steps:
    """A step that no command can do."""
    return (Step(what, shell.NONE),)


def enable(facts: Facts, *, masked: bool = False) -> Steps:
    """Start the service now and at every boot."""
    name = facts.distribution.family.unit
    unmask = (Step(f"Unmask {name}", shell.hint("systemctl unmask {}", name), "enable"),) if masked else ()
    return (
        *unmask,
        Step(
            f"Start {name} now and at every boot",
            shell.hint("systemctl enable --now {}", name),
            "enable",
            later=Step(f"Start {name} at every boot", shell.hint("systemctl enable {}", name), "enable"),
        ),
    )


def load(facts: Facts) -> Steps:
    """Load the capture kernel (anew)."""
    name = facts.distribution.family.unit
    return (Step("Load the capture kernel", shell.hint("systemctl restart {}", name), "load"),)


def rebuild(facts: Facts) -> Steps:
    """Build the capture kernel's initramfs anew and load it."""
    what = "Build the capture kernel's initramfs anew"
    family = facts.distribution.family
    command = family.rebuild
    if family is DEBIAN:  # kdump-config builds a missing one
        command = shell.hint("{} {}", command, family.initramfs[0].format(release=facts.release))
    elif family.kdumpctl and facts.distribution.generation == 7:
        command = shell.hint("touch /etc/kdump.conf")  # no "kdumpctl rebuild" there
    return (Step(what, command, "load"), *load(facts))


def reserve(facts: Facts) -> Steps:
    """Make the kernel reserve the recommended memory of this release, from the next boot on."""
    value = proposal(facts)
    if value is None:
        if facts.distribution.family is SUSE:
            return _suse(facts)
        return by_hand(f"Give the machine more memory: {crashkernel.human(facts.memory or 0)} are too little for kdump")
    own = value == defaults.default(facts.distribution, facts.release, facts.arch, fadump=facts.fadump)
    if own and facts.distribution.family.kdumpctl and facts.distribution.generation >= 9:
        fadump = ["--fadump=on"] if facts.fadump else []
        command = shell.join(["kdumpctl", "reset-crashkernel", *fadump, "--kernel=ALL"])
        return (Step(f"Reserve memory: crashkernel={value}", command, "boot"), *_zipl(facts), *reboot((value,)))
    return configure(facts, (value,))


def configure(facts: Facts, values: Sequence[str]) -> Steps:
    """Boot with these values of ``crashkernel=`` from now on."""
    if not all(_SAFE.fullmatch(value) for value in values):
        return reserve(facts)
    words = " ".join(f"crashkernel={value}" for value in values)
    what = f"Reserve memory: {words}"
    if facts.distribution.family is DEBIAN:
        line = f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {words}"'
        command = shell.hint("echo {} >{}", line, _DROP_IN)
        return (Step(what, command, "boot"), *menu(facts), *reboot(values))
    by_grubby = facts.boot.kind == "bls" or facts.arch == "s390x" or facts.distribution.generation > 7
    if facts.distribution.family.kdumpctl and by_grubby:
        command = shell.hint("grubby --update-kernel=ALL --args={}", words)
        return (Step(what, command, "boot"), *_zipl(facts), *reboot(values))
    return (*_grub_default(facts, words, what), *menu(facts), *reboot(values))


def settings(facts: Facts, values: Sequence[str]) -> Steps:
    """Put these values of ``crashkernel=`` into /etc/default/grub: the next rewrite of the menu keeps them."""
    words = " ".join(f"crashkernel={value}" for value in values if _SAFE.fullmatch(value))
    return tuple(_grub_default(facts, words, f"Keep {words} in {bootconfig.DEFAULTS}"))


def menu(facts: Facts) -> Steps:
    """Write the boot menu anew from /etc/default/grub."""
    path = bootconfig.menu_path(facts.host, facts.distribution)
    family = facts.distribution.family
    command = family.write_menu if family is DEBIAN else shell.hint("{} {}", family.write_menu, path)
    return (Step("Write the boot menu anew", command, "boot"),)


def reboot(values: Sequence[str]) -> Steps:
    """Reboot; nothing to do when the kernel already runs with these values of ``crashkernel=``."""
    running = [shell.hint("{} {}", _RUNNING, f"crashkernel={value}") for value in values]
    return (_reboot(shell.every(running)),)


def zipl(facts: Facts) -> Steps:
    """Write s390x's boot record anew."""
    return _zipl(facts)


def sysctl(name: str, value: int, file: Optional[str]) -> Steps:
    """Set ``kernel.name``, now and at every boot. ``file``: the file under /etc with another value."""
    key = f"kernel.{name}"
    if file is not None:
        pattern = f"/^[[:space:]-]*kernel[./]{name}[[:space:]]*=/s/=.*/= {value}/"
        lasting = shell.hint("sed -i {} {}", pattern, file)
    else:
        drop_in = f"/etc/sysctl.d/90-kdump-{name.replace('_', '-')}.conf"
        lasting = shell.hint("echo {} >{}", f"{key} = {value}", drop_in)
    return (
        Step(f"Set {key} to {value}", lasting),
        Step(f"Set {key} to {value} now", shell.hint("sysctl -w {}", f"{key}={value}")),
    )


def comment_out(facts: Facts, file: str, directive: str) -> Steps:
    """Turn every line of kdump.conf with this directive into a comment."""
    if not _WORD.fullmatch(directive):
        return by_hand(f"Take the line {directive} out of {file}")
    command = shell.hint("sed -i -E {} {}", f"s/^[[:space:]]*{directive}([[:space:]]|$)/#&/", file)
    return (Step(f"Take {directive} out of {file}", command), *load(facts))


def set_directive(facts: Facts, file: str, directive: str, value: str) -> Steps:
    """Give a directive of kdump.conf another value."""
    command = shell.hint("sed -i -E {} {}", f"s|^[[:space:]]*{directive}([[:space:]].*)?$|{directive} {value}|", file)
    return (Step(f"Say {directive} {value} in {file}", command), *load(facts))


def proposal(facts: Facts) -> Optional[str]:
    """The value to propose: the release's default, or its smallest size when the default reserves nothing here."""
    value = defaults.default(facts.distribution, facts.release, facts.arch, fadump=facts.fadump)
    if value is None:
        return None
    understood = defaults.kernel(facts.distribution, facts.release, facts.arch, facts.memory)
    if crashkernel.reserve((value,), facts.memory, understood).size != 0:
        return value
    size = defaults.smallest(value)
    return f"{size // M}M" if facts.memory is not None and size * 3 <= facts.memory else None


def _zipl(facts: Facts) -> Steps:
    return (Step("Write the boot record anew", shell.hint("zipl"), "boot"),) if facts.arch == "s390x" else ()


def _grub_default(facts: Facts, words: str, what: str) -> Iterator[Step]:
    """Put ``words`` into /etc/default/grub in the place of every other crashkernel=.

    The command has ``words`` in single quotes. A command substitution closes and reopens them.
    """
    variable = facts.distribution.family.parameters
    if re.search(rf'^{variable}="', facts.host.text(bootconfig.DEFAULTS) or "", re.M):
        old = """'/^GRUB_CMDLINE_LINUX/s/crashkernel=[^" ]* *//g'"""
        command = f"""sed -i -e {old} -e 's/^{variable}=" */{variable}="{words} /' {bootconfig.DEFAULTS}"""
        yield Step(what, shell.own(command), "boot")
    else:
        unless = shell.hint("grep -qF crashkernel= {}", bootconfig.DEFAULTS)
        command = f"""echo '{variable}="${variable} {words}"' >>{bootconfig.DEFAULTS}"""
        yield Step(what, shell.own(command), "boot", unless)


def _suse(facts: Facts) -> Steps:
    """SUSE computes the size itself: ``kdumptool calibrate`` prints "Low: 72", "High: 180" in MiB."""
    low = """'"$(kdumptool calibrate | sed -n 's/^Low: *//p')"'M"""
    high = """'"$(kdumptool calibrate | sed -n 's/^High: *//p')"'M"""
    split = facts.arch in (None, "x86_64", "aarch64")
    words = f"crashkernel={high},high crashkernel={low},low" if split else f"crashkernel={low}"
    settings_now = _grub_default(facts, words, "Reserve the memory that kdumptool calibrate asks for")
    chosen = f"""grep -o 'crashkernel=[^" ]*' {bootconfig.DEFAULTS} | head -n 1"""
    return (*settings_now, *menu(facts), _reboot(shell.own(f'{_RUNNING} "$({chosen})"')))


def _reboot(unless: Hint) -> Step:
    return Step("Reboot: the kernel reserves memory only then", shell.hint("reboot"), "reboot", unless)
