"""The messages of the capture kernel's programs: kdump's own script, dracut, systemd, mount, ssh (pure).

kdump's messages are those of dracut-kdump.sh and kdump-lib-initramfs.sh: kexec-tools 2.0.15 (el7: ``kdump: saving
vmcore``, on the console alone), 2.0.20 and later (el8.4, el9) and kdump-utils (el10): ``kdump[614]: saving vmcore
failed, exitcode:1``, kept in kexec-dmesg.log with the journal; and of Debian's kdump-config (kdump-tools 1.8.1).
SUSE's save_dump.sh: ``Saving dump using makedumpfile``, ``Dump saving completed.``, ``Last command failed (1).``; these
were not compared with a release of it.
"""

import re
from typing import Dict, Iterable, List, Match, NamedTuple, Optional, Pattern, Tuple

from kdumpwrap.log import capture as kernel
from kdumpwrap.model.capture import Capture, Cause, Creation, Outcome, Said
from kdumpwrap.parse import makedumpfile
from kdumpwrap.regex import regex

_LONGEST = 4096  # bytes of a line that are read
_HEAD = 40  # lines behind "Linux version" in which the command line stands
_SHOWN = 240  # characters of it that are kept

# "Dec 20 10:51:12 db1 " of the journal: the host's name is told elsewhere, or hidden
_LOGGER = regex(r"\A[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S{1,255} ")

# kdump[641]: saving vmcore complete      kdump: saving vmcore complete      kdump-tools: saved vmcore in /var/crash/…
_SAVED = regex(
    r"\bsaving vmcore complete|kdump-tools(?:\[\d+\])?: saved vmcore in "
    r"|The dumpfile is saved to |^Dump saving completed"
)
_BEGUN = regex(r"\bsaving vmcore(?:$| to )|running makedumpfile |^Saving dump using |Copying data +: \[")
# kdump[641]: saving vmcore failed, exitcode:1      kdump: saving vmcore failed       kdump[641]: sync vmcore failed, …
# kdump-tools: failed to save vmcore in /var/crash/202312201051
_FAILED = regex(
    r"\b(?:saving|sync|moving) vmcore failed|: failed to save vmcore in "
    r"|\bkdump_pre script exited with non-zero status!|^Last command failed \(\d{1,3}\)"
)
# …saving vmcore failed, exitcode:137: 128 and the number of the signal (bash)
_SIGNAL = regex(r"\bsaving vmcore failed, exitcode:(?:129|13[0-9]|14[0-3])\b")
# /usr/bin/kdump.sh: line 61:   612 Killed                  $CORE_COLLECTOR /proc/vmcore "$_dump_fs_path/…"
_KILLED = regex(
    r"(?:^|: line \d+: +\d+ )(?:Killed|Terminated|Segmentation fault|Aborted)(?: +\(core dumped\))?(?:$| {3,})"
)

# Timed out waiting for device dev-disk-by\x2duuid-0b1c.device - /dev/disk/by-uuid/0b1c.           systemd
# Job dev-mapper-mpatha.device/start timed out.
# Warning: /dev/disk/by-uuid/0b1c does not exist                                                   dracut
# …/initqueue/finished/devexists-\x2fdev\x2fvdb1.sh: "[ -e "/dev/vdb1" ]"
# mount: /kdumproot: special device /dev/vdb1 does not exist.    mount: /kdumproot: can't find UUID=0b1c.     util-linux
# mount: mounting /dev/vda on /disk failed: No such file or directory                              busybox
_NO_DEVICE = regex(
    r"Timed out waiting for device (?:\S+\.device - )?(?P<waited>\S+?)\.?$"
    r"|Job (?P<job>dev-\S+)\.device/start timed out"
    r"|(?:special device |Warning: |mount: )(?P<absent>/dev/\S+) does not exist"
    r"|devexists-\S*: \"\[ -e \"?(?P<tested>/dev/[^\" ]+)"
    r"|mount: \S*:? ?can't find (?P<found>[A-Z]+=\S+?)\.?$"
    r"|mount: mounting (?P<mounted>/dev/\S+) on \S+ failed: No such "
)
# Failed to start Cryptography Setup for luks-0b1c.    Failed to start systemd-cryptsetup@luks\x2d0b1c.service - …
_LOCKED = regex(
    r"Failed to start (?:Cryptography Setup for |systemd-cryptsetup@)(?P<subject>\S+?)(?:\.service)?\.?(?:$| )"
)

