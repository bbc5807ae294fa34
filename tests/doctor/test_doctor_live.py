"""doctor on the machine that the tests run on, and where / is made to look like a CentOS host."""

import json
import subprocess
from pathlib import Path
from typing import Dict

import doctor_hosts
import doctor_sandbox
import pytest
from conftest import RunCli, ToolDir
from doctor_runs import as_nobody, live, rows

# ---------------------------------------------------------------- this machine


def test_the_machine_that_the_tests_run_on(run_cli: RunCli) -> None:
    """Whatever it is: no traceback, one of the three answers, and every fault with what to do."""
    result = run_cli("doctor", "--json")
    assert result.status in (0, 1, 3)
    assert result.stderr == ""
    diagnosis = json.loads(result.stdout)
    assert diagnosis["ready"] is {0: True, 1: None, 3: False}[result.status]
    for check in diagnosis["checks"]:
        assert check["fix"] or check["status"] != "fail", check
    path = Path("/sys/kernel/kexec_crash_loaded")
    if path.exists() and path.read_text() == "1\n":
        assert "ok" in [check["status"] for check in diagnosis["checks"] if check["check"] == "loaded"]


def test_this_machine_without_root(run_cli: RunCli) -> None:
    """Who is not root hears of no fault that root does not hear of."""
    mine, root = as_nobody("doctor", "--json"), run_cli("doctor", "--json")
    assert mine.status in (0, 1, 3)
    faults = {
        name: {check["check"] for check in json.loads(text)["checks"] if check["status"] == "fail"}
        for name, text in (("mine", mine.stdout), ("root", root.stdout))
    }
    assert faults["mine"] <= faults["root"]


def test_in_a_container_its_host_is_not_judged(run_cli: RunCli) -> None:
    """In a process namespace of its own: /proc/cmdline there is that of the host round it."""
    command = [*doctor_sandbox.namespace(), "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*command, "true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False).returncode:
        pytest.skip("needs a process namespace, which this machine does not allow")
    result = run_cli("doctor", "--raw", prefix=command)
    assert result.stderr == ""
    found = rows(result)
    assert found["crashkernel"][:2] == ["warn", "cannot tell: a container: it is its host's kernel that crashes"]
    assert not {"reserved", "loaded", "bootloader", "panic_on_oops"} & set(found)
    tools = {"nm", "objdump", "addr2line", "crash", "makedumpfile", "debuginfo"}
    assert {name for name, row in found.items() if row[0] == "fail"} <= tools


# ---------------------------------------------------------------- a live host, faked

SYSTEMCTL = """
case "$1 $2" in
"is-enabled kdump.service") echo {enabled} ;;
"is-active kdump.service") echo {active} ;;
esac
[ "$1" = is-enabled ] && [ {enabled} = enabled ] || [ {active} = active ]
"""
ESTIMATE = """
[ "$1" = estimate ] || exit 1
cat <<'END'
Reserved crashkernel:    256M
Recommended crashkernel: {recommended}

Kernel image size:   47M
Kernel modules size: 12M
Initramfs size:      19M
Runtime reservation: 64M
END
"""


@pytest.fixture
def needs_boot() -> None:
    if not Path("/boot").is_dir():
        pytest.skip("needs a directory /boot to mount another one over it")


@pytest.mark.parametrize(
    ("enabled", "active", "recommended", "answers"),
    [
        ("enabled", "active", "256M", {"service": "ok", "estimate": "ok", "loaded": "ok"}),
        ("enabled", "active", "655M", {"service": "ok", "estimate": "warn", "loaded": "ok"}),
        ("enabled", "failed", "256M", {"service": "warn", "loaded": "ok"}),
        ("disabled", "inactive", "256M", {"service": "fail"}),
        ("masked", "inactive", "256M", {"service": "fail"}),
    ],
)
@pytest.mark.usefixtures("needs_boot")
def test_what_systemctl_and_kdumpctl_say(
    enabled: str, active: str, recommended: str, answers: Dict[str, str], tmp_path: Path, tool_dir: ToolDir
) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tool_dir.fake("systemctl", SYSTEMCTL.format(enabled=enabled, active=active))
    tool_dir.fake("kdumpctl", ESTIMATE.format(recommended=recommended))
    found = live(tree, tool_dir)
    assert {name: found[name][0] for name in answers} == answers
    assert found["reserved"] == ["ok", "256M", ""]
    if answers.get("estimate") == "warn":
        assert found["estimate"][1:] == [
            "256M reserved, 655M recommended by kdumpctl estimate",
            "grubby --update-kernel=ALL --args=crashkernel=655M && reboot",
        ]
    if enabled == "masked":
        assert found["service"][2] == "systemctl unmask kdump && systemctl enable --now kdump"


@pytest.mark.usefixtures("needs_boot")
def test_a_systemctl_that_does_not_answer(tmp_path: Path, tool_dir: ToolDir) -> None:
    """The links of the units tell as much."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tool_dir.fake("systemctl", 'echo "System has not been booted with systemd as init system" >&2; exit 1')
    tool_dir.fake("kdumpctl", "exit 1")
    found = live(tree, tool_dir)
    assert found["service"][:2] == ["ok", "kdump.service is enabled"]
    assert "estimate" not in found
