"""The host's own means to load a package without installing it: dnf, yumdownloader, apt-get."""

import os
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import Callable, ClassVar, Mapping, Optional, Sequence, Tuple

from kdumpwrap.errors import ToolFailed, ToolMissing
from kdumpwrap.model.fetched import Offer, Step, Wants
from kdumpwrap.tools.progress import told
from kdumpwrap.tools.run import LONGEST, missing

Tell = Optional[Callable[[str], object]]
UNPACKING = 3600.0  # seconds; a kernel's package takes 15 to 60 to decompress
LOADING = LONGEST  # the package managers give up by themselves when nothing comes


class Loader:
    """A package manager. ``packages`` are names as it takes them."""

    tool = ""
    programs: ClassVar[Mapping[str, str]] = MappingProxyType({})  # that it takes, each with its package
    ratio = 1  # the files that are kept take at least this many times the size of their package

    def lacking(self) -> Optional[ToolMissing]:
        """The program that must be installed before it can be used; None when it can."""
        for program, package in self.programs.items():
            if shutil.which(program) is None:
                return missing(program, package)
        return None

    def offers(self, packages: Sequence[str], timeout: float = LOADING) -> Tuple[Offer, ...]:
        """Those of ``packages`` that an enabled repository has. Raises KdumpwrapError when that stays unknown."""
        raise NotImplementedError

    def load(self, offer: Offer, directory: Path, tell: Tell) -> Path:
        """The package of ``offer``, loaded into ``directory`` (empty), its signature checked. Raises KdumpwrapError."""
        size = f" of {offer.size / 1e6:.0f} MB" if offer.size else ""

        def say() -> str:
            return f"{offer.name}: {_bytes(directory) / 1e6:.0f} MB{size}"

        with told(tell, say):
            said = self._load(offer, directory).strip()
        found = [path for path in sorted(directory.iterdir()) if path.is_file() and not path.is_symlink()]
        if len(found) != 1:
            what = f"{self.tool} ended well and brought {len(found) or 'no'} files instead of {offer.name}"
            first = said.partition("\n")[0]
            raise ToolFailed(f"{what} ({first})" if first else what)
        self.check(found[0], offer)
        return found[0]

    def _load(self, offer: Offer, directory: Path) -> str:
        """Load the package into ``directory``, and return what the program said on standard error."""
        raise NotImplementedError

    def check(self, package: Path, offer: Offer) -> None:
        """Raises KdumpwrapError when ``package`` is not what its distribution has signed."""
        raise NotImplementedError

    def unpack(self, package: Path, wants: Wants, into: Path) -> None:
        """Unpack what is wanted of ``package``, and perhaps more of it, into the empty directory ``into``."""
        raise NotImplementedError

    def steps(self, offers: Sequence[Offer], wants: Wants, directory: Path) -> Tuple[Step, ...]:
        """The commands that load, check and unpack the packages, for a person to read."""
        raise NotImplementedError


def _bytes(directory: Path) -> int:
    """Bytes in ``directory``, also in what is being written there now."""
    total = 0
    for top, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total
