"""The parsers, and our choice of options, with what binutils 2.26 print: el7 has 2.27, el8 2.30.

tests/data/binutils-2.26 is the output of the real programs, as Debian's binutils-avr 2.26.20160125 packs them, on a
small C file that its gcc-avr 5.4 compiled (-gdwarf-4 -O2, net/dev.c with an inlined function); ``readelf`` is the same
version's on the vmlinux of Debian's 6.1.0-47-cloud-amd64. What is different from 2.40, for which the parsers were
written: no ``--disassemble=SYMBOL``, no discriminators, ``??:?`` for a function that is known and whose line is not,
notes under "Displaying notes found at file offset", flags in another order.
"""

import re
from pathlib import Path

import pytest

from kdumpwrap.model.kernel import Location
from kdumpwrap.parse import addr2line, nm, objdump, readelf

SAID = Path(__file__).parent.parent / "data/binutils-2.26"
PACKAGE = Path(__file__).parent.parent.parent / "kdumpwrap"
SOURCE = "/usr/src/linux/net/dev.c"
ASKED = (0x0, 0x4, 0x9999, 0x0)  # the last is the mark


def said(name: str) -> str:
    return (SAID / name).read_text()


def test_lines_with_inlined_functions() -> None:
    found = addr2line.parse(said("addr2line"), ASKED)
    assert found.missing == ()
    assert found.chains == {
        0x0: (Location("xmit", SOURCE, 10),),
        0x4: (Location("count", SOURCE, 5), Location("xmit", SOURCE, 11)),
    }


def test_a_known_function_without_a_line_has_no_line() -> None:
    assert "??:?" in said("addr2line-no-lines")
    found = addr2line.parse(said("addr2line-no-lines"), ASKED)
    assert found.missing == ()
    assert all(location.line is None for chain in found.chains.values() for location in chain)


def test_symbols_of_a_vmlinux() -> None:
    text = said("nm").encode()
    found = nm.parse(text, ["xmit", "never", "main"])
    assert {name: (rows[0].address, rows[0].size) for name, rows in found.items()} == {
        "xmit": (0x0, 0x32),
        "never": (0x32, 0xC),
        "main": (0x3E, 0x52),
    }


def test_symbols_of_a_module_with_their_sections() -> None:
    found = {symbol.name: (symbol.section, symbol.address) for symbol in nm.parse_sections(said("nm-sysv"))}
    assert found == {"xmit": (".text", 0), "never": (".text.unlikely", 0), "main": (".text.startup", 0)}


@pytest.mark.parametrize("name", ["objdump", "objdump-lines"])
def test_instructions(name: str) -> None:
    rows = objdump.parse(said(name))
    assert [row.address for row in rows] == list(range(0, 0x10, 2))
    assert (rows[0].data, rows[0].text) == (b"\xfc\x01", "movw r30, r24")
    if name == "objdump-lines":
        assert [(row.file, row.line) for row in rows[:3]] == [(SOURCE, 10), (SOURCE, 5), (SOURCE, 5)]


def test_several_sections_and_their_relocations() -> None:
    rows = objdump.parse(said("objdump-sections"))
    assert [row.text.split()[0] for row in rows if row.address == 0] == ["movw", "push"]
    call = next(row for row in rows if row.text.startswith("call"))
    assert [(one.address, one.type, one.target) for one in call.relocations] == [(0x30, "R_AVR_CALL", ".text")]


def test_the_kind_of_a_vmlinux() -> None:
    text = said("readelf")
    elf = readelf.parse(text)
    assert elf is not None and readelf.is_whole(text)
    assert (elf.machine, elf.relocatable, elf.has_symbols, elf.has_lines, elf.has_code) == (
        "x86_64",
        False,
        True,
        True,
        True,
    )
    assert (elf.build_id, elf.sections, elf.dwarf5) == ("4f61d8f6405b1c6eed15a7a3e2e27067394202d3", 82, True)


def test_no_option_is_used_that_they_do_not_know() -> None:
    """Those that binutils have got since 2.27, by their NEWS: it would be an error of each run on el7 and el8."""
    assert "doesn't allow an argument" in said("objdump-no-such-option")
    newer = (
        "--disassemble=",  # 2.32
        "--visualize-jumps",  # 2.34
        "--ctf",  # 2.33
        "--disassembler-color",  # 2.39
        "--show-all-symbols",  # 2.40
        "--demangle=",  # of readelf, 2.36
        "--recurse-limit",  # 2.32
        "--ifunc-chars",  # of nm, 2.36
        "--unicode",  # 2.38
        "--no-weak",  # of nm, 2.37
        "--quiet",  # of nm, 2.37
        "--no-addresses",  # of objdump, 2.35
        "--inlines=",
    )
    used = set()
    for name in ("binutils.py", "modules.py", "patched.py", "variables.py"):
        file = PACKAGE / "tools" / name
        if file.exists():
            used |= set(re.findall(r"option[s]?\((?:r|f)?\"([^\"]*)\"", file.read_text()))
    assert any("--start-address" in option for option in used)
    assert not [option for option in used for word in newer if word in option]
