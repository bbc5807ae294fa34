"""batch --save --new: each crash is told once, over a tree that grows, two batches at once, and after kill -9."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, List

import pytest
from conftest import Result, RunCli, environment
from test_saved import JSON, Host, left_behind, make

from kdumpwrap.batch import news, saved
from kdumpwrap.errors import KdumpwrapError

New = Callable[..., Result]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make(tmp_path / "host", 3)


@pytest.fixture
def new(run_cli: RunCli) -> New:
    def run(host: Host, *options: str, **how: Any) -> Result:
        return run_cli("batch", "--save", "--new", "--root", host.root, *options, **how)

    return run


def paths(output: str) -> List[str]:
    return [json.loads(line)["crash"]["path"] for line in output.splitlines()]


@pytest.mark.parametrize("format", ["--json", "--raw", ""])
def test_what_had_an_answer_is_not_printed(format: str, host: Host, new: New, run_cli: RunCli) -> None:
    options = [format] if format else []
    assert run_cli("batch", "--save", "--root", host.root, "--host", "10.0.0.0").status == 3
    first, again = new(host, *options), new(host, *options)
    assert first.status == 3  # the vendor's module has no debuginfo here
    for crash, count in zip(host.crashes, (0, 1, 1)):
        assert (str(crash) in first.stdout) <= count
    assert ("1 bug in 2 crashes" in first.stdout) if not format else (len(first.stdout.splitlines()) == 2)
    assert (again.status, again.stdout, again.stderr) == (4, "", "")
    assert not any((crash / saved.MARK).exists() for crash in host.crashes)


def test_a_new_crash_alone_is_whole_without_the_old_ones_problems(host: Host, new: New) -> None:
    new(host)
    shutil.copytree(
        host.crashes[0], host.top / "10.0.0.9-2024-01-01-00:00:00", ignore=shutil.ignore_patterns("kdumpw*")
    )
    result = new(host, "--json")
    assert paths(result.stdout) == [f"{host.top}/10.0.0.9-2024-01-01-00:00:00"]


def test_an_answer_that_is_no_longer_true_is_found_anew_and_no_news(host: Host, new: New) -> None:
    new(host)
    before = (host.crashes[0] / JSON).stat().st_ino
    with (host.crashes[0] / "vmcore-dmesg.txt").open("a") as log:
        log.write("\n")
    assert (new(host, "--json").status, new(host).stdout) == (4, "")
    assert (host.crashes[0] / JSON).stat().st_ino != before


def test_nothing_there_is_nothing_new(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "var/crash").mkdir(parents=True)
    assert run_cli("batch", "--save", "--new", "--root", tmp_path).status == 4
    assert run_cli("batch", "--save", "--new", tmp_path / "nowhere").status == 1
    misused = run_cli("batch", "--new", "--root", tmp_path)
    assert (misused.status, misused.stdout) == (2, "")


def test_a_crash_that_cannot_be_read_leaves_the_others_alone(host: Host, new: New) -> None:
    new(host)
    empty = host.top / "10.0.0.9-2024-01-01-00:00:00"
    empty.mkdir()
    (empty / "kexec-dmesg.log").write_text("")
    result = new(host)
    assert (result.status, result.stdout) == (3, "")
    assert str(empty) in result.stderr


@pytest.mark.parametrize("format", ["--json", "--raw", ""])
def test_what_was_saved_and_not_printed_is_told(format: str, host: Host, new: New) -> None:
    """What reads us has no room: as after kill -9 between the two, the answers are there and nobody has seen them."""
    argv = [sys.executable, "-m", "kdumpwrap", "batch", "--save", "--new", "--root", str(host.root)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv + ([format] if format else []), stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert done.returncode == 1
    assert (host.crashes[0] / JSON).exists()
    assert paths(new(host, "--json").stdout) == [str(crash) for crash in host.crashes]
    assert new(host).status == 4


def test_others_files_mean_nothing(host: Host, new: New, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious\n")
    (host.crashes[0] / JSON).symlink_to(precious)  # no answer of ours
    (host.top / ".kdumpwrap-lock").symlink_to(precious)
    refused = new(host)
    assert (refused.status, refused.stdout) == (1, "")
    assert f"{host.top}/.kdumpwrap-lock: Too many levels of symbolic links" in refused.stderr
    (host.top / ".kdumpwrap-lock").unlink()
    assert len(paths(new(host, "--json").stdout)) == 3
    (host.crashes[0] / saved.MARK).symlink_to(precious)
    assert new(host).status == 4
    if os.geteuid() == 0:
        (host.crashes[0] / saved.MARK).unlink()
        (host.crashes[0] / saved.MARK).write_text("")
        os.chown(host.crashes[0] / saved.MARK, 65534, 65534)
        assert new(host).status == 4
    assert precious.read_text() == "precious\n"


def test_each_crash_is_told_once_while_the_tree_grows_two_run_and_one_is_killed(tmp_path: Path) -> None:
    host = make(tmp_path / "host", 60)
    aside = tmp_path / "aside"
    aside.mkdir()
    for crash in host.crashes[20:]:
        crash.rename(aside / crash.name)

    def grow() -> None:
        for crash in host.crashes[20:]:
            (aside / crash.name).rename(crash)
            time.sleep(0.02)

    argv = [sys.executable, "-m", "kdumpwrap", "batch", "--save", "--new", "--json", "-j1", "--root", str(host.root)]
    growing = threading.Thread(target=grow)
    growing.start()
    chance, outputs, killed = random.Random(1), [], 0
    for number in range(6):
        files = [(tmp_path / f"out{number}{name}").open("w") for name in "ab"]
        pair = [subprocess.Popen(argv, stdout=file, stderr=subprocess.DEVNULL, env=environment()) for file in files]
        outputs += [Path(file.name) for file in files]
        if number < 4:
            time.sleep(0.1 + chance.random() / 3)
            pair[number % 2].send_signal(signal.SIGKILL)
        killed += sum(process.wait(timeout=120) == -signal.SIGKILL for process in pair)
        for file in files:
            file.close()
    growing.join()
    outputs.append(tmp_path / "last")
    with outputs[-1].open("w") as file:
        status = subprocess.run(argv, stdout=file, stderr=subprocess.DEVNULL, env=environment(), check=False).returncode
    told = Counter(path for output in outputs for path in paths(output.read_text()))
    assert killed
    assert told == Counter({str(crash): 1 for crash in host.crashes})
    assert status in (3, 4)
    assert not left_behind(host)


def test_one_at_a_time(tmp_path: Path) -> None:
    """The second waits for the first, and a killed one holds nobody up."""
    order: List[str] = []

    def second() -> None:
        with news.alone([tmp_path]):
            order.append("second")

    with news.alone([tmp_path, tmp_path]):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join(timeout=10)
    assert order == ["first", "second"]


def test_a_lock_that_others_can_hold_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "public").touch()
    os.link(str(tmp_path / "public"), str(tmp_path / ".kdumpwrap-lock"))
    with pytest.raises(KdumpwrapError), news.alone([tmp_path]):
        pass
