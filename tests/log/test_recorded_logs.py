"""One recorded log for each shape, with the parser's whole answer beside it; ``pytest --update`` writes it anew."""

from typing import Dict

import pytest
import recorded

from kdumpwrap.log.kinds import KINDS

INDEX = recorded.LOGS / "INDEX.tsv"


def index() -> Dict[str, str]:
    rows = (line.partition("\t") for line in INDEX.read_text().splitlines())
    return {name: shows for name, _, shows in rows}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_answer_is_the_recorded_one(name: str, request: pytest.FixtureRequest) -> None:
    path = recorded.LOGS / f"{name}.json"
    answer = recorded.answer(recorded.parse(name))
    if request.config.getoption("--update"):
        path.write_text(answer)
    assert answer == path.read_text()


def test_the_index_says_what_each_log_shows() -> None:
    assert sorted(index()) == recorded.NAMES
    assert all(len(shows) > 10 for shows in index().values())
    assert {path.stem for path in recorded.LOGS.glob("*.json")} == set(recorded.NAMES)


def test_every_kind_and_every_architecture_is_shown() -> None:
    reports = [report for name in recorded.NAMES for report in recorded.parse(name).reports]
    assert {report.kind for report in reports} == set(KINDS)
    arches = {"x86_64", "aarch64", "ppc64le", "s390x", "arm", "i386", "riscv64"}
    assert {report.arch for report in reports if report.arch} >= arches
