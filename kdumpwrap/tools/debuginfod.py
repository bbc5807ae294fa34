"""Debuginfo by build id from a debuginfod server: only when asked for, since a vmlinux of 600 MB may take minutes."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Optional, Tuple

from kdumpwrap import shell
from kdumpwrap.debuginfo import Debuginfod
from kdumpwrap.errors import KdumpwrapError, ToolFailed, ToolTimeout
from kdumpwrap.host import files
from kdumpwrap.literal import Literal
from kdumpwrap.regex import regex
from kdumpwrap.tools.argv import word
from kdumpwrap.tools.progress import told
from kdumpwrap.tools.run import LONGEST, missing, run

Sought = Literal["debuginfo", "executable", "source"]

_LIST = 1 << 16  # bytes of a list of servers
TIMEOUT = 900.0  # seconds for one file
LARGEST = 8 << 30  # bytes of a file; the vmlinux of a distribution has 0.6 to 1.5 GB
_BUILD_ID = regex(r"[0-9a-f]{8,64}")
_LISTED = regex(r"https?://|ima:")  # "ima:enforcing https://debuginfod.fedoraproject.org/" (elfutils 0.191)
_VARIABLE = "DEBUGINFOD_URLS"
# elfutils says this when every server answered that it has none
_NOT_FOUND = ("No such file or directory", "not found")


def servers(root: Path = Path("/")) -> Tuple[str, ...]:
    """The servers that $DEBUGINFOD_URLS names, else those of /etc/debuginfod/*.urls (Fedora, CentOS Stream).

    Of these files only network addresses count: a ``file://`` would make us read files that its writer may not read.
    An image under examination does not name the host's servers: ``root`` is another directory in tests alone.
    """
    named = os.environ.get(_VARIABLE, "").split()
    if not named:
        for file in sorted(root.glob("etc/debuginfod/*.urls")):
            with contextlib.suppress(OSError):
                named += filter(_LISTED.match, files.text(file, limit=_LIST, inside=root).split())
    return tuple(dict.fromkeys(named))


def timeout() -> float:
    """Seconds for one file: $KDUMPWRAP_DEBUGINFOD_TIMEOUT, else TIMEOUT."""
    try:
        limit = float(os.environ.get("KDUMPWRAP_DEBUGINFOD_TIMEOUT", ""))
    except ValueError:
        return TIMEOUT
    return min(limit, LONGEST) if limit > 0 else TIMEOUT


def fetch(
    build_id: str, what: Sought, client: Debuginfod, *, file: Optional[Path] = None, cache: Optional[Path] = None
) -> Path:
    """The path of the file of the kind ``what`` that the servers have for ``build_id``.

    A "source" is the ``file`` of that name in the debug information. The path is in ``cache``, by default debuginfod's
    own cache, and the file stays there. Raises KdumpwrapError when no server is named or none has the file, when the
    time limit is over, or without debuginfod-find.
    """
    if not _BUILD_ID.fullmatch(build_id):
        raise KdumpwrapError(f"{build_id!r} is no build id")
    if not client.servers:
        raise KdumpwrapError(
            f"--debuginfod: {_VARIABLE} names no server",
            shell.hint("DEBUGINFOD_URLS=https://debuginfod.centos.org/ kdumpwrap …"),
        )
    if shutil.which("debuginfod-find") is None:
        raise missing("debuginfod-find")
    cache = cache or _cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)  # debuginfod-find makes the last directory alone
    except OSError as error:
        raise KdumpwrapError(
            f"debuginfod: {cache}: {error.strerror}", shell.hint("DEBUGINFOD_CACHE_PATH=DIR kdumpwrap …")
        ) from None
    variables = {  # the environment of our tools forbids downloads: this tool must make one
        _VARIABLE: " ".join(client.servers),
        "DEBUGINFOD_CACHE_PATH": str(cache.absolute()),
        "DEBUGINFOD_MAXTIME": str(max(1, round(client.timeout))),
    }
    arguments = (word(what), word(build_id), *((file,) if file else ()))
    directory = cache / build_id
    try:
        with told(client.tell, lambda: f"debuginfod: {what} of build id {build_id}: {_size(directory) >> 20} MiB"):
            output = run("debuginfod-find", arguments, timeout=client.timeout + 5, limit=LARGEST, variables=variables)
    except ToolTimeout:
        raise KdumpwrapError(
            f"debuginfod: {what} of build id {build_id} did not come within {client.timeout:g} s",
            shell.hint("what has come so far is lost; try again with more time: KDUMPWRAP_DEBUGINFOD_TIMEOUT=SECONDS"),
        ) from None
    except ToolFailed as error:
        # elfutils remembers a miss for ten minutes: cache_miss_s of debuginfod_find_debuginfo(3)
        again = shell.hint("to ask once more within ten minutes: rm -r {}", cache / build_id)
        raise KdumpwrapError(_reason(error, build_id, what, client), again) from None
    path = Path(output.text.strip())
    if not path.is_file():
        raise ToolFailed(f"debuginfod-find printed no file: {output.text.strip()[:200]!r}")
    return path


def _reason(error: ToolFailed, build_id: str, what: str, client: Debuginfod) -> str:
    names = ", ".join(client.servers)
    if any(words in error.said for words in _NOT_FOUND):
        return f"debuginfod: {names} has no {what} of build id {build_id}"
    return f"debuginfod: {what} of build id {build_id} could not be had from {names}: {error.said or error.message}"


def _cache() -> Path:
    """The cache directory of debuginfod-find: see debuginfod-find(1)."""
    named = os.environ.get("DEBUGINFOD_CACHE_PATH")
    if named:
        return Path(named)
    home = Path(os.environ.get("HOME") or "/")
    old = home / ".debuginfod_client_cache"
    if old.is_dir():
        return old
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "debuginfod_client"


def _size(directory: Path) -> int:
    """Bytes of the largest file in ``directory``, the one that is being downloaded; 0 without one."""
    try:
        return max((entry.stat().st_size for entry in os.scandir(directory)), default=0)
    except OSError:
        return 0
