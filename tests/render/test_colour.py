"""Colours for C and assembly: the text stays what it was."""

import pytest
from handmade import FINDING
from markup import Page

from kdumpwrap.render.html import colour


def test_c_is_coloured_and_says_the_same() -> None:
    lines = FINDING.resolution.source.lines if FINDING.resolution.source else ()
    coloured = colour.c(lines)
    assert '<i class="k">struct</i>' in coloured[4]
    assert '<i class="c">/* per CPU: nobody else writes here */</i>' in coloured[3]
    assert [Page(line).words for line in coloured] == [" ".join(line.split()) for line in lines]


def test_an_excerpt_may_begin_within_a_comment() -> None:
    coloured = colour.c(["  struct in words", "  the end */", "struct s;"])
    assert coloured[0] == '<i class="c">  struct in words</i>'
    assert coloured[2].startswith('<i class="k">struct</i>')


@pytest.mark.parametrize(
    "line",
    [
        "/*" * 190,
        "a" * 100_000,
        '"' * 399,
        "f(" * 199,
        "x " * 199,
        "a::" * 130,
        "/**/ " * 79,
        "#" * 399,
        "\\" * 399,
        "''''" * 99,
        "int a (" + "int " * 90,
    ],
    ids=lambda line: line[:8],
)
@pytest.mark.timing
def test_a_source_that_only_resembles_c_costs_no_time(line: str) -> None:
    import time

    start = time.process_time()
    coloured = colour.c([line] * 40)
    assert time.process_time() - start < 2
    assert len(coloured) == 40
    assert Page(coloured[7]).words == " ".join(line.split())


def test_an_instruction_is_coloured_and_says_the_same() -> None:
    text = "jne ffffffff818a70d1 <iptunnel_xmit+0x1d1>"
    assert Page(colour.assembly(text, ())).words == text
    assert colour.assembly("mov 0x10(%eax),%rbx", {"rax"}).count("guilty") == 1
    assert colour.assembly("ldr x0, [x0, #16]", {"x0"}).startswith('<i class="k">ldr</i> <i class="r">x0</i>, [<b')
