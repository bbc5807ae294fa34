"""batch --save: answers kept beside the crashes, whole or not at all, and believed only while they are true."""

import contextlib
import json
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

import pytest
from conftest import Result, RunCli, environment

from kdumpwrap import __version__
from kdumpwrap.example import worked

JSON, TEXT = "kdumpwrap.json", "kdumpwrap.txt"


class Host(NamedTuple):
    """A host with the crash that the package carries, many times over."""

    root: Path
    crashes: List[Path]

    @property
    def top(self) -> Path:
        return self.root / "var/crash"


def make(path: Path, count: int) -> Host:
    shutil.copytree(worked.root(), path)
    (crash,) = (path / "var/crash").iterdir()
    crashes = []
    for number in range(count):
        copy = path / f"var/crash/10.0.0.{number}-2023-12-20-10:51:{number % 60:02}"
        shutil.copytree(crash, copy)
        crashes.append(copy)
    shutil.rmtree(crash)
    return Host(path, crashes)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make(tmp_path / "host", 3)


@pytest.fixture
def save(run_cli: RunCli) -> Callable[..., Result]:
    def run(host: Host, *options: str, **how: Any) -> Result:
        return run_cli("batch", "--save", "--root", host.root, *options, **how)

    return run


def saved(crash: Path) -> Dict[str, Any]:
    """The answer in ``crash``, which must be whole."""
    value: Dict[str, Any] = json.loads((crash / JSON).read_text())
    assert value["saved"]["text"] == len((crash / TEXT).read_bytes())
    return value


def left_behind(host: Host) -> List[Path]:
    """Files that nobody wants beside a crash."""
    return [file for crash in host.crashes for file in crash.iterdir() if file.name.startswith(".")]


# ---------------------------------------------------------------- what is saved


def test_both_answers_are_those_of_analyze(host: Host, save: Callable[..., Result], run_cli: RunCli) -> None:
    assert save(host).status == 3  # the vendor's module has no debuginfo here
    for crash in host.crashes:
        value = saved(crash)
        stamp = value.pop("saved")
        (line,) = run_cli("analyze", "--json", "--root", host.root, crash).stdout.splitlines()
        assert json.dumps(value) == json.dumps(json.loads(line))
        assert stamp["version"] == __version__
        assert (crash / TEXT).read_text() == run_cli("analyze", "--root", host.root, crash).stdout
        for name in (JSON, TEXT):
            assert (crash / name).stat().st_mode & 0o7777 == 0o600
    assert not left_behind(host)


def test_an_answer_that_is_still_true_is_taken_as_it_is(
    host: Host, save: Callable[..., Result], run_cli: RunCli
) -> None:
    first = save(host, "--json", "-v")
    before = [(crash / name).stat().st_ino for crash in host.crashes for name in (JSON, TEXT)]
    again = save(host, "--json", "-v")
    assert "+ nm" in first.stderr
    assert "+ " not in again.stderr  # no tool was asked at all
    assert again.stdout == first.stdout
    assert (again.status, first.status) == (3, 3)
    assert before == [(crash / name).stat().st_ino for crash in host.crashes for name in (JSON, TEXT)]
    for option in ((), ("--raw",)):
        assert save(host, *option).stdout == run_cli("batch", "--root", host.root, *option).stdout != ""


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def lengthen(path: Path) -> None:
    with path.open("a") as file:
        file.write("\n")


