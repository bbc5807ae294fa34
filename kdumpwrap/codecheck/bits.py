"""Bytes of which some may not be known: a window of code cuts the instructions at its ends."""

from typing import Optional, Sequence, Tuple

Bytes = Sequence[Optional[int]]  # None: not known, fits any


def pattern(text: str) -> Tuple[Optional[int], ...]:
    """``e8 ?? ?? ?? ??`` as bytes; ``??`` is any."""
    return tuple(None if word == "??" else int(word, 16) for word in text.split())


def fits(live: Bytes, wanted: Bytes) -> bool:
    """Whether the two may be the same, byte for byte."""
    return len(live) == len(wanted) and all(
        one is None or other is None or one == other for one, other in zip(live, wanted)
    )


def printed(live: Bytes) -> str:
    """``48 83 ??``."""
    return " ".join("??" if byte is None else f"{byte:02x}" for byte in live)
