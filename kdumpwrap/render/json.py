"""``--json``: one object a line. Its keys and their fields stand in render.keys."""

from typing import Dict, Optional

from kdumpwrap.model.finding import Analysis, Listing
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.vmcore import VmcoreFacts
from kdumpwrap.render import keys
from kdumpwrap.render.walker import Json, line, walk


def render(analysis: Analysis, facts: Optional[VmcoreFacts] = None) -> str:
    """One crash as one line; ``facts`` is what crash(8) added."""
    found = as_dict(analysis)
    if facts is not None:
        found["vmcore"] = walk(facts, keys.VMCORE)
    return line(found)


def as_dict(analysis: Analysis) -> Dict[str, Json]:
    """The object of contract ``kdumpwrap/1``."""
    return walk(analysis, keys.ANALYSIS)


def resolved(expression: str, found: ResolvedFrame) -> str:
    """One answer of ``resolve``."""
    return line({"schema": keys.SCHEMA, "expression": expression, **walk(found, keys.FRAME)})


def listing(expression: str, found: Listing) -> str:
    """The answer of ``disasm``."""
    return line({"schema": keys.SCHEMA, "expression": expression, **walk(found, keys.LISTING)})
