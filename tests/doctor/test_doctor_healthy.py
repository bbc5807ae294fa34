"""A healthy host gives no complaint: running, as a mounted image, and as an sosreport."""

from pathlib import Path
from typing import Dict, Set

import doctor_hosts
import doctor_ills
import pytest
from doctor_hosts import NAMES, Tree

from kdumpwrap.doctor.examination import examine
from kdumpwrap.model.host import Diagnosis

M, G = 1 << 20, 1 << 30


def complaints(diagnosis: Diagnosis) -> Dict[str, str]:
    return {check.name: check.seen for check in diagnosis.checks if check.status != "ok"}


def test_there_is_a_host_of_every_release() -> None:
    assert NAMES == ("debian", "el10", "el7", "el8", "el9", "fedora", "suse", "ubuntu")


@pytest.mark.parametrize("name", NAMES)
def test_a_running_host(name: str, tmp_path: Path) -> None:
    diagnosis = examine(doctor_hosts.build(name, tmp_path / name).path)
    assert complaints(diagnosis) == {}
    assert diagnosis.ready is True
    assert diagnosis.release == doctor_ills.RELEASES[name]
    assert diagnosis.arch == "x86_64"
    assert diagnosis.memory is not None
    assert round(diagnosis.memory / G) == (4 if name == "el7" else 8)
    names = {check.name for check in diagnosis.checks}
    expected = "package crashkernel bootloader reserved loaded service initramfs config target path core_collector "
    expected += "panic_on_oops softlockup_panic hung_task_panic unknown_nmi_panic sysrq kexec_load_disabled "
    expected += "nm objdump addr2line eu-addr2line crash makedumpfile debuginfo sources permissions"
    assert names >= set(expected.split())


