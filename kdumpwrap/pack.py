"""``kdumpwrap pack``: the facts that another machine needs to analyse a crash, in one small file."""

import json
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from kdumpwrap import analyze, debuginfo, steps
from kdumpwrap.crashdir import crashfile, packed
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.log import Log
from kdumpwrap.octets import spaced
from kdumpwrap.tools import binutils
from kdumpwrap.vmcore import crashed, vmcorelog

# of the host that packs, as a rule the one that crashed: its kernel and tools
_FACTS = ("/proc/version", "/proc/cmdline", "/etc/os-release", "/proc/meminfo", "/sys/kernel/kexec_crash_size")
_FACT = 4096  # bytes of each


def pack(target: Optional[str], search: Search) -> Tuple[str, Crash, List[Problem]]:
    """The pack of the crash ``target``, and what it lacks. Raises KdumpwrapError when there is no crash, or no log."""
    crash, search = crashed.find(target, search)
    problems: List[Problem] = []
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-") as name:
        path = crash.dmesg
        if path is None:
            path = str(vmcorelog.extract(crash.vmcore or crash.path, search, Path(name)).log)
        elif path == "-":
            path = f"{name}/log"
            with Path(path).open("wb") as file:
                copied = crashfile.Copy(crashfile.blocks("-"), file)
                for _ in copied:
                    pass
            problems += [Problem(copied.cut)] if copied.cut else []
        log = analyze.read(Crash(path, dmesg=path), search)
        text, cut = _log(path, "standard input" if crash.dmesg == "-" else path)
        problems += [Problem(cut)] if cut else []
    if not log.reports:
        problems.append(steps.no_report(crash))
    index = log.subject
    code = log.reports[index].code if index is not None else None
    value = {
        "schema": packed.SCHEMA,
        "crash": {"path": crash.path, "host": crash.host, "time": crash.time},
        "kernel": {
            "release": log.release,
            "arch": log.arch,
            "build_id": log.build_id or search.build_id(),
            "kaslr_offset": None if log.kernel_offset is None else f"{log.kernel_offset:#x}",
        },
        "code": None if code is None else spaced(code.data),
        "modules": _modules(log, search),
        "facts": _facts(search.root),
        "log": text,
    }
    return json.dumps(value, ensure_ascii=True) + "\n", crash, problems


def _log(path: str, name: str) -> Tuple[str, str]:
    """The text of the log at ``path`` for a pack; of a log over packed.LOG bytes only the two ends, and a message."""
    data = b"".join(crashfile.blocks(path))
    if len(data) <= packed.LOG:
        return packed.text(data), ""
    half = packed.LOG // 2
    ends = data[:half] + b"\n" + data[-half:]
    return packed.text(ends), f"{name}: {len(data) >> 20} MB long, its two ends were packed"


def _modules(log: Log, search: Search) -> Dict[str, str]:
    """The build ids of the modules in the frames, by name: from the log, else from the files installed here."""
    named = log.build_ids
    found = debuginfo.modules(tuple(named), log.release, search)
    for name, build_id in named.items():
        named[name] = build_id or next(filter(None, map(_build_id, found[name])), None)
    return {name: build_id for name, build_id in named.items() if build_id is not None}


def _build_id(file: Path) -> Optional[str]:
    if debuginfo.is_compressed(file):
        return None
    try:
        elf = binutils.elf(binutils.toolset(None), file)
    except KdumpwrapError:
        return None
    return elf.build_id if elf else None


def _facts(root: Path) -> Dict[str, str]:
    host = Host(root)
    found = {}
    for path in _FACTS:
        try:
            text = host.text(path)
        except Denied:
            continue
        if text:
            found[path] = text[:_FACT]
    return found
