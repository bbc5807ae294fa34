"""The draft of a report: it gathers the facts of the headline and of the lines that follow."""

from typing import Dict, List, Optional, Set

from kdumpwrap.literal import Literal
from kdumpwrap.log import body, checks, code, header, locks, pointer, registers, stack, trace, tracks, works
from kdumpwrap.log.headline import Headline, text_follows
from kdumpwrap.log.kinds import BARE_TRACE, CHECKERS, HANGS, NESTED_IP, NO_IP
from kdumpwrap.model.log import Blocker, Frame, LoadedModule, LogLine, Message, OutOfMemory
from kdumpwrap.regex import regex

# where in its report a line stands: before the stack, in it, behind it, in an instruction dump, behind s390's
# "Last Breaking-Event-Address"
Section = Literal["head", "trace", "other", "dump", "breaking"]
# what a line is; "" when nothing was understood
LineKind = Literal["", "end", "title", "code", "listed", "said", "frame", "ip", "task", "modules", "registers", "fact"]

_ITEM = regex(r"\d{1,2}\. +(?=\S)")  # 1. Integrated Management Log (IML)       hpwdt
_LONGEST_MESSAGE = 512
_BRACKETED = regex(r"\[<[0-9a-f]{16}>\]")
_GRACE_PERIOD = regex(r"(?:rcu: )?(?:RCU grace-period kthread stack dump|\S{1,20} kthread (?:starved|timer))")
_OTHER_CPU = regex(r"(?:NMI backtrace for cpu|Task dump for CPU) (?P<cpu>\d+)")
_OFFSET = regex(r"Kernel Offset: (?:0x(?P<offset>[0-9a-f]{1,16}) from|disabled)")


