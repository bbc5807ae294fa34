"""The register dump of an oops, of any architecture."""

from typing import List, Optional, Tuple

from kdumpwrap.regex import regex

Values = List[Tuple[str, int]]

# RAX: 0000000000000000 RBX: ffff…     RSP: 0018:ffffa2b8c773f9d0 EFLAGS: 00010246     CS:  0010 DS: 0000     EAX: c0…
_X86 = regex(
    r"(?P<name>R(?:[ABCD]X|[SD]I|[BS]P|\d{1,2})|E(?:[ABCD]X|[SD]I|[BS]P)|EFLAGS|CR[0-8]|DR[0-7]|[CDEFGS]S|knlGS|PKRU|"
    r"ORIG_RAX):\s{0,4}(?:[0-9a-f]{4}:)?(?P<value>[0-9a-f]{16}|[0-9a-f]{8}|[0-9a-f]{4})(?=[ (]|$)"
)
# x29: ffff800008233b50 x28: ffff6e308300a080     sp : ffff800008233b50     pstate: 60000005     r10: 00000000
_ARM = regex(
    r"(?<!\w)(?P<name>x\d{1,2}|r\d{1,2}|sp|fp|ip|sl|pc|lr|pstate|psr)\s{0,2}: "
    r"(?:\[<)?(?P<value>[0-9a-f]{8,16})(?=[ >(]|$)"
)
# GPR00: c008000000590b5c c000000005ae3960 c0080000005c8100 0000000000000000
_POWER = regex(r"GPR(?P<first>\d\d): ?(?P<values>[0-9a-f ]{16,72})$")
# CFAR: c008000000590b58 DAR: 000000000000001c DSISR: 40000000 IRQMASK: 0
_POWER_NAMED = regex(r"(?P<name>CFAR|DAR|DSISR|MSR|CR|XER|CTR|LR|NIP|TRAP): {1,2}(?P<value>[0-9a-f]{4,16})(?=[ <]|$)")
# Krnl GPRS: 0000000000000000 0000000000000000 …    (three more lines without the title)
_S390 = regex(r"(?:(?P<title>Krnl GPRS:)|\s)\s*(?P<values>(?:[0-9a-f]{16}\s?){4})\s*$")
# epc : ffffffff80012345 ra : ffffffff80012344 sp : ff20…  gp : …  t0 : …  status: … badaddr: … cause: …
_RISCV = regex(
    r"(?<!\w)(?P<name>epc|ra|sp|gp|tp|s\d{1,2}|t\d|a\d|status|badaddr|cause) ?: (?P<value>[0-9a-f]{8,16})(?=\s|$)"
)


def parse(text: str, known: int) -> Optional[Values]:
    """Names (lower case) and values in ``text``; None when it is no register line.

    ``known`` says how many are known so far, for s390's lines that have no names.
    """
    if text.startswith("GPR"):
        match = _POWER.match(text.rstrip())
        if match:
            first = int(match["first"])
            return [(f"r{first + i}", int(word, 16)) for i, word in enumerate(match["values"].split())]
        return None
    if ":" not in text:
        match = _S390.match(text) if 0 < known < 16 else None
        return [(f"r{known + i}", int(word, 16)) for i, word in enumerate(match["values"].split())] if match else None
    if text.startswith("Krnl GPRS:"):
        match = _S390.match(text)
        return [(f"r{i}", int(word, 16)) for i, word in enumerate(match["values"].split())] if match else None
    for pattern in (_X86, _POWER_NAMED, _ARM, _RISCV):
        match = pattern.match(text.lstrip())
        if match:
            return [(m["name"].lower(), int(m["value"], 16)) for m in pattern.finditer(text)]
    return None
