"""Where two parts answer one question: both are asked, and have to agree."""

import json
from pathlib import Path
from typing import Dict

import pytest
from conftest import RunCli

from kdumpwrap.doctor.examination import examine

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
