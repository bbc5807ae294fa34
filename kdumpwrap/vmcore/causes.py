"""The causes of crash(8)'s failures: a message and a hint for each."""

import os
from pathlib import Path
from signal import SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import needs, packages
from kdumpwrap.host.files import open_file, reason
from kdumpwrap.host.memory import Limit
from kdumpwrap.model.crash import Problem
from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure, FailureKind
from kdumpwrap.shell import Hint
from kdumpwrap.tools import crash_program
from kdumpwrap.tools.crash import LARGEST, CrashDied, End
from kdumpwrap.vmcore import memory
from kdumpwrap.vmcore.files import Subject
from kdumpwrap.vmcore.memory import Vmlinux
from kdumpwrap.vmcore.rungs import LEAST, PLAIN, Rung, reached

# seconds for a start and for each command: a start takes 7 s, on a slow disk and a big dump minutes
TIMEOUT = 600.0
# seconds where crash is too old for the kernel by its number: it may hang, or have what it needs by a distribution's
# changes; not for --minimal, which leaves out what makes it hang
SHORT = 120.0
_BLOCK = 1 << 20
_OWN_FAULTS = tuple(str(int(number)) for number in (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV))

_SOURCES = "https://github.com/crash-utility/crash"
_MORE = shell.hint("free memory or add swap")

# of an answer that is not whole, in half a sentence
WORDS: Dict[FailureKind, str] = {
    "memory": "crash ran out of memory",
    "killed": "crash was killed",
    "incomplete": "the dump is incomplete",
    "truncated": "the dump lacks what it needs",
    "excluded": "the dump lacks what it needs",
    "mismatch": "another kernel's vmlinux",
    "no dump": "no kernel dump",
    "no vmlinux": "no vmlinux",
    "no debuginfo": "no debug information",
    "too old": "crash does not know this kernel",
    "broken": "crash broke down",
    "compression": "crash cannot unpack the dump",
    "expired": "the time limit was over",
    "endless": f"crash printed more than {LARGEST >> 20} MiB",
    "ended": "crash ended in the middle of the answer",
    "silent": "crash ended without a word",
    "other": "crash failed",
}


def problem(failure: Failure, subject: Subject, size: Vmlinux, limits: Tuple[Limit, ...]) -> Problem:
    """The message and hint of ``failure``; ``size`` is that of the vmlinux."""
    vmlinux, vmcore, release = subject.vmlinux, subject.vmcore, subject.release
    if failure.kind == "memory":
        return _memory(size, limits)
    if failure.kind == "killed":
        return _killed(failure, size, limits)
    if failure.kind in ("too old", "broken"):
        return _too_old(failure, subject)
    if failure.kind == "compression":
        return _compression(failure, subject)
    of = f", which crashed with {release}" if release else ""
    debuginfo = packages.debuginfo(release) if release else shell.hint("name the right one with --vmlinux FILE")
    again = shell.hint("copy {} from the crashed host once more, whole", vmcore)
    new = shell.hint("makedumpfile -d 31 keeps enough, if it is as new as the kernel: kdumpwrap doctor looks at it")
    unended = (f"{WORDS.get(failure.kind)} ({vmcore})", shell.hint("crash {} {}", vmlinux, vmcore))
    said = f": {_first(failure.words)}" if failure.words else " without a word"
    told: Dict[FailureKind, Tuple[str, Hint]] = {
        "mismatch": (f"{vmlinux} is another kernel's vmlinux, not that of {vmcore}{of}", debuginfo),
        "truncated": (f"{vmcore} is truncated ({_first(failure.words)})", again),
        "incomplete": (
            f"{vmcore} is incomplete: it was not written to its end",
            shell.hint("see that kdump has room to write to"),
        ),
        "excluded": (f"{vmcore} was filtered too far ({_first(failure.words)})", new),
        "no debuginfo": (f"{vmlinux} has no debug information", debuginfo),
        "no vmlinux": (f"{vmlinux} is no vmlinux that crash can read", debuginfo),
        "no dump": (f"{vmcore} is not a kernel dump", shell.hint("kdumpwrap list")),
        "expired": (f"crash did not answer within {failure.words} s (time limit)", shell.hint("--timeout SECONDS")),
        "endless": unended,
        "ended": unended,
    }
    return Problem(*told.get(failure.kind, (f"crash failed{said}", shell.hint("crash -d1 {} {}", vmlinux, vmcore))))


