"""The commands that were run, each kept as a value, for the crash or the batch that they were run for."""

from pathlib import Path
from typing import Callable, List, Mapping, Optional, Sequence, Tuple

from kdumpwrap.model.command import Command

_recordings: "List[Recording]" = []  # those that are open
_watchers: List[Callable[[str], object]] = []


def note(
    argv: Sequence[str],
    source: Optional[Path] = None,
    sink: Optional[Path] = None,
    variables: Optional[Mapping[str, str]] = None,
    directory: Path = Path("/"),
    reader: Sequence[str] = (),
) -> List[Command]:
    """Record that ``argv`` is being run, and call the watchers. Returns its entry in the recordings.

    ``reader``: the command that reads the output of ``argv``.
    """
    command = Command(
        tuple(argv),
        source=str(source.absolute()) if source else "",
        sink=str(sink.absolute()) if sink else "",
        variables=tuple(f"{name}={value}" for name, value in (variables or {}).items()),
        directory=str(directory),
        reader=tuple(reader),
    )
    for watcher in _watchers:
        watcher(command.text)
    return _recorded(command)


def feed(entry: List[Command], stdin: bytes) -> None:
    """Add the standard input of a command to its recorded entry."""
    if stdin and max(stdin) < 128:
        entry[0] = entry[0]._replace(fed=tuple(stdin.decode().splitlines()))


def wrote(path: Path, data: bytes) -> None:
    """Record a command that makes a file of ours, which another command reads."""
    _recorded(Command(("base64", "-d"), data=data, sink=str(path)))


def watch(watcher: Callable[[str], object]) -> None:
    """Have ``watcher`` called with each command that is started from now on."""
    _watchers.append(watcher)


class Recording:
    """The commands that were run between two moments: of one crash, or of a whole batch."""

    def __init__(self) -> None:
        self._entries: List[List[Command]] = []  # each in a list of its own: several threads add entries

    def __enter__(self) -> "Recording":
        _recordings.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _recordings.remove(self)

    def add(self, entry: List[Command]) -> None:
        """Add an entry; its standard input may be added to it later."""
        self._entries.append(entry)

    def retell(self) -> None:
        """Add these commands to the recordings that are open now."""
        for recording in _recordings:
            recording._entries += self._entries

    @property
    def commands(self) -> Tuple[Command, ...]:
        """The commands, in the order of their start."""
        return tuple(entry[0] for entry in self._entries)


def _recorded(command: Command) -> List[Command]:
    entry = [command]
    for recording in _recordings:
        recording.add(entry)
    return entry
