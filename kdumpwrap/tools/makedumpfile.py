"""makedumpfile: the log out of a vmcore, and a flattened vmcore put in order."""

from pathlib import Path
from typing import NamedTuple, Optional

from kdumpwrap.parse import makedumpfile
from kdumpwrap.parse.makedumpfile import Vmcoreinfo
from kdumpwrap.tools.argv import options
from kdumpwrap.tools.run import run

_RATE = 10 << 20  # bytes a second: slower than any disk that is worth waiting for
_LEAST = 120.0  # seconds


class Dmesg(NamedTuple):
    """The log and VMCOREINFO of a vmcore; ``log`` is None when it could not be read, and ``cause`` says why."""

    log: Optional[Path]
    info: Vmcoreinfo
    cause: str = ""


def dmesg(vmcore: Path, into: Path) -> Dmesg:
    """The kernel log in ``vmcore``, written to the new file ``into``; 0.1 s and 3 MB, no vmlinux needed."""
    # it exits with 1 for whatever goes wrong
    output = run("makedumpfile", [*options("-D --dump-dmesg"), vmcore, into], ok=(0, 1), package="makedumpfile")
    info = makedumpfile.parse(output.text)
    if makedumpfile.completed(output.text) and into.is_file():
        return Dmesg(into, info)
    return Dmesg(None, info, makedumpfile.cause(output.stderr))


def rearrange(flattened: Path, into: Path, limit: int) -> None:
    """``flattened``, the stream of makedumpfile -F, as an ordinary vmcore in the new file ``into``, of ``limit`` bytes.

    Ask first whether the stream is whole: makedumpfile waits ten minutes for the end of one that was cut off.
    """
    timeout = max(_LEAST, flattened.stat().st_size / _RATE)
    run("makedumpfile", [*options("-R"), into], source=flattened, timeout=timeout, limit=limit, package="makedumpfile")
