"""The files that ``--html`` writes: one page of a crash, or the pages of a batch. Each is written whole."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.cli.commands import concerning, pasteable
from kdumpwrap.crashdir import contents, crashfile, excerpt
from kdumpwrap.crashdir.excerpt import Numbered
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import files
from kdumpwrap.model.command import Command
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.verdict import Signature
from kdumpwrap.model.vmcore import VmcoreFacts
from kdumpwrap.render import html


def crash(
    analysis: Analysis,
    commands: Sequence[Command] = (),
    facts: Optional[VmcoreFacts] = None,
) -> str:
    """The page of one crash. The log around its report is read again from its file."""
    return html.page(analysis, log(analysis, facts), pasteable(commands), facts=facts)


class Site:
    """The pages of a batch: ``add`` takes crashes as they are done, ``write`` an index and a page for each bug."""

    def __init__(
        self,
        directory: str,
        place: str = "",
        search: Optional[Search] = None,
        scrub: Callable[[str], str] = str,
    ) -> None:
        """``directory`` is made when it is missing; ``place``: the directories of the crashes, in words.

        ``scrub`` changes each page before it is written.
        """
        self._directory = Path(directory)
        self._scrub = scrub
        self._search = search
        self._private = False  # whether a source of the index is not world-readable
        self._place = place
        self._examples: Dict[Signature, Analysis] = {}
        self._cases: Dict[Signature, List[html.Case]] = {}
        self._problems: List[Problem] = []
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise KdumpwrapError(f"{directory}: {getattr(error, 'strerror', None) or error}") from None

    def add(self, analysis: Analysis) -> None:
        """Add a crash. Of each bug only the best documented crash is kept whole."""
        crash, sign = analysis.crash, analysis.signature
        self._private = self._private or is_private(analysis, modules=False)
        if sign is None:
            self._problems.append(Problem(f"{crash.path}: no report of a crash in its log"))
            return
        self._cases.setdefault(sign, []).append(html.Case(crash.time, crash.host, analysis.kernel.release, crash.path))
        if sign not in self._examples or _told(analysis) > _told(self._examples[sign]):
            self._examples[sign] = analysis

    def write(self, problems: Sequence[Problem] = (), commands: Sequence[Command] = ()) -> None:
        """Write the pages. ``problems`` are those of the whole batch, ``commands`` all that it ran.

        Raises KdumpwrapError.
        """
        bugs = []
        for sign, analysis in self._examples.items():
            cases = sorted(self._cases[sign], key=lambda case: (case.time or "", case.path))
            name = f"{sign.id}.html"
            page = html.page(analysis, log(analysis), pasteable(concerning(analysis, commands)), cases)
            write(
                str(self._directory / name),
                self._scrub(page),
                private=self._private or is_private(analysis, None, self._search),
            )
            bugs.append(html.bug(analysis, name, cases))
        page = html.index(bugs, (*problems, *self._problems), self._place)
        write(str(self._directory / "index.html"), self._scrub(page), private=self._private)


def _told(analysis: Analysis) -> Tuple[bool, int, str]:
    """The rank of a crash: one with instructions, then the fewest problems, then the latest time represents its bug."""
    finding = analysis.finding
    return bool(finding and finding.resolution.disassembly), -len(analysis.problems), analysis.crash.time or ""


def log(analysis: Analysis, facts: Optional[VmcoreFacts] = None) -> Numbered:
    """The lines round the report that the page is about, numbered from 1; none when the log cannot be read again.

    Without a log beside the vmcore, they come from crash's answer to ``log``, else from what the analysis kept.
    """
    finding, path = analysis.finding, analysis.crash.dmesg
    report = finding.report if finding is not None else None
    if report is not None and path is None and facts is not None and facts.log is not None:
        found = excerpt.around(report, iter([facts.log.encode("utf-8", "replace")]))
        if any(number == report.line and report.headline in text for number, text in found):
            return found
    if report is None or path is None or path == "-":
        return analysis.around
    try:
        return excerpt.around(report, crashfile.blocks(path))
    except KdumpwrapError:
        return ()  # removed since the analysis: the page has no log


def is_private(
    analysis: Analysis, facts: Optional[VmcoreFacts] = None, search: Optional[Search] = None, *, modules: bool = True
) -> bool:
    """Whether a source of a page is not world-readable: the log, the dump, debug information, source files.

    With ``search`` and ``modules``, the files of these modules count too.
    """
    crash, release = analysis.crash, analysis.kernel.release
    made_of = {"/dev/stdin" if crash.dmesg == "-" else crash.dmesg, analysis.kernel.vmlinux}
    if crash.dmesg is None or contents.is_incomplete(crash.dmesg) or facts is not None:
        made_of.add(crash.vmcore)
    resolutions = [finding.resolution for finding in analysis.findings]
    made_of |= {str(one.source.path) for one in resolutions if one.source is not None}
    if search is not None and modules:
        names = {frame.module for one in resolutions for frame in one.frames if frame.module is not None}
        beside = Path(crash.dmesg or crash.vmcore or crash.path).parent
        made_of |= {str(file) for found in debuginfo.modules(names, release, search, beside).values() for file in found}
    return not all(files.is_public(file) for file in made_of if file is not None)


def write(path: str, page: str, *, private: bool) -> None:
    """Write ``page`` to ``path`` atomically, never through a link that is there.

    ``private``: the file has mode 0600. An open descriptor (/dev/stdout) and a device that is named itself (/dev/null)
    are written to directly. Raises KdumpwrapError.
    """
    file, own = Path(path), files.own_descriptor(path)
    try:
        if own is not None:
            with os.fdopen(os.dup(own), "w", encoding="utf-8") as stream:
                stream.write(page)
            return
        kind = file.lstat().st_mode if os.path.lexists(path) else 0
        if stat.S_ISCHR(kind):  # only root can make a device; no link was followed to it
            file.write_text(page, encoding="utf-8")
            return
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if kind and not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            raise OSError(errno.EINVAL, "not a regular file; --html - prints the page")
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".kdumpwrap-", delete=False
        ) as new:
            try:
                new.write(page)
                os.fchmod(new.fileno(), 0o600 if private else 0o666 & ~_umask())
                new.flush()
                Path(new.name).replace(file)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    Path(new.name).unlink()
                raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise KdumpwrapError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _umask() -> int:
    """The process's umask. Only setting it returns it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
