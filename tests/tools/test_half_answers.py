"""No half answer is kept, or given for a whole one: after an exception, of files that change, of crashes alike."""

import json
import os
import shutil
import threading
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

import pytest
from conftest import Result, RunCli, ToolDir
from doctor_runs import as_nobody
from processes import no_file_opens

from kdumpwrap import analyze
from kdumpwrap.batch import engine, workers
from kdumpwrap.batch.kernels import Kernels
from kdumpwrap.crashdir import finder
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.example import worked
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.log import Frame
from kdumpwrap.symbolize.pool import Job, Pool
from kdumpwrap.symbolize.symbolizer import Symbolizer

LINE = "iptunnel_xmit+0x17d → include/net/ip_tunnels.h:462"


@pytest.fixture
def tree(open_dir: Path) -> Path:
    """A copy of the worked example's host with three crashes of it, below a directory that everybody may enter."""
    root = Path(shutil.copytree(worked.root(), open_dir / "root"))
    log = next(root.glob("var/crash/*/vmcore-dmesg.txt"))
    for number in range(3):
        (open_dir / f"crashes/127.0.0.1-2024-01-01-10:00:0{number}").mkdir(parents=True)
        shutil.copy(log, open_dir / f"crashes/127.0.0.1-2024-01-01-10:00:0{number}")
    return open_dir


# ---------------------------------------------------------------- after an exception


class HalfLoaded(Symbolizer):
    """One that an exception leaves half-loaded, as a file on a mount that has gone stale does."""

    falls = True

    def load(
        self,
        frames: Iterable[Frame],
        arch: Optional[str] = None,
        strangers: Mapping[str, bool] = MappingProxyType({}),
        meanwhile: Optional[Callable[[], object]] = None,
        *,
        lines: bool = False,
    ) -> None:
        if HalfLoaded.falls:
            HalfLoaded.falls = False
            self._names = {frame.symbol for frame in frames if frame.symbol}
            raise OSError(116, "Stale file handle")
        super().load(frames, arch, strangers, meanwhile, lines=lines)


def test_the_next_try_does_not_meet_what_an_exception_has_left_half_loaded(tree: Path) -> None:
    search = Search(root=tree / "root")
    crashes = [entry.crash for entry in finder.scan(tree / "crashes").entries]
    read = [engine._Read(crash, analyze.read(crash, search), (), None) for crash in crashes]
    with HalfLoaded(read[0].log.release, search) as symbolizer:
        done = list(engine._of_one_kernel(read, symbolizer, {}))
    assert symbolizer.broken
    for one in done:
        assert one.analysis is not None
        ip = one.analysis.findings[0].resolution.ip
        assert ip is not None
        assert [location.line for location in ip.locations][:1] == [462]


def test_a_broken_symbolizer_is_not_asked_for_the_next_crashes(tree: Path) -> None:
    search = Search(root=tree / "root")
    crash = finder.scan(tree / "crashes").entries[0].crash
    one = engine._Read(crash, analyze.read(crash, search), (), None)
    kernels = Kernels(search)
    first = kernels.symbolizer(one.crash, one.log, one.beside)
    assert kernels.symbolizer(one.crash, one.log, one.beside) is first
    first.broken = True
    assert kernels.symbolizer(one.crash, one.log, one.beside) is not first
    kernels.close()


