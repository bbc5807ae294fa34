"""``--redact``: stand-ins (``host-1``, ``ip-1``, ``mac-1``) for names and addresses, the same in all outputs (pure).

Names of tasks, modules and symbols, lines and signatures stay. No list of patterns is complete: see ``Redactor.said``.
"""

import ipaddress
import re
from typing import Callable, Collection, Dict, Iterable, List, Optional, Set, Tuple

from kdumpwrap.model.finding import Analysis

ALSO = ("pointers", "names")  # what is replaced on request only

_TITLES = {
    "host": "host names",
    "ip": "IP addresses",
    "mac": "MAC addresses",
    "user": "users",
    "serial": "serials",
    "wwn": "WWNs",
    "uuid": "UUIDs",
    "ptr": "pointers",
    "task": "tasks",
}
_STAND_IN = re.compile(rf"(?:{'|'.join(_TITLES)})-\d+")
_NO_ONE = frozenset(
    "root nobody daemon bin sys kernel null true false localhost none localdomain localhost.localdomain linux".split()
)
# directories at the top of the kernel's tree and other words that a name may be and that mean something else
_WORDS = frozenset(
    "arch block certs crypto drivers fs include init io_uring ipc kernel lib mm net rust samples scripts security "
    "sound tools usr virt asm uapi module modules cpu task irq bug warning code call trace host user ip mac".split()
)

# where a word begins: behind JSON's "\n" and a terminal's colours too
_B = r"(?:(?<!\w)|(?<=\\[nrt])|(?<=\x1b\[\dm)|(?<=\x1b\[\d\dm)|(?<=\x1b\[\d;\d\dm))"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = (
    rf"(?:{_MONTH}\s{{1,2}}\d{{1,2}}\s\d\d:\d\d:\d\d(?:\.\d{{1,9}})?|"
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
)
_NAME = r"[A-Za-z0-9][\w.-]{0,62}"
_HEX = r"[0-9A-Fa-f]"

