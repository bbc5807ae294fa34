"""A crash directory whose owner laid links and FIFOs in it: nothing leaks or hangs, nothing is written through them."""

import os
import re
import shutil
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import List

import pytest
from conftest import RunCli
from processes import ran

from kdumpwrap.cli import pages
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.example import worked

SECRET = "root:$y$j9T$secret:19000::::::\n"


class Crash:
    """A copy of the worked example's host, with a file beside it that only its owner may read."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = Path(shutil.copytree(worked.root(), tmp_path / "host"))
        self.secret = tmp_path / "shadow"
        self.secret.write_text(SECRET * 600)
        self.secret.chmod(0o600)
        self.log = next(self.root.glob("var/crash/*/vmcore-dmesg.txt"))
        self.directory = self.log.parent
        self.vmlinux = next(self.root.glob("usr/lib/debug/lib/modules/*/vmlinux"))
        self.source = next(self.root.glob("usr/src/debug/**/ip_tunnels.h"))


@pytest.fixture
def crash(open_dir: Path) -> Crash:
    return Crash(open_dir)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("command", [["analyze"], ["dmesg"], ["batch"], ["batch", "--save"]], ids=" ".join)
def test_a_log_that_is_a_link_out_of_its_directory_is_not_read(
    command: List[str], crash: Crash, run_cli: RunCli
) -> None:
    crash.log.replace(crash.root / "messages")
    with (crash.root / "messages").open("a") as log:
        log.write(SECRET)
    crash.log.symlink_to(crash.root / "messages")
    done = run_cli(*command, "--root", crash.root, crash.directory)
    assert done.status in (1, 3)
    assert "iptunnel_xmit" not in done.stdout
    assert f"{crash.log}: a link that leads out of its directory, to {crash.root}/messages" in done.stderr
    assert sorted(file.name for file in crash.directory.iterdir()) == ["vmcore-dmesg.txt"]
    # whoever names a link means it
    done = run_cli("analyze", "--raw", "--root", crash.root, crash.log)
    assert f"crash\t{crash.log}\ndmesg\t{crash.root}/messages\n" in done.stdout


def test_a_log_that_is_a_link_in_its_directory_is_read(crash: Crash, run_cli: RunCli) -> None:
    crash.log.replace(crash.directory / "2023.log")
    crash.log.symlink_to("2023.log")
    assert "iptunnel_xmit+0x17d" in run_cli("analyze", "--root", crash.root, crash.directory).stdout


@pytest.mark.parametrize("name", ["vmlinux", "XxxWan.ko"])
def test_debuginfo_beside_a_crash_that_is_a_link_out_of_it_is_not_used(
    name: str, crash: Crash, run_cli: RunCli
) -> None:
    kept = crash.root / "kept"
    crash.vmlinux.replace(kept)
    (crash.directory / name).symlink_to(kept)
    done = run_cli("analyze", "-v", "--root", crash.root, crash.directory)
    assert done.status == 3
    if name == "vmlinux":
        assert re.search(r"no debuginfo for 4\.19\.113\S+ \(\S+/vmlinux: a link that leads out", done.stderr)
    assert not re.search(r"^\+ .*(nm|readelf|addr2line|vmlinux|XxxWan)", done.stderr, re.M)


def test_a_source_that_is_a_link_out_of_its_tree_is_not_shown(crash: Crash, run_cli: RunCli) -> None:
    crash.source.unlink()
    crash.source.symlink_to(crash.secret)
    done = run_cli("analyze", "--root", crash.root, crash.directory)
    assert "iptunnel_xmit+0x17d" in done.stdout
    assert "secret" not in done.stdout
    # nor by way of a directory that the user named
    tree = crash.root.parent / "tree"
    tree.mkdir()
    (tree / "ip_tunnels.h").symlink_to(crash.secret)
    done = run_cli("analyze", "--root", crash.root, "--source-dir", tree, crash.directory)
    assert "secret" not in done.stdout


def test_a_source_that_a_crafted_vmlinux_names_is_not_followed(crash: Crash, tmp_path: Path, run_cli: RunCli) -> None:
    """The vmlinux beside the crash is its owner's: what its debug information names may be a link to /etc/shadow."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    shutil.rmtree(crash.vmlinux.parent)
    source = crash.directory / "e.c"
    source.write_text(
        '\n\nvoid iptunnel_xmit(void){ __asm__ volatile(".rept 448; nop; .endr"); }\nvoid _start(void){}\n'
    )
    argv = ["gcc", "-g", "-O0", "-nostdlib", "-no-pie", "-o", str(crash.directory / "vmlinux"), str(source)]
    subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    table = ran(["nm", str(crash.directory / "vmlinux")], check=True).stdout
    names = {row[2]: int(row[0], 16) for row in map(str.split, table.splitlines()) if len(row) == 3}
    size = names["_start"] - names["iptunnel_xmit"]
    crash.log.write_text(re.sub(r"(iptunnel_xmit\+0x17d)/0x\w+", rf"\1/{size:#x}", crash.log.read_text()))
    shown = run_cli("analyze", "--root", crash.root, crash.directory).stdout
    assert f"{source}:3" in shown
    assert "rept 448" in shown, "the source is shown while it is one"
    source.unlink()
    source.symlink_to(crash.secret)
    page = tmp_path / "page.html"
    done = run_cli("analyze", "--root", crash.root, "--html", page, crash.directory)
    assert f"{source}:3" in done.stdout
    assert "secret" not in done.stdout + page.read_text()


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "/proc/kmsg", "link out of the root"])
@pytest.mark.parametrize("name", ["etc/kdump.conf", "etc/os-release", "etc/fstab", "etc/debuginfod/a.urls"])
def test_settings_below_a_root_may_be_anything(name: str, kind: str, crash: Crash, run_cli: RunCli) -> None:
    file = crash.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if name == "etc/fstab":
        (crash.root / "etc/kdump.conf").write_text("ext4 LABEL=dumps\n")
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "link out of the root":
        (crash.root.parent / "elsewhere").write_text("path /elsewhere\n")
        file.symlink_to("../../elsewhere")
    else:
        file.symlink_to(kind)
    start = time.monotonic()
    for command in (["list"], ["analyze", "--debuginfod"], ["doctor"]):
        done = run_cli(*command, "--root", crash.root, timeout=60, env={"DEBUGINFOD_URLS": None})
        assert "Traceback" not in done.stderr
        if command[0] != "doctor":
            assert "127.0.0.1-2023-12-20-10:51:07" in done.stdout
    assert time.monotonic() - start < 50


