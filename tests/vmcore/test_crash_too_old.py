"""Debian 12's crash(8) on a dump of a kernel that came later: which one reads it, and what is there all the same."""

import json
import re
import shutil
from typing import Dict, List

import pytest
from conftest import Lab, RunCli, without_lab

pytestmark = pytest.mark.lab

COMMANDS = ("bt", "log", "rd -a linux_banner", "sym iptunnel_xmit")


@pytest.fixture
def old() -> Dict[str, str]:
    """The environment in which the host's crash is asked, where it is that old."""
    if shutil.which("crash") is None:
        without_lab("crash is not installed")
    return {"CRASH": "crash"}


def said(stderr: str, what: str) -> List[str]:
    """The lines of stderr that begin so."""
    return [line for line in stderr.splitlines() if line.startswith(f"{what}: ")]


def test_minimal_is_used_by_itself_and_what_is_missing_is_said(
    run_cli: RunCli, lab_newer: Lab, old: Dict[str, str]
) -> None:
    asked = [word for command in COMMANDS for word in ("-c", command)]
    result = run_cli("crash", lab_newer.crashes["iptunnel"], "--root", lab_newer.root, "--json", *asked, env=old)
    rows = {row["command"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert result.status == 3
    assert [row["complete"] for row in rows.values()] == [False, True, True, True]
    assert f"Linux version {lab_newer.release} " in rows["rd -a linux_banner"]["output"].replace("\n", "")
    assert "CR2: " in rows["log"]["output"]
    first, ran, missing = said(result.stderr, "kdumpwrap")
    release = re.escape(lab_newer.release)
    assert re.fullmatch(
        rf"kdumpwrap: crash 8\.0\.2 is too old for kernel {release}, which needs 8\.0\.6 or newer", first
    )
    (hint,) = said(result.stderr, "hint")
    assert re.fullmatch(r"hint: crash 8\.0\.6 or newer: .*, or build it from https://\S+", hint)
    assert ran == "kdumpwrap: crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone"
    # the gdb in it breaks down, before it says anything or in the middle of it
    causes = "missing: not available with --minimal", "cut off or not to be trusted: crash broke down"
    assert missing in [f"kdumpwrap: the answer to `bt` is {cause}" for cause in causes]
