"""The variables at a crash, by gdb: one process for each vmlinux or module, whatever the number of crashes.

gdb gets the registers as core files without memory, so no vmcore is opened.
"""

import hashlib
import json
import os
import pkgutil
import re
import shutil
import stat
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.arch import core
from kdumpwrap.errors import KdumpwrapError, ToolFailed
from kdumpwrap.host import fetched, memory, packages
from kdumpwrap.model.scope import Question, Scope
from kdumpwrap.parse import gdb as answers
from kdumpwrap.regex import regex
from kdumpwrap.tools.argv import Argument, is_word, option, options, word
from kdumpwrap.tools.recording import wrote
from kdumpwrap.tools.run import run

TIMEOUT = 60.0  # seconds: a vmlinux of 587 MB takes 1.8, and each crash 0.01 more
MOST = 1 << 32  # bytes of memory that gdb may take, whatever a file says of itself
LEAST = 1 << 30  # bytes of memory that must be available: a vmlinux of 587 MB takes 382 MB, with an index to write 620
_FIRST = 0x100000  # address of a module's first section in the copy that gdb reads
_APART = 0x10000
_INDEX = 1 << 28  # bytes that gdb may write: an index
_LARGEST = 1 << 30  # bytes of a module's copy
_CACHE_BYTES = 1 << 29
_CACHE_DAYS = 60
# [ 3] .text             PROGBITS        0000000000000000 000070 000a31 00  AX  0   0 16  (readelf -W -S, binutils 2.40)
_SECTION = regex(
    r"^ *\[ *\d+\] (?P<name>\S+) +[A-Z_0-9]+ +(?P<address>[0-9a-f]+) +[0-9a-f]+ +"
    r"(?P<size>[0-9a-f]+) +[0-9a-f]+ +(?P<flags>[A-Za-z]*) ",
    re.M,
)


class NotAsked(KdumpwrapError):
    """gdb was not asked: it is not here, cannot do it, or the machine is too small for it."""


class File(NamedTuple):
    """An ELF file with debug information."""

    path: Path
    arch: str
    relocatable: bool
    readelf: str


def ask(
    file: File, questions: Sequence[Question], directory: Path, free: Optional[int] = None
) -> Tuple[Optional[Scope], ...]:
    """The scope of each question about ``file``, in their order; None where gdb could not tell.

    ``directory`` is private and empty; its owner removes it. ``free`` is how many bytes of memory gdb may take, None:
    what is available. Raises NotAsked or KdumpwrapError when gdb is missing, has no Python,
    fails, takes too long, or the machine has too little memory for it.
    """
    if file.arch not in core.LAYOUTS:
        raise NotAsked(f"the registers of {file.arch} cannot be handed to gdb")
    free = memory.unused() if free is None else free
    if free < LEAST:
        raise NotAsked(f"gdb wants {LEAST >> 20} MB of memory, {free >> 20} MB are available")
    sections = _sections(file)
    bases = {name: section.first for name, section in sections.items()} if file.relocatable else {}
    path = _moved(file, bases, directory) if file.relocatable else file.path
    asked: List[Dict[str, object]] = []
    files: Dict[str, bytes] = {}
    for number, question in enumerate(questions):
        if question.section is None or question.section in bases:
            asked.append(_question(file.arch, question, bases, number, files))
    script = directory / "ask.py"
    told = {"sections": [tuple(section) for section in sections.values()], "questions": asked}
    files.update({"questions.json": json.dumps(told).encode(), script.name: _script()})
    for name, data in files.items():
        (directory / name).write_bytes(data)
        if len(questions) == 1:  # the files of a whole batch are too many to make by hand
            wrote(directory / name, data)
    program = _program(file.arch)
    arguments = [*options("-nx -nh -batch"), *_settings(file), path, *options("-x"), script]
    if shutil.which(program) is None:
        raise NotAsked(f"{program} is not installed", packages.install("gdb"))
    output = run(program, arguments, ok=(0, 1), package="gdb", timeout=TIMEOUT, memory=min(free, MOST), limit=_INDEX)
    found = answers.parse(output.text)
    if asked and not found:
        if _NO_PYTHON.search(output.stderr):
            raise NotAsked(f"{program} has no Python", packages.install("gdb"))
        raise ToolFailed(f"no variables: {_reason(output.stderr)}")
    return tuple(found.get(number) for number in range(len(questions)))


def _question(
    arch: str, question: Question, bases: Dict[str, int], number: int, files: Dict[str, bytes]
) -> Dict[str, object]:
    """The question as the script reads it; ``files`` gets its core files: the crash, and each register marked."""
    pc = question.address + bases.get(question.section or "", 0)
    given = core.spelled(arch, dict(question.registers))
    marks = core.marks(arch)
    unknown = {name: ~mark for name, mark in marks.items()}  # what they show of a value is not what the marks show
    files[f"core.{number}"] = core.core(arch, {**unknown, **given}, pc)
    files[f"marks.{number}"] = core.core(arch, marks, pc)
    chains = [
        {"register": chain.register, "hops": [{"offset": hop.offset, "percpu": hop.percpu} for hop in chain.hops]}
        for chain in question.chains
    ]
    return {
        "id": number,
        "core": f"core.{number}",
        "probe": f"marks.{number}",
        "marks": marks,
        "registers": given,
        "chains": chains,
    }


