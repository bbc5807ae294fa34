"""The arguments of a function of assembly, as far as registers still hold them at the fault (pure, x86-64).

DWARF describes no variables there, but the registers may still hold those of the caller. A register counts as known
only where no path through the code changes it. The paths include alternatives, which the kernel writes over other
instructions when it starts, and fixups, where the code continues after a handled fault (__ex_table).
"""

from typing import Dict, FrozenSet, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from kdumpwrap.arch import operand, table, x86
from kdumpwrap.arch.operand import Operation
from kdumpwrap.explain.origin import shifted
from kdumpwrap.model.kernel import Instruction
from kdumpwrap.parse.alternatives import Site
from kdumpwrap.parse.patches import Patches
from kdumpwrap.regex import regex

ARCH = "x86_64"
_RETURN = regex(r"<__x86_return_thunk>|^__x86_return_thunk\b")  # where the kernel's "ret" goes
# instructions that write no other register than their last operand; what is not listed may write any
_PLAIN = regex(
    r"^(?:mov|movabs|movzb|movzw|movsb|movsw|movsl|movnti|lea|add|sub|and|or|xor|adc|sbb|inc|dec|neg|not|sh[lr]|sa[lr]|"
    r"ro[lr]|cmp|test|bt|set[a-z]+?|cmov[a-z]+?|bswap|nop)[bwlq]?$"
)
_NOTHING = regex(r"^(?:endbr64|prefetch\w+|[slm]fence|stac|clac|cld|std|data16|verw)$")
_STRING = regex(r"^(?:movs|stos)[bwlq]?$")
_VECTOR = regex(r"^%[xyz]mm\d+$|^%k\d$")
_HARMLESS = (bytes.fromhex("0f01cb"), bytes.fromhex("0f01ca"), bytes.fromhex("0faee8"), b"\x90")  # stac clac lfence nop

State = Mapping[str, "Value"]


class Value(NamedTuple):
    """The content of a register, by the register that held it at the function's entry."""

    register: str
    exact: bool  # else something was added to it


def targets(rows: Iterable[Instruction], patches: Patches) -> FrozenSet[int]:
    """The targets of the direct jumps and branches in ``rows`` and their alternatives, without returns."""
    rows = tuple(rows)
    found = {to for row in rows for to in _jumps(row)}
    starts = {row.address for row in rows}
    found |= {to for site in patches.alternatives if site.address in starts for to in _swapped_jump(site)}
    return frozenset(found)


def called(row: Instruction, patches: Patches) -> FrozenSet[int]:
    """The target addresses of the call ``row`` and of its alternatives; empty where the instruction names none."""
    done = operand.parse(row.text, ARCH)
    if done.kind != "call":
        return frozenset()
    found = {done.target} if done.target is not None and not row.relocations else set()
    for site in patches.alternatives:
        if site.address == row.address and site.replacement and site.replacement[0] == 0xE8:
            found |= _distance(site, 5)
    return frozenset(found)


def held(rows: Iterable[Instruction], entry: int, fault: int, patches: Patches) -> State:
    """For each register at ``fault`` the register at ``entry`` whose value it certainly holds; {} when none is certain.

    ``rows`` are the instructions of the function at ``entry`` and of all functions that jumps reach from there.
    """
    region = {row.address: row for row in rows}
    if patches.fixups is None or not targets(region.values(), patches) <= set(region):
        return {}
    fixed = [target for at, target in patches.fixups.items() if at in region]
    names = frozenset(name for name in table.of(ARCH).kept + tuple(table.of(ARCH).clobbered) if name != "rsp")
    if fixed:  # any access may fault and continue there
        if not all(target in region for target in fixed):
            return {}
        written = frozenset().union(*(_writes(row, names) for row in region.values()))
        return {name: Value(name, exact=True) for name in names - written}
    sites: Dict[int, List[Site]] = {}
    for site in patches.alternatives:
        if site.address in region:
            sites.setdefault(site.address, []).append(site)
    states: Dict[int, State] = {entry: {name: Value(name, exact=True) for name in names}}
    todo = [entry] if entry in region else []
    while todo:
        row = region[todo.pop()]
        for to, state in _steps(row, states[row.address], sites.get(row.address, ()), names):
            if to is None:
                return {}  # its target is unknown
            before = states.get(to)
            both = state if before is None else _common(before, state)
            if to in region and both != before:
                states[to] = both
                todo.append(to)
    return states.get(fault, {})


def _common(one: State, other: State) -> State:
    return {
        name: Value(value.register, value.exact and other[name].exact)
        for name, value in one.items()
        if name in other and other[name].register == value.register
    }


