"""The systemd units that run batch after the reboot that follows a crash."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TESTS, RunCli, environment
from processes import ran

from kdumpwrap.example import worked

SCRIPTS = TESTS.parent / "scripts"
UNITS = ("kdumpwrap-batch.service", "kdumpwrap-batch.path")
PROGRAM = "/usr/bin/kdumpwrap"
DROP_IN = SCRIPTS / "kdumpwrap-tell.conf"


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
    dropped = tmp_path / f"{UNITS[0]}.d" / DROP_IN.name
    dropped.parent.mkdir()
    dropped.write_text(DROP_IN.read_text().replace(PROGRAM, str(program)))
    verify = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit) for unit in UNITS)]
    done = ran(verify)
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
    done = ran(command)
    if "offline" in done.stderr:
        pytest.skip("systemd before 250")
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level, done.stderr
    assert float(level[1]) <= 2.0
    assert setting(UNITS[0], "ReadWritePaths") == "/var/crash"
    assert setting(UNITS[0], "CapabilityBoundingSet") == "CAP_DAC_OVERRIDE"
    for limit in ("MemoryMax", "TasksMax", "LimitFSIZE"):
        assert setting(UNITS[0], limit)


def test_the_drop_in_tells_what_is_new_and_keeps_what_it_could_not_tell(tmp_path: Path) -> None:
    """Verified by systemd-analyze beside the service, and its two commands run by a shell on a host of one crash."""
    text = DROP_IN.read_text()
    start, post = (re.findall(rf"^{name}=\+?(/.*)$", text, re.M) for name in ("ExecStart", "ExecStartPost"))
    assert "\nSuccessExitStatus=3 4\n" in text
    host, state, bin = tmp_path / "host", tmp_path / "state", tmp_path / "bin"
    shutil.copytree(worked.root(), host)
    for directory in (state, bin):
        directory.mkdir()
    for name, command in (
        ("kdumpwrap", f'exec {shlex.quote(sys.executable)} -m kdumpwrap "$@" --root {shlex.quote(str(host))}'),
        ("mail", f'[ ! -e {tmp_path}/no-mail ] && echo "$@" >>{tmp_path}/mails && cat >>{tmp_path}/mails'),
    ):
        (bin / name).write_text(f"#!/bin/sh\n{command}\n")
        (bin / name).chmod(0o755)

    def service() -> int:
        status = 0
        for command in (start[0], post[0]):
            here = command.replace("/var/lib/kdumpwrap", str(state)).replace(PROGRAM, f"{bin}/kdumpwrap")
            done = subprocess.run(
                shlex.split(here), env=dict(environment(), PATH=f"{bin}:{os.environ['PATH']}"), check=False
            )
            status = status or done.returncode
        return status

    (tmp_path / "no-mail").write_text("")
    assert service() == 3  # of the crash, whose module has no debuginfo; what mail says does not count here
    assert not (tmp_path / "mails").exists()
    (tmp_path / "no-mail").unlink()
    for status in (4, 4):
        assert service() == status
        mails = (tmp_path / "mails").read_text()
        assert mails.count("Kernel crash on %H root") == mails.count("1 bug in 1 crash") == 1
        assert not (state / "news").exists() or not (state / "news").read_text()
