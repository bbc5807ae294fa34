"""The instruction that ran before another: a walk backwards through a function while a single path leads there."""

from typing import Dict, List, NamedTuple, Optional

from kdumpwrap.arch import operand
from kdumpwrap.arch.operand import Operation
from kdumpwrap.model.kernel import Instruction, Resolution


class Step(NamedTuple):
    """The instruction that ran before; ``taken``: it is a branch that was taken."""

    row: Instruction
    done: Operation
    taken: bool


class Flow:
    """The instructions of the function that a report shows: all of them, or those round the marked one."""

    def __init__(self, resolution: Resolution) -> None:
        self.arch = resolution.report.arch or "x86_64"
        self.rows = resolution.rows
        self._place = {row.address: place for place, row in enumerate(self.rows)}
        self._done: Dict[int, Operation] = {}
        self._branches: Dict[int, List[Instruction]] = {}  # by their target
        for row in self.rows:
            done = self.operation(row)
            if done.kind in ("jump", "branch") and done.target is not None and not row.relocations:
                self._branches.setdefault(done.target, []).append(row)

    def operation(self, row: Instruction) -> Operation:
        """The parsed ``row``."""
        if row.address not in self._done:
            self._done[row.address] = operand.parse(row.text, self.arch)
        return self._done[row.address]

    def before(self, row: Instruction, keeping: Optional[str] = None) -> Optional[Step]:
        """The instruction that ran before ``row``; None when several paths lead there, or the function begins there.

        A loop that begins at ``row`` and leaves the register ``keeping`` alone adds no path.
        """
        place = self._place.get(row.address)
        if place is None:
            return None
        ways: List[Step] = []
        if place > 0:
            above = self.rows[place - 1]
            done = self.operation(above)
            if done.kind not in ("jump", "return", "trap"):
                ways.append(Step(above, done, False))
        for branch in self._branches.get(row.address, ()):
            end = self._place[branch.address]
            loop = self.rows[place : end + 1] if keeping is not None else []
            if not loop or any(self.operation(one).sets == keeping for one in loop):
                ways.append(Step(branch, self.operation(branch), True))
        return ways[0] if len(ways) == 1 else None

    def is_entry(self, row: Instruction, resolution: Resolution) -> bool:
        """Whether ``row`` is the function's first instruction."""
        ip = resolution.ip
        at = next((one.address for one in self.rows if one.fault), None)
        return ip is not None and ip.offset is not None and at is not None and row.address == at - ip.offset
