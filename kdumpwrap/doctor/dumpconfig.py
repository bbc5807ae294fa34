"""Check ``config``: whether kdump's configuration exists, and is valid for its release."""

import re
from typing import Iterator, List, Tuple

from kdumpwrap import shell
from kdumpwrap.doctor import causes, directives, fixes, inventory
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.host import kdumpconf
from kdumpwrap.host.kdumpconf import Config
from kdumpwrap.model.host import Check, Step


def read(facts: Facts) -> Config:
    """The configuration of this host. Raises Denied."""
    return kdumpconf.read(facts.host, facts.distribution.family.config)


def check(facts: Facts) -> Iterator[Check]:
    """``config``: whether the file exists, and every line is valid for its release."""
    found, file = read(facts), facts.distribution.family.config
    if found.missing:
        if not inventory.has_programs(facts.host) and not facts.host.is_dir("/etc"):
            yield Check("config", "unknown", f"no {file} here")
        else:
            again = fixes.by_hand(f"Write {file}, or install {facts.distribution.kdump} again: it brings one")
            yield Check("config", "fail", f"no {file}", again, after=causes.AFTER["config"])
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
    generation = facts.distribution.generation
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


def _switch_on(facts: Facts, file: str) -> fixes.Steps:
    text = facts.host.text(file) or ""
    if re.search(r"^USE_KDUMP=", text, re.M):
        command = shell.hint("sed -i 's/^USE_KDUMP=.*/USE_KDUMP=1/' {}", file)
        return (Step("Switch kdump on", command), *fixes.load(facts))
    unless = shell.hint("grep -q '^USE_KDUMP=1' {}", file)
    step = Step("Switch kdump on", shell.hint("echo USE_KDUMP=1 >>{}", file), unless=unless)
    return (step, *fixes.load(facts))
