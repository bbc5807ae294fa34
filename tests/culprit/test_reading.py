"""What spares a tired reader work: when it was, which report counts, what is left out, a reason for every kind."""

import json
import re
from pathlib import Path

import handmade
import pytest
import recorded
from test_blamed_logs import read

from kdumpwrap.analyze import dmesg
from kdumpwrap.culprit.key import key
from kdumpwrap.debuginfo import Search
from kdumpwrap.explain import conclusion, plain, reasons
from kdumpwrap.log import clock, reader
from kdumpwrap.log.kinds import KINDS
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Log, Report
from kdumpwrap.model.verdict import Verdict
from kdumpwrap.render import json as as_json
from kdumpwrap.render import lists, text, view
from kdumpwrap.render.redact import Redactor


def shown(lines: str, where: Path) -> str:
    where.write_text(lines)
    return text.render(dmesg(str(where), Search()), all_reports=True)


WARNING = """\
[{at}.100000] WARNING: CPU: 1 PID: 112 at net/core/dev.c:42 f+0x12/0x80
[{at}.100001] CPU: 1 PID: 112 Comm: sh Not tainted 5.14.0-503.el9.x86_64 #1
[{at}.100002] RIP: 0010:f+0x12/0x80
[{at}.100003] Call Trace:
[{at}.100004]  ? __warn+0x81/0x110
[{at}.100005]  ? f+0x12/0x80
[{at}.100006]  ? report_bug+0x10a/0x140
[{at}.100007]  ? handle_bug+0x3c/0x70
[{at}.100008]  ? exc_invalid_op+0x14/0x70
[{at}.100009]  ? asm_exc_invalid_op+0x16/0x20
[{at}.100010]  ? f+0x12/0x80
[{at}.100011]  g+0x20/0x90
[{at}.100012]  h+0x20/0x90
"""
PANIC = """\
[   90.000000] Kernel panic - not syncing: sysrq triggered crash
[   90.000001] CPU: 1 PID: 112 Comm: sh Not tainted 5.14.0-503.el9.x86_64 #1
[   90.000002] Call Trace:
[   90.000003]  panic+0xe7/0x2ac
[   90.000004]  sysrq_handle_crash+0x11/0x20
[   90.000005] RIP: 0033:0x7f3ce1a3e9d7
"""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (96.2, "96 s"),
        (725.0, "12 min"),
        (18725.0, "5 h 12 min"),
        (86400.0, "1 day 0 h"),
        (16859000.5, "195 days 3 h"),
    ],
)
def test_how_long_the_kernel_ran(seconds: float, words: str) -> None:
    assert view.uptime(seconds) == words


def test_when_it_was_by_the_clock_chip(tmp_path: Path) -> None:
    """On a long log too: the line of the clock is far from any report."""
    said = "[    2.096729] rtc_cmos 00:05: setting system clock to 2024-01-25 12:21:17 UTC (1706185277)\n"
    noise = "".join(f"[    3.{n:06}] usb 1-1: new high-speed USB device\n" for n in range(3000))
    page = shown(noise + said + noise + PANIC, tmp_path / "log")
    assert "   when      90 s after boot, 2024-01-25 12:22:44 UTC\n" in page
    assert "when      90 s after boot\n" in shown(noise + PANIC, tmp_path / "other")
    analysis = dmesg(str(tmp_path / "log"), Search())
    (found,) = json.loads(as_json.render(analysis))["reports"]
    assert (found["wall_clock"], found["user_ip"]) == ("2024-01-25T12:22:44Z", "0x7f3ce1a3e9d7")
    assert clock.parse(said[15:].strip().replace("1706185277", "12")) is None  # a chip without a battery
    later = "rtc_cmos 00:05: setting system clock to 2024-01-25T12:21:17 UTC (1706185277)"
    assert clock.parse(later) == 1706185277


def test_another_time_is_the_same_bug() -> None:
    """So that `batch` asks once for a thousand crashes of one bug."""
    said = "[    2.096729] rtc_cmos 00:05: setting system clock to 2024-01-25 12:21:17 UTC (1706185277)\n"
    one, other = (reader.parse([text.encode()]) for text in (said + PANIC, PANIC.replace("7f3ce1a3e9d7", "7f5de")))
    assert one.reports[0].wall != other.reports[0].wall and one.reports[0].user_ip != other.reports[0].user_ip
    assert key(one) == key(other)


