"""``--redact``: stand-ins (``host-1``, ``ip-1``, ``mac-1``) for names and addresses, the same in all outputs (pure).

Modules, symbols, lines and signatures stay; tasks and pointers stay unless ``ALSO`` is asked for. No list of patterns
is complete: ``Redactor.said`` says so.
"""

import html
import ipaddress
import re
from typing import Callable, Collection, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from kdumpwrap.log import private
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.log import Report
from kdumpwrap.regex import regex

ALSO = ("pointers", "names")  # what is replaced on request only

_TITLES = {
    "host": "host names",
    "ip": "IP addresses",
    "mac": "MAC addresses",
    "user": "users",
    "serial": "serials",
    "key": "fingerprints of keys",
    "wwn": "WWNs",
    "target": "iSCSI and NVMe names",
    "uuid": "UUIDs",
    "ptr": "pointers",
    "task": "tasks",
}
_STAND_IN = regex(rf"(?<![a-z])(?:{'|'.join(_TITLES)})-\d+(?![\w-])")
_NO_ONE = frozenset(
    "root nobody daemon bin sys kernel null true false localhost none localdomain localhost.localdomain linux".split()
)
# directories of the kernel's tree and other common words: a name among them is replaced only where a name must be
_WORDS = frozenset(
    "arch block certs crypto drivers fs include init io_uring ipc kernel lib mm net rust samples scripts security "
    "sound tools usr virt asm uapi module modules cpu task irq bug warning code call trace host user ip mac "
    "www mail smtp imap proxy ldap dns ntp vpn nfs ftp git server client gateway router local default domain unknown "
    "not set the to data system os main boot disk app storage backup".split()
)

_KEY = regex(r"\"(?P<key>\w{1,40})\": |/0x[0-9a-f]{1,16} \[(?P<module>[\w-]{1,64})")
_BLOCK = regex(r"</?(?:div|p|li|tr|td|th|pre|i|h\d|br|title|summary)\b[^<>]{0,200}>")
_MARKUP = regex(
    r"<(style|script)\b(?![^>]*application/json)[^>]*>.*?</\1>|</?[a-z][a-z0-9]*|(?<=[ \"])[a-z-]+=(?=\")|"
    r"(?:class|id|for|href)=\"[^\"]*\"|&\w+;",
    re.S,
)
_PUBLIC = regex(
    r"(?:^|\.)(?:kernel|redhat|centos|fedoraproject|debian|ubuntu|canonical|suse|opensuse|intel|gnu|github|infradead)"
    r"\.(?:com|org)$"
)
_HOST_OF_DOMAIN = regex(r"[\w-]{3,}\.(?!(?:com?|org|net|ac|gov|edu)\.)[\w-]+\.")  # db7.acme.com, not acme.co.uk
_ESCAPED = regex(r"\\([^\w\s])")  # escapes of JSON and of Markdown
_LOOPBACK = regex(r"127\.|0\.0\.0\.0$|255\.|::1?$")  # 255. is a netmask


def _tasks(report: Report) -> Iterator[Optional[str]]:
    """The names of all tasks in ``report``."""
    yield report.comm
    yield from (lock.comm for lock in report.locks)
    yield from (task.comm for task in (report.memory.tasks if report.memory is not None else ()))
    if report.blocker is not None:
        yield report.blocker.comm


