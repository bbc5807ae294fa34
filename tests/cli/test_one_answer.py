"""Where two parts answer one question: both are asked, and have to agree."""

import json
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from conftest import RunCli

from kdumpwrap import sources
from kdumpwrap.culprit import blame
from kdumpwrap.debuginfo import Search
from kdumpwrap.doctor import facts, toolchain
from kdumpwrap.doctor.examination import examine
from kdumpwrap.host import needs, packages
from kdumpwrap.host.tree import Host
from kdumpwrap.log import reader, strangers
from kdumpwrap.model.finding import Finding
from kdumpwrap.model.kernel import Resolution
from kdumpwrap.model.log import Report
from kdumpwrap.parse.crash_failure import Failure
from kdumpwrap.render.html import frames
from kdumpwrap.vmcore import causes
from kdumpwrap.vmcore.files import Subject
from kdumpwrap.vmcore.memory import Vmlinux

# what a CentOS 7 host leaves in its crash directory
OOPS = """\
[    0.000000] Linux version 3.10.0-1160.el7.x86_64 (mockbuild@kbuilder) (gcc version 4.8.5) #1 SMP
[  101.000000] BUG: unable to handle kernel NULL pointer dereference at           (null)
[  101.000001] IP: [<ffffffff8105a000>] sysrq_handle_crash+0x12/0x20
[  101.000002] Oops: 0002 [#1] SMP
[  101.000003] CPU: 0 PID: 1 Comm: bash Not tainted 3.10.0-1160.el7.x86_64 #1
[  101.000004] RIP: 0010:[<ffffffff8105a000>]  [<ffffffff8105a000>] sysrq_handle_crash+0x12/0x20
[  101.000005] Call Trace:
[  101.000006]  [<ffffffff8105b000>] __handle_sysrq+0xa2/0x170
"""


