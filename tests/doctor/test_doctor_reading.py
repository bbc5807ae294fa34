"""What doctor does with files that it may not read, and with a hostile tree."""

import os
import time
from pathlib import Path

import doctor_hosts
import doctor_ills
import pytest
from conftest import RunCli
from doctor_runs import as_nobody, rows
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.doctor import directives, grub, inventory
from kdumpwrap.doctor.examination import examine
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import kdumpconf, variables
from kdumpwrap.host.tree import Host

# ---------------------------------------------------------------- without root

CLOSED = {
    "el7": {"boot/grub2": "bootloader", "etc/kdump.conf": "config"},
    "el9": {"boot/loader/entries": "bootloader", "etc/sysconfig/kdump": "", "boot": "initramfs"},
    "debian": {"boot/grub/grub.cfg": "bootloader", "var/lib/kdump": "initramfs"},
}


@pytest.mark.parametrize(
    ("name", "path", "check"), [(name, path, check) for name, paths in CLOSED.items() for path, check in paths.items()]
)
def test_what_may_not_be_read_is_no_fault(name: str, path: str, check: str, open_dir: Path) -> None:
    tree = doctor_hosts.build(name, open_dir / name)
    (tree.path / path).chmod(0)
    result = as_nobody("doctor", "--raw", "--root", str(tree.path))
    (tree.path / path).chmod(0o755)
    assert result.stderr == ""
    found = rows(result)
    assert not [row for row in found.values() if row[0] == "fail"]
    assert result.status == 0
    if check:
        status, seen, fix = found[check]
        assert status == "warn"
        assert seen.startswith("cannot tell: /")
        assert seen.endswith(" cannot be read")
        assert fix == f"sudo kdumpwrap doctor --root {tree.path}"


def test_a_crash_that_may_not_be_read(open_dir: Path) -> None:
    tree = doctor_hosts.build("el9", open_dir / "el9")
    doctor_ills.crash_of(doctor_ills.RELEASES["el9"])(tree, "el9")
    vmcore = tree.path / "var/crash/127.0.0.1-2023-12-20-10:51:07/vmcore"
    vmcore.write_bytes(b"KDUMP   ")
    vmcore.chmod(0o600)
    result = as_nobody("doctor", "--raw", "--root", str(tree.path))
    assert rows(result)["permissions"][0] == ("ok" if os.geteuid() != 0 else "warn")
    again = f"sudo kdumpwrap doctor --root {tree.path}"
    if os.geteuid() == 0:
        assert rows(result)["permissions"][1:] == [f"cannot tell: {vmcore} cannot be read", again]
    assert result.status == 0


def test_no_directory_of_crashes_yet(tmp_path: Path, run_cli: RunCli) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    crashes = tree.path / "var/crash"
    if crashes.exists():
        crashes.rmdir()
    said = rows(run_cli("doctor", "--raw", "--root", tree.path))["permissions"]
    assert said[:2] == ["ok", "no /var/crash yet: kdump makes it"]
    crashes.mkdir(parents=True)
    assert rows(run_cli("doctor", "--raw", "--root", tree.path))["permissions"][1] == "0 crashes under /var/crash"


def test_nothing_that_decides_may_be_read(open_dir: Path) -> None:
    tree = doctor_hosts.build("el7", open_dir / "el7").make_image()
    closed = [tree.path / "boot/grub2", tree.path / "etc/default"]
    for directory in closed:
        directory.chmod(0)
    result = as_nobody("doctor", "--raw", "--root", str(tree.path))
    script = as_nobody("doctor", "--fix", "--root", str(tree.path))
    for directory in closed:
        directory.chmod(0o755)
    assert result.status == 1
    assert rows(result)["crashkernel"][0] == "warn"
    assert script.status == 1
    assert "Nothing is to be done" in script.stdout
    assert f"hint: sudo kdumpwrap doctor --root {tree.path} --fix\n" in script.stderr


