"""addr2line's answers, as binutils 2.40 printed them for a 6.1 vmlinux."""

import pytest

from kdumpwrap.model.kernel import Location
from kdumpwrap.parse import addr2line

BUILD = "debian/build/build_amd64_none_cloud-amd64"
TEXT = f"""\
0xffffffff818a7103
local_add
{BUILD}/arch/x86/include/asm/local.h:33
u64_stats_add
{BUILD}/include/linux/u64_stats_sync.h:89
iptunnel_xmit
{BUILD}/net/ipv4/ip_tunnel_core.c:87
0xffffffff818a71ff
iptunnel_metadata_reply
{BUILD}/net/ipv4/ip_tunnel_core.c:131 (discriminator 1)
0x0000000000000000
??
??:0
0xffffffff81e00000
__entry_text_start
/usr/src/linux/./arch/x86/entry/entry_64.S:?
0xffffffff818a7103
"""
ASKED = (0xFFFFFFFF818A7103, 0xFFFFFFFF818A71FF, 0, 0xFFFFFFFF81E00000, 0xFFFFFFFF818A7103)


def test_inlined_functions_come_innermost_first() -> None:
    assert addr2line.parse(TEXT, ASKED).chains[0xFFFFFFFF818A7103] == (
        Location("local_add", f"{BUILD}/arch/x86/include/asm/local.h", 33),
        Location("u64_stats_add", f"{BUILD}/include/linux/u64_stats_sync.h", 89),
        Location("iptunnel_xmit", f"{BUILD}/net/ipv4/ip_tunnel_core.c", 87),
    )


def test_a_discriminator_is_no_part_of_the_line() -> None:
    assert addr2line.parse(TEXT, ASKED).chains[0xFFFFFFFF818A71FF][0].line == 131


def test_what_the_tool_does_not_know_is_no_answer() -> None:
    found = addr2line.parse(TEXT, ASKED).chains
    assert 0 not in found
    assert found[0xFFFFFFFF81E00000] == (Location("__entry_text_start", None, None),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.c:12", ("a/b.c", 12)),
        ("/usr/src/linux/./include/net/./ip.h:7 (discriminator 3)", ("/usr/src/linux/include/net/ip.h", 7)),
        ("./include/net/ip.h:7", ("include/net/ip.h", 7)),
        ("C:odd:name.c:5", ("C:odd:name.c", 5)),
        ("??:0", ("", 0)),
        ("??:?", ("", 0)),
        ("xxxwan.c:?", ("", 0)),
        (":?", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_place(text: str, expected: object) -> None:
    assert addr2line.place(text) == expected


def test_cut_text_does_not_raise() -> None:
    for end in range(len(TEXT)):
        addr2line.parse(TEXT[:end], ASKED)
