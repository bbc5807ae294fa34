"""The programs that change a host, faked on a tree: run as ``doctor_fakes.py NAME ARGUMENT...``.

Each does to the files of $TREE what the real one does to a host's, as far as doctor looks, and writes its command
line to $LOG. Packages take their files from $HEALTHY. What a kernel reserves stands in a table of its own here: it is
not for doctor's own arithmetic to confirm doctor.
"""

import contextlib
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

TREE, HEALTHY = Path(os.environ["TREE"]), Path(os.environ["HEALTHY"])
M = 1 << 20

# crashkernel= -> bytes reserved, on the memory that the hosts of tests/data/doctor have
RESERVED = {
    "auto": 161 * M,
    "1G-4G:192M,4G-64G:256M,64G-:512M": 256 * M,
    "2G-64G:256M,64G-:512M": 256 * M,
    "2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G": 512 * M,
    "384M-:128M": 128 * M,
    "512M-:192M": 192 * M,
    "320M": 320 * M,
    "256M": 256 * M,
    "160M": 160 * M,
    "180M,high": 180 * M,
}

# package -> files
PACKAGES: Dict[str, List[str]] = {
    "kexec-tools": "usr/bin/kdumpctl usr/sbin/kexec usr/sbin/makedumpfile sbin/kexec etc/kdump.conf "
    "etc/sysconfig/kdump usr/lib/systemd/system/kdump.service".split(),
    "kdump-utils": "usr/bin/kdumpctl etc/kdump.conf etc/sysconfig/kdump usr/lib/systemd/system/kdump.service".split(),
    "kdump-tools": "usr/sbin/kdump-config sbin/kexec etc/default/kdump-tools etc/default/grub.d/kdump-tools.cfg "
    "usr/lib/systemd/system/kdump-tools.service".split(),
    "kdump": "usr/sbin/kdumptool usr/sbin/mkdumprd etc/sysconfig/kdump usr/lib/systemd/system/kdump.service".split(),
    "makedumpfile": ["usr/bin/makedumpfile", "usr/sbin/makedumpfile"],
    "binutils": ["usr/bin/nm", "usr/bin/objdump", "usr/bin/addr2line"],
    "elfutils": ["usr/bin/eu-addr2line"],
    "crash": ["usr/bin/crash"],
}


def main(name: str, arguments: List[str]) -> int:
    with Path(os.environ["LOG"]).open("a") as log:
        log.write(" ".join([name, *arguments]) + "\n")
    return FAKES[name](arguments) or 0


# ---------------------------------------------------------------- packages


def install(arguments: List[str]) -> Optional[int]:
    unattended = {"-y", "--non-interactive"}
    if not unattended & set(arguments):
        print("Is this ok [y/N]: Operation aborted.", file=sys.stderr)
        return 1
    words = [word for word in arguments if not word.startswith("-")]
    for package in words[1:] if words[0] in ("install", "debuginfo-install") else words:
        release = re.fullmatch(r"kernel-(debug-)?(\d.*)", package)
        if release:
            copy("usr/lib/debug", "usr/src")
            full = release[2] + ("+debug" if release[1] else "")
            place(f"usr/lib/debug/lib/modules/{full}/vmlinux")
            place(f"usr/src/debug/kernel-{release[2].rpartition('.')[0]}/linux-{release[2]}/init/main.c")
        elif re.fullmatch(r"\w+-?toolset-\d+-binutils", package):
            for tool in ("nm", "objdump", "addr2line"):
                place(f"opt/rh/{package[:-9]}/root/usr/bin/{tool}")
        elif re.search(r"debuginfo|-dbg|linux-source|debugsource", package):
            copy("usr/lib/debug", "usr/src")
        else:
            copy(*PACKAGES[package])
            if package == "kdump-tools":  # Debian starts what it installs
                enable("kdump-tools")
    return None


def copy(*paths: str) -> None:
    """What a package brings, if it is not there: configuration that was changed stays."""
    for path in paths:
        source, target = HEALTHY / path, TREE / path
        if source.is_dir():
            merge(source, target)
        elif source.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def merge(source: Path, target: Path) -> None:
    """Copy a tree into one that may be there."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_dir() and not path.is_symlink():
            merge(path, target / path.name)
        else:
            shutil.copy2(str(path), str(target / path.name), follow_symlinks=False)


def place(path: str) -> None:
    (TREE / path).parent.mkdir(parents=True, exist_ok=True)
    (TREE / path).touch()


# ---------------------------------------------------------------- boot loaders


def unpack(arguments: List[str]) -> None:
    """Of linux-source's archive; what it unpacks is part of the healthy host."""
    copy("usr/src")


