"""The package of a file: rpm -qf, dpkg -S."""

import os
import shutil
from pathlib import Path
from typing import List, Optional, Sequence

from kdumpwrap.errors import KdumpwrapError, ToolStopped
from kdumpwrap.tools.argv import Argument, option, options
from kdumpwrap.tools.run import run

_TIMEOUT = 20.0  # seconds
_RPM = ("var/lib/rpm", "usr/lib/sysimage/rpm")  # the latter since Fedora 36 and el10


def owner(file: Path, root: Path) -> Optional[str]:
    """The package that ``file`` (below ``root``) belongs to: ``kmod-xxxwan-1.4.2-1.el8.x86_64``, ``xxxwan-dkms``.

    None when it belongs to none, or that is not known. Raises ToolStopped.
    """
    inside = Path("/", os.path.relpath(file, root))
    elsewhere = root.resolve() != Path("/")
    if shutil.which("rpm") and any((root / place).is_dir() for place in _RPM):
        where: List[Argument] = [*options("--root"), root.resolve()] if elsewhere else []
        return _first("rpm", [*where, *options("-qf --queryformat %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n"), inside])
    if shutil.which("dpkg") and (root / "var/lib/dpkg/status").is_file():
        where = [option("--root={}", root.resolve())] if elsewhere else []
        # "xxxwan-dkms: /lib/modules/6.1.0-47-amd64/updates/xxxwan.ko"; /usr/lib where the package says /lib, or not
        text = str(inside)
        twin = Path(text[len("/usr") :] if text.startswith("/usr/lib/") else f"/usr{text}")
        found = _first("dpkg", [*where, *options("-S"), inside]) or _first("dpkg", [*where, *options("-S"), twin])
        return found.partition(":")[0] if found else None
    return None


def _first(tool: str, arguments: Sequence[Argument]) -> Optional[str]:
    """The first line that a package manager prints; None when it fails. Raises ToolStopped."""
    try:
        lines = run(tool, arguments, timeout=_TIMEOUT).text.splitlines()
    except ToolStopped:
        raise
    except KdumpwrapError:
        return None
    return lines[0].strip() if lines and lines[0].strip() else None
