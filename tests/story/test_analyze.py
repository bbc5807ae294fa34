"""The story of one crash, from its log to the finding: the worked example's vmlinux is enough."""

import json
import re
from pathlib import Path
from typing import Dict, Hashable, Optional, Sequence, Tuple

import pytest
from conftest import RunCli

from kdumpwrap import analyze, steps
from kdumpwrap.cli import pages
from kdumpwrap.crashdir import finder
from kdumpwrap.debuginfo import Search
from kdumpwrap.example import worked
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.kernel import ResolvedFrame, Symbol
from kdumpwrap.model.log import Frame, Log
from kdumpwrap.symbolize.symbolizer import Symbolizer

SEARCH = Search(worked.root())


@pytest.fixture(scope="module")
def read() -> Tuple[Crash, Log]:
    crash = finder.find(None, SEARCH.root)
    return crash, analyze.read(crash, SEARCH)


def test_a_later_stage_holds_the_earlier_one(read: Tuple[Crash, Log]) -> None:
    (finding,) = analyze.analyze(None, SEARCH).findings
    assert finding.report == read[1].reports[0]
    assert finding.resolution.report is finding.report
    for resolved, frame in zip(finding.resolution.trace, finding.report.trace):
        assert {name: getattr(resolved, name) for name in vars(frame)} == vars(frame)


def test_what_is_told_of_one_crash_is_told_of_the_next_with_its_own_registers(read: Tuple[Crash, Log]) -> None:
    crash, log = read
    (report,) = log.reports
    other = report._replace(pid=7, registers=tuple((name, value + 16) for name, value in report.registers))
    with Symbolizer(log.release, SEARCH) as symbolizer:
        logs = (log, log._replace(reports=(other,)))
        one, two = (found.findings[0] for found in analyze.analyses([(crash, each) for each in logs], symbolizer))
    assert one.resolution.trace is two.resolution.trace  # the files were asked once
    assert (one.report, two.report) == (report, other)
    assert one.culprit == two.culprit
    assert one.explanation != two.explanation


class Mute(Symbolizer):
    """Has no answer."""

    def place(self, frame: Frame, symbols: Optional[Sequence[Symbol]] = None) -> ResolvedFrame:
        raise AssertionError(f"asked for {frame.symbol}")


def test_what_another_crash_has_asked_is_not_asked_again(read: Tuple[Crash, Log]) -> None:
    crash, log = read
    known: Dict[Hashable, Tuple[steps.Case, steps.Answer]] = {}
    with Symbolizer(log.release, SEARCH) as symbolizer:
        (one,) = analyze.analyses([(crash, log)], symbolizer, known=known)
    later = log._replace(reports=(log.reports[0]._replace(pid=7),))
    other = log._replace(reports=(log.reports[0]._replace(taint="W"),))
    with Mute(log.release, SEARCH) as symbolizer:
        (two,) = analyze.analyses([(crash, later)], symbolizer, known=known)
        with pytest.raises(AssertionError, match="asked for"):
            list(analyze.analyses([(crash, other)], symbolizer, known=known))
    assert two.findings[0].resolution.trace is one.findings[0].resolution.trace
    assert two.findings[0].report.pid == 7


def test_what_a_tool_could_not_do_is_asked_again(
    read: Tuple[Crash, Log], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = tmp_path / "objdump"
    fails.write_text("#!/bin/sh\nexit 1\n")
    fails.chmod(0o755)
    monkeypatch.setenv("OBJDUMP", str(fails))
    known: Dict[Hashable, Tuple[steps.Case, steps.Answer]] = {}
    with Symbolizer(read[1].release, SEARCH) as symbolizer:
        (found,) = analyze.analyses([read], symbolizer, known=known)
    assert any(problem.tool_failed for problem in found.problems)
    assert not known


def test_the_judgement_stands_in_the_report(run_cli: RunCli) -> None:
    (report,) = json.loads(run_cli("analyze", "--example", "--json").stdout)["reports"]
    added = [*report][[*report].index("shown") :]  # new keys come last
    assert added[:6] == ["shown", "guilty", "repeats", "statements", "variables", "expression"]
    assert added[6:] == (
        "count named locks works blocker memory machine_checks wall_clock user_ip reporting message_origin".split()
    )
    assert (report["shown"], report["guilty"], report["repeats"]) == ("ip", ["rax"], [])
    about = ["place", "reasons", "culprit", "suspect", "trace", "kernel"]
    assert [statement["about"] for statement in report["statements"]] == about
    analysis = analyze.analyze(None, SEARCH)
    page = pages.crash(analysis)
    assert [re.sub("<[^>]*>", "", one) for one in re.findall('<div class="reg guilty">.*?</dt>', page)] == ["rax"]
    titles = re.findall("<h2>([^<]*)</h2></?(?:div|header)", page)
    assert {"Call trace", "Registers", "Log", "Evidence"} <= set(titles)


def test_another_kernels_vmlinux_is_doubted_by_a_field_not_by_a_sentence(read: Tuple[Crash, Log]) -> None:
    crash, log = read
    other = log._replace(release="4.19.113-1.el7.x86_64")
    search = SEARCH._replace(vmlinux=next(worked.root().glob("usr/lib/debug/lib/modules/*/vmlinux")))
    with Symbolizer(other.release, search) as symbolizer:
        (analysis,) = analyze.analyses([(crash, other)], symbolizer)
    assert [problem.wrong_vmlinux for problem in analysis.problems].count(True) == 1
    kernel = [one.level for one in analysis.findings[0].statements if one.about == "kernel"]
    assert kernel == ["doubtful"]


def test_the_commands_of_a_crash_are_its_own(tmp_path: Path, run_cli: RunCli) -> None:
    crash = finder.find(None, SEARCH.root)
    log = tmp_path / "log"
    log.write_text(Path(crash.dmesg or "").read_text().replace("4.19.113-88.8bs", "1.2.3-4"))
    done = run_cli("analyze", "--markdown", crash.path, str(log), "--root", str(worked.root()))
    first, second = f"\n{done.stdout}".split("\n## ")[1:]
    assert "addr2line -a" in first
    assert "objdump -D" in second  # of the log's own code bytes
    assert "addr2line" not in second and "4.19.113" not in second