class Redactor:
    """Replaces values by stand-ins. The same value gets the same stand-in in every text."""

    def __init__(self, also: Collection[str] = (), hosts: Iterable[str] = ()) -> None:
        """``also``: words of ALSO; ``hosts``: names of hosts that are known beforehand."""
        self._also = frozenset(also)
        self._keep: Set[str] = {*_WORDS}
        self._numbers: Dict[str, int] = {}  # last number of each kind
        self._known: Dict[Tuple[str, str], str] = {}
        self._names: Dict[str, str] = {}  # names of hosts, users and tasks, replaced everywhere
        self.counts: Dict[str, int] = {}  # replacements of each kind
        self.hosts(hosts)

    def hosts(self, names: Iterable[str]) -> None:
        """Add names of hosts."""
        for name in names:
            self._learn("host", name)

    def tasks(self, names: Iterable[str]) -> None:
        """Add names of tasks."""
        for name in names if "names" in self._also else ():
            self._learn("task", name)

    def crash(self, analysis: Analysis) -> None:
        """Learn the names in ``analysis``: host and tasks, to be replaced; symbols and modules, to be kept."""
        reports = [finding.report for finding in analysis.findings]
        frames = [frame for finding in analysis.findings for frame in finding.resolution.frames]
        words = {one for frame in frames for one in (frame.symbol, frame.module, frame.function)}
        words |= {place.function for frame in frames for place in frame.locations}
        words |= {module.name for report in reports for module in report.modules}
        words |= {analysis.kernel.release, analysis.kernel.arch}
        comms = {comm for report in reports for comm in _tasks(report) if comm}
        self._keep.update(word.lower() for word in words | (set() if "names" in self._also else comms) if word)
        if analysis.crash.host is not None:
            self.hosts([analysis.crash.host])
        capture = analysis.capture
        if capture is not None and capture.cause == "network" and capture.subject is not None:
            self.hosts([capture.subject.partition(":")[0]])
        self.tasks(sorted(comms))
        for report in reports:  # known by its place behind "Hardware name:"; it may stand elsewhere too
            for match in private.SERIAL_IN_NAME.finditer(report.hardware or ""):
                self._learn("serial", match["secret"])

    def text(self, text: str) -> str:
        """``text`` with stand-ins. A second redaction of the result changes nothing."""
        for reading in _readings(text):
            self._learn_names(reading)
        text = self._each(private.QUALIFIED, "target", text)
        text = self._each(private.UUID, "uuid", text)
        text = self._each(private.KEY, "key", text)
        text = private.MACS.sub(self._macs, text)
        text = self._each(private.WWN, "wwn", text)
        text = self._each(private.MAC, "mac", text)
        text = self._each(private.IPV4_IN_IPV6, "ip", text, _is_address)
        text = self._each(private.IPV4, "ip", text, _is_address)
        text = self._each(private.IPV6, "ip", text, _is_address)
        text = self._each(private.SERIAL, "serial", text)
        text = private.HARDWARE.sub(lambda found: self._each(private.SERIAL_IN_NAME, "serial", found[0]), text)
        text = self._named(text)
        if "pointers" in self._also:
            text = self._each(private.POINTER, "ptr", text, _is_pointer)
        return text

    def said(self) -> str:
        """A sentence: the number of replacements, and a warning that some may be missing."""
        found = [f"{_TITLES[kind]}: {count}" for kind, count in self.counts.items()]
        done = f"redacted {', '.join(found)}" if found else "found nothing to redact"
        return f"{done}; it cannot be complete: look through it before you hand it on"

    def _learn_names(self, text: str) -> None:
        for kind, patterns in (("host", private.HOSTS), ("user", private.USERS)):
            for pattern in patterns:
                for match in pattern.finditer(text):
                    self._learn(kind, _secret(match)[0])
        if "names" in self._also:
            for pattern in private.TASKS:
                self.tasks(_secret(match)[0] for match in pattern.finditer(text))

    def _learn(self, kind: str, name: str) -> None:
        name = name.rstrip(".-")
        folded = name.lower()
        if len(name) < 2 or name.isdigit() or _STAND_IN.search(folded) or _is_ip(name):
            return
        if kind == "task" and private.THREADS.fullmatch(name):
            return
        if kind != "task" and (
            folded in self._keep or folded in _NO_ONE or (kind == "host" and _PUBLIC.search(folded))
        ):
            return
        if kind == "host" and _HOST_OF_DOMAIN.match(folded):
            self._learn(kind, folded.partition(".")[0])
        if folded not in self._names:
            whole = folded.partition(".")[0]
            other = self._names.get(whole) or next(
                (made for known, made in self._names.items() if known.startswith(f"{folded}.")), None
            )
            same = other if kind == "host" and other is not None and other.startswith("host-") else None
            self._names[folded] = same or self._stand_in(kind, folded)

    def _named(self, text: str) -> str:
        """``text`` with names replaced: everywhere, but words of the kernel or of markup only where a name must be."""
        kept = _vocabulary(text)
        for kind, patterns in (("host", private.HOSTS), ("user", private.USERS)):
            for pattern in patterns:
                text = self._each(pattern, kind, text, lambda name: name.lower() in self._keep | kept)
        folded = _alike(text)
        alike = {_alike(name): made for name, made in self._names.items()}
        names = [name for name in self._names if _alike(name) in folded and name not in kept]
        if not names:
            return text
        longest = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)).replace("\\-", "--?")
        begin = rf"(?:{private.WORD}|{private.IN_VOLUME})"
        pattern = regex(rf"{begin}(?P<secret>(?i:{longest}))(?!\w|\+0x|\\_|\.[chS](?!\w))")

        def other(match: "re.Match[str]") -> str:
            made = self._names.get(match[0].lower()) or alike.get(_alike(match[0]))
            if made is None:
                return match[0]
            self._count(made.rpartition("-")[0])
            return made

        return pattern.sub(other, text)

    def _each(
        self, pattern: "re.Pattern[str]", kind: str, text: str, fits: Optional[Callable[[str], bool]] = None
    ) -> str:
        def other(match: "re.Match[str]") -> str:
            secret, start, stop = _secret(match)
            if _STAND_IN.search(secret.lower()) or (fits is not None and not fits(secret)):
                return match[0]
            self._count(kind)
            begin = match.start()
            return match[0][: start - begin] + self._stand_in(kind, _plain(kind, secret)) + match[0][stop - begin :]

        return pattern.sub(other, text)

    def _stand_in(self, kind: str, value: str) -> str:
        if (kind, value) not in self._known:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            self._known[kind, value] = f"{kind}-{self._numbers[kind]}"
        return self._known[kind, value]

    def _macs(self, match: "re.Match[str]") -> str:
        self.counts["mac"] = self.counts.get("mac", 0) + 2
        return ":".join(self._stand_in("mac", _plain("mac", value)) for value in match.groups())

    def _count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1


