"""Check ``target``: the file system, device or host that the dump goes to, and the directory in it."""

from typing import Iterator

from kdumpwrap import shell
from kdumpwrap.doctor import directives, dumpconfig, fixes, inventory
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.host import kdumpconf
from kdumpwrap.host.kdumpconf import Config, Target
from kdumpwrap.model.host import Check, Step

_KEY = "/root/.ssh/kdump_id_rsa"


def target(facts: Facts) -> Iterator[Check]:
    """``target``: whether the place where the dump goes has a form that kdump accepts, and exists."""
    found = dumpconfig.read(facts)
    if found.missing:
        return
    where = found.target
    fault = _form_fault(facts, where)
    shown = f"{where.kind} {where.where}".strip() or "the root file system"
    several = directives.targets(found.lines)
    if fault:
        steps = fixes.by_hand(f"Mend the target in {found.file}: {fault}")
        yield Check("target", "fail", f"{shown}: {fault}", steps, evidence=(found.file,))
    elif len(several) > 1 and facts.distribution.generation >= 9:
        seen = f"{len(several)} targets ({', '.join(several)}): kdump takes one"
        steps = fixes.comment_out(facts, found.file, several[0])
        yield Check("target", "fail", seen, steps, evidence=(found.file,))
    elif where.kind == "ssh" and facts.distribution.family.kdumpctl:
        yield _ssh(facts, found, shown)
    elif _is_device(where) and _absent(facts, where):
        seen = f"{shown}: no such device here"
        steps = fixes.by_hand(f"Name a device in {found.file} that is there (blkid)")
        yield Check("target", "fail", seen, steps, evidence=(found.file,))
    else:
        yield Check("target", "ok", shown, evidence=(found.file,))


def path(facts: Facts) -> Iterator[Check]:
    """``path``: whether the directory for dumps exists."""
    found = dumpconfig.read(facts)
    if found.missing:
        return
    if found.target.kind == "raw" or _form_fault(facts, found.target):
        return
    if found.target.kind in kdumpconf.REMOTE:
        yield Check("path", "ok", f"{found.path} on {found.target.where}: not looked at", evidence=(found.file,))
        return
    if not found.path.startswith("/"):
        steps = fixes.set_directive(facts, found.file, "path", "/var/crash")
        yield Check("path", "fail", f"{found.path} is not an absolute path", steps, evidence=(found.file,))
        return
    mountpoint = kdumpconf.mounted(facts.host, found.target)
    if mountpoint is None:
        seen = f"{found.path} on {found.target.where}: where that is mounted is not known"
        yield Check("path", "unknown", seen, evidence=(found.file,))
        return
    directory = f"{mountpoint.rstrip('/')}{found.path}"
    if facts.host.is_dir(directory):
        yield Check("path", "ok", directory, evidence=(directory,))
    elif facts.host.report or not inventory.has_programs(facts.host):
        yield Check("path", "unknown", f"{directory} is not part of this tree")
    else:
        step = Step(f"Make the directory {directory}", shell.hint("mkdir -p {}", directory))
        yield Check("path", "fail", f"no directory {directory}", (step, *fixes.load(facts)), evidence=(found.file,))


def _form_fault(facts: Facts, where: Target) -> str:
    return directives.target_fault(where) if facts.distribution.family.kdumpctl else _url_fault(where)


def _url_fault(where: Target) -> str:
    """The fault in a remote target of Debian or SUSE; empty without one."""
    if where.kind == "ssh" and "@" not in where.where:
        return "ssh wants USER@HOST"
    if where.kind and not where.where:
        return f"{where.kind} wants a host"
    return ""


def _ssh(facts: Facts, found: Config, shown: str) -> Check:
    key = kdumpconf.last(found.lines, "sshkey") or _KEY
    if not key.startswith("/"):
        steps = fixes.set_directive(facts, found.file, "sshkey", _KEY)
        return Check("target", "fail", f"sshkey {key} is not an absolute path", steps, evidence=(found.file,))
    if facts.host.exists(key):
        return Check("target", "ok", f"{shown}, key {key}", evidence=(found.file, key))
    if facts.host.report or not facts.host.is_dir("/root"):
        return Check("target", "ok", shown, evidence=(found.file,))
    steps = (Step("Make a key and bring it to the target", shell.hint("kdumpctl propagate")), *fixes.load(facts))
    return Check("target", "fail", f"{shown}: no key {key}", steps, evidence=(found.file,))


def _is_device(where: Target) -> bool:
    return where.kind in ("raw", "ext2", "ext3", "ext4", "xfs", "btrfs", "minix") or where.where.startswith("/dev/")


def _absent(facts: Facts, where: Target) -> bool:
    """Whether a device is known to be missing: only on this host /dev shows it."""
    if not facts.host.live:
        return False
    return not facts.host.exists(kdumpconf.device(where.where))
