"""Repeats: frames of a call trace that are folded, and recursions that are told."""

from typing import List, Sequence

import handmade
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.explain import reasons, repeats
from kdumpwrap.model.finding import Run
from kdumpwrap.model.kernel import ResolvedFrame
from kdumpwrap.model.log import Frame


def frames(*names: str) -> List[Frame]:
    return [ResolvedFrame(name.lstrip("?"), 0x10, 0x40, certain=not name.startswith("?")) for name in names]


def test_repeats_are_folded() -> None:
    trace = frames("top", *["walk"] * 30, "main")
    assert repeats.folded(trace) == (Run(1, 31, 1, 30),)
    ring = frames("a", "b", "?x", "a", "b", "a", "b", "a", "b", "end")
    (run,) = repeats.folded(ring)
    assert (run.first, run.stop, run.times) == (0, 9, 4)
    assert repeats.folded(frames("a", "b", "c", "a", "b")) == ()
    assert repeats.folded(frames("a", "b", "b", "b")) == (Run(1, 4, 1, 3),)  # the least that is told


def test_endless_recursion_is_told() -> None:
    found = handmade.finding(kind="double-fault", trace=tuple(frames(*["walk"] * 12, "main")))
    text = "\n".join(reasons.explain(found.resolution))
    assert "walk calls itself: 12 frames" in text
    assert "endless recursion" in text


@given(names=st.lists(st.sampled_from(["a", "b", "?c", "d"]), max_size=60))
def test_runs_do_not_overlap(names: Sequence[str]) -> None:
    runs = repeats.folded(frames(*names))
    assert all(one.stop <= other.first for one, other in zip(runs, runs[1:]))
    assert all(run.times >= 3 and run.first < run.stop <= len(names) for run in runs)
