"""``fetch``: fetched files, planned commands and kept builds, as text, ``--raw`` or ``--json``."""

from pathlib import Path
from typing import Optional, Sequence

from kdumpwrap.model.fetched import Build, Fetched
from kdumpwrap.moment import local
from kdumpwrap.render import keys
from kdumpwrap.render.raw import row
from kdumpwrap.render.text import clean
from kdumpwrap.render.walker import line, walk


def text(found: Fetched) -> str:
    """For people: each file with its size, or each command with the size of its download."""
    rows = [f"{_size(step.size):>8}  {clean(step.command)}\n" for step in found.steps]
    rows += [f"{_size(file.size):>8}  {clean(str(file.path))}\n" for file in found.files if file.kind != "source"]
    sources = [file.size for file in found.files if file.kind == "source"]
    if sources:
        rows.append(f"{_size(sum(sources)):>8}  {len(sources)} files of the source\n")
    sizes = [step.size for step in found.steps if step.size] or [file.size for file in found.files]
    if sizes and (len(rows) > 1 or found.steps):
        what = "to load" if found.steps else "kept"
        rows.append(f"{_size(sum(sizes)):>8}  {what}, in {clean(str(found.directory))}\n")
    return "".join(rows)


def raw(found: Fetched) -> str:
    """Rows ``release``, ``build_id`` and ``directory``, then ``file  KIND  PATH  BYTES`` or ``command  TEXT  BYTES``.

    ``problem  MESSAGE  HINT`` rows come last.
    """
    rows = [row("release", found.release), row("build_id", found.build_id), row("directory", _path(found.directory))]
    rows += [row("file", file.kind, str(file.path), file.size) for file in found.files]
    rows += [row("command", step.command, step.size) for step in found.steps]
    rows += [row("problem", problem.message, problem.hint) for problem in found.problems]
    return "".join(f"{line}\n" for line in rows)


def json(found: Fetched) -> str:
    """One object."""
    return line(walk(found, keys.FETCHED))


def kept_text(builds: Sequence[Build]) -> str:
    """For people: time of the last use, size, release and path of each build, whose build id ends the path."""
    width = max((len(build.release) for build in builds), default=0)
    rows = []
    for build in builds:
        time = (local(build.used) or "").replace("T", " ")
        rows.append(f"{time}  {_size(build.size):>8}  {clean(build.release):{width}}  {clean(str(build.path))}\n")
    return "".join(rows)


def kept_raw(builds: Sequence[Build]) -> str:
    """``TIME  RELEASE  BUILD-ID  BYTES  PATH`` for each build."""
    return "".join(
        row(local(build.used), build.release, build.build_id, build.size, str(build.path)) + "\n" for build in builds
    )


def kept_json(builds: Sequence[Build]) -> str:
    """One object for each build."""
    return "".join(line(walk(build, keys.KEPT)) for build in builds)


def _path(path: Optional[Path]) -> Optional[str]:
    return None if path is None else str(path)


def _size(octets: Optional[int]) -> str:
    if octets is None:
        return ""
    return f"{octets / 1e6:.0f} MB" if octets >= 1e6 else f"{octets / 1e3:.0f} kB"
