"""Random addresses of a real vmlinux and module: elfutils' lines are LLVM's. scripts/compare-lines asks for more."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Lab
from processes import ran

pytestmark = pytest.mark.lab

SCRIPT = Path(__file__).resolve().parent.parent.parent / "scripts/compare-lines"


@pytest.mark.skipif(shutil.which("llvm-addr2line") is None, reason="needs llvm")
@pytest.mark.parametrize("what", ["vmlinux", "module"])
def test_eu_addr2line_agrees_with_the_referee(what: str, lab: Lab) -> None:
    file = lab.root / "usr/lib/debug/lib/modules" / lab.release / "vmlinux"
    if what == "module":
        file = lab.module_dir / "xxxwan.debug.ko"
    argv = [sys.executable, str(SCRIPT), "-n", "100", "--seed", "7", "--least", "98", str(file)]
    done = ran(argv)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^eu-addr2line: (\d+) of 100 agree", done.stdout, re.M)
    assert found is not None and int(found[1]) >= 98
