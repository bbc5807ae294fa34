"""The output of makedumpfile: the kernel in a vmcore (VMCOREINFO), and the reason why it cannot read one.

``makedumpfile -D --dump-dmesg VMCORE FILE`` (1.7.2, on standard output; the same since 1.3)::

      status           : 2
    VMCOREINFO   :
      OSRELEASE=6.1.0-47-cloud-amd64
      BUILD-ID=4f61d8f6405b1c6eed15a7a3e2e27067394202d3
      KERNELOFFSET=16200000
"""

import re
from typing import NamedTuple, Optional

from kdumpwrap.host.release import known
from kdumpwrap.regex import regex

_FIELD = regex(r"^ *(?P<name>OSRELEASE|BUILD-ID|KERNELOFFSET)=(?P<value>[!-~]{1,200})$", re.M | re.A)
_STATUS = regex(r"^ *status +: (?P<flags>\d{1,9})$", re.M | re.A)
_HEX = regex(r"[0-9a-f]{1,16}", re.A)
_INCOMPLETE = 8  # DUMP_DH_COMPRESSED_INCOMPLETE: makedumpfile ran out of room while it wrote

# parts of the messages of 1.7.2, and their meaning
_CAUSES = (
    # readpage_kdump_compressed: Can't read cut50. No such file or directory
    ("readpage_", "cut off"),
    # __read_disk_dump_header: Can't read a file(empty). No such file or directory
    ("Can't read a file", "cut off"),
    # check_elf_format: Can't get valid ehdr.
    ("Can't get valid ehdr", "not a vmcore"),
    # dump_dmesg: Can't find some symbols for log_buf.
    ("Can't find some symbols for log_buf", "without VMCOREINFO: not the dump of a kernel"),
    # write_cache_bufsz: Can't write the dump file(…). No space left on device
    ("No space left on device", "no room for its log"),
)


# messages of makedumpfile 1.5 to 1.7.9 in the capture kernel, while it writes
# Can't write the dump file(/kdumproot/var/crash/…/vmcore-incomplete). No space left on device
# dd: error writing '/var/crash/…/vmcore-incomplete': No space left on device
NO_SPACE = regex(r"(?:file\((?P<subject>[^()]{1,200})\)\. |: )(?:No space left on device|Disk quota exceeded)")
# Can't write the bitmap(/tmp/kdump_bitmapXkAh9f). No space left on device      /tmp lies in the capture kernel's memory
# Can't allocate memory for the 2nd bitmap. Cannot allocate memory              kdump.sh: fork: Cannot allocate memory
NO_MEMORY = regex(
    r"Can't write the bitmap\(/tmp/[^()]{1,200}\)\. No space left|\bCan(?:no|')t allocate memory\b|std::bad_alloc"
)
# readpage_elf: Can't read the dump memory(/proc/vmcore). Input/output error    Can't open the dump file(…). Read-only …
CANNOT = regex(r"(?:^|: )Can(?:'t|not) (?:read|write|open|seek|get|find|map|parse|convert|create|mmap|resize|reopen)\b")
FAILED = regex(r"\bmakedumpfile Failed\.|: makedumpfile failed, falling back to ")


class Vmcoreinfo(NamedTuple):
    """The kernel's VMCOREINFO note."""

    release: Optional[str] = None
    build_id: Optional[str] = None  # kernels since 5.9
    kaslr_offset: Optional[int] = None
    incomplete: bool = False  # makedumpfile itself marked the dump so when it wrote it


def parse(text: str) -> Vmcoreinfo:
    """VMCOREINFO and the header's flags, as far as ``text`` holds them."""
    fields = {match["name"]: match["value"] for match in _FIELD.finditer(text)}
    offset = fields.get("KERNELOFFSET", "")
    status = _STATUS.search(text)
    return Vmcoreinfo(
        known(fields.get("OSRELEASE")),
        fields.get("BUILD-ID"),
        int(offset, 16) if _HEX.fullmatch(offset) else None,
        status is not None and bool(int(status["flags"]) & _INCOMPLETE),
    )


def completed(text: str) -> bool:
    """Whether makedumpfile printed that it completed."""
    return "makedumpfile Completed." in text


def cause(text: str) -> str:
    """The reason why makedumpfile failed, in a few words: by a known message, else its own first one."""
    for message, meaning in _CAUSES:
        if message in text:
            return meaning
    lines = [line.strip() for line in text.splitlines() if ": " in line]
    return f"makedumpfile says {lines[0]}" if lines else "makedumpfile failed"
