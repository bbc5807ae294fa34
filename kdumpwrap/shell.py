"""Hints: commands to type. Words from outside are quoted for a shell here alone (pure).

A path, a release or a module's name can hold ``;``, ``$(…)``, a quote or an escape sequence, and what is printed as a
hint is pasted, often as root. So a hint has a type of its own, which only this module makes::

    hint("kdumpwrap list {}", path)          kdumpwrap list '/var/crash/a $(b)'
    hint("a newer crash: {}", install)       a newer crash: dnf install crash

A command of ours in a hint gets those options of the present call that say where to look: it is about the same host.
"""

import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Mapping, Sequence, Union

from kdumpwrap.regex import regex

if TYPE_CHECKING:
    from typing import Match


class Hint(str):
    """Our own text, or a command with every word from outside quoted. Made by this module alone."""

    __slots__ = ()


NONE = Hint("")

# What cannot be seen, or moves what can, to stand in a pattern's brackets: Unicode's categories Cc, Cf, Zl, Zp, Cs, its
# property Default_Ignorable_Code_Point, noncharacters, and U+2800, which is a blank by its looks
HIDDEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe-\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
)
_SLOT = regex(r"\{\}")
_OURS = regex(r"\bkdumpwrap (?P<command>[a-z]+)\b")

# by command the options that say where to look or what is meant; each command's own parameters are in cli/
_MODULES = ("--root", "--module-dir")
_VMLINUX = ("--root", "--vmlinux", "--module-dir")
_EXPRESSION = ("--all", "--caller", "--release")
LOOK_UP: Mapping[str, Sequence[str]] = {
    "doctor": ("--root",),
    "list": ("--root",),
    "dmesg": ("--root",),
    "resolve": (*_EXPRESSION[1:], *_VMLINUX),
    "disasm": (*_EXPRESSION, *_VMLINUX, "--source-dir"),
    "analyze": (*_VMLINUX, "--source-dir", "--debuginfod", "--fetch"),
    "annotate": (*_VMLINUX, "--debuginfod"),
    "batch": (*_VMLINUX, "--source-dir"),
    "crash": _VMLINUX,
    "fetch": ("--all", *_MODULES),
    "pack": _MODULES,
}
_called: Dict[str, List[Union[str, PurePath]]] = {}  # the present call's options; they change as little as sys.argv
_UNSEEN = regex(f"[{HIDDEN}]")


def called(options: Mapping[str, Iterable[Union[str, PurePath]]]) -> None:
    """Note the options of the present call, each with its values: () for a switch. To be called before any work."""
    _called.clear()
    _called.update((option, [*values]) for option, values in options.items())


def _repeated(command: "Match[str]") -> str:
    """``kdumpwrap COMMAND`` with the options of the present call that it takes."""
    words = [command.group()]
    for option in LOOK_UP.get(command["command"], ()):
        if option in _called:
            values = _called[option]
            words += [f"{option} {quote(value)}" for value in values] if values else [option]
    return " ".join(words)


def hint(template: str, *values: Union[str, int, PurePath]) -> Hint:
    """``template``, a literal, with each ``{}`` in it filled: a text or path quoted, a number or hint as it is.

    Raises ValueError when there are not as many ``{}`` as values.
    """
    pieces = [_OURS.sub(_repeated, piece) for piece in _SLOT.split(template)]
    if len(pieces) != len(values) + 1:
        raise ValueError(f"{len(values)} values for {template!r}")
    filled = [_filled(value) + piece for value, piece in zip(values, pieces[1:])]
    return Hint("".join([pieces[0], *filled]))


def rewritten(found: Hint, change: Callable[[str], str]) -> Hint:
    """``found`` after ``change``, which adds only our own text."""
    return Hint(change(found)) if found else found


def join(words: Iterable[str]) -> Hint:
    """A command of these words, the options among them."""
    return Hint(" ".join(map(_quoted, words)))


def either(hints: Iterable[Hint]) -> Hint:
    """The hints of ``hints`` that are not empty: ``A; or B``."""
    return Hint("; or ".join(one for one in hints if one))


def every(commands: Iterable[Hint]) -> Hint:
    """The ``commands`` joined by ``&&``."""
    return Hint(" && ".join(commands))


def own(text: str) -> Hint:
    """``text`` as a hint without quoting; each of its words comes from a saved answer or was checked before."""
    return Hint(text)


def quote(word: Union[str, PurePath]) -> Hint:
    """``word`` from outside as one word for a shell, and no option: ``-x`` is ``./-x``."""
    text = str(word)
    return Hint(_quoted(f"./{text}" if text.startswith("-") else text))


def _filled(value: Union[str, int, PurePath]) -> str:
    return str(value) if isinstance(value, (int, Hint)) else quote(value)


def _quoted(word: str) -> str:
    r"""As shlex does; what cannot be printed as bash reads it: ``$'a\x1b[2J'``."""
    if word.isprintable() and not _UNSEEN.search(word):
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character == "'":
        return "\\x27"  # for a shell without $'…', such as dash, a quote would end here, and what follows would run
    if character == "\\":
        return r"\\"
    if character.isprintable() and not _UNSEEN.match(character):
        return character
    how = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", how))
