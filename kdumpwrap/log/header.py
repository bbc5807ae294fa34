"""The task line "CPU: … PID: … Comm: …" and its older forms, and the list of modules."""

import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.host.release import known
from kdumpwrap.model.log import LoadedModule
from kdumpwrap.regex import regex

MAX_MODULES = 1024

# CPU: 2 PID: 23373 Comm: plugin-containe Not tainted 3.10.0-229.el7.x86_64 #1
# CPU: 7 PID: 1019852 Comm: kworker/u65:43 ve: 0 Kdump: loaded Tainted: G        W  O   ------------   3.10.0-1160 #1
# CPU: 2 UID: 0 PID: 132253 Comm: kworker/u96:0 Kdump: loaded Not tainted 6.12.0-180.el10.x86_64 #1 PREEMPT(voluntary)
_TASK = regex(
    r"CPU: (?P<cpu>\d{1,6})(?: UID: \d{1,10})? (?:PID|Pid): (?P<pid>\d{1,10}) ?,? ?[Cc]omm: "
    r"(?P<comm>.{0,64}?)(?: ve: \w+)?(?: Kdump: loaded)? (?P<state>(?:Not tainted|Tainted:).*)$"
)
# the same, cut before the state: the name may be cut as well, unless something follows it
_TASK_CUT = regex(
    r"CPU: (?P<cpu>\d{1,6})(?= )(?: UID: \d{1,10})?(?: PID: (?P<pid>\d{1,10})(?= ))?"
    r"(?: Comm: (?P<comm>.{1,64}?)(?: ve: | Kdump: ))?"
)
# Pid: 21606, comm: sh Tainted: GF          ---------------    2.6.32-358.23.2.el5.x86_64 #1 Inspur SA5212M4
_OLD_TASK = regex(r"Pid: (?P<pid>\d{1,10}), comm: (?:(?P<comm>.{0,64}?) +(?P<state>(?:Not tainted|Tainted:).*)$)?")
# Pid: 1246375, comm: su 5.14.0-503.35.1.el9_5.x86_64 #1 SMP … (libcfs)
_LIBCFS_TASK = regex(r"Pid: (?P<pid>\d{1,10}), comm: (?P<comm>\S{1,16}) (?P<release>\d\S{3,64}) #\d")
# "      Not tainted 4.13.0-rc1+ #4", "      Tainted: G        W      X  -------  ---  5.14.0-438.el9s.x86_64+rt #1"
_STATE = regex(r"\s*(?P<state>(?:Not tainted|Tainted:).*)$")
# 4.18.0-159.el8.x86_64+debug #1 Tainted: G        W --------- -  -     (lockdep)
_LOCKDEP_STATE = regex(r"(?P<release>\d[\w.+~-]{2,80}) #\d+\S* (?P<state>(?:Not tainted|Tainted:).*)$")

_WORD = regex(r"\S+")
_LETTERS = regex(r"[A-Za-z-]{1,32}$")  # "PF", "OE", "-------", "O--------------"
# what stands before " #1"
_RELEASE = regex(r"\s*\(?(?P<release>\d[\w.+~-]{2,}|syzkaller)(?P<build> #\d+)?")
# what a release that is not followed by " #1" must end in to be believed whole
_WHOLE = regex(
    r"[._-](?:x86_64|aarch64|ppc64le|ppc64|s390x|i[3-6]86|arm64|amd64|generic)(?:[+.-](?:debug|rt|64k|kdump)){0,2}$"
)

# swapper/14      R  running task        0     0      1 0x00000000       (sched_show_task to 5.10)
_SHOW_TASK = regex(
    r"(?P<comm>\S.{0,15}?) +[RSDTtXZPIKW](?: +(?:running task(?: on cpu +\d+)?|[0-9a-f]{8,16}|\d+))? +"
    r"\d+ +(?P<pid>\d{1,10}) +\d+ 0x[0-9a-f]{8}"
)
# task:grub2-probe     state:D stack:0     pid:24484 ppid:24455  flags:0x00004002
_SHOW_TASK_NEW = regex(r"task:(?P<comm>.{1,64}?) +state:\S.{0,40}? pid:(?P<pid>\d{1,10}) ")

# "acpi_pad", "ib_core(OE)", "ipr(+)", el6: "sysdig_probe(P)(U)"
_HEXADECIMAL = regex(r"(?:[0-9a-f]{8}|[0-9a-f]{16})$")  # of a dumped stack
_FEW = 4  # names; no other line consists of so many
_MODULE = regex(r"(?P<name>[A-Za-z0-9_][\w-]{0,63})(?P<flags>\([A-Za-z+-]{1,12}\)(?:\([A-Za-z+-]{1,12}\))?)?$")


