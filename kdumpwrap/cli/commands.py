"""The commands that were run, as a reader can run them again: all of them, or those that concern one crash."""

import re
from pathlib import PurePath
from typing import Dict, Iterator, Optional, Sequence, Set, Tuple

from kdumpwrap.model.command import Command
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.regex import regex
from kdumpwrap.symbolize.objects import lookup

# "/tmp/kdumpwrap-a1b2c3d4/", where a module was unpacked, "/tmp/kdumpwrap-crash-a1b2c3d4/own/": gone when the page is
# read
_PRIVATE = regex(r"(?<![^\s'=<>])/[\w./-]*/kdumpwrap-[\w-]{8,32}(?:/own)?(?=/)")
_Wanted = Dict[Optional[str], Set[int]]  # by module, None for the vmlinux: the addresses that were asked for


def pasteable(commands: Sequence[Command]) -> Tuple[str, ...]:
    """``commands`` in a form that can be run again: ``$T`` replaces private directories, which are removed.

    A command that was run twice is listed once.
    """
    once = [*dict.fromkeys(one.text for one in commands)]
    again = [*map(_elsewhere, once)]
    first = ("T=$(mktemp -d)",) if again != once else ()
    return (*first, *again)


def _elsewhere(command: str) -> str:
    """``command`` with ``$T`` for a private directory, also inside single quotes."""

    def other(match: "re.Match[str]") -> str:
        return "'\"$T\"'" if _in_single_quotes(command[: match.start()]) else "$T"

    return _PRIVATE.sub(other, command)


def _in_single_quotes(begun: str) -> bool:
    """Whether ``begun`` ends inside single quotes. shlex.quote writes no backslashes."""
    quote = ""
    for mark in re.findall("[\"']", begun):
        quote = mark if not quote else "" if mark == quote else quote
    return quote == "'"


def concerning(analysis: Analysis, history: Sequence[Command]) -> Tuple[Command, ...]:
    """The commands of a batch's ``history`` that led to ``analysis``, reduced to its own addresses."""
    wanted = _wanted(analysis)
    found = (_narrowed(command, analysis.kernel.vmlinux, wanted) for command in history)
    return tuple(dict.fromkeys(command for command in found if command is not None))


def _narrowed(command: Command, vmlinux: Optional[str], wanted: _Wanted) -> Optional[Command]:
    """``command`` for the addresses ``wanted`` alone; None when it asks for none of them, or another kernel's."""
    objects = set(_objects(command))
    if not objects or any(path.name == "vmlinux" and str(path) != vmlinux for path, _ in objects):
        return None
    addresses = {address for _, module in objects for address in wanted.get(module, ())}
    if not {module for _, module in objects} & wanted.keys():
        return None
    if command.fed and all(line.startswith("0x") for line in command.fed):
        own = tuple(line for line in command.fed if int(line, 16) in addresses)
        return command._replace(fed=own) if own else None
    start, stop = _option(command, "--start-address="), _option(command, "--stop-address=")
    if "-d" not in command.argv or start is None or stop is None:
        return command
    return command if any(start <= one < stop for one in addresses) else None


def _option(command: Command, name: str) -> Optional[int]:
    return next((int(word[len(name) :], 16) for word in command.argv if word.startswith(name)), None)


def _objects(command: Command) -> Iterator[Tuple[PurePath, Optional[str]]]:
    """The files with code that ``command`` names, and which module each is: None for a vmlinux."""
    for word in (*command.argv, command.source, command.sink):
        path = PurePath(word)
        if path.name.startswith("vmlinux"):
            yield path, None
        elif ".ko" in path.name:
            # "dm-mod.ko.debug", "xxxwan.debug.ko", and "xxxwan-1.ko" where it was unpacked
            stem = re.sub(r"-\d+$" if _PRIVATE.match(word) else "^$", "", path.name.partition(".")[0])
            yield path, stem.replace("-", "_")


def _wanted(analysis: Analysis) -> _Wanted:
    found: _Wanted = {None: set()}
    finding = analysis.finding
    if finding is None:
        return found
    rows = finding.resolution.disassembly
    for frame in finding.resolution.frames:
        if frame.address is not None:
            found.setdefault(_module(frame), set()).add(lookup(frame))
    shown = next((row.address for row in rows if row.fault), None)
    for module, addresses in found.items():
        if shown is not None and any(abs(one - shown) < 16 for one in addresses):
            found[module] = addresses | {row.address for row in rows}
    return found


def _module(frame: ResolvedFrame) -> Optional[str]:
    return frame.module.replace("-", "_") if frame.module is not None else None