def test_iomem_without_addresses_tells_no_memory(tmp_path: Path) -> None:
    """Who is not root sees the names and zeros: the memory is then that of MemTotal and what is reserved."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    lines = [line.split(" : ")[1] for line in tree.text("proc/iomem").splitlines()]
    tree.write("proc/iomem", "".join(f"00000000-00000000 : {name}\n" for name in lines))
    diagnosis = examine(tree.path)
    assert [check for check in diagnosis.checks if check.status != "ok"] == []
    assert diagnosis.memory is not None
    assert 7.6 < diagnosis.memory / (1 << 30) <= 8.0
    for number in range(64):  # 64 blocks of 128 MiB
        (tree.path / f"sys/devices/system/memory/memory{number}").mkdir(parents=True)
    tree.write("sys/devices/system/memory/block_size_bytes", "8000000\n")
    assert examine(tree.path).memory == 8 << 30


# ---------------------------------------------------------------- hostile trees


def test_links_stay_inside_the_tree(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    (tmp_path / "kdump.conf").write_text("frobnicate\n")
    for link in ("/kdump.conf", "../../kdump.conf", "../../../../../../../../kdump.conf"):
        tree.remove("etc/kdump.conf")
        (tree.path / "etc/kdump.conf").symlink_to(link)
        diagnosis = examine(tree.path)
        assert "no /etc/kdump.conf" in [check.seen for check in diagnosis.checks]
    tree.write("kdump.conf", "path /var/crash\n")
    assert "no /etc/kdump.conf" not in [check.seen for check in examine(tree.path).checks]
    tree.remove("etc/kdump.conf")
    (tree.path / "etc/kdump.conf").symlink_to("kdump.conf")  # to itself
    assert "no /etc/kdump.conf" in [check.seen for check in examine(tree.path).checks]


@pytest.mark.parametrize(
    "path", ["etc/kdump.conf", "etc/default/grub", "proc/cmdline", "etc/os-release", "boot/grub2/grubenv"]
)
def test_a_fifo_or_a_directory_in_the_place_of_a_file(path: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.remove(path)
    os.mkfifo(tree.path / path)
    examine(tree.path)
    tree.remove(path)
    (tree.path / path).mkdir()
    examine(tree.path)


@pytest.mark.parametrize(
    "path", ["etc/kdump.conf", "etc/default/grub", "proc/cmdline", "proc/iomem", "boot/grub2/grubenv"]
)
def test_garbage_does_not_raise(path: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    (tree.path / path).write_bytes(bytes(range(256)) * 4096 + b"\n\x00\xff" * 1000)
    examine(tree.path)


def test_variables_that_grow_without_end(tmp_path: Path) -> None:
    tree = doctor_hosts.build("el7", tmp_path / "el7")
    tree.append("etc/default/grub", "A=xxxxxxxxxx\n" + 'A="$A$A"\n' * 60 + 'GRUB_CMDLINE_LINUX="$A"\n')
    examine(tree.path)


MEGABYTE = 1 << 20
MANY = "9" * 5000  # digits: more than Python 3.11 makes an int of
CRASH = "var/crash/127.0.0.1-2023-12-20-10:51:07/vmcore-dmesg.txt"
FLOODS = {
    "proc/cmdline": ("BOOT_IMAGE=" * (MEGABYTE // 11), "crashkernel=" + "1-2:3," * (MEGABYTE // 6), MANY),
    "proc/iomem": ("\n" * MEGABYTE, " " * MEGABYTE, "a-b : x" + " " * MEGABYTE + "y", "f" * 5000 + "-f : System RAM"),
    "proc/meminfo": (f"MemTotal: {MANY} kB\nMemAvailable: {MANY} kB\n", "A:" + " " * MEGABYTE),
    "proc/sys/kernel/panic_on_oops": (MANY, "-" * 5000),
    "sys/kernel/kexec_crash_size": (MANY, "\u0663"),
    "etc/os-release": (f"ID=centos\nVERSION_ID={MANY}", 'A="$A$A"\n' * 1000),
    "etc/default/grub": ('A="$A$A"\n' * 20000, "GRUB_CMDLINE_LINUX=" + "$" * MEGABYTE, '"' * MEGABYTE),
    "etc/sysctl.d/flood.conf": (" " * MEGABYTE, f"kernel.panic_on_oops = {MANY}"),
    "etc/kdump.conf": (
        ("path " * 1000 + "\n") * 200,
        f"core_collector makedumpfile -d {MANY}",
        "nfs " + "[" * MEGABYTE,
    ),
    "boot/grub2/grubenv": ("saved_entry=" + "x" * MEGABYTE, "=" * MEGABYTE),
    "boot/loader/entries/" + "9" * 200 + ".conf": ("options " * 10000, f"linux /vmlinuz-{MANY}"),
    "installed-rpms": ("-" * MEGABYTE, ("-" * 999 + "\n") * 1000, f"kexec-tools-{MANY}-1.x86_64\n"),
    CRASH: (f"[    0.000000] Linux version 9{MANY[:3000]}.el{MANY[:500]} #1\n",),
}
FLOODED = [
    pytest.param(path, text, id=f"{path[:30]}-{number}")
    for path, texts in FLOODS.items()
    for number, text in enumerate(texts)
]


@pytest.mark.parametrize(("path", "text"), FLOODED)
def test_floods_neither_hang_nor_raise(path: str, text: str, tmp_path: Path) -> None:
    """Each of these made a careless pattern or a careless int() hang or raise."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.write(path, text)
    start = time.monotonic()
    examine(tree.path)
    assert time.monotonic() - start < 20  # 0.1 s without a flood, 1 s with the worst of these


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, run_cli: RunCli) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    tree.append("etc/kdump.conf", "frob\x1b[31mnicate\t[bold]\x07 yes\n")
    tree.replace("etc/os-release", "CentOS Stream 9", "CentOS\x1b]0;owned\x07 9")
    for options in ((), ("--raw",), ("--json",), ("--fix",), ("-v",)):
        result = run_cli("doctor", "--root", tree.path, *options)
        assert result.status == 3
        assert not set(result.stdout) & set("\x1b\x07\x00"), options


