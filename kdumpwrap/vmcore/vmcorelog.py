"""The kernel log of a vmcore that has no dmesg beside it, and the kernel's facts in VMCOREINFO."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from kdumpwrap import debuginfo, shell
from kdumpwrap.crashdir import crashfile, excerpt
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError, ToolFailed, ToolMissing
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.log import Log
from kdumpwrap.parse.makedumpfile import Vmcoreinfo
from kdumpwrap.tools import makedumpfile, unpack
from kdumpwrap.tools.argv import Word, options
from kdumpwrap.tools.recording import note

_END = b"\xff" * 16  # END_FLAG_FLAT_HEADER of makedumpfile.h, as offset and as size
_SPARE = 64 << 20  # bytes to leave free in the temporary directory
_MINUTES = 600.0  # seconds for crash --minimal on the largest vmlinux and a slow disk


class Dmesg(NamedTuple):
    log: Path
    info: Vmcoreinfo
    problem: Optional[Problem] = None  # what is wrong with the vmcore, though its log could be had


def read(vmcore: str, search: Search) -> Log:
    """The reports in the log of ``vmcore``, with the release, build id and KASLR offset of its VMCOREINFO.

    Raises KdumpwrapError with a line on the defect of the file.
    """
    from kdumpwrap.log import reader

    with tempfile.TemporaryDirectory(prefix="kdumpwrap-") as directory:
        found = extract(vmcore, search, Path(directory))
        log = reader.parse(crashfile.blocks(str(found.log)))
        index = log.subject
        shown = () if index is None else excerpt.around(log.reports[index], crashfile.blocks(str(found.log)))
    return log._replace(
        around=shown,
        release=found.info.release or log.release,
        kernel_offset=log.kernel_offset if log.kernel_offset is not None else found.info.kaslr_offset,
        build_id=found.info.build_id,
        problems=(found.problem,) if found.problem else (),
    )


def build_id(vmcore: str, *, unpack: bool) -> Optional[str]:
    """The build id in the VMCOREINFO of ``vmcore``; None when it has none (kernels before 5.9) or cannot be read.

    A vmcore that must be unpacked or rearranged first, which may take long, is read only with ``unpack``.
    """
    if not unpack and not crashfile.head(vmcore, 8).startswith(crashfile.PLAIN_DUMPS):
        return None
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-") as name:
        directory = Path(name)
        try:
            return makedumpfile.dmesg(_dump(vmcore, directory), directory / "dmesg").info.build_id
        except KdumpwrapError:
            return None


def extract(vmcore: str, search: Search, directory: Path) -> Dmesg:
    """The log of ``vmcore`` as a file in ``directory`` (private, removed by its owner); see read."""
    dump = _dump(vmcore, directory)
    hint = shell.NONE
    try:
        dmesg = makedumpfile.dmesg(dump, directory / "dmesg")
    except ToolMissing as missing:
        info = Vmcoreinfo(release_of(Crash(vmcore, vmcore=str(dump.resolve()))))
        dmesg, hint = makedumpfile.Dmesg(None, info, missing.message), missing.hint
    if dmesg.log is not None:
        return Dmesg(dmesg.log, dmesg.info)
    incomplete = " (kdump marked it so: it ran out of room)" if dmesg.info.incomplete else ""
    what = f"{vmcore}: {dmesg.cause}{incomplete}"
    if dmesg.info.release is None:
        raise KdumpwrapError(what, hint or shell.hint("kdumpwrap list"))
    # crash takes what makedumpfile refuses: dumps that lack their end, page compressions that it was built without
    try:
        search = search._replace(build_id=lambda: dmesg.info.build_id)
        log = _with_crash(dump, debuginfo.vmlinux(dmesg.info.release, search, Path(vmcore).parent), directory)
    except ToolMissing:
        raise KdumpwrapError(what, hint) from None
    except KdumpwrapError as error:
        raise KdumpwrapError(f"{what}, and crash does not get at its log: {error.message}", error.hint) from None
    return Dmesg(log, dmesg.info, Problem(f"{what}; crash got the log out of it", hint))


def _dump(vmcore: str, directory: Path) -> Path:
    """A dump that the tools can read: ``vmcore`` itself, or what it holds, unpacked and rearranged in ``directory``."""
    dump = directory / "vmcore"
    head = crashfile.head(vmcore, 16)
    if not head:
        raise KdumpwrapError(f"{vmcore}: empty", shell.hint("kdumpwrap doctor"))
    packed = unpack.by_head(head)  # Debian compresses the flattened dump once more when KDUMP_COMPRESSION is set
    if packed is not None:
        _ask_for_room(vmcore, directory, copies=2)
        dump = directory / "unpacked"
        try:
            unpack.unpack(Path(vmcore), packed, dump, timeout=_MINUTES)
        except ToolFailed as error:
            raise KdumpwrapError(f"{vmcore}: cannot be unpacked: {error.message}") from None
        head = crashfile.head(str(dump), 16)
    else:
        note(["ln", "-sf", str(Path(vmcore).absolute()), str(dump)])
        dump.symlink_to(Path(vmcore).absolute())  # the tools read more than a name out of some names
    if not head.startswith(crashfile.DUMPS):
        raise KdumpwrapError(
            f"{vmcore}: not a vmcore", shell.hint("one begins with KDUMP, DISKDUMP, makedumpfile or ELF")
        )
    if not head.startswith(crashfile.FLATTENED):
        return dump
    if crashfile.tail(str(dump.resolve()), len(_END)) != _END:
        raise KdumpwrapError(f"{vmcore}: cut off: the flattened dump has no end", shell.hint("kdumpwrap doctor"))
    _ask_for_room(str(dump), directory)
    room = shutil.disk_usage(directory).free - _SPARE
    makedumpfile.rearrange(dump, directory / "rearranged", room)
    return directory / "rearranged"


def _ask_for_room(file: str, directory: Path, copies: int = 1) -> None:
    """Raises KdumpwrapError when ``copies`` of ``file`` do not fit into ``directory``."""
    wanted = copies * Path(file).stat().st_size + _SPARE
    free = shutil.disk_usage(directory).free
    if wanted > free:
        raise KdumpwrapError(
            f"{file}: rearranging it takes {wanted >> 20} MiB in {directory.parent}, which has {free >> 20} MiB free",
            shell.hint("TMPDIR=/var/tmp kdumpwrap …, or another directory with room"),
        )


def _with_crash(dump: Path, vmlinux: Path, directory: Path) -> Path:
    """The log that crash --minimal prints, as a file. Raises KdumpwrapError when it did not print all of it."""
    from kdumpwrap.tools.crash import CrashDied

    try:
        text = _asked(dump, vmlinux, directory, options("--minimal"))
    except CrashDied as died:
        # crash prints nothing about a dump without the log's pages, nor when it did not detect KASLR
        try:
            text = "" if died.text.strip() else _asked(dump, vmlinux, directory, options("--minimal --kaslr=auto"))
        except CrashDied:
            text = ""
        if not text:
            said = "it has no end" if died.endless else died.text.strip().partition("\n")[0]
            raise KdumpwrapError(said or "it is not in what was saved") from None
    log = directory / "log"
    log.write_text(text, "utf-8", "replace")
    return log


def _asked(dump: Path, vmlinux: Path, directory: Path, how: Sequence[Word]) -> str:
    """The answer to ``log`` of crash with the options ``how``. Raises CrashDied, or KdumpwrapError for a part of it."""
    from kdumpwrap.tools.crash import CrashSession

    tool = os.environ.get("CRASH") or "crash"
    with CrashSession(tool, how, (vmlinux, dump), directory, directory) as session:
        session.start(_MINUTES)
        reply = session.ask("log", _MINUTES)
        end = session.quit()
    if reply.expired or end.status != 0:
        raise KdumpwrapError("it did not come to an end")
    return reply.output
