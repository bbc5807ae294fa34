"""Limits of the system: what cannot be done under them is said in a line, and nothing wrong is kept."""

import errno
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest
from conftest import RunCli, environment
from processes import no_file_opens

from kdumpwrap import capturelog, debuginfo, sources
from kdumpwrap.batch import saved
from kdumpwrap.crashdir import crashfile, finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError, ReadFailed
from kdumpwrap.example import worked
from kdumpwrap.host import files
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.model.crash import Crash

RELEASE = "4.19.113-88.8bs.el7.x86_64"
CRASH = "crashes/127.0.0.1-2024-01-01-10:00:00"
LIMITS = ("nofile=5", "nofile=8", "nofile=12", "fsize=0", "fsize=4096", "cpu=0")
COMMANDS = {
    "analyze": ("analyze", "--json"),
    "variables": ("analyze", "--variables", "--json"),
    "batch": ("batch", "--save", "--json"),
    "annotate": ("annotate",),
    "pack": ("pack", "-o", "-"),
    "of a pack": ("analyze", "--json"),
    "list": ("list",),
    "doctor": ("doctor",),
    "fetch": ("fetch", "--dry-run"),
}


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worked example's host, its crash apart twice, and the pack of one."""
    top = tmp_path_factory.mktemp("limits")
    shutil.copytree(worked.root(), top / "root")
    (log,) = top.glob("root/var/crash/*/vmcore-dmesg.txt")
    for number in range(2):
        (top / f"crashes/127.0.0.1-2024-01-01-10:00:0{number}").mkdir(parents=True)
        shutil.copy(log, top / f"crashes/127.0.0.1-2024-01-01-10:00:0{number}")
    (top / CRASH / "kexec-dmesg.log").write_text("kdump: saving vmcore\n")
    assert RunCli()("pack", "--root", top / "root", "-o", top / "pack.json", top / CRASH).status == 0
    return top


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_limit_ends_in_no_traceback_and_in_no_wrong_answer(name: str, limit: str, top: Path, run_cli: RunCli) -> None:
    about = {"batch": "crashes", "list": "crashes", "of a pack": "pack.json"}.get(name, CRASH)
    command = (*COMMANDS[name], "--root", top / "root", *(() if name == "doctor" else (top / about,)))
    whole = run_cli(*command)
    for file in top.glob("crashes/*/kdumpwrap.*"):
        file.unlink()
    kind, _, most = limit.partition("=")
    done = run_cli(*command, prefix=("prlimit", f"--{kind}={most}:{int(most) + 5 if kind == 'cpu' else most}"))
    assert not re.search("^Traceback", done.stderr, re.M)
    aborted = "pthread_exit" in done.stderr and sys.version_info < (3, 9)  # by libc, where a thread of Python ends
    assert done.status in (0, 1, 3) or (kind == "cpu" and done.status < 0) or aborted, done
    assert done.stdout == whole.stdout or done.stderr != whole.stderr or done.status < 0
    if name == "batch":
        assert run_cli(*command).stdout == whole.stdout, "what was saved under the limit is not believed"


def test_as_many_files_may_be_open_as_are_needed(top: Path, run_cli: RunCli) -> None:
    """A low limit of the shell is none of the system's: it is raised."""
    command = ("analyze", "--root", top / "root", top / CRASH)
    assert run_cli(*command, prefix=("prlimit", "--nofile=16:1024")) == run_cli(*command)


def test_too_little_memory_is_said(top: Path, run_cli: RunCli) -> None:
    for size in range(24 << 20, 64 << 20, 8 << 20):
        done = run_cli("list", top / "crashes", prefix=("prlimit", f"--data={size}:{size}"))
        assert done.status == 0 or done.stderr == "kdumpwrap: there is not enough memory\n", done