# ---------------------------------------------------------------- what is written


def test_a_page_is_not_written_through_a_link_nor_to_a_fifo(tmp_path: Path) -> None:
    fifo, link, device = tmp_path / "fifo", tmp_path / "link", tmp_path / "device"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    device.symlink_to("/dev/null")
    start = time.monotonic()
    with pytest.raises(KdumpwrapError, match="not a regular file"):
        pages.write(str(fifo), "page", private=False)
    for file in (link, device):
        pages.write(str(file), "page", private=False)
        assert file.read_text() == "page"
        assert not file.is_symlink()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    pages.write("/dev/null", "page", private=False)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert time.monotonic() - start < 5


def test_a_page_is_not_written_over_a_block_device(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    try:
        os.mknod(disk, 0o600 | stat.S_IFBLK, os.makedev(7, 255))
    except OSError:
        pytest.skip("may not make a device")
    link = tmp_path / "page.html"
    link.symlink_to(disk)
    pages.write(str(link), "page", private=False)
    assert link.read_text() == "page"
    with pytest.raises(KdumpwrapError, match="not a regular file"):
        pages.write(str(disk), "page", private=False)


def test_what_a_shell_has_opened_is_written_to(crash: Crash, run_cli: RunCli) -> None:
    """``--html /dev/stdout`` and ``--html >(gzip)``: a pipe, but nobody else's."""
    done = run_cli("analyze", "--root", crash.root, "--html", "/dev/stdout", crash.directory)
    assert done.stdout.startswith("<!DOCTYPE html>")
    reader, writer = os.pipe()
    got: List[bytes] = []
    reading = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(reader, 65536), b"")))
    reading.start()
    pages.write(f"/dev/fd/{writer}", "page", private=False)
    os.close(writer)
    reading.join()
    os.close(reader)
    assert got == [b"page"]


@pytest.mark.parametrize("what", ["", "log", "directory", "vmlinux", "source", "module"])
def test_a_page_is_private_when_one_of_its_inputs_is(what: str, crash: Crash, tmp_path: Path, run_cli: RunCli) -> None:
    modules = crash.root.parent / "modules"
    modules.mkdir()
    shutil.copy(crash.vmlinux, modules / "XxxWan.ko")
    file = {
        "log": crash.log,
        "directory": crash.directory,
        "vmlinux": crash.vmlinux,
        "source": crash.source,
        "module": modules / "XxxWan.ko",
    }.get(what)
    if file is not None:
        file.chmod(0o700 if file.is_dir() else 0o600)
    options = ("--root", crash.root, "--module-dir", modules)
    page, site = tmp_path / "page.html", tmp_path / "site"
    page.write_text("of old, for all to read")
    run_cli("analyze", *options, "--html", page, crash.directory, prefix=("sh", "-c", 'umask 022; exec "$@"', "-"))
    run_cli("batch", *options, "--html", site, crash.directory.parent, prefix=("sh", "-c", 'umask 022; exec "$@"', "-"))
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert mode(page) == (0o600 if what else 0o644)
    (bug,) = (file for file in site.iterdir() if file.name != "index.html")
    assert mode(bug) == (0o600 if what else 0o644)
    # the index shows nothing of a module's or a source's text
    assert mode(site / "index.html") == (0o600 if what not in ("", "module") else 0o644)
