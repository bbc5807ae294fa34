"""The dump of the last crash. Its failure is the first fault to fix."""

from contextlib import suppress
from typing import Iterator, Tuple

from kdumpwrap import capturelog, shell
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.doctor import analysis, crashkernel, defaults, directives, dumpconfig, fixes, saving
from kdumpwrap.doctor.crashkernel import M, human
from kdumpwrap.doctor.facts import Facts
from kdumpwrap.errors import ToolFailed
from kdumpwrap.explain import nodump
from kdumpwrap.host.tree import Denied
from kdumpwrap.model.capture import Capture
from kdumpwrap.model.crash import Entry
from kdumpwrap.model.host import Check, Step
from kdumpwrap.regex import regex

_ROUND = 32 * M  # crashkernel= is given in steps of this
_STATUS = "/var/lib/kdump/vmcore-creation.status"
_MODULE = regex(r"[a-z][a-z0-9]{1,20}")  # of a file system: "unknown filesystem type 'btrfs'"
_NAME = regex(r"[\w./+-]{1,200}")  # of a file or module that may stand in kdump.conf


def check(facts: Facts, crashes: analysis.Crashes) -> Iterator[Check]:
    """``last_dump``: whether the vmcore of the last crash was saved whole; if not, the cause and the fix."""
    entries = [entry for entry in crashes.entries if entry.crash.creation is None]
    if not entries:
        return
    entry, name = entries[-1], "last_dump"
    capture = capturelog.beside(entry.crash)
    if capture is None or capture.cause is None:
        if entry.crash.vmcore is not None and not entry.incomplete:
            yield Check(name, "ok", f"{entry.crash.path} is whole", evidence=(entry.crash.path,))
        return
    evidence = tuple(filter(None, (capture.file, entry.crash.path)))
    seen = f"{entry.crash.path}: {nodump.brief(capture, entry.vmcore_bytes)}"
    changed = _changed(facts, entry, capture)
    if changed:
        yield Check(name, "warn", f"{seen}; since then {changed}", _try_it(facts), evidence=evidence)
    else:
        yield Check(name, "fail", seen, (*_fix(facts, entry, capture), *_try_it(facts)), evidence=evidence)


def tested(facts: Facts, crashes: analysis.Crashes) -> Iterator[Check]:
    """``tested``: whether kdump was tried with this kernel, by ``kdumpctl test`` (kdump-utils) or by a crash."""
    if facts.release is None or not facts.running:
        return
    whole = [entry for entry in crashes.entries if entry.vmcore_bytes and not entry.incomplete]
    caught = next((entry for entry in reversed(whole) if release_of(entry.crash) == facts.release), None)
    told = capturelog.status(facts.host.text(_STATUS) or "")
    installed = facts.host.modified(f"/boot/vmlinuz-{facts.release}")
    if told is not None and told.outcome == "fail":
        seen = "the last kdumpctl test failed"
        yield Check("tested", "warn", seen, _try_it(facts), evidence=(_STATUS,))
    elif caught is not None:
        yield Check("tested", "ok", f"a crash of {facts.release} was caught", evidence=(caught.crash.path,))
    elif told is not None and told.outcome == "success" and (told.time or 0) >= (installed or 0):
        yield Check("tested", "ok", "the last kdumpctl test succeeded", evidence=(_STATUS,))
    else:
        how = "kdumpctl test" if _has_test(facts) else "echo c >/proc/sysrq-trigger"
        yield Check("tested", "ok", f"not tried with {facts.release} yet; {how} crashes it on purpose")


def _has_test(facts: Facts) -> bool:
    return facts.distribution.family.kdumpctl and facts.distribution.generation >= 10


def _try_it(facts: Facts) -> fixes.Steps:
    """A step by hand, since it crashes the host."""
    how = "kdumpctl test" if _has_test(facts) else "echo c >/proc/sysrq-trigger"
    return fixes.by_hand(f"Then try it: {how} crashes this host on purpose")


def _changed(facts: Facts, entry: Entry, capture: Capture) -> str:
    """What has changed since, so that the next dump may succeed; empty when no change is known."""
    if capture.cause == "memory":
        reserved = facts.host.number("/sys/kernel/kexec_crash_size")
        more = reserved is not None and capture.memory is not None and reserved > capture.memory * 5 // 4
        return f"{human(reserved or 0)} are reserved" if more else ""
    if capture.cause == "space":
        room = saving.room(facts)
        wanted = nodump.needed(capture, entry.vmcore_bytes) or (facts.memory or 0) // 10
        return f"there are {human(room)} free" if room is not None and wanted and room > wanted else ""
    crashed = facts.host.modified(_inside(facts, entry.crash.path)) or 0
    for path in (facts.distribution.family.config, *facts.distribution.family.built_from):
        if crashed and (facts.host.modified(path) or 0) > crashed:
            return f"{path} was changed"
    return ""


