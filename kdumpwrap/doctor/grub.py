"""Parsers of the kernel parameters of boot loaders: GRUB's menu and environment, BLS entries, zipl.conf (pure)."""

import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from kdumpwrap.host import release as releases
from kdumpwrap.host import variables
from kdumpwrap.regex import regex


class Entry(NamedTuple):
    """One kernel that can be booted."""

    id: str  # its name in saved_entry: the title in grub.cfg, the file's stem in /boot/loader/entries
    release: Optional[str]
    parameters: str
    rescue: bool  # a rescue kernel: never the default


# "linux16 /vmlinuz-3.10.0-1160.el7.x86_64 root=/dev/mapper/centos-root ro crashkernel=auto rhgb quiet"
_LINUX = regex(r"\s*(?:linux|linux16|linuxefi)\s+(?P<kernel>\S+)\s*(?P<parameters>.*)")
# "menuentry 'CentOS Linux (3.10.0-1160.el7.x86_64) 7 (Core)' --class centos … {"
_MENUENTRY = regex(r"""\s*menuentry\s+(?P<quote>["'])(?P<title>[^"']*)(?P=quote)""")
_RESCUE = regex(r"rescue|recovery mode", re.I)


def menu(text: str) -> Tuple[Entry, ...]:
    """The kernels of a grub.cfg, in its order."""
    found: List[Entry] = []
    title = ""
    for line in text.splitlines():
        head = _MENUENTRY.match(line)
        if head:
            title = head["title"]
        linux = _LINUX.match(line)
        if linux:
            parameters = linux["parameters"]
            odd = bool(_RESCUE.search(title)) or "rescue" in linux["kernel"]
            found.append(Entry(title, releases.in_file_name(linux["kernel"]), parameters, odd))
    return tuple(found)


def loader_entry(name: str, text: str, grubenv: Dict[str, str]) -> Entry:
    """One file of /boot/loader/entries; ``grubenv`` are the variables of that file (el8's ``options $kernelopts``)."""
    fields: Dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "options" and key in fields:
            fields[key] += " " + value.strip()
        elif key and not key.startswith("#"):
            fields[key] = value.strip()
    stem = name[: -len(".conf")] if name.endswith(".conf") else name
    version = releases.in_file_name(fields.get("linux", "")) or fields.get("version")
    odd = "rescue" in stem or bool(_RESCUE.search(fields.get("title", "")))
    return Entry(stem, version, variables.expand(fields.get("options", ""), grubenv), odd)


def environment(text: str) -> Dict[str, str]:
    """The variables of a grubenv: ``saved_entry``, ``kernelopts``."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, equals, value in lines if equals}


def kernelopts(text: str) -> Optional[str]:
    """The fallback for el8's $kernelopts that grub2-mkconfig writes into grub.cfg."""
    found = re.findall(r'^[ \t]*set kernelopts="([^"\n]*)"', text, re.M)
    return found[-1] if found else None


def zipl(text: str) -> Tuple[Entry, ...]:
    """The kernels of s390x's zipl.conf: ``[linux]``, ``image=/boot/vmlinuz-…``, ``parameters="root=… …"``."""
    found: List[Entry] = []
    section, fields = "", {}  # type: str, Dict[str, str]
    for line in [*text.splitlines(), "[]"]:
        stripped = line.strip()
        if stripped.startswith("["):
            if "image" in fields:
                odd = "rescue" in section or "rescue" in fields["image"]
                found.append(Entry(section, releases.in_file_name(fields["image"]), fields.get("parameters", ""), odd))
            section, fields = stripped.strip("[]"), {}
        elif "=" in stripped and not stripped.startswith("#"):
            name, _, value = stripped.partition("=")
            fields[name.strip()] = variables.word(value.strip())
    return tuple(found)
