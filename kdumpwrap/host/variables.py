"""The variables that files which a shell sources set: /etc/default/grub, os-release, kdump-tools' settings (pure)."""

import shlex
from typing import Dict, Mapping, Sequence

from kdumpwrap.regex import regex

# GRUB_CMDLINE_LINUX="rd.lvm.lv=centos/root quiet"
_ASSIGNMENT = regex(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)(?P<more>\+?)=(?P<value>.*)")
_LONGEST = 8 << 10  # characters of one value: A="$A$A" repeated forty times must not exhaust memory
_VARIABLE = regex(r"\$(?:\{(?P<braced>\w+)\}|(?P<bare>\w+))")


def assignments(texts: Sequence[str]) -> Dict[str, str]:
    """The variables that the files with these texts set, one after the other."""
    found: Dict[str, str] = {}
    for text in texts:
        for line in text.replace("\\\n", " ").splitlines():
            match = _ASSIGNMENT.match(line)
            if not match:
                continue
            value = expand(word(match["value"][:_LONGEST]), found)
            found[match["name"]] = found.get(match["name"], "") + value if match["more"] else value
    return found


def expand(value: str, variables: Mapping[str, str]) -> str:
    """``value`` with its ``$NAME`` and ``${NAME}`` filled in; what is not set is empty."""
    expanded = _VARIABLE.sub(lambda match: variables.get(match["braced"] or match["bare"], ""), value)
    return expanded[:_LONGEST]


def word(value: str) -> str:
    """The word that a shell makes of the right side of an assignment; the text itself where its quotes do not close."""
    try:
        words = shlex.split(value, comments=True)
    except ValueError:
        return value.strip().strip("\"'")
    return words[0] if words else ""
