"""The bytes of the log's "Code:" line as instructions, with no debuginfo at all: objdump -D -b binary."""

import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.errors import ToolFailed
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.model.log import Code, Frame
from kdumpwrap.parse import objdump as parser
from kdumpwrap.regex import regex
from kdumpwrap.tools.argv import Word, options
from kdumpwrap.tools.recording import wrote
from kdumpwrap.tools.run import run

_TIMEOUT = 20.0  # seconds; objdump needs 3 ms for 64 bytes
_REACH = 4096  # bytes decoded on either side of the trap: "code_bytes=" on the kernel's command line goes to 8192
_LONGEST = 15  # bytes of the longest x86 instruction
_MASK = (1 << 64) - 1


class _Machine(NamedTuple):
    """The options that tell objdump what the bytes are."""

    options: Tuple[Word, ...]  # "-m …", and the byte order
    step: int  # instructions start at multiples of this many bytes
    padding: bytes  # a short instruction that does nothing


_MACHINES = {
    "x86_64": _Machine(options("-m i386:x86-64"), 1, b"\x90"),
    "i386": _Machine(options("-m i386"), 1, b"\x90"),
    "aarch64": _Machine(options("-m aarch64 -EL"), 4, bytes.fromhex("1f2003d5")),
    "ppc64le": _Machine(options("-m powerpc:common64 -EL"), 4, bytes.fromhex("00000060")),
    "s390x": _Machine(options("-m s390:64-bit -EB"), 2, bytes.fromhex("0707")),
    "arm": _Machine(options("-m arm -EL"), 4, bytes.fromhex("00f020e3")),
    "riscv64": _Machine(options("-m riscv:rv64 -EL"), 2, bytes.fromhex("0100")),
}

# the last operand is a place: "jne 0xfffffffffffffff8", "cbz x0, 0x40", "beq cr7,0x18", "brasl %r14,0x5348"
_PLACE = regex(r"(?P<before>^[^ ]+(?: .*)?[ ,])(?P<place>0x[0-9a-f]+)$")
# x86 also prints a bare number for memory at a fixed address ("mov %eax,0x1234"): only these name a place
_X86_BRANCH = regex(r"^(?:(?:bnd|notrack|data16|repz|repnz|cs|ds) ){0,4}(?:call|jmp|j[a-z]+|loop|xbegin)")

# x86 instructions that a kernel's compiler does not write; bytes taken from the middle of others often read like these
_ODD = regex(
    r"^(?:in |out |ins|outs|loop|enter|leave|hlt|cli|sti|iret|lret|ljmp|lcall|les|fs |f[a-z]+ |xlat|cmc|stc|std|int |"
    r"scas|lods|cwtl|[sl]ahf|jrcxz|j[op] |jn[op] |rex|p(?:op|ush) %rsp|add %[a-d][lh],|add \$0x0,|"
    r"and \$0x[0-9a-f]+,%al|(?:adc|sbb|rc[lr]|ro[lr])[bwlq]? )"
)


def decode(
    code: Code, arch: str, symbol_base: Optional[int], frame: Frame, objdump: str = "objdump"
) -> Tuple[Instruction, ...]:
    """The instructions in ``code``, that at the instruction pointer marked ``fault``; () without bytes.

    An instruction starts at the trap byte. Those before it are read from the place from which the decoding
    falls on the trap (and on the function's first byte, when the bytes reach back that far). An instruction
    that the end of the bytes cuts is left out.

    Addresses count from ``symbol_base`` (the start of the frame's function), else are those that the log
    printed, else are offsets in the function: instructions before the function have none and are left out.
    Targets of branches read ``iptunnel_xmit+0x1f0``, outside of the function too: the distance is what the
    bytes say.

    Raises ToolMissing without an objdump, ToolFailed for one that does not know ``arch``.
    """
    machine = _MACHINES.get(arch)
    if machine is None:
        raise ToolFailed(f"code of {arch} cannot be decoded here")
    if Path(objdump).name.startswith("llvm-"):  # it reads object files alone, no bare bytes
        raise ToolFailed(f"no objdump of binutils here knows {arch}, to read the bytes of the Code: line")
    if not 0 <= code.trap < len(code.data):
        return ()
    first = max(0, code.trap - _REACH)
    first += (code.trap - first) % machine.step
    data = code.data[first : code.trap + _REACH]
    trap = code.trap - first
    entry = trap - frame.offset if frame.offset is not None and 0 < frame.offset <= trap else None
    base = _base(symbol_base, frame)
    origin = base + (frame.offset or 0) - trap  # address of data[0]
    instructions = []
    for piece in _decoded(data, trap, entry, machine, objdump):
        address = origin + piece.start
        if address < 0:
            continue
        text = piece.text
        if piece.target is not None:
            text += _place(origin + piece.target, base, frame.symbol)
        instructions.append(Instruction(address, data[piece.start : piece.stop], text, fault=piece.start == trap))
    return tuple(instructions)


