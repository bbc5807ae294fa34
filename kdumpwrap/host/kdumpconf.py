"""The configuration of kdump: where and how it saves on a host, in three dialects.

/etc/kdump.conf of CentOS and its kin: ``path /srv/crash``, ``xfs UUID=0b1c-77``, ``core_collector makedumpfile -d 31``.
/etc/default/kdump-tools of Debian and Ubuntu: ``KDUMP_COREDIR="/var/crash"``, ``SSH="kdump@server"``.
/etc/sysconfig/kdump of SUSE: ``KDUMP_SAVEDIR="file:///var/crash"``; CentOS' file of this name has no such variable.
"""

import re
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Tuple, cast

from kdumpwrap import shell
from kdumpwrap.host import variables
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.literal import Literal
from kdumpwrap.regex import regex
from kdumpwrap.shell import Hint

DEFAULT_PATH = "/var/crash"
COLLECTOR = "makedumpfile -l --message-level 7 -d 31"

TargetKind = Literal[
    "raw",
    "nfs",
    "ssh",
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "minix",
    "virtiofs",
    "ftp",
    "sftp",
    "cifs",
    "mount",
    "",
]

# the directives of kdump.conf that name the target
TARGETS = frozenset("raw nfs ssh ext2 ext3 ext4 xfs btrfs minix virtiofs".split())
REMOTE: Tuple[TargetKind, ...] = ("nfs", "ssh", "virtiofs", "ftp", "sftp", "cifs")  # of all dialects

Directives = Tuple[Tuple[str, str], ...]  # name and value of every line, in order

# dracut_args --mount "/dev/mapper/vg-crash /var/crash ext4": DEVICE MOUNTPOINT FSTYPE, as dracut takes it
_MOUNT = regex(r"""--mount[ =]\s*["']?(?P<words>[^"']*)""")
_PASSWORD = regex(r":[^@]*@")  # of ssh://user:password@host


class Target(NamedTuple):
    """The target of the dump."""

    kind: TargetKind  # "mount" is dracut's --mount, "" the root file system
    where: str  # a device, HOST:/EXPORT, USER@HOST
    mountpoint: str = ""  # only for "mount"


ROOT = Target("", "")


class Config(NamedTuple):
    """The configuration of kdump, whichever file it is from."""

    file: str
    target: Target = ROOT
    path: str = DEFAULT_PATH
    collector: str = COLLECTOR
    lines: Directives = ()  # of kdump.conf alone
    missing: bool = False
    off: str = ""  # why kdump is off: "USE_KDUMP is not 1"

    @property
    def flattened(self) -> bool:
        """Whether the collector writes a stream that makedumpfile -R must rearrange."""
        words = self.collector.split()
        return words[0].endswith("makedumpfile") and any(re.match("-[A-Za-z]*F", word) for word in words[1:])


# ---------------------------------------------------------------- the dialects


def parse(text: str, file: str = "/etc/kdump.conf") -> Config:
    """The settings of kdump.conf: ``#`` starts a comment, values may be quoted, the last line of a kind wins."""
    found = directives(text)
    given = tuple((name, value) for name, value in found if value)
    return Config(
        file,
        target=target(found),
        path=last(given, "path") or DEFAULT_PATH,
        collector=last(given, "core_collector") or COLLECTOR,
        lines=found,
    )


def parse_debian(text: str, file: str = "/etc/default/kdump-tools") -> Config:
    """The settings of kdump-tools. kdump-config forces -F on makedumpfile."""
    settings = variables.assignments([text])
    off = "" if settings.get("USE_KDUMP", "0") not in ("", "0") else "USE_KDUMP is not 1"
    where = ROOT
    for kind in ("FTP", "SSH", "NFS"):
        if settings.get(kind):
            where = Target(cast(TargetKind, kind.lower()), settings[kind])
    collector = f"makedumpfile {settings.get('MAKEDUMP_ARGS') or '-F -c -d 31'}"
    return Config(file, where, settings.get("KDUMP_COREDIR") or DEFAULT_PATH, collector, off=off)


def parse_suse(text: str, file: str = "/etc/sysconfig/kdump") -> Config:
    """The settings of SUSE: KDUMP_SAVEDIR is a URL, ``ssh://user@host/path``, or a directory."""
    settings = variables.assignments([text])
    scheme, separator, rest = (settings.get("KDUMP_SAVEDIR") or f"file://{DEFAULT_PATH}").partition("://")
    if not separator:
        scheme, rest = "file", scheme
    host, slash, directory = rest.partition("/")
    where = ROOT if scheme == "file" else Target(cast(TargetKind, scheme), _PASSWORD.sub("@", host))
    level = settings.get("KDUMP_DUMPLEVEL") or "31"
    return Config(file, where, slash + directory if where.kind else rest, f"makedumpfile -d {level}")


