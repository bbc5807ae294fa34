"""The effect of one instruction: its operands, its memory accesses, its kind."""

from typing import List, NamedTuple, Optional, Tuple

from kdumpwrap.literal import Literal

Accessed = Literal["read", "write", "read-write"]
OperationKind = Literal["call", "jump", "branch", "return", "trap", "divide", "other"]


class Memory(NamedTuple):
    """A memory operand: base + index * scale + displacement."""

    text: str  # as printed: "0x18(%rax)", "[x1, #24]"
    access: Accessed
    size: Optional[int]  # bytes
    base: Optional[str] = None  # as the log names registers: "rax", "x1", "r9"
    indexed: Optional[str] = None
    scale: int = 1
    displacement: int = 0
    segment: Optional[str] = None  # "gs"
    implied: bool = False  # not printed: the stack that push and call write to


class Operation(NamedTuple):
    """One parsed instruction. What is not known is None or empty."""

    mnemonic: str
    operands: Tuple[str, ...]
    memory: Tuple[Memory, ...] = ()
    sets: Optional[str] = None  # the register that gets the result
    uses: Tuple[str, ...] = ()  # the other registers that it reads
    kind: OperationKind = "other"  # a "jump" is always taken, a "branch" on a condition
    target: Optional[int] = None  # address that a direct call, jump or branch goes to
    divisor: Optional[str] = None  # the operand that "divide" divides by


def split(text: str) -> Tuple[str, ...]:
    """The operands in ``text``, split at the commas outside of brackets."""
    parts: List[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth = max(depth - 1, 0)
        elif char == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return tuple(part for part in parts if part)


def number(text: str) -> Optional[int]:
    """``0x18``, ``-8``, ``#24``, ``$0x1``; None for anything else."""
    text = text.lstrip("#$")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if len(digits) > 20 or max(digits, default="") > "\x7f":
        return None
    try:
        return sign * int(digits, 0 if digits.startswith("0x") else 10)
    except ValueError:
        return None


def place(text: str) -> Optional[int]:
    """``ffffffff818a7033 <iptunnel_xmit+0x133>`` and ``0x1f0``: the address; None for anything else."""
    word, _, _ = text.partition(" ")
    word = word[2:] if word.startswith("0x") else word
    if not word or len(word) > 16 or any(char not in "0123456789abcdef" for char in word):
        return None
    return int(word, 16)
