"""Which package is missing, by the release in the log and by the distribution of the host."""

from pathlib import Path

import pytest

from kdumpwrap.host import packages


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("2.6.32-754.el6.x86_64", "debuginfo-install kernel-2.6.32-754.el6.x86_64"),
        ("3.10.0-1160.el7.x86_64", "debuginfo-install kernel-3.10.0-1160.el7.x86_64"),
        ("3.10.0-1160.el7.x86_64.debug", "debuginfo-install kernel-debug-3.10.0-1160.el7.x86_64"),
        ("4.14.0-115.el7a.aarch64", "debuginfo-install kernel-4.14.0-115.el7a.aarch64"),
        ("4.19.113-88.8bs.el7.x86_64", "debuginfo-install kernel-4.19.113-88.8bs.el7.x86_64"),
        ("4.18.0-305.el8.x86_64", "dnf debuginfo-install kernel-4.18.0-305.el8.x86_64"),
        ("4.18.0-305.el8.x86_64+debug", "dnf debuginfo-install kernel-debug-4.18.0-305.el8.x86_64"),
        ("4.18.0-305.rt7.72.el8.x86_64", "dnf debuginfo-install kernel-rt-4.18.0-305.rt7.72.el8.x86_64"),
        ("5.14.0-503.el9.x86_64", "dnf debuginfo-install kernel-5.14.0-503.el9.x86_64"),
        ("5.14.0-503.el9.aarch64+64k", "dnf debuginfo-install kernel-64k-5.14.0-503.el9.aarch64"),
        ("5.14.0-503.el9.x86_64+rt", "dnf debuginfo-install kernel-rt-5.14.0-503.el9.x86_64"),
        ("5.15.0-3.60.5.1.el8uek.x86_64", "dnf debuginfo-install kernel-uek-5.15.0-3.60.5.1.el8uek.x86_64"),
        ("6.12.0-55.el10.s390x", "dnf debuginfo-install kernel-6.12.0-55.el10.s390x"),
        ("6.1.0-47-cloud-amd64", "apt install linux-image-6.1.0-47-cloud-amd64-dbg"),
        ("6.1.0-47-powerpc64le", "apt install linux-image-6.1.0-47-powerpc64le-dbg"),
        ("5.15.0-91-generic", "apt install linux-image-unsigned-5.15.0-91-generic-dbgsym"),
        ("5.14.21-150400.24.100-default", "zypper install kernel-default-debuginfo"),
        ("6.18.0-rc3", "install its debuginfo package, or name its vmlinux with --vmlinux FILE"),
    ],
)
def test_debuginfo(release: str, command: str) -> None:
    assert packages.debuginfo(release) == command


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ('ID="centos"\nVERSION_ID="7"\n', "yum install binutils"),
        ('ID="centos"\nVERSION_ID="9"\n', "dnf install binutils"),
        ("ID=fedora\nVERSION_ID=41\n", "dnf install binutils"),
        ("ID=debian\nVERSION_ID=12\n", "apt install binutils"),
        ("ID=ubuntu\nID_LIKE=debian\n", "apt install binutils"),
        ('ID="sles"\nID_LIKE="suse"\n', "zypper install binutils"),
        (None, "dnf install binutils"),
    ],
)
def test_install(tmp_path: Path, os_release: str, command: str) -> None:
    if os_release is not None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/os-release").write_text(os_release)
    assert packages.install("objdump", tmp_path) == command


def test_cross_binutils_are_named_per_machine(tmp_path: Path) -> None:
    assert packages.cross_binutils("aarch64", tmp_path) == "dnf install binutils-aarch64-linux-gnu"
    assert "mips" in packages.cross_binutils("mips", tmp_path)