def _secret(match: "re.Match[str]") -> Tuple[str, int, int]:
    """The text, start and end of the named group that matched, other than "mark"."""
    name = next(name for name, value in match.groupdict().items() if value is not None and name != "mark")
    return match[name], match.start(name), match.end(name)


def _plain(kind: str, secret: str) -> str:
    """The canonical form of an address or number: the same for all its spellings."""
    if kind == "ip":
        return str(ipaddress.ip_address(secret))
    if kind in ("mac", "wwn", "uuid", "ptr"):
        digits = re.sub(r"[:.-]", "", secret.lower())
        return digits[2:] if digits.startswith("0x") else digits
    return secret.lower()


def _alike(text: str) -> str:
    """What is the same for all spellings of a name: the device mapper doubles a dash, rhel_db--7-root."""
    return re.sub("--+", "-", text.casefold())


def _readings(text: str) -> Iterator[str]:
    """The forms of ``text`` to look for names in: with and without escapes; of an HTML page, its plain text alone."""
    if _is_page(text):
        yield html.unescape(re.sub(r"<[^<>]{0,200}>", "", _BLOCK.sub("\n", text)))
        return
    yield text
    if "\\" in text:
        yield _ESCAPED.sub(r"\1", text).replace("\\n", "\n").replace("`@`", "@")


def _is_page(text: str) -> bool:
    return text[:16].lower().startswith("<!doctype html")


def _vocabulary(text: str) -> Set[str]:
    """The words of ``text`` that a program reads: JSON's keys, modules; HTML's tags, attributes, styles and scripts."""
    if not _is_page(text):
        return {_secret(match)[0].lower() for match in _KEY.finditer(text)}
    return {word.lower() for match in _MARKUP.finditer(text) for word in re.findall(r"\w[\w.-]*", match[0])}


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    """Whether ``text`` is the IP address of a host: not loopback, unspecified or a netmask."""
    return _is_ip(text) and not _LOOPBACK.match(text) and any(map(str.isdigit, text))


def _is_pointer(text: str) -> bool:
    """Whether a hexadecimal number may be a pointer: of 16 digits, from 1 << 40 to the last 4096 (error numbers).

    A shorter number may be one: its pattern found it marked as a pointer.
    """
    digits = text[2:] if text.startswith("0x") else text
    return len(digits) < 16 or 1 << 40 <= int(digits, 16) < (1 << 64) - 4096


def parse(value: Optional[str]) -> Optional[Set[str]]:
    """The words of ALSO that ``--redact=value`` asks for; None when a word is not among them."""
    words: List[str] = [word for word in (value or "").split(",") if word]
    return set(words) if all(word in ALSO for word in words) else None
