"""The mark under the expression of a source line that the line table names: where it stands."""

import unicodedata
from typing import Optional

from kdumpwrap.model.kernel import Source

MARK = "^"


def before(source: Source) -> Optional[str]:
    """What stands before the faulting expression in its line; None where its column is not known."""
    if source.fault_column is None:
        return None
    return source.lines[source.fault_line - source.first][: source.fault_column - 1]


def under(text: str) -> str:
    """The mark behind as many blanks as ``text`` (without tabs) takes cells of a terminal."""
    return " " * sum(map(_cells, text)) + MARK


def _cells(character: str) -> int:
    """0 for an accent that stands on the letter before, 2 for a wide East Asian character, 1 for all others."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
