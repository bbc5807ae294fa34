"""The package stays readable to the oldest Python that it promises to run on, and to every one at hand."""

import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

PACKAGE = Path(__file__).resolve().parent.parent.parent / "kdumpwrap"


def old_pythons() -> List[Path]:
    """Each Python 3.6 at hand."""
    return sorted(Path.home().glob(".pyenv/versions/3.6*/bin/python3"))


def test_nothing_newer_than_python_3_6_is_used() -> None:
    vermin = Path(sys.executable).parent / "vermin"
    argv = [str(vermin), "--target=3.6-", "--no-tips", "--violations", "--eval-annotations"]
    argv += ["--backport", "dataclasses", str(PACKAGE)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, check=False)
    assert done.returncode == 0, done.stdout


def test_python_3_6_reads_every_file() -> None:
    found = old_pythons()
    if not found:
        pytest.skip("needs Python 3.6")
    read = "import sys; [compile(open(name, 'rb').read(), name, 'exec') for name in sys.argv[1:]]"
    subprocess.run([str(found[0]), "-c", read, *map(str, PACKAGE.rglob("*.py"))], check=True)
