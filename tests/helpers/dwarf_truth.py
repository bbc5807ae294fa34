"""What LLVM and binutils read of the variables at an address of a vmlinux: the truth for what gdb is asked.

The DIEs are those of ``llvm-dwarfdump --debug-info --show-children``, the frame's address that of
``readelf --debug-dump=frames-interp``; an expression of DWARF is computed here, with made-up registers.
"""

import operator
import re
import subprocess
from bisect import bisect_right
from collections import defaultdict
from functools import reduce
from pathlib import Path
from random import Random
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from kdumpwrap.model import scope
from kdumpwrap.tools import gdb

MASK = (1 << 64) - 1
# the numbers of DWARF (System V ABI for AMD64, 3.6.2)
NAMES = "rax rdx rcx rbx rsi rdi rbp rsp r08 r09 r10 r11 r12 r13 r14 r15".split()
# "0x087906e2:     DW_TAG_formal_parameter", "           DW_AT_name	("sk")", "    [0xff…f00, 0xff…f28): DW_OP_reg5 RDI"
DIE = re.compile(r"^0x(?P<at>[0-9a-f]+): (?P<indent> *)(?P<tag>DW_TAG_\w+|NULL)")
ATTRIBUTE = re.compile(r"^ +DW_AT_(?P<name>\w+)\t\((?P<value>.*)")
RANGE = re.compile(r"\[0x(?P<low>[0-9a-f]+), 0x(?P<high>[0-9a-f]+)\)(?:: (?P<what>.*?))?\)?$")
QUOTED = re.compile(r'"(?P<name>[^"]*)"')
# "DW_OP_breg3 RBX+8", "DW_OP_const1u 0xff", "DW_OP_fbreg -72"
OPERATION = re.compile(r"^DW_OP_(?P<name>[a-z_]+)(?P<number>\d*)(?P<letter>[us]?)(?: (?P<rest>.*))?$")
# "00000030 000000000000002c 00000000 FDE cie=00000000 pc=ffffffff81001b60..ffffffff81001bdc"
FDE = re.compile(r"FDE cie=\S+ pc=(?P<low>[0-9a-f]+)\.\.(?P<high>[0-9a-f]+)")
ROW = re.compile(r"^(?P<at>[0-9a-f]{16}) (?P<register>r\w+)\+(?P<offset>\d+)")

Value = Union[int, str, None]  # a number; why there is none that could be compared; optimised out or in memory


class Variable(NamedTuple):
    """A variable at an address."""

    function: str
    name: str
    where: str  # the expression of DWARF
    value: Value


class Die:
    """One entry with its attributes and its children."""

    def __init__(self, at: int, tag: str) -> None:
        self.at = at
        self.tag = tag
        self.attributes: Dict[str, str] = {}
        self.ranges: Dict[str, List[Tuple[int, int, str]]] = {}
        self.children: List["Die"] = []

    def code(self) -> List[Tuple[int, int]]:
        """The addresses that it covers."""
        if "ranges" in self.ranges:
            return [(low, high) for low, high, _ in self.ranges["ranges"]]
        low, high = self.attributes.get("low_pc"), self.attributes.get("high_pc")
        return [(number(low), number(high))] if low and high else []

    def covers(self, address: int) -> bool:
        return any(low <= address < high for low, high in self.code())


def number(text: str) -> int:
    return int(text.split(maxsplit=1)[0].rstrip("):"), 0)