# each has a group "secret"
_UUID = re.compile(
    rf"{_B}(?P<secret>{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})(?!\w)|"
    rf"(?<=UUID=)(?P<short>[0-9A-Fa-f]{{4,8}}-[0-9A-Fa-f]{{2,4}})(?!\w)|"
    rf"machine[_-]id[=: ]{{1,2}}(?P<machine>{_HEX}{{32}})(?!\w)"
)
# naa.600508b1001c1234  wwn-0x5000c500a1b2c3d4  WWPN: 21:00:00:24:ff:12:34:56  3600508b1001c123456789abcdef01234
_WWN = re.compile(
    rf"{_B}(?:(?:naa|eui|t10)\.|wwn-0x|(?:scsi|mpath|dm-uuid-mpath)-(?=3))(?P<secret>{_HEX}{{16,33}})(?!\w)|"
    rf"{_B}(?:[Ww][Ww][PpNn]?[Nn](?:ame)?|node_name|port_name)\W{{1,4}}(?:0x)?(?P<named>{_HEX}{{16}}|{_HEX}{{32}})(?!\w)|"
    rf"{_B}(?P<colons>{_HEX}{{2}}(?::{_HEX}{{2}}){{7}})(?![\w:])|"
    rf"{_B}(?P<lun>3[0-9a-f]{{32}}|36[0-9a-f]{{15}})(?!\w)"
)
_MAC = re.compile(
    rf"{_B}(?<!:)(?P<secret>{_HEX}{{2}}(?P<mark>[:-]){_HEX}{{2}}(?:(?P=mark){_HEX}{{2}}){{4}})(?![\w:]|-{_HEX}{{2}}\b)"
)
# MAC=00:1a:2b:3c:4d:5e:66:77:88:99:aa:bb:08:00: of both ends, and the type, as netfilter logs a packet
_MACS = re.compile(
    rf"(?<=MAC=)(?P<one>{_HEX}{{2}}(?::{_HEX}{{2}}){{5}}):(?P<other>{_HEX}{{2}}(?::{_HEX}{{2}}){{5}})(?=:)"
)
_IPV6 = re.compile(
    rf"(?:(?<![\w:.])|(?<=\\[nrt]))(?P<secret>(?:{_HEX}{{0,4}}:){{2,7}}(?:{_HEX}{{1,4}}|(?<=::)))(?![\w:])"
)
_IPV4 = re.compile(
    r"(?:(?<![\w.+-])|(?<=\\[nrt])|(?<=::ffff:))(?<!ersion )(?P<secret>(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}"
    r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))(?!\w|\.\d|-\d+\.)"
)
_SERIAL = re.compile(
    rf"{_B}(?i:serial(?:[ _]?(?:number|num|no\.?))?|s/n|sn|asset(?:[ _]?tag)?|service[ _]?tag|chassis[ _]serial)"
    r"(?:\s{0,2}[:=#]\s{0,2}|\s)(?P<secret>(?=[\w-]{0,40}\d)(?=[\w-]{0,40}[A-Za-z]|\d{7})[A-Za-z0-9][\w-]{3,40})(?!\w)"
)
_HARDWARE = re.compile(r"Hardware name: (?P<model>[^\n\\\"<]{1,200})")
_SERIAL_IN_NAME = re.compile(
    r"(?<![\w./-])(?<!BIOS )(?P<secret>(?=[A-Z0-9-]{0,30}[A-Z])(?=(?:[A-Z-]{0,30}\d){2})[A-Z0-9][A-Z0-9-]{6,30})"
    r"(?![\w./-])"
)
_USERS = (
    re.compile(rf"/(?:home|Users)/(?P<user>{_NAME})"),
    re.compile(rf"{_B}(?:USER|LOGNAME|SUDO_USER|user|acct|username)=\"?(?P<user>{_NAME})"),
    re.compile(
        rf"(?:opened|closed) for user (?P<user>{_NAME})|session \S{{1,12}} of user (?P<second>{_NAME}?)(?=\.?(?:\s|$))"
    ),
    re.compile(rf"(?:Accepted \w{{1,20}}|Failed password) for (?:invalid user )?(?P<user>{_NAME}) from"),
    re.compile(rf"{_B}sudo(?:\[\d{{1,9}}\])?: {{1,4}}(?P<user>{_NAME}) :"),
    re.compile(rf"{_B}(?P<user>[A-Za-z0-9][\w.+-]{{0,62}})@(?=[A-Za-z0-9][\w-]{{0,62}}(?:\.[\w-]|[)]))"),
)
_HOSTS = (
    re.compile(rf"{_B}{_DATE}[ \t]{{1,8}}(?P<host>{_NAME})[ ]{{1,2}}[\w./@()-]{{1,64}}(?:\[\d{{1,9}}\])?:"),
    re.compile(rf"[\w+-]@(?P<host>{_NAME}?)(?=\)|[\s>&\"',;]|\.?$)", re.M),
    re.compile(rf"{_B}(?P<host>{_NAME}) login: "),
    re.compile(rf"(?i:hostname|nodename|\"host\")\W{{1,4}}(?:to <|set to )?(?P<host>{_NAME})"),
    re.compile(rf"/(?P<host>{_NAME}?)-\d{{4}}-\d\d-\d\d-\d\d:\d\d"),
    re.compile(
        r"(?:(?<![\w./-])|(?<=//))(?P<host>(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}"
        r"(?:com|net|org|local|lan|internal|intranet|corp|home|localdomain|edu|gov|cn|de|uk|fr|jp|io|example|test))(?![\w-]|\.\w)"
    ),
)
_PUBLIC = re.compile(
    r"(?:^|\.)(?:kernel|redhat|centos|fedoraproject|debian|ubuntu|canonical|suse|opensuse|intel|gnu|github|infradead)"
    r"\.(?:com|org)$"
)
_POINTER = re.compile(
    rf"{_B}(?P<secret>(?:0x)?[0-9a-f]{{16}})(?!\w)|\[<(?P<short>[c-f][0-9a-f]{{7}})>\]|"
    r"(?i:(?:kernel|kaslr)[ _]offset\"?:? {0,2}\"?)(?P<slide>0x[0-9a-f]{1,16})(?!\w)"
)
_TASKS = (
    re.compile(r"Comm: (?P<task>[^\s\"<][^\"<\n]{0,30}?) (?:Not tainted|Tainted|Kdump:|\d)"),
    re.compile(r"\"comm\": \"(?P<task>[^\"]{1,30})\""),
    re.compile(r"task (?P<task>[^\s:]{1,30}):\d{1,9} blocked"),
)
_KEY = re.compile(r"\"(\w{1,40})\": ")
_MARKUP = re.compile(
    r"<(style|script)\b[^>]*>.*?</\1>|</?[a-z][a-z0-9]*|(?<=[ \"])[a-z-]+=(?=\")|"
    r"(?:class|id|for|href)=\"[^\"]*\"|&\w+;",
    re.S,
)
_LOOPBACK = re.compile(r"127\.|0\.0\.0\.0$|255\.255\.255\.255$|::1?$")


