"""What a release says: real ones of every distribution, and what is none."""

from typing import List, Optional, Tuple

import pytest

from kdumpwrap.host import release

# release, vendor, generation, flavour, base ("" where it is the release itself), machine
Row = Tuple[str, str, Optional[int], str, str, Optional[str]]

REAL: List[Row] = [
    # CentOS, RHEL and what is rebuilt from them
    ("2.6.32-573.el6.x86_64", "el", 6, "", "", "x86_64"),
    ("2.6.32-754.17.1.el6.x86_64", "el", 6, "", "", "x86_64"),
    ("2.6.32-754.35.1.el6.centos.plus.x86_64", "el", 6, "", "", "x86_64"),
    ("2.6.32-754.el6.x86_64.debug", "el", 6, "debug", "2.6.32-754.el6.x86_64", "x86_64"),
    ("2.6.32-754.el6.i686", "el", 6, "", "", "i386"),
    ("3.10.0-1160.el7.x86_64", "el", 7, "", "", "x86_64"),
    ("3.10.0-1160.119.1.el7.centos.plus.x86_64", "el", 7, "", "", "x86_64"),
    ("3.10.0-1160.el7.x86_64.debug", "el", 7, "debug", "3.10.0-1160.el7.x86_64", "x86_64"),
    ("3.10.0-1160.rt56.1131.el7.x86_64", "el", 7, "rt", "", "x86_64"),
    ("3.10.0-693.21.1.rt56.639.el7.x86_64.debug", "el", 7, "rt-debug", "3.10.0-693.21.1.rt56.639.el7.x86_64", "x86_64"),
    ("3.10.0-33.el7.ppc64", "el", 7, "", "", "ppc64"),
    ("3.10.0-957.el7.ppc64le", "el", 7, "", "", "ppc64le"),
    ("4.14.0-115.el7a.aarch64", "el", 7, "", "", "aarch64"),
    ("4.19.113-88.8bs.el7.x86_64", "el", 7, "", "", "x86_64"),
    ("4.18.0-147.el8.aarch64", "el", 8, "", "", "aarch64"),
    ("4.18.0-193.28.1.el8_2.x86_64", "el", 8, "", "", "x86_64"),
    ("4.18.0-553.66.1.el8_10.x86_64", "el", 8, "", "", "x86_64"),
    ("4.18.0-553.el8_10.x86_64+debug", "el", 8, "debug", "4.18.0-553.el8_10.x86_64", "x86_64"),
    ("4.18.0-305.rt7.72.el8.x86_64", "el", 8, "rt", "", "x86_64"),
    ("4.18.0-305.rt7.72.el8.x86_64+debug", "el", 8, "rt-debug", "4.18.0-305.rt7.72.el8.x86_64", "x86_64"),
    ("4.18.0-477.27.1.el8_8.s390x", "el", 8, "", "", "s390x"),
    ("4.18.0-425.3.1.el8.s390x+zfcpdump", "el", 8, "zfcpdump", "4.18.0-425.3.1.el8.s390x", "s390x"),
    ("5.14.0-70.22.1.el9_0.x86_64", "el", 9, "", "", "x86_64"),
    ("5.14.0-362.18.1.el9_3.0.1.x86_64", "el", 9, "", "", "x86_64"),
    ("5.14.0-427.13.1.el9_4.x86_64", "el", 9, "", "", "x86_64"),
    ("5.14.0-570.12.1.el9_6.x86_64", "el", 9, "", "", "x86_64"),
    ("5.14.0-522.el9.x86_64", "el", 9, "", "", "x86_64"),
    ("5.14.0-630.el9.x86_64+debug", "el", 9, "debug", "5.14.0-630.el9.x86_64", "x86_64"),
    ("5.14.0-503.el9.x86_64+rt", "el", 9, "rt", "5.14.0-503.el9.x86_64", "x86_64"),
    ("5.14.0-503.el9.x86_64+rt-debug", "el", 9, "rt-debug", "5.14.0-503.el9.x86_64", "x86_64"),
    ("5.14.0-503.el9.aarch64+64k", "el", 9, "64k", "5.14.0-503.el9.aarch64", "aarch64"),
    ("5.14.0-503.el9.aarch64+64k-debug", "el", 9, "64k-debug", "5.14.0-503.el9.aarch64", "aarch64"),
    ("6.12.0-55.9.1.el10_0.x86_64", "el", 10, "", "", "x86_64"),
    ("6.12.0-124.56.1.el10_1.x86_64_v2", "el", 10, "", "", "x86_64"),
    (
        "6.12.0-146.1640_2124176644.el10.x86_64+debug",
        "el",
        10,
        "debug",
        "6.12.0-146.1640_2124176644.el10.x86_64",
        "x86_64",
    ),
    ("6.11.0-0.rc5.22.el10.x86_64", "el", 10, "", "", "x86_64"),
    # ELRepo's lt and ml
    ("4.4.249-1.el7.elrepo.x86_64", "elrepo", 7, "", "", "x86_64"),
    ("5.4.265-1.el8.elrepo.x86_64", "elrepo", 8, "", "", "x86_64"),
    ("6.6.9-1.el9.elrepo.x86_64", "elrepo", 9, "", "", "x86_64"),
    # Oracle's UEK
    ("4.1.12-124.48.6.el6uek.x86_64", "uek", 6, "uek", "", "x86_64"),
    ("4.14.35-1829.el7uek.x86_64", "uek", 7, "uek", "", "x86_64"),
    ("5.4.17-2136.318.7.1.el7uek.x86_64", "uek", 7, "uek", "", "x86_64"),
    ("5.15.0-3.60.5.1.el8uek.x86_64", "uek", 8, "uek", "", "x86_64"),
    ("5.15.0-206.153.7.el9uek.aarch64", "uek", 9, "uek", "", "aarch64"),
    ("5.4.17-2136.300.7.el8uek.x86_64.debug", "uek", 8, "uek-debug", "5.4.17-2136.300.7.el8uek.x86_64", "x86_64"),
    # Fedora, Amazon, Anolis, Alibaba, openEuler, EulerOS
    ("6.11.4-301.fc41.x86_64", "fedora", 41, "", "", "x86_64"),
    ("5.6.7-200.fc31.x86_64+debug", "fedora", 31, "debug", "5.6.7-200.fc31.x86_64", "x86_64"),
    ("4.14.336-180.566.amzn1.x86_64", "amazon", 1, "", "", "x86_64"),
    ("5.10.205-195.807.amzn2.x86_64", "amazon", 2, "", "", "x86_64"),
    ("6.1.79-99.164.amzn2023.aarch64", "amazon", 2023, "", "", "aarch64"),
    ("4.19.91-26.an8.x86_64", "anolis", 8, "", "", "x86_64"),
    ("5.10.134-16.1.al8.x86_64", "alinux", 8, "", "", "x86_64"),
    ("5.10.0-153.12.0.92.oe2203sp2.x86_64", "openeuler", 2203, "", "", "x86_64"),
    (
        "4.18.0-147.5.0.5.h126.eulerosv2r9.x86_64-debug",
        "",
        None,
        "debug",
        "4.18.0-147.5.0.5.h126.eulerosv2r9.x86_64",
        "x86_64",
    ),
    # Debian
    ("4.19.0-26-686-pae", "debian", None, "pae", "", "i386"),
    ("5.10.0-28-rt-amd64", "debian", None, "rt", "", "x86_64"),
    ("6.1.0-47-amd64", "debian", None, "", "", "x86_64"),
    ("6.1.0-47-cloud-amd64", "debian", None, "cloud", "", "x86_64"),
    ("6.1.0-47-cloud-arm64", "debian", None, "cloud", "", "aarch64"),
    ("6.1.0-47-powerpc64le", "debian", None, "", "", "ppc64le"),
    ("6.1.0-47-s390x", "debian", None, "", "", "s390x"),
    ("6.1.0-25-armmp-lpae", "debian", None, "lpae", "", "arm"),
    ("6.1.0-0.deb11.13-amd64", "debian", None, "", "", "x86_64"),
    ("6.12.38+deb13-amd64", "debian", None, "", "", "x86_64"),
    ("6.12.74+deb13+1-arm64-16k", "debian", None, "16k", "", "aarch64"),
    # Ubuntu
    ("5.15.0-91-generic", "ubuntu", None, "generic", "", None),
    ("6.8.0-31-generic-64k", "ubuntu", None, "generic-64k", "", None),
    ("5.15.0-91-lowlatency", "ubuntu", None, "lowlatency", "", None),
    ("6.5.0-1014-aws", "ubuntu", None, "aws", "", None),
    ("5.15.0-1053-azure", "ubuntu", None, "azure", "", None),
    ("6.5.0-060500-generic", "ubuntu", None, "generic", "", None),
    # SUSE
    ("4.12.14-122.183-default", "suse", None, "default", "4.12.14-122.183", None),
    ("5.3.18-lp152.106-preempt", "suse", None, "preempt", "5.3.18-lp152.106", None),
    ("5.14.21-150400.24.100-default", "suse", None, "default", "5.14.21-150400.24.100", None),
    ("5.14.21-150500.33.37-azure", "suse", None, "azure", "5.14.21-150500.33.37", None),
    ("6.4.0-150600.10.23-rt", "suse", None, "rt", "6.4.0-150600.10.23", None),
    ("6.9.1-1-default", "suse", None, "default", "6.9.1-1", None),
    # built by hand, and distributions that say nothing of themselves
    ("4.9.60-g4ca16e6", "", None, "", "", None),
    ("4.15.0-rc2-next-20171204+", "", None, "", "", None),
    ("4.19.121-syzkaller-00214-g8833700", "", None, "", "", None),
    ("5.10.2", "", None, "", "", None),
    ("6.7.2-arch1-1", "", None, "", "", None),
    ("6.8.12-4-pve", "", None, "", "", None),
    ("6.10.0-rc5-00257-g88d8f64b9f5f-dirty", "", None, "", "", None),
    ("6.18.0-rc3", "", None, "", "", None),
]