class Unit:
    """The compilation unit in which an address lies."""

    def __init__(self, vmlinux: Path, address: int) -> None:
        found = _run("llvm-dwarfdump", f"--lookup={address:#x}", str(vmlinux))
        top = next((line for line in found.splitlines() if "DW_TAG_compile_unit" in line), None)
        self.dies: Dict[int, Die] = {}
        self.top: Optional[Die] = None
        self.enumerators: Dict[str, int] = {}
        if top is not None:
            offset = top.partition(":")[0]
            self._read(_run("llvm-dwarfdump", f"--debug-info={offset}", "--show-children", str(vmlinux)))

    def _read(self, text: str) -> None:
        above: List[Tuple[int, Die]] = []
        die: Optional[Die] = None
        last = ""
        for line in text.splitlines():
            match = DIE.match(line)
            if match:
                depth = len(match["indent"])
                while above and above[-1][0] >= depth:
                    above.pop()
                die = Die(int(match["at"], 16), match["tag"])
                self.dies[die.at] = die
                if above:
                    above[-1][1].children.append(die)
                self.top = self.top or die
                above.append((depth, die))
                continue
            attribute = ATTRIBUTE.match(line)
            if die is None:
                continue
            if attribute:
                last = attribute["name"]
                die.attributes[last] = attribute["value"].rstrip(")") if last != "location" else attribute["value"][:-1]
            elif last in ("ranges", "location"):
                span = RANGE.search(line)
                if span:
                    die.ranges.setdefault(last, []).append(
                        (int(span["low"], 16), int(span["high"], 16), span["what"] or "")
                    )

        for die in self.dies.values():
            if die.tag == "DW_TAG_enumerator":
                self.enumerators[self.name(die)] = number(die.attributes["const_value"]) % (1 << 32)

    def functions(self) -> List[Die]:
        """Those that have code."""
        return [die for die in self.top.children if die.tag == "DW_TAG_subprogram" and die.code()] if self.top else []

    def name(self, die: Die) -> str:
        for key in ("name", "abstract_origin"):
            found = QUOTED.search(die.attributes.get(key, ""))
            if found:
                return found["name"]
        return "?"

    def frames(self, address: int) -> List[List[Die]]:
        """The function at ``address`` and those inlined there, innermost first; of each the blocks, innermost first."""
        path: List[Die] = []
        below = next((die for die in self.functions() if die.covers(address)), None)
        while below is not None:
            path.insert(0, below)
            below = next((die for die in below.children if die.tag in _BLOCKS and die.covers(address)), None)
        frames: List[List[Die]] = [[]]
        for die in path:
            frames[-1].append(die)
            if die.tag != "DW_TAG_lexical_block":
                frames.append([])
        return frames[:-1]

    def variables(self, address: int, registers: Mapping[str, int], frame: Optional[int]) -> Iterator[Variable]:
        """Each argument and local at ``address``; those that an inner block hides are left out."""
        for blocks in self.frames(address):
            function = self.name(blocks[-1])
            seen = set()
            for die in (die for block in blocks for die in block.children if die.tag in _VARIABLES):
                name = self.name(die)
                if name in seen:
                    continue
                where = self._where(die, address)
                if where.startswith("DW_OP_addr") and "stack_value" not in where:
                    continue  # a static one
                seen.add(name)
                yield Variable(function, name, where, computed(where, registers, frame))

    def _where(self, die: Die, address: int) -> str:
        if "location" in die.ranges:
            spans = die.ranges["location"]
            within = [what for low, high, what in spans if low <= address < high]
            # an empty range is of a view: where a function is entered gdb takes it, and no instruction ran in between
            views = [what for low, high, what in spans if low == high == address]
            return (within or views or [""])[0]
        for one in (die, self.dies.get(_reference(die.attributes.get("abstract_origin", "")))):
            if one is not None and "const_value" in one.attributes:
                return f"DW_OP_const {one.attributes['const_value']}, DW_OP_stack_value"
        return die.attributes.get("location", "")


_BLOCKS = ("DW_TAG_lexical_block", "DW_TAG_inlined_subroutine")
_VARIABLES = ("DW_TAG_formal_parameter", "DW_TAG_variable")
_BINARY: Dict[str, Callable[[int, int], int]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "mul": operator.mul,
    "mod": operator.mod,  # of numbers without a sign, unlike div (DWARF 5, 2.5.1.4)
    "shl": lambda a, b: a << b if b < 64 else 0,
    "shr": lambda a, b: a >> b if b < 64 else 0,
    "shra": lambda a, b: _signed(a) >> min(b, 63),
    "eq": lambda a, b: int(_signed(a) == _signed(b)),
    "ne": lambda a, b: int(_signed(a) != _signed(b)),
    "lt": lambda a, b: int(_signed(a) < _signed(b)),
    "gt": lambda a, b: int(_signed(a) > _signed(b)),
    "le": lambda a, b: int(_signed(a) <= _signed(b)),
    "ge": lambda a, b: int(_signed(a) >= _signed(b)),
}


def _reference(text: str) -> int:
    return int(text.split(maxsplit=1)[0], 16) if text.startswith("0x") else -1


def _signed(value: int) -> int:
    return (value & MASK ^ 1 << 63) - (1 << 63)


