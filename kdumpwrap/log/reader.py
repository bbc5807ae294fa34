"""The reports of a kernel log, and the fatal one."""

from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set

from kdumpwrap.log import (
    banner,
    capture,
    clock,
    fatal,
    fold,
    header,
    headline,
    inference,
    markup,
    oom,
    prefilter,
    strangers,
    unwrap,
)
from kdumpwrap.log import line as dmesg
from kdumpwrap.log.builder import Draft
from kdumpwrap.log.headline import Headline
from kdumpwrap.log.kinds import DIE, SAMPLED
from kdumpwrap.log.piece import Leftovers, Pieces
from kdumpwrap.log.preamble import Preamble
from kdumpwrap.log.sameevent import is_near, is_same_wait, says_more
from kdumpwrap.log.wishes import Wishes
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.log import LoadedModule, Log, LogLine, Message

MAX_REPORTS = 300  # a log with ten thousand warnings repeats itself
_MAX_CONTEXTS = 1024  # that print at the same time
_MAX_BOOTS = 1024  # whose banner is kept
_END = 4096  # bytes in which the log's last time is looked for
# machine_kexec() prints these behind the last report (arm64, powerpc)
_ENDS = ("Starting crashdump kernel...", "kexec: Starting switchover sequence.")
_APART = 30.0  # seconds of silence after which a report is over


def parse(blocks: Iterable[bytes], most: int = MAX_REPORTS) -> Log:
    """The reports in a log, given in consecutive pieces of any size (1 MiB each when read from a file).

    Holds no more than two pieces, markup.LONGEST bytes and the reports. Any bytes are accepted; an unreadable value is
    None. Where a log has more than ``most`` reports, the first half of them and the last half are kept.
    """
    reader = _Reader(most)
    undone = markup.Undone(blocks)
    tail = _Tail(undone)
    for line in unwrap.unwrap(_lines(prefilter.lines(tail, Wishes()), undone)):
        reader.read(line)
    return reader.finish(tail.end(), undone.web)


def _lines(lines: Iterable[prefilter.Line], undone: markup.Undone) -> Iterator[LogLine]:
    for line in unwrap.in_order(lines):
        number = undone.number(line.number)
        if line.gap:
            yield LogLine(number, None, None, "", True, -1)  # a mark: lines were passed over here
        yield from dmesg.parse(number, line.data)


