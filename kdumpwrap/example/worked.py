"""The worked example: a small tree shaped like a CentOS host, with one crash and the piece of vmlinux it needs.

scripts/example/build makes the vmlinux from assembly.
"""

import tempfile
import zipfile
from pathlib import Path
from typing import Optional

from kdumpwrap.tools.recording import note

_unpacked: Optional["tempfile.TemporaryDirectory[str]"] = None  # removed when the interpreter ends


def root() -> Path:
    """The tree's top: what ``--root`` takes. Out of a zipapp it is unpacked first: nm reads no zip."""
    global _unpacked  # noqa: PLW0603
    here = Path(__file__).parent / "root"
    if here.is_dir():
        return here
    if _unpacked is None:
        _unpacked = tempfile.TemporaryDirectory(prefix="kdumpwrap-example-")
        archive = next(parent for parent in here.parents if parent.is_file())
        note(["python3", "-m", "zipfile", "-e", str(archive), f"{_unpacked.name}/"])
        inside = f"{here.relative_to(archive)}/"
        with zipfile.ZipFile(archive) as file:
            file.extractall(_unpacked.name, [name for name in file.namelist() if name.startswith(inside)])
    return Path(_unpacked.name, here.relative_to(next(parent for parent in here.parents if parent.is_file())))
