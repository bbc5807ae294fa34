"""The command line: its commands, and how each ends: by a Result, an error or a signal."""

import contextlib
import gc
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Optional

import typer

from kdumpwrap import __version__, shell
from kdumpwrap.cli import options, output, result, signals
from kdumpwrap.cli.result import Result
from kdumpwrap.errors import FAULTS, REFUSALS, KdumpwrapError, ReadFailed

_FILES = 256  # files open at a time: tools and log readers that run in parallel need some 100

# the module and function of each command: analyze first, then the order of the manual workflow
COMMANDS = {
    "analyze": ("analyze", "analyze"),
    "doctor": ("doctor", "doctor"),
    "list": ("app", "list_command"),
    "dmesg": ("analyze", "dmesg"),
    "resolve": ("lookup", "resolve"),
    "disasm": ("lookup", "disasm"),
    "annotate": ("annotate", "annotate"),
    "batch": ("batch", "batch"),
    "merge": ("batch", "merge"),
    "crash": ("crash", "crash"),
    "fetch": ("fetch", "fetch"),
    "pack": ("pack", "pack"),
}


def _app(command: str) -> typer.Typer:
    """The program with ``command`` alone, which halves the time to load; with all commands for another word."""
    app = typer.Typer(
        name="kdumpwrap",
        add_completion=True,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="From a kernel crash dump to the source line that caused it.",
    )
    app.callback(invoke_without_command=True)(_common)
    for name in [command] if command in COMMANDS else COMMANDS:
        module, function = COMMANDS[name]
        app.command(name)(options.noting(getattr(import_module(f"kdumpwrap.cli.{module}"), function)))
    return app


# typer stands on click, from 0.26 on a copy of its own: in both, what a wrong command line raises is above BadParameter
_WrongUsage: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Run the command line and exit: 0 done, 1 not done, 2 wrong usage, 3 done in part."""
    status = 128 + signal.SIGINT
    try:
        signals.listen()
        output.prepare()
        _allow_files()
        status = _run()
        if not signals.heard():  # after a signal the output is complete, and its reader may be gone
            status = result.finish(status)
    except KeyboardInterrupt:
        pass
    except Exception:
        if not signals.heard():
            raise  # a bug; after a signal, an interrupted call may fail so
    getattr(gc, "freeze", gc.disable)()  # the interpreter's last look for cycles takes 25 ms; freeze: since Python 3.7
    signals.leave(status)


def _allow_files() -> None:
    """Raise the limit of open files to what parallel tools need, if the system allows it."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < _FILES:
        wanted = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _run() -> int:
    """The exit status of the command line."""
    try:
        arguments = options.with_values(sys.argv[1:])
        app = _app(arguments[0] if arguments else "")
        answer = app(arguments, prog_name="kdumpwrap", standalone_mode=False)
        if isinstance(answer, Result):
            return result.show(answer).status
        return int(answer or result.DONE)  # --help, --version
    except KdumpwrapError as error:
        return result.show(result.failed(error)).status
    except _WrongUsage as error:
        with contextlib.suppress(OSError):
            error.show()
        return int(error.exit_code)
    except typer.Abort:
        return 128 + signal.SIGINT
    except output.ReaderGone:
        return result.GONE
    except (MemoryError, ImportError, OSError) as failure:
        if isinstance(failure, OSError) and not output.is_writable():
            return result.FAILED  # typer could not write; result.finish() reports it
        if not _refused(failure):
            raise  # a bug
        what = f"{failure.filename}: " if isinstance(failure, OSError) and failure.filename is not None else ""
        why = "there is not enough memory" if isinstance(failure, MemoryError) else str(failure)
        return _given_up(what + (getattr(failure, "strerror", None) or why))


def _refused(failure: BaseException) -> bool:
    """Whether this host alone can have caused ``failure``: by a limit, a disk, a library that cannot be opened."""
    if isinstance(failure, MemoryError):  # without a limit the system gives any size that we may ask for
        limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
        return any(limit != resource.RLIM_INFINITY for limit in limits)
    if isinstance(failure, ImportError):
        library = failure.path is not None and not str(failure.path).endswith(".py")
        return library and not isinstance(failure, ModuleNotFoundError)
    return getattr(failure, "errno", None) in FAULTS | REFUSALS or not _has_temporary_directory()


def _has_temporary_directory() -> bool:
    import tempfile

    with contextlib.suppress(OSError):
        return bool(tempfile.gettempdir())
    return False


def _given_up(why: str) -> int:
    """The status of a run that the system refuses memory or files. The message needs no import."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"kdumpwrap: {ascii(why)[1:-1]}\n")
    return result.FAILED


def _common(
    version: bool = typer.Option(False, "--version", is_eager=True, help="Show the version and exit."),
) -> None:
    if version:
        output.out(f"kdumpwrap {__version__}\n")
        raise typer.Exit()


def list_command(
    where: Optional[Path] = typer.Argument(None, metavar="[DIR]", help="Where crashes lie; else where kdump saves."),
    raw: bool = options.RAW,
    json: bool = options.JSON,
    root: Path = options.ROOT,
) -> Result:
    """Every crash on this host, newest last."""
    from kdumpwrap import capturelog
    from kdumpwrap.crashdir import finder
    from kdumpwrap.crashdir.release import release_of
    from kdumpwrap.host import kdumpconf
    from kdumpwrap.host.tree import Host
    from kdumpwrap.model.crash import Problem
    from kdumpwrap.render import crashes as renderer
    from kdumpwrap.render import keys
    from kdumpwrap.render.walker import lines

    options.one_format(raw, json)
    found = finder.scan(where) if where else finder.scan_host(root)
    unreadable = [
        Problem(f"{path}: {why}", shell.hint("sudo kdumpwrap list {}", path)) for path, why in found.unreadable
    ]
    rows = []
    for entry in found.entries:
        one = entry.crash
        try:
            rows.append(renderer.Listed(entry, release_of(one), capturelog.beside(one), capturelog.creation(one)))
        except ReadFailed as error:
            rows.append(renderer.Listed(entry, None))
            unreadable.append(Problem(error.message))
    notes = []
    if not rows and not found.unreadable:
        tops = (where,) if where else finder.default_paths(root)
        elsewhere = kdumpconf.elsewhere(Host(root)) if where is None else None
        where_to = elsewhere or shell.hint("kdumpwrap doctor")
        if where is not None and finder.is_host(where):
            where_to = shell.hint("kdumpwrap list --root {}", where)
        notes.append(Problem(f"{', '.join(map(str, tops))}: no crash here", where_to))
    if json or raw:
        rendered = lines(rows, keys.LISTED) if json else renderer.raw(rows)
    else:
        rendered = renderer.text(rows, titles=sys.stdout.isatty())
    return Result(rendered, problems=unreadable, notes=notes)
