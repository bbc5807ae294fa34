"""``fetch``: fetched files, planned commands and kept builds, as text, ``--raw`` or ``--json``."""

from typing import Sequence

from kdumpwrap.model.fetched import Build, Fetched
from kdumpwrap.moment import local
from kdumpwrap.render.raw import row
from kdumpwrap.render.text import clean, size


def text(found: Fetched) -> str:
    """For people: each file with its size, or each command with the size of its download."""
    rows = [f"{size(step.size):>8}  {clean(step.command)}\n" for step in found.steps]
    rows += [f"{size(file.size):>8}  {clean(str(file.path))}\n" for file in found.files if file.kind != "source"]
    sources = [file.size for file in found.files if file.kind == "source"]
    if sources:
        rows.append(f"{size(sum(sources)):>8}  {len(sources)} files of the source\n")
    sizes = [step.size for step in found.steps if step.size] or [file.size for file in found.files]
    if sizes and (len(rows) > 1 or found.steps):
        what = "to load" if found.steps else "kept"
        rows.append(f"{size(sum(sizes)):>8}  {what}, in {clean(str(found.directory))}\n")
    return "".join(rows)


def raw(found: Fetched) -> str:
    """Rows ``release``, ``build_id`` and ``directory``, then ``file  KIND  PATH  BYTES`` or ``command  TEXT  BYTES``.

    ``problem  MESSAGE  HINT`` rows come last.
    """
    rows = [row("release", found.release), row("build_id", found.build_id), row("directory", found.directory)]
    rows += [row("file", file.kind, file.path, file.size) for file in found.files]
    rows += [row("command", step.command, step.size) for step in found.steps]
    rows += [row("problem", problem.message, problem.hint) for problem in found.problems]
    return "".join(f"{line}\n" for line in rows)


def kept_text(builds: Sequence[Build]) -> str:
    """For people: time of the last use, size, release and path of each build, whose build id ends the path."""
    width = max((len(build.release) for build in builds), default=0)
    rows = []
    for build in builds:
        time = (local(build.used) or "").replace("T", " ")
        rows.append(f"{time}  {size(build.size):>8}  {clean(build.release):{width}}  {clean(str(build.path))}\n")
    return "".join(rows)


def kept_raw(builds: Sequence[Build]) -> str:
    """``TIME  RELEASE  BUILD-ID  BYTES  PATH`` for each build."""
    return "".join(
        row(local(build.used), build.release, build.build_id, build.size, build.path) + "\n" for build in builds
    )
