"""The facts about an ELF file, as ``readelf -W -h -n -S`` prints them."""

import re
from typing import NamedTuple, Optional, Tuple

from kdumpwrap.arch.table import ARCHES
from kdumpwrap.regex import regex

# readelf's names for the machines of CentOS, and the names of uname -m
_MACHINES = {row.readelf: name for name, row in ARCHES.items() if row.readelf is not None}


# readelf: Error: Not an ELF file - it has the wrong magic bytes at the start
# readelf: Error: x: Failed to read file's magic number                            of fewer than four bytes
_REFUSAL = regex(r"ELF file|wrong magic|magic number")


class Span(NamedTuple):
    """The addresses of a section."""

    name: str
    start: int  # link-time address; 0 in a module
    stop: int


class Elf(NamedTuple):
    """The facts about an ELF file on which a decision rests."""

    machine: Optional[str]  # the name of uname -m; readelf's name for an unknown one
    relocatable: bool  # a module (.ko): addresses count from their section
    build_id: Optional[str]
    has_symbols: bool
    has_lines: bool  # there is a .debug_line with something in it
    has_code: bool  # .text has bytes in this file (a .ko.debug's is NOBITS)
    symbols: Optional[int] = None  # entries of .symtab, those of files and sections included
    sections: int = 0
    dwarf5: bool = False  # its debug information has sections that came with DWARF 5
    shared: int = 0  # entries of .symtab that are not local: nm prints every one
    spans: Tuple[Span, ...] = ()  # of sections with code
    debug: int = 0  # bytes of debug information, relocations left out
    debug_relocated: int = 0  # bytes of those of its sections that have relocations


def is_refusal(message: str) -> bool:
    """Whether readelf says that a file is no ELF file."""
    return _REFUSAL.search(message) is not None


def is_whole(text: str) -> bool:
    """Whether ``readelf -W -h -n -S`` printed all sections that the header counts, and its last line to the end.

    Sample: "  Number of section headers:         82".
    """
    counted = re.search(r"^ *Number of section headers: +(\d+)", text, re.M)
    listed = len(re.findall(r"^ *\[ *\d+\] ", text, re.M))
    return text.endswith("\n") and counted is not None and listed >= int(counted[1])


def parse(text: str) -> Optional[Elf]:
    """The facts, or None when the text is not that of an ELF file. Sample lines (binutils 2.40)::

    Type:                              EXEC (Executable file)
    Machine:                           Advanced Micro Devices X86-64
    [ 1] .text             PROGBITS        ffffffff81000000 200000 e01ef2 00  AX  0   0 4096
      Build ID: 4f61d8f6405b1c6eed15a7a3e2e27067394202d3
    """
    # "File: vmlinux(/root/secret.o)": an archive, whose members may be files anywhere
    if re.match(r"\s*File: ", text):
        return None
    machine = re.search(r"^ *Machine: +(.+?)\s*$", text, re.M)
    if not machine:
        return None
    kind = re.search(r"^ *Type: +(\w+)", text, re.M)
    build_id = re.search(r"Build ID: ([0-9a-f]+)", text)
    sections = dict(re.findall(r"^ *\[ *\d+\] (\.\S+) +(\w+)", text, re.M))
    # "[79] .symtab  SYMTAB  0000000000000000 101c3230 2b8318 18     80 92023  8": bytes, of each entry, …, local ones
    table = re.search(
        r"^ *\[ *\d+\] \.symtab +SYMTAB +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+) +\d+ +(\d+)", text, re.M
    )
    entry = int(table[2], 16) if table else 0
    debug = {
        name: int(size, 16)
        for name, size in re.findall(
            r"^ *\[ *\d+\] (\.z?debug_\S+) +PROGBITS +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)", text, re.M
        )
    }
    symbols = int(table[1], 16) // entry if table and entry else None
    return Elf(
        machine=_MACHINES.get(machine[1], machine[1]),
        relocatable=bool(kind and kind[1] == "REL"),
        build_id=build_id[1] if build_id else None,
        has_symbols=".symtab" in sections,
        has_lines=any(name in sections for name in (".debug_line", ".zdebug_line")),
        has_code=any(kind == "PROGBITS" for name, kind in sections.items() if name.startswith((".text", ".init.text"))),
        symbols=symbols,
        sections=len(re.findall(r"^ *\[ *\d+\] ", text, re.M)),
        dwarf5=any(name in sections for name in (".debug_line_str", ".debug_rnglists", ".debug_loclists")),
        shared=max(0, symbols - int(table[3])) if table and symbols else 0,
        debug=sum(debug.values()),
        debug_relocated=sum(size for name, size in debug.items() if f".rela{name}" in sections),
        spans=tuple(
            Span(name, int(start, 16), int(start, 16) + int(size, 16))
            for name, start, size in re.findall(
                r"^ *\[ *\d+\] (\S+) +\w+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ +[A-Z]*X", text, re.M
            )
        ),
    )


def sections(text: str) -> Tuple[str, ...]:
    """The names of the sections in the output of ``readelf -W -S``. Sample (binutils 2.40)::

    [38] runtime_ptr_dentry_hashtable PROGBITS        ffffffff836ca578 2aca578 000014 00   A  0   0  1
    """
    return tuple(re.findall(r"^ *\[ *\d+\] (\S+) +[A-Z]+", text, re.M))
