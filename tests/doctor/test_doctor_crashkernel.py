"""crashkernel=: our arithmetic against what a real kernel reserved, and what each release proposes."""

from pathlib import Path
from typing import List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdumpwrap.doctor import crashkernel, defaults
from kdumpwrap.doctor.crashkernel import G, Kernel, M, reserve
from kdumpwrap.host.distribution import DEBIAN, EL, SUSE, Distribution, Family

MEASURED = Path(__file__).parent.parent / "data" / "doctor" / "crashkernel.tsv"
MAINLINE = Kernel(auto=None, suffixes=True)


def measured() -> List[Tuple[int, str, int]]:
    rows = [line.split("\t") for line in MEASURED.read_text().splitlines() if not line.startswith("#")]
    return [(int(ram), parameters, int(size)) for _, ram, parameters, size in rows]


@pytest.mark.parametrize(("ram", "parameters", "size"), measured(), ids=str)
def test_we_count_as_the_kernel_does(ram: int, parameters: str, size: int) -> None:
    reservation = reserve(crashkernel.values(parameters), ram, MAINLINE)
    assert reservation.size == size
    assert bool(reservation.fault) == (size == 0)


def test_a_value_is_found_where_the_kernel_finds_it() -> None:
    assert crashkernel.values("root=/dev/sda1 crashkernel=128M ro crashkernel=1G-:256M") == ("128M", "1G-:256M")
    assert crashkernel.values("root=/dev/sda1 ro") == ()


@pytest.mark.parametrize(
    ("value", "memory", "size"),
    [
        ("auto", 4 * G, 161 * M),  # 160 MB and 2 bits for every 4 KiB
        ("auto", 1 * G, 0),
        ("auto", None, 160 * M),
    ],
)
def test_auto_of_el7(value: str, memory: Optional[int], size: int) -> None:
    kernel = defaults.kernel(Distribution("centos", EL, 7), "4.19.113-88.8bs.el7.x86_64", "x86_64", memory)
    found = reserve((value,), memory, kernel)
    assert found.size == size if memory else found.size is None


@pytest.mark.parametrize(
    ("memory", "size"),
    [(1000 * M, 160 * M), (512 * M, 0), (2 * G, 160 * M), (16 * G, 192 * M), (128 * G, 256 * M), (2048 * G, 512 * M)],
)
def test_auto_of_el8(memory: int, size: int) -> None:
    kernel = defaults.kernel(Distribution("centos", EL, 8), "4.18.0-553.el8_10.x86_64", "x86_64", memory)
    assert reserve(("auto",), memory, kernel).size == size


@pytest.mark.parametrize(
    ("id_", "major", "release"),
    [
        ("centos", 9, "5.14.0-503.el9.x86_64"),
        ("centos", 10, "6.12.0-55.el10.x86_64"),
        ("fedora", 41, "6.11.10-300.fc41.x86_64"),
        ("centos", 8, "6.1.50-1.el8.elrepo.x86_64"),  # kernel.org's, on el8
    ],
)
def test_auto_is_gone(id_: str, major: int, release: str) -> None:
    kernel = defaults.kernel(Distribution(id_, EL, major), release, "x86_64", 8 * G)
    assert reserve(("auto",), 8 * G, kernel) == crashkernel.Reservation(0, "this kernel does not know auto")


@pytest.mark.parametrize("arch", ["ppc64le", "s390x"])
def test_high_is_not_known_everywhere(arch: str) -> None:
    kernel = defaults.kernel(Distribution("centos", EL, 9), "5.14.0-503.el9", arch, 8 * G)
    assert reserve(("256M,high",), 8 * G, kernel).fault == "this kernel does not know ,high"


@pytest.mark.parametrize(
    ("id_", "family", "major", "arch", "release", "value"),
    [
        ("centos", EL, 7, "x86_64", "3.10.0-1160.el7.x86_64", "auto"),
        ("centos", EL, 8, "x86_64", "4.18.0-553.el8_10.x86_64", "auto"),
        ("centos", EL, 8, "x86_64", "6.1.50-1.el8.elrepo.x86_64", "1G-4G:192M,4G-64G:256M,64G-:512M"),
        ("centos", EL, 9, "x86_64", None, "1G-4G:192M,4G-64G:256M,64G-:512M"),
        ("centos", EL, 9, "aarch64", None, "1G-4G:256M,4G-64G:320M,64G-:576M"),
        ("centos", EL, 9, "aarch64", "5.14.0-503.el9.aarch64+64k", "1G-4G:356M,4G-64G:420M,64G-:676M"),
        ("centos", EL, 10, "x86_64", None, "2G-64G:256M,64G-:512M"),
        ("centos", EL, 10, "s390x", None, "2G-64G:256M,64G-:512M"),
        ("centos", EL, 10, "ppc64le", None, "2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G"),
        ("fedora", EL, 41, "x86_64", None, "2G-64G:256M,64G-:512M"),
        ("debian", DEBIAN, 12, "x86_64", None, "384M-:128M"),
        ("ubuntu", DEBIAN, 22, "x86_64", None, "512M-:192M"),
        ("sles", SUSE, 15, "x86_64", None, None),
    ],
)
def test_what_a_release_proposes(
    id_: str, family: Family, major: int, arch: str, release: Optional[str], value: Optional[str]
) -> None:
    distribution = Distribution(id_, family, major)
    proposed = defaults.default(distribution, release, arch)
    assert proposed == value
    if proposed is not None:
        kernel = defaults.kernel(distribution, release, arch, 8 * G)
        assert (reserve((proposed,), 8 * G, kernel).size or 0) >= 128 * M, "its own kernel must understand it"


def test_a_size_as_large_as_memory_is_too_large() -> None:
    """parse_crashkernel_mem(): ``if (size >= system_ram)``, both rounded up to 128M."""
    assert reserve(("256M-:512M",), 511 * M, MAINLINE).size == 0
    assert reserve(("256M-:511M",), 511 * M, MAINLINE).size == 511 * M


@pytest.mark.parametrize(("size", "text"), [(192 * M, "192M"), (2 * G, "2G"), (1932735283, "1.8G"), (128, "128")])
def test_sizes_are_shown_as_crashkernel_counts(size: int, text: str) -> None:
    assert crashkernel.human(size) == text


@given(
    st.lists(st.text(alphabet="0123456789kKmMgG-:,@xautohighlow ", max_size=40), max_size=3), st.integers(0, 1 << 44)
)
def test_no_value_raises(values: List[str], memory: int) -> None:
    found = reserve(values, memory, MAINLINE)
    assert found.size is not None
    assert bool(found.fault) == (found.size == 0)
