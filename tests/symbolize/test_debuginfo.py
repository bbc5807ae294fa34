"""Where vmlinux, modules and sources are looked for."""

import json
import os
import shutil
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from conftest import Lab, RunCli
from doctor_runs import as_nobody

from kdumpwrap import debuginfo, sources
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.example import worked
from kdumpwrap.tools import binutils

REL = "4.18.0-305.3.1.el8.x86_64"


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "place",
    [
        f"usr/lib/debug/lib/modules/{REL}/vmlinux",
        f"usr/lib/debug/boot/vmlinux-{REL}",
        f"usr/lib/debug/lib/modules/{REL}/vmlinux.debug",
        f"lib/modules/{REL}/build/vmlinux",
        f"boot/vmlinux-{REL}",
    ],
)
def test_vmlinux_in_each_distribution(tmp_path: Path, place: str) -> None:
    path = touch(tmp_path / place)
    assert debuginfo.vmlinux(REL, Search(tmp_path)) == path


def test_centos_place_comes_first_and_what_the_user_names_before_it(tmp_path: Path) -> None:
    touch(tmp_path / f"boot/vmlinux-{REL}")
    centos = touch(tmp_path / f"usr/lib/debug/lib/modules/{REL}/vmlinux")
    assert debuginfo.vmlinux(REL, Search(tmp_path)) == centos
    named = touch(tmp_path / "mine")
    assert debuginfo.vmlinux(REL, Search(tmp_path, named)) == named


def test_vmlinux_beside_the_crash_is_the_last_resort(tmp_path: Path) -> None:
    beside = touch(tmp_path / "crash/vmlinux")
    assert debuginfo.vmlinux(REL, Search(tmp_path), tmp_path / "crash") == beside


def test_another_release_never_stands_in(tmp_path: Path) -> None:
    touch(tmp_path / "usr/lib/debug/lib/modules/4.18.0-348.el8.x86_64/vmlinux")
    with pytest.raises(KdumpwrapError) as caught:
        debuginfo.vmlinux(REL, Search(tmp_path))
    assert caught.value.hint == f"dnf debuginfo-install kernel-{REL}"


@pytest.mark.parametrize("release", [None, "", "../../etc"])
def test_a_release_that_is_none_is_told(tmp_path: Path, release: str) -> None:
    with pytest.raises(KdumpwrapError, match="does not tell"):
        debuginfo.vmlinux(release, Search(tmp_path))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("xxxwan", "extra/xxxwan.ko"),
        ("xxxwan", "updates/xxxwan.ko.xz"),
        ("xxxwan", "weak-updates/xxxwan.ko.debug"),
        ("xxxwan", "extra/xxxwan.debug.ko"),
        ("xxxwan", "extra/xxxwan.ko-1.4.2-1.el8.x86_64.debug"),
        ("dm_mod", "kernel/drivers/md/dm-mod.ko.xz"),
        ("dm-mod", "kernel/drivers/md/dm_mod.ko.zst"),
    ],
)
def test_module_names(tmp_path: Path, name: str, file: str) -> None:
    path = touch(tmp_path / f"lib/modules/{REL}" / file)
    touch(path.parent / f"not-{path.name}")
    assert debuginfo.modules([name], REL, Search(tmp_path)) == {name: (path,)}


def test_the_order_of_a_module_s_files(tmp_path: Path) -> None:
    given = touch(tmp_path / "vendor/xxxwan.ko")
    installed = touch(tmp_path / f"lib/modules/{REL}/extra/xxxwan.ko.xz")
    debug = touch(tmp_path / f"usr/lib/debug/lib/modules/{REL}/extra/xxxwan.ko.debug")
    search = Search(tmp_path, module_dirs=(tmp_path / "vendor",))
    assert debuginfo.modules(["xxxwan", "other"], REL, search) == {
        "xxxwan": (given, debug, installed),
        "other": (),
    }


TREE = "usr/src/debug/kernel-4.18.0-305.3.1.el8_4/linux-4.18.0-305.3.1.el8.x86_64"


def search_of(tmp_path: Path) -> Tuple[Path, Search]:
    path = touch(tmp_path / TREE / "net/ipv4/ip_output.c", "".join(f"line {n}\n" for n in range(1, 101)))
    return path, Search(tmp_path)


@pytest.mark.parametrize("release", [REL, REL + "+debug"])
@pytest.mark.parametrize("file", [f"/{TREE}/net/ipv4/ip_output.c", "debian/build/build_amd64/net/ipv4/ip_output.c"])
def test_source_in_the_tree_that_flavours_share(tmp_path: Path, release: str, file: str) -> None:
    path, search = search_of(tmp_path)
    found = sources.find(file, 50, release, search, context=2)
    assert found is not None
    assert (found.path, found.first, found.fault_line) == (path, 48, 50)
    assert found.lines == ("line 48", "line 49", "line 50", "line 51", "line 52")


def test_the_longest_tail_wins(tmp_path: Path) -> None:
    short = touch(tmp_path / "src/main.c", "short\n")
    long = touch(tmp_path / "src/drivers/wan/main.c", "long\n")
    search = Search(tmp_path, source_dirs=(tmp_path / "src",))
    for file, path in (("/build/drivers/wan/main.c", long), ("/build/other/main.c", short)):
        found = sources.find(file, 1, REL, search)
        assert found is not None and found.path == path


