"""A report in the making: takes the lines that follow its headline and gathers what they say."""

import re
from typing import Dict, List, Optional, Tuple

from kdumpwrap.model import Code, Frame, LoadedModule, LogLine
from kdumpwrap.parse import code, header, registers, trace
from kdumpwrap.parse.headline import Headline

MAX_FRAMES = 512

# where in its report a line stands
HEAD, TRACE, OTHER, DUMP, BREAKING = "head", "trace", "other", "dump", "breaking"

# kinds whose stack follows without "Call Trace:"
_BARE_TRACE = ("kmsan", "kcsan", "kfence")
# kinds that have no instruction pointer of their own: what a "RIP:" shows there is what was interrupted, or another CPU
_NO_IP = ("panic", "hung-task", "lockdep", "memory-leak", "machine-check")

_TRACE_TITLE = re.compile(
    r"(?:Call Trace|Call trace|Backtrace|Stack backtrace)(?: TBD)?: ?(?P<rest>.*)$|backtrace(?: \(crc \w+\))?:$"
)
# what comes after a stack and is not part of it
_TRACE_END = re.compile(
    r"Allocated by|Freed by|Last potentially|Uninit was|Local variable|kfence-#|The buggy addr|Memory state|"
    r"value changed|(?:read|write|read-write)[\w ()-]{0,40} to 0x|Sending NMI|NMI backtrace|Showing (?:all|busy)|Mem-Info|"
    r"Task dump|Object |INFO: (?:Alloc|Freed|Slab|Object)|Allocated:|Freed:|Kernel Offset|task:\S|Possible unsafe|"
    r"Bytes \d|Reported by|irq event stamp|other info"
)
_FACTS: Tuple["re.Pattern[str]", ...] = (
    # Write of size 1 at addr ffff88802d3c9688 by task dockerd/2201
    re.compile(
        r"(?P<access>Read|Write) (?:of size \d+ )?(?:at addr (?P<addr>[0-9a-f]{1,16})|)"
        r"(?:[ ]?by task (?P<comm>.{1,64})/(?P<pid>\d+))?$"
    ),
    # Use-after-free read at 0xffff88823bc8cf68 (in kfence-#69):
    re.compile(
        r"(?:[A-Z][\w -]{3,40} (?P<access>read|write)|Invalid free|Corrupted memory) (?:at|of) 0x(?P<addr>[0-9a-f]{1,16}) "
    ),
    # race at unknown origin, with assert no writes to 0xffff8881001cb1e8 of 4 bytes by task 4926 on cpu 0:
    re.compile(
        r".{0,80}(?P<access>read|write)\S{0,3} .{0,24}to 0x(?P<addr>[0-9a-f]{8,16}) of \d+ bytes by task (?P<pid>\d+) on cpu (?P<cpu>\d+)"
    ),
    # #PF: supervisor write access in kernel mode
    re.compile(r"#PF: \w+ (?P<access>read|write|instruction) "),
    re.compile(r"#PF: error_code\(0x(?P<code>[0-9a-f]{1,8})\)"),
    re.compile(r"ESR = 0x(?P<code>[0-9a-f]{4,16})"),
    re.compile(r"Failing address: (?P<addr>[0-9a-f]{16}) TEID: (?P<teid>[0-9a-f]{16})"),
    re.compile(r"Faulting instruction address: 0x(?P<fetch>[0-9a-f]{1,16})"),
    re.compile(r"CM = \d, WnR = (?P<wnr>[01])"),
    # syz-fuzzer/4405 is trying to release lock (&mm->mmap_lock) at:
    re.compile(r"(?P<comm>\S.{0,63}?)/(?P<pid>\d+) (?:is trying to|\[HC|is freeing memory|just changed the state)"),
    re.compile(r'comm "(?P<comm>.{1,16})", pid (?P<pid>\d+), jiffies'),
    re.compile(r"in_atomic\(\): \d.{0,80} pid: (?P<pid>\d+), name: (?P<comm>.{1,64})$"),
    re.compile(r"Showing stack for process (?P<pid>\d+)"),
)
_FACT_WORDS = re.compile(r" of size |by task |#PF|ESR|Failing|Faulting| at 0x|to 0x|WnR|/\d|comm \"|pid: |for process")
_OFFSET = re.compile(r"Kernel Offset: (?:0x(?P<offset>[0-9a-f]{1,16}) from|(?P<none>disabled))")