@pytest.mark.parametrize("directory", ["usr/lib/debug", "usr/lib/debug/lib/modules", "lib/modules"])
def test_debuginfo_that_may_not_be_read(directory: str, tree: Path) -> None:
    """Nothing is asked of it: that is said, and the exit status is that of a job done in part."""
    closed = tree / "root" / directory
    closed.mkdir(parents=True, exist_ok=True)
    for crash in (tree / "crashes").iterdir():
        crash.chmod(0o777)
    closed.chmod(0)
    options = ("--root", str(tree / "root"))
    try:
        runs = {
            "analyze": as_nobody("analyze", *options, str(tree / "crashes/127.0.0.1-2024-01-01-10:00:01")),
            "batch": as_nobody("batch", *options, str(tree / "crashes")),
            "batch --save": as_nobody("batch", "--save", *options, str(tree / "crashes")),
        }
    finally:
        closed.chmod(0o755)
    for name, done in runs.items():
        assert done.status == 3, (name, done)
        assert "iptunnel_xmit+0x17d" in done.stdout
        assert "Traceback" not in done.stderr
        if "debug" in directory:
            assert "no debuginfo for 4.19.113-88.8bs.el7.x86_64 (" in done.stderr
            assert "/vmlinux: not readable" in done.stderr
    # and is not kept for ever
    again = as_nobody("batch", "--save", *options, str(tree / "crashes"))
    assert LINE in again.stdout


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 6])
@pytest.mark.parametrize("command", ["analyze", "batch"])
def test_no_threads_and_no_processes_left(command: str, limit: int, tree: Path) -> None:
    target = tree / "crashes" / ("127.0.0.1-2024-01-01-10:00:01" if command == "analyze" else "")
    done = as_nobody(command, "--root", str(tree / "root"), str(target), limits={"RLIMIT_NPROC": limit})
    assert "Traceback" not in done.stderr
    assert done.status == 3
    assert "iptunnel_xmit+0x17d" in done.stdout
    if limit == 0:
        assert "Resource temporarily unavailable" in done.stderr
    assert LINE in done.stdout or "include/net/ip_tunnels.h:462" in done.stdout or "cannot be started" in done.stderr


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 7])
def test_no_silence_when_processes_that_read_logs_cannot_be_started(limit: int, tree: Path) -> None:
    """Of so many crashes that several processes read them; their log names no module: nothing else is missing."""
    log = next((tree / "crashes").glob("*/vmcore-dmesg.txt"))
    rows = [row for row in log.read_text().splitlines(keepends=True) if "[XxxWan]" not in row and "Modules" not in row]
    for number in range(3 * workers.WORTH):
        crash = tree / f"many/127.0.0.1-2024-01-01-10:{number // 60:02}:{number % 60:02}"
        crash.mkdir(parents=True)
        (crash / "vmcore-dmesg.txt").write_text("".join(rows))
    batch = ("batch", "-j", "3", "--root", str(tree / "root"), str(tree / "many"))
    done = as_nobody(*batch, limits={"RLIMIT_NPROC": limit})
    assert "Traceback" not in done.stderr
    assert f"1 bug in {3 * workers.WORTH} crashes" in done.stdout
    assert (done.status, bool(done.stderr)) in ((0, False), (3, True)), done
    assert LINE in done.stdout or done.status == 3


def test_a_pool_does_every_job_once_with_and_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    started: List[threading.Thread] = []
    start = threading.Thread.start

    def scarce(thread: threading.Thread) -> None:
        if len(started) >= most:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    for most in (0, 1, 2, 9):
        started.clear()
        done: List[int] = []
        pool = Pool(4)
        futures = [pool.submit(done.append, number) for number in range(50)]
        failing: Job[Any] = pool.submit(int, "x")
        for future in futures:
            future.result(5)
        with pytest.raises(ValueError, match="invalid literal"):
            failing.result(5)
        pool.close()
        assert sorted(done) == list(range(50))
        assert len(started) == min(most, 4)


def test_a_closed_pool_has_begun_nothing_more() -> None:
    pool, go = Pool(1), threading.Event()
    pool.submit(go.wait, 5)
    later = pool.submit(int, "1")
    closing = threading.Thread(target=pool.close)
    closing.start()
    while not later.cancelled:
        pass
    go.set()
    closing.join(5)
    assert not closing.is_alive()


# ---------------------------------------------------------------- files that change


def test_a_log_that_is_finished_while_it_is_analysed(tree: Path, tool_dir: ToolDir, run_cli: RunCli) -> None:
    whole = next((tree / "root").glob("var/crash/*/vmcore-dmesg.txt"))
    crash = tree / "one/127.0.0.1-2024-01-01-10:00:00"
    crash.mkdir(parents=True)
    log = crash / "vmcore-dmesg.txt"
    log.write_text(whole.read_text().partition("RIP: 0010")[0].rpartition("\n")[0] + "\n")
    slow = tool_dir.fake("slow-nm", f'cp {whole} {log}; exec nm "$@"')
    batch = ("batch", "--save", "--root", tree / "root", tree / "one")
    objdump = tool_dir.fake("slow-objdump", f'cp {whole} {log}; exec objdump "$@"')
    half = run_cli(*batch, env={"NM": str(slow), "OBJDUMP": str(objdump)})
    assert LINE not in half.stdout
    assert log.read_text() == whole.read_text(), "a tool has put the whole log there"
    assert LINE in run_cli(*batch).stdout


