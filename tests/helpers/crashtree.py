"""A crash server's tree made from the real logs of two kernels: other hosts, times, processes, addresses, same bugs.

Used by the tests of batch and by scripts/bench, which runs ``crashtree.py LAB COUNT OUT``.
"""

import fcntl
import os
import random
import re
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

SIZE = 140_000  # bytes of log, as the host of the manual workflow had

_BEGINS = re.compile(
    r"^\[ *\d+\.\d+\] (?=.*(BUG|WARNING: |Kernel panic|divide error|general protection|cut here|soft lockup))", re.M
)
_TIME = re.compile(r"^\[ *(\d+)\.(\d{6})\]", re.M)
_PID = re.compile(r"(?<=PID: )\d+|(?<=\w:)\d+(?=\]$)", re.M)
_TEXT = re.compile(r"\b[f]{8}[89ab][0-9a-f]{7}\b")  # the kernel's image, where KASLR put it
_DATA = re.compile(r"\bffff[89a-e][0-9a-f]{11}\b")  # direct map, vmalloc, stacks
_MODULE = re.compile(r"\b[f]{8}c[0-9a-f]{7}\b")
_MASK = (1 << 64) - 1

# what a server's boot log is full of
_CHATTER = (
    "pci 0000:{a:02x}:{b:02x}.0: [8086:{c:04x}] type 00 class 0x060400",
    "pci 0000:{a:02x}:{b:02x}.0: reg 0x10: [mem 0x{d:08x}-0x{d:08x} 64bit pref]",
    "ACPI: PCI Interrupt Link [LNK{a}] (IRQs {b} 5 *10 11)",
    "systemd[1]: Started Session {c} of user root.",
    "sd {a}:0:{b}:0: [sdb] {d} 512-byte logical blocks: (2.00 TB/1.81 TiB)",
    "IPv6: ADDRCONF(NETDEV_CHANGE): eth{a}: link becomes ready",
    "audit: type=1130 audit({d}.{c}:{b}): pid=1 uid=0 auid=4294967295 ses=4294967295 msg='unit=crond comm=\"systemd\"'",
    "i40e 0000:{a:02x}:00.{b}: eth{b} NIC Link is Up, 25 Gbps Full Duplex, Flow Control: None",
    "EXT4-fs (dm-{a}): mounted filesystem with ordered data mode. Opts: (null)",
    "nf_conntrack: default automatic helper assignment has been turned off for security reasons ({c})",
)


class Kernels(NamedTuple):
    """A tree like a CentOS host's with two kernels, and the lab of each."""

    root: Path
    labs: Sequence[Path]  # each with the crashes of its kernel, the same cases
    releases: Sequence[str]


def kernels(lab: Path) -> Kernels:
    """The lab's kernel and that of LAB/second as one tree, LAB/both: with the vendor's modules and their debuginfo."""
    labs = (lab, lab / "second")
    if not (labs[1] / "release").exists():
        from conftest import without_lab  # which a benchmark does without

        without_lab(f"there is no second build in {lab} (scripts/crashlab --second-kernel makes one)")
    both = lab / "both"
    both.mkdir(exist_ok=True)
    with (both / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run side by side want it once
        for one in labs:
            for modules in ("usr/lib/debug/lib/modules", "lib/modules"):
                source, copy = (root / modules / _release(one) for root in (one / "root", both))
                key = one / "module/xxxwan.debug.ko"
                linked = copy / "extra/xxxwan.ko.debug"
                if not (linked.exists() and linked.samefile(key)):
                    shutil.rmtree(copy, ignore_errors=True)
                    shutil.copytree(source, copy, copy_function=os.link, symlinks=True)
                    linked.parent.mkdir(exist_ok=True)
                    os.link(key, linked)
    return Kernels(both, labs, tuple(map(_release, labs)))


def _release(lab: Path) -> str:
    return (lab / "release").read_text().strip()


def logs(lab: Path) -> Dict[str, Path]:
    """The real log of each case."""
    rows = (row.split("\t") for row in (lab / "crashes.tsv").read_text().splitlines())
    return {row[0]: lab / "root/var/crash" / row[1] / "vmcore-dmesg.txt" for row in rows}


def grow(
    root: Path, labs: Sequence[Path], count: int, *, hosts: int = 100, size: int = SIZE, seed: int = 1
) -> Dict[str, str]:
    """``count`` crash directories in ``root``, each with a vmcore-dmesg.txt; the case of each directory's name.

    The cases come in turn, each from the ``labs`` in turn.
    """
    random.seed(seed)
    root.mkdir(parents=True, exist_ok=True)
    bases = [{case: _Base(log.read_text("utf-8", "replace"), size) for case, log in logs(lab).items()} for lab in labs]
    cases = list(bases[0])
    made: Dict[str, str] = {}
    when = datetime(2024, 1, 1)
    for number in range(count):
        case, base = cases[number % len(cases)], bases[number // len(cases) % len(labs)]
        when += timedelta(seconds=random.randint(1, 600))
        host = number % hosts
        name = f"10.{host // 256}.{host % 256}.7-{when:%Y-%m-%d-%H:%M:%S}"
        (root / name).mkdir()
        (root / name / "vmcore-dmesg.txt").write_text(base[case].another())
        made[name] = case
    return made


class _Base:
    """One real log: what comes before its first report, made as long as a server's, and the rest."""

    def __init__(self, text: str, size: int) -> None:
        begin = _BEGINS.search(text)
        cut = begin.start() if begin else len(text)
        boot, self._reports = text[:cut], text[cut:]
        last = _TIME.findall(boot)[-1]
        lines: List[str] = []
        missing = size - len(text)
        while missing > 0:
            words = {key: random.randrange(1, top) for key, top in (("a", 99), ("b", 31), ("c", 9999), ("d", 1 << 31))}
            line = f"[{int(last[0]):5}.{last[1]}] {random.choice(_CHATTER).format(**words)}\n"
            lines.append(line)
            missing -= len(line)
        self._boot = boot + "".join(lines)

    def another(self) -> str:
        """The same bug at another time, in another process, on a host where KASLR chose otherwise."""
        later, pid = random.randrange(100_000), random.randrange(300, 99_999)
        image, data, module = (random.randrange(1, 60) << shift for shift in (21, 30, 12))
        text = self._reports
        text = _TIME.sub(lambda found: f"[{int(found[1]) + later:5}.{found[2]}]", text)
        text = _PID.sub(lambda found: str(pid) if int(found[0]) > 1 else found[0], text)
        for addresses, slide in ((_TEXT, image), (_DATA, data), (_MODULE, module)):
            text = addresses.sub(lambda found, slide=slide: _moved(found[0], slide), text)  # type: ignore[misc]
        return self._boot + text


def _moved(address: str, slide: int) -> str:
    return f"{(int(address, 16) + slide) & _MASK:016x}"


if __name__ == "__main__":
    LAB, COUNT, OUT = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    grow(OUT, kernels(LAB).labs, COUNT)
