"""Opening what lies where others may write: only what is harmless is opened, and nothing outside of its directory."""

import ast
import contextlib
import errno
import fcntl
import os
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List

import pytest
from conftest import TESTS
from processes import ran

from kdumpwrap.errors import KdumpwrapError, ToolFailed
from kdumpwrap.host import files
from kdumpwrap.tools.run import run
from kdumpwrap.vmcore import causes

LIMIT = 1 << 20


def refusal(path: "os.PathLike[str] | str", **how: object) -> OSError:
    with pytest.raises(OSError) as caught:
        os.close(files.open_file(Path(path), **{"limit": LIMIT, **how}))  # type: ignore[arg-type]
    return caught.value


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"first\xff\nsecond\n")
    assert files.read(file, limit=LIMIT) == b"first\xff\nsecond\n"
    assert files.text(file, limit=LIMIT) == "first\\xff\nsecond\n"
    assert files.text(str(file), limit=LIMIT, inside=str(tmp_path)) == "first\\xff\nsecond\n"


def test_a_link_is_followed_inside_its_directory_and_not_out_of_it(tmp_path: Path) -> None:
    crash, deep, outside = tmp_path / "crash", tmp_path / "crash/a/b", tmp_path / "crash-not"
    deep.mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (deep / "log").write_text("log")
    (crash / "near").symlink_to("a/b/log")
    (crash / "far").symlink_to("../crash-not/secret")
    (crash / "absolute").symlink_to(outside / "secret")
    (crash / "chain").symlink_to("far")
    (crash / "directory").symlink_to(outside)
    assert files.text(crash / "near", limit=LIMIT, inside=crash) == "log"
    for name in ("far", "absolute", "chain", "directory/secret"):
        assert files.text(crash / name, limit=LIMIT) == "secret", "unless a directory is named"
        refused = refusal(crash / name, inside=crash)
        assert refused.errno == errno.ELOOP
        assert refused.strerror == f"a link that leads out of its directory, to {outside}/secret"
    # a directory that is linked to holds what lies in it
    (tmp_path / "linked").symlink_to(crash)
    assert files.text(tmp_path / "linked/near", limit=LIMIT, inside=tmp_path / "linked") == "log"


def link_to_a_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


NO_FILE: Dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": os.mkdir,
    "a device": partial(os.symlink, "/dev/zero"),
    "a link to a FIFO": link_to_a_fifo,
}


@pytest.mark.parametrize("kind", NO_FILE)
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    NO_FILE[kind](tmp_path / "log")
    start = time.monotonic()
    assert refusal(tmp_path / "log").strerror == ("Is a directory" if kind == "a directory" else "not a regular file")
    assert time.monotonic() - start < 5


def test_what_has_become_a_fifo_since_it_was_found_does_not_hang_us(tmp_path: Path) -> None:
    """A packed module that is fed to its unpacker, and a vmlinux that is searched for a banner."""
    os.mkfifo(tmp_path / "file")
    with pytest.raises(ToolFailed, match="not a regular file"):
        run("cat", source=tmp_path / "file", timeout=5)
    with pytest.raises(KdumpwrapError, match="not a regular file"):
        causes.holds(tmp_path / "file", b"Linux version ")


def test_what_is_refused_is_not_even_opened(tmp_path: Path) -> None:
    """Opening is enough to start a watchdog, or to wind a tape back: whoever waits at a FIFO would be told of it."""
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    opened = threading.Event()

    def wait() -> None:
        os.close(os.open(fifo, os.O_WRONLY))
        opened.set()

    writer = threading.Thread(target=wait, daemon=True)
    writer.start()
    time.sleep(0.1)
    for _ in range(3):
        refusal(fifo)
        refusal(fifo, made_up=True)
    assert not opened.wait(0.3)
    os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))  # the same wait ends for a reader
    assert opened.wait(5)


@pytest.mark.parametrize("name", ["/proc/self/status", "/sys/kernel/notes", "/proc/kcore", "/proc/kmsg"])
def test_files_that_the_kernel_makes_up_are_refused(name: str, tmp_path: Path) -> None:
    if not Path(name).exists():
        pytest.skip(f"no {name} here")
    kind = name.split("/")[1].replace("sys", "sysfs")
    assert refusal(name).strerror == f"a file of {kind}, not of a disk"
    (tmp_path / "log").symlink_to(name)
    assert refusal(tmp_path / "log").strerror == f"a file of {kind}, not of a disk"


def test_a_mount_of_proc_elsewhere_is_known_for_one(tmp_path: Path) -> None:
    inside = (
        f"mount -t proc proc {tmp_path} && exec {sys.executable} -c "
        f"\"from kdumpwrap.host import files; files.read('{tmp_path}/version', limit=99)\""
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent)}
    try:
        done = ran(["unshare", "--mount", "--pid", "--fork", "sh", "-c", inside], env=env)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "a file of proc" not in done.stderr and "OSError" not in done.stderr and done.returncode:
        pytest.skip(f"cannot mount: {done.stderr}")
    assert "a file of proc, not of a disk" in done.stderr


