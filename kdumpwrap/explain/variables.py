"""The failed access in C: its variable, its member (pure).

gdb says which variable lives in which register, and what lies at an offset of its type; the instructions say which
registers the access went through. Where both hold, the sentence is certain; else it says "probably".
"""

import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from kdumpwrap.explain.access import VERBS, Registers, accesses, faulting, guilty, operation
from kdumpwrap.explain.poison import meaning
from kdumpwrap.log.kinds import SAMPLED
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Report
from kdumpwrap.model.scope import Chain, Expression, Reading, Scope, Variable, Variables

_ALTERNATIVES = 3  # readings that are named
_SAMPLED = (*SAMPLED, "warning")  # nothing failed: this is where it was


def said(
    resolution: Resolution,
    chains: Sequence[Chain],
    scope: Scope,
    sources: Mapping[str, str],
    callee: Optional[str] = None,
) -> Variables:
    """The variables of ``scope``, and the failed access in C where ``chains`` lead to it.

    ``sources``: of each function of ``scope`` the source line there. ``callee``: the function at the instruction
    pointer where ``scope`` is that of its caller.
    """
    readings = _readings(chains, scope, sources)
    if not readings:
        return Variables(scope.variables, scope.unknown, callee=callee)
    best = readings[0]
    others = [way.members[-1].text for way in readings[1:]]
    certain = not others and resolution.check.result != "mismatch" and _named(best, scope, sources) is not False
    last = best.members[-1]
    offset = last.offset if last.struct is not None else None
    expression = Expression(last.text, last.type, last.struct, offset, certain)
    failed = resolution.report.kind not in _SAMPLED
    rows = tuple(row._replace(guilty=failed and at == best.variable) for at, row in enumerate(scope.variables))
    sentence = _sentence(resolution, chains, best, scope, others[: _ALTERNATIVES - 1], certain, callee)
    return Variables(rows, scope.unknown, expression, sentence, callee=callee)


def _readings(chains: Sequence[Chain], scope: Scope, sources: Mapping[str, str]) -> List[Reading]:
    """The readings that fit equally well, each text once; the best first."""
    readings = [way for way in scope.readings if way.chain < len(chains)]
    if not readings:
        return []
    best = min(_rank(way) for way in readings)
    fitting = [way for way in readings if _rank(way) == best]
    fitting = _typed(fitting, scope) or fitting
    fitting = [way for way in fitting if _named(way, scope, sources)] or fitting
    texts: Dict[str, Reading] = {}
    for way in fitting:
        texts.setdefault(way.members[-1].text, way)
    return list(texts.values())


def _rank(way: Reading) -> Tuple[bool, int]:
    """A member says more than ``*l``; the register of the access itself more than one further up."""
    last = way.members[-1]
    return len(way.members) > 1 and last.struct is None, way.chain


def _typed(readings: Sequence[Reading], scope: Scope) -> List[Reading]:
    """Those through whose union member the type of a variable in the same place leads."""
    types = {variable.type for variable in scope.variables}
    return [way for way in readings if len(way.members) > 2 and way.members[-2].type in types]


def _named(way: Reading, scope: Scope, sources: Mapping[str, str]) -> Optional[bool]:
    """Whether the source line of the variable's function names the member; None when that line is not here."""
    line = sources.get(scope.variables[way.variable].function)
    if line is None:
        return None
    word = re.findall(r"\w+", re.sub(r"\[\d+\]", "", way.members[-1].text))
    return bool(word) and re.search(rf"\b{re.escape(word[-1])}\b", line) is not None


def _sentence(
    resolution: Resolution,
    chains: Sequence[Chain],
    way: Reading,
    scope: Scope,
    others: Sequence[str],
    certain: bool,
    callee: Optional[str],
) -> str:
    """``s->ops is 0x6b6b…: memory that was freed; s (struct xxxwan_session *) is 0x…. The instruction reads …``."""
    variable = scope.variables[way.variable]
    root = f"{variable.name} ({variable.type}) is"
    hedge = "" if certain else "Probably: "
    last = way.members[-1]
    if len(way.members) == 1:
        return f"{hedge}{root} {_value(variable)}{_divides(resolution)}."
    bad = _pointer(resolution, chains, way) if callee is None else None
    if len(way.members) > 2 and bad is not None:
        text = f"{way.members[-2].text} is {_known(bad, resolution.report)}; {root} {_value(variable)}"
    elif len(way.members) == 2 and variable.value.startswith("0x"):
        text = f"{root} {_known(int(variable.value, 16), resolution.report)}{_came(way, scope)}"
    else:
        text = f"{root} {_value(variable)}"
    depth = f", {last.offset:#x} bytes into {last.struct}" if last.struct and last.offset else ""
    also = "".join(f" or {other}" for other in others)
    if callee is not None:
        return (
            f"{hedge}{text}. {variable.function} called {callee}, which {_verb(resolution)} {last.text}{also}{depth}."
        )
    return f"{hedge}{text}. The instruction {_verb(resolution)} {last.text}{also}{depth}."


def _came(way: Reading, scope: Scope) -> str:
    """``, from dev->tstats``: what the pointer was loaded from, by the type that the variable has."""
    variable = scope.variables[way.variable]
    earlier = [
        one.members[-2].text
        for one in scope.readings
        if one.chain > way.chain and len(one.members) > 2 and one.members[-2].type == variable.type
    ]
    return f", from {earlier[0]}" if earlier else ""


def _divides(resolution: Resolution) -> str:
    row = faulting(resolution)
    if row is not None and operation(row, resolution).kind == "divide":
        return "; the instruction divides by it"
    return "; the instruction calls the function that it points to" if row is None else ""


def _verb(resolution: Resolution) -> str:
    row = faulting(resolution)
    if row is None:
        return "calls the function in"
    done = operation(row, resolution)
    if done.kind == "divide":
        return "divides by"
    access, _ = guilty(resolution.report, accesses(done, Registers(resolution)))
    return VERBS[access.memory.access] if access is not None else "touches"


def _pointer(resolution: Resolution, chains: Sequence[Chain], way: Reading) -> Optional[int]:
    """The value of the pointer whose member ``way`` leads to, by the address that was touched."""
    first, hops = chains[0], chains[way.chain].hops
    value = Registers(resolution).get(first.register)
    if value is None or len(first.hops) != 1 or not hops or hops[-1].percpu or faulting(resolution) is None:
        return None
    return (value + first.hops[0].offset - hops[-1].offset) % (1 << 64)


def _value(variable: Variable) -> str:
    return "NULL" if variable.value == "0x0" else variable.value


def _known(value: int, report: Report) -> str:
    """``NULL``, ``POISON_FREE (0x6b6b…), memory that was freed (use after free)``, ``0xffff…``."""
    if not value:
        return "NULL"
    found = meaning(value, report.arch)
    return f"{value:#x}" if found is None or found.kind in ("user", "small", "null") else found.text
