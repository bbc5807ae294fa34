"""objdump's listing, as binutils 2.40 printed it for x86-64, aarch64 and a module."""

from kdumpwrap.model.kernel import Relocation
from kdumpwrap.parse import objdump

X86 = """\

/usr/lib/debug/vmlinux:     file format elf64-x86-64


Disassembly of section .text:

ffffffff818a70e0 <iptunnel_xmit+0x1e0>:
iptunnel_xmit():
debian/build/build_amd64/net/ipv4/ip_tunnel_core.c:74
ffffffff818a70e7:\te9 47 ff ff ff       \tjmp    ffffffff818a7033 <iptunnel_xmit+0x133>
iptunnel_xmit_stats():
debian/build/build_amd64/./include/net/ip_tunnels.h:523 (discriminator 3)
ffffffff818a70f3:\t49 8b 84 24 10 05 00 \tmov    0x510(%r12),%rax
ffffffff818a70fa:\t00\x20
ffffffff818a70fb:\t65 48 03 05 65 20 77 \tadd    %gs:0x7e772065(%rip),%rax        # 19168 <this_cpu_off>
ffffffff818a7102:\t7e\x20

ffffffff818a7140 <ip_tun_opts_nlsize>:
ffffffff818a7140:\tc3                   \tret
"""


def test_x86_bytes_lines_and_comments() -> None:
    jump, move, add, ret = objdump.parse(X86)
    assert (jump.address, jump.data.hex(), jump.file, jump.line) == (
        0xFFFFFFFF818A70E7,
        "e947ffffff",
        "debian/build/build_amd64/net/ipv4/ip_tunnel_core.c",
        74,
    )
    assert jump.text == "jmp ffffffff818a7033 <iptunnel_xmit+0x133>"
    assert (move.data.hex(), move.text) == ("498b842410050000", "mov 0x510(%r12),%rax")
    assert (move.file, move.line) == ("debian/build/build_amd64/include/net/ip_tunnels.h", 523)
    assert (add.data.hex(), add.text, add.comment) == (
        "6548030565207" + "77e",
        "add %gs:0x7e772065(%rip),%rax",
        "19168 <this_cpu_off>",
    )
    assert (ret.file, ret.line) == (None, None), "the line of one function does not reach into the next"


AARCH64 = """\
ffff800008a1c2b8 <iptunnel_xmit>:
ffff800008a1c2b8:\tf9400c20 \tldr\tx0, [x1, #24]
ffff800008a1c2bc:\t54000061 \tb.ne\tffff800008a1c2c8 <iptunnel_xmit+0x10>  // b.any
"""


def test_words_come_in_memory_order() -> None:
    load, branch = objdump.parse(AARCH64)
    assert (load.data.hex(), load.text) == ("200c40f9", "ldr x0, [x1, #24]")
    assert branch.text == "b.ne ffff800008a1c2c8 <iptunnel_xmit+0x10>"
    assert branch.comment == "b.any"


MODULE = """\
0000000000000070 <send4>:
send4():
/home/vendor/xxxwan.c:94
  70:\te8 00 00 00 00       \tcall   75 <send4+0x5>
\t\t\t71: R_X86_64_PLT32\t__fentry__-0x4
  ad:\t48 c7 c7 00 00 00 00 \tmov    $0x0,%rdi
\t\t\tb0: R_X86_64_32S\tinit_net
"""


def test_relocations_belong_to_the_instruction_above_them() -> None:
    call, move = objdump.parse(MODULE)
    assert call.relocations == (Relocation(0x71, "R_X86_64_PLT32", "__fentry__-0x4"),)
    assert move.relocations == (Relocation(0xB0, "R_X86_64_32S", "init_net"),)
    assert (call.file, call.line) == ("/home/vendor/xxxwan.c", 94)


LLVM = """\
ffff800008a65490 <iptunnel_xmit>:
; iptunnel_xmit():
; debian/build/net/ipv4/ip_tunnel_core.c:53
ffff800008a65498: 3f 23 03 d5  \thint\t#25
      70: e8 00 00 00 00               \tcallq\t0x75 <send4+0x5>
\t\t0000000000000071:  R_X86_64_PLT32\t__fentry__-0x4
"""


def test_llvm_prints_bytes_and_puts_a_semicolon_before_lines() -> None:
    hint, call = objdump.parse(LLVM)
    assert (hint.data.hex(), hint.text, hint.line) == ("3f2303d5", "hint #25", 53)
    assert call.relocations == (Relocation(0x71, "R_X86_64_PLT32", "__fentry__-0x4"),)


def test_a_machine_that_objdump_does_not_know() -> None:
    assert objdump.unknown_architecture("objdump: can't disassemble for architecture UNKNOWN!\n")
    assert not objdump.unknown_architecture(X86)


def test_no_text_makes_it_raise() -> None:
    for text in (X86, AARCH64, MODULE):
        for end in range(len(text)):
            objdump.parse(text[:end])
    assert objdump.parse("zz:\t\t\n\x00:1\n  1:\t0 \tx\n") == ()