def broken(error: str, limit: str = "") -> "subprocess.CompletedProcess[str]":
    """``kdumpwrap list`` in which the expression ``error`` fails."""
    code = (
        f"import sys, tempfile; from kdumpwrap.crashdir import finder; finder.scan_host = lambda _: {error};"
        "sys.argv[1:] = ['list']; from kdumpwrap.cli import app; app.main()"
    )
    prefix = ("prlimit", limit) if limit else ()
    return subprocess.run([*prefix, sys.executable, "-c", code], env=environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
                          check=False)  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        "open('/no/such/file')",
        "open('/')",
        "open(99)",
        "bytes(1 << 60)",
        "__import__('kdumpwrap.nothing')",
        "exec('from kdumpwrap.errors import nothing')",
    ],
)
def test_a_bug_of_ours_keeps_its_traceback(error: str) -> None:
    done = broken(error)
    assert done.returncode == 1 and done.stderr.startswith("Traceback"), done


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EDQUOT, errno.EAGAIN])
def test_what_the_host_refuses_is_a_line(number: int) -> None:
    done = broken(f"(_ for _ in ()).throw(OSError({number}, '{os.strerror(number)}'))")
    assert (done.returncode, done.stderr) == (1, f"kdumpwrap: {os.strerror(number)}\n")


def test_an_absurd_size_is_a_line_where_memory_is_limited() -> None:
    done = broken("bytes(1 << 60)", limit=f"--as={1 << 32}")
    assert (done.returncode, done.stderr) == (1, "kdumpwrap: there is not enough memory\n")


def test_a_host_without_a_temporary_directory_is_told_of() -> None:
    done = broken("(setattr(tempfile, '_candidate_tempdir_list', lambda: ['/proc']), tempfile.mkdtemp())")
    assert done.returncode == 1
    assert done.stderr == "kdumpwrap: No usable temporary directory found in ['/proc']\n"


@pytest.mark.parametrize("command", [("--help",), ("list", "--help"), ("--version",)])
def test_a_full_disk_behind_standard_output_is_told_once(command: Tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "kdumpwrap", *command], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), universal_newlines=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "kdumpwrap: standard output: No space left on device\n")


def test_no_more_memory_is_asked_for_than_a_file_has(top: Path) -> None:
    tracemalloc.start()
    try:
        assert len(files.read(top / "pack.json", limit=64 << 20)) > 1000
        assert crashfile.pack(str(top / "pack.json")) is not None
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- what the system fails to read is not missing


@pytest.fixture
def full() -> Iterator[None]:
    """No file can be opened any more."""
    with no_file_opens():
        yield


def readers(top: Path) -> List[Callable[[], object]]:
    search = Search(root=top / "root")
    crash = Crash(str(top / CRASH), f"{top / CRASH}/vmcore-dmesg.txt", capture=f"{top / CRASH}/kexec-dmesg.log")
    source = top / "root/usr/src/debug/kernel-alt-4.19.113" / f"linux-{RELEASE}/include/net/ip_tunnels.h"
    assert source.is_file()
    return [
        lambda: debuginfo.vmlinux(RELEASE, search),
        lambda: debuginfo.modules(["xfs"], RELEASE, search),
        lambda: sources.find(str(source), 462, RELEASE, search),
        lambda: capturelog.beside(crash),
        lambda: release_of(crash),
        lambda: saved.beside(crash),
        lambda: files.read(source, limit=1 << 20),
    ]


@pytest.mark.parametrize("number", range(7))
def test_too_many_open_files_do_not_mean_that_something_is_not_there(number: int, top: Path, full: None) -> None:
    with pytest.raises(ReadFailed, match="Too many open files"):
        readers(top)[number]()


def test_doctor_says_what_it_could_not_read(top: Path, full: None) -> None:
    for look in (Host(top / "root").names, Host(top / "root").text):
        with pytest.raises(Denied):
            look("/usr/lib")


def test_an_error_of_the_disk_is_told_apart_from_a_file_that_is_missing() -> None:
    with pytest.raises(ReadFailed, match=r"^/x: Input/output error$"):
        files.check(OSError(errno.EIO, os.strerror(errno.EIO)), "/x")
    files.check(FileNotFoundError(errno.ENOENT, "x"), "/x")


def test_what_was_not_read_makes_no_answer_final(top: Path, full: None) -> None:
    """Nor does it end a batch: the stamp of what is not known fits no file."""
    known = saved.Known(Search(root=top / "root"))
    assert known.files(Crash("-"), RELEASE, ["xfs"]) == []
    with pytest.raises(KdumpwrapError):
        finder.inspect(top / CRASH)
