"""Several functions of one name: the right one, or an honest list, never a wrong single answer."""

import mmap
import random
import re
import subprocess
from bisect import bisect_right
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import pytest
from conftest import Lab
from processes import ran

from kdumpwrap.model.kernel import Instruction, Symbol
from kdumpwrap.model.log import Code, Frame
from kdumpwrap.parse import objdump
from kdumpwrap.symbolize import namesakes
from kdumpwrap.symbolize.namesakes import Range

# Two functions "show" of one size, the bodies alike but for a constant; a and b call one each, c calls through a
# pointer, d jumps to the second one. 16 bytes each.
LISTING = """
0000000000001000 <show>:
    1000:\t55                   \tpush   %rbp
    1001:\tb8 01 00 00 00       \tmov    $0x1,%eax
    1006:\te8 f5 0f 00 00       \tcall   2000 <helper>
    100b:\t5d                   \tpop    %rbp
    100c:\tc3                   \tret
0000000000001010 <show>:
    1010:\t55                   \tpush   %rbp
    1011:\tb8 02 00 00 00       \tmov    $0x2,%eax
    1016:\tff d0                \tcall   *%rax
    1018:\t90                   \tnop
    1019:\t90                   \tnop
    101a:\t90                   \tnop
    101b:\t5d                   \tpop    %rbp
    101c:\tc3                   \tret
0000000000001020 <a>:
    1020:\te8 db ff ff ff       \tcall   1000 <show>
    1025:\tc3                   \tret
0000000000001030 <b>:
    1030:\te8 db ff ff ff       \tcall   1010 <show>
    1035:\tc3                   \tret
0000000000001040 <c>:
    1040:\tff d0                \tcall   *%rax
    1042:\tc3                   \tret
0000000000001050 <d>:
    1050:\te9 bb ff ff ff       \tjmp    1010 <show>
0000000000001060 <e>:
    1060:\te8 eb ff ff ff       \tcall   1050 <d>
    1065:\tc3                   \tret
0000000000001070 <f>:
    1070:\te8 8b 0f 00 00       \tcall   2000 <helper>
    1075:\tc3                   \tret
0000000000002000 <helper>:
    2000:\tc3                   \tret
"""
ROWS = objdump.parse(LISTING)
NAMES = re.findall(r"^(\w+) <(\w+)>:$", LISTING, re.M)
SYMBOLS = [Symbol(name, int(address, 16), 16) for address, name in NAMES]
FIRST, SECOND = (symbol for symbol in SYMBOLS if symbol.name == "show")


def symbols(frame: Frame) -> Tuple[Symbol, ...]:
    return tuple(symbol for symbol in SYMBOLS if symbol.name == frame.symbol)


def enclosing(_: Frame, address: int) -> Optional[Symbol]:
    return next((s for s in SYMBOLS if s.address <= address < s.address + 16), None)


def read(ranges: Sequence[Range]) -> List[Tuple[Instruction, ...]]:
    return [tuple(row for row in ROWS if r.start <= row.address < r.stop) for r in ranges]


def settled(*frames: Frame, code: Optional[Code] = None, at: int = 0) -> Tuple[int, ...]:
    """The addresses that frame ``at`` may mean."""
    left = namesakes.settle(frames, symbols, read, code=code, arch="x86_64", enclosing=enclosing)
    return tuple(symbol.address for symbol in left[at])


def ip(symbol: str, offset: int, certain: bool = True) -> Frame:
    return Frame(symbol, offset, 16, exact=True, certain=certain)


BOTH = (FIRST.address, SECOND.address)


def test_a_name_of_one_function_is_no_question() -> None:
    def never(_: Sequence[Range]) -> Sequence[Sequence[Instruction]]:
        raise AssertionError("nothing needs to be read")

    left = namesakes.settle([ip("helper", 0), Frame("a", 5, 16)], symbols, never)
    assert [symbol.name for found in left for symbol in found] == ["helper", "a"]


def test_nothing_speaks_for_either() -> None:
    assert settled(ip("show", 1)) == BOTH


def test_the_code_bytes_decide() -> None:
    assert settled(ip("show", 1), code=Code(bytes.fromhex("55b802000000"), 1)) == (SECOND.address,)
    assert settled(ip("show", 1), code=Code(bytes.fromhex("55b801000000"), 1)) == (FIRST.address,)


def test_code_bytes_that_fit_neither_decide_nothing() -> None:
    assert settled(ip("show", 1), code=Code(bytes.fromhex("55b803000000"), 1)) == BOTH


def test_code_bytes_of_an_offset_between_instructions() -> None:
    assert settled(ip("show", 6), code=Code(bytes.fromhex("e8f50f0000"), 0)) == (FIRST.address,)


