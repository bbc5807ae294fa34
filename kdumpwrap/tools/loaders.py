"""The package manager of the host that loads a kernel's packages."""

import shutil
from typing import Optional

from kdumpwrap.errors import KdumpwrapError, ToolMissing
from kdumpwrap.host import packages
from kdumpwrap.tools.debs import Apt
from kdumpwrap.tools.loader import Loader
from kdumpwrap.tools.rpms import Dnf, Yumdownloader
from kdumpwrap.tools.run import missing


def of(family: str, machine: Optional[str] = None) -> Loader:
    """The loader for packages of ``family``; ``machine``: theirs, where it is not this host's.

    Raises KdumpwrapError when there is none on this host.
    """
    if family == "debian":
        if shutil.which(Apt.tool) is None:
            raise KdumpwrapError("its debuginfo is a Debian package, and no apt-get is here")
        return Apt(machine)
    for kind in (Dnf, Yumdownloader):
        if shutil.which(kind.tool) is not None:
            return kind(machine)
    if shutil.which("yum") is not None:
        raise missing("yumdownloader", "yum-utils")
    what = "its debuginfo is an RPM, and neither dnf nor yumdownloader is here"
    raise ToolMissing(what, packages.install("dnf"), "dnf")
