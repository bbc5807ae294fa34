"""The signature: equal for two crashes of the same bug (pure).

A signature is made from names alone: no offsets, addresses, CPUs, pids or line numbers, no compiler suffixes, no
helpers that one kernel inlines and the next does not, and no frames below the function that was called back, which
differ between occurrences of a bug. It needs no debuginfo: a host without debuginfo computes the same signature.
"""

import hashlib
from typing import Iterator, List, Sequence

from kdumpwrap.culprit import blame, callchain, dispatch, sampled
from kdumpwrap.culprit.first import passed_over
from kdumpwrap.log import oom, symbolname
from kdumpwrap.log.kinds import HANGS, SAMPLED
from kdumpwrap.model.kernel import Resolution, ResolvedFrame
from kdumpwrap.model.log import Report
from kdumpwrap.model.verdict import Signature
from kdumpwrap.regex import regex

# functions in a signature: two callers tell bugs apart, more depend on what the compiler inlines
DEPTH = 3

# numbers and addresses in a headline; "#" stands for each
_NUMBER = regex(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\d+")


def signature(report: Report) -> Signature:
    """The text, such as ``page-fault iptunnel_xmit < send4[xxxwan] < hook[xxxwan]``, and 12 hex digits of its hash.

    A log without any function gives the headline, its numbers replaced: ``panic Attempted to kill init! exitcode=#``.
    """
    names = " < ".join(_names(Resolution.of(report)))
    text = f"{report.kind} {names or _wording(report)}"
    return Signature(hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12], text)


def _wording(report: Report) -> str:
    """The headline without what differs between occurrences of a bug; the task's name stays in a report of a hang."""
    words = report.headline
    if report.comm and report.kind not in HANGS:
        words = words.replace(report.comm, "#")
    return _NUMBER.sub("#", words)[:160].strip()


def _names(resolution: Resolution) -> Iterator[str]:
    if resolution.report.kind == "panic" and oom.policy(resolution.report.headline):
        yield "out_of_memory"  # the task that asked for memory last is chance
        return
    found = blame.blame(resolution)
    if found is None:
        return
    if resolution.report.kind in SAMPLED or sampled.overflown(resolution):
        yield from _loop(resolution, found.frame)
        return
    path = callchain.certain(resolution)
    start = next((index for index, frame in enumerate(path) if frame is found.frame), None)
    if start is None:  # named in the headline alone
        yield _name(found.frame)
        return
    if resolution.ip is not None and not resolution.ip.symbol:
        yield "(bad pointer)"
    checks = (passed_over(resolution, frame) for frame in path[:start])
    yield from [f"({group.name})" for group in checks if group is not None and group.check][-1:]
    yield from _callers(resolution, path[start:])


def _callers(resolution: Resolution, path: Sequence[ResolvedFrame]) -> List[str]:
    """The culprit and its callers, up to the function that called back.

    A name that repeats in a row is given once: recursion, ``foo.part.0 < foo``, ``__foo < foo``, which another
    compiler makes one function.
    """
    names = [_name(path[0])]
    for before, frame in zip(path, path[1:]):
        called_back = dispatch.caller(callchain.true_name(frame)) or dispatch.is_interrupt(frame.symbol or "")
        if called_back or len(names) == DEPTH or callchain.left(before, frame):
            break
        skipped = passed_over(resolution, frame) or callchain.hidden(frame)
        if not skipped and names[-1] != _name(frame):
            names.append(_name(frame))
    return names


def _loop(resolution: Resolution, entry: ResolvedFrame) -> Iterator[str]:
    """The names that are the same in every sample of a loop, or at every depth of a recursion."""
    again = callchain.recursion(resolution)
    if again and sampled.overflown(resolution):
        yield from sorted({_name(frame) for frame in again})[:DEPTH]
        return
    path = callchain.interrupted(resolution)
    own = sampled.out_of_tree(resolution, path)
    back = sampled.called_back(resolution, path)
    frame = own[-1] if own else back.frame if back else entry
    name = _name(frame)
    if name.startswith("smp_call_function"):
        name = "smp_call_function"  # _many, _single, _many_cond: in all of them another CPU hangs
    yield name
    if name.startswith("sys_") and frame in path[1:]:
        yield _name(path[path.index(frame) - 1])  # a system call alone says too little


def _name(frame: ResolvedFrame) -> str:
    name = symbolname.lasting(frame.symbol or "")
    return f"{name}[{frame.module}]" if frame.module else name
