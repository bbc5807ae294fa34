"""Debian's and Ubuntu's packages: loaded and checked by apt-get, unpacked by dpkg-deb and tar."""

import errno
import os
import shutil
from pathlib import Path
from typing import ClassVar, Mapping, Optional, Sequence, Tuple

from kdumpwrap import shell
from kdumpwrap.errors import KdumpwrapError, ToolFailed
from kdumpwrap.model.fetched import Offer, Step, Wants
from kdumpwrap.parse import repositories
from kdumpwrap.tools import packaged
from kdumpwrap.tools.argv import Argument, option, options, package
from kdumpwrap.tools.loader import LOADING, UNPACKING, Loader
from kdumpwrap.tools.pipe import Command, pipe
from kdumpwrap.tools.run import run

_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el", "i386": "i386", "s390x": "s390x", "arm": "armhf"}
_DOWNLOAD = options("-q download")  # of apt-get
_URIS = options("-q --print-uris download")
_UNKNOWN = ("Unable to locate package", "Can't find a source to download", "Version '")  # apt 2.6
_TAR = options("-x --no-same-owner --no-same-permissions --anchored --wildcards")
# "tar: linux-source-6.1/a.c: Not found in archive", "tar: Exiting with failure status due to previous errors"
_ABSENT = ("Not found in archive", "Exiting with failure status due to previous errors")


class Apt(Loader):
    """apt-get. It checks what it loads against the signed list of the repository."""

    tool = "apt-get"
    programs: ClassVar[Mapping[str, str]] = {"apt-get": "apt", "dpkg-deb": "dpkg", "tar": "tar", "xz": "xz-utils"}
    ratio = 2

    def __init__(self, machine: Optional[str] = None) -> None:
        """``machine``: of the packages, where it is not this host's."""
        self._suffix = f":{_NAMES.get(machine, machine)}" if machine else ""

    def offers(self, packages: Sequence[str], timeout: float = LOADING) -> Tuple[Offer, ...]:
        """See Loader."""
        found = []
        for name in packages:
            plain = name.partition("=")[0]
            said = _apt((*_URIS, package(self._full(name))), absent=True, timeout=timeout)
            found += [offer for offer in repositories.uris(said) if offer.name == plain]
        return tuple(found)

    def _full(self, name: str) -> str:
        plain, equal, version = name.partition("=")
        return f"{plain}{'' if plain.startswith('linux-source') else self._suffix}{equal}{version}"

    def _load(self, offer: Offer, directory: Path) -> str:
        """See Loader. apt-get writes where it runs; it checks what it loads against the repository's signed list."""
        name = package(self._full(f"{offer.name}={offer.version}"))
        _apt((*_DOWNLOAD, name), directory)
        return ""  # an error of apt-get was raised

    def check(self, package: Path, offer: Offer) -> None:
        """See Loader: apt-get has checked the signature, so only the size is compared."""
        if offer.size is not None and package.stat().st_size != offer.size:
            if shutil.disk_usage(package.parent).free < offer.size - package.stat().st_size:
                raise KdumpwrapError(f"{package}: {os.strerror(errno.ENOSPC)}")  # apt-get does not report it
            what = f"{package.name}: {package.stat().st_size} bytes came, {offer.repository} has {offer.size}"
            raise KdumpwrapError(what, shell.hint("apt-get update"))

    def unpack(self, package: Path, wants: Wants, into: Path) -> None:
        """See Loader. Debian's sources are an archive in the package."""
        if package.name.startswith("linux-source"):
            self._unpack_sources(package, wants, into)
            return
        wanted = into.parent / "names"
        wanted.write_text("".join(f"{pattern}\n" for pattern in packaged.patterns(wants)), "utf-8")
        _piped(package, (*_TAR, *options("--verbatim-files-from"), option("--files-from={}", wanted)), into)

    def _unpack_sources(self, package: Path, wants: Wants, into: Path) -> None:
        held = into.parent / "held"
        held.mkdir()
        _piped(package, (*_TAR, *options("--wildcards ./usr/src/linux-source-*.tar.*")), held)
        archives = [path for path in held.rglob("linux-source-*.tar.*") if path.is_file() and not path.is_symlink()]
        wanted = into.parent / "names"
        for archive in archives:
            top = archive.name.partition(".tar.")[0]
            tails = (tail for file in wants.sources for tail in packaged.tails(file))
            wanted.write_text("".join(f"{top}/{tail}\n" for tail in dict.fromkeys(tails)), "utf-8")
            argv = (
                *options("-x --no-same-owner --no-wildcards"),
                *options("--verbatim-files-from"),
                option("--files-from={}", wanted),
                *options("-f"),
            )
            done = run("tar", (*argv, archive), directory=into, timeout=UNPACKING, limit=None, ok=(0, 2))
            _complained(done.stderr)
            archive.unlink()

    def steps(self, offers: Sequence[Offer], wants: Wants, directory: Path) -> Tuple[Step, ...]:
        """See Loader."""
        found = []
        for offer in offers:
            name = self._full(f"{offer.name}={offer.version}")
            found.append(Step(shell.hint("cd {} && apt-get -q download {}", directory, name), offer.size))
            found.append(
                Step(shell.hint("dpkg-deb --fsys-tarfile {} | tar -x --files-from=NAMES", directory / offer.file))
            )
        return tuple(found)


def _apt(
    arguments: Sequence[Argument], directory: Path = Path("/"), *, absent: bool = False, timeout: float = LOADING
) -> str:
    """The output of apt-get; ``absent``: "" where it does not know the package. Raises ToolFailed with its error."""
    done = run("apt-get", arguments, directory=directory, timeout=timeout, limit=None, ok=(0, 100))
    errors = [line[3:] for line in done.stderr.splitlines() if line.startswith("E: ")]  # behind its warnings
    if absent and errors and errors[0].startswith(_UNKNOWN):
        return ""
    if errors:
        raise ToolFailed(f"apt-get failed: {errors[0]}", shell.join(("apt-get", *map(str, arguments))))
    return done.text


def _piped(package: Path, arguments: Sequence[Argument], into: Path) -> None:
    archive = Command("dpkg-deb", (*options("--fsys-tarfile"), package))
    _complained(pipe(archive, Command("tar", arguments), directory=into, timeout=UNPACKING, ok=(0, 2)))


def _complained(stderr: str) -> None:
    """Raises ToolFailed for a complaint of tar that is not about a name that the archive does not have."""
    for line in stderr.splitlines():
        if line and not line.endswith(_ABSENT) and ": Removing leading `" not in line:
            raise ToolFailed(line)