class Draft:
    """Gathers one report. The first value of a fact stays: later lines repeat it, or belong to something else."""

    def __init__(self, line: LogLine, headline: Headline, boot: int) -> None:
        self.kind = headline.kind
        self.role = headline.role
        self.headline = headline.text
        self.line = self.last_line = line.number
        self.time = self.last_time = line.time
        self._clock = line.clock
        self.final = False  # the crash kernel was started behind it
        self.caller = line.caller
        self.boot = boot
        self.panic: Optional[str] = None
        self.panicker: Optional[Draft] = None  # the task that called panic() because of a hang: the watcher
        self.die: Optional[str] = headline.text if headline.role == "die" else None
        self.ended = False  # "---[ end trace" was seen
        self.facts: Dict[str, str] = {}
        self.cpu: Optional[int] = None
        self.pid: Optional[int] = None
        self.comm: Optional[str] = None
        self.taint: Optional[str] = None
        self.message: Optional[Message] = None
        self.release: Optional[str] = None
        self.hardware: Optional[str] = None
        self.workqueue: Optional[str] = None
        self.kernel_offset: Optional[int] = None
        self.modules: Optional[List[LoadedModule]] = None
        self.arch: Optional[str] = None
        self.ip: Optional[Frame] = None
        self.lr: Optional[Frame] = None
        self._stack = stack.Stack()
        self.breaking: Optional[Frame] = None
        self.locks = locks.Locks()
        self.works = works.Works()
        self.memory: Optional[OutOfMemory] = None
        self.unread_rows: List[LogLine] = []  # of the table of tasks
        self.user_ip: Optional[int] = None
        self.checks = checks.Checks()
        self.tracks = tracks.Tracks()
        self.dump = code.Dump()
        self.owner: Optional[Draft] = None  # gathers the owner of the lock that a hung task waits for
        self.blocker: Optional[Blocker] = None
        self.pids: Set[Optional[int]] = set()  # of other tasks that hang likewise
        self.unread: List[LogLine] = []  # lines that begin like a frame and are not understood
        self.registers: Dict[str, int] = {}
        self.section: Section = "trace" if self.kind in BARE_TRACE else "head"
        self._elsewhere = False  # the registers that follow are a user's, or those of other code that was interrupted
        self._before: LineKind = ""  # the kind of the last line
        self._width = 0  # the length of the last line
        self.learn(headline.facts)
        self.checks.read(headline.text)

    @property
    def frames(self) -> List[Frame]:
        """The frames of its stack."""
        return self._stack.frames

    def learn(self, said: Dict[str, str]) -> None:
        """Add the facts of a headline or of a line of the body; a known fact stays."""
        for name, value in said.items():
            self.facts.setdefault(name, value)
        if self.pid is None and "pid" in said:
            self.pid = int(said["pid"])
        if self.comm is None and "comm" in said:
            self.comm = said["comm"]
        if self.cpu is None and "cpu" in said:
            self.cpu = int(said["cpu"])

    def merge(self, line: LogLine, headline: Headline) -> None:
        """Add a second headline of the same event, most often the line of die()."""
        if headline.role == "die":
            self.die = headline.text
        elif headline.role == "weak" and self.message is None:  # behind ZFS's VERIFY: "PANIC at dnode.c:9:f()"
            self.message = Message(headline.text, "report")
        self.learn(headline.facts)
        self.checks.read(headline.text)
        self._seen(line)

    def take_panic(self, line: LogLine, text: str) -> None:
        """Add the panic that this report brought about; the lines that panic() prints fill in missing facts."""
        self.panic = text
        self.section = "other" if self.frames else "head"
        if self.kind in HANGS:
            self.panicker = Draft(line, Headline("panic", "panic", text, {}), self.boot)
        self._seen(line)

    def absorb(self, other: "Draft") -> None:
        """Count ``other``, a task that hangs with the same stack; its panic becomes this report's."""
        self.pids.add(other.pid)
        if other.panic is not None:
            self.panic, self.panicker = other.panic, other.panicker
        self.locks.take(other.locks)
        self.works.running = self.works.running or other.works.running

    def _seen(self, line: LogLine) -> None:
        self.last_line = max(self.last_line, line.number)
        self.last_time = self.last_time if line.time is None else line.time
        self._clock = self._clock if line.clock is None else line.clock

    def since(self, line: LogLine) -> Optional[float]:
        """Seconds from this report's last line to ``line``, by the kernel's clock or else a logger's; None: unknown."""
        if self.last_time is not None and line.time is not None:
            return line.time - self.last_time
        return None if self._clock is None or line.clock is None else line.clock - self._clock

    def feed(self, line: LogLine) -> None:
        """Read one more line; a line that is not understood is passed over."""
        text = line.text.strip()
        if not text:
            return
        for other in (self.panicker, self.owner):
            if other is not None:
                other.feed(line)
        if self.kind in ("kasan", "kfence"):
            self.tracks.read(text)
        what = self._read(text, line.text, self._before) or self._said(text)
        if not what and trace.begins(text) and self._expects_frames() and len(self.unread) < stack.MAX_FRAMES:
            self.unread.append(line)
        if what:  # else the line of other code, between those of the report
            self._before = what
            self._width = len(text)
            self._seen(line)

    def _read(self, text: str, raw: str, before: LineKind) -> LineKind:
        """The kind of the line; "" when nothing was understood."""
        if text.startswith("---["):
            self.ended = self.ended or "end trace" in text
            return "end"
        behind = stack.title(text)
        if behind is not None:
            self._begin_stack(text)
            return (self._in_stack(behind) if behind else "") or "title"
        if self.section == "dump" and self.dump.row(text):
            return "code"
        if self.locks.read(text) or self.works.read(text) or (self.kind == "machine-check" and self.checks.read(text)):
            return "listed"
        what = self._in_stack(text) if self.section in ("trace", "breaking") else ""
        what = (
            what or self._owner(text) or self._pointer(text) or self._who(text, before) or self._rest(text, raw, before)
        )
        if what and self.section == "dump" and what != "code":
            self.section = "other"
        return what

    def _owner(self, text: str) -> LineKind:
        found = locks.owner(text) if self.kind == "hung-task" and self.blocker is None else None
        if found is None:
            return ""
        self.blocker = found
        said = {"pid": str(found.pid), "comm": found.comm}
        self.owner = Draft(
            LogLine(self.line, self.time, None, text), Headline(self.kind, "report", text, said), self.boot
        )
        return "title"

    def _expects_frames(self) -> bool:
        """Whether a frame here would be the report's own: those in the head of a lockdep or slab report are not."""
        return self.section == "trace" or (self.section == "head" and self.kind not in CHECKERS)

    def _said(self, text: str) -> LineKind:
        """Take the text behind the headline: WARN's text on el6 and el7, the list that a panic announces."""
        head = self.section == "head" and self.modules is None and self.release is None and not self.frames
        if head and self.message is None and text_follows(self.kind, self.headline):
            self.message = Message(text[:_LONGEST_MESSAGE], "report")
            return "said"
        if self.kind == "panic" and self.headline.endswith(":") and head and _ITEM.match(text):
            before = f"{self.message.text}, " if self.message else ""
            self.message = Message(before + _ITEM.sub("", text, 1)[:80], "report")
            return "said" if len(self.message.text) < _LONGEST_MESSAGE else ""
        return ""

    def _begin_stack(self, text: str) -> None:
        if any(frame.certain for frame in self.frames) or (self.section == "other" and self.kind == "rcu-stall"):
            self.section = "other"
            return
        self.section = "trace"
        self._stack.leave()
        if text.startswith("Call trace"):
            self.arch = self.arch or "aarch64"

    def _in_stack(self, text: str) -> LineKind:
        if self.section == "breaking":
            self.breaking = trace.parse(text)
            self.section = "other"
            return "frame" if self.breaking else ""
        power = trace.interrupted(text)
        if power:
            self._elsewhere = True
            self._stack.push(power[0])
            return "frame"
        if self._stack.read(text):
            return "frame"
        if self.frames and stack.ends(text):
            self.section = "other"
        return ""

    def _pointer(self, text: str) -> LineKind:
        found = pointer.parse(text)
        if found is None:
            return ""
        self.arch = self.arch or found.arch
        if self.section == "other" and not (self.kind == "kfence" and self.ip is None):
            return "ip"
        if found.register == "lr":
            if self.lr is None and self.ip is not None and not self._elsewhere:
                self.lr = found.frame
        elif found.frame is None:
            self._elsewhere = True
            self.user_ip = found.user if self.user_ip is None else self.user_ip
        else:
            nested = self.section == "trace" and bool(self.frames) and not found.repeats and not self.ended
            if self.kind in NO_IP or (nested and (self.ip is not None or self.kind not in NESTED_IP)):
                self._elsewhere = True
            elif self.ip is None or not self.frames:
                self.ip = pointer.merged(self.ip, found.frame)
                self.section = "head" if self.section == "other" else self.section
            if nested:
                self._stack.push(found.frame)
        return "ip"

    def _who(self, text: str, before: LineKind) -> LineKind:
        if text.startswith(("CPU: ", "Pid: ")) or "ainted" in text:
            task = header.task(text)
            if task:
                self._task(task)
                return "task"
        if "linked in:" in text or (before == "modules" and (self._width > 500 or header.lists(text, self.modules))):
            listed = header.modules(text)
            if listed is not None:
                if self.modules is None:
                    self.modules = list(listed)
                elif "linked in:" not in text and len(self.modules) < header.MAX_MODULES:
                    self.modules.extend(listed)
                return "modules"
        if text.startswith("Hardware name:"):
            self.hardware = self.hardware or text[14:].strip() or None
            return "fact"
        if text.startswith("Workqueue: "):
            self.workqueue = self.workqueue or text[11:].strip() or None
            return "fact"
        if self.kind in HANGS and self.section != "other":
            task = header.shown_task(text)
            if task:
                self._task(task)
                return "task"
        if self.kind in ("rcu-stall", "csd-stall") and not self.frames:
            if _GRACE_PERIOD.match(text):
                self.section = "other"
                return "title"
            other = _OTHER_CPU.match(text)
            if other:
                self.section = "head"
                self.cpu = int(other["cpu"]) if self.cpu is None else self.cpu
                return "title"
        return ""

    def _task(self, task: header.Task) -> None:
        own = self.section != "other" or self.kind in CHECKERS
        if own and self.pid in (None, task.pid) and not (self.kind == "hung-task" and self.frames):
            if self.kind != "hung-task":
                self.cpu = task.cpu if self.cpu is None else self.cpu
            self.pid = task.pid if self.pid is None else self.pid
            self.comm = task.comm if self.comm is None else self.comm
        self.taint = task.taint if self.taint is None else self.taint
        self.release = self.release or task.release

    def _rest(self, text: str, raw: str, before: LineKind) -> LineKind:
        if self.dump.expects(text, goes_on=before == "code"):
            self.section = "dump" if self.dump.begins_rows(text) else self.section
            # right behind a "RIP:" it shows that code; behind the stack (to 4.16) the code of the report
            theirs = self._elsewhere and before == "ip"
            return "code" if self.dump.read(text, raw, own=not theirs and self.kind not in NO_IP) else ""
        if text.startswith("Last Breaking-Event-Address"):
            self.section = "breaking"
            return "title"
        if text.startswith("Kernel Offset:"):
            match = _OFFSET.match(text)
            if match and self.kernel_offset is None:
                self.kernel_offset = int(match["offset"] or "0", 16)
            return "fact"
        if text.startswith("LE PAGE_SIZE"):
            self.arch = "ppc64le"
            return "fact"
        values = registers.parse(raw.rstrip(), len(self.registers))
        if values:
            if values[0][0] == "cr2" and len(values) == 1 and before != "registers":  # ends a page fault's oops
                self.learn({"addr": f"{values[0][1]:x}"})
            if not self._elsewhere and self.section != "other" and self.kind not in NO_IP:
                for name, value in values:
                    self.registers.setdefault(name, value)
            return "registers"
        said = body.parse(text)
        if said:
            self.learn(said)
            return "fact"
        if self.section == "head":  # arm and riscv give their stacks no title
            bare = _BRACKETED.match(text) and self.kind not in CHECKERS  # its "Call Trace:" was left out
            found = trace.parse(text) if bare or self.arch == "riscv64" else trace.arm(text)
            if found:
                self.section = "trace"
                self.arch = self.arch or ("x86_64" if bare else "arm")
                self._stack.push(found)
                return "frame"
        return ""
