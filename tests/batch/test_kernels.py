"""The symbolizers of a batch: one for each kernel, whatever else its crashes have in common."""

import json
from pathlib import Path

import pytest

from kdumpwrap.batch.kernels import Kernels
from kdumpwrap.crashdir import finder, packed
from kdumpwrap.debuginfo import Search
from kdumpwrap.log import reader
from kdumpwrap.symbolize.symbolizer import Symbolizer

RELEASE = "5.14.0-503.el9.x86_64"
LOG = f"""\
[    0.000000] Linux version {RELEASE} (mockbuild@x) (gcc) #1 SMP
[   10.000000] BUG: kernel NULL pointer dereference, address: 0000000000000010
[   10.000001] CPU: 1 PID: 7 Comm: sh Not tainted {RELEASE} #1
[   10.000002] RIP: 0010:f+0x1/0x2
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with two fetched builds of one release."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "var/cache"))  # of a user that is not root
    for build_id in ("aa" * 20, "bb" * 20):
        directory = tmp_path / "var/cache/kdumpwrap" / RELEASE / build_id
        directory.mkdir(parents=True)
        (directory / "vmlinux").touch()
    return tmp_path


def symbolizer(kernels: Kernels, root: Path, name: str, build_id: str) -> Symbolizer:
    """That for a crash called ``name``, of the build ``build_id``."""
    kernel = {"release": RELEASE, "build_id": build_id}
    (root / name).write_text(json.dumps({"schema": packed.SCHEMA, "log": LOG, "kernel": kernel}))
    return kernels.symbolizer(finder.find(str(root / name)), reader.parse([LOG.encode()]), None)


def test_each_build_of_a_release_has_its_own(root: Path) -> None:
    kernels = Kernels(Search(root))
    builds = (("1", "aa" * 20), ("2", "bb" * 20), ("3", "aa" * 20))
    first, other, again = (symbolizer(kernels, root, name, build_id) for name, build_id in builds)
    assert first is again and first is not other
    kernels.close()


def test_crashes_of_one_kernel_alone_share_what_is_known(root: Path) -> None:
    kernels = Kernels(Search(root))
    first, other = symbolizer(kernels, root, "1", "aa" * 20), symbolizer(kernels, root, "2", "bb" * 20)
    assert kernels.shared(first) is kernels.shared(first)
    assert kernels.shared(first) is not kernels.shared(other)
    kept = kernels.shared(first)
    kernels.close()
    assert kernels.shared(first) is not kept