def rewrite(path: Path, change: Callable[[Dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


# what makes a saved answer untrue
CHANGES: Dict[str, Callable[[Path, Path], object]] = {
    "the log changed": lambda root, crash: lengthen(crash / "vmcore-dmesg.txt"),
    "the log was touched": lambda root, crash: touch(crash / "vmcore-dmesg.txt"),
    "a vmcore came": lambda root, crash: (crash / "vmcore").write_bytes(b"KDUMP   "),
    "the vmlinux changed": lambda root, crash: touch(next(root.glob("usr/lib/debug/lib/modules/*/vmlinux"))),
    "the vmlinux is gone": lambda root, crash: next(root.glob("usr/lib/debug/lib/modules/*/vmlinux")).unlink(),
    "a module came": lambda root, crash: (
        next(root.glob("usr/lib/debug/lib/modules/*")) / "XxxWan.ko.debug"
    ).write_text(""),
    "another version": lambda root, crash: rewrite(crash / JSON, lambda value: value["saved"].update(version="0.0.1")),
    "no text": lambda root, crash: (crash / TEXT).unlink(),
    "a cut text": lambda root, crash: os.truncate(crash / TEXT, 100),
    "a cut answer": lambda root, crash: os.truncate(crash / JSON, (crash / JSON).stat().st_size - 2),
    "an empty answer": lambda root, crash: os.truncate(crash / JSON, 0),
    "no stamp": lambda root, crash: rewrite(crash / JSON, lambda value: value.pop("saved")),
    "a strange stamp": lambda root, crash: rewrite(crash / JSON, lambda value: value.update(saved=[1])),
    "not JSON": lambda root, crash: (crash / JSON).write_text("[" * 100_000),
    "of another crash": lambda root, crash: rewrite(crash / JSON, lambda value: value["crash"].update(path="/x")),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_answer_that_may_be_untrue_is_found_anew(what: str, host: Host, save: Callable[..., Result]) -> None:
    save(host)
    CHANGES[what](host.root, host.crashes[1])
    before = [(crash / JSON).stat().st_ino for crash in host.crashes]
    save(host)
    after = [(crash / JSON).stat().st_ino for crash in host.crashes]
    assert after[1] != before[1]
    assert (after[0] == before[0]) == ("vmlinux" not in what and "module" not in what)  # that concerns all
    saved(host.crashes[1])


def test_the_options_belong_to_the_answer(host: Host, save: Callable[..., Result], tmp_path: Path) -> None:
    save(host)
    assert "+ nm" in save(host, "-v", "--module-dir", str(tmp_path)).stderr
    assert "+ " not in save(host, "-v", "--module-dir", str(tmp_path)).stderr


def test_a_forged_answer_is_not_believed(host: Host, save: Callable[..., Result]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    save(host)
    os.chown(host.crashes[0] / JSON, 65534, 65534)
    assert "+ nm" in save(host, "-v").stderr
    assert (host.crashes[0] / JSON).stat().st_uid == 0


# ---------------------------------------------------------------- nothing is followed


def test_links_are_replaced_and_not_followed(host: Host, save: Callable[..., Result], tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious\n")
    for name in (JSON, TEXT):
        (host.crashes[0] / name).symlink_to(precious)
    os.mkfifo(host.crashes[1] / JSON)
    save(host, timeout=60)
    assert precious.read_text() == "precious\n"
    assert not (host.crashes[0] / JSON).is_symlink()
    saved(host.crashes[1])


def test_nothing_is_saved_through_a_linked_directory(host: Host, save: Callable[..., Result], tmp_path: Path) -> None:
    elsewhere = tmp_path / host.crashes[0].name
    host.crashes[0].rename(elsewhere)
    host.crashes[0].symlink_to(elsewhere)
    result = save(host)
    assert result.status == 3
    assert f"{host.crashes[0]}: the answer cannot be saved: " in result.stderr
    assert not (elsewhere / JSON).exists()
    assert result.stdout.startswith("1 bug in 3 crashes")


def test_a_directory_that_cannot_be_written_to(
    host: Host, save: Callable[..., Result], powerless: Sequence[str]
) -> None:
    host.crashes[0].chmod(0o555)
    result = save(host, "--raw", prefix=powerless)
    host.crashes[0].chmod(0o755)
    assert result.status == 3
    assert len(result.stdout.splitlines()) == 3
    assert f"{host.crashes[0]}: the answer cannot be saved: Permission denied" in result.stderr
    saved(host.crashes[1])


# ---------------------------------------------------------------- full disks, kills, company


def test_a_full_disk(tmp_path: Path, save: Callable[..., Result]) -> None:
    """A limit on the size of files stands for the disk: what does not fit leaves nothing behind."""
    host = make(tmp_path / "host", 100)
    first = saved_size(save, host)
    result = save(host, "--raw", prefix=("prlimit", f"--fsize={first // 2}"))
    assert result.status == 3
    assert len(result.stdout.splitlines()) == 100
    assert result.stderr.count("the answer cannot be saved: File too large") == 99
    assert sum((crash / JSON).exists() for crash in host.crashes) == 1  # the one that was there
    assert not left_behind(host)
    assert not any((crash / TEXT).exists() and not (crash / JSON).exists() for crash in host.crashes)


def pages(size: int) -> int:
    """The room that a file of ``size`` bytes takes on a tmpfs."""
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def saved_size(save: Callable[..., Result], host: Host) -> int:
    """Bytes of the answer to the first crash, which is saved."""
    save(host, "--host", "10.0.0.0")
    return (host.crashes[0] / JSON).stat().st_size


def test_a_really_full_disk(tmp_path: Path, save: Callable[..., Result]) -> None:
    made = make(tmp_path / "made", 100)
    answer = pages(saved_size(save, made)) + pages((made.crashes[0] / TEXT).stat().st_size)
    disk = tmp_path / "disk"
    disk.mkdir()
    room = 100 * pages((made.crashes[1] / "vmcore-dmesg.txt").stat().st_size) + 40 * answer
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "kdumpwrap-test", str(disk)]
    if subprocess.run(mount, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False).returncode != 0:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        shutil.rmtree(made.crashes[0])
        for crash in made.crashes[1:]:
            shutil.copytree(str(crash), str(disk / crash.name))
        host = Host(made.root, [disk / crash.name for crash in made.crashes[1:]])
        result = save(host, "--raw", str(disk))
        whole = [crash for crash in host.crashes if (crash / JSON).exists()]
        assert result.status == 3
        assert len(result.stdout.splitlines()) == 99
        assert 0 < len(whole) < 99
        assert result.stderr.count("No space left on device") == 99 - len(whole)
        for crash in whole:
            saved(crash)
        assert not left_behind(host)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_kill_9_leaves_no_half_of_an_answer(tmp_path: Path, save: Callable[..., Result]) -> None:
    host = make(tmp_path / "host", 100)
    argv = [sys.executable, "-m", "kdumpwrap", "batch", "--save", "--root", str(host.root)]
    chance = random.Random(1)
    for _ in range(4):
        before = sum((crash / JSON).exists() for crash in host.crashes)
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        while sum((crash / JSON).exists() for crash in host.crashes) <= before and process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.random() / 100)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for crash in host.crashes:
            if (crash / JSON).exists():
                saved(crash)
    (host.crashes[99] / f".kdumpwrap-{process.pid}-{JSON}").write_text('{"schema": ')  # killed while it wrote
    with contextlib.suppress(FileNotFoundError):
        (host.crashes[99] / JSON).unlink()
    last = save(host, "--json")
    assert len(last.stdout.splitlines()) == 100
    assert not left_behind(host)
    for line in last.stdout.splitlines():
        value = saved(Path(json.loads(line)["crash"]["path"]))
        del value["saved"]
        assert value == json.loads(line)


def test_two_batches_at_once(tmp_path: Path, save: Callable[..., Result]) -> None:
    host = make(tmp_path / "host", 100)
    argv = [sys.executable, "-m", "kdumpwrap", "batch", "--save", "--json", "--root", str(host.root)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) for _ in "12"]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [3, 3]
    assert said[0][0] == said[1][0]
    assert b"cannot be saved" not in said[0][1] + said[1][1]
    assert not left_behind(host)
    for crash in host.crashes:
        saved(crash)
    assert "+ " not in save(host, "-v").stderr


def test_an_answer_is_saved_where_one_of_several_directories_is_a_crash_itself(tmp_path: Path, run_cli: RunCli) -> None:
    """What kdump's configuration names may be a crash: it is saved there, and a traceback is no answer."""
    root = tmp_path / "root"
    shutil.copytree(worked.root(), root)
    log = next(root.glob("var/crash/*/vmcore-dmesg.txt"))
    (root / "other").mkdir()
    shutil.copy(log, root / "other")
    for name, key in (("etc/kdump.conf", "path /var/crash"), ("etc/sysconfig/kdump", "KDUMP_SAVEDIR=/other")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{key}\n")
    done = run_cli("batch", "--save", "--root", root)
    assert "Traceback" not in done.stderr and "in 2 crashes" in done.stdout
    assert (root / "other/kdumpwrap.json").is_file()
