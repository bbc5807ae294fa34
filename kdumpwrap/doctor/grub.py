"""The texts that say with which parameters a kernel boots: GRUB's menu and settings, BLS entries, zipl.conf (pure)."""

import re
import shlex
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple


class Entry(NamedTuple):
    """One kernel that can be booted."""

    id: str  # what saved_entry calls it: the title in a grub.cfg, the file's stem in /boot/loader/entries
    release: Optional[str]
    parameters: str
    rescue: bool  # never the one that runs by itself


# "linux16 /vmlinuz-3.10.0-1160.el7.x86_64 root=/dev/mapper/centos-root ro crashkernel=auto rhgb quiet"
_LINUX = re.compile(r"\s*(?:linux|linux16|linuxefi)\s+(?P<kernel>\S+)\s*(?P<parameters>.*)")
# "menuentry 'CentOS Linux (3.10.0-1160.el7.x86_64) 7 (Core)' --class centos … {"
_MENUENTRY = re.compile(r"""\s*menuentry\s+(?P<quote>["'])(?P<title>[^"']*)(?P=quote)""")
# "/boot/vmlinuz-5.14.0-503.11.1.el9_5.x86_64", "(hd0,msdos1)/vmlinuz-…", s390x "/boot/image-…"
_KERNEL = re.compile(r"(?:^|/)(?:vmlinuz|vmlinux|image|Image|linux)-(?P<release>[^/\s]+)$")
_RESCUE = re.compile(r"rescue|recovery mode", re.I)
# GRUB_CMDLINE_LINUX="rd.lvm.lv=centos/root quiet"
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)(?P<more>\+?)=(?P<value>.*)")
_LONGEST = 8 << 10  # characters of one value: A="$A$A" forty times over must not eat the memory
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<bare>\w+))")


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
            found.append(Entry(title, release(linux["kernel"]), parameters, odd))
    return tuple(found)


def loader_entry(name: str, text: str, variables: Dict[str, str]) -> Entry:
    """One file of /boot/loader/entries; ``variables`` are grubenv's (el8's ``options $kernelopts``)."""
    fields: Dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "options" and key in fields:
            fields[key] += " " + value.strip()
        elif key and not key.startswith("#"):
            fields[key] = value.strip()
    stem = name[: -len(".conf")] if name.endswith(".conf") else name
    version = release(fields.get("linux", "")) or fields.get("version")
    odd = "rescue" in stem or bool(_RESCUE.search(fields.get("title", "")))
    return Entry(stem, version, _expand(fields.get("options", ""), variables), odd)


def environment(text: str) -> Dict[str, str]:
    """The variables of a grubenv: ``saved_entry``, ``kernelopts``."""
    lines = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, equals, value in lines if equals}


def kernelopts(text: str) -> Optional[str]:
    """The fallback for el8's $kernelopts that grub2-mkconfig writes into grub.cfg."""
    found = re.findall(r'^[ \t]*set kernelopts="([^"\n]*)"', text, re.M)
    return found[-1] if found else None


def settings(texts: Sequence[str]) -> Dict[str, str]:
    """The variables that /etc/default/grub and the files of grub.d set, one after the other, as a shell would."""
    found: Dict[str, str] = {}
    for text in texts:
        for line in text.replace("\\\n", " ").splitlines():
            match = _ASSIGNMENT.match(line)
            if not match:
                continue
            value = _expand(_unquoted(match["value"][:_LONGEST]), found)
            found[match["name"]] = found.get(match["name"], "") + value if match["more"] else value
    return found


def zipl(text: str) -> Tuple[Entry, ...]:
    """The kernels of s390x's zipl.conf: ``[linux]``, ``image=/boot/vmlinuz-…``, ``parameters="root=… …"``."""
    found: List[Entry] = []
    section, fields = "", {}  # type: str, Dict[str, str]
    for line in [*text.splitlines(), "[]"]:
        stripped = line.strip()
        if stripped.startswith("["):
            if "image" in fields:
                odd = "rescue" in section or "rescue" in fields["image"]
                found.append(Entry(section, release(fields["image"]), fields.get("parameters", ""), odd))
            section, fields = stripped.strip("[]"), {}
        elif "=" in stripped and not stripped.startswith("#"):
            name, _, value = stripped.partition("=")
            fields[name.strip()] = _unquoted(value.strip())
    return tuple(found)


def release(kernel: str) -> Optional[str]:
    """``5.14.0-503.el9.x86_64`` of ``/boot/vmlinuz-5.14.0-503.el9.x86_64``."""
    match = _KERNEL.search(kernel)
    return match["release"] if match else None


def newest_first(release_: Optional[str]) -> Tuple[Tuple[int, str], ...]:
    """A key that sorts releases as rpm does, near enough: numbers by value, letters before numbers."""
    parts = re.findall(r"\d+|[A-Za-z]+", release_ or "")
    return tuple((int(part[:18]), "") if part.isdecimal() else (-1, part) for part in parts)


def _expand(value: str, variables: Dict[str, str]) -> str:
    expanded = _VARIABLE.sub(lambda match: variables.get(match["braced"] or match["bare"], ""), value)
    return expanded[:_LONGEST]


def _unquoted(value: str) -> str:
    """The word that a shell makes of the right side of an assignment; the text itself where its quotes do not close."""
    try:
        words = shlex.split(value, comments=True)
    except ValueError:
        return value.strip().strip("\"'")
    return words[0] if words else ""