def test_doctor_may_read_them() -> None:
    assert files.read("/proc/self/status", limit=5, made_up=True) == b"Name:"
    assert refusal("/dev/null", made_up=True).strerror == "not a regular file"


def test_the_caller_says_how_large_a_file_may_be(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb") as opened:
        opened.truncate(20 << 30)
    assert refusal(file).errno == errno.EFBIG
    assert refusal(file).strerror == "larger than 1 MiB"
    os.close(files.open_file(file, limit=None))


def test_a_lease_does_not_make_us_wait(tmp_path: Path) -> None:
    """Whoever owns a file may have the next one who opens it wait for 45 seconds."""
    file = tmp_path / "log"
    file.write_text("log")
    with file.open("r+") as held:
        fcntl.fcntl(held, fcntl.F_SETSIG, 0)
        try:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            pytest.skip("this file system knows no leases")
        import signal

        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        start = time.monotonic()
        try:
            assert refusal(file).errno == errno.EAGAIN
        finally:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            signal.signal(signal.SIGIO, before)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300, "/".join(["y" * 200] * 30), "\udcff", "nowhere/at/all"])
def test_names_that_no_file_can_have(name: str) -> None:
    assert files.reason(refusal(name or "/")).strip()


def test_a_file_that_changes_while_it_is_opened(tmp_path: Path) -> None:
    """Whoever swaps a log for a link all the time gets the log read, or nothing."""
    crash = tmp_path / "crash"
    crash.mkdir()
    (tmp_path / "secret").write_text("secret")
    (crash / "real").write_text("log")
    (crash / "link").symlink_to("../secret")
    log, stop = crash / "log", threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for name in ("real", "link"):
                os.link(crash / name, crash / "new", follow_symlinks=False)
                (crash / "new").replace(log)
                with contextlib.suppress(FileNotFoundError):
                    (crash / "new").unlink()

    swapping = threading.Thread(target=swap, daemon=True)
    swapping.start()
    seen = set()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                seen.add(files.text(log, limit=LIMIT, inside=crash))
            except OSError as error:
                seen.add(errno.errorcode[error.errno or 0])
    finally:
        stop.set()
        swapping.join()
    assert {"log", "ELOOP"} <= seen <= {"log", "ELOOP", "ENOENT"}


def test_whether_everybody_may_read_a_file(tmp_path: Path) -> None:
    public = Path("/usr/lib/os-release")
    if public.exists():
        assert files.is_public(public)
    tmp_path.chmod(0o700)
    file = tmp_path / "log"
    file.write_text("log")
    file.chmod(0o644)
    assert not files.is_public(file), "its directory is private"
    assert not files.is_public(tmp_path / "gone")
    assert not files.is_public("/proc/kmsg")


# ---------------------------------------------------------------- nobody opens a file otherwise

OPENING = frozenset(
    "open read_text read_bytes write_text write_bytes copyfile copy copy2 copytree mmap popen Popen spawn "
    "spawnv execv execve fork".split()
)
# what opens a file, or starts a process, and why it needs no open_file, nor run
OPENS = {
    "kdumpwrap/host/files.py": "open open open open open open",  # here it is
    "kdumpwrap/tools/run.py": "Popen open popen",  # here, too; a sink is new, or it is not written
    "kdumpwrap/tools/pipe.py": "popen popen",  # two that run() would start
    "kdumpwrap/tools/crash.py": "open spawn",  # crash(8), and a file of ours in its private directory
    "kdumpwrap/tools/crash_child.py": "open",  # /proc/self/oom_score_adj
    "kdumpwrap/host/memory.py": "read_text",  # /proc and /sys/fs/cgroup
    "kdumpwrap/cli/output.py": "open open open",  # /dev/null
    "kdumpwrap/cli/pages.py": "write_text",  # a character device that the user named
    "kdumpwrap/batch/news.py": "open",  # below an open directory, by O_NOFOLLOW, then its kind and owner are looked at
    "kdumpwrap/batch/saved.py": "open open open",  # directories, and new files below them by O_EXCL
    "kdumpwrap/fetch/stage.py": "open",  # the lock in the cache, which is root's
    # files in private directories, made by mkdtemp
    "kdumpwrap/pack.py": "open",
    "kdumpwrap/symbolize/rawcode.py": "write_bytes",
    "kdumpwrap/tools/debs.py": "write_text write_text",
    "kdumpwrap/tools/gdb.py": "write_bytes",
    "kdumpwrap/tools/rpms.py": "write_text",
    "kdumpwrap/tools/scope_in_gdb.py": "open",
    "kdumpwrap/vmcore/start.py": "read_text write_text write_text",
    "kdumpwrap/vmcore/vmcorelog.py": "write_text",
}


def opened(file: Path) -> List[str]:
    """The names of the calls in ``file`` that open a file or start a process."""
    calls = (node.func for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call))
    names = (call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls)
    return sorted(name for name in names if name in OPENING)


def test_no_file_is_opened_and_no_process_started_elsewhere() -> None:
    root = TESTS.parent
    found = {str(file.relative_to(root)): opened(file) for file in sorted((root / "kdumpwrap").rglob("*.py"))}
    assert {name: " ".join(calls) for name, calls in found.items() if calls} == OPENS
