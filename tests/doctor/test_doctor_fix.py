"""--fix: the script passes bash and shellcheck, runs on a host, mends it, and may be run twice."""

import shutil
from pathlib import Path
from typing import Iterator

import doctor_hosts
import doctor_ills
import doctor_sandbox
import pytest
from doctor_fault import ALL, Fault
from doctor_hosts import Tree
from processes import ran
from test_doctor_faults import FAULTS

from kdumpwrap import shell
from kdumpwrap.doctor import script
from kdumpwrap.doctor.examination import examine
from kdumpwrap.model.host import Check, Diagnosis, Step


def cases() -> Iterator[object]:
    """Each fault on one host of those that have the same command."""
    for fault in FAULTS:
        fixes = {host: fault.fix if isinstance(fault.fix, str) else fault.fix[host] for host in fault.hosts}
        for host in {fix: host for host, fix in reversed(list(fixes.items()))}.values():
            yield pytest.param(fault, host, id=f"{fault.id}-{host}")


@pytest.mark.parametrize(("fault", "host"), list(cases()))
def test_the_script_mends_the_host_and_may_be_run_twice(fault: Fault, host: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build(host, tmp_path / host)
    fault.change(tree, host)
    mend(tree, doctor_hosts.build(host, tmp_path / "healthy"))


@pytest.mark.parametrize("host", ALL)
def test_a_host_that_was_never_set_up(host: str, tmp_path: Path) -> None:
    """No package, no parameter, no tools, no debuginfo: the script does it all, and reboots last."""
    tree = doctor_hosts.build(host, tmp_path / host)
    doctor_ills.everywhere("")(tree, host)
    doctor_ills.no_package(tree, host)
    doctor_ills.without("nm", "objdump", "addr2line", "crash")(tree, host)
    tree.remove("usr/lib/debug", "usr/src")
    run = mend(tree, doctor_hosts.build(host, tmp_path / "healthy"))
    assert run.commands[-1] == "reboot"
    assert f"systemctl enable {doctor_ills.unit(host)}" in run.commands
    assert not [command for command in run.commands if "--now" in command or "restart" in command]


def test_el7_on_efi(tmp_path: Path) -> None:
    """There the menu lies on the EFI partition, in the vendor's directory."""
    tree = doctor_hosts.build("el7", tmp_path / "el7")
    doctor_ills.everywhere("")(tree, "el7")
    for name in ("grub.cfg", "grubenv"):
        tree.write(f"boot/efi/EFI/centos/{name}", tree.text(f"boot/grub2/{name}"))
        tree.remove(f"boot/grub2/{name}")
    (tree.path / "boot/efi/EFI/BOOT").mkdir()
    tree.write("sys/firmware/efi/fw_platform_size", "64\n")
    run = mend(tree, doctor_hosts.build("el7", tmp_path / "healthy"))
    assert run.commands == ("grub2-mkconfig -o /boot/efi/EFI/centos/grub.cfg", "reboot")


@pytest.mark.parametrize("running", ["256M@16M", "256M,high", "1256M"])
def test_it_reboots_unless_just_this_value_runs(running: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    for path in doctor_ills.parameters(tree, "el9"):
        tree.replace(path, doctor_ills.PARAMETERS["el9"], "crashkernel=256M")
    tree.replace("proc/cmdline", doctor_ills.PARAMETERS["el9"], f"crashkernel={running}")
    assert "\n# Its last step reboots this host.\n" in script.render(examine(tree.path))
    assert mend(tree, tree).commands == ("reboot",)


def test_it_speaks_of_no_reboot_where_there_is_none(tmp_path: Path) -> None:
    assert "reboots" not in script.render(examine(doctor_hosts.build("el9", tmp_path / "el9").path))


def test_nothing_follows_the_first_error(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    doctor_ills.no_package(tree, "el9")
    text = script.render(examine(tree.path)).replace("install -y", "install")  # the fake dnf asks, and nobody answers
    run = doctor_sandbox.run(text, tree, tree)
    assert run.status != 0
    assert run.commands == ("dnf install kexec-tools",)
    assert run.stdout == "\n==> Install kexec-tools\n"


def test_a_name_from_the_tree_cannot_become_a_command(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    evil = "/var/crash';reboot;echo '$(reboot)`reboot`"
    tree.append("etc/kdump.conf", f"path {evil}\n$(reboot) `reboot`;reboot\n")
    tree.replace("etc/os-release", "CentOS Stream 9", "Evil\\nreboot\x1b[2J")
    text = script.render(examine(tree.path))
    check_syntax(text)
    assert "\x1b" not in text
    run = doctor_sandbox.run(text, tree, tree)
    assert "reboot" not in run.commands


def mend(tree: Tree, healthy: Tree) -> doctor_sandbox.Run:
    """Run what doctor prints for ``tree``; it has to be healthy then, unless a person's turn has come."""
    text = script.render(examine(tree.path))
    check_syntax(text)
    first = doctor_sandbox.run(text, tree, healthy)
    assert (first.status, first.stderr) == (0, "")
    if "has to be done by hand" in text:
        return first
    mended = examine(tree.path)
    assert [check for check in mended.checks if check.status != "ok"] == []
    before = doctor_sandbox.contents(tree)
    second = doctor_sandbox.run(text, tree, healthy)
    assert (second.status, second.stderr) == (0, "")
    assert doctor_sandbox.contents(tree) == before
    assert "reboot" not in second.commands
    again = doctor_sandbox.run(script.render(mended), tree, healthy)
    assert (again.stdout, again.commands) == ("Nothing is to be done.\n", ())
    return first


def check_syntax(text: str) -> None:
    for command in (["bash", "-n"], ["shellcheck", "-"]):
        if shutil.which(command[0]) is None:
            pytest.skip(f"needs {command[0]}")
        done = ran(command, input=text)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), text


def test_nothing_in_the_script_is_hidden() -> None:
    """It is to be read before it is run."""
    word = "a\u034fb\u115fc\u3164d\ufe0fe\u202ef\u2028g\nh"
    steps = (Step(word, shell.hint("rm {}", word)), Step(word, shell.NONE))
    text = script.render(Diagnosis("/", word, word, word, None, False, (Check("service", "fail", word, steps),)))
    assert text.encode("ascii") and text.replace("\n", "").replace("\t", "").isprintable()
    done = ran(["bash", "-n"], input=text)
    assert done.stderr == ""
