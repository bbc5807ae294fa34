"""Symbol tables: sizes as the kernel counts them, namesakes, sections of a module."""

from kdumpwrap.model.kernel import Symbol
from kdumpwrap.parse import nm

VMLINUX = b"""\
000000000001fb40 A __per_cpu_end
ffffffff81000000 T _stext
ffffffff81000000 T startup_64
ffffffff818a6f00 T iptunnel_xmit
ffffffff818a6f80 t .Lloop
ffffffff818a6f90 a absolute
ffffffff818a7140 t ip_tun_opts_nlsize
ffffffff818a7200 t s_show
ffffffff818a7200 t s_show_alias
ffffffff818a7220 t s_show
ffffffff818a7300 T last
ffffffff8211fa00 D linux_banner
"""


def test_a_size_is_the_distance_to_the_next_symbol_that_the_kernel_knows() -> None:
    assert nm.parse(VMLINUX, ["iptunnel_xmit"]) == {
        "iptunnel_xmit": (Symbol("iptunnel_xmit", 0xFFFFFFFF818A6F00, 0x240),)
    }


def test_an_alias_ends_where_its_twin_ends() -> None:
    found = nm.parse(VMLINUX, ["startup_64", "_stext"])
    assert found["_stext"][0].size == found["startup_64"][0].size == 0x8A6F00


def test_a_name_may_stand_for_several_functions() -> None:
    assert [(s.address, s.size) for s in nm.parse(VMLINUX, ["s_show"])["s_show"]] == [
        (0xFFFFFFFF818A7200, 0x20),
        (0xFFFFFFFF818A7220, 0xE0),
    ]


def test_data_and_unknown_names_are_no_functions() -> None:
    assert nm.parse(VMLINUX, ["linux_banner", "nosuch", ".Lloop", "__per_cpu_end", "absolute"]) == {}
    assert nm.address(VMLINUX, "linux_banner") == 0xFFFFFFFF8211FA00
    assert nm.address(VMLINUX, "nosuch") is None


def test_the_last_symbol_has_no_size() -> None:
    assert nm.parse(b"ffffffff81000000 T only", ["only"])["only"][0].size is None


def test_enclosing_finds_the_function_before_a_symbol() -> None:
    found = nm.enclosing(VMLINUX, 0xFFFFFFFF818A713F)
    assert found == Symbol("iptunnel_xmit", 0xFFFFFFFF818A6F00, 0x240)
    assert nm.enclosing(VMLINUX, 0x1000) is None


SYSV = """\


Symbols from xxxwan.debug.ko:

Name                  Value           Class        Type         Size             Line  Section

.LC0                |0000000000000000|   r  |            NOTYPE|                |     |.rodata.str1.1
__fentry__          |                |   U  |            NOTYPE|                |     |*UND*
fault               |0000000000000070|   d  |            OBJECT|0000000000000008|     |.data
send4               |0000000000000070|   t  |              FUNC|00000000000000c5|     |.text
xxxwan_dev_xmit     |0000000000000140|   t  |              FUNC|0000000000000011|     |.text
xxxwan_check_credits|000000000000001a|   t  |              FUNC|0000000000000020|     |.text.unlikely
xxxwan_session_unlink|000000000000003a|   t  |              FUNC|0000000000000040|     |.text.unlikely
"""


def test_a_module_symbol_carries_its_section() -> None:
    assert set(nm.parse_sections(SYSV)) == {
        Symbol("send4", 0x70, 0xD0, ".text"),
        Symbol("xxxwan_dev_xmit", 0x140, None, ".text"),
        Symbol("xxxwan_check_credits", 0x1A, 0x20, ".text.unlikely"),
        Symbol("xxxwan_session_unlink", 0x3A, None, ".text.unlikely"),
    }


def test_no_text_makes_it_raise() -> None:
    for junk in ("", "\n", "|" * 6, "a|zz|t|b|c|d|.text", "\x00" * 100):
        assert nm.parse_sections(junk) == ()
        assert nm.parse(junk.encode(), ["x"]) == {}


def test_what_lies_at_an_address_of_data() -> None:
    """Of several names the last that is no mark of the linker script: pv_ops is the first of its section."""
    text = b"""\
ffffffff82a39b00 D __end_ro
ffffffff82a39b40 D __start_ro_after_init
ffffffff82a39b40 D pv_ops
ffffffff82a39b40 D zero_size
ffffffff82a39e00 a absolute
ffffffff82a39f00 d idt_table
"""
    named = {at: nm.place_name(text, at) for at in (0xFFFFFFFF82A39B40, 0xFFFFFFFF82A39C38, 0xFFFFFFFF82A3A000, 0x1000)}
    assert list(named.values()) == ["zero_size", "zero_size+0xf8", "idt_table+0x100", None]
    marked = text.replace(b"ffffffff82a39b40 D zero_size\n", b"")
    assert nm.place_name(marked, 0xFFFFFFFF82A39C38) == "pv_ops+0xf8"
    marked = marked.replace(b"D pv_ops", b"D __pv_ops").replace(b"__start_ro_after_init", b"pv_ops")
    assert nm.place_name(marked, 0xFFFFFFFF82A39C38) == "pv_ops+0xf8"
