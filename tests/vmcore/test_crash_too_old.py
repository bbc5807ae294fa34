"""A crash(8) too old for the kernel by its number: if it answers, breaks down or hangs, the user learns the same."""

import json
import re
import shutil
from pathlib import Path
from typing import List, Optional

import pytest
from conftest import Lab, Result, RunCli, without_lab
from fake_crash import ANSWER, NEW_KERNEL, RELEASE, Fake

from kdumpwrap.vmcore.causes import Trouble
from kdumpwrap.vmcore.files import Subject
from kdumpwrap.vmcore.rungs import RUNGS

NEWER = "6.12.0-55.24.1.el10_0.x86_64"
TIME = "6"  # seconds: on a busy machine the start that follows must not take them
TOO_OLD_BY_NUMBER = f"crash 8.0.2 is too old for kernel {NEWER}, which needs 8.0.6 or newer"


def lines(result: Result, what: str) -> List[str]:
    """The lines of stderr that begin so."""
    return [line for line in result.stderr.splitlines() if line.startswith(f"{what}: ")]


def test_a_kernel_of_which_crash_lacks_more_than_its_modules_is_left_to_minimal(fake: Fake) -> None:
    fake.program(start=NEW_KERNEL, release=NEWER)
    rows, result = fake.answers("bt", "log", "sym x")
    assert fake.starts == ["", "-d1", "--kaslr=auto", "--minimal --kaslr=auto"]
    assert [row["complete"] for row in rows] == [False, True, True]
    assert (result.status, lines(result, "kdumpwrap")) == (
        3,
        [
            f"kdumpwrap: {TOO_OLD_BY_NUMBER}",
            "kdumpwrap: crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone",
            "kdumpwrap: the answer to `bt` is missing: not available with --minimal",
        ],
    )
    (hint,) = lines(result, "hint")
    assert hint.startswith("hint: crash 8.0.6 or newer: ") and hint.endswith("/crash-utility/crash")


def test_what_hangs_when_it_starts_is_left_to_minimal(fake: Fake) -> None:
    fake.program(start="if not minimal: time.sleep(1000)", release=NEWER)
    rows, result = fake.answers("bt", "log", options=("--timeout", TIME))
    assert fake.starts == ["", "--minimal"]
    assert [row["complete"] for row in rows] == [False, True]
    first = f"kdumpwrap: crash did not answer within {TIME} s (time limit); by its number, {TOO_OLD_BY_NUMBER}"
    assert (result.status, lines(result, "kdumpwrap")[0]) == (3, first)
    assert re.fullmatch("hint: crash 8.0.6 or newer: .*; --timeout SECONDS", lines(result, "hint")[0])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crash broke down (signal 11); by its number, "),
        (
            "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(1000)",
            f"crash did not answer within {TIME} s (time limit); by its number, ",
        ),
        ("sys.exit(1)", "crash failed: it ended with status 1; by its number, "),
        ("say('   <segmentation violation in gdb>\\n\\n')", ""),
    ],
)
def test_what_breaks_down_or_hangs_in_an_answer_is_asked_of_minimal_at_once(fake: Fake, answer: str, said: str) -> None:
    fake.program(answer=f"if not minimal: {answer}\n{ANSWER}", release=NEWER)
    rows, result = fake.answers("log", "sym x", options=("--timeout", TIME) if "within" in said else ())
    assert fake.starts == ["", "--minimal"]
    assert [row["complete"] for row in rows] == [True, True]
    assert result.status == 3
    assert lines(result, "kdumpwrap")[0] == f"kdumpwrap: {said}{TOO_OLD_BY_NUMBER}"
    assert lines(result, "hint")[0].startswith("hint: crash 8.0.6 or newer: ")


def test_one_that_answers_all_the_same_is_not_called_too_old(fake: Fake) -> None:
    """A distribution may give an old crash what its own kernels need."""
    fake.program(release=NEWER)
    rows, result = fake.answers("bt", "log")
    assert (fake.starts, result.status, result.stderr) == ([""], 0, "")
    assert all(row["complete"] for row in rows)


@pytest.mark.parametrize(
    ("release", "limit"), [(NEWER, 120), (RELEASE, 600), ("6.1.0-47-cloud-amd64", 600), (None, 600)]
)
def test_it_is_given_less_time(fake: Fake, tmp_path: Path, release: Optional[str], limit: float) -> None:
    """Not as minimal, which leaves out what makes it hang: there a slow machine needs the time.

    Debian 12's 8.0.2 starts on its own 6.1, of which it does not know the maple trees.
    """
    fake.program()
    subject = Subject(str(tmp_path / "tools/crash"), fake.vmlinux, fake.crash / "vmcore", release)
    assert [Trouble(subject, ()).limit(rung) for rung in RUNGS] == [limit, limit, limit, 600]
    assert {Trouble(subject, (), 7.0).limit(rung) for rung in RUNGS} == {7}


@pytest.mark.lab
def test_minimal_is_used_by_itself_and_what_is_missing_is_said(run_cli: RunCli, lab_newer: Lab) -> None:
    """Debian 12's crash on a dump of a kernel that came later: only its start as a whole and --minimal can be told."""
    if shutil.which("crash") is None:
        without_lab("crash is not installed")
    asked = [word for command in ("bt", "log", "rd -a linux_banner", "sym iptunnel_xmit") for word in ("-c", command)]
    where = (lab_newer.crashes["iptunnel"], "--root", lab_newer.root)
    result = run_cli("crash", *where, "--json", "--timeout", "900", *asked, env={"CRASH": "crash"}, timeout=3600)
    rows = {row["command"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert result.status == 3
    assert [row["complete"] for row in rows.values()] == [False, True, True, True]
    assert f"Linux version {lab_newer.release} " in rows["rd -a linux_banner"]["output"].replace("\n", "")
    assert "CR2: " in rows["log"]["output"]
    first, ran, missing = lines(result, "kdumpwrap")
    release = re.escape(lab_newer.release)
    assert re.fullmatch(
        rf"kdumpwrap: crash 8\.0\.2 is too old for kernel {release}, which needs 8\.0\.6 or newer", first
    )
    (hint,) = lines(result, "hint")
    assert re.fullmatch(r"hint: crash 8\.0\.6 or newer: .*, or build it from https://\S+", hint)
    assert ran == "kdumpwrap: crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone"
    assert missing == "kdumpwrap: the answer to `bt` is missing: not available with --minimal"