def test_no_host_at_all(tmp_path: Path) -> None:
    with pytest.raises(KdumpwrapError, match="no Linux host here"):
        examine(tmp_path)
    with pytest.raises(KdumpwrapError, match="no such directory"):
        examine(tmp_path / "nowhere")


def test_an_empty_etc_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    diagnosis = examine(tmp_path)
    assert diagnosis.ready in (None, False)
    assert "crashkernel" in [check.name for check in diagnosis.checks if check.status == "unknown"]


@given(st.text(alphabet="abk=:-,@\"'\\$ \t\n#{}0159M/[]crashkernel", max_size=200))
def test_no_text_makes_a_reader_raise(text: str) -> None:
    found = kdumpconf.directives(text)
    where = kdumpconf.target(found)
    directives.target_fault(where)
    directives.targets(found)
    for _, value in found:
        directives.collector_fault(value, where, 9)
        directives.filters(value)
    grub.menu(text)
    variables.assignments([text, text])
    grub.zipl(text)
    grub.loader_entry("a.conf", text, grub.environment(text))
    grub.kernelopts(text)


# ---------------------------------------------------------------- lists of packages


def test_lists_of_packages(tmp_path: Path) -> None:
    debs = (
        "ii  kdump-tools   1:1.8.1  amd64  scripts\nrc  crash  8.0.2-1  amd64  gone\nii  libc6:amd64 2.36-9 amd64 C\n"
    )
    (tmp_path / "installed-debs").write_text(debs)
    found = inventory.packages(Host(tmp_path))
    assert found == {"kdump-tools": ("1:1.8.1",), "libc6": ("2.36-9",)}
    (tmp_path / "installed-debs").unlink()
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    paragraph = "Package: {}\nStatus: install ok {}\nPriority: optional\nVersion: {}\n\n"
    status = paragraph.format("makedumpfile", "installed", "1.7.2") + paragraph.format("crash", "config-files", "8.0.2")
    (tmp_path / "var/lib/dpkg/status").write_text(status)
    assert inventory.packages(Host(tmp_path)) == {"makedumpfile": ("1.7.2",)}
