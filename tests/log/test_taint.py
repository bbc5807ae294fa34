"""Taint letters and what they mean."""

import pytest
import recorded

from kdumpwrap.log import taint

UPSTREAM = "6.12.9"


def test_letters_keep_their_order_and_have_a_meaning() -> None:
    found = taint.decode("POEhu", "5.14.0-503.40.1.el9_5.x86_64")
    assert [flag.flag for flag in found] == list("POEhu")
    assert "proprietary" in found[0].meaning
    assert all("unknown" not in flag.meaning for flag in found)


def test_an_unknown_letter_says_so() -> None:
    assert taint.decode("q", UPSTREAM)[0].meaning == taint.decode("q", None)[0].meaning == "unknown flag"
    assert taint.decode("", UPSTREAM) == ()


def test_every_letter_of_the_kernels_table_is_there() -> None:
    assert set("GPFSRMBUDAWCIOELKXTNJ") <= set(taint.MEANINGS)


@pytest.mark.parametrize(
    ("release", "letter", "words"),
    [
        ("2.6.32-754.35.1.el6.x86_64", "T", "technology preview"),
        ("3.10.0-1160.108.1.el7.x86_64", "T", "technology preview"),
        ("3.10.0-1160.108.1.el7.x86_64", "X", "distributions define"),
        ("3.10.0-1160.108.1.el7.x86_64", "H", "hardware is not supported"),
        ("4.18.0-477.27.1.el8_8.x86_64", "T", "struct layout"),
        ("4.18.0-477.27.1.el8_8.x86_64", "X", "technology preview"),
        ("4.18.0-477.27.1.el8_8.x86_64", "t", "technology preview"),
        ("4.18.0-477.27.1.el8_8.x86_64", "r", "support for the hardware was removed"),
        ("4.18.0-477.27.1.el8_8.x86_64", "p", "unknown"),
        ("5.14.0-503.40.1.el9_5.aarch64+64k", "p", "partner"),
        ("5.14.0-503.40.1.el9_5.x86_64", "r", "unknown"),
        ("6.12.0-55.39.1.el10_0.x86_64", "u", "unprivileged BPF"),
        ("6.12.0-55.39.1.el10_0.x86_64", "X", "technology preview"),
        ("6.6.1-1.el8.elrepo.x86_64", "X", "distributions define"),  # built for el8 from the kernel's own sources
        ("5.4.17-2136.310.7.el8uek.x86_64", "t", "unknown"),
        (UPSTREAM, "T", "struct layout"),
        (UPSTREAM, "u", "unknown"),
    ],
)
def test_the_release_decides_what_a_letter_means(release: str, letter: str, words: str) -> None:
    (found,) = taint.decode(letter, release)
    assert words in found.meaning


def test_without_a_release_all_meanings_are_told() -> None:
    (found,) = taint.decode("T", None)
    assert found.meaning == (
        "the kernel was built with the struct layout randomised; on el6, el7: a technology preview is in use"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("el7-taint-letters", {"T": "a technology preview is in use"}),
        (
            "el8-taint-letters",
            {
                "X": "a technology preview is in use",
                "r": "support for the hardware was removed",
                "t": "a technology preview is in use",
            },
        ),
        (
            "el9-taint-letters",
            {
                "X": "a technology preview is in use",
                "p": "a partner supports a module",
                "h": "support for the hardware was removed",
                "u": "unprivileged BPF is enabled",
            },
        ),
        (
            "upstream-taint-letters",
            {"T": "the kernel was built with the struct layout randomised", "N": "an in-kernel test was run"},
        ),
    ],
)
def test_the_letters_of_a_log(name: str, expected: "dict[str, str]") -> None:
    (report,) = recorded.parse(name).reports
    assert {one.flag: one.meaning for one in report.taints if one.flag != "G"} == expected