def host(root: Path, files: Dict[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def seen(root: Path, name: str) -> str:
    """What doctor has seen of one thing."""
    return next(check.seen for check in examine(root).checks if check.name == name)


# ---------------------------------------------------------------- where crashes lie


@pytest.mark.parametrize(
    ("files", "directories"),
    [
        ({}, "var/crash"),
        ({"etc/kdump.conf": "path /srv/el\n"}, "srv/el"),
        ({"etc/kdump.conf": "xfs UUID=1\npath /c\n", "etc/fstab": "UUID=1 /mnt/d xfs defaults 0 0\n"}, "mnt/d/c"),
        ({"etc/kdump.conf": 'dracut_args --mount "/dev/vdb1 /mnt/m xfs"\npath /c\n'}, "mnt/m/c"),
        ({"etc/default/kdump-tools": 'USE_KDUMP=1\nKDUMP_COREDIR="/srv/debian"\n'}, "srv/debian"),
        ({"etc/os-release": "ID=debian\n", "etc/default/kdump-tools": "USE_KDUMP=1\n"}, "var/crash"),
        ({"etc/sysconfig/kdump": 'KDUMP_SAVEDIR="file:///srv/suse"\n'}, "srv/suse"),
        ({"etc/os-release": "ID=sles\n", "etc/sysconfig/kdump": "KDUMP_SAVEDIR=/srv/suse\n"}, "srv/suse"),
        ({"etc/kdump.conf": "path /srv/el\n", "etc/sysconfig/kdump": 'KEXEC_ARGS="-s"\n'}, "srv/el"),
        ({"etc/kdump.conf": "path /srv/el\n", "etc/default/kdump-tools": "KDUMP_COREDIR=/srv/b\n"}, "srv/el srv/b"),
    ],
)
def test_doctor_list_analyze_and_batch_find_crashes_in_the_same_directories(
    files: Dict[str, str], directories: str, tmp_path: Path, run_cli: RunCli
) -> None:
    root = host(tmp_path, {"etc/hostname": "wan-gw1\n", **files})
    for number, directory in enumerate(directories.split()):
        host(root, {f"{directory}/127.0.0.1-2023-12-20-10:51:0{number}/vmcore-dmesg.txt": OOPS})
    crashes = [f"{root}/{one}/127.0.0.1-2023-12-20-10:51:0{at}" for at, one in enumerate(directories.split())]
    count = f"{len(crashes)} crash{'es' if len(crashes) > 1 else ''} under "
    assert seen(root, "permissions").startswith(count + ", ".join(f"/{one}" for one in directories.split()))
    listed = run_cli("list", "--root", root, "--raw")
    assert [line.split("\t")[5] for line in listed.stdout.splitlines()] == crashes
    analyzed = run_cli("analyze", "--root", root, "--json")
    assert json.loads(analyzed.stdout)["crash"]["path"] == crashes[-1]
    batch = run_cli("batch", "--root", root, "--raw")
    assert [line.split("\t")[8] for line in batch.stdout.splitlines()] == crashes


def test_a_crash_directory_that_links_out_of_the_root_is_looked_up_inside_it(tmp_path: Path, run_cli: RunCli) -> None:
    root = host(tmp_path / "image", {"etc/kdump.conf": "path /var/crash\n"})
    host(root, {"data/127.0.0.1-2023-12-20-10:51:07/vmcore-dmesg.txt": OOPS})
    (root / "var").mkdir()
    (root / "var/crash").symlink_to("/data")
    listed = run_cli("list", "--root", root, "--raw")
    assert listed.stdout.split("\t")[5].strip() == f"{root}/data/127.0.0.1-2023-12-20-10:51:07"
    assert seen(root, "permissions").startswith("1 crash under /var/crash")


def test_a_password_in_the_address_of_a_server_is_not_shown(tmp_path: Path, run_cli: RunCli) -> None:
    root = host(tmp_path, {"etc/sysconfig/kdump": "KDUMP_SAVEDIR=ssh://kdump:secret@server/srv/dumps\n"})
    listed = run_cli("list", "--root", root)
    assert "kdump@server:/srv/dumps: run kdumpwrap there" in listed.stderr and "secret" not in listed.stderr


# ---------------------------------------------------------------- where the sources are

RELEASES = {"el": "5.14.0-503.el9.x86_64", "debian": "6.1.0-47-amd64", "suse": "5.14.21-150400.24.100-default"}


@pytest.mark.parametrize(
    ("release", "tree", "found"),
    [
        (RELEASES["el"], "usr/src/debug/kernel-5.14.0-503.el9_5/linux-5.14.0-503.el9.x86_64", True),
        (RELEASES["el"] + "+debug", "usr/src/debug/kernel-5.14.0-503.el9/linux-5.14.0-503.el9.x86_64", True),
        (RELEASES["el"], "usr/src/debug/kernel-5.14.0-427.el9/linux-5.14.0-427.el9.x86_64", False),
        (RELEASES["el"], f"lib/modules/{RELEASES['el']}/source", True),
        ("6.18.0-rc3+", "lib/modules/6.18.0-rc3+/build", True),
        (RELEASES["debian"], "usr/src/linux-source-6.1", True),
        ("5.15.0-91-generic", "usr/src/linux-source-5.15.0", True),
        (RELEASES["suse"], "usr/src/linux-5.14.21-150400.24.100", True),
    ],
)
def test_doctor_sees_the_sources_that_analyze_shows(release: str, tree: str, found: bool, tmp_path: Path) -> None:
    root = host(tmp_path, {f"{tree}/init/main.c": "1\n2\n3\n", "proc/sys/kernel/osrelease": release, "usr/lib/x": ""})
    shown = sources.find("init/main.c", 2, release, Search(root))
    assert (shown is not None) == found
    assert seen(root, "sources").startswith(f"{release}: /{tree}" if found else f"{release}: kernel-debuginfo-common-")


@pytest.mark.parametrize(
    ("release", "files", "says"),
    [
        (RELEASES["debian"], ("usr/src/linux-source-6.1.tar.xz",), "/usr/src/linux-source-6.1.tar.xz is not unpacked"),
        (RELEASES["el"], (f"usr/src/kernels/{RELEASES['el']}/include/linux/kernel.h",), "is not installed"),
        (RELEASES["el"], (f"lib/modules/{RELEASES['el']}/build/Makefile",), "is not installed"),
    ],
)
def test_an_archive_or_headers_are_no_sources(release: str, files: List[str], says: str, tmp_path: Path) -> None:
    root = host(tmp_path, {**dict.fromkeys(files, "1\n"), "proc/sys/kernel/osrelease": release, "usr/lib/x": ""})
    assert sources.find("init/main.c", 1, release, Search(root)) is None
    assert says in seen(root, "sources")


# ---------------------------------------------------------------- which tool reads which kernel


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("4.18.0-553.el8_10.x86_64", None),
        ("5.10.0-28-amd64", "7.3.0"),
        ("5.14.0-503.el9.x86_64", "8.0.0"),
        ("5.17.0-1-generic", "8.0.1"),
        ("6.1.0-47-amd64", "8.0.3"),
        ("6.4.0-150600.23.22-default", "8.0.4"),
        ("6.12.0-55.el10.x86_64", "8.0.6"),
    ],
)
def test_doctor_and_crash_itself_name_the_same_version_of_crash(
    release: str, version: Optional[str], tmp_path: Path
) -> None:
    packages_ = "crash-7.2.3-1.el8.x86_64\nbinutils-2.40-1.el8.x86_64\n"
    os_release = "ID=centos\nVERSION_ID=8\n"
    root = host(tmp_path, {"sos_commands/x": "", "installed-rpms": packages_, "etc/os-release": os_release})
    check = next(one for one in toolchain.check(facts.read(Host(root)), (release,)) if one.name == "crash")
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\necho crash 7.2.3\n")
    crash.chmod(0o755)
    subject = Subject(str(crash), Path("vmlinux"), Path("vmcore"), release)
    told = causes.problem(Failure("too old", "no such member"), subject, Vmlinux(0, 0, 0), ()).message
    if version is None:
        assert check.status == "ok" and "which needs" not in told
    else:
        assert f"{release} needs {version} for " in check.seen
        assert f"which needs {version} or newer" in told