def grubby(arguments: List[str]) -> Optional[int]:
    options = dict(argument.lstrip("-").split("=", 1) for argument in arguments)
    if options.get("update-kernel") != "ALL":
        return 1
    add_parameters(options.get("args", ""), options.get("remove-args", ""))
    return None


def add_parameters(new: str, gone: str = "") -> None:
    """A parameter that is there already gets the new value, as grubby does it."""
    keys = {word.partition("=")[0] for word in f"{new} {gone}".split()}

    def changed(old: str) -> str:
        return " ".join([word for word in old.split() if word.partition("=")[0] not in keys] + new.split())

    environment = TREE / "boot/grub2/grubenv"
    lines = environment.read_text().splitlines() if environment.exists() else []
    if any(line.startswith("kernelopts=") for line in lines):
        lines = [f"kernelopts={changed(line[11:])}" if line.startswith("kernelopts=") else line for line in lines]
        environment.write_text("\n".join(lines))
    for entry in (TREE / "boot/loader/entries").glob("*.conf"):
        if "$kernelopts" not in entry.read_text():
            entry.write_text(re.sub(r"(?m)^options (.*)$", lambda m: f"options {changed(m[1])}", entry.read_text()))
    zipl = TREE / "etc/zipl.conf"
    if zipl.exists():
        zipl.write_text(re.sub(r'parameters="([^"]*)"', lambda m: f'parameters="{changed(m[1])}"', zipl.read_text()))
    settings = TREE / "etc/default/grub"
    if settings.exists():
        pattern = r'(?m)^GRUB_CMDLINE_LINUX="([^"]*)"'
        settings.write_text(re.sub(pattern, lambda m: f'GRUB_CMDLINE_LINUX="{changed(m[1])}"', settings.read_text()))


def mkconfig(arguments: List[str]) -> Optional[int]:
    output = TREE / (arguments[-1].lstrip("/") if arguments else "boot/grub/grub.cfg")
    files = [TREE / "etc/default/grub", *sorted((TREE / "etc/default/grub.d").glob("*.cfg"))]
    script = "".join(f". {file}\n" for file in files if file.exists())
    script += 'printf %s "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"'
    wanted = os.popen(f"bash -c '{script}'").read().split()
    lines = []
    for line in output.read_text().splitlines():
        match = re.match(r"(\s*linux(?:16)?\s+\S+ root=\S+(?: ro)?(?= |$))", line)
        lines.append(f"{match[1]} {' '.join(wanted)}" if match and "single" not in line else line)
    output.write_text("\n".join(lines) + "\n")
    return None


def zipl(_: List[str]) -> Optional[int]:
    os.utime(TREE / "boot/bootmap")
    return None


# ---------------------------------------------------------------- kdump and systemd


def kdumpctl(arguments: List[str]) -> Optional[int]:
    if arguments[0] == "reset-crashkernel":
        release = (HEALTHY / "proc/cmdline").read_text()
        add_parameters(re.search(r"crashkernel=\S+", release)[0])  # type: ignore[index]
    elif arguments[0] == "rebuild":
        build()
    elif arguments[0] == "propagate":
        place("root/.ssh/kdump_id_rsa")
    else:
        return 1
    return None


def kdumptool(arguments: List[str]) -> Optional[int]:
    print("Total: 8191\nLow: 72\nHigh: 180\nMinLow: 72\nMaxLow: 2815\nMinHigh: 0\nMaxHigh: 5120")
    return 0 if arguments == ["calibrate"] else 1


def systemctl(arguments: List[str]) -> Optional[int]:
    unit = arguments[-1]
    if not (TREE / f"usr/lib/systemd/system/{unit}.service").exists():
        print(f"Unit {unit}.service not found.", file=sys.stderr)
        return 5
    mask = TREE / f"etc/systemd/system/{unit}.service"
    if arguments[0] == "unmask":
        with contextlib.suppress(FileNotFoundError):
            mask.unlink()
    elif mask.is_symlink():
        return 1
    elif arguments[0] == "enable":
        enable(unit)
    if arguments[0] == "restart" or "--now" in arguments:
        return 0 if load() else 1
    return None


def enable(unit: str) -> None:
    link = TREE / f"etc/systemd/system/multi-user.target.wants/{unit}.service"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not any((TREE / "etc/systemd/system").glob(f"*.wants/{unit}.service")) and not link.is_symlink():
        link.symlink_to(f"/usr/lib/systemd/system/{unit}.service")


