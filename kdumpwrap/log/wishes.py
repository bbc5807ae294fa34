"""The lines of a long log that are worth reading, among those at which the prefilter stops."""

from kdumpwrap.log import clock, header, headline, oom, strangers
from kdumpwrap.log import line as dmesg
from kdumpwrap.log.prefilter import Wanted


class Wishes:
    """Returns the worth of a line that holds a trigger; of each boot one line of the clock is wanted."""

    def __init__(self) -> None:
        self._clock = False  # the line of this boot's clock was seen

    def __call__(self, raw: bytes) -> Wanted:
        if b"Linux version " in raw:
            self._clock = False
            return Wanted.BEGINS
        if clock.WORD in raw:
            known, self._clock = self._clock, True
            return Wanted.NO if known else Wanted.ALONE
        if b"elfcorehdr=" in raw:
            return Wanted.ALONE
        lines = dmesg.parse(0, raw)
        if any(headline.parse(line.text) or _is_task(line.text) or oom.BEGINS in line.text for line in lines):
            return Wanted.BEGINS
        return Wanted.ALONE if any(strangers.parse(line.text) for line in lines) else Wanted.NO


def _is_task(text: str) -> bool:
    """Whether a report without its head may begin here."""
    found = header.task(text) if text.startswith("CPU: ") else None
    return found is not None and found.pid is not None