class _Piece(NamedTuple):
    """One instruction; places count in bytes from the start of the data."""

    start: int
    stop: int
    text: str  # up to the target, if there is one
    target: Optional[int]


def _decoded(data: bytes, trap: int, entry: Optional[int], machine: _Machine, objdump: str) -> Tuple[_Piece, ...]:
    """``data`` as instructions, one of which starts at ``trap`` and, if given, one at ``entry``.

    All possible starts go to objdump in one file, each in a copy of its own with no-ops round it.
    """
    unsure = 1 if machine.step == 4 else _LONGEST  # words of four bytes start nowhere else
    segments = [(0, trap, unsure)] if entry is None else [(0, entry, unsure), (entry, trap, 1)]
    tries: List[List[Tuple[int, int]]] = [  # for each piece that must end at a known place: from where to where
        [(start, end) for start in range(begin, min(begin + reach, end), machine.step)]
        for begin, end, reach in segments
    ]
    tries.append([(trap, len(data))])
    pad = machine.padding * (16 // len(machine.padding))
    blob, starts = bytearray(pad), {}
    for start, end in (copy for copies in tries for copy in copies):
        starts[start, end] = len(blob)
        blob += data[start:end] + b"\0" * (-(end - start) % machine.step) + pad
    listing = _listing(bytes(blob), machine, objdump)
    done = {copy: _pieces(listing, place, copy, machine.step == 1) for copy, place in starts.items()}
    parts: List[_Piece] = []
    for copies in tries[:-1]:
        parts += _agreed([done[copy] for copy in copies], copies[0][1] if copies else 0)
    return (*parts, *(piece for piece in done[trap, len(data)] if piece.stop <= len(data)))


def _pieces(listing: Dict[int, Instruction], place: int, copy: Tuple[int, int], x86: bool) -> Tuple[_Piece, ...]:
    """The instructions of the copy of data[start:end] that stands at ``place`` in the listing."""
    at, end = copy
    shift = at - place
    pieces = []
    while at < end and at - shift in listing:
        row = listing[at - shift]
        stop = at + len(row.data)
        found = _PLACE.match(row.text)
        if found and (not x86 or _X86_BRANCH.match(row.text)):
            target = int(found["place"], 16)
            target -= (target >> 63) << 64  # a place before the file's start is printed as 0xffff…
            pieces.append(_Piece(at, stop, found["before"], target + shift))
        else:
            pieces.append(_Piece(at, stop, row.text, None))
        at = stop
    return tuple(pieces)


def _agreed(candidates: Sequence[Tuple[_Piece, ...]], end: int) -> Tuple[_Piece, ...]:
    """Of the decodings of one piece the likeliest that ends at ``end``; () when none does.

    That is the longest of those with the fewest instructions at their start that no compiler writes. In 600 windows of
    a kernel's text 0.2 % of the instructions before the trap were wrong, and none after it.
    """
    good = [pieces for pieces in candidates if pieces and pieces[-1].stop == end and not _bad(pieces)]
    if len(good) < 2:
        return good[0] if good else ()
    best = min(good, key=lambda pieces: (sum(_is_odd(piece) for piece in pieces[:6]), pieces[0].start))
    seen = [piece.start for pieces in good for piece in pieces]
    start = next((at for at, piece in enumerate(best) if seen.count(piece.start) > 1), 0)
    return best[start:]  # what one start alone supports is left out


def _is_odd(piece: _Piece) -> bool:
    return _ODD.match(piece.text) is not None


def _bad(pieces: Sequence[_Piece]) -> bool:
    return any("(bad)" in piece.text or piece.text.startswith(".") for piece in pieces)


def _listing(blob: bytes, machine: _Machine, objdump: str) -> Dict[int, Instruction]:
    """The instruction at each address of ``blob``, by objdump."""
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-") as directory:
        path = Path(directory, "code")
        path.write_bytes(blob)
        wrote(path, blob)
        output = run(
            objdump, [*options("-D -z -b binary"), *machine.options, path], timeout=_TIMEOUT, package="binutils"
        )
    rows = parser.parse(output.text, little_endian_words="-EB" not in machine.options)
    if not rows:
        raise ToolFailed(f"{objdump} printed no instruction for the bytes of the Code: line")
    return {row.address: row for row in rows}


def _base(symbol_base: Optional[int], frame: Frame) -> int:
    """The address of the frame's function; 0 when it is not known."""
    if symbol_base is not None:
        return symbol_base
    if frame.runtime is not None:
        return frame.runtime - (frame.offset or 0)
    return 0


def _place(address: int, base: int, symbol: Optional[str]) -> str:
    """``iptunnel_xmit+0x1f0``; the address alone when the function has no name."""
    if symbol is None:
        return f"{address & _MASK:#x}"
    distance = address - base
    return f"{symbol}{'-' if distance < 0 else '+'}{abs(distance):#x}"
