"""Arguments of programs: paths, and words that have passed a gate. ``run`` takes nothing else.

Programs take some words for something else than the caller meant. binutils read an argument ``@FILE`` as a list of
further arguments, ``--plugin=FILE`` among them, which is code that they run; every program takes ``-x`` for an option.
Section names, modules, releases and build ids come out of files that others wrote.
"""

import re
from pathlib import Path
from typing import List, Sequence, Tuple, Union

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.regex import regex

# ".text.unlikely", "dm_mod", "5.14.0-503.el9.x86_64", a build id
_WORD = regex(r"[.\w][.\w-]*", re.ASCII)
# "linux-image-6.12.117+deb12-cloud-amd64-dbg", "kernel-debuginfo-5.14.0-503.el9.x86_64", "linux-source-6.1=6.1.170-3"
_PACKAGE = regex(r"[0-9A-Za-z][0-9A-Za-z.+~_-]*[0-9A-Za-z](?::[a-z0-9]+)?(?:=[0-9][0-9A-Za-z.+~:-]*)?", re.ASCII)
_LONGEST = 512  # bytes: KSYM_NAME_LEN of Linux 6.1


class Word(str):
    """An argument that is no path. Made by ``word``, ``option`` and ``options`` alone."""

    __slots__ = ()


Argument = Union[Word, Path]


def is_word(text: str) -> bool:
    """Whether ``text`` out of a file passes the gate: it is a name, and nothing that a program takes for more."""
    return len(text) <= _LONGEST and _WORD.fullmatch(text) is not None


def word(text: str) -> Word:
    """``text`` out of a file, as an argument. Raises KdumpwrapError when a program could take it for anything else."""
    if not is_word(text):
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise KdumpwrapError(f"{shown!a} is not passed to any program: a name may hold letters, digits and . _ - only")
    return Word(text)


def package(text: str) -> Word:
    """``text`` as the name of a package. Raises KdumpwrapError when a package manager could take it for more."""
    if len(text) > _LONGEST or _PACKAGE.fullmatch(text) is None:
        raise KdumpwrapError(f"{text[:60]!a} is not the name of a package")
    return Word(text)


def option(text: str, *values: Union[int, Word, Path]) -> Word:
    """One argument of ours with ``values`` filled in: ``option("--start-address={:#x}", 4096)``.

    ``text`` is a literal. Raises TypeError for a value that is neither a number, a gated word nor a path.
    """
    return Word(text.format(*map(_value, values)))


def options(text: str) -> Tuple[Word, ...]:
    """The arguments in ``text``, a literal with blanks between them: ``options("-a -i -f")``."""
    return tuple(map(Word, text.split()))


def strings(arguments: Sequence[Argument]) -> List[str]:
    """``arguments`` as a program gets them. Raises TypeError for plain text, which has not passed the gate."""
    return [str(_value(argument)) for argument in arguments]


def _value(value: Union[int, Word, Path]) -> Union[int, str]:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, (int, Word)):
        return value
    raise TypeError(f"an argument is a Path or made by word(), option(), options(), not {type(value).__name__}")
