"""The directives that kdump.conf accepts in each release, and the form of their values (pure).

The directives are those of kdumpctl's check_config(): kexec-tools of el7, el8 and el9, kdump-utils of el10.
"""

import re
from typing import Dict, FrozenSet, Optional, Tuple

from kdumpwrap.host.kdumpconf import TARGETS, Directives, Target
from kdumpwrap.regex import regex

_ALWAYS = frozenset(
    "raw nfs ssh sshkey ext2 ext3 ext4 xfs btrfs minix path core_collector kdump_pre kdump_post extra_bins "
    "extra_modules default force_rebuild force_no_rebuild dracut_args fence_kdump_args fence_kdump_nodes".split()
)
_SINCE: Dict[int, FrozenSet[str]] = {
    8: frozenset(("failure_action", "final_action")),
    9: frozenset(("virtiofs", "auto_reset_crashkernel")),
}
_UNTIL: Dict[int, FrozenSet[str]] = {7: frozenset(("override_resettable",))}
DEPRECATED = frozenset("net options link_delay disk_timeout debug_mem_level blacklist".split())

FAILURE_ACTIONS = ("reboot", "halt", "poweroff", "shell", "dump_to_rootfs")
FINAL_ACTIONS = ("reboot", "halt", "poweroff")

# [user@]host:/export, an IPv6 address in brackets
_NFS = regex(r"(?:\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+):/\S*")
_SSH = regex(r"[\w.-]+@(?:[\w.-]+|[0-9A-Fa-f:.%\w]+)")
_DEVICE = regex(r"(?:/dev/\S+|(?:UUID|LABEL|PARTUUID|PARTLABEL)=\S+)")


def known(name: str, generation: int) -> bool:
    """Whether the kdump of elN (N = ``generation``) knows the directive."""
    since = any(name in names and generation >= first for first, names in _SINCE.items())
    until = any(name in names and generation <= final for final, names in _UNTIL.items())
    return name in _ALWAYS or since or until


def targets(found: Directives) -> Tuple[str, ...]:
    """Every directive that names a target: more than one is refused since el9."""
    return tuple(name for name, value in found if name in TARGETS or (name == "dracut_args" and "--mount" in value))


def target_fault(where: Target) -> str:
    """The fault in the form of a target; empty when there is none."""
    if where.kind == "nfs":
        return "" if _NFS.fullmatch(where.where) else "nfs wants HOST:/EXPORT"
    if where.kind == "ssh":
        return "" if _SSH.fullmatch(where.where) else "ssh wants USER@HOST"
    if where.kind == "virtiofs":
        return "" if where.where else "virtiofs wants a tag"
    if where.kind == "mount":
        if not (_DEVICE.fullmatch(where.where) or _NFS.fullmatch(where.where)) or not where.mountpoint.startswith("/"):
            return '--mount wants "DEVICE MOUNTPOINT FSTYPE"'
        return ""
    if where.kind:
        return "" if _DEVICE.fullmatch(where.where) else f"{where.kind} wants /dev/…, UUID=… or LABEL=…"
    return ""


def collector_fault(command: str, where: Target, generation: int) -> str:
    """The fault of a core_collector for this target; empty when there is none."""
    words = command.split() or [""]
    program, options = words[0].rpartition("/")[2], words[1:]
    if program == "makedumpfile":
        flags = {word for word in options if re.fullmatch(r"-[A-Za-z]+", word)}
        level = dump_level(command)
        if level is not None and not 0 <= level <= 31:
            return f"a dump level is 0 to 31, not {level}"
        if where.kind in ("ssh", "raw") and not any("F" in flag for flag in flags):
            return f"makedumpfile needs -F for {where.kind}"
        if generation == 7 and "-z" in flags:
            return "el7's makedumpfile does not know -z"
        return ""
    if program == "scp" and where.kind != "ssh":
        return "scp is for ssh targets"
    if program == "cp" and where.kind in ("ssh", "raw"):
        return f"cp cannot write to {where.kind}"
    if program == "dd" and where.kind not in ("raw", "ssh", ""):
        return "dd is for raw targets"
    return ""


def dump_level(command: str) -> Optional[int]:
    """N of makedumpfile's ``-d N`` (or ``-dN``); None when it has none."""
    match = re.search(r"(?:^|\s)-d\s*(\d{1,9})(?:\s|$)", command)
    return int(match[1]) if match else None


def filters(command: str) -> bool:
    """Whether the dump excludes most memory: makedumpfile with a level that excludes user and free pages."""
    level = dump_level(command)
    return command.lstrip().startswith("makedumpfile") and level is not None and level & 24 == 24