def load() -> bool:
    """What the service does when it starts; it fails where nothing is reserved."""
    if int((TREE / "sys/kernel/kexec_crash_size").read_text()) == 0:
        return False
    image = initramfs()
    sources = [TREE / "etc/kdump.conf", *(TREE / "boot").glob("vmlinuz-*")]
    newest = max((file.stat().st_mtime for file in sources if file.exists()), default=0)
    if not image.exists() or image.stat().st_mtime < newest:
        build()
    (TREE / "sys/kernel/kexec_crash_loaded").write_text("1\n")
    if TREE / "var" in image.parents:  # Debian's and SUSE's do that
        (TREE / "proc/sys/kernel/panic_on_oops").write_text("1\n")
    return True


def build() -> None:
    image = initramfs()
    image.parent.mkdir(parents=True, exist_ok=True)
    image.touch()
    os.utime(image, (time.time() + 1, time.time() + 1))


def initramfs() -> Path:
    release = (TREE / "proc/version").read_text().split()[2]
    if (TREE / "usr/sbin/kdump-config").exists():
        return TREE / f"var/lib/kdump/initrd.img-{release}"
    if (TREE / "usr/sbin/mkdumprd").exists():
        return TREE / "var/lib/kdump/initrd"
    return TREE / f"boot/initramfs-{release}kdump.img"


def sysctl(arguments: List[str]) -> Optional[int]:
    key, value = arguments[1].split("=")
    (TREE / "proc/sys" / key.replace(".", "/")).write_text(f"{value}\n")
    return None


def mkdumprd(_: List[str]) -> Optional[int]:
    build()
    return None


def reboot(_: List[str]) -> Optional[int]:
    """The kernel comes up with the parameters of the boot menu, and the service starts if it is enabled."""
    parameters = booted()
    old = (TREE / "proc/cmdline").read_text().split()[0]
    (TREE / "proc/cmdline").write_text(f"{old} {parameters}\n")
    values = re.findall(r"crashkernel=(\S+)", parameters)
    size = next((RESERVED[value] for value in values if value in RESERVED), 0)
    (TREE / "sys/kernel/kexec_crash_size").write_text(f"{size}\n")
    (TREE / "sys/kernel/kexec_crash_loaded").write_text("0\n")
    iomem = [line for line in (TREE / "proc/iomem").read_text().splitlines() if "Crash kernel" not in line]
    iomem += [f"  a0000000-{0xA0000000 + size - 1:08x} : Crash kernel"] if size else []
    (TREE / "proc/iomem").write_text("\n".join(iomem) + "\n")
    for file in (TREE / "etc/sysctl.d").glob("*.conf"):
        for key, value in re.findall(r"kernel\.(\w+) *= *(\d+)", file.read_text()):
            (TREE / "proc/sys/kernel" / key).write_text(f"{value}\n")
    (TREE / "proc/sys/kernel/kexec_load_disabled").write_text("0\n")
    if any("kdump" in link.name for link in (TREE / "etc/systemd/system").rglob("*.service")):
        load()
    return None


def booted() -> str:
    environment = TREE / "boot/grub2/grubenv"
    variables = re.findall(r"(?m)^(\w+)=(.*)$", environment.read_text() if environment.exists() else "")
    entries = [file for file in (TREE / "boot/loader/entries").glob("*.conf") if "rescue" not in file.name]
    if entries:
        options = re.search(r"(?m)^options (.*)$", entries[0].read_text())[1]  # type: ignore[index]
        for name, value in variables:
            options = options.replace(f"${name}", value)
        return options.replace("$tuned_params", "").strip()
    menus = [TREE / "boot/grub2/grub.cfg", TREE / "boot/grub/grub.cfg", *(TREE / "boot/efi/EFI").glob("*/grub.cfg")]
    text = next(menu.read_text() for menu in menus if menu.exists())
    return re.search(r"(?m)^\s*linux(?:16)?\s+\S+ (.*)$", text)[1]  # type: ignore[index]


FAKES: Dict[str, Callable[[List[str]], Optional[int]]] = {
    **dict.fromkeys(("yum", "dnf", "apt-get", "zypper", "debuginfo-install"), install),
    "tar": unpack,
    "grubby": grubby,
    "grub2-mkconfig": mkconfig,
    "update-grub": mkconfig,
    "zipl": zipl,
    "kdumpctl": kdumpctl,
    "kdumptool": kdumptool,
    "mkdumprd": mkdumprd,
    "systemctl": systemctl,
    "sysctl": sysctl,
    "reboot": reboot,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
