"""What doctor makes of the last dump, and of what may keep the next one from being whole."""

from pathlib import Path
from typing import Optional, Tuple

import doctor_faults_dump
import doctor_hosts
import doctor_ills
import pytest
from doctor_hosts import Tree

from kdumpwrap.doctor.examination import examine
from kdumpwrap.host import needs
from kdumpwrap.model.host import Check


def last(tree: Tree) -> Check:
    (check,) = (check for check in examine(tree.path).checks if check.name == "last_dump")
    return check


def test_the_last_dump_comes_first_and_what_changed_since_is_told(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    doctor_faults_dump.failed("el9-oom.log")(tree, "el9")
    assert examine(tree.path).checks[0].name == "last_dump"
    check = last(tree)  # 192 MiB then, 256 MiB now
    assert (check.status, check.seen.partition("; ")[2]) == ("warn", "since then 256M are reserved")
    assert not any(step.command for step in check.fix)
    doctor_faults_dump.failed("el9-killed.log")(tree, "el9")
    assert last(tree).status == "fail"
    tree.touch("etc/kdump.conf", "2024-12-21")
    assert last(tree).seen.endswith("; since then /etc/kdump.conf was changed")


def test_a_test_of_kdump_and_a_whole_dump_are_no_failure(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el10", tmp_path / "el10")
    doctor_faults_dump.failed("el10-collector.log")(tree, "el10")
    (crash,) = (tree.path / "var/crash").iterdir()
    (crash / "vmcore-creation.status").write_text("fail 1732612345\n")
    assert not [check for check in examine(tree.path).checks if check.name == "last_dump"]
    (crash / "vmcore-creation.status").unlink()
    (crash / "vmcore-incomplete").rename(crash / "vmcore")
    assert last(tree).status == "ok"
    tried = {check.name: check.seen for check in examine(tree.path).checks}
    assert tried["tested"] == f"a crash of {doctor_ills.RELEASES['el10']} was caught"


def test_a_kernel_that_came_after_the_last_test_was_not_tried(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el10", tmp_path / "el10")
    release = doctor_ills.RELEASES["el10"]

    def tested() -> str:
        (check,) = (check for check in examine(tree.path).checks if check.name == "tested")
        assert check.status == "ok"
        return check.seen

    assert tested() == f"not tried with {release} yet; kdumpctl test crashes it on purpose"
    tree.touch(f"boot/vmlinuz-{release}", "2024-11-20")
    tree.write("var/lib/kdump/vmcore-creation.status", "success 1732612345\n")  # 2024-11-26
    assert tested() == "the last kdumpctl test succeeded"
    tree.touch(f"boot/vmlinuz-{release}", "2024-12-20")
    assert tested().startswith(f"not tried with {release} yet; ")


def test_a_collector_that_leaves_nothing_out_is_mended_where_there_was_no_room(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    doctor_faults_dump.failed("el8-space.log")(tree, "el9")
    tree.append("etc/kdump.conf", "core_collector cp\n")
    assert "core_collector makedumpfile -l --message-level 7 -d 31|" in last(tree).fix[0].command


@pytest.mark.parametrize(
    ("version", "release", "most"),
    [
        ("1.7.2", "6.1.0-47-amd64", (6, 0)),
        ("1.7.2-1+b2", "6.0.9", None),
        ("1.7.0", "6.1.0", (6, 0)),  # as much as 1.7.2 at most
        ("1.6.8", "5.10.1", (5, 9)),
        ("1.7.8", "6.17.3", None),
        ("1.7.9", "7.5.0", None),  # nobody knows
        (None, "6.1.0", None),
    ],
)
def test_how_new_a_kernel_makedumpfile_supports(
    version: Optional[str], release: str, most: Optional[Tuple[int, int]]
) -> None:
    assert needs.beyond(version, release) == most


def test_an_unsigned_kernel_under_lockdown(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el8", tmp_path / "el8")
    doctor_faults_dump.unsigned(tree, "el8")
    (check,) = (check for check in examine(tree.path).checks if check.name == "lockdown")
    assert (check.status, check.seen) == (
        "fail",
        "integrity: only a signed kernel can be loaded, and 6.15.2-custom is of no distribution",
    )


def test_settings_that_only_inform(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.write("proc/modules", "hpwdt 24576 0 - Live 0x0000000000000000\n")
    tree.write("proc/sys/kernel/unknown_nmi_panic", "0\n")
    tree.write("proc/sys/kernel/panic_print", "63\n")
    tree.write("sys/module/kernel/parameters/crash_kexec_post_notifiers", "Y\n")
    seen = {check.name: (check.status, check.seen) for check in examine(tree.path).checks}
    assert seen["unknown_nmi_panic"][0] == "ok"
    assert "hpwdt, which is loaded, panics on it" in seen["unknown_nmi_panic"][1]
    assert seen["panic_print"] == ("ok", "0x3f: printed before the dump")
    assert seen["crash_kexec_post_notifiers"][0] == "ok"
    tree.write("sys/module/kernel/parameters/crash_kexec_post_notifiers", "N\n")
    seen = {check.name: (check.status, check.seen) for check in examine(tree.path).checks}
    assert seen["panic_print"] == ("ok", "0x3f: not printed where kdump starts: the vmcore has it all")
    assert "crash_kexec_post_notifiers" not in seen
