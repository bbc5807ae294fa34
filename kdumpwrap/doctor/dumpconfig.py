"""kdump's configuration: kdump.conf, Debian's /etc/default/kdump-tools, SUSE's /etc/sysconfig/kdump."""

import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Tuple

from kdumpwrap.doctor import defaults, directives, fixes, grub, inventory
from kdumpwrap.doctor.directives import ROOT, Directives, Target
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.host import kdumpconf, packages
from kdumpwrap.model.host import Check, Step

_FILES = {"el": "/etc/kdump.conf", "debian": "/etc/default/kdump-tools", "suse": "/etc/sysconfig/kdump"}
COLLECTOR = "makedumpfile -l --message-level 7 -d 31"


@dataclass(frozen=True)
class Config:
    """The configuration of kdump, whichever file it is from."""

    file: str
    target: Target = ROOT
    path: str = kdumpconf.DEFAULT_PATH
    collector: str = COLLECTOR
    lines: Directives = ()  # of kdump.conf alone
    missing: bool = False
    off: str = ""  # why it arms nothing: "USE_KDUMP is not 1"


def read(facts: Facts) -> Config:
    """The configuration of this host. Raises Denied."""
    file = _FILES[facts.distribution.family]
    text = facts.host.text(file)
    if text is None:
        return Config(file, missing=True)
    if facts.distribution.family == "debian":
        return _debian(file, grub.settings([text]))
    if facts.distribution.family == "suse":
        return _suse(file, grub.settings([text]))
    found = kdumpconf.directives(text)
    return Config(
        file=file,
        target=directives.target(found),
        path=directives.last(found, "path") or kdumpconf.DEFAULT_PATH,
        collector=directives.last(found, "core_collector") or COLLECTOR,
        lines=found,
    )


def check(facts: Facts) -> Iterator[Check]:
    """``config``: whether the file is there, and its release understands every line."""
    found, file = read(facts), _FILES[facts.distribution.family]
    if found.missing:
        if not inventory.has_programs(facts.host) and not facts.host.is_dir("/etc"):
            yield Check("config", "unknown", f"no {file} here")
        else:
            again = fixes.by_hand(f"Write {file}, or install {packages.kdump(facts.distribution)} again: it brings one")
            yield Check("config", "fail", f"no {file}", again, after=("package",))
    elif found.off:
        yield Check("config", "fail", f"{found.off} in {file}", _switch_on(facts, file), evidence=(file,))
    else:
        faults = list(_directive_faults(facts, found))
        for seen, steps in faults:
            yield Check("config", "fail", f"{file}: {seen}", steps, evidence=(file,))
        if not faults:
            count = f"{len(found.lines)} directives" if found.lines else "defaults"
            yield Check("config", "ok", f"{file}: {count}", evidence=(file,))


def _directive_faults(facts: Facts, found: Config) -> Iterator[Tuple[str, fixes.Steps]]:
    generation = defaults.generation(facts.distribution)
    done: List[str] = []
    for name, value in found.lines:
        if name in done:
            continue
        done.append(name)
        steps = fixes.comment_out(facts, found.file, name)
        if name in directives.DEPRECATED:
            yield f"{name} is no longer taken", steps
        elif not directives.known(name, generation):
            yield f"{name} is not known to this release", steps
        elif not value:
            yield f"{name} has no value", steps


def _debian(file: str, variables: Dict[str, str]) -> Config:
    off = "" if variables.get("USE_KDUMP", "0") not in ("", "0") else "USE_KDUMP is not 1"
    where = ROOT
    for kind in ("FTP", "SSH", "NFS"):
        if variables.get(kind):
            where = Target(kind.lower(), variables[kind])
    collector = f"makedumpfile {variables.get('MAKEDUMP_ARGS') or '-F -c -d 31'}"
    return Config(file, where, variables.get("KDUMP_COREDIR") or kdumpconf.DEFAULT_PATH, collector, off=off)


def _suse(file: str, variables: Dict[str, str]) -> Config:
    # KDUMP_SAVEDIR="file:///var/crash", "ssh://user@host/path", "nfs://host/export"; without a scheme: a directory
    scheme, separator, rest = (variables.get("KDUMP_SAVEDIR") or "file:///var/crash").partition("://")
    if not separator:
        scheme, rest = "file", scheme
    host, slash, directory = rest.partition("/")
    where = ROOT if scheme == "file" else Target(scheme, host)
    level = variables.get("KDUMP_DUMPLEVEL") or "31"
    return Config(file, where, slash + directory if scheme != "file" else rest, f"makedumpfile -d {level}")


def _switch_on(facts: Facts, file: str) -> fixes.Steps:
    text = facts.host.text(file) or ""
    if re.search(r"^USE_KDUMP=", text, re.M):
        command = f"sed -i 's/^USE_KDUMP=.*/USE_KDUMP=1/' {file}"
        return (Step("Switch kdump on", command), *fixes.load(facts))
    step = Step("Switch kdump on", f"echo USE_KDUMP=1 >>{file}", unless=f"grep -q '^USE_KDUMP=1' {file}")
    return (step, *fixes.load(facts))