@pytest.mark.parametrize(
    ("text", "vendor", "generation", "flavour", "base", "arch"), REAL, ids=[row[0] for row in REAL]
)
def test_real_releases(
    text: str, vendor: str, generation: Optional[int], flavour: str, base: str, arch: Optional[str]
) -> None:
    found = release.parse(text)
    assert found is not None
    assert found[2:] == (vendor, generation, flavour, base or text, arch)
    assert found.text == text
    assert ".".join(map(str, found.version)) == text.partition("-")[0].partition("+")[0]
    assert found.minor == ".".join(text.split(".")[:2]).partition("-")[0]


def test_each_kernel_belongs_to_the_packages_of_one_family() -> None:
    families = {row[1]: parsed.family for row in REAL for parsed in [release.parse(row[0])] if parsed}
    assert {vendor for vendor, family in families.items() if family == "el"} == {
        *("el", "uek", "elrepo", "fedora", "amazon", "anolis", "alinux", "openeuler")
    }
    assert (families["debian"], families["ubuntu"], families["suse"], families[""]) == ("debian", "debian", "suse", "")


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "-rf", "+", "5.14.0/../..", "5.14.0 x", "5.14.0\n", "5.14.0;id", "5.14.0$(id)", "5.14.0'"),
        *("5.14.0\x1b[31m", "5.14.0<b>", "٣.14.0", "5.14.0é", "5.14.0,1", "5" * 65),
    ],
)
def test_what_is_no_release(text: str) -> None:
    assert not release.valid(text) and release.parse(text) is None


def test_a_release_has_at_most_the_64_bytes_that_uname_has() -> None:
    assert release.valid("5" * 64) and release.parse(None) is None and not release.valid(None)


def test_a_release_without_a_version_is_older_than_any() -> None:
    found = release.parse("syzkaller")
    assert found is not None and found.version == (0, 0, 0) and found.arch is None


def test_releases_sort_as_rpm_sorts_them() -> None:
    names = ["6.12.0-55.el10.x86_64", "3.10.0-1160.el7.x86_64", "3.10.0-957.el7.x86_64", "5.14.0-503.el9.x86_64"]
    parsed = [found for found in map(release.parse, names) if found]
    ordered = sorted(parsed, key=lambda found: release.order(found.text))
    assert [found.minor for found in ordered] == ["3.10", "3.10", "5.14", "6.12"]
    assert min(parsed, key=lambda found: release.order(found.text)).text == "3.10.0-957.el7.x86_64"
