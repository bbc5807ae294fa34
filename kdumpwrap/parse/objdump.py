"""Instructions as ``objdump -d -l`` prints them."""

from typing import List, Optional, Tuple

from kdumpwrap.model.kernel import Instruction, Relocation
from kdumpwrap.parse.addr2line import place
from kdumpwrap.regex import regex

# "ffffffff81898d7d:\t48 83 40 10 01       \taddq   $0x1,0x10(%rax)"     x86: bytes
# "ffff800008a1c2b8:\tf9400c20 \tldr\tx0, [x1, #24]"                      aarch64, ppc64le: words
# "ffffffff81898d79:\t7e "                                                 the rest of a long one
# "ffff800008a65490: 1f 20 03 d5  \tnop"                                  llvm-objdump: bytes, blanks
_INSTRUCTION = regex(
    r"^\s*(?P<address>[0-9a-f]+):[ \t]+(?P<bytes>(?:(?:[0-9a-f]{2}){1,4} )*(?:[0-9a-f]{2}){1,4})\s*(?:\t(?P<text>.*))?$"
)
# "\t\t\t71: R_X86_64_PLT32\t__fentry__-0x4"
_RELOCATION = regex(r"^\s+(?P<address>[0-9a-f]+): +(?P<type>R_\w+)\s+(?P<target>\S+)")
# "/usr/src/debug/…/include/net/ip_tunnels.h:462 (discriminator 3)", llvm-objdump's "; /usr/src/…:462"
_PLACE = regex(r"^(?:; )?(?P<place>\S.*:\d+(?: \(discriminator \d+\))?)$")
_MAX_X86 = 15  # bytes: the longest instruction there is


def parse(text: str, *, little_endian_words: bool = True) -> Tuple[Instruction, ...]:
    """The instructions in the order printed, each with file and line where ``-l`` gave them.

    Words of four bytes (aarch64, ppc64le) are printed as numbers: they are turned into memory order.
    """
    rows: List[Instruction] = []
    file: Optional[str] = None
    line: Optional[int] = None
    records: List[Relocation] = []  # of the last row
    for row in text.splitlines():
        match = _INSTRUCTION.match(row)
        if match:
            data = _bytes(match["bytes"], little_endian_words)
            address = int(match["address"], 16)
            if records:
                rows[-1] = rows[-1]._replace(relocations=tuple(records))
                records = []
            if match["text"] is None and rows and address == rows[-1].address + len(rows[-1].data):
                rows[-1] = rows[-1]._replace(data=rows[-1].data + data)
                continue
            words, comment = _words(match["text"] or "")
            rows.append(Instruction(address, data, words, file, line, comment=comment))
        elif row[:1].isspace():
            relocation = _RELOCATION.match(row)
            if relocation and rows:
                records.append(Relocation(int(relocation["address"], 16), relocation["type"], relocation["target"]))
        else:
            named = _PLACE.match(row)
            if named:
                found = place(named["place"])
                file, line = (found[0] or None), (found[1] or None)
            elif row.endswith(">:"):
                file = line = None  # a new function: the line before is not its line
    if records:
        rows[-1] = rows[-1]._replace(relocations=tuple(records))
    return tuple(rows)


def unknown_architecture(text: str) -> bool:
    """Whether objdump cannot read this machine's code: "can't disassemble for architecture UNKNOWN!"."""
    return "architecture UNKNOWN" in text


def _bytes(text: str, little_endian: bool) -> bytes:
    words = text.split()
    if little_endian and any(len(word) > 2 for word in words):
        return b"".join(bytes.fromhex(word)[::-1] for word in words)
    return bytes.fromhex("".join(words))


def _words(text: str) -> Tuple[str, Optional[str]]:
    """``addq $0x1,0x10(%rax)`` and what stands behind ``#``; aarch64 writes its comments behind ``//``."""
    for mark in (" # ", "\t# ", "\t// ", " // "):
        text, found, comment = text.partition(mark)
        if found:
            return " ".join(text.split()), comment.strip()
    return " ".join(text.split()), None
