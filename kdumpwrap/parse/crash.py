"""The output of crash(8) 8.0.2. Any text gives a value; what is unknown is left out."""

import re
from dataclasses import replace
from typing import Dict, List, Optional, Tuple

from kdumpwrap.host.release import known
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.log import LoadedModule
from kdumpwrap.model.vmcore import Backtrace, BacktraceFrame, BlockedTask, LoadedAt, MemoryRow, SlabObject, System
from kdumpwrap.regex import regex

# crash 8.0.2
# crash 8.0.4-2.el9
_VERSION = regex(r"^crash (?P<version>\d+(?:\.\d+)+)", re.M)

# PID: 112      TASK: ffff8b6e9fe39800  CPU: 1    COMMAND: "ping"
_TASK = regex(
    r"""PID:\s+(?P<pid>\d+)\s+TASK:\s+(?P<task>[0-9a-f]+)\s+CPU:\s+(?P<cpu>\d+|-)\s+COMMAND:\s+"(?P<comm>.{0,80})"$""",
    re.X,
)
#  #7 [ffffd07cc00d0d58] send4+0x7a at ffffffffc028f0ea [xxxwan]
#  #7 [ffffd07cc00d0d58] send4 at ffffffffc028f0ea [xxxwan]
_FRAME = regex(
    r"""\s*\#(?P<number>\d+)\s+\[(?P<stack>[0-9a-f]+)\]\s
        (?P<symbol>[^\s+]+)(?:\+(?P<offset>0x[0-9a-f]+|\d+))?\sat\s(?P<address>[0-9a-f]+)
        (?:\s\[(?P<module>[^\]\s]+)\])?""",
    re.X,
)
#     [exception RIP: iptunnel_xmit+515]
#     [exception RIP: unknown or invalid address]
_EXCEPTION = regex(r"\s+\[exception [A-Z]+: (?P<symbol>[^\s+\]]+)\+(?P<offset>0x[0-9a-f]+|\d+)")
#     RIP: ffffffff97aa7103  RSP: ffffd07cc00d0cf8  RFLAGS: 00000286
_POINTER = regex(r"\s+(?:RIP|PC|NIP): (?P<address>[0-9a-f]{8,16})\b")
#     debian/build/build_amd64_none_cloud-amd64/net/core/dev.c: 5619
_LINE = regex(r"    (?P<file>[^\s:][^:]*): (?P<line>\d+)$")
# WARNING: possibly bogus exception frame
_BOGUS = "possibly bogus exception frame"
# --- <IRQ stack> ---
# --- <NMI exception stack> ---
_STACK = regex(r"--- <(?P<stack>[^>]*)> ---")

#       TASKS: 3
_FIELD = regex(r"\s*(?P<name>[A-Z][A-Z ]*): (?P<value>.*)")
#        PANIC: "Oops: 0000 [#1] PREEMPT SMP NOPTI" (check log for details)
_UPTIME = regex(r"(?:(\d{1,6}) days?, )?(\d{1,2}):(\d\d):(\d\d)")
_PANIC = regex(r'"(?P<text>.*)"')

#         FREE    71413       279 MB   90% of TOTAL MEM
#   TOTAL HUGE        0            0         ----
_MEMORY = regex(
    r"\s*(?P<name>[A-Z]+(?: [A-Z]+)?)\s+(?P<pages>\d+)\s+(?P<size>[\d.]+(?: [KMGT]B)?)\s+(?:(?P<percent>\d+)% of|----)"
)

# [0 00:00:11.992] [RU]  PID: 113      TASK: ffff8adcc1ef1800  CPU: 0    COMMAND: "xxxwan_poll"
_BLOCKED = regex(
    r"\[\s*(?P<days>\d+) (?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+\.\d+)\]"
    r"\s+\[(?P<state>[A-Z?]+)\]\s+(?P<task>PID:.*)"
)

# ffff8b6e812f9700      232         14        32      2     4k  skbuff_head_cache
_CACHE = regex(r"[0-9a-f]{8,16}\s+(?P<size>\d+)\s+\d+\s+\d+\s+\d+\s+\d+k\s+(?P<name>\S+)$")
#   [ffff8b6e98d8e100]
#    ffff8b6e98d8e200  (cpu 1 cache)
_OBJECT = regex(r"  (?:\[(?P<used>[0-9a-f]{8,16})\]| (?P<free>[0-9a-f]{8,16}))(?:\s|$)")