def _script() -> bytes:
    data = pkgutil.get_data("kdumpwrap.tools", "scope_in_gdb.py")  # also out of the one-file program
    if data is None:
        raise KdumpwrapError("scope_in_gdb.py is missing from this installation of kdumpwrap")
    return data


def _program(arch: str) -> str:
    named = os.environ.get("GDB")
    if named:
        return named
    foreign = arch != os.uname().machine
    return "gdb-multiarch" if foreign and shutil.which("gdb-multiarch") else "gdb"


def _settings(file: File) -> List[Argument]:
    settings = [option("set debuginfod enabled off"), option("set auto-load off")]
    cache = None if file.relocatable else _cache()
    if cache is not None and _asked_before(file.path, cache):
        # "index-cache enabled" since 12, "index-cache on" from 8.3 to then; each says only on stderr what it lacks
        settings += [option("set index-cache directory {}", cache), option("set index-cache enabled on")]
    return [word for setting in settings for word in (option("-iex"), setting)]


class _Section(NamedTuple):
    first: int
    end: int
    written: bool  # the kernel writes to it: the file's content is not that at the crash


def _sections(file: File) -> Dict[str, _Section]:
    """Each section that is loaded, by its name; the sections of a module get addresses that do not overlap."""
    text = run(file.readelf, [*options("-W -S"), file.path]).text
    found: Dict[str, _Section] = {}
    at = _FIRST
    for match in _SECTION.finditer(text):
        if "A" not in match["flags"] or match["name"] in found or not is_word(match["name"]):
            continue
        first, size = at if file.relocatable else int(match["address"], 16), int(match["size"], 16)
        found[match["name"]] = _Section(first, first + size, "W" in match["flags"])
        at += -(-size // _APART) * _APART + _APART
    return found


def _moved(file: File, bases: Dict[str, int], directory: Path) -> Path:
    """A copy of a module whose sections have these addresses: gdb's own layout puts all of some kernels' at 0."""
    copy = directory / "module.ko"
    prefix = file.readelf[: -len("readelf")] if file.readelf.endswith("readelf") else ""
    moves = [
        part
        for name, base in bases.items()
        for part in (option("--change-section-address"), option("{}={:#x}", word(name), base))
    ]
    run(f"{prefix}objcopy", [*moves, file.path, copy], package="binutils", limit=_LARGEST)
    return copy


def _cache() -> Optional[Path]:
    top = Path("/var/cache") if os.geteuid() == 0 else fetched.user_cache()
    try:
        return cache(top) if top is not None else None
    except OSError:  # no room, no right to write there
        return None


def _asked_before(path: Path, directory: Path) -> bool:
    """Whether a mark in ``directory`` says that the vmlinux was asked about before; else the mark is left there.

    Writing an index takes longer than a run without one (3 s, not 2): it saves time from the second question on.
    """
    try:
        found = path.stat()
        words = f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
        mark = directory / f"asked-{hashlib.sha256(words.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
        if mark.exists():
            mark.touch()
            return True
        mark.touch(mode=0o600)
    except OSError:
        pass
    return False


def cache(top: Path) -> Optional[Path]:
    """Our own directory below ``top`` for gdb's indexes, 37 MB for a vmlinux, trimmed; None where it is not ours.

    A directory of another owner, or one that others can write to, is not used: gdb trusts the indexes in it.
    Raises OSError.
    """
    directory = top / "kdumpwrap" / "gdb-index"
    directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    for part in (directory.parent, directory):
        found = part.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None
    directory.chmod(0o700)
    _trim(directory)
    return directory


def _trim(directory: Path) -> None:
    """Remove the indexes that were not used for _CACHE_DAYS, and the oldest beyond _CACHE_BYTES."""
    files = sorted(((file, file.lstat()) for file in directory.iterdir()), key=lambda entry: -entry[1].st_atime)
    kept = 0
    for file, found in files:
        kept += found.st_size
        if kept > _CACHE_BYTES or time.time() - found.st_atime > _CACHE_DAYS * 86400:
            file.unlink()


# Python scripting is not supported in this copy of GDB.     Scripting in the "Python" language is not supported …
_NO_PYTHON = regex(r"Python scripting is not supported|Scripting in the \"Python\" language is not supported")


def _reason(stderr: str) -> str:
    """Why gdb gave no answer, from its complaints."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and "index-cache" not in line]
    return f"gdb said: {lines[-1][:200]}" if lines else "gdb printed nothing that is known"