class _Tail:
    """Passes blocks on and keeps the last bytes of the log."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if block:
                self._last = (self._last + block[-_END:])[-_END:]
                yield block

    def end(self) -> Optional[float]:
        """Time of the last line that has one, in seconds since boot; None without one."""
        for raw in reversed(self._last.split(b"\n")):
            for line in reversed(dmesg.parse(0, raw)):
                if line.time is not None:
                    return line.time
        return None


class _Reader:
    """Takes the log's lines and keeps one report open for each context that prints (CONFIG_PRINTK_CALLER)."""

    def __init__(self, most: int) -> None:
        self._most = most  # reports that are kept
        self.drafts: List[Draft] = []
        self._open: Dict[Optional[str], Draft] = {}
        self._boot = 0
        self._banners: Dict[int, banner.Banner] = {}  # of each boot
        self._captures: Set[int] = set()  # boots of a capture kernel
        self._seen = 0  # lines that hold something
        self._first: Optional[str] = None  # the caller of the first one
        self._caller: Optional[str] = None
        self._preamble = Preamble()
        self._memory = oom.Table()
        self._booted: Dict[int, float] = {}  # of each boot: when it began, in seconds since 1970
        self._pieces = Pieces()
        self._leftovers = Leftovers()
        self._strangers: Dict[int, Dict[str, LoadedModule]] = {}  # of each boot, by name

    def read(self, line: LogLine) -> None:
        if line.width < 0:
            self._open.clear()
            return
        if not line.prefixed:  # a further line of a record, or a log without prefixes
            line = line._replace(caller=self._caller)
        self._caller = line.caller
        if banner.WORD in line.text:
            told = banner.parse(line.text)
            if told:
                self._boot += 1 if self._seen else 0
                self._banners[self._boot] = told
                self._banners.pop(self._boot - _MAX_BOOTS, None)
                self._open.clear()
        if capture.ELFCOREHDR in line.text and capture.begins(line.text):
            self._captures.add(self._boot)
        if not self.drafts:
            self._leftovers.read(line)
        self._memory.read(line)
        set_to = clock.parse(line.text)
        if set_to is not None and line.time is not None:
            self._booted.setdefault(self._boot, set_to - line.time)
            self._booted.pop(self._boot - _MAX_BOOTS, None)
        loaded = strangers.parse(line.text)
        if loaded is not None:
            self._remember(loaded)
        found = headline.parse(line.text)
        if found is not None:
            self._pieces.forget(line)
        if found is None:
            self._preamble.read(line)
            self._body(line)
        elif found.role == "panic":
            self._panic(line, found)
        else:
            self._headline(line, found)
        self._seen += bool(line.text.strip())
        self._first = line.caller if self._seen == 1 else self._first

    def _remember(self, module: LoadedModule) -> None:
        known = self._strangers.setdefault(self._boot, {})
        if len(known) < header.MAX_MODULES:
            known.setdefault(module.name, module)
        self._strangers.pop(self._boot - _MAX_BOOTS, None)

    def _body(self, line: LogLine) -> None:
        draft = self._open.get(line.caller) or self._looked_at(line)
        if draft is None and not self.drafts and self._begins(line):
            draft = Draft(line, Headline("oops", "headless", "", {}), self._boot)
            draft.section = "trace"
            draft.feed(line)
            if draft.frames or draft.ip or draft.registers:
                self._add(line, draft)
            return
        if draft is None:
            piece = self._pieces.read(line, self._boot)
            if piece is not None:
                self._add(line, piece)
            return
        if (draft.since(line) or 0) > _APART:
            del self._open[line.caller]
            return
        if line.text.strip() in _ENDS:
            draft.final = True
        draft.feed(line)

    def _begins(self, line: LogLine) -> bool:
        """Whether this is the first line of the log, or the second of a context whose first one was cut."""
        return bool(line.text.strip()) and (not self._seen or (self._seen == 1 and line.caller == self._first))

    def _looked_at(self, line: LogLine) -> Optional[Draft]:
        """The stall report that made this CPU print its stack, if it has no stack yet; else None."""
        if not line.text.startswith("NMI backtrace for cpu"):
            return None
        for draft in reversed(self.drafts[-4:]):
            if draft.kind in SAMPLED and not draft.frames and is_near(draft, line):
                self._open[line.caller] = draft
                return draft
        return None

    def _headline(self, line: LogLine, found: Headline) -> None:
        said: Optional[Message] = None
        draft = self._open.get(line.caller)
        if found.role == "die" and (draft is None or draft.kind not in DIE):
            # another CPU's report came between the headline and the line of die()
            draft = next((d for d in reversed(self.drafts[-4:]) if says_more(d, line, found)), draft)
            if draft is not None:
                self._open[line.caller] = draft
        if found.kind == "csd-stall":  # printed every five seconds while it lasts
            draft = next((d for d in reversed(self.drafts[-8:]) if is_same_wait(d, found, self._boot)), draft)
            if draft is not None:
                self._open[line.caller] = draft
        if draft is not None and (is_same_wait(draft, found, self._boot) or says_more(draft, line, found)):
            if draft.role in ("weak", "logged") and found.role == "report":
                self._drop(draft)
                said = Message(draft.headline, "report") if draft.role == "weak" else None
            else:
                if found.role == "late" and draft.kind == "warning":
                    draft.kind = found.kind
                draft.merge(line, found)
                if found.role == "logged":
                    draft.feed(line)
                return
        made = Draft(line, found, self._boot)
        behind = headline.text_follows(found.kind, found.text)
        made.message = said or self._preamble.reason(line, found.kind, behind)
        self._add(line, made)

    def _panic(self, line: LogLine, found: Headline) -> None:
        text = found.facts.get("panic", "")
        culprit, kind = fatal.cause(text, line, self.drafts, self._boot)
        if culprit is not None:
            culprit.take_panic(line, text)
            self._open[line.caller] = culprit
            return
        draft = self._open.get(line.caller)
        made = Draft(line, Headline(kind, "panic", found.text, {}), self._boot)
        made.panic = text
        if oom.policy(text) is not None:
            made.memory = self._memory.take()
            made.unread_rows = self._memory.unread if made.memory is not None else []
        if draft is not None and draft.role == "weak" and (not draft.frames or text == "LBUG"):
            self._drop(draft)  # the message of Lustre or ZFS says more than "LBUG"
            made.message = Message(draft.headline, "report")
        self._add(line, made)

    def _add(self, line: LogLine, draft: Draft) -> None:
        if len(self._open) > _MAX_CONTEXTS:
            self._open.clear()
        self._open[line.caller] = draft
        self.drafts.append(draft)
        if len(self.drafts) > self._most:
            middle = range(self._most // 2, len(self.drafts))
            del self.drafts[next((i for i in middle if self.drafts[i].panic is None), self._most // 2)]

    def _drop(self, draft: Draft) -> None:
        if draft in self.drafts:
            self.drafts.remove(draft)

    def finish(self, end: Optional[float], web: bool) -> Log:
        kept = [d for d in self.drafts if d.role != "headless" or len(d.frames) > 1 or d.ip]
        real = [d for d in kept if d.role != "logged" or d.panic is not None]
        kept = fold.fold(real or kept[:1])
        chosen = fatal.choose(kept, self._boot, end, self._captures)
        found = strangers.of_boots(self._strangers, self.drafts)
        reports = tuple(
            inference.report(draft, found.get(draft.boot, ()), self._booted.get(draft.boot)) for draft in kept
        )
        first = reports if chosen is None else (reports[chosen], *reports)
        release = next((r.release for r in first if r.release), None)
        arch = next((r.arch for r in first if r.arch), None)
        offset = next((r.kernel_offset for r in first if r.kernel_offset is not None), None)
        told = self._banners.get(self._boot if chosen is None else kept[chosen].boot)
        return Log(
            reports,
            chosen,
            release or (told.release if told else None),
            arch or (told.arch if told else None),
            offset,
            problems=tuple(_unread(kept)) if kept else tuple(filter(None, [self._leftovers.problem(web)])),
        )


def _unread(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """The problems of lines that look like frames or rows and are not understood: no line is lost silently."""
    frames = [line for draft in drafts for line in draft.unread]
    rows = [line for draft in drafts for line in draft.unread_rows]
    for what, lines in (("a frame of a call trace", frames), ("a row of the table of tasks", rows)):
        if lines:
            more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
            first = lines[0].text.strip()[:120]
            yield Problem(f"line {lines[0].number} looks like {what} and is not understood: {first}{more}")