def _inside(facts: Facts, path: str) -> str:
    """``path`` as a path of the host."""
    root = str(facts.host.root)
    return path if facts.host.live or not path.startswith(root) else f"/{path[len(root) :].lstrip('/')}"


def _fix(facts: Facts, entry: Entry, capture: Capture) -> fixes.Steps:
    found = dumpconfig.read(facts)
    kdumpctl = facts.distribution.family.kdumpctl
    if capture.cause == "memory":
        return _more_memory(facts, capture)
    if capture.cause == "space":
        if kdumpctl and not directives.filters(found.collector):
            default = "makedumpfile -l --message-level 7 -d 31"
            return fixes.set_directive(facts, found.file, "core_collector", default)
        needed = nodump.needed(capture, entry.vmcore_bytes)
        amount = f"{human(-(-needed // M) * M)} " if needed else ""
        return fixes.by_hand(f"Make room {amount}under {found.path}, or name a path on another disk in {found.file}")
    if capture.cause == "device":
        return _driver(facts, capture, found.file)
    module = capture.subject or ""
    if capture.cause == "mount" and kdumpctl and _MODULE.fullmatch(module):
        return (*_append(facts, found.file, f"extra_modules {module}"), *fixes.rebuild(facts))
    if capture.cause == "mount":
        return fixes.rebuild(facts)
    if capture.cause == "network" and found.target.kind == "ssh" and kdumpctl:
        step = Step("Bring the key to the target again", shell.hint("kdumpctl propagate"))
        return (step, *fixes.rebuild(facts))
    if capture.cause == "network":
        return fixes.by_hand(f"See that {found.target.where or 'the host in ' + found.file} lets this host in")
    if capture.cause == "makedumpfile":
        return fixes.by_hand("Install a newer makedumpfile, or set core_collector to cp for the next dump")
    if capture.cause == "crash":
        return fixes.by_hand("Leave out the driver that crashed: dracut_args --omit-drivers NAME in kdump.conf")
    if capture.cause == "killed":
        return fixes.by_hand("Find what ended it: a script of kdump_pre or kdump_post, or a watchdog")
    return fixes.by_hand("Watch the console during the next dump: a watchdog may reset the machine meanwhile")


def _more_memory(facts: Facts, capture: Capture) -> fixes.Steps:
    """Reserve half as much again, or enough for the process that was killed; more when kdumpctl recommends more."""
    had = max(facts.host.number("/sys/kernel/kexec_crash_size") or 0, capture.memory or 0)
    wanted = had + max(had // 2, capture.used or 0)
    told = None
    with suppress(ToolFailed):
        told = saving.recommended(facts)
    if told is not None and told.recommended > had:
        wanted = max(wanted, told.recommended)
    proposal = fixes.proposal(facts)
    if proposal is not None:
        kernel = defaults.kernel(facts.distribution, facts.release, facts.arch, facts.memory)
        if (crashkernel.reserve((proposal,), facts.memory, kernel).size or 0) >= wanted:
            return fixes.reserve(facts)
    return fixes.configure(facts, (f"{-(-wanted // _ROUND) * _ROUND // M}M",))


def _driver(facts: Facts, capture: Capture, file: str) -> fixes.Steps:
    """Rebuild the initramfs, with the missing firmware and the drivers that the target has now."""
    kdumpctl = facts.distribution.family.kdumpctl
    if capture.firmware and kdumpctl and _NAME.fullmatch(capture.firmware) and ".." not in capture.firmware:
        path = f"/lib/firmware/{capture.firmware}"
        given = dict(dumpconfig.read(facts).lines).get("dracut_args")
        if given is not None:
            return fixes.by_hand(f'Add --install "{path}" to dracut_args in {file}, then kdumpctl rebuild')
        return (*_append(facts, file, f'dracut_args --install "{path}"'), *fixes.rebuild(facts))
    if capture.subject and facts.host.live and capture.subject.startswith("/dev/"):
        try:
            there = facts.host.exists(capture.subject)
        except Denied:
            there = True
        if not there:
            return fixes.by_hand(f"Name a target in {file} that is there (blkid): {capture.subject} is not")
    if kdumpctl:
        return (*_append(facts, file, "force_rebuild 1"), *fixes.load(facts))
    return fixes.rebuild(facts)


def _append(facts: Facts, file: str, line: str) -> Tuple[Step, ...]:
    command = shell.hint("echo {} >>{}", line, file)
    return (Step(f"Say {line} in {file}", command, unless=shell.hint("grep -qxF {} {}", line, file)),)
