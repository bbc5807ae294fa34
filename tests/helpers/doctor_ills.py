"""How a healthy host of tests/data/doctor is made ill: one change for each fault, and what such a host is like."""

from typing import Callable, Tuple

from doctor_hosts import Tree

RELEASES = {
    "el7": "3.10.0-1160.el7.x86_64",
    "el8": "4.18.0-553.16.1.el8_10.x86_64",
    "el9": "5.14.0-503.16.1.el9_5.x86_64",
    "el10": "6.12.0-55.9.1.el10_0.x86_64",
    "fedora": "6.11.10-300.fc41.x86_64",
    "debian": "6.1.0-28-amd64",
    "ubuntu": "5.15.0-127-generic",
    "suse": "5.14.21-150500.55.83-default",
}
PARAMETERS = {
    "el7": "crashkernel=auto",
    "el8": "crashkernel=auto",
    "el9": "crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M",
    "el10": "crashkernel=2G-64G:256M,64G-:512M",
    "fedora": "crashkernel=2G-64G:256M,64G-:512M",
    "debian": "crashkernel=384M-:128M",
    "ubuntu": "crashkernel=512M-:192M",
    "suse": "crashkernel=180M,high crashkernel=72M,low",
}
EL = ("el7", "el8", "el9", "el10", "fedora")
BLS = ("el8", "el9", "el10", "fedora")
GRUB_CFG = {"el7": "boot/grub2/grub.cfg", "suse": "boot/grub2/grub.cfg"}
GRUB_CFG.update({"debian": "boot/grub/grub.cfg", "ubuntu": "boot/grub/grub.cfg"})


def unit(name: str) -> str:
    return "kdump-tools" if name in ("debian", "ubuntu") else "kdump"


def wanted(name: str) -> str:
    """The link that starts the service at boot."""
    target = "basic" if name == "debian" else "multi-user"
    return f"etc/systemd/system/{target}.target.wants/{unit(name)}.service"


def parameters(tree: Tree, name: str) -> Tuple[str, ...]:
    """Every file that says crashkernel= on this host, but for the running kernel's."""
    files = {
        "el7": ("etc/default/grub", GRUB_CFG["el7"]),
        "el8": ("etc/default/grub", "boot/grub2/grubenv"),
        "debian": ("etc/default/grub.d/kdump-tools.cfg", "boot/grub/grub.cfg"),
        "ubuntu": ("etc/default/grub.d/kdump-tools.cfg", "boot/grub/grub.cfg"),
        "suse": ("etc/default/grub", GRUB_CFG["suse"]),
    }
    entries = tuple(f"boot/loader/entries/{path.name}" for path in (tree.path / "boot/loader/entries").glob("*.conf"))
    return files.get(name, ("etc/default/grub", *entries, "etc/kernel/cmdline"))


def unreserved(tree: Tree) -> None:
    """What the kernel shows when it reserved nothing, and what follows from that."""
    tree.write("sys/kernel/kexec_crash_size", "0\n")
    tree.write("sys/kernel/kexec_crash_loaded", "0\n")
    lines = tree.text("proc/iomem").splitlines(keepends=True)
    tree.write("proc/iomem", "".join(line for line in lines if "Crash kernel" not in line))


def everywhere(new: str) -> Callable[[Tree, str], None]:
    """Other parameters, in the running kernel too; nothing is reserved."""

    def change(tree: Tree, name: str) -> None:
        for path in parameters(tree, name):
            tree.replace(path, PARAMETERS[name], new)
        tree.replace("proc/cmdline", PARAMETERS[name], new)
        unreserved(tree)

    return change


def memory(kib: int) -> Callable[[Tree, str], None]:
    """A machine with less of it."""

    def change(tree: Tree, name: str) -> None:
        unreserved(tree)
        tree.write("proc/meminfo", f"MemTotal: {kib * 15 // 16} kB\nMemAvailable: {kib // 2} kB\n")
        tree.write("proc/iomem", f"00100000-{(kib << 10) - 1 + 0x100000:08x} : System RAM\n")

    return change


def no_package(tree: Tree, name: str) -> None:
    tree.remove(wanted(name), f"usr/lib/systemd/system/{unit(name)}.service")
    tree.write("sys/kernel/kexec_crash_loaded", "0\n")
    if name in EL:
        tree.remove("usr/bin/kdumpctl", "etc/kdump.conf", f"boot/initramfs-{RELEASES[name]}kdump.img")
        sbin = "usr/bin" if name == "el10" else "usr/sbin"
        if name in ("el7", "el8", "el9"):  # one package
            tree.remove(f"{sbin}/kexec", f"{sbin}/makedumpfile")
    elif name == "suse":
        tree.remove("usr/sbin/kdumptool", "usr/sbin/mkdumprd", "etc/sysconfig/kdump", "var/lib/kdump")
    else:
        tree.remove("usr/sbin/kdump-config", "etc/default/kdump-tools", "var/lib/kdump")


def not_rebooted(tree: Tree, name: str) -> None:
    tree.replace("proc/cmdline", " " + PARAMETERS[name], "")
    unreserved(tree)


def other_value_not_rebooted(tree: Tree, name: str) -> None:
    tree.replace("proc/cmdline", PARAMETERS[name], "crashkernel=320M")


def menu_not_written(tree: Tree, name: str) -> None:
    """/etc/default/grub was changed, and that was all."""
    tree.replace(GRUB_CFG[name], " " + PARAMETERS[name], "")
    not_rebooted(tree, name)


def next_boot_loses_it(tree: Tree, name: str) -> None:
    """As after booting once with parameters typed in GRUB's editor."""
    for path in parameters(tree, name):
        tree.replace(path, PARAMETERS[name], "")


