"""Whatever is printed to be typed, by every command over a host on which every value is hostile, runs nothing of it."""

import html
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from conftest import RunCli

RUNS = ("$(touch RAN)", ";touch RAN;", "'`touch RAN`'", '"|touch RAN&"', "\ntouch RAN\n", "-x $(touch RAN)")
LOG = """\
[    0.000000] Linux version {release} (mockbuild@x) (gcc) #1 SMP
[    0.000000] Command line: root={word} crashkernel={word}
[  100.000000] BUG: unable to handle page fault for address: ffffb1c0c2345688
[  100.000003] CPU: 1 PID: 112 Comm: {word} Tainted: G           OE     {release} #1
[  100.000003] Hardware name: {word}
[  100.000004] RIP: 0010:{symbol}+0x10/0x41 [{module}]
[  100.000005] Call Trace:
[  100.000006]  {symbol}+0x20/0x41 [{module}]
[  100.000007] Modules linked in: {module}(OE)
[  100.000008] Kernel panic - not syncing: {word}
"""
CAPTURE = """\
[    1.000000] elfcorehdr=0x1000
[    2.000000] systemd[1]: Failed to mount {word}
[    2.100000] mount: /kdumproot: unknown filesystem type '{word}'.
[    2.200000] kdump[400]: saving to /kdumproot/var/crash/{word}
[    2.300000] kdump[401]: {word}: No space left on device
"""
FILES = {
    "etc/os-release": 'NAME="CentOS"\nID={family}\nVERSION_ID="9"\nPRETTY_NAME="CentOS {word}"\n',
    "etc/kdump.conf": "path /var/crash\next4 /dev/{word}\nssh root@{word}\nsshkey {word}\ncore_collector {word}\n"
    "extra_modules {word}\nkdump_pre {word}\nfailure_action {word}\n",
    "etc/sysconfig/kdump": 'KDUMP_COMMANDLINE_APPEND="{word}"\nKDUMP_SAVEDIR="{word}"\nKDUMP_BOOTDIR="{word}"\n',
    "etc/default/kdump-tools": 'USE_KDUMP={word}\nKDUMP_COREDIR="/var/crash"\nSSH="{word}"\nNFS="{word}"\n',
    "etc/default/grub": 'GRUB_CMDLINE_LINUX="crashkernel={word} {word}"\n',
    "etc/sysctl.d/{file}.conf": "kernel.panic_on_oops = {word}\n",
    "etc/debuginfod/{file}.urls": "https://{word}/\n",
    "etc/fstab": "/dev/{word} / ext4 defaults 0 0\n",
    "proc/cmdline": "BOOT_IMAGE={word} root={word} crashkernel={word}\n",
    "proc/version": "Linux version {release} (x) #1\n",
    "proc/sys/kernel/osrelease": "{release}\n",
    "proc/sys/kernel/core_pattern": "{word}\n",
    "proc/mounts": "/dev/{word} / {word} rw 0 0\n",
    "sys/kernel/kexec_crash_size": "{word}\n",
    "boot/loader/entries/{file}.conf": "title {word}\nversion {word}\noptions root={word} crashkernel={word}\n",
    "boot/vmlinuz-{file}": "{word}",
    "usr/lib/modules/{file}/extra/{file}.ko": "{word}",
    "var/crash/127.0.0.1-2024-01-01-10:00:00{file}/vmcore-dmesg.txt": LOG,
    "var/crash/127.0.0.1-2024-01-01-10:00:01/vmcore-dmesg.txt": LOG,
    "var/crash/127.0.0.1-2024-01-01-10:00:01/vmcore-incomplete": "KDUMP   ",
    "var/crash/127.0.0.1-2024-01-01-10:00:01/kexec-dmesg.log": CAPTURE,
    "var/crash/127.0.0.1-2024-01-01-10:00:02/{file}/vmcore.gz": "KDUMP   ",
    "var/crash/{file}/vmcore": "KDUMP   ",
    "{file}/vmcore-dmesg.txt": LOG,
}
COMMANDS = (
    ("doctor", "--json"),
    ("doctor", "--fix"),
    ("list",),
    ("analyze",),
    ("analyze", "--markdown"),
    ("analyze", "--html", "-"),
    ("analyze", "--with-crash", "NAMED"),
    ("annotate", "NAMED"),
    ("batch", "--save"),
    ("fetch", "--list"),
    ("fetch", "--dry-run", "NAMED"),
    ("pack", "-o", "-", "NAMED"),
    ("crash", "NAMED", "-c", "bt"),
    ("resolve", "--release", "WORD", "f+0x1"),
    ("disasm", "WORD+0x1"),
    ("merge", "NAMED/host"),
)
STUBS = """\
kdumpwrap sudo less gzip crash dnf yum apt apt-get zypper debuginfo-install makedumpfile install copy name rm dd grubby
systemctl kdumpctl dracut update-grub sed sysctl mkdir touch reboot kexec transactional-update mkdumprd grub2-mkconfig
yumdownloader rpm dpkg cp mv ln tee cat modprobe kdump-config update-initramfs ssh ssh-keygen mount df chmod zcat
"""


