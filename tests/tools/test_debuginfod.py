"""--debuginfod: debuginfo by build id from a real debuginfod server on loopback."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest
from conftest import Lab, RunCli, ToolDir
from processes import build_id

from kdumpwrap.debuginfo import Debuginfod
from kdumpwrap.errors import KdumpwrapError, ToolMissing
from kdumpwrap.tools import debuginfod

SOURCE = "int answer(int question) { return question / 6; }\n"
ABSENT = "00" * 20


class Server(NamedTuple):
    """A debuginfod that serves one small file (and, in the lab, a vmlinux)."""

    url: str
    build_id: str
    file: Path


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


@contextlib.contextmanager
def serving(files: Path, wanted: int) -> Iterator[str]:
    """The address of a server for what lies in ``files``, once it has indexed ``wanted`` build ids."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = ["debuginfod", "-F", "-L", "-p", str(port), "-d", ":memory:", "-t", "0", "-g", "0", str(files)]
    environment = {name: value for name, value in os.environ.items() if name != "DEBUGINFOD_URLS"}
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url, wanted)
            yield url
        finally:
            process.terminate()


def _wait(url: str, wanted: int) -> None:
    """Until the server has scanned everything; its metrics say how far it is."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            text = urllib.request.urlopen(f"{url}/metrics", timeout=5).read().decode()
            done = re.search(r'^thread_work_total\{role="traverse"\} ([1-9]\d*)', text, re.M)
            scanned = re.search(r'^scanned_files_total\{source="file"\} (\d+)', text, re.M)
            pending = re.search(r'^thread_work_pending\{role="scan"\} (\d+)', text, re.M)
            busy = re.search(r'^thread_busy\{role="scan"\} (\d+)', text, re.M)
            idle = all(match is None or match[1] == "0" for match in (pending, busy))
            if done and idle and scanned and int(scanned[1]) >= wanted:
                return
        time.sleep(0.3)
    pytest.fail("debuginfod did not get ready within 120 s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    needs("debuginfod", "debuginfod-find", "gcc")
    files = tmp_path_factory.mktemp("served")
    (files / "answer.c").write_text(SOURCE)
    library = files / "answer.so"
    flags = ["-g", "-shared", "-fPIC", "-Wl,--build-id"]
    subprocess.run(["gcc", *flags, "-o", library, files / "answer.c"], check=True)
    with serving(files, 1) as url:
        yield Server(url, build_id(library), library)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own: debuginfod remembers hits, and for ten minutes misses too."""
    directory = tmp_path / "not" / "yet" / "there"
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(directory))
    return directory


def test_a_file_comes_by_its_build_id(server: Server, cache: Path) -> None:
    lines: List[str] = []
    found = debuginfod.fetch(server.build_id, "debuginfo", Debuginfod((server.url,), 60, lines.append))
    assert found.read_bytes() == server.file.read_bytes()
    assert cache in found.parents
    assert lines[0].startswith(f"debuginfod: debuginfo of build id {server.build_id}")
    assert lines[-1] == ""  # the line of progress is taken away again


def test_what_no_server_has(server: Server, cache: Path) -> None:
    with pytest.raises(KdumpwrapError) as caught:
        debuginfod.fetch(ABSENT, "debuginfo", Debuginfod((server.url,), 60))
    assert f"{server.url} has no debuginfo of build id {ABSENT}" in caught.value.message
    assert str(cache / ABSENT) in caught.value.hint  # a miss is remembered


def test_a_server_that_is_not_there(cache: Path) -> None:
    needs("debuginfod-find")
    with pytest.raises(KdumpwrapError, match=r"could not be had from http://127\.0\.0\.1:1"):
        debuginfod.fetch(ABSENT, "debuginfo", Debuginfod(("http://127.0.0.1:1",), 30))


def test_a_server_that_never_answers(cache: Path) -> None:
    needs("debuginfod-find")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        with pytest.raises(KdumpwrapError):
            debuginfod.fetch(ABSENT, "debuginfo", Debuginfod((f"http://127.0.0.1:{silent.getsockname()[1]}",), 3))
        assert time.monotonic() - start < 30


def test_no_server_is_named(cache: Path) -> None:
    with pytest.raises(KdumpwrapError, match="names no server") as caught:
        debuginfod.fetch(ABSENT, "debuginfo", Debuginfod((), 30))
    assert "DEBUGINFOD_URLS=" in caught.value.hint


@pytest.mark.parametrize("odd", ["", "--help", "../../etc/passwd", "xyz", "AB" * 20])
def test_what_is_no_build_id_is_never_asked_for(odd: str) -> None:
    with pytest.raises(KdumpwrapError, match="no build id"):
        debuginfod.fetch(odd, "debuginfo", Debuginfod(("http://127.0.0.1:1",), 30))


def test_without_debuginfod_find_its_package_is_named(
    tool_dir: ToolDir, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tool_dir.path))
    with pytest.raises(ToolMissing) as caught:
        debuginfod.fetch(ABSENT, "debuginfo", Debuginfod(("http://127.0.0.1:1",), 30))
    assert "debuginfod" in caught.value.hint


def test_servers_are_those_of_the_environment_or_of_etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc/debuginfod").mkdir(parents=True)
    (tmp_path / "etc/debuginfod/centos.urls").write_text("https://debuginfod.centos.org/\nfile:///srv ftp://a\n")
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    assert debuginfod.servers(tmp_path) == ("https://debuginfod.centos.org/",)
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://a file:///b http://a")
    assert debuginfod.servers(tmp_path) == ("http://a", "file:///b")


@pytest.mark.lab
def test_a_crash_without_debuginfo_gets_its_vmlinux(lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    needs("debuginfod", "debuginfod-find", "makedumpfile")
    files, root = tmp_path / "files", tmp_path / "root"
    files.mkdir()
    root.mkdir()
    (files / "vmlinux").symlink_to(lab.vmlinux.resolve())
    crash = lab.crashes["iptunnel"]
    with serving(files, 1) as url:
        env = {"DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache"), "HOME": str(tmp_path)}
        without = run_cli("analyze", "--raw", "--root", root, crash, env=env)
        done = run_cli("analyze", "--raw", "--root", root, "--debuginfod", crash, env=env)
    assert "ip_tunnels.h" not in without.stdout  # off unless asked for, whatever the environment names
    assert not re.search(r"^vmlinux\t\S", without.stdout, re.M)
    assert re.search(rf"^vmlinux\t{re.escape(str(tmp_path / 'cache'))}/\S+$", done.stdout, re.M)
    assert re.search(r"^ip\tiptunnel_xmit\t.*ip_tunnels\.h\t526|^ip\tiptunnel_xmit\t.*local\.h\t33", done.stdout, re.M)
    assert done.stderr.count("no debuginfo for") == 1  # the vendor's module alone