def older_entry(tree: Tree, name: str) -> str:
    """One kernel more, an older one, whose parameters lack crashkernel=; its entry's name."""
    entries = tree.path / "boot/loader/entries"
    newest = next(path for path in entries.iterdir() if "rescue" not in path.name)
    older = newest.name.replace(RELEASES[name], RELEASES[name].replace(".x86_64", ".0.x86_64").replace("-", "-0.", 1))
    text = newest.read_text().replace(RELEASES[name], "0.9." + RELEASES[name]).replace(" " + PARAMETERS[name], "")
    tree.write(f"boot/loader/entries/{older}", text.replace("$kernelopts", "root=/dev/mapper/cs-root ro"))
    return older[: -len(".conf")]


def an_entry_lacks_it(tree: Tree, name: str) -> None:
    older_entry(tree, name)


def the_chosen_entry_lacks_it(tree: Tree, name: str) -> None:
    """The older kernel is the one that boots by itself; its entry was made before kdump was set up."""
    older = older_entry(tree, name)
    saved = next(line for line in tree.text("boot/grub2/grubenv").splitlines() if line.startswith("saved_entry="))
    tree.replace("boot/grub2/grubenv", saved, f"saved_entry={older}")


def settings_differ(tree: Tree, name: str) -> None:
    tree.replace("etc/default/grub", PARAMETERS[name], "crashkernel=320M")


def settings_lack_it(tree: Tree, name: str) -> None:
    tree.replace("etc/default/grub", PARAMETERS[name] + " ", "")


def not_loaded(tree: Tree, name: str) -> None:
    tree.write("sys/kernel/kexec_crash_loaded", "0\n")


def no_room(tree: Tree, name: str) -> None:
    """The parameters are fine, and the kernel found no contiguous piece."""
    unreserved(tree)


def disabled(tree: Tree, name: str) -> None:
    tree.remove(wanted(name))
    not_loaded(tree, name)


def masked(tree: Tree, name: str) -> None:
    disabled(tree, name)
    (tree.path / f"etc/systemd/system/{unit(name)}.service").symlink_to("/dev/null")


def image(name: str) -> str:
    if name == "suse":
        return "var/lib/kdump/initrd"
    return f"boot/initramfs-{RELEASES[name]}kdump.img" if name in EL else f"var/lib/kdump/initrd.img-{RELEASES[name]}"


def no_initramfs(tree: Tree, name: str) -> None:
    tree.remove(image(name))


def config_newer(tree: Tree, name: str) -> None:
    tree.touch("etc/kdump.conf" if name in EL else "etc/sysconfig/kdump", "2025-01-31")


def kernel_newer(tree: Tree, name: str) -> None:
    tree.touch(f"boot/vmlinuz-{RELEASES[name]}", "2025-01-31")


def directive(line: str) -> Callable[[Tree, str], None]:
    def change(tree: Tree, name: str) -> None:
        tree.append("etc/kdump.conf", line + "\n")

    return change


def both_actions(tree: Tree, name: str) -> None:
    tree.append("etc/kdump.conf", "failure_action shell\ndefault shell\n")


def no_path(tree: Tree, name: str) -> None:
    tree.remove("var/crash")


def sysctl(key: str, value: str) -> Callable[[Tree, str], None]:
    return lambda tree, name: tree.write(f"proc/sys/kernel/{key}", value + "\n")


def sysctl_file(key: str, value: str) -> Callable[[Tree, str], None]:
    return lambda tree, name: tree.write("etc/sysctl.d/50-site.conf", f"kernel.{key} = {value}\n")


def oops_off(tree: Tree, name: str) -> None:
    sysctl("panic_on_oops", "0")(tree, name)
    sysctl_file("panic_on_oops", "0")(tree, name)


def load_forbidden(tree: Tree, name: str) -> None:
    not_loaded(tree, name)
    sysctl("kexec_load_disabled", "1")(tree, name)


def switched_off(tree: Tree, name: str) -> None:
    tree.replace("etc/default/kdump-tools", "USE_KDUMP=1", "USE_KDUMP=0")
    not_loaded(tree, name)


def no_switch(tree: Tree, name: str) -> None:
    tree.replace("etc/default/kdump-tools", "USE_KDUMP=1\n", "")
    not_loaded(tree, name)


def lockdown(tree: Tree, name: str) -> None:
    tree.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    tree.replace("etc/sysconfig/kdump", 'KEXEC_ARGS="-s"', 'KEXEC_ARGS=""')
    not_loaded(tree, name)


def without(*programs: str) -> Callable[[Tree, str], None]:
    def change(tree: Tree, name: str) -> None:
        for program in programs:
            tree.remove(next(str(p.relative_to(tree.path)) for p in tree.path.rglob(program) if "bin" in p.parent.name))

    return change


def no_debuginfo(tree: Tree, name: str) -> None:
    tree.remove("usr/lib/debug")


def no_sources(tree: Tree, name: str) -> None:
    tree.remove("usr/src")


def crash_of(release: str) -> Callable[[Tree, str], None]:
    def change(tree: Tree, name: str) -> None:
        log = f"[    0.000000] Linux version {release} (mockbuild@host) #1 SMP\n[ 1823.25] RIP: 0010:f+0x1/0x2\n"
        tree.write("var/crash/127.0.0.1-2023-12-20-10:51:07/vmcore-dmesg.txt", log)

    return change


def foreign_crash(release: str) -> Callable[[Tree, str], None]:
    """A crash of another release's kernel, with its debuginfo and its sources."""

    def change(tree: Tree, name: str) -> None:
        crash_of(release)(tree, name)
        tree.write(f"usr/lib/debug/lib/modules/{release}/vmlinux", "")
        base = release.rpartition(".")[0]
        tree.write(f"usr/src/debug/kernel-{base}/linux-{release}/init/main.c", "")

    return change