@pytest.mark.parametrize("name", NAMES)
def test_a_mounted_image(name: str, tmp_path: Path) -> None:
    """No /proc, no /sys: the configuration decides, and nothing is said of a kernel that does not run."""
    diagnosis = examine(doctor_hosts.build(name, tmp_path / name).make_image().path)
    assert complaints(diagnosis) == {}
    assert diagnosis.ready is True
    assert diagnosis.release == doctor_ills.RELEASES[name]
    assert not {"reserved", "loaded", "softlockup_panic"} & {check.name for check in diagnosis.checks}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_that_was_never_booted_has_no_initramfs_yet(name: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build(name, tmp_path / name).make_image()
    doctor_ills.no_initramfs(tree, name)
    assert complaints(examine(tree.path)) == {}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_without_crashkernel(name: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build(name, tmp_path / name)
    doctor_ills.everywhere("")(tree, name)
    diagnosis = examine(tree.make_image().path)
    assert set(complaints(diagnosis)) == {"crashkernel"}
    assert diagnosis.ready is False


# ---------------------------------------------------------------- sosreports

RPMS = """\
binutils-2.30-125.el8_10.x86_64                             Tue Aug 20 09:00:01 2024
elfutils-0.190-2.el8.x86_64                                 Tue Aug 20 09:00:01 2024
crash-7.3.2-8.el8.x86_64                                    Tue Aug 20 09:00:02 2024
kernel-4.18.0-553.16.1.el8_10.x86_64                        Tue Aug 20 09:00:03 2024
kernel-debuginfo-4.18.0-553.16.1.el8_10.x86_64              Tue Aug 20 09:00:04 2024
kernel-debuginfo-4.18.0-553.5.1.el8_10.x86_64               Tue Aug 20 09:00:04 2024
kexec-tools-2.0.26-14.el8_10.x86_64                         Tue Aug 20 09:00:05 2024
"""
DF = """\
Filesystem          1K-blocks    Used Available Use% Mounted on
/dev/mapper/cs-root  73364480 5193640  68170840   8% /
/dev/sda1             1038336  262016    776320  26% /boot
"""
UNITS = "  kdump.service    loaded active exited    Crash recovery kernel arming\n"


def sosreport(where: Path) -> Tree:
    """el8 as sos keeps it: copies of /etc, /proc and /sys files, and the output of commands."""
    tree = doctor_hosts.build("el8", where)
    listing = "\n".join(
        f"-rw-------.  1 0 0  20341230 Aug 20 09:02 {path.name}" for path in sorted((tree.path / "boot").glob("*-*"))
    )
    tree.remove("usr", "var", "etc/systemd", *(f"boot/{path.name}" for path in (tree.path / "boot").glob("*-*")))
    tree.write("sos_commands/boot/ls_-lanR_.boot", f"/boot:\ntotal 250000\n{listing}\n")
    tree.write("sos_commands/systemd/systemctl_list-units", UNITS)
    tree.write("sos_commands/systemd/systemctl_list-unit-files", "kdump.service    enabled   enabled\n")
    tree.write("sos_commands/boot/mokutil_--sb-state", "SecureBoot disabled\n")
    tree.write("sos_commands/kernel/uname_-a", "Linux gw1 4.18.0-553.16.1.el8_10.x86_64 #1 SMP Thu Aug 1 x86_64\n")
    tree.write("installed-rpms", RPMS)
    tree.write("df", DF)
    return tree


# what nobody can see in an sosreport: whether an empty directory was there
UNSEEN: Set[str] = {"path"}


def test_an_sosreport(tmp_path: Path) -> None:
    diagnosis = examine(sosreport(tmp_path / "sosreport-gw1").path)
    assert set(complaints(diagnosis)) == UNSEEN
    assert {check.status for check in diagnosis.checks} == {"ok", "unknown"}
    assert diagnosis.ready is True
    seen = {check.name: check.seen for check in diagnosis.checks}
    assert seen["package"] == "kexec-tools 2.0.26-14.el8_10"
    assert seen["initramfs"] == "/boot/initramfs-4.18.0-553.16.1.el8_10.x86_64kdump.img"
    assert seen["service"] == "kdump.service is enabled, active"
    assert seen["space"] == "65.0G free for /var/crash, 8.0G of memory"
    assert seen["debuginfo"].endswith("kernel-debuginfo-4.18.0-553.16.1.el8_10 (listed)")


@pytest.mark.parametrize(
    ("path", "old", "new", "check", "status"),
    [
        ("installed-rpms", "kexec-tools-2.0.26-14.el8_10.x86_64", "kexec-doc-1-1.noarch", "package", "fail"),
        ("installed-rpms", "crash-7.3.2-8.el8.x86_64", "crashy-7-1.el8.x86_64", "crash", "fail"),
        ("installed-rpms", "kernel-debuginfo-4.18.0-553.16.1", "kernel-debuginfo-4.18.0-553.2.1", "debuginfo", "fail"),
        ("sos_commands/systemd/systemctl_list-unit-files", "enabled ", "disabled", "service", "fail"),
        ("sos_commands/systemd/systemctl_list-units", "active exited", "failed failed", "service", "warn"),
        ("sos_commands/boot/ls_-lanR_.boot", "kdump.img", ".img", "initramfs", "fail"),
        ("sys/kernel/kexec_crash_loaded", "1", "0", "loaded", "fail"),
        ("df", "68170840", "500000", "space", "fail"),
        ("df", "68170840", "1800000", "space", "warn"),
        ("proc/sys/kernel/panic_on_oops", "1", "0", "panic_on_oops", "fail"),
    ],
)
def test_faults_in_an_sosreport(path: str, old: str, new: str, check: str, status: str, tmp_path: Path) -> None:
    tree = sosreport(tmp_path / "sosreport-gw1")
    tree.replace(path, old, new)
    diagnosis = examine(tree.path)
    assert set(complaints(diagnosis)) - UNSEEN - {"makedumpfile"} == {check}
    (found,) = (one for one in diagnosis.checks if one.name == check)
    assert found.status == status


def test_sysctls_of_an_sosreport_without_proc_sys(tmp_path: Path) -> None:
    tree = sosreport(tmp_path / "sosreport-gw1")
    tree.remove("proc/sys")
    tree.write("sos_commands/kernel/sysctl_-a", "kernel.panic = 0\nkernel.panic_on_oops = 0\nkernel.sysrq = 16\n")
    assert set(complaints(examine(tree.path))) - UNSEEN == {"panic_on_oops"}


# ---------------------------------------------------------------- variants that are as healthy


def variant(name: str, where: Path, path: str, old: str, new: str) -> Diagnosis:
    tree = doctor_hosts.build(name, where / name)
    tree.replace(path, old, new)
    return examine(tree.path)


@pytest.mark.parametrize(
    "line",
    [
        "path /var/crash   # where else",
        "path '/var/crash'",
        "path /nowhere\npath /var/crash",  # the last one counts
        "\tpath\t/var/crash",
        "failure_action dump_to_rootfs\nfinal_action poweroff",
        "nfs server.example.com:/export/crash",
        "nfs [fd00::12]:/export/crash",
        'dracut_args --add "nfs ssh" --install "/usr/bin/nvme"',
        "core_collector makedumpfile -c -d 17 --message-level 7",
        "core_collector cp --sparse=always",
        "kdump_pre /etc/kdump/pre.sh\nkdump_post /etc/kdump/post.sh\nextra_modules gfs2\nforce_rebuild 1",
        "fence_kdump_nodes node1 node2\nfence_kdump_args -p 7410 -f auto",
        "virtiofs crash",
    ],
)
def test_what_kdump_conf_may_say(line: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.append("etc/kdump.conf", line + "\n")
    assert complaints(examine(tree.path)) == {}


def test_an_ssh_target_with_its_key(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.append("etc/kdump.conf", "ssh kdump@fd00::12\ncore_collector makedumpfile -F -l -d 31\n")
    tree.write("root/.ssh/kdump_id_rsa", "")
    assert complaints(examine(tree.path)) == {}
    tree.remove("root/.ssh/kdump_id_rsa")
    (check,) = (check for check in examine(tree.path).checks if check.status == "fail")
    assert (check.name, check.fix[0].command) == ("target", "kdumpctl propagate")


@pytest.mark.parametrize("fstab", [True, False])
def test_a_file_system_of_its_own(fstab: bool, tmp_path: Path) -> None:
    """``path`` counts from the mount point of the target."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.append("etc/kdump.conf", "ext4 UUID=0b1c\npath /dumps\n")
    tree.write("etc/fstab", "# comment\nUUID=0b1c /srv/my\\040disk ext4 defaults 0 0\n" if fstab else "")
    (tree.path / "srv/my disk/dumps").mkdir(parents=True)
    found = complaints(examine(tree.path))
    assert found == ({} if fstab else {"path": "/dumps on UUID=0b1c: where that is mounted is not known"})


@pytest.mark.parametrize("value", ["256M", "256M@16M", "512M,high crashkernel=128M,low", "0x10000000", "1G-:256M"])
def test_what_crashkernel_may_say(value: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    for path in (*doctor_ills.parameters(tree, "el9"), "proc/cmdline"):
        tree.replace(path, doctor_ills.PARAMETERS["el9"], f"crashkernel={value}")
    assert complaints(examine(tree.path)) == {}


def test_a_kernel_of_ones_own_that_understands_more_than_we_know(tmp_path: Path) -> None:
    """What is reserved counts more than what we think of the words."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    for path in (*doctor_ills.parameters(tree, "el9"), "proc/cmdline"):
        tree.replace(path, doctor_ills.PARAMETERS["el9"], "crashkernel=auto")
    assert complaints(examine(tree.path)) == {}


def test_the_worked_example_s_kernel(tmp_path: Path) -> None:
    """4.19 of el7 knows auto."""
    tree = doctor_hosts.build("el7", tmp_path / "el7")
    for file in sorted(tree.path.rglob("*3.10.0-1160.el7*"), reverse=True):
        file.rename(file.with_name(file.name.replace("3.10.0-1160", "4.19.113-88.8bs")))
    for path in ("proc/cmdline", "proc/version", "boot/grub2/grub.cfg", "boot/grub2/grubenv"):
        tree.replace(path, "3.10.0-1160.el7", "4.19.113-88.8bs.el7")
    diagnosis = examine(tree.path)
    assert complaints(diagnosis) == {}
    assert diagnosis.release == "4.19.113-88.8bs.el7.x86_64"


def test_sysctl_files_are_read_in_the_order_of_systemd(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9").make_image()
    tree.write("usr/lib/sysctl.d/99-last.conf", "kernel.panic_on_oops = 0\n")
    assert set(complaints(examine(tree.path))) == {"panic_on_oops"}
    tree.write("etc/sysctl.d/99-last.conf", "# the same name in /etc takes its place\n")
    assert complaints(examine(tree.path)) == {}
    tree.write("etc/sysctl.d/10-first.conf", "kernel.panic_on_oops = 0\n")
    tree.write("etc/sysctl.d/20-second.conf", "-kernel/panic_on_oops=1\n")
    assert complaints(examine(tree.path)) == {}
    tree.write("etc/sysctl.conf", "kernel.panic_on_oops=0\n")
    (check,) = (check for check in examine(tree.path).checks if check.status != "ok")
    assert check.fix[0].command.endswith(" /etc/sysctl.conf")


# ---------------------------------------------------------------- the other machines


def test_fadump(tmp_path: Path) -> None:
    """ppc64le: the firmware keeps the memory, and nothing is loaded by kexec."""
    tree = power(tmp_path)
    tree.append("proc/cmdline", "")
    tree.replace("proc/cmdline", "crashkernel=", "fadump=on crashkernel=")
    tree.write("sys/kernel/kexec_crash_loaded", "0\n")
    tree.write("sys/kernel/fadump/enabled", "1\n")
    tree.write("sys/kernel/fadump/registered", "1\n")
    tree.write("sys/kernel/fadump/mem_reserved", f"{768 * M}\n")
    assert complaints(examine(tree.path)) == {}
    tree.write("sys/kernel/fadump/registered", "0\n")
    assert set(complaints(examine(tree.path))) == {"loaded"}
    tree.write("sys/kernel/fadump/enabled", "0\n")
    (check,) = (check for check in examine(tree.path).checks if check.status == "fail")
    assert (check.name, check.fix[0].command) == (
        "fadump",
        "kdumpctl reset-crashkernel --fadump=on --kernel=ALL",
    )


def power(where: Path) -> Tree:
    tree = doctor_hosts.build("el9", where / "power")
    for file in sorted(tree.path.rglob("*x86_64*"), reverse=True):
        file.rename(file.with_name(file.name.replace("x86_64", "ppc64le")))
    parameters = "crashkernel=2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G"
    for path in doctor_ills.parameters(tree, "el9"):
        tree.replace(path, doctor_ills.PARAMETERS["el9"], parameters)
        if "loader" in path or "grubenv" in path:
            tree.write(path, tree.text(path).replace("x86_64", "ppc64le"))
    tree.replace("proc/cmdline", doctor_ills.PARAMETERS["el9"], parameters)
    for path in ("proc/cmdline", "proc/version", "boot/grub2/grubenv"):
        tree.write(path, tree.text(path).replace("x86_64", "ppc64le"))
    return tree


def test_s390x_needs_zipl(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "s390x")
    for file in sorted(tree.path.rglob("*x86_64*"), reverse=True):
        file.rename(file.with_name(file.name.replace("x86_64", "s390x")))
    entries = [path for path in doctor_ills.parameters(tree, "el9") if "loader" in path]
    for path in ("proc/cmdline", "proc/version", "boot/grub2/grubenv", *entries):
        tree.write(path, tree.text(path).replace("x86_64", "s390x"))
    tree.write("boot/bootmap", "")
    assert complaints(examine(tree.path)) == {}
    tree.touch(entries[0], "2025-01-31")
    (check,) = (check for check in examine(tree.path).checks if check.status == "fail")
    assert (check.name, [step.command for step in check.fix]) == ("zipl", ["zipl"])
    doctor_ills.everywhere("")(tree, "el9")
    (check,) = (check for check in examine(tree.path).checks if check.status == "fail" and check.name == "crashkernel")
    commands = [step.command for step in check.fix]
    assert commands == ["kdumpctl reset-crashkernel --kernel=ALL", "zipl", "reboot"]
