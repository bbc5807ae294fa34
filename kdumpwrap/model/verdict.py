"""The culprit and the suspect of a report, and the signature of a crash."""

from typing import NamedTuple, Optional

from kdumpwrap.model.kernel import Location


class Culprit(NamedTuple):
    """The function that a person should look at first."""

    symbol: str
    module: Optional[str]
    file: Optional[str]
    line: Optional[int]
    why: str

    @property
    def location(self) -> Optional[Location]:
        """The location of the function in the source; None when the file is unknown."""
        return Location(self.symbol, self.file, self.line) if self.file else None


class Suspect(NamedTuple):
    """The first out-of-tree module of the call chain."""

    module: str
    flags: str
    symbol: Optional[str]
    file: Optional[str]
    line: Optional[int]

    @property
    def location(self) -> Optional[Location]:
        """The location of the function in the source; None when the file is unknown."""
        return Location(self.symbol, self.file, self.line) if self.file else None


class Verdict(NamedTuple):
    """The culprit and the suspect of one report."""

    culprit: Optional[Culprit]
    suspect: Optional[Suspect]
    stopped_there: bool = False  # the culprit is the function in which the CPU stopped


class Signature(NamedTuple):
    """The signature of a bug: 12 hex digits, and the text they are the hash of."""

    id: str
    text: str
