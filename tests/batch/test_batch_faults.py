"""A hundred crashes, some of them in trouble: the others are analysed, and each trouble is named."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set

import pytest
from conftest import Lab, Result, RunCli, ToolDir
from crashtree import grow

from kdumpwrap import analyze
from kdumpwrap.batch import engine as many
from kdumpwrap.crashdir import finder
from kdumpwrap.debuginfo import Search
from kdumpwrap.model.kernel import ResolvedFrame, Symbol
from kdumpwrap.model.log import Frame
from kdumpwrap.symbolize.symbolizer import Symbolizer

pytestmark = [pytest.mark.lab, pytest.mark.one_kernel]

COUNT = 100
SMALL = 30_000  # bytes of a log


class Tree(NamedTuple):
    path: Path
    names: List[str]  # oldest first

    def crash(self, number: int) -> Path:
        return self.path / self.names[number]


def when(name: str) -> str:
    """The time in a directory's name."""
    return name.partition("-")[2]


@pytest.fixture(scope="module")
def grown(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grown") / "crash"
    grow(path, [lab.path], COUNT, size=SMALL)
    return path


@pytest.fixture
def tree(grown: Path, tmp_path: Path) -> Tree:
    shutil.copytree(grown, tmp_path / "crash")
    return Tree(tmp_path / "crash", sorted((path.name for path in grown.iterdir()), key=when))


def batch(run_cli: RunCli, tree: Tree, *options: str, **how: object) -> Result:
    """Without debuginfo: what fails here fails before any tool is asked."""
    return run_cli("batch", "--root", tree.path.parent, *options, tree.path, **how)  # type: ignore[arg-type]


def done(result: Result) -> Set[str]:
    """The names of the directories in the rows."""
    return {Path(line.split("\t")[8]).name for line in result.stdout.splitlines()}


def named(result: Result) -> List[str]:
    """What standard error says of single crashes: all but the debuginfo that is missing for all."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("kdumpwrap: ")]
    return [line[len("kdumpwrap: ") :] for line in lines if "no debuginfo for" not in line]


def test_unreadable_directories_and_logs(tree: Tree, run_cli: RunCli, powerless: Sequence[str]) -> None:
    closed, log = tree.crash(10), tree.crash(20) / "vmcore-dmesg.txt"
    closed.chmod(0)
    log.chmod(0)
    result = batch(run_cli, tree, "--raw", prefix=powerless)
    closed.chmod(0o700)
    assert result.status == 3
    assert done(result) == set(tree.names) - {tree.names[10], tree.names[20]}
    assert sorted(named(result)) == sorted([f"{closed}: Permission denied", f"{log}: Permission denied"])


def test_directories_that_vanish_or_are_being_written(tree: Tree, run_cli: RunCli, tool_dir: ToolDir) -> None:
    """All at the time when the batch reads its first crash: that one's vmcore is read by a makedumpfile of ours."""
    first, gone, finished, growing = (tree.crash(number) for number in (0, 10, 20, 30))
    (first / "vmcore-dmesg.txt").rename(first / "log")
    (first / "vmcore").write_bytes(b"KDUMP   " + bytes(100))
    for crash in (finished, growing):
        (crash / "vmcore-dmesg.txt").rename(crash / "vmcore-dmesg-incomplete.txt")
    cut = (growing / "vmcore-dmesg-incomplete.txt").read_text()
    (growing / "vmcore-dmesg-incomplete.txt").write_text(cut[: len(cut) * 95 // 100])
    (growing / "vmcore-incomplete").write_bytes(b"")
    tool_dir.fake(
        "makedumpfile",
        f"""
        rm -r {gone}
        mv {finished}/vmcore-dmesg-incomplete.txt {finished}/vmcore-dmesg.txt
        cp {first}/log "$4"
        echo '  OSRELEASE=6.1.0-47-cloud-amd64'
        echo 'makedumpfile Completed.'
        """,
    )
    result = batch(run_cli, tree, "--raw", "--jobs", "1", env=tool_dir.first)
    assert result.status == 3
    assert done(result) == set(tree.names) - {gone.name}
    assert sorted(named(result)) == sorted(
        [
            f"{gone}: gone since it was listed",
            f"{growing}/vmcore-dmesg-incomplete.txt: kdump did not finish it: the log may be cut off",
        ]
    )


# what a crash may hold instead of a log, and what is said of it
BROKEN: Dict[str, "tuple[str, str]"] = {
    "empty": ("", "no report of a crash in this log"),
    "boot": ("[    0.000000] Linux version 6.1.0\n", "no report of a crash in this log"),
    "binary": ("\x00\x01\x02" * 1000, "no report of a crash in this log"),
}


def test_logs_without_a_report_and_dumps_that_are_none(tree: Tree, run_cli: RunCli) -> None:
    for number, (text, _) in enumerate(BROKEN.values()):
        (tree.crash(number) / "vmcore-dmesg.txt").write_text(text)
    (tree.crash(3) / "vmcore-dmesg.txt").rename(tree.crash(3) / "vmcore")  # a text in the place of the dump
    (tree.crash(4) / "vmcore-dmesg.txt").rename(tree.crash(4) / "kexec-dmesg.log")
    (tree.crash(5) / "vmcore-dmesg.txt").unlink()
    os.mkfifo(tree.crash(5) / "vmcore-dmesg.txt")
    result = batch(run_cli, tree, "--raw")
    assert result.status == 3
    assert done(result) == set(tree.names[6:])
    said = named(result)
    for number, (_, message) in enumerate(BROKEN.values()):
        assert f"{tree.crash(number)}/vmcore-dmesg.txt: {message}" in said
    assert f"{tree.crash(3)}/vmcore: not a vmcore" in said
    assert f"{tree.crash(4)}: kdump saved neither the vmcore nor its dmesg" in said
    assert f"{tree.crash(5)}/vmcore-dmesg.txt: not a regular file" in said
    objects = batch(run_cli, tree, "--json").stdout.splitlines()
    assert len(objects) == COUNT - 3  # a log without a report has its line, too
    assert sum('"reports": []' in line for line in objects) == len(BROKEN)


def test_nothing_but_broken_crashes(tree: Tree, run_cli: RunCli) -> None:
    for name in tree.names:
        (tree.path / name / "vmcore-dmesg.txt").write_text("")
    result = batch(run_cli, tree)
    assert (result.status, result.stdout) == (1, "")


def test_links_that_loop_and_lead_back(tree: Tree, run_cli: RunCli) -> None:
    (tree.path / "loop").symlink_to("loop")
    (tree.path / "up").symlink_to("..")
    (tree.crash(1) / "self").symlink_to(".")
    (tree.path / "again").symlink_to(tree.names[0])
    result = batch(run_cli, tree, "--raw")
    assert len(result.stdout.splitlines()) == COUNT
    assert named(result) == []


def test_fifty_thousand_empty_directories(grown: Path, run_cli: RunCli, tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # a disk takes a minute to make and remove them
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=where) as directory:
        tree = Tree(Path(directory) / "crash", sorted(path.name for path in grown.iterdir()))
        shutil.copytree(grown, tree.path)
        for number in range(50_000):
            os.mkdir(f"{tree.path}/127.0.0.1-2024-02-01-00:00:00-{number}")  # noqa: PTH102
        result = batch(run_cli, tree, "--raw", timeout=60)
    assert done(result) == set(tree.names)
    assert named(result) == []


def test_names_that_would_forge_rows_and_paint_the_terminal(tree: Tree, run_cli: RunCli) -> None:
    names = [f"\x1b[31mred{number}\x1b[0m\n2024\t[bold]evil-2024-01-31-00:00:0{number}" for number in range(5)]
    for number, name in enumerate(names):
        tree.crash(number).rename(tree.path / name)
    (tree.path / names[4] / "vmcore-dmesg.txt").write_text("")
    rows = batch(run_cli, tree, "--raw")
    assert len(rows.stdout.splitlines()) == COUNT - 1
    assert {line.count("\t") for line in rows.stdout.splitlines()} == {8}
    for option in ((), ("--raw",), ("--json",)):
        result = batch(run_cli, tree, *option)
        assert not set(result.stdout + result.stderr) & {"\x1b", "\x00"}
        assert len(named(result)) == 1
    assert "\\x1b[31mred" in batch(run_cli, tree).stdout


class Clumsy(Symbolizer):
    """Makes a mistake of ours: one that no KdumpwrapError foresees."""

    def place(self, frame: Frame, symbols: Optional[Sequence[Symbol]] = None) -> ResolvedFrame:
        if frame.symbol == "ip_tunnel_lookup":
            raise IndexError("list index out of range")
        return super().place(frame, symbols)


def test_a_crash_that_breaks_the_engine_costs_no_other(tree: Tree) -> None:
    search = Search(tree.path)
    read = [batch_of(tree.path / name, search) for name in tree.names]
    with Clumsy(read[0].log.release, search) as symbolizer:
        outcomes = list(many._of_one_kernel(read, symbolizer, {}))
    broken = [one for one in outcomes if one.analysis is None]
    assert [one.crash for one in outcomes] == [one.crash for one in read]
    logs = [(tree.path / name / "vmcore-dmesg.txt").read_text("utf-8", "replace") for name in tree.names]
    assert len(broken) == sum(re.search(r"\bip_tunnel_lookup\+", log) is not None for log in logs) > 0
    assert {one.failure.message for one in broken if one.failure} == {
        f"{one.crash.path}: kdumpwrap failed (IndexError: list index out of range)" for one in broken
    }


def batch_of(path: Path, search: Search) -> many._Read:
    crash = finder.find(str(path))
    return many._Read(crash, analyze.read(crash, search), (), None)
