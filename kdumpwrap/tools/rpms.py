"""RPMs: loaded by dnf or yumdownloader, checked by rpm, unpacked by rpm2cpio and cpio."""

import shutil
from pathlib import Path
from typing import ClassVar, Mapping, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError, ToolFailed
from kdumpwrap.model.fetched import Offer, Step, Wants
from kdumpwrap.parse import repositories
from kdumpwrap.regex import regex
from kdumpwrap.tools import packaged
from kdumpwrap.tools.argv import Word, option, options, package, word
from kdumpwrap.tools.loader import LOADING, UNPACKING, Loader
from kdumpwrap.tools.pipe import Command, pipe
from kdumpwrap.tools.run import run

_LIST = options(r"-qp --nosignature --qf=[%{FILEMODES:perms}|%{LONGFILESIZES}|%{FILENAMES}\n]")
_ANY = tuple(range(256))  # the output of rpm has the cause, not its status
_GLOB = regex(r"[*?\[\]\\\n]")  # cpio takes names for patterns
_SPARE = 16 << 20  # bytes to leave free


class Dnf(Loader):
    """dnf of el8 and later and Fedora."""

    tool = "dnf"
    programs: ClassVar[Mapping[str, str]] = {"dnf": "dnf", "rpm": "rpm", "rpm2cpio": "rpm", "cpio": "cpio"}
    _query = (
        *options("repoquery -q"),
        *options(r"--qf=%{name}|%{version}-%{release}|%{arch}|%{repoid}|%{downloadsize}\n"),
    )
    _asker = "dnf"

    def __init__(self, machine: Optional[str] = None) -> None:
        """``machine``: of the packages, where it is not this host's."""
        self._machine = machine

    @property
    def _foreign(self) -> Tuple[Word, ...]:
        return (option("--forcearch={}", word(self._machine)),) if self._machine else ()

    def offers(self, packages: Sequence[str], timeout: float = LOADING) -> Tuple[Offer, ...]:
        """See Loader. A repository that cannot be reached is an error: it may have them."""
        names = tuple(map(package, packages))
        found = repositories.repoquery(
            run(self._asker, (*self._query, *self._foreign, *names), timeout=timeout, limit=None).text
        )
        # "kernel-debuginfo-5.14.0-503.el9.x86_64" was asked for, "kernel-debuginfo" is its name
        return tuple(
            offer._replace(name=asked)
            for asked in packages
            for offer in found
            if asked.startswith(f"{offer.name}-{offer.version}")
        )

    def _load(self, offer: Offer, directory: Path) -> str:
        return run(self.tool, self._loading(offer, directory), timeout=LOADING, limit=None).stderr

    def _loading(self, offer: Offer, directory: Path) -> Tuple[Word, ...]:
        return (*options("download -q"), *self._foreign, option("--destdir={}", directory), package(offer.name))

    def check(self, package: Path, offer: Offer) -> None:
        """See Loader: rpm -Kv. It accepts an unsigned package; here that is refused."""
        checked = run("rpm", (*options("--checksig -v"), package), ok=_ANY, timeout=UNPACKING)
        found = repositories.distrust(checked.text)
        if found is None:
            return
        why = found.why
        if not checked.text.strip().count("\n") and checked.stderr:
            why = checked.stderr.strip().splitlines()[0].replace(f"{package}: ", "")
        hint = shell.hint("rpm -Kv {}", package.name)
        if not found.known:
            hint = shell.hint("rpm --import KEY, with the key that {} names as gpgkey", offer.repository)
        elif not found.signed:
            hint = shell.hint("ask whoever runs {}", offer.repository)
        raise KdumpwrapError(f"{package.name} of {offer.repository} is not taken: {why}", hint)

    def unpack(self, package: Path, wants: Wants, into: Path) -> None:
        """See Loader: only names that the list of the package has, each a regular file, are handed to cpio."""
        listed = run("rpm", (*_LIST, package)).text
        sizes = {file.name: file.size for file in repositories.files(listed)}
        names = [name for name in packaged.chosen(sizes, wants) if not _GLOB.search(name)]
        need, free = sum(sizes[name] for name in names) + _SPARE, shutil.disk_usage(into).free
        if need > free:
            raise KdumpwrapError(f"{into.parent}: {need >> 20} MiB are needed, {free >> 20} MiB are free")
        if not names:
            return
        wanted = into.parent / "names"
        wanted.write_text("".join(f".{name}\n" for name in names), "utf-8")
        copy = (*options("-i --quiet --make-directories --no-absolute-filenames"), option("--pattern-file={}", wanted))
        complaints = pipe(Command("rpm2cpio", (package,)), Command("cpio", copy), directory=into, timeout=UNPACKING)
        for name in names:
            file = into / name.lstrip("/")
            if file.is_symlink() or not file.is_file() or file.stat().st_size != sizes[name]:
                first = complaints.strip().partition("\n")[0]
                what = f"{package.name}: {name} did not come out whole{f' ({first})' if first else ''}"
                raise ToolFailed(what)

    def steps(self, offers: Sequence[Offer], wants: Wants, directory: Path) -> Tuple[Step, ...]:
        """See Loader."""
        found = []
        for offer in offers:
            found.append(Step(shell.join((self.tool, *map(str, self._loading(offer, directory)))), offer.size))
            found.append(Step(shell.hint("rpm --checksig -v {}", directory / offer.file)))
            found.append(Step(shell.hint("rpm2cpio {} | cpio -i --pattern-file=NAMES", directory / offer.file)))
        return tuple(found)


class Yumdownloader(Dnf):
    """yum-utils of el7. yumdownloader ends with status 0 also when it finds nothing, or cannot load it."""

    tool = "yumdownloader"
    programs: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("yumdownloader", "repoquery"), "yum-utils"),
        **{tool: package for tool, package in Dnf.programs.items() if tool != "dnf"},
    }
    _query = options(r"-q --qf=%{name}|%{version}-%{release}|%{arch}|%{repoid}|%{size}")
    _asker = "repoquery"

    @property
    def _foreign(self) -> Tuple[Word, ...]:
        return (option("--archlist={}", word(self._machine)),) if self._machine else ()

    def _loading(self, offer: Offer, directory: Path) -> Tuple[Word, ...]:
        return (*options("-q"), *self._foreign, option("--destdir={}", directory), package(offer.name))