def test_a_bare_name_at_the_top_of_a_kernel_tree_is_another_file(tmp_path: Path) -> None:
    touch(tmp_path / TREE / "main.c", "x\n")
    assert sources.find("/home/vendor/main.c", 1, REL, Search(tmp_path)) is None


@pytest.mark.parametrize("file", ["/etc/shadow", "../../../../etc/shadow", "passwd", "a.c/../../etc/group"])
def test_only_source_files_are_shown(tmp_path: Path, file: str) -> None:
    touch(tmp_path / "etc/shadow", "root:secret\n")
    touch(tmp_path / "etc/group", "root\n")
    assert sources.find(file, 1, REL, Search(tmp_path, source_dirs=(tmp_path,))) is None


def test_a_line_behind_the_end_is_another_file_s(tmp_path: Path) -> None:
    _, search = search_of(tmp_path)
    assert sources.find("net/ipv4/ip_output.c", 101, REL, search) is None


def test_why_a_module_is_not_taken_is_told(tmp_path: Path) -> None:
    beside = tmp_path / "crash"
    beside.mkdir()
    (tmp_path / "secret").touch()
    (beside / "XxxWan.ko").symlink_to(tmp_path / "secret")
    refused: Dict[str, List[str]] = {}
    assert debuginfo.modules(["XxxWan"], REL, Search(tmp_path), beside, refused) == {"XxxWan": ()}
    assert refused == {"XxxWan": [f"{beside}/XxxWan.ko: a link that leads out of its directory, to {tmp_path}/secret"]}


def test_a_module_directory_that_may_not_be_listed_is_told(open_dir: Path) -> None:
    root = shutil.copytree(worked.root(), open_dir / "root")
    closed = open_dir / "modules/closed"
    closed.parent.mkdir()
    closed.mkdir(0)
    crash = next(root.glob("var/crash/*"))
    done = as_nobody("analyze", "--root", str(root), "--module-dir", str(closed.parent), str(crash))
    assert f"no debuginfo for the module XxxWan ({closed}: not readable)" in done.stderr
    assert done.status == 3


def test_of_several_builds_that_which_crashed_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "var/cache"))  # of a user that is not root
    mine, newer, installed = (
        tmp_path / f"var/cache/kdumpwrap/{REL}" / ("aa" * 20),
        tmp_path / f"var/cache/kdumpwrap/{REL}" / ("bb" * 20),
        tmp_path / f"usr/lib/debug/lib/modules/{REL}",
    )

    def taken(build_id: str, asked: bool = True) -> List[Path]:
        def ask() -> str:
            assert asked, "nothing is to be chosen"
            return build_id

        search = Search(tmp_path, build_id=ask)
        module = debuginfo.modules(["xfs"], REL, search)["xfs"][0]
        source = sources.find("/build/fs/xfs.c", 1, REL, search)
        assert source is not None
        return [debuginfo.vmlinux(REL, search).parent, module.parent.parent, source.path.parents[2]]

    touch(mine / "vmlinux")
    touch(mine / "modules/xfs.ko")
    touch(mine / "source/fs/xfs.c", "x\n")
    assert taken("aa" * 20, asked=False) == [mine] * 3
    shutil.copytree(str(mine), str(newer))
    os.utime(str(mine), (1e9, 1e9))
    assert taken("aa" * 20) == [mine] * 3
    assert taken("bb" * 20) == taken("cc" * 20) == [newer] * 3
    shutil.rmtree(str(newer))
    touch(installed / "vmlinux")
    touch(installed / "kernel/xfs.ko")
    assert taken("aa" * 20) == [mine] * 3
    assert taken("cc" * 20) == [installed, installed, mine]


@pytest.mark.lab
def test_analyze_and_batch_take_the_build_that_the_vmcore_names(lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    crash = lab.crashes["null_deref"]
    kept = tmp_path / "var/cache/kdumpwrap" / lab.release
    elf = binutils.elf(binutils.toolset(None), lab.vmlinux)
    assert elf is not None
    mine = kept / str(elf.build_id) / "vmlinux"
    mine.parent.mkdir(parents=True)
    try:
        os.link(str(lab.vmlinux), str(mine))
    except OSError:  # on another disk
        shutil.copy(str(lab.vmlinux), str(mine))
    touch(kept / ("ab" * 20) / "vmlinux")
    os.utime(str(mine.parent), (1e9, 1e9))
    (tmp_path / "var/crash").mkdir(parents=True)
    shutil.copytree(str(crash), str(tmp_path / "var/crash" / crash.name))
    env = {"XDG_CACHE_HOME": str(tmp_path / "var/cache")}
    for command in ("analyze", "batch"):
        done = run_cli(command, "--json", "--root", tmp_path, env=env)
        assert json.loads(done.stdout)["kernel"]["vmlinux"] == str(mine), done.stderr


def test_a_closed_directory_ends_no_choice_between_builds(open_dir: Path) -> None:
    root = shutil.copytree(worked.root(), open_dir / "root")
    crash = next(root.glob("var/crash/*"))
    release = next(root.glob("usr/lib/debug/lib/modules/*")).name
    touch(open_dir / f"cache/kdumpwrap/{release}" / ("aa" * 20) / "vmlinux").chmod(0o644)
    for path in (open_dir / "cache").glob("**/"):
        path.chmod(0o755)
    (root / "usr/lib/debug").chmod(0o700)
    done = as_nobody("analyze", "--root", str(root), str(crash), env={"XDG_CACHE_HOME": str(open_dir / "cache")})
    assert (done.status, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "iptunnel_xmit" in done.stdout
