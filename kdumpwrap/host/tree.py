"""Reading a host's files, be it this one, a mounted image, or an sosreport. No tool is run here.

Symbolic links are followed inside the root alone: a link of an image that says /etc/shadow means the image's.
"""

import os
import stat
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from kdumpwrap.errors import ReadFailed
from kdumpwrap.host import files
from kdumpwrap.regex import regex

LIMIT = 1 << 20  # bytes; grub.cfg has some KiB, installed-rpms some 100
_NUMBER = regex(r"-?[0-9]{1,20}")
_LINKS = 40  # as the kernel allows


class Denied(Exception):
    """A file exists, but this user may not read it, or the system fails to."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Host:
    """The files below ``root``. Paths are paths of that host, such as ``/etc/kdump.conf``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.live = root.resolve() == Path("/")  # only then are commands run and device nodes looked at
        self._texts: Dict[str, Optional[str]] = {}
        self.report = not self.live and self.is_dir("/sos_commands")  # an sosreport: some files, some commands' output

    def text(self, path: str, limit: int = LIMIT) -> Optional[str]:
        """The text of the regular file ``path``, at most ``limit`` bytes; None when there is none. Raises Denied."""
        if path not in self._texts:
            self._texts[path] = self._read(path, limit)
        return self._texts[path]

    def word(self, path: str) -> Optional[str]:
        """The text of a one-value file of /proc or /sys, without its newline."""
        text = self.text(path)
        return None if text is None else text.strip()

    def number(self, path: str) -> Optional[int]:
        """The number in a file of /proc or /sys; None when there is none."""
        word = self.word(path)
        return int(word) if word and _NUMBER.fullmatch(word) else None

    def names(self, directory: str) -> Tuple[str, ...]:
        """The names in the directory, sorted; empty when there is none. Raises Denied."""
        real = self.locate(directory)
        if real is None:
            return ()
        try:
            with files.faults(real):
                return tuple(sorted(entry.name for entry in real.iterdir()))
        except (PermissionError, ReadFailed):
            raise Denied(directory) from None
        except OSError:
            return ()

    def exists(self, path: str) -> bool:
        """Whether ``path`` is there, its links followed. Raises Denied."""
        return self.locate(path) is not None

    def any(self, *paths: str) -> Optional[str]:
        """The first of ``paths`` that exists."""
        return next((path for path in paths if self.exists(path)), None)

    def is_dir(self, path: str) -> bool:
        """Whether ``path`` is a directory."""
        mode = self._mode(path)
        return mode is not None and stat.S_ISDIR(mode)

    def modified(self, path: str) -> Optional[int]:
        """The mtime of ``path`` in whole seconds, as kdumpctl compares it; None when the file is missing."""
        real = self.locate(path)
        try:
            return None if real is None else int(real.stat().st_mtime)
        except OSError:
            return None

    def link(self, path: str) -> Optional[str]:
        """The target of the link ``path``, whether or not that exists; None when it is no link."""
        directory, _, name = path.rpartition("/")
        parent = self.locate(directory)
        try:
            return None if parent is None else os.readlink(str(parent / name))
        except OSError:
            return None

    def locate(self, path: str) -> Optional[Path]:
        """The path here of the host's ``path``, with every link followed below the root; None when it is missing."""
        todo: List[str] = path.split("/")[::-1]
        done: List[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
            if part in ("", ".", ".."):
                continue
            here = self.root.joinpath(*done, part)
            try:
                target = os.readlink(str(here)) if stat.S_ISLNK(here.lstat().st_mode) else None
            except PermissionError:
                raise Denied(path) from None
            except (OSError, ValueError):  # ValueError: an embedded NUL byte
                return None
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > _LINKS:
                return None
            if target.startswith("/"):
                done = []
            todo += target.split("/")[::-1]
        return self.root.joinpath(*done)

    def _mode(self, path: str) -> Optional[int]:
        real = self.locate(path)
        try:
            return None if real is None else real.stat().st_mode
        except OSError:
            return None

    def _read(self, path: str, limit: int) -> Optional[str]:
        real = self.locate(path)
        if real is None:
            return None
        try:
            return files.read(real, limit=limit, inside=self.root, made_up=True).decode("utf-8", "backslashreplace")
        except (PermissionError, ReadFailed):
            raise Denied(path) from None
        except OSError:
            return None