def computed(where: str, registers: Mapping[str, int], frame: Optional[int]) -> Value:
    """The value that the expression ``where`` gives; None where it is optimised out or in memory."""
    if not where:
        return None
    stack: List[int] = []
    operations = where.split(", ")
    if len(operations) == 1 and re.match(r"DW_OP_reg\d", where):
        return registers[NAMES[int(re.sub(r"\D*(\d+).*", r"\1", where, count=1))]]
    if operations[-1] != "DW_OP_stack_value" and not where.startswith("DW_OP_implicit_value"):
        return "pieces" if "piece" in where else None
    if operations[0].startswith("DW_OP_implicit_value"):
        data = operations[0].split()[2:]
        return int.from_bytes(bytes(int(byte, 16) for byte in data), "little")
    unsigned = False  # of the type that the last DW_OP_convert named
    skipped = 0  # operations of one byte
    for text in operations[:-1]:
        if skipped:
            skipped -= 1
            continue
        if text.startswith(("DW_OP_entry_value", "DW_OP_deref")):
            return None  # there is no caller, and no memory
        match = OPERATION.match(text)
        if match is None:
            return f"not computed: {text}"
        name, rest = match["name"], match["rest"] or ""
        if name == "breg":
            stack.append(registers[NAMES[int(match["number"])]] + int(rest[re.search(r"[+-]", rest).start() :], 0))  # type: ignore[union-attr]
        elif name == "fbreg":
            if frame is None:
                return "no frame"
            stack.append(frame + int(rest, 0))
        elif name == "lit":
            stack.append(int(match["number"]))
        elif name in ("const", "consts", "constu", "addr"):
            stack.append(number(rest))
        elif name == "plus_uconst":
            stack.append(stack.pop() + number(rest))
        elif name == "not":
            stack.append(~stack.pop())
        elif name == "neg":
            stack.append(-stack.pop())
        elif name == "dup":
            stack.append(stack[-1])
        elif name == "over":
            stack.append(stack[-2])
        elif name == "drop":
            stack.pop()
        elif name == "swap":
            stack[-2:] = reversed(stack[-2:])
        elif name == "bra":
            skipped = int(rest) if stack.pop() else 0
        elif name == "convert" and (rest == "0x0" or "long" in rest):  # as wide as the stack
            unsigned = "unsigned" in rest
        elif name == "div":
            second, first = stack.pop(), stack.pop()
            if not unsigned:
                first, second = _signed(first), _signed(second)
            quotient = abs(first) // abs(second)  # DWARF's division drops the fraction, Python's rounds down
            stack.append(quotient if (first < 0) == (second < 0) else -quotient)
        elif name in _BINARY:
            second, first = stack.pop(), stack.pop()
            stack.append(_BINARY[name](first, second))
        else:
            return f"not computed: {text}"
        stack[-1] &= MASK
    return stack[-1]


class Frames:
    """The canonical frame address at any instruction, from the call frame information."""

    def __init__(self, vmlinux: Path) -> None:
        text = _run("readelf", "--debug-dump=frames-interp", str(vmlinux))
        found = sorted((int(match["low"], 16), int(match["high"], 16), match.end()) for match in FDE.finditer(text))
        self._text = text
        self._starts = [low for low, _, _ in found]
        self._entries = found

    def address(self, at: int, registers: Mapping[str, int]) -> Optional[int]:
        place = bisect_right(self._starts, at) - 1
        if place < 0 or at >= self._entries[place][1]:
            return None
        body = self._text[self._entries[place][2] :].partition("\n\n")[0] if place >= 0 else ""
        rows = [match for match in map(ROW.match, body.splitlines()) if match and int(match["at"], 16) <= at]
        if not rows:
            return None
        return (registers[rows[-1]["register"]] + int(rows[-1]["offset"])) & MASK


def instructions(vmlinux: Path, low: int, high: int) -> List[int]:
    """The addresses of the instructions from ``low`` to ``high``."""
    text = _run(
        "objdump", "-d", "--no-show-raw-insn", f"--start-address={low:#x}", f"--stop-address={high:#x}", str(vmlinux)
    )
    return [int(line.partition(":")[0], 16) for line in text.splitlines() if re.match(r"^[0-9a-f]+:\t", line)]


def symbols_of(vmlinux: Path) -> List[Tuple[int, str, str]]:
    """Address, kind and name of each symbol."""
    rows = (line.split() for line in _run("nm", "-n", str(vmlinux)).splitlines())
    return [(int(row[0], 16), row[1], row[2]) for row in rows if len(row) == 3]