def holds(file: Path, text: bytes) -> bool:
    """Whether ``file`` contains ``text``; it is read in pieces, as memory may be short. Raises KdumpwrapError."""
    try:
        with os.fdopen(open_file(file, limit=None), "rb") as stream:
            before = b""
            for block in iter(lambda: stream.read(_BLOCK), b""):
                if text in before + block:
                    return True
                before = block[-len(text) :]
    except OSError as error:  # it was there when crash began
        raise KdumpwrapError(f"{file}: {reason(error)}") from None
    return False


def _memory(size: Vmlinux, limits: Sequence[Limit]) -> Problem:
    limit = memory.tight(size, tuple(limits))
    raised = _MORE
    if limit and limit.kind == "address space":
        raised = shell.hint("ulimit -v {}", int(size.need(limit.kind).work) >> 10)
    hint = shell.hint("{}, or take vmlinux and vmcore to a larger machine; kdumpwrap dmesg needs neither", raised)
    return Problem(f"not enough memory for crash: {_takes(size, limit)}", hint)


def _killed(failure: Failure, size: Vmlinux, limits: Sequence[Limit]) -> Problem:
    limit = memory.tight(size, tuple(limits))
    killed = f"crash was killed (signal {failure.words})"
    if failure.words in _OWN_FAULTS:
        return Problem(
            f"crash broke down (signal {failure.words})", shell.hint("a newer crash: {}", packages.install("crash"))
        )
    hint = shell.hint("the kernel kills what takes too much memory: dmesg | grep -i 'out of memory'")
    if limit is None or failure.words != str(int(SIGKILL)):
        return Problem(killed, hint)
    return Problem(f"{killed}, most likely for its memory: {_takes(size, limit)}", shell.hint("{}; {}", _MORE, hint))


def _takes(size: Vmlinux, limit: Optional[Limit]) -> str:
    kind = limit.kind if limit else "resident"
    need = size.need(kind)
    what = "address space" if kind == "address space" else "memory"
    have = f"; {_megabytes(limit.bytes)} are there ({limit.name})" if limit else ""
    return (
        f"with this vmlinux ({_megabytes(size.file)}) it takes about {_megabytes(need.work)} of {what}, "
        f"{_megabytes(need.minimal)} with --minimal{have}"
    )


def _newer(need: Optional[needs.Need]) -> shell.Hint:
    newer = shell.hint("crash {} or newer", need.version) if need else shell.hint("a newer crash")
    return shell.hint("{}: {}, or build it from {}", newer, packages.install("crash"), _SOURCES)


def _too_old(failure: Failure, subject: Subject) -> Problem:
    version = _quietly(lambda: crash_program.version(subject.tool))
    name, kernel = f"crash {version or 'of an unknown version'}", f"kernel {subject.release or 'in this dump'}"
    need = needs.stronger(needs.of_stumbling(failure.lacking), needs.needed("crash", subject.release))
    old = need is not None and version is not None and needs.older(version, need.version)
    hint = _newer(need if old or not version else None)
    if need is not None and old:
        return Problem(f"{name} is too old for {kernel}, which needs {need.version} or newer", hint)
    return Problem(f"{name} does not know {kernel} ({_first(failure.words)}): too old, most likely", hint)


def _compression(failure: Failure, subject: Subject) -> Problem:
    version = _quietly(lambda: crash_program.version(subject.tool))
    least = needs.ZSTD_DUMP.version
    if version and "zstd" in failure.words and needs.older(version, least):
        message = f"crash {version} is too old for a zstd dump, which needs {least} or newer"
        return Problem(message, shell.hint("a newer crash: {}", packages.install("crash")))
    return Problem(
        f"this crash cannot unpack the dump ({_first(failure.words)})", shell.hint("makedumpfile -c -d 31 VMCORE NEW")
    )


def _quietly(question: Callable[[], Optional[str]]) -> Optional[str]:
    try:
        return question()
    except KdumpwrapError:
        return None


def _first(words: str) -> str:
    return words.strip().partition("\n")[0]


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB"


def expired(limit: float) -> Failure:
    """The failure of a crash that did not answer within ``limit`` seconds."""
    return Failure("expired", f"{limit:g}")


