"""Against the kernel's decode_stacktrace.sh: what it decodes is decoded, and each difference is shown to be right.

scripts/compare-decode takes whole logs; here each cause of a difference has a line.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest
from conftest import Lab, RunCli
from processes import ran

pytestmark = pytest.mark.lab

SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts/compare-decode"
LINES = (
    r"RIP: \S+:iptunnel_xmit\+",  # inlined: three levels
    r"RIP: \S+:wan_spend\.constprop\.0\+.* \[xxxwan\]",  # in .text.unlikely, which 6.12 joins with .text
    r" hfunc_in4\+.* \[xxxwan\]",  # return addresses
    r" net_rx_action\+",
)


def namesake(vmlinux: Path) -> str:
    """A frame in the second of two functions of one name, which the log's size tells apart."""
    rows: Dict[str, List[int]] = {}
    text = subprocess.run(["nm", "-S", str(vmlinux)], check=True, stdout=subprocess.PIPE).stdout.decode()
    for size, name in re.findall(r"^\w+ (\w+) [tT] ([a-z]\w+)$", text, re.M):
        rows.setdefault(name, []).append(int(size, 16))
    name, sizes = next(
        (name, sizes)
        for name, sizes in sorted(rows.items())
        if len(sizes) == 2 and min(sizes) > 64 and sizes[0] != sizes[1]
    )
    return f"RIP: 0010:{name}+0x20/{sizes[1]:#x}"


def test_each_difference_from_the_script_is_right(lab: Lab, tmp_path: Path) -> None:
    logs = [(path / "vmcore-dmesg.txt").read_text("utf-8", "replace") for path in lab.crashes.values()]
    found = [re.search(rf"^.*{line}.*$", "\n".join(logs), re.M) for line in LINES]
    chosen = [match[0] for match in found if match is not None]
    assert len(chosen) == len(LINES)
    chosen.append(namesake(lab.vmlinux))
    log = tmp_path / "log"
    log.write_text("\n".join(chosen) + "\n")
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "xxxwan.ko").symlink_to(lab.module_dir / "xxxwan.debug.ko")
    script = lab.path / "source/scripts/decode_stacktrace.sh"
    argv = [sys.executable, str(SCRIPT), "--time", str(script), str(lab.vmlinux), str(modules), str(log)]
    done = ran(argv)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(chosen)} different places; the script decodes {len(chosen)}: " in done.stdout
    assert "the script alone 0, not shown to be right 0" in done.stdout
    times = r"^(one by one|in one run): annotate [\d.]+ s, the script [\d.]+ s, ([1-9]\d*) times as long$"
    assert [what for what, _ in re.findall(times, done.stdout, re.M)] == ["one by one", "in one run"], done.stdout
    causes = set(re.findall(r"^(calls|sections|namesakes): ", done.stdout, re.M))
    sections = subprocess.run(["objdump", "-h", modules / "xxxwan.ko"], check=True, stdout=subprocess.PIPE).stdout
    assert causes == {"calls", "namesakes"} | ({"sections"} if b".text.unlikely" in sections else set()), done.stdout


def test_annotate_says_the_marked_lines(lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    """The faults and calls that the module's source marks, each crash's own, in front of what called them."""
    rows: List[str] = []
    for case, path in lab.crashes.items():
        text = (path / "vmcore-dmesg.txt").read_text("utf-8", "replace")
        rows += [
            f"=== {case}",
            *(line for line in text.splitlines() if line.endswith("[xxxwan]") and " ? " not in line),
        ]
    log = tmp_path / "log"
    log.write_text("\n".join(rows) + "\n")
    found = run_cli(
        "annotate", str(log), "--no-variables", "--vmlinux", str(lab.vmlinux), "--module-dir", str(lab.module_dir)
    )
    seen = 0
    parts = re.split(r"^=== (\w+)\n", found.stdout, flags=re.M)
    for case, text in zip(parts[1::2], parts[2::2]):
        said = {int(line) for line in re.findall(r"xxxwan\.c:(\d+)\)", text)}
        for mark, line in lab.marks.items():
            kind, _, of = mark.partition(":")
            if of == case and kind != "FAULT2":
                assert said & {line, lab.marks.get(f"{kind}2:{case}" if kind == "FAULT" else mark)}, (case, mark, text)
                seen += 1
    assert seen > 15