_DIALECTS: Dict[str, Callable[[str], Config]] = {
    "/etc/kdump.conf": parse,
    "/etc/default/kdump-tools": parse_debian,
    "/etc/sysconfig/kdump": parse_suse,
}


def directives(text: str) -> Directives:
    """Name and value of every line of kdump.conf that has something on it, in order; an absent value is empty."""
    lines = (line.partition("#")[0].strip().replace("\t", " ").partition(" ") for line in text.splitlines())
    return tuple((name, value.strip().strip("\"'")) for name, _, value in lines if name)


def last(found: Directives, *names: str) -> Optional[str]:
    """The effective value: that of the last line with one of ``names``; None without one."""
    return next((value for name, value in reversed(found) if name in names), None)


def target(found: Directives) -> Target:
    """The target of the dump; the last line that names one counts."""
    for name, value in reversed(found):
        if name in TARGETS:
            return Target(cast(TargetKind, name), value)
        mount = _MOUNT.search(value) if name == "dracut_args" else None
        if mount:
            words = [*mount["words"].split(), "", ""]
            return Target("mount", words[0], words[1])
    return ROOT


# ---------------------------------------------------------------- on a host


def read(host: Host, file: str) -> Config:
    """The configuration in ``file``, one of the three. Raises Denied."""
    text = host.text(file)
    return Config(file, missing=True) if text is None else _DIALECTS[file](text)


def directories(host: Host) -> Tuple[str, ...]:
    """The directories of this host's crashes, as paths of the host: those that a dialect names, and that exist.

    When none exists, the first one named. A target that is a file system counts at its mount point.
    """
    named = [tuple(_named(host, config)) for config in _configs(host)] or [(DEFAULT_PATH,)]
    there = (next((path for path in paths if _is_there(host, path)), None) for paths in named)
    return tuple(dict.fromkeys(path for path in there if path)) or (named[0][-1],)


def elsewhere(host: Host) -> Optional[Hint]:
    """Why the crashes are not on this host, and how to get at them; None when they are."""
    for config in _configs(host):
        name = "kdump.conf" if config.file == "/etc/kdump.conf" else config.file
        kind, where = config.target.kind, config.target.where
        if kind in ("ssh", "ftp", "sftp", "cifs"):
            return shell.hint("{} sends crashes to {}: run kdumpwrap there", name, f"{where}:{config.path}")
        if kind == "raw":
            fetch = shell.hint("makedumpfile -R vmcore <{}" if config.flattened else "dd if={} of=vmcore bs=1M", where)
            return shell.hint("{} writes crashes to the raw device {}: {}", name, where, fetch)
    return None


def mounted(host: Host, where: Target) -> Optional[str]:
    """The mount point of a target that is a file system; "" for the root file system, None when it is not known."""
    if not where.kind:
        return ""
    for table in ("/proc/mounts", "/proc/self/mounts", "/etc/fstab"):
        # "/dev/vdb1 /srv/dumps xfs rw 0 0", "UUID=0b1c-77 /srv/with\040space xfs defaults 0 0"
        for line in (host.text(table) or "").splitlines():
            words = line.split()
            if len(words) >= 2 and not words[0].startswith("#") and _same_device(host, words[0], where.where):
                return words[1].replace("\\040", " ")
    return where.mountpoint or None


def device(name: str) -> str:
    """``/dev/disk/by-uuid/…`` for ``UUID=…``."""
    kind, equals, value = name.partition("=")
    return f"/dev/disk/by-{kind.lower()}/{value}" if equals and not name.startswith("/") else name


def _configs(host: Host) -> Iterator[Config]:
    """The configuration in each dialect that this host has."""
    for file, parse_dialect in _DIALECTS.items():
        try:
            text = host.text(file)
        except Denied:
            continue
        if text is not None and (file != "/etc/sysconfig/kdump" or "KDUMP_SAVEDIR" in variables.assignments([text])):
            yield parse_dialect(text)


def _named(host: Host, config: Config) -> Iterator[str]:
    path = f"/{config.path.strip('/')}"
    try:
        mountpoint = mounted(host, config.target)
    except Denied:
        mountpoint = None
    if mountpoint:
        yield f"{mountpoint.rstrip('/')}{path}"
    yield path


def _is_there(host: Host, path: str) -> bool:
    try:
        return host.is_dir(path)
    except Denied:  # it exists, unreadable for this user: reading it reports that
        return True


def _same_device(host: Host, one: str, other: str) -> bool:
    if one == other:
        return True
    if not host.live:
        return False
    real = host.locate(device(other))
    return real is not None and real == host.locate(device(one))
