"""Hosts with a crash whose debuginfo is in a repository made here: fixtures and steps of the tests of fetch."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator, List, Mapping, NamedTuple, Optional, Tuple

import packages_made as made
import pytest
from conftest import Result, RunCli, environment
from packages_made import Kernel, Key

Env = Mapping[str, Optional[str]]


@pytest.fixture(scope="session")
def shared() -> Iterator[Path]:
    """A directory with a short name: gpg's agent listens on a socket in it."""
    with tempfile.TemporaryDirectory(prefix="kw-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def signer(shared: Path) -> Key:
    return made.key(shared / "key", "vendor")


@pytest.fixture(scope="session")
def el(shared: Path) -> Kernel:
    return made.el(shared / "el")


@pytest.fixture(scope="session")
def rpms(shared: Path, el: Kernel, signer: Key) -> Path:
    packages = made.rpms(el, shared / "rpms", signer)
    made.run("createrepo_c", "-q", packages)
    return packages


@pytest.fixture(scope="session")
def debian(shared: Path) -> Kernel:
    return made.debian(shared / "debian")


@pytest.fixture(scope="session")
def debs(shared: Path, debian: Kernel, signer: Key) -> Path:
    packages = made.debs(debian, shared / "debs")
    made.index(packages, signer)
    return packages


class Host(NamedTuple):
    """A host with a crash: everything that fetch writes lies below ``root``."""

    run_cli: RunCli
    root: Path
    crash: Path
    env: Env
    kernel: Kernel

    @property
    def cache(self) -> Path:
        return self.root / "var/cache/kdumpwrap"

    @property
    def kept(self) -> List[str]:
        """What lies in the cache, but for its lock."""
        found = (
            path.relative_to(self.cache) for path in self.cache.rglob("*") if not path.is_dir() or path.is_symlink()
        )
        return sorted(str(path) for path in found if str(path) != ".lock")

    def fetch(self, *args: object, env: Optional[Env] = None, prefix: Tuple[str, ...] = ()) -> Result:
        words = [str(arg) for arg in (args or (self.crash,))]
        return self.run_cli("fetch", "--root", self.root, *words, env={**self.env, **(env or {})}, prefix=prefix)


def host(run_cli: RunCli, tmp_path: Path, kernel: Kernel, env: Env) -> Host:
    root = tmp_path / "host"
    crash = root / "var/crash/127.0.0.1-2024-01-31-10:00:00"
    crash.mkdir(parents=True)
    (crash / "vmcore-dmesg.txt").write_text(kernel.log)
    cache = {"XDG_CACHE_HOME": str(root / "var/cache")}  # of a user that is not root
    return Host(run_cli, root, crash, {**env, **cache}, kernel)


@pytest.fixture
def centos(run_cli: RunCli, tmp_path: Path, el: Kernel, rpms: Path, signer: Key) -> Host:
    return host(run_cli, tmp_path, el, made.dnf(tmp_path / "dnf", rpms, [signer]))


@pytest.fixture
def bookworm(run_cli: RunCli, tmp_path: Path, debian: Kernel, debs: Path, signer: Key) -> Host:
    return host(run_cli, tmp_path, debian, made.apt(tmp_path, debs, signer))


def slow(found: Host, tmp_path: Path, name: str) -> Tuple[Env, Path]:
    """``name`` that stops while it downloads, half of a package written, until the file ``go`` is there."""
    tools, go = tmp_path / "slow", tmp_path / "go"
    tools.mkdir()
    path = found.env.get("PATH") or os.environ["PATH"]
    real = shutil.which(name, path=path)
    (tools / name).write_text(
        f"""#!/bin/sh
case "$*" in
*destdir=*) dir=${{*#*--destdir=}}; dir=${{dir%% *}}; head -c 1000 /dev/zero >"$dir/half.rpm"; echo x >>{tmp_path}/loads
	while [ ! -e {go} ]; do sleep 0.05; done; rm -f "$dir/half.rpm" ;;
esac
exec {real} "$@"
"""
    )
    (tools / name).chmod(0o755)
    return {**found.env, "PATH": f"{tools}{os.pathsep}{path}"}, go


def started(found: Host, env: Env) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-m", "kdumpwrap", "fetch", "--root", str(found.root), str(found.crash)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(argv, env=environment(env), universal_newlines=True, **pipes)  # type: ignore[call-overload, no-any-return]


def loading(tmp_path: Path) -> None:
    deadline = time.monotonic() + 60
    while not (tmp_path / "loads").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refused(done: Result, *words: str) -> None:
    lines = [line for line in done.stderr.splitlines() if line.startswith("kdumpwrap: ")]
    assert (done.status, len(lines)) == (1, 1), done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
