"""Taint letters and what they mean."""

from kdumpwrap.log import taint


def test_letters_keep_their_order_and_have_a_meaning() -> None:
    found = taint.decode("POEhu")
    assert [flag.flag for flag in found] == list("POEhu")
    assert "proprietary" in found[0].meaning
    assert all("RHEL" in flag.meaning for flag in found[3:])


def test_an_unknown_letter_says_so() -> None:
    assert taint.decode("q")[0].meaning == "unknown flag"
    assert taint.decode("") == ()


def test_every_letter_of_the_kernels_table_is_there() -> None:
    assert set("GPFSRMBUDAWCIOELKXTNJ") <= set(taint.MEANINGS)