def host(top: Path, word: str, number: int) -> Path:
    """A host below ``top``, ``word`` in every value of its files; in every second one where a name is taken for one."""
    where = {"word": word, "file": word.replace("/", "_"), "family": ("centos", "debian", "sles")[number % 3]}
    where["release"] = word if number % 2 else "5.14.0-503.el9.x86_64"
    where["symbol"], where["module"] = (word, "evil") if number % 2 else ("f", word)
    for name, text in FILES.items():
        path = Path(os.fspath(top) + "/" + name.format(**where))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**where))
    record = {"schema": "kdumpwrap/1", "crash": {"path": f"/{word}", "host": word, "time": word}, "reports": []}
    problems = {"problems": [{"message": word, "hint": word}], "kernel": {"release": word}}
    (top / where["file"] / "host").write_text(json.dumps({**record, **problems}) + "\n")
    return top / where["file"]


def typed(stdout: str, stderr: str, command: str) -> Iterator[str]:
    """All that a command prints to be typed."""
    yield from (line[len("hint: ") :] for line in stderr.splitlines() if line.startswith("hint: "))
    if "--fix" in command:
        yield stdout
    elif "--dry-run" in command:
        yield from (line.partition("B  ")[2] or line for line in stdout.splitlines())
    elif "--html" in command:
        yield from (
            html.unescape(re.sub("<[^>]*>", "", one)) for one in re.findall(r"<code>(.*?)</code>", stdout, re.S)
        )
    elif "--markdown" in command:
        yield from re.findall(r"^```\w*\n(.*?)^```", stdout, re.S | re.M)
    elif command.startswith("doctor"):
        yield from (fix["command"] or "" for check in json.loads(stdout)["checks"] for fix in check["fix"])


def pasted(lines: List[str], directory: Path) -> List[str]:
    """Those of ``lines`` after which a file RAN is there; each in a shell of its own, its programs harmless."""
    stubs = "PATH=/nonexistent\n" + "".join(f"{tool}() {{ :; }}\n" for tool in STUBS.split() if tool != "touch")
    found = []
    for line in dict.fromkeys(lines):
        (directory / "script").write_bytes(os.fsencode(f"{stubs}touch() {{ : >RAN; }}\n{line}\n"))
        argv = ["/bin/bash", "script"]
        subprocess.run(argv, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=20)
        if (directory / "RAN").exists():
            (directory / "RAN").unlink()
            found.append(line)
    return found


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_nothing_that_is_printed_to_be_typed_runs_what_a_file_says(
    number: int, tmp_path: Path, run_cli: RunCli
) -> None:
    word = RUNS[number]
    top, where = tmp_path / "root", tmp_path / "where"
    where.mkdir()
    named = host(top, word, number)
    seen: Dict[str, List[str]] = {}
    for command in COMMANDS:
        arguments = [one.replace("NAMED", str(named)).replace("WORD", word) for one in command]
        below = [] if command[0] == "merge" else ["--root", str(top)]
        done = run_cli(command[0], *below, *arguments[1:])
        assert not re.search("^Traceback", done.stderr, re.M), done.stderr
        assert done.status in (0, 1, 2, 3), done
        seen[" ".join(command)] = list(typed(done.stdout, done.stderr, " ".join(command)))
    assert sum(map(bool, seen.values())) > 9, seen
    assert pasted([f"echo {word} x"], where) or word.startswith(("'", '"')), "the trap works"
    for name, lines in seen.items():
        assert not pasted(lines, where), name