@pytest.mark.parametrize(("caller", "found"), [("a", FIRST), ("b", SECOND)])
def test_the_callers_target_decides(caller: str, found: Symbol) -> None:
    assert settled(ip("show", 1), Frame(caller, 5, 16)) == (found.address,)


def test_a_caller_through_a_pointer_decides_nothing() -> None:
    assert settled(ip("show", 1), Frame("c", 2, 16)) == BOTH


def test_a_tail_call_leaves_it_open() -> None:
    assert settled(ip("show", 1), Frame("e", 5, 16)) == BOTH  # e calls d, which jumps on and leaves no frame


def test_a_caller_that_calls_something_else_decides_nothing() -> None:
    assert settled(ip("show", 1), Frame("f", 5, 16)) == BOTH


def test_the_callee_and_the_call_before_the_return_address_decide() -> None:
    assert settled(ip("helper", 0), Frame("show", 0xB, 16), at=1) == (FIRST.address,)  # the second has no call there
    assert settled(ip("helper", 0), Frame("show", 0x8, 16), at=1) == (SECOND.address,)


def test_a_frame_that_may_be_stale_is_left_open() -> None:
    assert settled(ip("show", 1, certain=False), Frame("a", 5, 16)) == BOTH
    assert settled(ip("show", 1), Frame("a", 5, 16, certain=False)) == BOTH


def test_an_interrupted_frame_did_not_call() -> None:
    assert settled(ip("show", 1), Frame("a", 5, 16, exact=True)) == BOTH


def test_code_that_cannot_be_read_decides_nothing() -> None:
    left = namesakes.settle([ip("show", 1), Frame("a", 5, 16)], symbols, lambda ranges: [()] * len(ranges))
    assert left[0] == (FIRST, SECOND)


# ---------------------------------------------------------------- every such name of a real kernel


class Kernel:
    """All functions of a vmlinux, and all of its instructions as objdump prints them."""

    def __init__(self, vmlinux: Path, directory: Path) -> None:
        text = ran(["nm", "-n", vmlinux], check=True).stdout
        rows = [(int(a, 16), kind, name) for a, kind, name in re.findall(r"^(f{8}\w{8}) (\w) (\S+)$", text, re.M)]
        addresses = sorted({address for address, _, _ in rows})
        sizes = {one: other - one for one, other in zip(addresses, addresses[1:])}
        self.by_name: Dict[str, Dict[int, Symbol]] = {}
        self.by_address: Dict[int, Symbol] = {}
        for address, kind, name in rows:
            if kind in "tTwW":
                symbol = Symbol(name, address, sizes.get(address))
                self.by_name.setdefault(name, {})[address] = symbol
                self.by_address.setdefault(address, symbol)
        self.starts = sorted(self.by_address)
        listing = directory / "vmlinux.dis"
        with listing.open("wb") as file:
            subprocess.run(["objdump", "-d", str(vmlinux)], stdout=file, check=True)
        with listing.open("rb") as file:
            self.text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._index = self._heads()
        self.namesakes = self._namesakes()
        self.callers = self._callers()

    def _heads(self) -> Tuple[List[int], List[int]]:
        """Where the listing of each function begins."""
        heads = [(int(m[1], 16), m.start()) for m in re.finditer(rb"^([0-9a-f]{16}) <[^\n]*>:$", self.text, re.M)]
        heads.sort()
        return [address for address, _ in heads], [place for _, place in heads]

    def _callers(self) -> Dict[int, List[int]]:
        """The return addresses of the calls to each function that is ambiguous."""
        wanted = {address for found in self.namesakes.values() for address in found}
        found: Dict[int, List[int]] = {}
        row = rb"^([0-9a-f]{16}):\te8 [0-9a-f ]+\tcall +([0-9a-f]{16}) <"
        for match in re.finditer(row, self.text, re.M):
            target = int(match[2], 16)
            if target in wanted:
                found.setdefault(target, []).append(int(match[1], 16) + 5)
        return found

    def _namesakes(self) -> Dict[str, Dict[int, Symbol]]:
        """Without the padding before functions, which nobody calls (6.3: __pfx_show)."""
        several = {name: found for name, found in self.by_name.items() if len(found) > 1}
        return {name: found for name, found in several.items() if not name.startswith("__pfx_")}

    def rows(self, start: int, stop: int) -> Tuple[Instruction, ...]:
        addresses, search = self._index
        first = bisect_right(addresses, start) - 1
        last = bisect_right(addresses, stop - 1)
        end = search[last] if last < len(search) else len(self.text)
        if first < 0 or end < search[first]:
            return ()
        text = self.text[search[first] : end].decode()
        return tuple(row for row in objdump.parse(text) if start <= row.address < stop)

    def read(self, ranges: Sequence[Range]) -> List[Tuple[Instruction, ...]]:
        return [self.rows(one.start, one.stop) for one in ranges]

    def symbols(self, frame: Frame) -> Tuple[Symbol, ...]:
        found = tuple(self.by_name.get(frame.symbol or "", {}).values())
        return tuple(symbol for symbol in found if symbol.size == frame.size) or found

    def enclosing(self, _: Frame, address: int) -> Optional[Symbol]:
        place = bisect_right(self.starts, address) - 1
        return self.by_address[self.starts[place]] if place >= 0 else None

    def frame(self, address: int) -> Frame:
        """The frame of a return address."""
        symbol = self.enclosing(Frame(None), address - 1)
        assert symbol is not None
        return Frame(symbol.name, address - symbol.address, symbol.size)

    def settle(self, frames: Sequence[Frame], at: int, code: Optional[Code] = None) -> Tuple[Symbol, ...]:
        return namesakes.settle(frames, self.symbols, self.read, code=code, arch="x86_64", enclosing=self.enclosing)[at]


