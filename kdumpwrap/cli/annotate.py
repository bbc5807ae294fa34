"""``kdumpwrap annotate`` on the command line."""

import contextlib
import itertools
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator, List, Optional, Tuple

import typer

from kdumpwrap import shell
from kdumpwrap.cli import options, output
from kdumpwrap.cli import result as results
from kdumpwrap.cli.result import Result

if TYPE_CHECKING:
    from kdumpwrap.debuginfo import Search
    from kdumpwrap.model.crash import Crash, Problem

_REST = 0.5  # seconds without input after which the reports of a stream are taken for complete


def annotate(
    crash: Optional[str] = typer.Argument(
        None, metavar="[CRASH]", help="A crash directory, a log, a vmcore or -; else <LOG, else the newest crash."
    ),
    only_report: bool = typer.Option(False, "--only-report", help="The lines of the fatal report alone."),
    strip_prefix: Optional[str] = typer.Option(
        None,
        "--strip-prefix",
        metavar="DIR",
        help="Take DIR/ off the start of paths; else all up to the top of the kernel's tree.",
    ),
    base_path: Optional[str] = typer.Option(
        None, "--base-path", metavar="DIR", help="What decode_stacktrace.sh calls --strip-prefix; reads standard input."
    ),
    vmlinux: Optional[Path] = options.VMLINUX,
    module_dir: Optional[List[Path]] = options.MODULE_DIR,
    debuginfod: bool = options.DEBUGINFOD,
    variables: Optional[bool] = options.VARIABLES,
    redact: Optional[str] = options.REDACT,
    root: Path = options.ROOT,
    verbose: bool = options.VERBOSE,
) -> Result:
    """The log itself, with file and line behind each frame. This is what decode_stacktrace.sh does."""
    from kdumpwrap.annotate import Annotator, batches
    from kdumpwrap.render import annotate as renderer
    from kdumpwrap.vmcore import crashed

    output.show_commands(verbose)
    redactor = options.redactor(redact)
    search = options.search(root, vmlinux, module_dir, None, debuginfod)
    found, search = crashed.find("-" if crash is None and (base_path is not None or _redirected()) else crash, search)
    strip = base_path if strip_prefix is None and base_path != "auto" else strip_prefix
    terminal = sys.stdout.isatty()
    with contextlib.ExitStack() as stack:
        pieces, release, unread = _log(found, search, stack)
        if only_report:
            pieces = _report(pieces, found, unread)
        annotator = stack.enter_context(Annotator(found, search, release, variables=variables is not False))
        for batch in batches(pieces):
            data = b"".join(piece.data for line in annotator.lines(batch) for piece in renderer.pieces(line, strip))
            if redactor is not None:
                data = redactor.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            if terminal:
                output.out(renderer.on_terminal(data))
            else:
                output.out_bytes(data)
        nothing = annotator.named and not annotator.known
        result = Result(problems=(*unread, *annotator.problems()), answered=not nothing)
        return results.redacted(result, redactor, last=True)


def _log(
    crash: "Crash", search: "Search", stack: contextlib.ExitStack
) -> "Tuple[Iterable[Optional[bytes]], Optional[str], List[Problem]]":
    """The log of ``crash`` in pieces, from its vmcore when there is no file.

    With it, the release that the vmcore names, and the problem of a log of which only the ends are read.
    """
    from kdumpwrap.crashdir import crashfile
    from kdumpwrap.crashdir.release import release_of
    from kdumpwrap.host import files
    from kdumpwrap.model.crash import Problem

    if crash.dmesg == "-":
        return files.live_input(_REST), None, []
    if crash.dmesg is not None:
        cut = crashfile.cut(crash.dmesg)
        unread = [Problem(cut, shell.hint("kdumpwrap annotate - <{}", crash.dmesg))] if cut else []
        return crashfile.blocks(crash.dmesg), release_of(crash), unread
    from tempfile import TemporaryDirectory

    from kdumpwrap.vmcore import vmcorelog

    directory = stack.enter_context(TemporaryDirectory(prefix="kdumpwrap-"))
    dmesg = vmcorelog.extract(crash.vmcore or crash.path, search, Path(directory))
    return crashfile.blocks(str(dmesg.log)), dmesg.info.release, []


def _report(pieces: "Iterable[Optional[bytes]]", crash: "Crash", unread: "List[Problem]") -> Iterator[bytes]:
    """The lines of the report that an analysis of the log is about. They are read from a copy of the log.

    ``unread`` gets the problem of a stream that is too long for that.
    """
    import tempfile

    from kdumpwrap.crashdir import crashfile
    from kdumpwrap.errors import KdumpwrapError
    from kdumpwrap.log import reader
    from kdumpwrap.model.crash import Problem

    with tempfile.TemporaryFile(prefix="kdumpwrap-") as copy:
        copied = crashfile.Copy(pieces, copy)
        log = reader.parse(copied)
        if copied.cut:
            unread.append(Problem(copied.cut))
        index = log.subject
        if index is None:
            from kdumpwrap import steps

            found = steps.no_report(crash)
            raise KdumpwrapError(found.message, found.hint)
        report = log.reports[index]
        copy.seek(0)
        yield from itertools.islice(copy, report.line - 1, report.last_line or report.line)


def _redirected() -> bool:
    """Whether standard input is a file: ``annotate <log``, as decode_stacktrace.sh is called."""
    try:
        return stat.S_ISREG(os.fstat(0).st_mode)
    except OSError:
        return False
