"""What limits a child's memory: /proc/meminfo, ulimit, cgroups of both versions; files as the kernel writes them."""

import os
import resource
from pathlib import Path
from typing import Callable, Dict, Tuple

import pytest

from kdumpwrap.host.memory import Limit, available, unused
from kdumpwrap.vmcore import memory

MB = 1 << 20
VMLINUX = memory.Vmlinux(587_352_384, 217_854_468, 209_174_432)  # bytes, of the measurements


def rlimits(**limits: int) -> Callable[[int], Tuple[int, int]]:
    """A getrlimit that knows ``AS`` and ``DATA``."""
    known = {getattr(resource, f"RLIMIT_{name}"): value for name, value in limits.items()}
    return lambda number: (known.get(number, resource.RLIM_INFINITY), resource.RLIM_INFINITY)


def host(path: Path, files: Dict[str, str]) -> Tuple[Path, Path, Path]:
    """meminfo, /proc/self/cgroup and /sys/fs/cgroup below ``path``."""
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return path / "meminfo", path / "cgroup", path / "sys"


def test_memory_of_the_machine_counts_swap(tmp_path: Path) -> None:
    text = "MemTotal:        2048000 kB\nMemAvailable:     409600 kB\nSwapTotal: 1 kB\nSwapFree:         102400 kB\n"
    found = available(*host(tmp_path, {"meminfo": text}), rlimits())
    assert found == (Limit(500 * MB, "free memory and swap", "resident"),)


def test_a_kernel_without_memavailable_limits_nothing(tmp_path: Path) -> None:
    assert available(*host(tmp_path, {"meminfo": "MemFree: 12 kB\n"}), rlimits()) == ()


def test_ulimits(tmp_path: Path) -> None:
    found = available(*host(tmp_path, {}), rlimits(AS=300 * MB, DATA=200 * MB))
    assert found == (Limit(300 * MB, "ulimit -v", "address space"), Limit(200 * MB, "ulimit -d", "resident"))


def test_cgroup_v2_what_is_left_of_the_tightest_above_us(tmp_path: Path) -> None:
    files = {
        "cgroup": "0::/user.slice/session.scope\n",
        "sys/cgroup.controllers": "cpu memory\n",
        "sys/user.slice/memory.max": f"{600 * MB}\n",
        "sys/user.slice/memory.high": "max\n",
        "sys/user.slice/memory.current": f"{250 * MB}\n",
        "sys/user.slice/memory.stat": f"anon {MB}\ninactive_file {50 * MB}\n",
        "sys/user.slice/session.scope/memory.max": "max\n",
        "sys/user.slice/session.scope/memory.high": f"{900 * MB}\n",
        "sys/user.slice/session.scope/memory.current": f"{100 * MB}\n",
    }
    found = available(*host(tmp_path, files), rlimits())
    assert found == (
        Limit(400 * MB, "cgroup memory.max", "resident"),  # the cache of files is given back when needed
        Limit(800 * MB, "cgroup memory.high", "resident"),
    )


def test_what_can_be_taken_without_swapping(tmp_path: Path) -> None:
    text = "MemTotal:        2048000 kB\nMemAvailable:     409600 kB\nSwapFree:         1024000 kB\n"
    assert unused(*host(tmp_path, {"meminfo": text})) == 400 * MB
    group = {
        "cgroup": "0::/small\n",
        "sys/cgroup.controllers": "memory\n",
        "sys/small/memory.max": f"{300 * MB}\n",
        "sys/small/memory.current": f"{MB}\n",
    }
    assert unused(*host(tmp_path, group)) == 299 * MB
    assert unused(tmp_path / "none", tmp_path / "none", tmp_path / "none") > 1 << 40


def test_cgroup_v1_beside_an_empty_v2(tmp_path: Path) -> None:
    files = {
        "cgroup": "4:memory:/docker/3f\n3:cpu,cpuacct:/docker/3f\n0::/\n",
        "sys/memory/docker/3f/memory.limit_in_bytes": f"{512 * MB}\n",
        "sys/memory/docker/3f/memory.usage_in_bytes": f"{212 * MB}\n",
        "sys/memory/docker/3f/memory.stat": f"inactive_file 1\ntotal_inactive_file {12 * MB}\n",
        "sys/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/memory/memory.usage_in_bytes": "1\n",
        "sys/unified/cgroup.controllers": "\n",
    }
    found = available(*host(tmp_path, files), rlimits())
    assert found == (Limit(312 * MB, "cgroup memory.limit_in_bytes", "resident"),)


def test_in_a_container_the_path_of_the_host_is_not_there(tmp_path: Path) -> None:
    files = {
        "cgroup": "0::/../../system.slice/docker-3f.scope\n",
        "sys/cgroup.controllers": "memory\n",
        "sys/memory.max": f"{256 * MB}\n",
        "sys/memory.current": f"{300 * MB}\n",
    }
    found = available(*host(tmp_path, files), rlimits())
    assert found == (Limit(0, "cgroup memory.max", "resident"),)  # over the limit already: nothing, not less


@pytest.mark.parametrize("text", ["", "max\n", "-1\n", "12 kB\n", "\udc80"])
def test_what_no_kernel_writes_limits_nothing(tmp_path: Path, text: str) -> None:
    files = {"cgroup": "0::/\n", "sys/cgroup.controllers": "memory\n", "sys/memory.current": "1\n"}
    paths = host(tmp_path, files)
    (tmp_path / "sys/memory.max").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert available(*paths, rlimits()) == ()


@pytest.mark.parametrize(("megabytes", "hopeless"), [(250, True), (300, True), (340, True), (400, False), (600, False)])
def test_which_start_is_not_even_tried(megabytes: int, hopeless: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on two CPUs: from 396 MiB on crash comes to its prompt. Somewhat below, another crash might."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    limits = (Limit(megabytes * MB, "ulimit -v", "address space"),)
    assert (memory.lacking(VMLINUX, limits) is not None) == hopeless


def test_the_worst_limit_is_the_one_that_is_named() -> None:
    limits = (Limit(500 * MB, "ulimit -v", "address space"), Limit(200 * MB, "cgroup memory.max", "resident"))
    worst = memory.tight(VMLINUX, limits)
    assert worst is not None
    assert worst.name == "cgroup memory.max"
    assert memory.tight(VMLINUX, (Limit(4096 * MB, "free memory and swap", "resident"),)) is None
