"""The options that several commands share, each with its KDUMPWRAP_… environment variable."""

import math
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, TypeVar

import typer

from kdumpwrap import shell
from kdumpwrap.cli import output
from kdumpwrap.errors import UsageError

if TYPE_CHECKING:
    from kdumpwrap.debuginfo import Search
    from kdumpwrap.render.redact import Redactor

_T = TypeVar("_T")

RAW = typer.Option(False, "--raw", envvar="KDUMPWRAP_RAW", help="Tab-separated facts for scripts.")
JSON = typer.Option(False, "--json", envvar="KDUMPWRAP_JSON", help="One JSON object a line.")
RELEASE = typer.Option(
    None, "--release", envvar="KDUMPWRAP_RELEASE", metavar="REL", help="The kernel's release; else the running one."
)
VMLINUX = typer.Option(
    None,
    "--vmlinux",
    envvar="KDUMPWRAP_VMLINUX",
    metavar="FILE",
    readable=False,  # not checked here: an unreadable file costs lines, not the report
    help="The vmlinux with debug information.",
)
MODULE_DIR = typer.Option(
    None, "--module-dir", envvar="KDUMPWRAP_MODULE_DIR", metavar="DIR", help="Where modules lie (repeatable)."
)
SOURCE_DIR = typer.Option(
    None, "--source-dir", envvar="KDUMPWRAP_SOURCE_DIR", metavar="DIR", help="Where sources lie (repeatable)."
)
ROOT = typer.Option(
    Path("/"), "--root", envvar="KDUMPWRAP_ROOT", metavar="DIR", help="Look up every standard path below DIR."
)
VARIABLES = typer.Option(
    None,
    "--variables/--no-variables",
    envvar="KDUMPWRAP_VARIABLES",
    help="Ask gdb for the variables at the instruction pointer; analyze does, batch does not.",
)
REDACT = typer.Option(
    None,
    "--redact",
    metavar="[=pointers,names]",
    help="Hide hosts, addresses, users, serials behind host-1, ip-1…; =pointers: kernel addresses too, =names: tasks.",
)
VERBOSE = typer.Option(False, "-v", "--verbose", envvar="KDUMPWRAP_VERBOSE", help="Show each command on stderr.")


DEBUGINFOD = typer.Option(
    False,
    "--debuginfod",
    envvar="KDUMPWRAP_DEBUGINFOD",
    help="Ask $DEBUGINFOD_URLS for debuginfo that is not here; may take minutes.",
)


# the parameters that say where to look or what is meant, with their options: hints repeat them
REPEATED = {
    "root": "--root",
    "vmlinux": "--vmlinux",
    "module_dir": "--module-dir",
    "source_dir": "--source-dir",
    "debuginfod": "--debuginfod",
    "fetch": "--fetch",
    "release": "--release",
    "caller": "--caller",
    "everything": "--all",
    "whole": "--all",
}


def noting(command: "Callable[..., _T]") -> "Callable[..., _T]":
    """``command``, which first notes its options for the hints of this call."""

    @wraps(command)
    def noted(**values: Any) -> "_T":
        given = {option: values[name] for name, option in REPEATED.items() if values.get(name)}
        if given.get("--root") == Path("/"):
            del given["--root"]
        shell.called(
            {
                option: () if value is True else value if isinstance(value, (list, tuple)) else (value,)
                for option, value in given.items()
            }
        )
        return command(**values)

    return noted


def search(
    root: Path,
    vmlinux: Optional[Path],
    module_dirs: Optional[List[Path]],
    source_dirs: Optional[List[Path]],
    debuginfod: bool = False,
) -> "Search":
    """The Search of the look-up options."""
    from kdumpwrap.debuginfo import Debuginfod, Search

    client = None
    if debuginfod:
        from kdumpwrap.tools.debuginfod import servers, timeout

        client = Debuginfod(servers(), timeout(), output.teller())
    return Search(root, vmlinux, tuple(module_dirs or ()), tuple(source_dirs or ()), client)


def redactor(redact: Optional[str]) -> "Optional[Redactor]":
    """The Redactor of a command with ``--redact``; None without that option. Raises UsageError."""
    if redact is None:
        return None
    import os

    from kdumpwrap.render.redact import ALSO, Redactor, parse

    also = parse(redact)
    if also is None:
        values = (*ALSO, ",".join(ALSO))
        choices = shell.either([shell.hint("--redact"), *(shell.hint("--redact={}", one) for one in values)])
        raise UsageError(f"--redact={redact}: not known", choices)
    return Redactor(also, hosts=[os.uname().nodename])


def with_values(arguments: Sequence[str]) -> List[str]:
    """``arguments`` with ``--redact=`` for ``--redact``: its value may be left out."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return ["--redact=" if one == "--redact" and i < end else one for i, one in enumerate(arguments)]


def seconds(value: float) -> float:
    """``--timeout`` as a time limit, at most eleven days. Raises UsageError when it is no number."""
    from kdumpwrap.tools.run import LONGEST

    if math.isnan(value):
        raise UsageError(f"--timeout {value}: not a number of seconds")
    return min(value, LONGEST)


def one_format(raw: bool, json: bool, markdown: bool = False, page: bool = False) -> None:
    """Raises UsageError when more than one format is asked for."""
    asked = {"--raw": raw, "--json": json, "--markdown": markdown, "--html -": page}
    names = [name for name, wanted in asked.items() if wanted]
    if len(names) > 1:
        raise UsageError(f"{names[0]} and {names[1]} exclude each other")
