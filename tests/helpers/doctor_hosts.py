"""Hosts for doctor's tests: the healthy ones of tests/data/doctor, copied, and made ill one fault at a time."""

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Optional

from kdumpwrap import moment

HEALTHY = Path(__file__).resolve().parent.parent / "data" / "doctor"
NAMES = tuple(sorted(path.name for path in HEALTHY.iterdir() if (path / "MANIFEST").exists()))
INSTALLED = datetime(2020, 1, 1).timestamp()  # when the files that git keeps were written


@dataclass(frozen=True)
class Tree:
    """A host's files. Paths are relative to its root: ``etc/kdump.conf``."""

    path: Path

    def text(self, path: str) -> str:
        return (self.path / path).read_text()

    def write(self, path: str, text: str, time: Optional[float] = None) -> None:
        """Write a file as if that had been long ago, or at ``time``."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink() or file.exists():
            file.unlink()
        file.write_text(text)
        os.utime(file, (time or INSTALLED,) * 2)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change every ``old`` in a file; it has to be there."""
        text = self.text(path)
        assert old in text, f"no {old} in {path}"
        self.write(path, text.replace(old, new))

    def append(self, path: str, text: str) -> None:
        self.write(path, self.text(path) + text)

    def remove(self, *paths: str) -> None:
        """Take files, links and directories away; each has to be there."""
        for path in paths:
            file = self.path / path
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink()

    def touch(self, path: str, day: str) -> None:
        """Make a file look as if it had been written on ``day``: 2025-01-31."""
        os.utime(self.path / path, (moment.parse(day).timestamp(),) * 2)

    def make_image(self) -> "Tree":
        """What a mounted disk shows: nothing of a running kernel."""
        self.remove("proc", "sys")
        return self


def build(name: str, where: Path) -> Tree:
    """A copy of the healthy host ``name`` in ``where``, completed by what its MANIFEST lists."""
    shutil.copytree(HEALTHY / name, where, symlinks=True, ignore=shutil.ignore_patterns("MANIFEST"))
    for top, directories, names in os.walk(where):
        for entry in (*directories, *names):
            os.utime(Path(top, entry), (INSTALLED, INSTALLED), follow_symlinks=False)
    for line in (HEALTHY / name / "MANIFEST").read_text().splitlines():
        if line and not line.startswith("#"):
            _place(where, line)
    return Tree(where)


def _place(where: Path, line: str) -> None:
    """``2024-11-12T08:20  boot/vmlinuz-…``; a directory ends in ``/``, a link says ``-> where``."""
    when, _, rest = line.partition("  ")
    path, _, target = rest.partition(" -> ")
    file = where / path.rstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    if target:
        file.symlink_to(target)
    elif path.endswith("/"):
        file.mkdir()
    else:
        file.write_bytes(b"")
        file.chmod(0o755)
    time = moment.parse(when).timestamp()
    os.utime(file, (time, time), follow_symlinks=False)
