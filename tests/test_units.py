"""The systemd units that run batch after the reboot that follows a crash."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TESTS, RunCli

SCRIPTS = TESTS.parent / "scripts"
UNITS = ("kdumpwrap-batch.service", "kdumpwrap-batch.path")
PROGRAM = "/usr/bin/kdumpwrap"


def setting(unit: str, name: str) -> str:
    lines = (SCRIPTS / unit).read_text().splitlines()
    (value,) = (line.partition("=")[2] for line in lines if line.startswith(f"{name}="))
    return value


def test_systemd_has_nothing_to_say_against_them(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    program = tmp_path / "kdumpwrap"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kdumpwrap "$@"\n')
    program.chmod(0o755)
    for unit in UNITS:
        (tmp_path / unit).write_text((SCRIPTS / unit).read_text().replace(PROGRAM, str(program)))
    verify = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit) for unit in UNITS)]
    done = subprocess.run(verify, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_runs_a_command_that_there_is(run_cli: RunCli, tmp_path: Path) -> None:
    program, *arguments = shlex.split(setting(UNITS[0], "ExecStart"))
    assert program == PROGRAM
    (tmp_path / "var/crash").mkdir(parents=True)
    done = run_cli(*arguments, "--root", tmp_path)
    assert (done.status, done.stdout) == (1, "")
    assert f"{tmp_path}/var/crash: no crash here" in done.stderr


def test_the_path_unit_starts_the_service_of_its_name() -> None:
    # without Unit= a path unit starts the service that is called like it
    assert "Unit=" not in (SCRIPTS / UNITS[1]).read_text()
    assert [Path(unit).stem for unit in UNITS] == ["kdumpwrap-batch"] * 2
    assert setting(UNITS[1], "PathChanged") == "/var/crash"


def test_the_service_is_confined() -> None:
    """The measure is systemd's own: 0 is confined, 10 is not; and what it writes is below the crash directory."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(SCRIPTS / UNITS[0])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, check=False)
    if "offline" in done.stderr:
        pytest.skip("systemd before 250")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level, done.stderr
    assert float(level[1]) <= 2.0
    assert setting(UNITS[0], "ReadWritePaths") == "/var/crash"
    assert setting(UNITS[0], "CapabilityBoundingSet") == "CAP_DAC_OVERRIDE"
    for limit in ("MemoryMax", "TasksMax", "LimitFSIZE"):
        assert setting(UNITS[0], limit)