@pytest.mark.parametrize("name", ["vmlinux", "source"])
def test_debuginfo_that_is_replaced_while_it_is_read(name: str, tree: Path, tool_dir: ToolDir, run_cli: RunCli) -> None:
    """The stamp is that of the file which was read: of another one, the answer is made anew."""
    file = next((tree / "root").rglob("vmlinux" if name == "vmlinux" else "ip_tunnels.h"))
    other = tree / "other"
    shutil.copy(file, other)
    replace = f'[ -f {other} ] && mv {other} {file}; exec nm "$@"'
    batch = ("batch", "--save", "-v", "--root", tree / "root", tree / "crashes")
    run_cli(*batch, env={"NM": str(tool_dir.fake("nm", replace.replace("exec nm", "exec /usr/bin/nm")))})
    assert not other.exists()
    again = run_cli(*batch).stderr
    assert ("+ nm" in again) == (name == "vmlinux"), "a source is read after nm has run"
    assert "+ nm" not in run_cli(*batch).stderr


def test_another_text_of_the_same_size_and_time(tree: Path, run_cli: RunCli) -> None:
    batch = ("batch", "--save", "--raw", "--root", tree / "root", tree / "crashes")
    assert "iptunnel_xmit+0x17d" in run_cli(*batch).stdout
    for log in tree.glob("crashes/*/vmcore-dmesg.txt"):
        before = log.stat()
        text = log.read_text().replace("iptunnel_xmit+0x17d", "iptunnel_xmjt+0x17d")
        log.write_text(text)
        os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert log.stat().st_size == before.st_size
    again = run_cli(*batch).stdout
    assert "iptunnel_xmjt+0x17d" in again
    assert "iptunnel_xmit+0x17d" not in again


# ---------------------------------------------------------------- what is said of it


def test_too_many_open_files_do_not_mean_that_a_crash_is_gone(tree: Path) -> None:
    crash = next((tree / "crashes").iterdir())
    assert finder.inspect(crash / "gone") is None
    with no_file_opens():
        with pytest.raises(KdumpwrapError, match=r"127.*: Too many open files"):
            finder.inspect(crash)
        read = engine._reader(Search(root=tree / "root"), engine.Selection(), None)
        failed = read(Crash(str(crash), f"{crash}/vmcore-dmesg.txt"))
        assert isinstance(failed, engine.Done)
        assert failed.failure is not None
        assert "Too many open files" in failed.failure.message


def record(**facts: Any) -> Dict[str, Any]:
    """A crash that stayed on its host, as ``batch --json`` tells it."""
    ip = {"symbol": "f", "offset": "0x1", "locations": []}
    report = {"kind": "oops", "headline": "x", "line": 1, "ip": ip, "trace": [], **facts}
    path = "/var/crash/127.0.0.1-2024-01-01-10:00:01"
    return {
        "schema": "kdumpwrap/1",
        "crash": {"path": path, "host": "127.0.0.1", "time": "2024-01-01T10:00:01"},
        "kernel": {"release": "5.14.0-503.el9.x86_64"},
        "reports": [report],
        "fatal": 0,
        "signature": {"id": "0" * 12, "text": "t"},
        "problems": [],
    }


def merged(run_cli: RunCli, *records: Dict[str, Any]) -> Result:
    return run_cli("merge", "-", stdin="".join(json.dumps(one) + "\n" for one in records))


@pytest.mark.parametrize(
    "differing",
    [
        [{"pid": 1}, {"pid": 2}, {"pid": 3}],
        [{"registers": {"rax": "0x1"}}, {"registers": {"rax": "0x2"}}, {"registers": {"rbx": "0x2"}}],
        [{"time": 1.5}, {"time": 2.5}, {"time": 2.500001}],
        [{"comm": "a"}, {"comm": "b"}, {"fault_address": "0x1"}],
    ],
    ids=["pid", "registers", "time", "process"],
)
def test_crashes_of_three_hosts_in_one_second(differing: List[Dict[str, Any]], run_cli: RunCli) -> None:
    records = [record(**facts) for facts in differing]
    assert "1 bug in 3 crashes" in merged(run_cli, *records).stdout
    # the same again, as from overlapping days, is no other crash
    assert "1 bug in 3 crashes" in merged(run_cli, *records, *records).stdout


def test_a_record_with_values_of_no_sense(run_cli: RunCli) -> None:
    values: List[Any] = [10**400, "x", [], {}, None, True, {"a": 10**99}]
    odd = [record(time=value, pid=value, registers=value) for value in values]
    done = merged(run_cli, *odd, record(registers={"rax": ["x"], "rbx": 3}, cpu=1e300))
    assert "Traceback" not in done.stderr
    assert done.status == 0