def at_start(died: CrashDied, vmlinux: str, limit: float, *, tight: bool) -> Failure:
    """The failure of a crash that ended before its first prompt; "silent" means a partial dump or lack of memory."""
    if died.expired or died.endless:
        return Failure("endless") if died.endless else expired(limit)
    if died.end.signal is not None:
        return at_end(died.end, died.text, tight=tight)
    failure = crash_failure.starting(died.text, vmlinux)
    if failure.kind == "no debuginfo" and tight and holds(Path(vmlinux), b"\0.debug_info\0"):
        return Failure("memory")  # crash had no memory for it and reported it as missing
    return failure


def answering(died: CrashDied, limit: float, *, tight: bool) -> Failure:
    """The failure of a crash that ended in the middle of an answer."""
    if died.expired or died.endless:
        return Failure("endless") if died.endless else expired(limit)
    if died.end.status == 0:
        return Failure("ended")
    return at_end(died.end, died.text, tight=tight)


def at_end(end: End, text: str, *, tight: bool) -> Failure:
    """The failure of a crash that ended after its first prompt; ``tight``: memory may have run out unreported."""
    found = crash_failure.answering(text)
    if found is not None and found.kind == "memory":
        return found
    if end.signal is not None:
        return Failure("killed", str(end.signal))
    if tight:
        return Failure("memory")
    return Failure("other", f"it ended with status {end.status}")


_DAMAGED = ("incomplete", "truncated")
# the failures that do not tell their cause, as those of a crash that is too old
_NAMELESS: Tuple[FailureKind, ...] = ("expired", "endless", "ended", "killed", "silent", "other")


class Trouble:
    """The failures of several runs of crash; each cause is reported once."""

    def __init__(self, subject: Subject, limits: Tuple[Limit, ...], timeout: Optional[float] = None) -> None:
        """``limits`` are those of host.memory.available(); ``timeout``: seconds, None for what suits."""
        self.failures: List[Failure] = []
        self.refused: Dict[str, str] = {}  # modules whose debug information crash did not load, with its message
        self._subject = subject
        self._size = memory.vmlinux(subject.vmlinux)
        self._limits = limits
        release = subject.release
        asked = needs.needed("crash", release) is not None
        self._version = _quietly(lambda: crash_program.version(subject.tool)) if asked else None
        unmet = needs.unmet("crash", self._version, release)
        # crash is too old by its number; without an answer to some commands it is as good as any, as 8.0.2 for 6.1
        self.unmet = unmet if any(need.stumbles for need in unmet) else ()
        self._timeout = timeout
        self.tight = memory.tight(self._size, limits) is not None  # memory may well run out, which crash often hides
        self.hopeless = memory.lacking(self._size, limits) is not None  # crash can start with --minimal alone

    @property
    def damage(self) -> Optional[Failure]:
        """The failure that says that the dump itself is damaged, as crash reported it; None when there is none."""
        return next((failure for failure in self.failures if failure.kind in _DAMAGED), None)

    @property
    def known(self) -> bool:
        """Whether crash supports the kernel, by its version and its failures so far; False for an unknown version."""
        version = _quietly(lambda: crash_program.version(self._subject.tool))
        old = version is None or needs.lacking("crash", version, self._subject.release) is not None
        return not old and all(failure.kind != "too old" for failure in self.failures)

    def limit(self, rung: Rung) -> float:
        """Seconds for a start as ``rung`` and for each command."""
        if self._timeout is not None:
            return self._timeout
        return SHORT if self.unmet and rung is not LEAST else TIMEOUT

    @property
    def last(self) -> Failure:
        return self.failures[-1] if self.failures else Failure("other")

    def problem(self, failure: Failure) -> Problem:
        """The message and hint of ``failure``."""
        told = problem(failure, self._subject, self._size, self._limits)
        if not self.unmet or failure.kind not in _NAMELESS:
            return told
        of = f"crash {self._version} is too old for kernel {self._subject.release}"
        message = f"{told.message}; by its number, {of}, which needs {self.unmet[-1].version} or newer"
        return Problem(message, shell.hint("{}; {}", _newer(self.unmet[-1]), told.hint))

    def problems(self, rung: Rung = PLAIN) -> Tuple[Problem, ...]:
        """The causes, what answers on ``rung`` lack, and the modules that crash did not load."""
        found = [self.problem(failure) for failure in self.failures]
        if rung is not PLAIN:
            found.append(Problem(reached(rung)))
        for name, words in self.refused.items():
            found.append(Problem(f"crash did not take the debug information of {name}: {words}"))
        return tuple(dict.fromkeys(found))