class Draft:
    """Gathers one report. The first that a line says stands; later lines repeat it or speak of something else."""

    def __init__(self, line: LogLine, headline: Headline, boot: int) -> None:
        self.kind = headline.kind
        self.role = headline.role
        self.headline = headline.text
        self.line = self.last_line = line.number
        self.time = self.last_time = line.time
        self.boot = boot
        self.panic: Optional[str] = None
        self.die: Optional[str] = headline.text if headline.role == "die" else None
        self.ended = False  # "---[ end trace" was seen
        self.facts: Dict[str, str] = {}
        self.cpu: Optional[int] = None
        self.pid: Optional[int] = None
        self.comm: Optional[str] = None
        self.taint: Optional[str] = None
        self.release: Optional[str] = None
        self.hardware: Optional[str] = None
        self.workqueue: Optional[str] = None
        self.kernel_offset: Optional[int] = None
        self.modules: Optional[List[LoadedModule]] = None
        self.ip: Optional[Frame] = None
        self.lr: Optional[Frame] = None
        self.user = False  # the registers that follow are a user program's, or another context's
        self.frames: List[Frame] = []
        self.breaking: Optional[Frame] = None
        self.registers: Dict[str, int] = {}
        self.words: Optional[List[str]] = None
        self.krnl: List[Tuple[str, int, bytes]] = []
        self.arch: Optional[str] = None
        self.section = TRACE if self.kind in _BARE_TRACE else HEAD
        self.context: Optional[str] = None
        self._previous = "headline"
        self._power = False
        self.learn(headline.facts)

    def learn(self, facts: Dict[str, str]) -> None:
        """Facts from a headline or a line of the body; what is known already stays."""
        for name, value in facts.items():
            self.facts.setdefault(name, value)
        if self.pid is None and "pid" in facts:
            self.pid = int(facts["pid"])
        if self.comm is None and "comm" in facts:
            self.comm = facts["comm"]
        if self.cpu is None and "cpu" in facts:
            self.cpu = int(facts["cpu"])

    def merge(self, line: LogLine, headline: Headline) -> None:
        """A second headline of the same event, the line of die() above all."""
        if headline.role == "die":
            self.die = headline.text
        self.learn(headline.facts)
        self._seen(line)

    def take_panic(self, line: LogLine, text: str) -> None:
        """panic() was brought about by this report; what it prints is listened to for what is still missing."""
        self.panic = text
        self.section = OTHER if self.frames else HEAD
        self._seen(line)

    def _seen(self, line: LogLine) -> None:
        self.last_line = line.number
        if line.time is not None:
            self.last_time = line.time

    def feed(self, line: LogLine) -> None:
        """One more line; what is not understood is passed over."""
        text = line.text.strip()
        previous, self._previous = self._previous, ""
        what = self._read(text, line.text, previous)
        if what:
            self._previous = what
            self._seen(line)
        elif not text:
            self._previous = previous

    def _read(self, text: str, raw: str, previous: str) -> str:
        """What kind of line it was; "" when nothing was understood."""
        if not text:
            return ""
        if text.startswith("---["):
            self.ended = self.ended or "end trace" in text
            return "end"
        title = _TRACE_TITLE.match(text)
        if title:
            self._begin_trace()
            rest = title["rest"]
            return (self._trace(rest) if rest else "") or "title"
        if self.section == DUMP:
            found = code.words(text)
            if found and self.words is not None:
                self.words.extend(found)
                return "code"
            self.section = OTHER
        if previous in ("modules", "title") or self.section in (TRACE, BREAKING) or text.startswith("---"):
            what = self._trace(text)
            if what:
                return what
        return self._body(text, raw, previous)

    # ------------------------------------------------------------ the stack

    def _begin_trace(self) -> None:
        if self.frames and any(frame.certain for frame in self.frames):
            self.section = OTHER
            return
        self.section = TRACE
        self.context = None

    def _trace(self, text: str) -> str:
        if self.section == BREAKING:
            self.breaking = trace.frame(text, None)
            self.section = OTHER
            return "frame" if self.breaking else ""
        if self.section != TRACE:
            return ""
        is_interrupt, pointed = trace.interrupted(text, self.context)
        if is_interrupt:
            self.user = True
            if pointed and len(self.frames) < MAX_FRAMES:
                self.frames.append(pointed)
            return "frame"
        marks, rest = trace.markers(text)
        for mark in marks:
            self.context = None if mark.startswith("/") or mark in ("EOI", "EOE") else mark
        if marks and not rest:
            return "frame"
        found = trace.frame(rest, self.context)
        if found:
            if len(self.frames) < MAX_FRAMES:
                self.frames.append(found)
            return "frame"
        if self.frames and _TRACE_END.match(text):
            self.section = OTHER
        return "frame" if marks else ""

    # ------------------------------------------------------------ everything else

    def _body(self, text: str, raw: str, previous: str) -> str:
        pointer = trace.ip(text)
        if pointer:
            self._point(pointer, text)
            return "ip"
        if text.startswith(("CPU: ", "Pid: ")) or "ainted" in text:
            task = header.task(text)
            if task:
                self._task(task)
                return "task"
        if "linked in:" in text or previous == "modules":
            listed = header.modules(text)
            if listed is not None and (listed or "linked in:" in text):
                if self.modules is None:
                    self.modules = list(listed)
                elif "linked in:" not in text and len(self.modules) < header.MAX_MODULES:
                    self.modules.extend(listed)
                return "modules"
        if text.startswith(("Code: ", "Instruction dump:", "Krnl Code:")) or (self.krnl and previous == "code"):
            return self._code(text, raw, previous)
        if text.startswith("Hardware name:"):
            self.hardware = self.hardware or text[14:].strip() or None
            return "hardware"
        if text.startswith("Workqueue: "):
            self.workqueue = self.workqueue or text[11:].strip() or None
            return "workqueue"
        if text.startswith("Last Breaking-Event-Address"):
            self.section = BREAKING
            return "title"
        if "Kernel Offset:" in text:
            match = _OFFSET.match(text)
            if match and self.kernel_offset is None:
                self.kernel_offset = int(match["offset"] or "0", 16)
            return "offset"
        values = registers.parse(raw.rstrip(), len(self.registers))
        if values:
            self._registers(values)
            return "registers"
        if _FACT_WORDS.search(text):
            for pattern in _FACTS:
                match = pattern.match(text)
                if match:
                    self.learn({k: v for k, v in match.groupdict().items() if v is not None})
                    return "fact"
        if self.section != OTHER and self.kind in ("hung-task", "rcu-stall", "soft-lockup"):
            task = header.shown_task(text)
            if task:
                self._task(task)
                return "task"
        if text.startswith("LE PAGE_SIZE"):
            self.arch = "ppc64le"
            return "head"
        return ""

    def _task(self, task: header.Task) -> None:
        own = self.section != OTHER and not (self.kind == "hung-task" and self.frames)
        if own and self.pid in (None, task.pid):
            self.cpu = task.cpu if self.cpu is None and self.kind != "hung-task" else self.cpu
            self.pid = task.pid if self.pid is None else self.pid
            self.comm = task.comm if self.comm is None else self.comm
        self.taint = task.taint if self.taint is None else self.taint
        self.release = self.release or task.release

    def _point(self, pointer: trace.Ip, text: str) -> None:
        if self.section == OTHER:
            return
        self._guess_arch(text)
        if pointer.register == "lr":
            if self.lr is None and self.ip is not None and not self.user:
                self.lr = pointer.frame
            return
        if pointer.frame is None:
            self.user = True
            return
        nested = self.section == TRACE and bool(self.frames) and pointer.head
        if self.ip is None and self.kind not in _NO_IP:
            self.ip = pointer.frame
        elif not self.frames and self.ip is not None and _same(self.ip, pointer.frame):
            if self.ip.runtime is None:
                self.ip = pointer.frame
        elif nested or self.kind in _NO_IP:
            self.user = True
        if nested and len(self.frames) < MAX_FRAMES:
            self.frames.append(trace.in_context(pointer.frame, self.context))

    def _guess_arch(self, text: str) -> None:
        if self.arch is not None:
            return
        if text.startswith(("RIP", "IP: ")):
            self.arch = "x86_64"
        elif text.startswith("EIP"):
            self.arch = "i386"
        elif text.startswith("Krnl PSW"):
            self.arch = "s390x"
        elif text.startswith("epc"):
            self.arch = "riscv64"

    def _registers(self, values: registers.Values) -> None:
        if self.user or self.section == OTHER or self.kind in _NO_IP:
            return
        for name, value in values:
            self.registers.setdefault(name, value)

    def _code(self, text: str, raw: str, previous: str) -> str:
        if text.startswith("Krnl Code:") or self.krnl:
            found = code.s390_line(raw.strip("\n"))
            if found:
                self.krnl.append(found)
            return "code" if found else ""
        if text.startswith("Instruction dump:"):
            if self.words is None:
                self.words = []
                self.section = DUMP
            return "code"
        words = code.words(text[6:])
        if words and self.words is None and not (self.user and previous == "ip") and self.kind not in _NO_IP:
            self.words = words
        return "code"

    def dumped(self, little: bool) -> Optional[Code]:
        """The dumped instruction bytes, if there are any and the one at the instruction pointer is marked."""
        if self.krnl:
            return code.s390(self.krnl)
        return code.parse(self.words, little) if self.words else None


def _same(one: Frame, other: Frame) -> bool:
    return one.symbol == other.symbol and one.offset == other.offset