def _steps(
    row: Instruction, state: State, sites: Sequence[Site], names: FrozenSet[str]
) -> Iterator[Tuple[Optional[int], State]]:
    """The possible next addresses after ``row``, each with the registers' state there; None: an unknown address."""
    done = operand.parse(row.text, ARCH)
    after = _after(row, done, state, names)
    following = row.address + len(row.data)
    if done.kind in ("jump", "branch"):
        jumps = _jumps(row)
        if not jumps and not _returns(row):
            yield None, {}
        for to in jumps:
            yield to, after
    if done.kind not in ("jump", "return", "trap"):
        yield following, after
    if row.text.startswith("rep"):  # a fault may interrupt it
        yield row.address, after
    for site in sites:
        end = site.address + site.length
        if site.replacement is not None and _is_harmless(site):
            yield end, state
            continue
        jumps = _swapped_jump(site)
        for to in jumps:
            yield to, state
        if not jumps:
            yield end, {}


def _after(row: Instruction, done: Operation, state: State, names: FrozenSet[str]) -> State:
    """What the registers hold after ``row``, where they held ``state`` before."""
    written = _writes(row, names)
    if not written:
        return state
    after = {name: value for name, value in state.items() if name not in written}
    if done.sets in written and len(written) == 1 and done.sets is not None:
        source = _source(done)
        if source is not None and source[0] in state:
            held_before = state[source[0]]
            after[done.sets] = Value(held_before.register, held_before.exact and source[1])
    if _STRING.match(done.mnemonic):
        for name in ("rsi", "rdi"):
            if name in state and name in written:
                after[name] = Value(state[name].register, exact=False)
    return after


def _source(done: Operation) -> Optional[Tuple[str, bool]]:
    """The register from which an instruction makes its result, and whether that is an exact copy; None: unknown."""
    if any(one.startswith("%") and x86.width(one[1:]) != 8 for one in done.operands):
        return None
    if done.mnemonic in ("mov", "movq") and len(done.operands) == 2 and done.operands[0].startswith("%"):
        return (x86.register(done.operands[0][1:]), True) if ":" not in done.operands[0] else None
    moved = shifted(done, ARCH)
    if moved is not None:
        return moved[0], moved[1] == 0
    if done.mnemonic in ("add", "inc", "dec") and done.sets is not None:
        return done.sets, False
    return None


def _writes(row: Instruction, names: FrozenSet[str]) -> FrozenSet[str]:
    """The registers among ``names`` that ``row`` may change: all of them where it is not known what it does."""
    done = operand.parse(row.text, ARCH)
    if done.kind in ("jump", "branch", "return", "trap"):
        return frozenset(("rcx",)) if done.mnemonic.startswith("loop") else frozenset()
    if row.text in ("xchg %ax,%ax", "data16 xchg %ax,%ax") or _NOTHING.match(done.mnemonic):
        return frozenset()
    if _STRING.match(done.mnemonic) and ("(%rsi)" in row.text or "(%rdi)" in row.text) and "%es:" in row.text:
        return frozenset(("rcx", "rdi") if done.mnemonic.startswith("stos") else ("rcx", "rsi", "rdi"))
    if done.mnemonic in ("push", "pushq"):
        return frozenset()
    if done.mnemonic in ("pop", "popq") or _PLAIN.match(done.mnemonic):
        if done.mnemonic.startswith(("cmp", "test", "nop")) or (
            done.mnemonic.startswith("bt") and len(done.mnemonic) < 4
        ):
            return frozenset()
        return frozenset((done.sets,)) & names if done.sets is not None else frozenset()
    if done.mnemonic.startswith("imul") and len(done.operands) > 1:  # with one operand it is rdx:rax that it writes
        return frozenset((done.sets,)) & names if done.sets is not None else names
    registers = [one for one in done.operands if one.startswith("%") and ":" not in one]
    if done.kind == "other" and registers and all(map(_VECTOR.match, registers)) and "pcmp" not in done.mnemonic:
        return frozenset()
    return names


def _returns(row: Instruction) -> bool:
    return any(_RETURN.search(text) for text in (row.text, *(relocation.target for relocation in row.relocations)))


def _jumps(row: Instruction) -> Set[int]:
    """The target of a direct jump or branch; empty for any other instruction."""
    done = operand.parse(row.text, ARCH)
    if done.kind not in ("jump", "branch") or done.target is None or row.relocations or _returns(row):
        return set()
    return {done.target}


def _is_harmless(site: Site) -> bool:
    rest = bytes(byte or 0 for byte in site.replacement or ())
    while rest:
        found = next((known for known in _HARMLESS if rest.startswith(known)), None)
        if found is None:
            return False
        rest = rest[len(found) :]
    return True


def _swapped_jump(site: Site) -> Set[int]:
    """The target of the jump that the kernel may write at ``site``; empty when it writes none."""
    first = site.replacement[0] if site.replacement else None
    return _distance(site, 5) if first == 0xE9 else _distance(site, 2) if first == 0xEB else set()


def _distance(site: Site, length: int) -> Set[int]:
    body = site.replacement or ()
    if site.origin is None or len(body) < length or None in body[1:length]:
        return set()
    by = int.from_bytes(bytes(byte or 0 for byte in body[1:length]), "little", signed=True)
    return {site.origin + length + by}
