"""Input of crash(8): commands of one line, and paths that it takes as paths."""

import itertools
import re
from pathlib import Path

from kdumpwrap.errors import UsageError
from kdumpwrap.regex import regex
from kdumpwrap.tools.recording import note

LINE = 1500  # bytes: "crash: input line exceeds maximum of 1500 bytes"

# a path that crash takes as a path: "FILE@ADDRESS" is raw memory to it, and | > ; reach a shell in its commands
_PLAIN_PATH = regex(r"/[\w/.:+,=~%-]*", re.ASCII)


def check(command: str) -> str:
    """``command`` without blanks round it. Raises UsageError when crash cannot be given it as one line."""
    command = command.strip()
    if not re.fullmatch("[ -~]*", command):
        raise UsageError(f"{command!r}: a crash command is one line of plain ASCII")
    if len(command) >= LINE:
        raise UsageError(f"{command[:40]}…: longer than {LINE} bytes, which crash does not take")
    return command


def plain_path(path: Path, directory: Path) -> Path:
    """``path``, or a link to it in ``directory`` where crash would read its characters as something else."""
    path = path.absolute()
    if _PLAIN_PATH.fullmatch(str(path)):
        return path
    name = re.sub(r"[^\w.-]", "_", path.name, flags=re.ASCII)
    for number in itertools.count():  # vmlinux and vmcore of one name are two files, and none is one of ours
        link = directory / f"{number}-{name}"
        if not link.is_symlink():
            link.symlink_to(path)
            note(["ln", "-sf", str(path), str(link)])
        if link.resolve() == path.resolve():
            break
    return link
