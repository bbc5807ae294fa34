"""The instructions of one kernel, as objdump prints them, and which of them the kernel rewrites."""

import threading
from typing import Dict, Mapping, Optional, Tuple

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import packages
from kdumpwrap.model.kernel import Instruction, Symbol
from kdumpwrap.parse.patches import Patches
from kdumpwrap.symbolize import operands
from kdumpwrap.symbolize.objects import Object, Section
from kdumpwrap.symbolize.pool import Job, Pool
from kdumpwrap.tools import binutils

_LAST = 4096  # bytes to disassemble of a function whose end is not known


def extent(function: Symbol) -> Tuple[int, int]:
    """First address and end of ``function``."""
    return function.address, function.address + (function.size or _LAST)


class Disassembly:
    """The instructions of the objects of one kernel; each range is disassembled once."""

    def __init__(self, pool: Pool, objects: Mapping[Optional[str], Object]) -> None:
        """objdump runs in ``pool``; ``objects`` are the open ones, to which others are added later."""
        self._pool = pool
        self._objects = objects
        self._jobs: Dict[Tuple[Section, int, int], Job[Tuple[Instruction, ...]]] = {}
        self._patches: Dict[Section, Patches] = {}
        self._lock = threading.Lock()

    def of(self, section: Section, function: Symbol) -> Job[Tuple[Instruction, ...]]:
        """The instructions of ``function``, which lies in ``section``."""
        return self.between(section, *extent(function))

    def between(self, section: Section, start: int, stop: int) -> Job[Tuple[Instruction, ...]]:
        """The instructions from ``start`` to ``stop``, without lines."""
        with self._lock:
            key = (section, start, stop)
            if key not in self._jobs:
                self._jobs[key] = self._pool.submit(lambda: self._read(section, start, stop))
            return self._jobs[key]

    def _read(self, section: Section, start: int, stop: int) -> Tuple[Instruction, ...]:
        found = self._objects[section.module]
        path, arch = found.code, found.tools.arch
        if path is None:
            return ()
        if not found.tools.disassembles:
            raise KdumpwrapError(f"no objdump here can disassemble {arch}", packages.cross_binutils(arch))
        rows = binutils.instructions(found.tools, path, start, stop, section.name, found.spans)
        return operands.named(rows, found.nm) if found.nm else operands.of_module(rows, found.variables)

    def patches(self, section: Section) -> Patches:
        """The places where the kernel rewrites instructions when it starts. Raises KdumpwrapError."""
        if section not in self._patches:
            found = self._objects[section.module]
            path, tools = found.code, found.tools
            self._patches[section] = Patches() if path is None else binutils.patched(tools, path, section.name)
        return self._patches[section]
