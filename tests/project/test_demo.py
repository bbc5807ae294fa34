"""scripts/demo, in a copy of the tree, on the oldest Python and on the one that runs the tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest
from conftest import environment
from packages_made import lacking

TOP = Path(__file__).resolve().parent.parent.parent


def oldest() -> Optional[Path]:
    return next(iter(sorted(Path.home().glob(".pyenv/versions/3.6*/bin/python3"))), None)


@pytest.mark.parametrize("version", ["3.6", "this"])
def test_the_demo_shows_the_worked_example(version: str, tmp_path: Path) -> None:
    python = oldest() if version == "3.6" else Path(sys.executable)
    if python is None:
        pytest.skip("needs Python 3.6")
    tree, first = tmp_path / "tree", tmp_path / "bin"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "tests")
    shutil.copytree(str(TOP), str(tree), ignore=ignored)
    first.mkdir()
    (first / "python3").symlink_to(python)
    env = environment({"PATH": f"{first}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": None, "VIRTUAL_ENV": None})
    for times in (1, 2):
        done = subprocess.run(
            [str(tree / "scripts/demo")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env=env,
            cwd=str(tmp_path),
            check=False,
        )
        if "fetches typer, pexpect and packaging from PyPI" in done.stderr:
            lacking("a package index that pip can reach")
        assert done.returncode == 0, done.stderr
        assert "include/net/ip_tunnels.h:462" in done.stdout
        assert ("installing kdumpwrap" in done.stderr) == (times == 1)
        assert done.stderr.rstrip().endswith("just as on the host that crashed")
    used = [str(tree / ".venv-demo/bin/python"), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    said = subprocess.run(used, stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout.strip()
    assert said == ("3.6" if version == "3.6" else "{}.{}".format(*sys.version_info[:2]))
