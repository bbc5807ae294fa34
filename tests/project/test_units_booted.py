"""The systemd units under a systemd that was booted for them, in namespaces of its own over the host's files."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict

from conftest import environment
from test_package import SHARE, missing, once, tool, zipapp  # noqa: F401  # fixtures

from kdumpwrap.example import worked

SYSTEMD = "/usr/lib/systemd/systemd"
UNITS = "etc/systemd/system"

# Makes a root of the host's files below $1, with those of $2 over them, that writes in memory, and to $3 as /results.
# /proc/sys and /sys are read-only, as in systemd-nspawn: what would set up the host's kernel is left out by that.
BOOT = f"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -o ro -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for directory in run tmp dev; do mount -t tmpfs tmpfs $directory; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
while read -r name minor; do mknod -m 666 "dev/$name" c 1 "$minor"; done <<END
null 3
zero 5
full 7
random 8
urandom 9
END
rm -rf {UNITS} var/crash var/lib/kdumpwrap
cp -a "$2/." .
mkdir old results
mount --bind "$3" results
pivot_root . old
umount -l old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin {SYSTEMD} --unit=driver.service --log-target=journal
"""
# What happens on the host; "told": mails so far, "runs": starts of the service so far.
DRIVER = """#!/bin/bash
exec 2>/results/errors
told() { grep -c '^1 bug in ' /var/mails; }
runs() { journalctl -u kdumpwrap-batch.service -o cat | grep -c '^Starting '; }
result() { systemctl show -P Result kdumpwrap-batch.service; }
note() { echo "$1 told=$(told) runs=$(runs) result=$(result)" >>/results/notes; }
until_told() { for _ in {1..600}; do [ "$(told)" != "$1" ] || break; sleep 0.1; done; sleep 2; }
: >/var/mails
note quiet
mv /aside/one /var/crash/127.0.0.1-2023-12-20-10:51:07
until_told 1
note first
systemctl start kdumpwrap-batch.service
note again
mv /aside/two /var/crash/127.0.0.1-2023-12-21-10:51:07
until_told 2
note second
cp /var/mails /results/mails
journalctl -o cat -u kdumpwrap-batch.service -u kdumpwrap-batch.path >/results/journal
stat -c '%a %n' /var/crash/*/* >/results/files
kill -s RTMIN+4 1
"""


def stage(place: Path, program: Path) -> None:
    """The files that the host has beside its own."""
    scripts = SHARE.parent
    (place / UNITS / "kdumpwrap-batch.service.d").mkdir(parents=True)
    for unit in ("kdumpwrap-batch.service", "kdumpwrap-batch.path"):
        shutil.copy(str(scripts / unit), str(place / UNITS / unit))
    shutil.copy(str(scripts / "kdumpwrap-tell.conf"), str(place / UNITS / "kdumpwrap-batch.service.d/tell.conf"))
    (place / UNITS / "driver.service").write_text(
        "[Unit]\nRequires=kdumpwrap-batch.path\nAfter=kdumpwrap-batch.path multi-user.target\n"
        "[Service]\nType=oneshot\nExecStart=/driver\n"
    )
    for name, text in (("driver", DRIVER), ("usr/bin/mail", '#!/bin/sh\n{ echo "$@"; cat; } >>/var/mails\n')):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    shutil.copy(str(program), str(place / "usr/bin/kdumpwrap"))
    (place / "var/crash").mkdir(parents=True)
    (crash,) = (worked.root() / "var/crash").iterdir()
    for name in ("one", "two"):
        shutil.copytree(str(crash), str(place / "aside" / name))


def booted(place: Path) -> Dict[str, str]:
    """What the host left in /results; the test is skipped where this user may not make namespaces and mounts."""
    for directory in ("memory", "results"):
        (place / directory).mkdir()
    unshare = [tool("unshare"), "--mount", "--pid", "--fork", "--ipc", "--uts", "--net", "--cgroup", "--kill-child"]
    words = ["sh", "-c", BOOT, "boot", *(str(place / name) for name in ("memory", "stage", "results"))]
    done = subprocess.run(
        ["timeout", "-s", "KILL", "300", *unshare, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    files = {file.name: file.read_text() for file in (place / "results").iterdir()}
    if not files:
        missing(f"the right to boot systemd in namespaces ({done.stderr.decode('utf-8', 'replace').strip()[-200:]})")
    return files


def test_a_new_crash_is_told_once_by_the_units_and_the_drop_in(tmp_path: Path, zipapp: Path) -> None:  # noqa: F811
    if os.geteuid() or not Path(SYSTEMD).exists() or not Path("/usr/bin/python3").exists():
        missing("root, systemd and /usr/bin/python3")
    (tmp_path / "stage").mkdir()
    stage(tmp_path / "stage", zipapp)
    found = booted(tmp_path)
    assert found["notes"].splitlines() == [
        "quiet told=0 runs=0 result=success",
        "first told=1 runs=1 result=success",  # the lock that batch makes in the directory starts no second run
        "again told=1 runs=2 result=success",
        "second told=2 runs=3 result=success",
    ], found
    first, second = re.findall(r"^ +newest +(\S+)$", found["mails"], re.M)
    assert (first[-19:], second[-19:]) == ("2023-12-20-10:51:07", "2023-12-21-10:51:07")
    assert found["mails"].count("-s Kernel crash on ") == 2
    assert "no debuginfo for the module XxxWan" in found["journal"]
    answers = re.findall(r"^600 \S+/(\S+)/kdumpwrap\.(?:json|txt)$", found["files"], re.M)
    assert len(answers) == 4 and len(set(answers)) == 2
