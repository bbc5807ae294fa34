"""The finding: the reasons of a crash and their certainty, made once for every renderer (pure)."""

from typing import Optional, Sequence

from kdumpwrap.explain import certainty, guilty, nodump, plain, reasons, repeats, traps
from kdumpwrap.model.capture import Capture
from kdumpwrap.model.finding import Finding, Statement
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.location import telling
from kdumpwrap.model.verdict import Verdict


def finding(resolution: Resolution, verdict: Verdict, of_kernel: Sequence[Statement] = ()) -> Finding:
    """The Finding of ``resolution``; ``of_kernel`` are the statements about the kernel (`certainty.of_kernel`)."""
    explanation = reasons.explain(resolution, verdict.culprit)
    place = telling(resolution.ip.locations) if resolution.ip is not None else None
    part = certainty.part(resolution, verdict, place)
    sure = certainty.statements(resolution, verdict, part, place, explained=bool(explanation))
    return Finding(
        resolution,
        *verdict,
        explanation=explanation or (plain.meaning(resolution.report),),
        deliberate=traps.asked_for(resolution) is not None,
        part=part,
        place=place,
        guilty=guilty.registers(resolution),
        repeats=repeats.folded(resolution.trace),
        reporting=repeats.reporting(resolution),
        statements=(*sure, *of_kernel),
    )


def with_capture(found: Finding, capture: Capture, written: Optional[int]) -> Finding:
    """``found`` with the reason why its crash has no whole vmcore; ``written``: bytes of the partial vmcore."""
    said = nodump.sentence(capture, written)
    return found if said is None else found._replace(explanation=(*found.explanation, said))
