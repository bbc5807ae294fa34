"""``--fix``: the commands as a shell script, which prints each step and stops at the first error (pure)."""

from typing import Dict, List, Tuple

from kdumpwrap.model.host import PHASES, Check, Diagnosis, Step
from kdumpwrap.render.escape import shown

_HEAD = """\
#!/bin/bash
# What {host} lacks to catch its next crash, and to read it. Read this, then run it there as root.
# It stops at the first error; run it again after that, or twice: what is done already stays as it is.
{ending}# shellcheck disable=SC2016  # a $VARIABLE in single quotes is for the boot loader
set -euo pipefail
step() {{ printf '\\n==> %s\\n' "$*"; }}
"""


def render(diagnosis: Diagnosis) -> str:
    """The script for every fault and warning that has a command."""
    found = steps(diagnosis.checks)
    ending = "# Its last step reboots this host.\n" if any(step.phase == "reboot" for step in found) else ""
    lines = [_HEAD.format(host=_one_line(diagnosis.distribution) or "this host", ending=ending)]
    for step in found:
        lines.append(f"step {_quoted(step.what)}")
        command = step.silent or step.command
        if step.unless:
            lines.append(f"if {step.unless}; then\n\techo 'It is so already.'\nelse\n\t{command}\nfi\n")
        elif command:
            lines.append(f"{command}\n")
        else:
            lines.append("echo 'This has to be done by hand.'\n")
    if not found:
        lines.append("echo 'Nothing is to be done.'\n")
    return "\n".join(lines)


def steps(checks: Tuple[Check, ...]) -> Tuple[Step, ...]:
    """The steps of all faults in the order to run them, each once.

    Before a reboot nothing is loaded: the memory is not reserved yet.
    """
    found: Dict[Tuple[str, str], Step] = {}
    by_hand = any(not step.command for check in checks if check.status == "fail" for step in check.fix)
    for check in checks:
        for step in check.fix:
            # a fault that follows from another one: a missing service must be started once it is installed
            follows = check.status == "skip" and step.phase in ("enable", "load") and not by_hand
            if follows or check.status in ("fail", "warn"):
                found.setdefault((step.command, step.what if not step.command else ""), step)
    ordered = sorted(found.values(), key=lambda step: PHASES.index(step.phase))
    reboots = [step for step in ordered if step.phase == "reboot"]
    if not reboots:
        return tuple(ordered)
    later: List[Step] = []
    for step in ordered:
        if step.phase == "enable":
            later.append(step.later or step)
        elif step.phase not in ("load", "reboot"):
            later.append(step)
    return (*later, reboots[-1])


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(_one_line(text))


def _one_line(text: str) -> str:
    """``text`` for a comment of the script: on one line, with hidden characters escaped."""
    return shown(text)