# xxxwan  OE
_TAINTED = regex(r"(?P<name>\w+)\s+(?P<flags>[A-Z]+)$")

# ffffffffc02910c0  xxxwan                 ffffffffc028f000  16384  (not loaded)  [CONFIG_KALLSYMS]
_LOADED = regex(r"[0-9a-f]{8,16}  (?P<name>\w+) +(?P<base>[0-9a-f]{8,16}) +(?P<size>\d+)\b")

# crash: bt: command not available in minimal mode
# WARNING: the option '-T' is not available in minimal mode
_UNAVAILABLE = regex(r"(?:crash: \S+: command|WARNING: the option '\S+' is) not available in minimal mode")

# crash: command not found: foo
# sys: invalid option -- 'x'
_REFUSAL = regex(r"(?:crash: (?P<unknown>command not found: .*)|\w+: (?P<option>invalid option -- .*))")


def refusal(text: str) -> Optional[str]:
    """``command not found: foo``, where this is crash's answer to a command or an option that it does not know."""
    match = _REFUSAL.match(text.lstrip())
    return (match["unknown"] or match["option"]).rstrip() if match else None


def unavailable(text: str) -> bool:
    """Whether this is crash's answer to a command that ``--minimal`` does not know."""
    return _UNAVAILABLE.match(text.lstrip()) is not None


def version(text: str) -> Optional[str]:
    """``8.0.2`` of ``crash --version``."""
    match = _VERSION.search(text)
    return match["version"] if match else None


def backtraces(text: str) -> Tuple[Backtrace, ...]:
    """Each task of ``bt``, ``bt -a`` or ``bt -a -s -l -x``.

    An exception's instruction pointer is a frame of its own, with the number of the frame above it, ``exact``, and with
    ``runtime`` its address. ``context`` is the stack: None for the first, then ``IRQ``, ``NMI exception`` …
    """
    found: List[Backtrace] = []
    task: Optional[Backtrace] = None
    frames: List[BacktraceFrame] = []
    warnings: List[str] = []
    context: Optional[str] = None

    def close() -> None:
        if task is not None:
            found.append(Backtrace(task.pid, task.task, task.cpu, task.comm, tuple(frames), tuple(warnings)))

    for line in text.splitlines():
        header = _TASK.match(line.rstrip())
        if header:
            close()
            task, frames, warnings, context = _task(header), [], [], None
            continue
        match = _FRAME.match(line)
        if match:
            frame = _frame(match, context)
            if frames and frames[-1].frame.exact and frames[-1].frame.runtime == frame.runtime:
                frame = replace(frame, exact=True)  # after "--- <NMI exception stack> ---": the same place once more
            frames.append(BacktraceFrame(int(match["number"]), frame))
            continue
        exception = _EXCEPTION.match(line)
        if exception and frames:
            pointer = ResolvedFrame(exception["symbol"], int(exception["offset"], 0), exact=True, context=context)
            frames.append(BacktraceFrame(frames[-1].number, pointer))
            continue
        address = _POINTER.match(line)
        if address and frames and frames[-1].frame.exact and frames[-1].frame.runtime is None:
            pointer = replace(frames[-1].frame, runtime=int(address["address"], 16))
            frames[-1] = frames[-1]._replace(frame=pointer)
            continue
        place = _LINE.match(line)
        if place and frames and frames[-1].line is None:
            frames[-1] = frames[-1]._replace(file=place["file"], line=int(place["line"]))
            continue
        stack = _STACK.match(line)
        if stack:
            # "<IRQ stack>" ends the IRQ's frames: what follows is the task's
            context = None
            frames = _on_stack(frames, stack["stack"])
        elif line.startswith(("WARNING: ", "bt: ")):
            warnings.append(line)
            if _BOGUS in line and frames:  # it follows the registers that it warns of
                frames[-1] = frames[-1]._replace(warning=line)
    close()
    return tuple(found)


