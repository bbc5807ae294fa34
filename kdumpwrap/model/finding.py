"""What follows for a crash: whom to ask, and all that a renderer gets."""

from dataclasses import dataclass
from typing import Optional, Tuple

from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.kernel import Instruction, Kernel, Resolution, ResolvedFrame, Source
from kdumpwrap.model.log import Report, subject
from kdumpwrap.model.verdict import Culprit, Signature, Suspect


@dataclass(frozen=True)
class Finding:
    """What follows from a report and what the files say of it."""

    resolution: Resolution
    culprit: Optional[Culprit] = None
    suspect: Optional[Suspect] = None
    explanation: Tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        """What the log said."""
        return self.resolution.report


@dataclass(frozen=True)
class Analysis:
    """All that is known of one crash: what every renderer gets."""

    crash: Crash
    kernel: Kernel
    findings: Tuple[Finding, ...] = ()  # one for each report in the log
    fatal: Optional[int] = None
    signature: Optional[Signature] = None
    problems: Tuple[Problem, ...] = ()

    @property
    def subject(self) -> Optional[int]:
        """Index of the finding that the analysis is about: the fatal one, else the last; None without a report."""
        return subject(len(self.findings), self.fatal)


@dataclass(frozen=True)
class Listing:
    """What `disasm` shows: a resolved frame, the instructions round it, its source."""

    frame: ResolvedFrame
    instructions: Tuple[Instruction, ...]
    source: Optional[Source]
