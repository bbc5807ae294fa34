"""The symbolizers of a batch: one for each kernel, with what the crashes of that kernel have in common."""

import itertools
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Dict, FrozenSet, Hashable, Optional, Tuple

from kdumpwrap import debuginfo
from kdumpwrap.culprit import callchain
from kdumpwrap.debuginfo import Search
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.log import Log
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.vmcore import crashed

if TYPE_CHECKING:
    from kdumpwrap.steps import Answer, Case

# what the crashes of one bug have in common, by the key of the bug: see analyze.analyses
Shared = Dict[Hashable, Tuple["Case", "Answer"]]


KEPT = 8  # kernels whose symbols are kept: 5 MB each


class Kernels:
    """A Symbolizer for each of the latest kernels."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._open: "OrderedDict[object, Symbolizer]" = OrderedDict()
        self._origins: Dict[object, Dict[str, Optional[bool]]] = {}  # out of tree, by module
        self._shared: Dict[Symbolizer, Shared] = {}

    def symbolizer(self, crash: Crash, log: Log, beside: Optional[Path]) -> Symbolizer:
        """The symbolizer for the kernel of ``log``: its release, machine, and the build ids of its modules.

        ``beside``: the directory of ``crash``, if a vmlinux or modules lie there too.

        Logs that contradict each other on the origin of a module get one each, such as a log whose module list is cut
        off: the messages on missing debuginfo differ.
        """
        frames = [*log.frames]
        builds: FrozenSet[object] = frozenset(
            (frame.module, frame.module_build_id) for frame in frames if frame.module_build_id
        )
        told = callchain.origins(log)
        origins = {frame.module: told.get(frame.module) for frame in frames if frame.module}
        search = crashed.search_of(crash, self._search)
        build_id = debuginfo.build_id(log.release, search)
        for number in itertools.count():
            key = (log.release, log.arch, beside, build_id, builds, number)
            known = self._origins.setdefault(key, {})
            if all(known.get(module, origin) == origin for module, origin in origins.items()):
                known.update(origins)
                break
        if key in self._open and self._open[key].broken:
            self._close(self._open.pop(key))
        if key not in self._open:
            self._open[key] = Symbolizer(log.release, search, beside)
            if len(self._open) <= 2:  # nm works while other logs are read
                self._open[key].start()
        self._open.move_to_end(key)
        return self._open[key]

    def shared(self, symbolizer: Symbolizer) -> Shared:
        """The facts that are shared by the crashes of a kernel so far, by the key of a bug."""
        return self._shared.setdefault(symbolizer, {})

    def close(self, but: int = 0) -> None:
        """Close all symbolizers except the ``but`` that were used last."""
        while len(self._open) > but:
            self._close(self._open.popitem(last=False)[1])

    def _close(self, symbolizer: Symbolizer) -> None:
        self._shared.pop(symbolizer, None)
        symbolizer.close()