def seconds(uptime: str) -> Optional[int]:
    """Seconds of ``UPTIME`` in the output of ``sys``: ``00:03:48``, ``195 days, 03:12:07``. None for another form."""
    match = _UPTIME.fullmatch(uptime)
    if match is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def system(text: str) -> System:
    """The values in the output of ``sys``."""
    fields: Dict[str, str] = {}
    for line in text.splitlines():
        match = _FIELD.match(line)
        if match:
            fields.setdefault(match["name"].strip(), match["value"].strip())
    panic = _PANIC.match(fields.get("PANIC", ""))
    return System(
        cpus=_number(fields.get("CPUS")),
        date=fields.get("DATE"),
        uptime=fields.get("UPTIME"),
        load_average=fields.get("LOAD AVERAGE"),
        tasks=_number(fields.get("TASKS")),
        nodename=fields.get("NODENAME"),
        release=known(fields.get("RELEASE")),
        version=fields.get("VERSION"),
        machine=fields.get("MACHINE"),
        memory=fields.get("MEMORY"),
        panic=(panic["text"] or None) if panic else None,
    )


def memory(text: str) -> Tuple[MemoryRow, ...]:
    """The rows in the output of ``kmem -i``."""
    rows = (row for row in map(_MEMORY.match, text.splitlines()) if row)
    return tuple(MemoryRow(row["name"], int(row["pages"]), row["size"], _number(row["percent"])) for row in rows)


def tasks(text: str) -> Tuple[BlockedTask, ...]:
    """``ps -m``: every task and the time since it last ran, in crash's order."""
    rows = []
    for line in text.splitlines():
        match = _BLOCKED.match(line)
        header = _TASK.match(match["task"].rstrip()) if match else None
        if match and header:
            task = _task(header)
            hours = int(match["days"]) * 24 + int(match["hours"])
            seconds = (hours * 60 + int(match["minutes"])) * 60 + float(match["seconds"])
            rows.append(BlockedTask(task.pid, task.task, task.cpu, task.comm, match["state"], seconds))
    return tuple(rows)


def slab(text: str, address: int) -> Optional[SlabObject]:
    """``kmem ADDRESS``: the object that holds ``address``; None when it lies in no slab."""
    cache: Optional[Tuple[str, int]] = None
    for line in text.splitlines():
        match = _CACHE.match(line)
        if match:
            cache = match["name"], int(match["size"])
            continue
        row = _OBJECT.match(line)
        if row and cache:
            start = int(row["used"] or row["free"], 16)
            if start <= address < start + cache[1]:
                return SlabObject(cache[0], cache[1], start, address - start, row["used"] is not None)
    return None


def modules(text: str) -> Tuple[LoadedModule, ...]:
    """``mod -t``: the modules that taint the kernel."""
    rows = (_TAINTED.match(line.rstrip()) for line in text.splitlines() if not line.startswith("NAME "))
    return tuple(LoadedModule(row["name"], row["flags"]) for row in rows if row)


def loaded(text: str) -> Tuple[LoadedAt, ...]:
    """``mod``: every module, in crash's order."""
    rows = (_LOADED.match(line) for line in text.splitlines())
    return tuple(LoadedAt(row["name"], int(row["base"], 16), int(row["size"])) for row in rows if row)


def module_names(text: str) -> Tuple[str, ...]:
    """``mod`` or ``mod -s``: the names of the modules."""
    return tuple(module.name for module in loaded(text))


def memory_text(text: str) -> str:
    """``rd -a``: the text in memory, its lines put together again."""
    # ffffffff9831fa00:  Linux version 6.1.0-47-cloud-amd64 (debian-kernel@lists.debi
    return "".join(re.findall(r"^[0-9a-f]{8,16}:  (.*)$", text.replace("\r", ""), re.M))


def _task(match: "re.Match[str]") -> Backtrace:
    cpu = match["cpu"]
    return Backtrace(int(match["pid"]), int(match["task"], 16), int(cpu) if cpu != "-" else None, match["comm"])


def _frame(match: "re.Match[str]", context: Optional[str]) -> ResolvedFrame:
    offset = match["offset"]
    return ResolvedFrame(
        match["symbol"],
        int(offset, 0) if offset else None,
        module=match["module"],
        runtime=int(match["address"], 16),
        context=context,
    )


def _on_stack(frames: List[BacktraceFrame], stack: str) -> List[BacktraceFrame]:
    """``frames``, with the name of ``stack`` as the context of those that have none."""
    name = stack.replace(" exception", "").replace(" stack", "").strip() or None
    return [
        row if row.frame.context is not None else row._replace(frame=replace(row.frame, context=name)) for row in frames
    ]


def _number(text: Optional[str]) -> Optional[int]:
    match = re.match(r"\d+", text or "")
    return int(match[0]) if match else None
