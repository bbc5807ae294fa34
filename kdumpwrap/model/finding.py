"""What follows for a crash: whom to ask, and all that a renderer gets."""

from dataclasses import dataclass
from typing import Optional, Tuple

from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.kernel import Instruction, Kernel, Source
from kdumpwrap.model.log import Frame, Report
from kdumpwrap.model.verdict import Signature


@dataclass(frozen=True)
class Analysis:
    """All that is known of one crash: what every renderer gets."""

    crash: Crash
    kernel: Kernel
    reports: Tuple[Report, ...] = ()
    fatal: Optional[int] = None
    signature: Optional[Signature] = None
    problems: Tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Listing:
    """What `disasm` shows: a resolved frame, the instructions round it, its source."""

    frame: Frame
    instructions: Tuple[Instruction, ...]
    source: Optional[Source]
