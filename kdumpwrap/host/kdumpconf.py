"""Where kdump saves on this host, by kdump.conf read as kdump reads it: the file system only."""

import os
import re
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.shell import Hint

DEFAULT_PATH = "/var/crash"
_FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "minix", "virtiofs", "nfs")
_ELSEWHERE = ("ssh", "raw")


class KdumpConf(NamedTuple):
    """The lines of kdump.conf that say where a dump goes. ``kind`` is the target's directive, "" for none."""

    path: str = DEFAULT_PATH
    kind: str = ""
    target: str = ""  # a device, HOST:/EXPORT, USER@HOST
    collector: str = "makedumpfile -l --message-level 7 -d 31"

    @property
    def flattened(self) -> bool:
        """Whether the collector writes a stream that makedumpfile -R must rearrange."""
        words = self.collector.split()
        return words[0].endswith("makedumpfile") and any(re.match("-[A-Za-z]*F", word) for word in words[1:])


def parse(text: str) -> KdumpConf:
    """What kdump.conf says: ``#`` starts a comment anywhere, values may be quoted, the last line of a kind wins."""
    conf = KdumpConf()
    for name, value in directives(text):
        if not value:
            continue
        if name == "path":
            conf = conf._replace(path=value)
        elif name == "core_collector":
            conf = conf._replace(collector=value)
        elif name in _FILE_SYSTEMS or name in _ELSEWHERE:
            conf = conf._replace(kind=name, target=value)
    return conf


def directives(text: str) -> Tuple[Tuple[str, str], ...]:
    """Name and value of every line of kdump.conf that has something on it, in order; an absent value is empty."""
    lines = (line.partition("#")[0].strip().replace("\t", " ").partition(" ") for line in text.splitlines())
    return tuple((name, value.strip().strip("\"'")) for name, _, value in lines if name)


def read(root: Path) -> KdumpConf:
    """kdump.conf below ``root``; kdump's own defaults where there is none."""
    try:
        return parse((root / "etc/kdump.conf").read_text("utf-8", "replace"))
    except OSError:
        return KdumpConf()


def directory(root: Path) -> Path:
    """Where the crashes of this host lie: ``path``, below the target's mount point where a target is given."""
    conf = read(root)
    plain = root / conf.path.strip("/")
    mounted = _mount_point(conf.target, root) if conf.kind in _FILE_SYSTEMS else None
    below = root / mounted.strip("/") / conf.path.strip("/") if mounted else plain
    return below if below.is_dir() else plain


def elsewhere(root: Path) -> Optional[Hint]:
    """Why the crashes are not on this host, and how to get at them; None when they are."""
    conf = read(root)
    if conf.kind == "ssh":
        return shell.hint("kdump.conf sends crashes to {}: run kdumpwrap there", f"{conf.target}:{conf.path}")
    if conf.kind == "raw":
        fetch = shell.hint("makedumpfile -R vmcore <{}" if conf.flattened else "dd if={} of=vmcore bs=1M", conf.target)
        return shell.hint("kdump.conf writes crashes to the raw device {}: {}", conf.target, fetch)
    return None


def _mount_point(target: str, root: Path) -> Optional[str]:
    """Where ``target`` is mounted, by the kernel's table for this host, else by fstab."""
    names = {target, os.path.realpath(_device(target))}
    for table in (Path("/proc/self/mounts"), Path("/etc/fstab")) if root == Path("/") else (root / "etc/fstab",):
        try:
            text = table.read_text("utf-8", "replace")
        except OSError:
            continue
        # "/dev/vdb1 /srv/dumps xfs rw 0 0", "UUID=0b1c… /srv/dumps xfs defaults 0 0"
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 2 and (words[0] in names or os.path.realpath(_device(words[0])) in names):
                return words[1].replace("\\040", " ")
    return None


def _device(name: str) -> str:
    """``/dev/disk/by-uuid/…`` for ``UUID=…``."""
    kind, equals, value = name.partition("=")
    return f"/dev/disk/by-{kind.lower()}/{value}" if equals and not name.startswith("/") else name
