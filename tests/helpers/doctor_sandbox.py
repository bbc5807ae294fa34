"""Running a script of ``doctor --fix`` against a tree, with package managers, boot loaders and systemd faked.

The script runs in a mount namespace of its own: /etc, /boot and /var are the tree's, and the programs that would
change a host are tests/helpers/doctor_fakes.py under their names.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import pytest
from doctor_hosts import Tree
from processes import ran

FAKES = Path(__file__).with_name("doctor_fakes.py")
FAKED = (
    "yum dnf apt-get zypper debuginfo-install grubby grub2-mkconfig update-grub zipl kdumpctl kdumptool mkdumprd "
    "systemctl sysctl reboot tar"
).split()
HARMLESS = set("if then else fi set step echo printf grep head sed tr mkdir touch rm".split())

_ENTER = """\
set -eu
for directory in etc boot var; do
	[ ! -d "/$directory" ] || mount --bind "$TREE/$directory" "/$directory"
done
mount --bind "$TREE/proc/cmdline" /proc/cmdline
mount --bind "$TREE/proc/sys/kernel" /proc/sys/kernel
exec bash "$1"
"""


class Run(NamedTuple):
    """How a script ended, and which faked commands it ran."""

    status: int
    stdout: str
    stderr: str
    commands: Tuple[str, ...]


def run(script: str, tree: Tree, healthy: Tree) -> Run:
    """Run ``script`` with the tree's /etc, /boot and /var. ``healthy``: where packages take their files from."""
    _refuse_the_unknown(script)
    tools = tree.path.parent / "tools"
    if not tools.exists():
        tools.mkdir()
        for name in FAKED:
            (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {FAKES} {name} "$@"\n')
            (tools / name).chmod(0o755)
    log = tree.path.parent / "commands"
    log.write_text("")
    file = tree.path.parent / "fix.sh"
    file.write_text(script)
    env = {"PATH": f"{tools}:/usr/bin:/bin", "TREE": str(tree.path), "HEALTHY": str(healthy.path), "LOG": str(log)}
    done = ran([*namespace(), "sh", "-c", _ENTER, "enter", str(file)], env=env, timeout=60)
    return Run(done.returncode, done.stdout, done.stderr, tuple(log.read_text().splitlines()))


def namespace() -> List[str]:
    """What gives a command its own mounts; skips the test where that is not allowed."""
    command = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (util-linux)")
    if subprocess.run([*command, "true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False).returncode != 0:
        pytest.skip("needs a mount namespace, which this machine does not allow")
    if Path("/tmp").resolve().parts[1] in ("etc", "boot", "var"):
        pytest.skip("needs a /tmp outside /etc, /boot and /var")
    return command


def contents(tree: Tree) -> Dict[str, str]:
    """Every file of a tree and what it says; of a link, where it leads."""
    found: Dict[str, str] = {}
    for path in sorted(tree.path.rglob("*")):
        name = str(path.relative_to(tree.path))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(str(path))}"
        elif path.is_file():
            found[name] = path.read_text(errors="replace")
    return found


def _refuse_the_unknown(script: str) -> None:
    """Nothing but fakes and harmless programs may run: a real reboot would be the end of the test."""
    for line in re.sub(r"\$\((.*?)\)", r"\n\1\n", script).splitlines():
        if line.startswith("#"):
            continue
        try:
            words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        except ValueError:
            continue  # the rest of a line that $(…) was cut out of
        for word, before in zip(words, ["", *words]):
            starts = before in ("", ";", "&&", "||", "|", "if", "then", "else", "(")
            if starts and re.fullmatch(r"[a-z][a-z0-9.-]*", word):
                assert word in HARMLESS or word in FAKED, f"{word} is neither faked nor harmless: {line}"
