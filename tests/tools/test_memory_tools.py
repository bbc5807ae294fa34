"""Where memory is scarce, nm, objdump and addr2line run one after the other: each holds up to 300 MB for a vmlinux."""

import json
import re
import shutil
from pathlib import Path
from typing import List, Sequence

import doctor_sandbox
import pytest
from conftest import Lab, RunCli, ToolDir

pytestmark = pytest.mark.lab

# the namespace's own /proc/meminfo, then the command
BIND = 'mount --bind "$0" /proc/meminfo && exec "$@"'


@pytest.fixture
def tools(tool_dir: ToolDir, tmp_path: Path) -> ToolDir:
    """The real ones, which note in a log when they start and when they end."""
    for name in ("nm", "eu-addr2line", "addr2line", "objdump"):
        log, real = tmp_path / "log", shutil.which(name)
        tool_dir.fake(name, f'echo + >>{log}; {real} "$@"; status=$?; echo - >>{log}; exit $status')
    return tool_dir


def started(run_cli: RunCli, lab: Lab, tools: ToolDir, log: Path, prefix: Sequence[str]) -> List[str]:
    """``+`` for each start of a tool and ``-`` for each end, in order, of an analysis that has an answer."""
    log.unlink(missing_ok=True)
    where = ("--root", lab.root, "--module-dir", lab.module_dir, lab.crashes["iptunnel"])
    result = run_cli("analyze", "--json", *where, env=tools.first, prefix=prefix)
    assert result.status == 0, result.stderr
    line = json.loads(result.stdout)["reports"][0]["ip"]["locations"][-1]
    assert line["file"].endswith("net/ipv4/ip_tunnel_core.c")
    return log.read_text().split()


@pytest.mark.parametrize("free, side_by_side", [(999, False), (1200, True)], ids=["below 1 GB", "above"])
def test_one_tool_at_a_time_below_1_gb(
    free: int, side_by_side: bool, lab: Lab, tools: ToolDir, run_cli: RunCli, tmp_path: Path
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(re.sub(r"(?<=MemAvailable:) *\d+", f" {free * 1024}", Path("/proc/meminfo").read_text()))
    prefix = [*doctor_sandbox.namespace(), "sh", "-c", BIND, str(meminfo)]
    steps = started(run_cli, lab, tools, tmp_path / "log", prefix)
    assert steps.count("+") == steps.count("-") >= 5  # nm and lines of two objects, objdump
    assert ("+ +" in " ".join(steps)) == side_by_side, steps