def test_doctor_and_the_hint_name_the_same_toolset(tmp_path: Path) -> None:
    for major, toolset in (("7", "devtoolset-11"), ("8", "gcc-toolset-13")):
        root = host(tmp_path / major, {"etc/os-release": f"ID=rocky\nID_LIKE=rhel\nVERSION_ID={major}.9\n"})
        host(root, {"usr/bin/addr2line": "", "usr/bin/nm": "", "usr/bin/objdump": ""})
        check = next(
            one
            for one in toolchain.check(facts.read(Host(root)), ("6.12.0-55.el10.x86_64",))
            if one.name == "addr2line"
        )
        assert f" install {toolset}-binutils" in check.fix[0].command
        assert f"/opt/rh/{toolset}/root/usr/bin/addr2line" in check.fix[1].command
        hint = packages.newer_binutils(root)
        assert f" install {toolset}-binutils;" in hint and f"/opt/rh/{toolset}/root/usr/bin/addr2line" in hint


def test_a_version_is_older_by_its_numbers() -> None:
    assert needs.older("7.2.9", "7.3.0") and needs.older("2.30-123.el8", "2.35") and needs.older("8.0.2++", "8.0.3")
    assert not needs.older("2.35.2-54.el9", "2.35") and not needs.older("8.0.10", "8.0.3")
    assert not needs.older("unknown", "2.35")


# ---------------------------------------------------------------- which module is out of tree


def report(flags: str, release: str) -> Report:
    text = OOPS.replace("3.10.0-1160.el7.x86_64", release).replace("/0x20\n", "/0x20 [wan]\n")
    listed = text.replace(
        "[#1] SMP\n[  101.000003]", f"[#1] SMP\n[  101.000002] Modules linked in: xfs wan({flags})\n[  101.000003]", 1
    )
    (found,) = reader.parse([listed.encode()]).reports
    assert [module.name for module in found.modules] == ["xfs", "wan"]
    return found


@pytest.mark.parametrize(
    ("flags", "release", "origin"),
    [
        ("O", "3.10.0-1160.el7.x86_64", "out of tree"),
        ("OE", "4.18.0-553.el8_10.x86_64", "out of tree"),
        ("POE", "5.14.0-503.el9.x86_64", "out of tree"),
        ("OE+", "6.12.0-55.el10.x86_64", "out of tree"),
        ("U", "2.6.32-754.el6.x86_64", "out of tree"),
        ("P", "2.6.32-754.el6.x86_64", "out of tree"),
        ("P", "4.18.0-553.el8_10.x86_64", "proprietary"),
        ("E", "6.18.0-rc3+", "unsigned"),
        ("E", "5.14.0-503.el9.x86_64", "unsigned"),
        ("-", "5.14.0-503.el9.x86_64", None),
    ],
)
def test_the_suspect_and_the_page_mean_the_same_by_out_of_tree(flags: str, release: str, origin: Optional[str]) -> None:
    found = report(flags, release)
    assert strangers.origins(found).get("wan") == origin
    resolution = Resolution.of(found)
    suspect, tag = blame.suspect(resolution), frames.tag(Finding(resolution), "wan")
    assert (suspect is not None and suspect.module == "wan") == (origin == strangers.OUT_OF_TREE)
    assert ("vendor" in tag) == (origin == strangers.OUT_OF_TREE)
    assert (f" · {origin}" in tag) == (origin is not None)