class Trial(NamedTuple):
    """A trace made from the kernel's own code, and which function its frame ``at`` really is."""

    what: str
    frames: Tuple[Frame, ...]
    at: int
    truth: Symbol
    code: Optional[Code] = None


def trials(kernel: Kernel, seed: int) -> Iterator[Trial]:
    """For every function of an ambiguous name: it faulted, with and without code bytes, or it called another."""
    chance = random.Random(seed)
    for name, found in sorted(kernel.namesakes.items()):
        for symbol in found.values():
            body = kernel.rows(symbol.address, symbol.address + (symbol.size or 0))
            if not body:
                continue  # objdump has no code there
            callers = kernel.callers.get(symbol.address, [])
            above = (kernel.frame(chance.choice(callers)),) if callers else ()
            row = chance.choice(body)
            here = Frame(name, row.address - symbol.address, symbol.size, exact=True)
            data = b"".join(one.data for one in body)
            code = Code(data[: row.address - symbol.address + 22], row.address - symbol.address)
            yield Trial("size", (here,), 0, symbol)
            yield Trial("code", (here,), 0, symbol, code)
            yield Trial("caller", (here, *above), 0, symbol)
            yield Trial("both", (here, *above), 0, symbol, code)
            calls = [one for one in body if one.text.startswith("call ")]
            if not calls:
                continue
            call = chance.choice(calls)
            back = call.address + len(call.data) - symbol.address
            target = re.match(r"call ([0-9a-f]{16}) <", call.text)
            callee = kernel.by_address.get(int(target[1], 16)) if target else None
            below = Frame(callee.name, 0, callee.size, exact=True) if callee else Frame("memcpy", 4, exact=True)
            if back < (symbol.size or 0):
                yield Trial("frame", (below, Frame(name, back, symbol.size), *above), 1, symbol)


@pytest.fixture(scope="module")
def kernel(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return Kernel(lab.vmlinux, tmp_path_factory.mktemp("kernel"))


@pytest.mark.lab
def test_of_all_names_of_a_kernel_none_gets_a_wrong_single_answer(kernel: Kernel) -> None:
    assert len(kernel.namesakes) > 250
    right: Dict[str, int] = {}
    tried: Dict[str, int] = {}
    names = set()
    wrong: List[str] = []
    for trial in trials(kernel, 1):
        found = kernel.settle(trial.frames, trial.at, trial.code)
        tried[trial.what] = tried.get(trial.what, 0) + 1
        right[trial.what] = right.get(trial.what, 0) + (found == (trial.truth,))
        names.add(trial.truth.name)
        if trial.truth not in found:
            wrong.append(f"{trial.what}: {trial.truth} not in {found} for {trial.frames}")
    assert not wrong
    assert len(names) > 0.95 * len(kernel.namesakes)
    share = {what: right[what] / tried[what] for what in tried}
    assert share["size"] < share["code"] <= share["both"]
    assert share["size"] < share["caller"] <= share["both"]
    assert share["both"] > 0.85
    assert share["frame"] > 0.6


@pytest.mark.lab
def test_an_unfit_neighbour_never_makes_a_wrong_answer(kernel: Kernel) -> None:
    """With the caller of another function in the place of the true one the answer is the truth, or a list with it."""
    chance = random.Random(2)
    every = [back for backs in kernel.callers.values() for back in backs]
    for trial in trials(kernel, 3):
        if trial.what == "size":
            found = kernel.settle((*trial.frames, kernel.frame(chance.choice(every))), 0)
            assert trial.truth in found or _calls_a_namesake(kernel, trial, found)


def _calls_a_namesake(kernel: Kernel, trial: Trial, found: Sequence[Symbol]) -> bool:
    """The stranger that was put there happened to call a function of that name: then it is the evidence that lies."""
    return len(found) == 1 and found[0].name == trial.truth.name