class Task(NamedTuple):
    """The facts of a task line; None for those that the line does not have."""

    cpu: Optional[int] = None
    pid: Optional[int] = None
    comm: Optional[str] = None
    taint: Optional[str] = None  # letters alone, "" for "Not tainted"
    release: Optional[str] = None


def task(text: str) -> Optional[Task]:
    """The CPU line of an oops, or a line that stands for it ("Pid: …", "Tainted: …", lockdep's release line)."""
    text = text.rstrip()
    if text.startswith("CPU: "):
        match = _TASK.match(text) or _TASK_CUT.match(text)
        if match is None:
            return None
        found = match.groupdict()
        letters, release = _state(found.get("state") or "")
        pid = found.get("pid")
        return Task(int(found["cpu"]), None if pid is None else int(pid), found.get("comm"), letters, release)
    if text.startswith("Pid: "):
        match = _LIBCFS_TASK.match(text)
        if match:
            return Task(None, int(match["pid"]), match["comm"], None, known(match["release"]))
        match = _OLD_TASK.match(text)
        if match:
            letters, release = _state(match["state"] or "")
            return Task(None, int(match["pid"]), match["comm"], letters, release)
        return None
    match = _LOCKDEP_STATE.match(text)
    if match:
        return Task(taint=_closed_letters(match["state"]), release=known(match["release"]))
    match = _STATE.match(text)
    if match:
        letters, release = _state(match["state"])
        return Task(taint=letters, release=release)
    return None


def shown_task(text: str) -> Optional[Task]:
    """The line with which a task's own stack dump begins."""
    match = _SHOW_TASK_NEW.match(text) or _SHOW_TASK.match(text)
    return Task(pid=int(match["pid"]), comm=match["comm"]) if match else None


def _state(text: str) -> Tuple[Optional[str], Optional[str]]:
    """Taint letters and release of "Tainted: G OE ------- 5.14.0-503.el9.x86_64 #1".

    Letters without a release behind them may be cut: they give None.
    """
    _, clean, rest = text.partition("Not tainted")
    if clean:
        return "", _release(rest)
    letters, rest = _letters(text.partition("Tainted:")[2])
    return (letters if rest else None), _release(rest)


def _closed_letters(text: str) -> Optional[str]:
    """Taint letters at the end of lockdep's line; None unless RHEL's dashes show that they are whole."""
    if text.startswith("Not tainted"):
        return ""
    return _letters(text.partition("Tainted:")[2])[0] if text.rstrip().endswith("-") else None


def _letters(text: str) -> Tuple[str, str]:
    """The letters in front of the release, and the release with all that stands behind it."""
    letters: List[str] = []
    for word in _WORD.finditer(text):
        if word[0].startswith("["):  # 6.12: "Tainted: [W]=WARN, [O]=OOT_MODULE" has a line of its own
            return "".join(re.findall(r"\[([A-Za-z])\]=", text)), ""
        if word[0] == "syzkaller" or not _LETTERS.match(word[0]):
            return "".join(letters), text[word.start() :]
        letters.extend(word[0].replace("-", ""))
    return "".join(letters), ""


def _release(text: str) -> Optional[str]:
    match = _RELEASE.match(text)
    if match is None:
        return None
    release = known(match["release"])
    if release is None or release.endswith("-") or text[match.end("release") : match.end("release") + 1].strip(" )"):
        return None  # more than a release can be: "5.14.0-1;reboot"
    if match["build"] or match.end() < len(text.rstrip()) or _WHOLE.search(release):
        return release
    return None  # cut at the end of the line


def lists(text: str, known: Optional[Sequence[LoadedModule]]) -> bool:
    """Whether ``text`` goes on with a list of modules that stopped short, or begins one that has no name yet.

    Behind "Modules linked in:" on a line of its own any names will do, else a few of them or one with flags.
    """
    names = text.partition("[last unloaded:")[0].split()
    if not names or not all(_MODULE.match(name) and not _HEXADECIMAL.match(name) for name in names):
        return False
    return not known or len(names) >= _FEW or any("(" in name for name in names)


def modules(text: str) -> Optional[Tuple[LoadedModule, ...]]:
    """The names in ``text``, all of it or a continued piece of a module list; None when it is something else.

    Sample: ``Modules linked in: xt_nat(OE) dm_mod ipr(+) [last unloaded: amifldrv_mod]``.
    """
    _, linked, rest = text.partition("Modules linked in:")
    names = (rest if linked else text).partition("[last unloaded:")[0].split()
    found: List[LoadedModule] = []
    for name in names[:MAX_MODULES]:
        match = _MODULE.match(name)
        if match:
            found.append(LoadedModule(match["name"], (match["flags"] or "").replace("(", "").replace(")", "")))
        elif not linked:
            return None
    return tuple(found)
