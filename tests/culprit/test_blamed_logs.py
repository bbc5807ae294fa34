"""The function to blame in recorded logs: each of tests/data/blamed shows one form in which a kernel prints a report.

The first lines of a file say the answer, the kind and the kernel's function that prints it; then comes the log.
"""

from pathlib import Path
from typing import Dict, Tuple

import pytest

from kdumpwrap.culprit import blame
from kdumpwrap.log import reader
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Log, subject

BLAMED = Path(__file__).resolve().parent.parent / "data" / "blamed"
NAMES = sorted(path.stem for path in BLAMED.glob("*.log"))


def read(name: str) -> Tuple[Dict[str, str], Log]:
    """What is expected of a log, and its reports."""
    head, _, text = (BLAMED / f"{name}.log").read_bytes().partition(b"\n\n")
    expected = dict(line.split(": ", 1) for line in head.decode().splitlines())
    return expected, reader.parse([text])


@pytest.mark.parametrize("name", NAMES)
def test_the_function_to_blame(name: str) -> None:
    expected, log = read(name)
    index = subject(len(log.reports), log.fatal)
    assert index is not None
    assert log.problems == ()
    found = blame.culprit(Resolution.of(log.reports[index]))
    assert (found.symbol if found else "none", log.reports[index].kind) == (expected["culprit"], expected["kind"])


def test_each_log_names_the_kernels_function_that_prints_it() -> None:
    assert all(len(read(name)[0]["source"]) > 10 for name in NAMES)
