"""doctor on what a real kernel shows, before and after it loaded a capture kernel."""

from pathlib import Path
from typing import Dict

import pytest
from conftest import Lab, RunCli, without_lab

pytestmark = pytest.mark.lab
M = 1 << 20


def told(lab: Lab, when: str, run_cli: RunCli) -> Dict[str, "list[str]"]:
    """``--raw`` by check, and the exit status as ``status``."""
    root = facts(lab, when)
    result = run_cli("doctor", "--raw", "--root", root)
    assert result.stderr == ""
    found = {row.split("\t")[0]: row.split("\t")[1:] for row in result.stdout.splitlines()}
    return {**found, "status": [str(result.status)]}


def facts(lab: Lab, when: str) -> Path:
    path = lab.path / "facts" / when
    return path if path.is_dir() else without_lab(f"{path} is not there (scripts/crashlab writes it)")


def test_reserved_but_not_loaded(lab: Lab, run_cli: RunCli) -> None:
    found = told(lab, "before", run_cli)
    assert found["status"] == ["3"]
    assert {name: row[0] for name, row in found.items() if row[0] == "fail"} == {"loaded": "fail"}
    assert found["loaded"][2] == "systemctl restart kdump-tools"  # it is Debian's kernel
    assert found["crashkernel"] == ["ok", "crashkernel=192M", ""]
    assert found["reserved"] == ["ok", "192M", ""]


def test_loaded(lab: Lab, run_cli: RunCli) -> None:
    found = told(lab, "after", run_cli)
    assert found["status"] == ["0"]
    assert {row[0] for name, row in found.items() if name != "status"} == {"ok", "warn"}
    assert found["loaded"] == ["ok", "a capture kernel is loaded", ""]
    assert found["panic_on_oops"] == ["ok", "1", ""]


def test_what_is_not_in_the_tree_is_no_fault(lab: Lab, run_cli: RunCli) -> None:
    """The guest has no /etc, no /usr, no /boot."""
    found = told(lab, "after", run_cli)
    warned = {name: row[1] for name, row in found.items() if row[0] == "warn"}
    assert set(warned) == {
        *"package bootloader config service initramfs nm objdump addr2line crash makedumpfile debuginfo".split()
    }
    assert all(seen.startswith("cannot tell: ") for seen in warned.values())


def test_memory_as_the_kernel_counts_it(lab: Lab) -> None:
    from kdumpwrap.doctor import facts as read
    from kdumpwrap.host.tree import Host

    known = read.read(Host(facts(lab, "after")))
    assert known.release == lab.release
    assert known.memory is not None
    assert 511 * M < known.memory < 512 * M  # qemu -m 512
    assert known.parameters == ("192M",)


def test_an_aarch64_guest(lab_arm64: Lab, run_cli: RunCli) -> None:
    before, after = told(lab_arm64, "before", run_cli), told(lab_arm64, "after", run_cli)
    assert (before["loaded"][0], after["loaded"][0]) == ("fail", "ok")
    assert (before["status"], after["status"]) == (["3"], ["0"])


def test_the_lab_s_tree_of_a_centos_host(lab: Lab, run_cli: RunCli) -> None:
    """Its crashes, their kernel's debuginfo, and no running kernel at all."""
    result = run_cli("doctor", "--raw", "--root", lab.root)
    rows = [row.split("\t") for row in result.stdout.splitlines()]
    assert ["permissions", "ok", f"{len(lab.crashes)} crashes under /var/crash, all readable", ""] in rows
    debuginfo = [row for row in rows if row[0] == "debuginfo"]
    assert [row[1] for row in debuginfo] == ["ok"]
    assert debuginfo[0][2].startswith(f"{lab.release}: /usr/lib/debug/lib/modules/")
    assert result.status in (1, 3)
