"""The start of crash(8) on one rung, in a private directory: its prompt, or the cause of the failure."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.parse import crash as parse
from kdumpwrap.parse import crash_failure
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.tools.argv import Argument, Word
from kdumpwrap.tools.argv import options as words
from kdumpwrap.tools.crash import CrashDied, CrashSession
from kdumpwrap.tools.crash_input import plain_path
from kdumpwrap.vmcore import causes
from kdumpwrap.vmcore.causes import Trouble
from kdumpwrap.vmcore.files import ModuleFile, ModuleFiles, Subject
from kdumpwrap.vmcore.rungs import LEAST, PLAIN, Rung


class Workplace(NamedTuple):
    """``own`` is for our files, ``current`` is crash's current directory.

    The gdb in crash reads ./.gdbinit even with --no_crashrc, so root must not start crash where others can write. The
    files that a user's command writes to ``current`` (``log > log.txt``) are kept.
    """

    own: Path
    current: Path

    def left(self) -> Tuple[Path, ...]:
        """The files that crash's commands wrote."""
        return tuple(sorted(self.current.iterdir()))


@contextmanager
def workplace() -> Iterator[Workplace]:
    """A new Workplace, removed at the end; ``current`` stays when it holds files."""
    base = Path(tempfile.mkdtemp(prefix="kdumpwrap-crash-"))
    place = Workplace(base / "own", base / "current")
    try:
        place.own.mkdir()
        place.current.mkdir()
        yield place
    finally:
        shutil.rmtree(place.own if place.current.is_dir() and place.left() else base, ignore_errors=True)