# ssh: connect to host 10.0.0.9 port 22: No route to host       ssh: Could not resolve hostname dumps: …
# kdump@10.0.0.9: Permission denied (publickey,gssapi-keyex).   Host key verification failed.
# mount.nfs: Connection timed out    mount.nfs: access denied by server while mounting 10.0.0.9:/export
# mount.nfs: Failed to resolve server dumps: Name or service not known
# kdump[601]: get_host_ip exited with non-zero status!
# kdump-tools: Unable to reach remote server dumps; can't continue       Unable to mount remote NFS directory …
_NETWORK = regex(
    r"ssh: connect to host (?P<connect>\S+) port \d+: "
    r"|ssh: Could not resolve hostname (?P<resolve>[^\s:]+)"
    r"|(?:[\w.-]{1,64}@(?P<refused>[^\s@]{1,255}): )?Permission denied \((?:publickey|gssapi|password|keyboard)"
    r"|Host key verification failed"
    r"|mount\.nfs4?: (?:access denied by server while mounting (?P<export>\S+)"
    r"|Failed to resolve server (?P<server>[^\s:]+)|Connection |No route to host|Network is unreachable)"
    r"|\bget_host_ip exited with non-zero status!"
    r"|Unable to reach remote server (?P<remote>[^\s;]+);|Unable to mount remote NFS directory (?P<nfs>\S+?)\. "
)
# failed to dump to '/kdumproot/var/crash', it's not a mount point!       el8 and later
# kdump: error: Dump target /dev/vdb1 is not mounted.                     el7
# Failed to mount kdumproot-data.mount - /kdumproot/data.                 systemd
# mount: /kdumproot: wrong fs type, bad option, bad superblock on /dev/vdb1, …    unknown filesystem type 'xfs'.
_NOT_MOUNTED = regex(
    r"failed to dump to '(?P<to>[^']{0,200})', it's not a mount point!"
    r"|Dump target (?P<target>\S*) is not mounted"
    r"|Failed to mount (?:\S+\.mount - )?(?P<unit>/\S*?)\.?$"
    r"|mount: \S*:? ?wrong fs type, bad option, bad superblock on (?P<bad>[^\s,]+)"
    r"|unknown filesystem type '(?P<type>[^']{1,40})'"
)
_ENDED = regex(r"Executing (?:final|failure|default) action|reboot: Restarting system|reboot: Power down")


class _Rule(NamedTuple):
    """The form of a line, and the cause that it shows."""

    cause: Cause
    form: "Pattern[str]"


# The first rule that any line fits counts, with its first line: a cause below is a consequence of one above.
_RULES = (
    _Rule("memory", kernel.OUT_OF_MEMORY),
    _Rule("memory", makedumpfile.NO_MEMORY),
    _Rule("crash", kernel.CRASH),
    _Rule("space", makedumpfile.NO_SPACE),
    _Rule("network", _NETWORK),
    _Rule("device", _NO_DEVICE),
    _Rule("device", _LOCKED),
    _Rule("mount", _NOT_MOUNTED),
    _Rule("killed", kernel.SEGFAULT),
    _Rule("killed", _KILLED),
    _Rule("killed", _SIGNAL),
    _Rule("memory", kernel.NO_PAGES),
    _Rule("makedumpfile", makedumpfile.CANNOT),
    _Rule("makedumpfile", makedumpfile.FAILED),
    _Rule("failed", _FAILED),
)
# "Can't open …" may be another program's: it counts only when makedumpfile says that it failed
_CANNOT, _FAILED_TOO = (
    next(rank for rank, rule in enumerate(_RULES) if rule.form is form)
    for form in (makedumpfile.CANNOT, makedumpfile.FAILED)
)
_PROGRESS = regex(r"Copying data +: \[ {0,3}(?P<percent>\d{1,3}(?:\.\d{1,3})?) ?%\]")


def capture(blocks: Iterable[bytes], *, first: int = 1, whole: bool = True, console: bool = False) -> Optional[Capture]:
    """The capture kernel's log in ``blocks``; None when they hold none.

    Its lines are numbered from ``first`` on, if it is ``whole``. ``console``: other boots may come first; the last of a
    capture kernel counts.
    """
    reader: Optional[_Reader] = None if console else _Reader()
    last = reader
    banner: Optional[int] = None
    for number, line in enumerate(_lines(blocks), first):
        if console and kernel.BANNER in line:
            reader, banner = None, number
        elif banner is not None and number - banner < _HEAD and kernel.begins(line):
            reader = last = _Reader()
            banner = None
        if reader is not None:
            reader.read(line, number if whole else None)
    return last.result(console=console) if last is not None else None