def test_who_found_a_lockup_is_another_occurrence_of_it() -> None:
    data = recorded.data("debian-6.1-soft-lockup-panic")
    (one,), (other,) = (reader.parse([each]).reports for each in (data, re.sub(rb"(?<=PID: )\d+", b"4711", data)))
    assert one.panicker is not None and one.panicker != other.panicker
    assert key(Log((one,))) == key(Log((other,)))


def test_equal_reports_are_folded_and_the_fatal_one_is_marked(tmp_path: Path) -> None:
    lines = "".join(WARNING.format(at=f"   {n}0") for n in range(1, 6)) + PANIC
    page = shown(lines, tmp_path / "log")
    assert page.count("WARNING: CPU: 1") == 1
    assert "   report    1 of 6, line 1; 4 more like it, lines 14, 27, 40, 53\n" in page
    assert "   report    6 of 6, line 66: it brought the kernel down\n" in page
    assert "report  " not in shown(PANIC, tmp_path / "alone")
    other = lines.replace("   20.100012]  h+", "   20.100012]  k+")
    assert shown(other, tmp_path / "other").count("WARNING: CPU: 1") == 2


def test_the_frames_that_made_a_warning_are_folded(tmp_path: Path) -> None:
    page = shown(WARNING.format(at="   10"), tmp_path / "log")
    assert "… 6 frames that only made this report, up to asm_exc_invalid_op" in page
    assert "__warn" not in page.partition("… 6 frames")[0]
    assert [row.label for row in lists.trace(dmesg(str(tmp_path / "log"), Search()).findings[0])][:2] == ["ip", "#6"]
    (short,) = recorded.parse("debian-6.1-warning-then-oops").reports[:1]
    assert conclusion.finding(Resolution.of(short), Verdict(None, None)).reporting == 0


def test_where_a_program_was_is_not_taken_for_the_kernel(tmp_path: Path) -> None:
    page = shown(PANIC, tmp_path / "log")
    assert "   user      the program was at 0x7f3ce1a3e9d7: that is its own code, not the kernel's\n" in page
    assert "   where  " not in page


def test_a_task_is_told_only_where_there_is_one() -> None:
    one = handmade.finding(kind="hard-lockup", headline="LOCKUP", cpu=3, pid=None, comm=None, time=None)
    page = text.render(Analysis(handmade.ANALYSIS.crash, handmade.ANALYSIS.kernel, (one,)))
    assert "   cpu       3\n" in page
    assert "   task  " not in page and "   when  " not in page


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_reason(kind: str) -> None:
    bare = Resolution.of(Report(kind=kind, headline="", line=1))  # type: ignore[arg-type]
    found = conclusion.finding(bare, Verdict(None, None))
    assert found.explanation and all(re.match(r"[A-Z].*\.$", sentence) for sentence in found.explanation)
    if not reasons.explain(bare):
        assert found.explanation == (plain.meaning(bare.report),)
        assert not any(one.about == "reasons" for one in found.statements)  # nothing of this crash was explained


def test_a_pointer_that_is_text_is_shown_as_text() -> None:
    headline = b"general protection fault, probably for non-canonical address 0x6c6c2f6e69622f2e: 0000 [#1]\n"
    log = reader.parse([headline + b"RIP: 0010:f+0x12/0x80\nCall Trace:\n g+0x1/0x2\n"])
    told = reasons.explain(Resolution.of(log.reports[0]))
    assert any("'./bin/ll'" in sentence for sentence in told), told


def test_the_names_of_all_tasks_are_redacted_on_request() -> None:
    for name in ("oom-panic-many-tasks", "hung-locks-held", "hung-rwsem-owner"):
        _, log = read(name)
        findings = tuple(conclusion.finding(Resolution.of(report), Verdict(None, None)) for report in log.reports)
        analysis = Analysis(handmade.ANALYSIS.crash, handmade.ANALYSIS.kernel, findings)
        redactor = Redactor(["names"])
        redactor.crash(analysis)
        why = redactor.text("\n".join(sentence for one in findings for sentence in one.explanation))
        assert "task-" in why and not re.search(r"\b(?:acmed|java|mysqld|mv)\b", why)
