"""The last dump failed: each cause with its fix, and what else may keep the next one from being whole."""

import shutil
from pathlib import Path
from typing import Callable

from doctor_fault import Fault
from doctor_hosts import Tree
from doctor_ills import BLS, RELEASES

TEXTS = Path(__file__).resolve().parent.parent / "data/capture"
TRY = "  # Then try it: echo c >/proc/sysrq-trigger crashes this host on purpose"
TEST = "  # Then try it: kdumpctl test crashes this host on purpose"
FIRMWARE = "/lib/firmware/bnx2x/bnx2x-e2-7.13.21.0.fw"
REBUILD = "kdumpctl rebuild && systemctl restart kdump"


def failed(text: str, old: str = "", new: str = "") -> Callable[[Tree, str], None]:
    """A crash of long ago whose vmcore is not whole, and what the capture kernel said, ``new`` in place of ``old``."""

    def ill(tree: Tree, name: str) -> None:
        crash = "var/crash/127.0.0.1-2024-12-20-10:51:05"
        shutil.rmtree(tree.path / "var/crash", ignore_errors=True)
        said = (TEXTS / text).read_bytes().decode()
        assert old in said
        said = said.replace(old, new) if old else said
        tree.write(f"{crash}/kexec-dmesg.log", said)
        tree.write(f"{crash}/vmcore-dmesg.txt", f"[    0.000000] Linux version {RELEASES[name]} (x) y\n")
        tree.write(f"{crash}/vmcore-incomplete", "KDUMP   ")
        tree.touch(crash, "2024-12-20")

    return ill


def loaded_driver(tree: Tree, name: str) -> None:
    new_module(tree, name, "extra/megaraid_sas/megaraid-sas.ko.xz")


def own_driver(tree: Tree, name: str) -> None:
    new_module(tree, name, "kernel/drivers/scsi/megaraid/megaraid_sas.ko.xz")


def new_module(tree: Tree, name: str, module: str) -> None:
    """``module`` is loaded and newer than the initramfs; another one, which is as new, is not loaded."""
    top = f"lib/modules/{RELEASES[name]}"
    tree.write("proc/modules", "megaraid_sas 172032 3 - Live 0xffffffffc0a12000 (OE)\nsd_mod 65536 4 - Live 0x0\n")
    others = ("kernel/drivers/scsi/sd_mod.ko.xz", "kernel/drivers/net/dummy.ko.xz")
    tree.write(f"{top}/modules.dep", f"{others[0]}: {others[1]}\n{others[1]}:\n{module}: {others[0]}\n")
    for path, day in zip((*others, module), ("2024-01-01", "2026-01-01", "2026-01-01")):
        tree.write(f"{top}/{path}", "")
        tree.touch(f"{top}/{path}", day)


def unsigned(tree: Tree, name: str) -> None:
    tree.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    tree.write("sys/kernel/kexec_crash_loaded", "0\n")
    for path in ("proc/sys/kernel/osrelease", "proc/version", "proc/cmdline"):
        if (tree.path / path).exists():
            tree.write(path, tree.text(path).replace(RELEASES[name], "6.15.2-custom"))


def failed_test(tree: Tree, name: str) -> None:
    tree.write("var/lib/kdump/vmcore-creation.status", "fail 1732612345\n")


def post_notifiers(tree: Tree, _: str) -> None:
    tree.write("proc/cmdline", tree.text("proc/cmdline").rstrip() + " crash_kexec_post_notifiers\n")


FAULTS = (
    Fault(
        "last-memory",
        ("el9",),
        failed("el9-oom.log", "/196220K", "/261000K"),
        "last_dump",
        "grubby --update-kernel=ALL --args=crashkernel=384M && reboot" + TRY,
        "the capture kernel ran out of memory: it had 255 MiB, makedumpfile took 41 MiB",
    ),
    Fault(
        "last-space",
        ("el8", "el9"),
        failed("el8-space.log"),
        "last_dump",
        "# Make room 1M under /var/crash, or name a path on another disk in /etc/kdump.conf",
        "no space left on the target",
    ),
    Fault(
        "last-firmware",
        ("el9",),
        failed("el9-device.console"),
        "last_dump",
        """echo 'dracut_args --install "/lib/firmware/bnx2x/bnx2x-e2-7.13.21.0.fw"' >>/etc/kdump.conf && """
        + REBUILD
        + TRY,
        "the target's device did not appear (/dev/mapper/mpatha1)",
    ),
    Fault(
        "last-device",
        ("el8", "el10"),
        failed("el9-luks.console"),
        "last_dump",
        {
            "el8": "echo 'force_rebuild 1' >>/etc/kdump.conf && systemctl restart kdump" + TRY,
            "el10": "echo 'force_rebuild 1' >>/etc/kdump.conf && systemctl restart kdump" + TEST,
        },
        "did not appear (luks-8a3b0f6e",
    ),
    Fault(
        "last-module",
        ("el8",),
        failed("el8-mount.log"),
        "last_dump",
        "echo 'extra_modules btrfs' >>/etc/kdump.conf && " + REBUILD + TRY,
        "the target was not mounted (btrfs)",
    ),
    Fault(
        "last-network",
        ("el9",),
        failed("el9-nfs.console"),
        "last_dump",
        "# See that the host in /etc/kdump.conf lets this host in",
        "was not reached, or refused (10.0.0.9:/export/crash)",
    ),
    Fault(
        "last-collector",
        ("el10",),
        failed("el10-collector.log"),
        "last_dump",
        "# Install a newer makedumpfile",
        "makedumpfile failed",
    ),
    Fault("last-killed", ("el9",), failed("el9-killed.log"), "last_dump", "# Find what ended it", "was killed"),
    Fault("last-unsaid", ("el8",), failed("el8-unsaid.log"), "last_dump", "# Watch the console", "does not say why"),
    Fault(
        "test-failed",
        ("el10", "fedora"),
        failed_test,
        "tested",
        TEST.strip(),
        "the last kdumpctl test failed",
        "warn",
    ),
    Fault(
        "new-driver",
        BLS,
        loaded_driver,
        "initramfs",
        REBUILD,
        "which is loaded, is newer than /boot/initramfs-",
        "warn",
    ),
    Fault(
        "new-own-driver",
        BLS,
        own_driver,
        "initramfs",
        REBUILD,
        "/kernel/drivers/scsi/megaraid/megaraid_sas.ko.xz, which is loaded, is newer than /boot/initramfs-",
        "warn",
    ),
    Fault(
        "post-notifiers",
        ("el9",),
        post_notifiers,
        "crash_kexec_post_notifiers",
        "grubby --update-kernel=ALL --remove-args=crash_kexec_post_notifiers && reboot",
        "runs before kdump",
        "warn",
    ),
)