class Redactor:
    """Replaces, and remembers by what; the same value gets the same stand-in in every text."""

    def __init__(
        self,
        also: Collection[str] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        """``also``: of ALSO; ``hosts`` are known to be names of hosts."""
        self._also = frozenset(also)
        self._keep: Set[str] = {*_WORDS}
        self._numbers: Dict[str, int] = {}  # the last of each kind
        self._known: Dict[Tuple[str, str], str] = {}
        self._names: Dict[str, str] = {}  # of hosts, users and tasks: replaced wherever they stand
        self.counts: Dict[str, int] = {}  # how often something of each kind was replaced
        for host in hosts:
            self._learn("host", host)

    def tasks(self, names: Iterable[str]) -> None:
        """More names of tasks."""
        for name in names if "names" in self._also else ():
            self._learn("task", name)

    def crash(self, analysis: Analysis) -> None:
        """Learn what ``analysis`` knows: its host and tasks, and the words of the kernel, which stay."""
        reports = [finding.report for finding in analysis.findings]
        frames = [frame for finding in analysis.findings for frame in finding.resolution.frames]
        words = {one for frame in frames for one in (frame.symbol, frame.module, frame.function)}
        words |= {place.function for frame in frames for place in frame.locations}
        words |= {module.name for report in reports for module in report.modules}
        words |= {analysis.kernel.release, analysis.kernel.arch}
        comms = {report.comm for report in reports if report.comm}
        self._keep.update(word.lower() for word in words | (set() if "names" in self._also else comms) if word)
        if analysis.crash.host is not None:
            self._learn("host", analysis.crash.host)
        self.tasks(sorted(comms))

    def text(self, text: str) -> str:
        """``text`` with stand-ins; given again, it stays as it is."""
        self._learn_names(text)
        text = self._each(_UUID, "uuid", text)
        text = _MACS.sub(self._macs, text)
        text = self._each(_WWN, "wwn", text)
        text = self._each(_MAC, "mac", text)
        text = self._each(_IPV4, "ip", text, _is_address)
        text = self._each(_IPV6, "ip", text, _is_address)
        text = self._each(_SERIAL, "serial", text)
        text = _HARDWARE.sub(lambda found: self._each(_SERIAL_IN_NAME, "serial", found[0]), text)
        text = self._named(text)
        if "pointers" in self._also:
            text = self._each(_POINTER, "ptr", text, _is_pointer)
        return text

    def said(self) -> str:
        """A sentence: how much was replaced, and that it may not be all."""
        found = [f"{_TITLES[kind]}: {count}" for kind, count in self.counts.items()]
        return f"redacted {', '.join(found) or 'nothing'}; it cannot be complete: look through it before you hand it on"

    # ------------------------------------------------------------ names

    def _learn_names(self, text: str) -> None:
        for kind, patterns in (("host", _HOSTS), ("user", _USERS)):
            for pattern in patterns:
                for match in pattern.finditer(text):
                    self._learn(kind, _secret(match)[0])
        if "names" in self._also:
            for pattern in _TASKS:
                self.tasks(match["task"] for match in pattern.finditer(text))

    def _learn(self, kind: str, name: str) -> None:
        name = name.rstrip(".-")
        folded = name.lower()
        if len(name) < 2 or name.isdigit() or _STAND_IN.fullmatch(folded) or _is_ip(name):
            return
        if kind != "task" and (
            folded in self._keep or folded in _NO_ONE or (kind == "host" and _PUBLIC.search(folded))
        ):
            return
        if kind == "host" and "." in folded and len(folded.partition(".")[0]) > 2:
            self._learn(kind, folded.partition(".")[0])
        if folded not in self._names:
            whole = folded.partition(".")[0]
            other = self._names.get(whole) or next(
                (made for known, made in self._names.items() if known.startswith(f"{folded}.")), None
            )
            same = other if kind == "host" and other is not None and other.startswith("host-") else None
            self._names[folded] = same or self._stand_in(kind, folded)

    def _named(self, text: str) -> str:
        """Names replaced wherever they stand; those that are a word of the kernel or of markup where a name must be."""
        kept = _vocabulary(text)
        for kind, patterns in (("host", _HOSTS), ("user", _USERS)):
            for pattern in patterns:
                text = self._each(pattern, kind, text, lambda name: name.lower() in self._keep | kept)
        lower = text.lower()
        names = [name for name in self._names if name in lower and name not in kept]
        if not names:
            return text
        longest = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        pattern = re.compile(rf"{_B}(?P<secret>(?i:{longest}))(?!\w|\+0x)")

        def other(match: "re.Match[str]") -> str:
            made = self._names[match[0].lower()]
            self._count(made.rpartition("-")[0])
            return made

        return pattern.sub(other, text)

    # ------------------------------------------------------------ numbers

    def _each(
        self, pattern: "re.Pattern[str]", kind: str, text: str, fits: Optional[Callable[[str], bool]] = None
    ) -> str:
        def other(match: "re.Match[str]") -> str:
            secret, start, stop = _secret(match)
            if _STAND_IN.fullmatch(secret) or (fits is not None and not fits(secret)):
                return match[0]
            self._count(kind)
            secret = secret[2:] if kind == "ptr" and secret.startswith("0x") else secret
            begin = match.start()
            return match[0][: start - begin] + self._stand_in(kind, secret.lower()) + match[0][stop - begin :]

        return pattern.sub(other, text)

    def _stand_in(self, kind: str, value: str) -> str:
        if (kind, value) not in self._known:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            self._known[kind, value] = f"{kind}-{self._numbers[kind]}"
        return self._known[kind, value]

    def _macs(self, match: "re.Match[str]") -> str:
        self.counts["mac"] = self.counts.get("mac", 0) + 2
        return ":".join(self._stand_in("mac", value.lower()) for value in match.groups())

    def _count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1


def _secret(match: "re.Match[str]") -> Tuple[str, int, int]:
    """What a match is about, and where it stands: of its named groups, "mark" aside, the one that matched."""
    name = next(name for name, value in match.groupdict().items() if value is not None and name != "mark")
    return match[name], match.start(name), match.end(name)


def _vocabulary(text: str) -> Set[str]:
    """The words of ``text`` that a program reads: JSON's keys; HTML's tags, attributes, styles and scripts."""
    if not text[:16].lower().startswith("<!doctype html"):
        return {match[1].lower() for match in _KEY.finditer(text)}
    return {word.lower() for match in _MARKUP.finditer(text) for word in re.findall(r"\w[\w.-]*", match[0])}


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    """Whether it is an IP address of somebody in particular."""
    return _is_ip(text) and not _LOOPBACK.match(text) and any(map(str.isdigit, text))


def _is_pointer(text: str) -> bool:
    """Whether a number of 16 digits lies above any user's memory and is no error number; a shorter one was marked."""
    digits = text[2:] if text.startswith("0x") else text
    return len(digits) < 16 or 1 << 40 <= int(digits, 16) < (1 << 64) - 4096


def parse(value: Optional[str]) -> Optional[Set[str]]:
    """What ``--redact=value`` asks for beyond the usual; None for what is not known: see ALSO."""
    words: List[str] = [word for word in (value or "").split(",") if word]
    return set(words) if all(word in ALSO for word in words) else None
