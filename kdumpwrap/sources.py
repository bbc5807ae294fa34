"""The sources of a release: their paths, and the lines round a given one. Only the file system is read."""

import posixpath
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Optional, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.debuginfo import Search
from kdumpwrap.host import fetched, files
from kdumpwrap.host import release as releases
from kdumpwrap.regex import regex

if TYPE_CHECKING:
    from kdumpwrap.model.kernel import Source

_SOURCE_NAME = regex(r".*\.(?:c|h|S|s|rs|inc|C|cc|cpp|hpp|lds|y|l)$")
_A_SOURCE = "init/main.c"  # that every kernel has, and no package of headers
_SOURCE_SIZE = 16 << 20  # bytes; amdgpu's generated headers have 15 MB


def find(
    file: str,
    line: int,
    release: Optional[str],
    search: Search,
    *,
    column: Optional[int] = None,
    context: int = 6,
    beside: Optional[Path] = None,
) -> "Optional[Source]":
    """The lines round ``line`` of the file that the debug information calls ``file``; None when it is not here.

    ``column`` is the byte of that line, from 1, at which the faulting expression begins. Raises ReadFailed.
    """
    if not _SOURCE_NAME.match(file):  # a crafted debug information must not make us show /etc/shadow
        return None
    for directory, path in _source_paths(file, release, search, beside):
        try:
            content = files.read(path, limit=_SOURCE_SIZE, inside=directory)
        except OSError:
            continue
        lines = content.replace(b"\r\n", b"\n").split(b"\n")  # and at no form feed, as compilers count
        if not lines[-1]:
            del lines[-1]  # behind the last newline
        if line <= len(lines):
            first = max(1, line - context)
            shown = tuple(map(_decoded, lines[first - 1 : line + context]))
            from kdumpwrap.model.kernel import Source

            return Source(file, path, first, shown, line, _character(lines[line - 1], column))
    return None


def _character(line: bytes, column: Optional[int]) -> Optional[int]:
    """The number of the character, from 1, at the byte ``column`` of ``line``; None where the line has no such byte."""
    if column is None or not 0 < column <= len(line):
        return None
    return len(_decoded(line[: column - 1])) + 1


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


def _source_paths(
    file: str, release: Optional[str], search: Search, beside: Optional[Path]
) -> Iterator[Tuple[Path, Path]]:
    """A directory that no link may lead out of, and the path of a file in it that may be ``file``."""
    parts = [part for part in posixpath.normpath(file).split("/") if part not in ("", "..")]
    tails = ["/".join(parts[start:]) for start in range(len(parts))]  # the longest first
    for directory in (*search.source_dirs, *([beside] if beside else [])):
        for tail in tails:
            yield directory, directory / tail
    for top in filter(_is_there, _trees(release, search.root)):
        for tail in tails[:-1]:  # a bare "main.c" at the top of a tree would be another file
            yield search.root, top / tail  # Ubuntu's trees are full of links to the one beside them
    for build in debuginfo.builds(release, search):
        for tail in tails[:-1]:
            yield build, build / fetched.SOURCE / tail
    if file.startswith("/"):
        for path in (search.root / file.lstrip("/"), Path(file)):
            yield path.parent, path


def _is_there(top: Path) -> bool:
    """Whether ``top`` is a directory. Raises ReadFailed where its file system does not answer."""
    with suppress(OSError), files.faults(top):
        return stat.S_ISDIR(top.stat().st_mode)
    return False


def tree(release: Optional[str], root: Path) -> Optional[Path]:
    """The sources of the kernel ``release`` below ``root``; None where only headers are installed, or nothing."""
    return next((path for path in _trees(release, root) if (path / _A_SOURCE).is_file()), None)


def packed(release: Optional[str], root: Path) -> Optional[Path]:
    """The archive with the sources of ``release`` that Debian's and Ubuntu's linux-source installs, if it is there."""
    kernel = releases.parse(release)
    found = kernel and sorted(root.glob(f"usr/src/linux-source-{kernel.minor}*.tar.*"))
    return found[0] if found else None


def _trees(release: Optional[str], root: Path) -> Iterator[Path]:
    """Kernel sources installed for ``release``. Flavours share the tree of the kernel they are built from."""
    kernel = releases.parse(release)
    if kernel is None:
        return
    for name in dict.fromkeys((kernel.text, kernel.base)):
        with files.faults(root / "usr/src/debug"):  # up to Python 3.12 glob raises what later ones pass over
            found = sorted(root.glob(f"usr/src/debug/kernel-*/linux-{name}"))
        yield from found
        for path in ("lib/modules/{}/source", "usr/src/kernels/{}", "lib/modules/{}/build", "usr/src/linux-{}"):
            yield root / path.format(name)
    for path in (f"usr/src/linux-source-{kernel.minor}", f"usr/src/linux-source-{kernel.minor}.0"):  # Debian, Ubuntu
        yield root / path