class NotStarted(Exception):
    """crash reached no usable prompt; ``failure`` has the cause."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


class Starter:
    """Starts crash on one dump, again where the modules or KASLR require it."""

    def __init__(
        self,
        subject: Subject,
        place: Workplace,
        modules: ModuleFiles,
        trouble: Trouble,
        *,
        forced: bool,
        progress: Callable[[str], object],
    ) -> None:
        """``forced``: no lower rung will be tried, so the cause of a silent end is searched at once."""
        self._subject = subject
        self._place = place
        self._modules: Optional[ModuleFiles] = modules
        self._trouble = trouble
        self._forced = forced
        self._progress = progress
        self._slide: Tuple[Word, ...] = ()  # set when crash did not detect that KASLR moved the kernel
        self._vmlinux = plain_path(subject.vmlinux, place.own)
        self._vmcore = plain_path(subject.vmcore, place.own)

    @contextmanager
    def started(self, rung: Rung) -> Iterator[CrashSession]:
        """A session of crash at its prompt, ended afterwards. Raises NotStarted."""
        self._progress(f"crash is starting ({rung.name})")
        with self._crash(rung.options) as session:
            try:
                self._look_ahead(rung)
                said = session.start(self._trouble.limit(rung)).output
                half = crash_failure.incomplete(said)
                if half is not None and self._trouble.damage is None:
                    self._trouble.failures.append(half)
                broken = crash_failure.broken(said)
                if broken is not None and self._trouble.damage is None:
                    if broken.kind != "lost tasks" or not self._trouble.known:
                        raise NotStarted(broken._replace(kind="broken"))
                    self._trouble.failures.append(broken._replace(kind="excluded"))
                if rung is LEAST and not self._matches(session):
                    raise NotStarted(Failure("mismatch"))
            except CrashDied as died:
                self._again(rung, died)
            else:
                if rung is not PLAIN or self._load(session):
                    yield session
                    return
        with self.started(rung) as session:
            yield session

    @contextmanager
    def at_terminal(self, rung: Rung) -> Iterator[Tuple[CrashSession, str]]:
        """A session of crash for the user's terminal, and its output before the prompt. Raises NotStarted."""
        if rung is LEAST:  # only a command shows whether the vmlinux is the right one
            with self.started(rung):
                pass
        names, setup = self._place.own / "names", self._place.own / "setup"
        setup.write_text(f"mod > {names}\n")
        options: Sequence[Argument] = (*rung.options, *words("-i"), setup) if rung is PLAIN else rung.options
        self._progress(f"crash is starting ({rung.name})")
        with self._crash(options, interactive=True) as session:
            try:
                self._look_ahead(rung)
                greeting = session.start(self._trouble.limit(rung)).output
                if rung is PLAIN and self._modules is not None and names.exists():
                    modules = self._modules.find(parse.module_names(names.read_text("utf-8", "replace")))
                    setup.write_text("".join(f"{self._loading(module)}\n" for module in modules))
                    session.feed(setup, self._trouble.limit(rung))
            except CrashDied as died:
                self._again(rung, died)
            else:
                self._progress("")
                yield session, greeting
                return
        with self.at_terminal(rung) as (session, greeting):
            yield session, greeting

    def _crash(self, options: Sequence[Argument], *, interactive: bool = False) -> CrashSession:
        tool, files = self._subject.tool, (self._vmlinux, self._vmcore)
        options = (*options, *self._slide)
        return CrashSession(tool, options, files, self._place.current, self._place.own, interactive=interactive)

    def _look_ahead(self, rung: Rung) -> None:
        """Look for the modules that crash will most likely name, while it reads the vmlinux."""
        if rung is PLAIN and self._modules is not None and not self._trouble.tight:
            self._modules.find(self._modules.expected())

    def _load(self, session: CrashSession) -> bool:
        """Load the modules' debug information. False: crash ended while it loaded, and must start without it."""
        if self._modules is None:
            return True
        try:
            for module in self._modules.find(self._loaded(session)):
                reply = session.ask(self._loading(module), self._trouble.limit(PLAIN))
                if module.name not in parse.module_names(reply.output):
                    self._trouble.refused[module.name] = reply.output.strip().partition("\n")[0]
        except CrashDied:
            self._modules = None
            self._trouble.refused["the modules"] = "crash died of it"
            return False
        return True

    def _loaded(self, session: CrashSession) -> List[str]:
        """The modules in the dump; where memory is short, only those that are not the kernel's own."""
        if self._trouble.tight:
            return [module.name for module in parse.modules(session.ask("mod -t", self._trouble.limit(PLAIN)).output)]
        return [*parse.module_names(session.ask("mod", self._trouble.limit(PLAIN)).output)]

    def _loading(self, module: ModuleFile) -> str:
        return f"mod -s {module.name} {plain_path(module.path, self._place.own)}"

    def _matches(self, session: CrashSession) -> bool:
        """Whether the vmlinux is that of the dump, which ``--minimal`` does not look at.

        The vmlinux must contain the text that the dump has at the vmlinux's address of linux_banner: two kernels may
        have the same address for it, but not the same text.
        """
        banner = parse.memory_text(session.ask("rd -a linux_banner", self._trouble.limit(LEAST)).output)
        if banner.startswith("Linux version "):
            return causes.holds(self._subject.vmlinux, banner.encode())
        release = self._subject.release  # of the dump's header, as the page is missing
        return release is None or causes.holds(self._subject.vmlinux, f"Linux version {release} ".encode())

    def _again(self, rung: Rung, died: CrashDied) -> None:
        """Raises NotStarted with the cause, except where crash may start with --kaslr=auto, which is then set."""
        failure = self._why(rung, died)
        if failure.kind != "unmoved":
            raise NotStarted(failure) from None
        if self._slide:  # even with --kaslr=auto the page is missing
            raise NotStarted(failure._replace(kind="truncated")) from None
        self._slide = words("--kaslr=auto")

    def _why(self, rung: Rung, died: CrashDied) -> Failure:
        failure = causes.at_start(died, str(self._vmlinux), self._trouble.limit(rung), tight=self._trouble.tight)
        if failure.kind != "silent":
            return failure
        if self._trouble.damage is not None:
            return self._trouble.damage
        if self._trouble.tight and rung is not LEAST and not self._forced:
            return Failure("memory")
        failure = self._probe(rung)
        silent = failure.kind == "silent"
        return Failure("memory") if silent and self._trouble.tight else failure

    def _probe(self, rung: Rung) -> Failure:
        """The failure that crash reports with ``-d1`` after a silent end; "silent" when it reports none."""
        with self._crash((*rung.options, *words("-d1"))) as session:
            try:
                session.start(self._trouble.limit(rung))
            except CrashDied as died:
                found = crash_failure.starting(died.text, str(self._vmlinux))
                return found if found.kind != "other" else Failure("silent")
        return Failure("silent")
