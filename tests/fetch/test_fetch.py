"""kdumpwrap fetch: with real dnf, rpm, apt and debuginfod from repositories made here."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Dict, List, Optional

import packages_made as made
import pytest
import yum_utils
from conftest import RunCli, ToolDir
from fetch_hosts import Host, host, refused
from packages_made import DEBIAN, EL, FILE, Kernel, Key
from processes import ran

from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.fetch import means, stage, story
from kdumpwrap.fetch import order as orders
from kdumpwrap.fetch.order import Order
from kdumpwrap.host import fetched


def test_from_centos_packages_the_crash_gets_what_its_trace_names(centos: Host) -> None:
    done = centos.fetch()
    assert (done.status, done.stderr) == (0, "")
    top = f"{EL}/{centos.kernel.build_id}"
    assert centos.kept == [f"{top}/modules/kernel/net/dm-fail.ko.debug", f"{top}/source/{FILE}", f"{top}/vmlinux"]
    assert str(centos.cache / top / "vmlinux") in done.stdout
    for path in centos.cache.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o600 if path.name == ".lock" else 0o644)
    answer = centos.run_cli("analyze", "--root", centos.root, "--json", env=centos.env)
    assert answer.status == 0, answer.stderr
    report = json.loads(answer.stdout)["reports"][0]
    assert report["ip"]["locations"][0]["file"].endswith(FILE)
    assert "int dev_fail(int *value)" in report["source"]["lines"]
    assert report["trace"][0]["locations"][0]["function"] == "dev_fail"
    batch = centos.run_cli("batch", "--root", centos.root, "--raw", env=centos.env)
    assert (batch.status, f"{FILE}:" in batch.stdout) == (0, True)
    again = centos.fetch()
    assert (again.status, again.stdout) == (0, "")
    assert "all is here already" in again.stderr


def test_from_debian_packages_too(bookworm: Host) -> None:
    done = bookworm.fetch("--raw", bookworm.crash)
    assert (done.status, done.stderr) == (0, "")
    top = f"{DEBIAN}/{bookworm.kernel.build_id}"
    assert bookworm.kept == [f"{top}/modules/kernel/net/dm-fail.ko", f"{top}/source/{FILE}", f"{top}/vmlinux"]
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[:3] == [
        ["release", DEBIAN],
        ["build_id", bookworm.kernel.build_id],
        ["directory", str(bookworm.cache / top)],
    ]
    assert [row[:3] for row in rows[3:]] == [
        ["file", kind, str(bookworm.cache / top / name)]
        for kind, name in (
            ("vmlinux", "vmlinux"),
            ("module", "modules/kernel/net/dm-fail.ko"),
            ("source", f"source/{FILE}"),
        )
    ]


def takes(build: Path) -> int:
    """Bytes on the disk that ``build`` takes beyond those of its vmlinux and modules."""
    rest = [build / "vmlinux", *(build / "modules").rglob("*.ko*")]
    return fetched.size(build) - sum(path.stat().st_blocks * 512 for path in rest if path.is_file())


@pytest.mark.parametrize("which", ["centos", "bookworm"])
def test_beyond_vmlinux_and_modules_a_crash_keeps_1_mb_at_most(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    found: Host = request.getfixturevalue(which)
    assert found.fetch().status == 0
    assert takes(found.cache / found.kernel.release / found.kernel.build_id) <= 1_000_000
    sources = {}
    for number in range(400):  # a trace names some forty
        sources[f"source/net/{number}/long/way/down/{number}.c"] = tmp_path / f"{number}.c"
        (tmp_path / f"{number}.c").write_bytes(b"x" * (5000 + 700 * number))
    chosen = means.within(sources)
    assert next(iter(sources)) in chosen  # those round the fault come first
    files = {**chosen, "vmlinux": tmp_path / "vmlinux"}
    (tmp_path / "vmlinux").write_bytes(b"x" * 100_000)
    target, _ = stage.keep(files, tmp_path / "top", EL, "ab" * 20)
    assert 500_000 < takes(target) <= 1_000_000


@pytest.mark.parametrize("which", ["centos", "bookworm"])
def test_where_the_vmlinux_is_here_the_sources_are_loaded_alone(which: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(which)
    assert found.fetch().status == 0
    top = found.cache / found.kernel.release / found.kernel.build_id
    debug = found.root / "usr/lib/debug/lib/modules" / found.kernel.release
    debug.mkdir(parents=True)
    (top / "vmlinux").rename(debug / "vmlinux")
    (top / "modules").rename(debug / "kernel")
    shutil.rmtree(found.cache)
    said = f"kdumpwrap: missing: the sources of 1 file; the vmlinux is here: {debug}/vmlinux\n"
    dry = found.fetch("--dry-run", "--raw", found.crash)
    assert (dry.status, dry.stderr) == (0, said)
    assert "debuginfo-common" in dry.stdout or "linux-source" in dry.stdout
    assert f"kernel-debuginfo-{EL}" not in dry.stdout and "-dbg" not in dry.stdout
    done = found.fetch()
    assert (done.status, done.stderr) == (0, said)
    assert found.kept == [f"{found.kernel.release}/{found.kernel.build_id}/source/{FILE}"]
    assert "all is here already" in found.fetch().stderr
    answer = found.run_cli("analyze", "--root", found.root, "--json", env=found.env)
    assert "int dev_fail(int *value)" in json.loads(answer.stdout)["reports"][0]["source"]["lines"]


def test_a_release_brings_its_vmlinux_and_all_its_modules_when_asked(centos: Host) -> None:
    assert centos.fetch(EL).status == 0
    assert centos.kept == [f"{EL}/{centos.kernel.build_id}/vmlinux"]
    assert centos.fetch(EL, "--all").status == 0
    names = [name.rpartition("/")[2] for name in centos.kept]
    assert names == ["dm-fail.ko.debug", "other.ko.debug", "vmlinux"]


def test_analyze_fetches_when_asked_and_says_how_when_not(centos: Host) -> None:
    without = centos.run_cli("analyze", "--root", centos.root, env=centos.env)
    assert without.status == 3
    assert without.stderr.splitlines()[-1] == f"hint: kdumpwrap fetch --root {centos.root} {centos.crash}"
    assert not centos.cache.exists()
    fetching = centos.run_cli("analyze", "--fetch", "--root", centos.root, env=centos.env)
    assert (fetching.status, fetching.stderr) == (0, "")
    assert FILE in fetching.stdout


@pytest.mark.parametrize(
    "release",
    [
        "3.10.0-1160.el7.x86_64",
        "4.18.0-553.el8_10.x86_64",
        "5.14.0-503.el9.x86_64",
        "6.12.0-124.56.1.el10_1.x86_64",
        "6.1.0-47-amd64",
    ],
)
def test_without_debuginfo_the_last_line_is_the_command_that_brings_it(
    run_cli: RunCli, tmp_path: Path, release: str
) -> None:
    crash = tmp_path / "var/crash/127.0.0.1-2024-01-31-10:00:00"
    crash.mkdir(parents=True)
    (crash / "vmcore-dmesg.txt").write_text(made.log(release, 0x20))
    command = f"kdumpwrap fetch --root {tmp_path}"
    for target, what in ((str(crash), str(crash)), ("-", release)):
        done = run_cli("analyze", "--root", tmp_path, target, stdin=made.log(release, 0x20))
        assert (done.status, done.stderr.splitlines()[-1]) == (3, f"hint: {command} {what}")


def test_a_dry_run_shows_commands_and_sizes_and_does_nothing(centos: Host) -> None:
    done = centos.fetch("--dry-run", "--json", centos.crash)
    assert done.status == 0, done.stderr
    steps = json.loads(done.stdout)["commands"]
    loads = [step for step in steps if step["bytes"]]
    assert [step["command"].rpartition(" ")[2] for step in loads] == [
        f"kernel-debuginfo-{EL}",
        "kernel-debuginfo-common-x86_64-5.14.0-503.el9",
    ]
    assert loads[0]["bytes"] > 1 << 20
    assert [step["command"].split()[0] for step in steps] == ["dnf", "rpm", "rpm2cpio"] * 2
    assert not centos.cache.exists()


def test_what_is_kept_is_listed_and_the_longest_unused_is_pruned_first(centos: Host, tmp_path: Path) -> None:
    def build(release: str, build_id: str, used: float) -> Path:
        directory = centos.cache / release / build_id
        directory.mkdir(parents=True)
        (directory / "vmlinux").write_bytes(b"x" * 100_000)
        os.utime(directory / "vmlinux", (used, used))
        return directory

    old = build("5.14.0-1.el9.x86_64", "aa" * 20, 1e9)
    new = build("5.14.0-2.el9.x86_64", "bb" * 20, 1.5e9)
    (centos.cache / "lab/root").mkdir(parents=True)  # somebody else's
    (centos.cache / "6.1.0-99-amd64").symlink_to(tmp_path)
    listed = centos.fetch("--list", "--raw")
    assert [row.split("\t")[4] for row in listed.stdout.splitlines()] == [str(old), str(new)]
    assert centos.fetch("--prune", "--max-size", "150K", "--raw").stdout.split("\t")[4].strip() == str(old)
    assert new.is_dir() and not old.parent.exists()
    assert centos.fetch("--prune", "--max-size", "0").status == 0
    assert sorted(path.name for path in centos.cache.iterdir()) == [".lock", "6.1.0-99-amd64", "lab"]


@pytest.mark.parametrize(
    "words", [["--list", "--prune"], ["--list", "x"], ["--prune", "--max-size", "much"], ["--raw", "--json"]]
)
def test_wrong_usage(run_cli: RunCli, words: List[str], tmp_path: Path) -> None:
    assert run_cli("fetch", "--root", tmp_path, *words).status == 2


def test_the_readmes_examples_run(centos: Host, tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent.parent / "README.md").read_text()
    examples = re.findall(r"^\$ (kdumpwrap [^#\n]*\bfetch\b[^#\n]*)", text, re.M)
    assert len(examples) > 3
    assert centos.run_cli("pack", centos.crash, "-o", tmp_path / "crash.json").status == 0
    env = {**centos.env, "KDUMPWRAP_ROOT": str(centos.root)}
    for example in examples:
        done = centos.run_cli(*example.split()[1:], env=env, cwd=tmp_path)
        assert (done.status, "Traceback" in done.stderr) == (0, False), example
    assert len(centos.kept) == 3


# ---------------------------------------------------------------- other means


def test_debuginfod_comes_first(tmp_path: Path, el: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_debuginfod import serving

    made.need("debuginfod", "debuginfod-find")
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(str(el.tree / f"usr/lib/debug/lib/modules/{EL}/vmlinux"), str(served / "vmlinux"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "var/cache"))
    with serving(served, 1) as url:
        monkeypatch.setenv("DEBUGINFOD_URLS", url)
        found = story.fetch(Order(EL, build_id=el.build_id), Search(tmp_path))
    assert [file.path for file in found.files] == [tmp_path / f"var/cache/kdumpwrap/{EL}/{el.build_id}/vmlinux"]
    assert found.files[0].path.read_bytes() == (served / "vmlinux").read_bytes()


def sending(tool_dir: ToolDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sent: Path) -> None:
    """A debuginfod-find that has ``sent`` for every build id."""
    tool_dir.fake("debuginfod-find", f'f=$DEBUGINFOD_CACHE_PATH/$2; cp {sent} "$f"; echo "$f"')
    monkeypatch.setenv("PATH", f"{tool_dir.path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "var/cache"))


def test_what_debuginfod_sends_is_kept_when_it_is_that_build_alone(
    tmp_path: Path, tool_dir: ToolDir, el: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("for root alone\n" * 10)
    sending(tool_dir, monkeypatch, tmp_path, secret)
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/")
    order, search = Order("6.18.0-rc3+", build_id="ab" * 20), Search(tmp_path)
    with pytest.raises(KdumpwrapError, match="it has none, or is no ELF file"):
        story.fetch(order, search)
    shutil.copy(str(el.tree / f"usr/lib/debug/lib/modules/{EL}/vmlinux"), str(secret))
    with pytest.raises(KdumpwrapError, match=f"it has build id {el.build_id}"):
        story.fetch(order, search)
    assert [path.name for path in (tmp_path / "var/cache/kdumpwrap").iterdir()] == [".lock"]
    kept = story.fetch(order._replace(build_id=el.build_id, modules=(("m", "cd" * 20),)), search)
    assert [file.kind for file in kept.files] == ["vmlinux"]
    assert [problem.message for problem in kept.problems] == ["the module m is not among the kernel's own"]


def test_an_image_names_no_servers(
    tmp_path: Path, tool_dir: ToolDir, el: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmlinux = el.tree / f"usr/lib/debug/lib/modules/{EL}/vmlinux"
    sending(tool_dir, monkeypatch, tmp_path, vmlinux)
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    (tmp_path / "etc/debuginfod").mkdir(parents=True)
    (tmp_path / "etc/debuginfod/a.urls").write_text("http://127.0.0.1:1/\n")
    for dry in (True, False):
        with pytest.raises(KdumpwrapError):
            story.fetch(Order("6.18.0-rc3+", build_id=el.build_id), Search(tmp_path), dry=dry)
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/")
    assert story.fetch(Order("6.18.0-rc3+", build_id=el.build_id), Search(tmp_path)).files


def test_a_vmlinux_of_another_build_does_not_count(tmp_path: Path, el: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "var/cache"))
    kept = tmp_path / f"var/cache/kdumpwrap/{EL}"
    vmlinux = el.tree / f"usr/lib/debug/lib/modules/{EL}/vmlinux"
    for name in (el.build_id, "ab" * 20):
        (kept / name).mkdir(parents=True)
        os.utime(str(kept / name), (1e9, 1e9))
    shutil.copy(str(vmlinux), str(kept / el.build_id / "vmlinux"))

    def found(build_id: Optional[str]) -> Optional[Path]:
        return orders.refreshed(Order(EL, build_id=build_id, vmlinux=vmlinux), Search(tmp_path)).vmlinux

    mine = kept / el.build_id / "vmlinux"
    assert [found(build_id) for build_id in (None, el.build_id, "ab" * 20)] == [mine, mine, None]
    installed = tmp_path / f"usr/lib/debug/lib/modules/{EL}/vmlinux"
    installed.parent.mkdir(parents=True)
    shutil.copy(str(vmlinux), str(installed))
    shutil.copy(str(vmlinux), str(kept / ("ab" * 20) / "vmlinux"))
    assert found("ab" * 20) == kept / ("ab" * 20) / "vmlinux"
    assert found("cd" * 20) is None
    (kept / el.build_id / "modules").mkdir()
    (kept / el.build_id / "modules/dm-fail.ko.debug").touch()
    order = Order(EL, build_id=el.build_id, modules=(("dm_fail", None),))
    assert orders.refreshed(order, Search(tmp_path)).modules == ()
    assert orders.refreshed(order._replace(build_id="cd" * 20), Search(tmp_path)).modules == order.modules


def test_yumdownloader_that_is_dnfs(run_cli: RunCli, tmp_path: Path, el: Kernel, rpms: Path, signer: Key) -> None:
    """yum-utils that redirect to dnf: real programs, of whose names and options those of el7 are the model."""
    utils = Path("/usr/libexec/dnf-utils-3")
    if not utils.exists():
        made.lacking("yum-utils that redirect to dnf")
    env = made.dnf(tmp_path / "dnf", rpms, [signer])
    tools, redirecting = tmp_path / "alone", tmp_path / "redirecting"
    tools.mkdir()
    redirecting.mkdir()
    for name in ("yumdownloader", "repoquery"):
        (redirecting / name).symlink_to(utils)
        (tools / name).write_text(
            f'#!/bin/sh\nexec {redirecting}/{name} -c {tmp_path}/dnf/dnf.conf --releasever=9 "$@"\n'
        )
        (tools / name).chmod(0o755)
    for name in ("rpm", "rpm2cpio", "cpio", "sh", "nm", "objdump", "readelf", "addr2line", "python3", "env"):
        made.need(name)
        (tools / name).symlink_to(shutil.which(name) or "")
    found = host(run_cli, tmp_path, el, {**env, "PATH": str(tools)})
    rows = [row.split("\t") for row in found.fetch("--dry-run", "--raw", found.crash).stdout.splitlines()]
    loads = [row for row in rows if row[0] == "command" and row[2]]
    assert [row[1].split()[0] for row in loads] == ["yumdownloader"] * 2
    assert [int(row[2]) for row in loads] == [
        next(rpms.glob(pattern)).stat().st_size for pattern in ("kernel-debuginfo-5*", "kernel-debuginfo-common-*")
    ]
    done = found.fetch()
    assert (done.status, done.stderr) == (0, "")
    assert len(found.kept) == 3


@pytest.fixture
def el7(run_cli: RunCli, tmp_path: Path, el: Kernel, rpms: Path, signer: Key) -> Host:
    """A host with yum-utils 1.1.31 (a fake: see yum_utils), and no dnf."""
    env = made.dnf(tmp_path / "dnf", rpms, [signer])
    tools = tmp_path / "alone"
    tools.mkdir()
    yum_utils.install(tools, rpms)
    for name in ("rpm", "rpm2cpio", "cpio", "sh", "nm", "objdump", "readelf", "addr2line"):
        made.need(name)
        (tools / name).symlink_to(shutil.which(name) or "")
    return host(run_cli, tmp_path, el, {**env, "PATH": str(tools)})


def test_yumdownloader_of_el7(el7: Host) -> None:
    done = el7.fetch()
    assert (done.status, done.stderr) == (0, "")
    assert len(el7.kept) == 3


def test_what_yumdownloader_did_not_bring_is_told_in_its_words(el7: Host, tmp_path: Path) -> None:
    """It ends with status 0 all the same."""
    (tmp_path / "alone/gone").touch()
    refused(
        el7.fetch(),
        "yumdownloader ended well and brought no",
        "Could not download/verify pkg",
        "No more mirrors to try",
    )
    assert el7.kept == []
    (tmp_path / "alone/unreachable").touch()
    refused(el7.fetch(), "repoquery failed", "Cannot retrieve repository metadata")


def test_a_release_that_no_repository_of_el7_has(el7: Host) -> None:
    refused(el7.fetch("3.10.0-1160.el7.x86_64"), "is in no enabled repository", "yum-config-manager --enable")


def test_yumdownloader_takes_another_machine_by_its_own_option(el7: Host) -> None:
    refused(el7.fetch("3.10.0-1160.el7.ppc64le"), "is in no enabled repository")


def test_the_options_of_yumdownloader_are_those_of_el7(tmp_path: Path, rpms: Path) -> None:
    yum_utils.install(tmp_path, rpms)
    done = ran([tmp_path / "yumdownloader", "--forcearch=ppc64le", "x"])
    assert (done.returncode, "no such option: --forcearch" in done.stderr) == (2, True)
    done = ran([tmp_path / "yumdownloader", "-q", "x"])
    assert (done.returncode, done.stderr) == (0, "No Match for argument x\nNothing to download\n")


def test_without_any_means(centos: Host, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    env = {"PATH": str(tmp_path / "empty")}
    refused(centos.fetch(env=env), "neither dnf nor yumdownloader is here")
    refused(centos.fetch("6.1.0-47-amd64", env=env), "no apt-get is here")
    refused(centos.fetch("5.14.21-150400.24.100-default", env=env), "SUSE's kernels come by debuginfod alone")
    refused(centos.fetch("6.18.0-rc3+", env=env), "its vmlinux is where it was built")


@pytest.mark.parametrize(
    ("release", "os_release", "command"),
    [
        ("3.10.0-1160.el7.x86_64", "centos 7", "yum-config-manager --enable base-debuginfo"),
        ("4.18.0-553.el8.x86_64", "centos 8", "dnf config-manager --set-enabled debuginfo"),
        ("5.14.0-503.el9.x86_64", "centos 9", "dnf config-manager --set-enabled baseos-debuginfo"),
        ("5.14.0-503.el9.x86_64", "almalinux 9.4", "dnf config-manager --set-enabled baseos-debuginfo"),
        ("5.14.0-503.el9.x86_64", "rocky 9.4", "dnf config-manager --set-enabled baseos-debug"),
        (
            "5.14.0-503.el9.aarch64",
            "rhel 9.4",
            "subscription-manager repos --enable=rhel-9-for-aarch64-baseos-debug-rpms",
        ),
        ("6.9.1-1.el9.elrepo.x86_64", "rocky 9.4", "dnf config-manager --set-enabled elrepo-kernel"),
        ("6.1.0-47-amd64", "debian 12", "apt-get update"),
        ("5.15.0-91-generic", "ubuntu 22.04", "ddebs.ubuntu.com"),
    ],
)
def test_the_repository_that_has_it_is_named(release: str, os_release: str, command: str) -> None:
    from kdumpwrap.host import distribution, repositories

    name, version = os_release.split()
    on = distribution.identify(f"ID={name}\nVERSION_ID={version}\n")
    assert command in repositories.enable(release, on)


def test_a_build_id_is_no_path(tmp_path: Path) -> None:
    outside = tmp_path / "var/cache/kdumpwrap" / EL
    for name in ("..", "x" * 40, "no-build-id", "ab" * 20):
        (outside / name).mkdir(parents=True, exist_ok=True)
    names: Dict[str, Path] = {path.name: path for path in fetched.builds(EL, tmp_path)} if os.geteuid() == 0 else {}
    assert set(names) in ({"no-build-id", "ab" * 20}, set())
    assert list(fetched.builds("../../etc", tmp_path)) == []