def _run(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()


class Difference(NamedTuple):
    """Something that was said and that is not the truth."""

    address: int
    said: scope.Variable
    truth: List[Variable]  # of that function and name


class Comparison(NamedTuple):
    """What came of comparing what gdb said of some addresses."""

    addresses: int
    pairs: int  # variables with a value, or a register, that is the truth
    differences: List[Difference]
    unsaid: int  # variables whose value LLVM's text gives, and of which nothing was said


def addresses(vmlinux: Path, count: int, chance: Random, of_unit: int = 20) -> Iterator[Tuple[Unit, List[int]]]:
    """Random instructions, ``of_unit`` of each of some random compilation units: LLVM is asked once for a unit."""
    symbols = [at for at, kind, name in symbols_of(vmlinux) if kind in "tT" and not name.startswith("__pfx_")]
    while count > 0:
        unit = Unit(vmlinux, chance.choice(symbols))
        known = unit.functions()
        if not known:
            continue
        rows = [
            at
            for die in chance.choices(known, k=-(-of_unit // 4))
            for low, high in die.code()[:1]
            for at in chance.choices(instructions(vmlinux, low, high) or [low], k=4)
        ]
        yield unit, rows[: min(of_unit, count)]
        count -= of_unit


def compare(vmlinux: Path, count: int, chance: Random, directory: Path) -> Comparison:
    """What gdb says of ``count`` random instructions with made-up registers, against the truth."""
    frames = Frames(vmlinux)
    values = {name: chance.getrandbits(64) for name in NAMES}
    units = list(addresses(vmlinux, count, chance))
    places = [(unit, at) for unit, rows in units for at in rows]
    asked = [scope.Question(None, at, tuple(values.items())) for _, at in places]
    found = gdb.ask(gdb.File(vmlinux, "x86_64", False, "readelf"), asked, directory)
    symbols: Dict[str, List[int]] = defaultdict(list)  # several are called __func__.1
    for at, _, name in symbols_of(vmlinux):
        symbols[name].append(at)
    pairs, unsaid, differences = 0, 0, []
    for (unit, at), answer in zip(places, found):
        truth = list(unit.variables(at, values, frames.address(at, values)))
        told = answer.variables if answer is not None else ()
        for one in told:
            same = [known for known in truth if (known.function, known.name) == (one.function, one.name)]
            if any(agrees(one, known, symbols, unit.enumerators) for known in same):
                pairs += 1
            else:
                differences.append(Difference(at, one, same))
        names = {(one.function, one.name) for one in told}
        unsaid += sum(isinstance(one.value, int) and (one.function, one.name) not in names for one in truth)
    return Comparison(len(places), pairs, differences, unsaid)


def agrees(
    said: scope.Variable, truth: Variable, symbols: Mapping[str, Sequence[int]], enumerators: Mapping[str, int]
) -> bool:
    """Whether register and value are what the expression gives."""
    plain = re.match(r"^DW_OP_reg(\d+) \w+$", truth.where)
    if plain and (said.register, said.added) != (NAMES[int(plain[1])], 0):
        return False
    if not isinstance(truth.value, int):
        return False
    if said.value in ("true", "false"):
        return (said.value == "true") == bool(truth.value & 0xFF)
    if said.value.startswith("&"):
        name, _, offset = said.value[1:].partition("+")
        return any(at + int(offset or "0") == truth.value for at in symbols.get(name, ()))
    if re.match(r"^-?\d+$|^0x", said.value):
        difference = int(said.value, 0) - truth.value
        widths = (64,) if said.type.endswith("*") else (64, 32, 16, 8)
        return any(difference % (1 << width) == 0 for width in widths)
    known = {**enumerators, **{word: int(word, 16) for word in re.findall(r"0x[0-9a-f]+", said.value)}}
    names = re.findall(r"\b(?!unknown:)\w+", said.value)  # "BPF_READ", "(BPF_READ | unknown: 0xe2f93908)"
    return reduce(operator.or_, (known.get(name, -1) for name in names)) == truth.value % (1 << 32)


if __name__ == "__main__":
    import sys
    import tempfile

    seed = int(sys.argv[3]) if len(sys.argv) > 3 else Random().getrandbits(32)
    print("seed", seed)
    with tempfile.TemporaryDirectory() as place:
        result = compare(Path(sys.argv[1]), int(sys.argv[2]), Random(seed), Path(place))
    for each in result.differences:
        print(f"{each.address:#x} {each.said}\n    {each.truth}")
    print(result._replace(differences=[]), len(result.differences), "differences")
