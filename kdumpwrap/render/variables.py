"""The variables at the instruction pointer, for people."""

from typing import Iterator, List

from kdumpwrap.model.scope import Variable, Variables
from kdumpwrap.render.escape import shown


def text(one: Variable) -> str:
    """``=> iptunnel_xmit_stats (inlined)  tstats = 0xffff… (struct pcpu_sw_netstats *)``."""
    arrow = "=>" if one.guilty else "  "
    function = f"{one.function}{' (inlined)' if one.inlined else ''}"
    return shown(f"{arrow} {function:30}  {one.name} = {one.value} ({one.type})")


def lines(variables: Variables) -> Iterator[str]:
    """Each variable, then what is missing."""
    if variables.missing is not None:
        yield f"   {shown(variables.missing)}"
        return
    if variables.sentence is not None:
        yield f"   {shown(variables.sentence)}"
    yield from map(text, variables.rows)
    yield from remarks(variables)


def remarks(variables: Variables) -> List[str]:
    """How many variables have no value."""
    if not variables.unknown:
        return []
    more = "more " if variables.rows else ""
    return [f"   {variables.unknown} {more}optimised out, or on the stack, which no log prints"]