def creation(text: str) -> Optional[Creation]:
    """The outcome and time in vmcore-creation.status, ``success 1732612345`` (kdump-utils since 2024-11), or None."""
    match = re.match(r"\s*(?P<outcome>success|fail|manual|clear)\b(?:[^\d\n]{0,80}(?P<time>\d{9,11})\b)?", text)
    if match is None:
        return None
    outcome: Outcome = match["outcome"]  # type: ignore[assignment]  # the form allows no other word
    return Creation(outcome, int(match["time"]) if match["time"] else None)


class _Reader:
    """Keeps, of the lines of one boot, the first that fits each rule."""

    def __init__(self) -> None:
        self._first: Dict[int, Tuple[Said, Optional[str]]] = {}
        self._driver: Optional[Said] = None
        self._firmware: Optional[str] = None
        self._memory: Optional[int] = None
        self._used: Optional[int] = None
        self._percent: Optional[float] = None
        self._begun: Optional[Said] = None
        self._last: Optional[Said] = None
        self._saved = self._ended = self._fadump = False

    def read(self, line: str, number: Optional[int]) -> None:
        if not line.strip():
            return
        said = self._last = Said(_LOGGER.sub("", line.strip(), count=1)[:_SHOWN], number)
        for rank, rule in enumerate(_RULES):
            if rank not in self._first:
                match = rule.form.search(line)
                if match is not None:
                    self._first[rank] = (said, _subject(match))
        self._saved = self._saved or bool(_SAVED.search(line))
        if self._begun is None and _BEGUN.search(line):
            self._begun = said
        self._ended = self._ended or bool(_ENDED.search(line))
        self._fadump = self._fadump or kernel.FADUMP in line
        match = kernel.MEMORY.search(line)
        if match is not None and int(match["total"]) > int(match["absent"] or 0):
            self._memory = (int(match["total"]) - int(match["absent"] or 0)) << 10
        match = kernel.RESIDENT.search(line)
        if match is not None and self._used is None:
            self._used = int(match["used"]) << 10
        for match in _PROGRESS.finditer(line):
            self._percent = min(float(match["percent"]), 100.0)
        if self._driver is None:
            self._look_for_driver(line, said)

    def _look_for_driver(self, line: str, said: Said) -> None:
        match = kernel.FIRMWARE.search(line)
        if match is not None and not kernel.OPTIONAL_FIRMWARE.search(match["subject"]):
            self._driver, self._firmware = said, match["subject"]
        elif kernel.DRIVER.search(line):
            self._driver = said

    def result(self, *, console: bool) -> Capture:
        cause: Optional[Cause] = None
        said: Optional[Said] = None
        subject: Optional[str] = None
        fitting = set(self._first) - ({_CANNOT} if _FAILED_TOO not in self._first else set())
        if not self._saved and fitting:
            rank = min(fitting)
            cause, (said, subject) = _RULES[rank].cause, self._first[rank]
        elif not self._saved and (self._begun or (console and not self._ended)):
            cause, said = "cut", self._begun or self._last
        return Capture(
            cause,
            said,
            subject,
            driver=self._driver,
            firmware=self._firmware,
            saved=self._saved,
            memory=self._memory,
            used=self._used if cause == "memory" else None,
            percent=self._percent,
            fadump=self._fadump,
        )


def _subject(match: "Match[str]") -> Optional[str]:
    """The text of the group that matched, as a path where systemd wrote the name of a unit; None without one."""
    found = next((value for value in match.groupdict().values() if value), None)
    if found is None or not found.startswith("dev-"):
        return found
    path = found[: -len(".device")] if found.endswith(".device") else found
    # dev-disk-by\x2duuid-0b1c: systemd-escape(1)
    return re.sub(r"\\x([0-7][0-9a-f])", lambda one: chr(int(one[1], 16)), "/" + path.replace("-", "/"))


def _lines(blocks: Iterable[bytes]) -> Iterable[str]:
    """The lines; makedumpfile's progress, which goes back to the start of its line, is split at that."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield from _shown(line)
        rest = rest[:_LONGEST]
    yield from _shown(rest)


def _shown(line: bytes) -> List[str]:
    return [line[-_LONGEST:].decode("utf-8", "backslashreplace").replace("\r", " ").replace("\0", "").rstrip()]
