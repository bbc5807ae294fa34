"""``Literal`` of typing, for mypy; when the program runs it stands for ``str``: Python 3.6 has none."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal  # novm: no Python runs this
else:

    class _Text:
        def __getitem__(self, words):
            return str

    Literal = _Text()

__all__ = ["Literal"]
