"""The Finding of a report and the Analysis of a crash: all that a renderer gets."""

from typing import NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal
from kdumpwrap.model.capture import Capture
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.kernel import Instruction, Kernel, Location, Resolution, ResolvedFrame, Source
from kdumpwrap.model.log import Report, subject
from kdumpwrap.model.scope import Variables
from kdumpwrap.model.verdict import Culprit, Signature, Suspect

Level = Literal["certain", "likely", "doubtful", "open"]
Part = Literal["in it", "called it", "on the way"]
About = Literal["place", "reasons", "culprit", "suspect", "trace", "kernel"]


class Run(NamedTuple):
    """The frames ``first`` to ``stop`` (not itself) of a trace are ``times`` repeats of the first ``period`` of them.

    ``period`` counts the frames up to where the second repeat begins, uncertain ones included.
    """

    first: int
    stop: int
    period: int
    times: int


class Statement(NamedTuple):
    """A statement about a crash, and how far it can be trusted."""

    about: About
    what: str
    level: Level
    because: str


class Finding(NamedTuple):
    """The conclusions about a report: culprit, suspect, explanation, statements."""

    resolution: Resolution
    culprit: Optional[Culprit] = None
    suspect: Optional[Suspect] = None
    stopped_there: bool = False  # the culprit is the function in which the CPU stopped
    explanation: Tuple[str, ...] = ()
    deliberate: bool = False  # a person triggered the crash: it is no bug
    part: Part = "on the way"  # the suspect's part: it crashed, it called what crashed, or neither
    place: Optional[Location] = None  # the most telling line of the instruction pointer's inline chain
    guilty: Tuple[str, ...] = ()  # registers through which the instruction failed, as the dump names them
    repeats: Tuple[Run, ...] = ()  # of frames of the trace
    reporting: int = 0  # frames at the start of the trace that only made the report, where they are many
    statements: Tuple[Statement, ...] = ()
    variables: Optional[Variables] = None  # None: gdb was not asked

    @property
    def reasons(self) -> Tuple[str, ...]:
        """Why it happened: the failed access in C, where the variables tell it, then the explanation."""
        said = self.variables.sentence if self.variables is not None else None
        return (said, *self.explanation) if said else self.explanation

    @property
    def report(self) -> Report:
        """The log's report."""
        return self.resolution.report


class Analysis(NamedTuple):
    """All that is known of one crash: what every renderer gets."""

    crash: Crash
    kernel: Kernel
    findings: Tuple[Finding, ...] = ()  # one for each report in the log
    fatal: Optional[int] = None
    signature: Optional[Signature] = None
    problems: Tuple[Problem, ...] = ()
    around: Tuple[Tuple[int, str], ...] = ()  # of a log in no file of its own: the lines round the subject, numbered
    capture: Optional[Capture] = None  # how saving the vmcore went, of a crash that has none, or half of one

    @property
    def subject(self) -> Optional[int]:
        """Index of the finding that the analysis is about: the fatal one, else the last; None without a report."""
        return subject(len(self.findings), self.fatal)

    @property
    def finding(self) -> Optional[Finding]:
        """The finding that the analysis is about; None without a report."""
        return None if self.subject is None else self.findings[self.subject]


class Listing(NamedTuple):
    """The answer of `disasm`: a resolved frame, the instructions round it, its source."""

    frame: ResolvedFrame
    instructions: Tuple[Instruction, ...]
    source: Optional[Source]
