"""What goes wrong while kdumpwrap fetches: one clear line each, nothing half, nothing outside the cache."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import packages_made as made
import pytest
from conftest import RunCli, ToolDir, environment
from doctor_runs import as_nobody
from fetch_hosts import Env, Host, host, loading, refused, slow, started
from packages_made import DEBIAN, EL, Kernel, Key

from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.fetch import stage
from kdumpwrap.host import fetched


def test_a_package_of_an_unknown_signer(run_cli: RunCli, tmp_path: Path, el: Kernel, rpms: Path) -> None:
    found = host(run_cli, tmp_path, el, made.dnf(tmp_path / "dnf", rpms, []))
    refused(found.fetch(), "is not taken", "NOKEY", "hint: rpm --import")
    assert found.kept == []


def test_a_package_that_nobody_signed(run_cli: RunCli, tmp_path: Path, el: Kernel, signer: Key) -> None:
    packages = made.rpms(el, tmp_path / "unsigned", None)
    made.run("createrepo_c", "-q", packages)
    found = host(run_cli, tmp_path, el, made.dnf(tmp_path / "dnf", packages, [signer]))
    refused(found.fetch(), "nobody has signed it")
    assert found.kept == []


@pytest.mark.parametrize("what", ["changed", "truncated"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_package_that_is_not_as_it_was(
    run_cli: RunCli, tmp_path: Path, el: Kernel, rpms: Path, signer: Key, what: str, when: str
) -> None:
    """``before``: its repository was made of the bad package; ``after``: it has the checksum of the good one."""
    packages = tmp_path / "bad"
    shutil.copytree(str(rpms), str(packages))
    victim = next(packages.glob("kernel-debuginfo-5*.rpm"))
    data = bytearray(victim.read_bytes())
    if what == "changed":
        data[-5000] ^= 1
    victim.write_bytes(data[:-5000] if what == "truncated" else data)
    if when == "before":
        made.run("createrepo_c", "-q", packages)
    found = host(run_cli, tmp_path, el, made.dnf(tmp_path / "dnf", packages, [signer]))
    refused(found.fetch())
    assert found.kept == []


def test_no_network(run_cli: RunCli, tmp_path: Path, el: Kernel, signer: Key) -> None:
    found = host(run_cli, tmp_path, el, made.dnf(tmp_path / "dnf", "http://127.0.0.1:1/", [signer]))
    refused(found.fetch(), "dnf failed")
    assert found.kept == []


def test_a_repository_without_it(centos: Host) -> None:
    release = "5.14.0-70.22.1.el9_0.x86_64"
    done = centos.fetch(release)
    refused(done, f"kernel-debuginfo-{release} is in no enabled repository", "the vault")
    again = f"kdumpwrap fetch --root {centos.root} {release}"
    assert f"hint: dnf config-manager --set-enabled baseos-debuginfo && {again}" in done.stderr
    assert centos.kept == []


def test_apt_without_it(bookworm: Host) -> None:
    refused(
        bookworm.fetch("6.1.0-1-amd64"), "linux-image-6.1.0-1-amd64-dbg is in no enabled repository", "apt-get update"
    )


def test_apt_takes_no_list_that_is_not_signed(
    run_cli: RunCli, tmp_path: Path, debian: Kernel, debs: Path, signer: Key
) -> None:
    packages = tmp_path / "unsigned"
    shutil.copytree(str(debs), str(packages))
    made.index(packages, None)
    found = host(run_cli, tmp_path, debian, made.apt(tmp_path, packages, signer))
    refused(found.fetch(), "apt-get failed")
    assert found.kept == []


def test_apt_takes_no_package_that_was_changed(
    run_cli: RunCli, tmp_path: Path, debian: Kernel, debs: Path, signer: Key
) -> None:
    packages = tmp_path / "changed"
    shutil.copytree(str(debs), str(packages))
    found = host(run_cli, tmp_path, debian, made.apt(tmp_path, packages, signer))
    victim = next(packages.glob("linux-image*.deb"))
    victim.write_bytes(victim.read_bytes()[:-1000])
    refused(found.fetch())
    assert found.kept == []


@pytest.mark.parametrize("which", ["centos", "bookworm"])
def test_a_full_disk(which: str, request: pytest.FixtureRequest) -> None:
    """No file may have more than 600 kB, as on a disk that is full then: of the vmlinux half would be there."""
    made.need("prlimit")
    found: Host = request.getfixturevalue(which)
    done = found.fetch(prefix=("prlimit", f"--fsize={600 << 10}"))
    refused(done)
    assert found.kept == []


def test_a_disk_that_is_too_small_is_said_before(tmp_path: Path) -> None:
    with pytest.raises(KdumpwrapError, match=r"MiB are needed, \d+ MiB are free"):
        stage.room(tmp_path, 1 << 50)


def test_killed_in_the_middle_nothing_is_left_for_the_next(centos: Host, tmp_path: Path) -> None:
    env, go = slow(centos, tmp_path, "dnf")
    with started(centos, env) as process:
        loading(tmp_path)
        process.kill()
        process.communicate()
    assert not list(centos.cache.glob("5*"))
    assert list(centos.cache.glob(".part-*"))
    go.touch()
    time.sleep(5)  # the dnf that was left behind ends: until then the directory is in use
    assert centos.fetch().status == 0
    assert not list(centos.cache.glob(".part-*"))
    assert len(centos.kept) == 3


def test_ctrl_c_leaves_nothing(centos: Host, tmp_path: Path) -> None:
    env, go = slow(centos, tmp_path, "dnf")
    with started(centos, env) as process:
        loading(tmp_path)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    go.touch()
    assert (process.returncode, "Traceback" in stderr) == (130, False)
    assert centos.kept == []
    assert not list(centos.cache.glob(".part-*"))


def test_two_at_once_load_it_once(centos: Host, tmp_path: Path) -> None:
    env, go = slow(centos, tmp_path, "dnf")
    with started(centos, env) as first:
        loading(tmp_path)
        with started(centos, env) as second:
            time.sleep(1)
            go.touch()
            said = [process.communicate(timeout=120)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert "all is here already" in said[1]
    assert (tmp_path / "loads").read_text().count("x") == 2  # the two packages
    assert len(centos.kept) == 3


@pytest.mark.parametrize("where", [".", EL, f"{EL}/BUILD", f"{EL}/BUILD/source", ".lock"])
def test_a_link_in_the_way(centos: Host, tmp_path: Path, where: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = centos.cache / where.replace("BUILD", centos.kernel.build_id)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere / "lock" if where == ".lock" else elsewhere)
    refused(centos.fetch(), "a link is in the way", str(link))
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("where", ["var", "var/cache"])
def test_a_link_out_of_an_image(centos: Host, tmp_path: Path, where: str) -> None:
    build = tmp_path / "elsewhere/cache/kdumpwrap" / EL / ("ab" * 20)
    build.mkdir(parents=True)
    (build / "vmlinux").write_text("of somebody else")
    link = tmp_path / "image" / where
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere" / ("cache" if where == "var/cache" else ""))
    env = {**centos.env, "XDG_CACHE_HOME": str(tmp_path / "image/var/cache")}  # of a user that is not root
    image = centos._replace(root=tmp_path / "image", env=env)
    refused(image.fetch(EL), "a link is in the way", str(link))
    for words in (["--list"], ["--prune", "--max-size", "0"]):
        done = image.fetch(*words)
        assert (done.status, done.stdout) == (0, ""), done.stderr
    assert list(fetched.builds(EL, image.root)) == []
    assert [path.name for path in build.parent.parent.iterdir()] == [EL]
    assert (build / "vmlinux").exists()


def test_a_root_that_is_not_there_is_not_made(centos: Host, tmp_path: Path) -> None:
    refused(centos._replace(root=tmp_path / "none/x").fetch(EL), f"{tmp_path}/none/x: no such directory")
    assert not (tmp_path / "none").exists()


def test_a_source_without_a_place_is_left_out(tmp_path: Path) -> None:
    def put(*names: str) -> Dict[str, Path]:
        files = {name: tmp_path / f"{number}" for number, name in enumerate(names)}
        for path in files.values():
            path.touch()
        return files

    top, long = tmp_path / "top", f"source/{'x' * 256}"
    target, left = stage.keep(put("vmlinux", "source/a", "source/a/b", long), top, EL, "ab" * 20)
    assert set(left) == {"source/a/b", long}
    assert sorted(path.name for path in target.rglob("*")) == ["a", "source", "vmlinux"]
    with pytest.raises(KdumpwrapError):
        stage.keep(put("vmlinux", f"modules/{'x' * 256}"), top, EL, "cd" * 20)
    assert [path.name for path in top.iterdir()] == [EL]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes a user without a line in passwd")
def test_a_user_without_a_home(open_dir: Path, el: Kernel) -> None:
    (open_dir / "crash").mkdir()
    (open_dir / "crash/vmcore-dmesg.txt").write_text(el.log)
    env = {"HOME": None, "XDG_CACHE_HOME": None}
    done = as_nobody("fetch", "--list", env=env, user=54321)
    refused(done, "no home to keep debuginfo in", "hint: XDG_CACHE_HOME=DIR kdumpwrap")
    for words in (["analyze", open_dir / "crash"], ["batch", open_dir], ["doctor"]):
        done = as_nobody(*map(str, words), env=env, user=54321)
        assert (done.status != 2, "Traceback" in done.stderr, done.stdout != "") == (True, False, True), done.stderr
    assert "no home to keep debuginfo in" in done.stdout


def test_nothing_is_pruned_while_another_one_fetches(centos: Host) -> None:
    build = centos.cache / EL / ("ab" * 20)
    build.mkdir(parents=True)
    (build / "vmlinux").write_bytes(b"x" * 10_000)
    argv = [sys.executable, "-m", "kdumpwrap", "fetch", "--root", str(centos.root), "--prune", "--max-size", "0"]
    with stage.locked(centos.cache, centos.root):
        process = subprocess.Popen(argv, env=environment(centos.env), stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert build.exists()
    assert (process.wait(60), build.exists()) == (0, False)


def test_names_that_lead_out_of_a_debian_package(run_cli: RunCli, tmp_path: Path, debian: Kernel, signer: Key) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    top = f"./usr/lib/debug/lib/modules/{DEBIAN}/kernel"
    entries = []
    for name in (
        f"../../../../../../../..{victim}/dm-fail.ko",
        f"{top}/../../../../../../../../../../../..{victim}/dm-fail.ko",
    ):
        entries.append(tarfile.TarInfo(name))
    link = tarfile.TarInfo(f"{top}/out")
    link.type, link.linkname = tarfile.SYMTYPE, str(victim)
    entries += [link, tarfile.TarInfo(f"{top}/out/dm-fail.ko")]
    packages = made.debs(debian, tmp_path / "evil", entries)
    made.index(packages, signer)
    found = host(run_cli, tmp_path, debian, made.apt(tmp_path, packages, signer))
    done = found.fetch()
    assert list(victim.iterdir()) == []
    assert done.status in (0, 1, 3) and "Traceback" not in done.stderr
    kept = found.cache / DEBIAN / debian.build_id
    for path in kept.rglob("*.ko") if kept.exists() else ():
        assert path.read_bytes() != b"evil" and not path.is_symlink()


def test_names_that_lead_out_of_an_rpm(centos: Host, tmp_path: Path) -> None:
    """rpmbuild makes no such package: the list and the archive of one are those of stand-ins."""
    victim, tree, tools = tmp_path / "victim", tmp_path / "evil", tmp_path / "tools"
    for directory in (victim, tree, tools):
        directory.mkdir()
    top = f"usr/lib/debug/lib/modules/{EL}"
    (tree / top).mkdir(parents=True)
    (tree / top / "vmlinux").symlink_to(victim / "vmlinux")
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        input=f"./{top}/vmlinux\n".encode(),
        stdout=subprocess.PIPE,
        cwd=str(tree),
        check=True,
    ).stdout
    (tree / "cpio").write_bytes(archive)
    real = shutil.which("rpm")
    listing = (
        f"-rw-r--r--|4|/{top}/vmlinux\\n-rw-r--r--|4|/{top}/kernel/../../../../../../../..{victim}/dm-fail.ko.debug\\n"
    )
    (tools / "rpm").write_text(f"#!/bin/sh\ncase $1 in -qp) printf '%b' '{listing}' ;; *) exec {real} \"$@\" ;; esac\n")
    (tools / "rpm2cpio").write_text(f"#!/bin/sh\nexec cat {tree}/cpio\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    refused(centos.fetch(env={"PATH": f"{tools}{os.pathsep}{centos.env['PATH']}"}), "did not come out whole")
    assert (list(victim.iterdir()), centos.kept) == ([], [])


def test_names_of_sources_are_no_options_of_tar() -> None:
    from kdumpwrap.tools import packaged

    assert packaged.tails("net/x\n--checkpoint-action=exec=sh\n/a.c") == []
    assert packaged.tails("/a/../../net/core/dev.c") == ["net/core/dev.c", "core/dev.c"]


# ---------------------------------------------------------------- disks that are full


class Disk(NamedTuple):
    """A file system of ``size`` at ``place``, of one process and its children alone; ``left``: what lay on it after."""

    place: Path
    size: str
    left: Path

    @property
    def prefix(self) -> Tuple[str, ...]:
        made.need("unshare", "mount")
        alone = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-r", "-m")
        if subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
            made.lacking("the right to mount in a namespace of its own (unshare -m)")
        self.place.mkdir(parents=True, exist_ok=True)
        script = (
            'mount -t tmpfs -o "size=$1" none "$2"; cd "$2"; left=$3; status=0; shift 3; "$@" || status=$?; '
            'find . ! -type d ! -name .lock ! -name .filler >"$left"; exit $status'
        )
        return (*alone, "sh", "-e", "-c", script, "sh", self.size, str(self.place), str(self.left))


def filling(tool_dir: ToolDir, found: Host, tool: str, when: str) -> Env:
    """``tool`` that finds the disk full when it is called with the word ``when``: something else wrote there."""
    path = found.env.get("PATH") or os.environ["PATH"]
    real = shutil.which(tool, path=path)
    fill = f"cat /dev/zero >{found.cache}/.filler 2>/dev/null"
    tool_dir.fake(tool, f'case " $* " in *"{when}"*) {fill} ;; esac\nexec {real} "$@"')
    return {"PATH": f"{tool_dir.path}{os.pathsep}{path}"}


@pytest.mark.parametrize(
    ("which", "tool", "when"),
    [
        ("centos", "dnf", " download "),
        ("centos", "cpio", " -i "),
        ("bookworm", "apt-get", " -q download "),
        ("bookworm", "tar", " -x "),
    ],
)
def test_a_disk_that_others_fill_meanwhile(
    which: str, tool: str, when: str, request: pytest.FixtureRequest, tool_dir: ToolDir, tmp_path: Path
) -> None:
    found: Host = request.getfixturevalue(which)
    disk = Disk(found.cache, "100M", tmp_path / "left")
    done = found.fetch(env=filling(tool_dir, found, tool, when), prefix=disk.prefix)
    refused(done, "No space left")
    assert disk.left.read_text() == ""


@pytest.mark.parametrize("which", ["centos", "bookworm"])
def test_a_small_disk_is_left_as_it_is(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    found: Host = request.getfixturevalue(which)
    disk = Disk(found.cache, "32M", tmp_path / "left")
    refused(found.fetch(prefix=disk.prefix), "MiB are needed", "32 MiB are free")
    assert disk.left.read_text() == ""


@pytest.mark.parametrize("which", ["centos", "bookworm"])
def test_a_full_disk_for_temporary_files_is_not_needed(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    found: Host = request.getfixturevalue(which)
    disk = Disk(tmp_path / "tmp", "4k", tmp_path / "left")
    done = found.fetch(env={"TMPDIR": str(disk.place)}, prefix=disk.prefix)
    assert (done.status, done.stderr) == (0, "")
    assert (len(found.kept), disk.left.read_text()) == (3, "")
