"""The chain of pointers that an instruction followed to the memory that it touched (pure)."""

from typing import Iterator, List, Mapping, Optional, Set, Tuple

from kdumpwrap.arch import table, x86
from kdumpwrap.arch.operand import Memory, Operation
from kdumpwrap.explain.access import Access, Registers, accesses, faulting, guilty, operation
from kdumpwrap.explain.entered import State
from kdumpwrap.explain.flow import Flow
from kdumpwrap.explain.origin import REACH, is_hook, percpu_added, shifted
from kdumpwrap.model.kernel import Instruction, Resolution
from kdumpwrap.model.scope import Chain, Hop
from kdumpwrap.regex import regex

_MOST = 6  # chains of one report
_COPIES = ("mov", "movq", "movl", "mr", "lgr", "lr")
# instructions that change a register which Operation.sets does not name: a path through them proves nothing
_SEVERAL = {
    "x86_64": regex(
        r"^(?:rep\w* )?(?:xchg|xadd|cmpxchg|mul|imul|div|idiv|cpuid|rd|cq|cltd|cwt|stos|lods|cmps|scas|ins|outs|"
        r"loop|leave|enter|popa|sys|int)|%es:\("
    ),
    "aarch64": regex(r"^(?:ldp|ldxp|ldaxp|ld[1-4]|casp|swp|ldadd|msr|mrs|svc|hvc)|\]!|\],"),
    "ppc64le": regex(r"^(?:l[bhwdm]\w*ux?\b|st\w*ux?\b|lmw|lsw)"),
    "s390x": regex(r"^(?:lmg|lmh|lm|lmy|lpq|d[lrs]|dl|ml|mvcl|clcl|cksm|trt|stck|basr?|bras)"),
}
# call *%rax; call 0xffffffff81e01a40 <__x86_indirect_thunk_rax>
_THUNK = regex(r"__x86_indirect_(?:call_|jump_)?thunk_(?:array_)?(?P<register>r\w+)")


def chains(resolution: Resolution) -> Tuple[Chain, ...]:
    """The chains that lead to the address, divisor or function on which the marked instruction failed.

    The shortest comes first; () when none is known. Each starts at a register that did not change before the fault.
    """
    row = faulting(resolution)
    if row is not None:
        done = operation(row, resolution)
        if done.kind == "divide":
            return _divisor(resolution, row, done)
        access = _failed(resolution, done)
        if access is None or access.memory.base is None:
            return ()
        value = Registers(resolution).get(access.memory.base)
        if value is None:
            return ()
        return _limited(resolution, row, access.memory.base, [Hop(_signed(access.address - value))])
    called = resolution.marked
    return _called(resolution, called) if called is not None and resolution.ip is not None else ()


def of_call(
    resolution: Resolution, state: State, known: Mapping[str, int], call: Instruction, rows: Tuple[Instruction, ...]
) -> Tuple[Chain, ...]:
    """The chains that lead to the address on which the callee of ``call`` failed; ``call`` is one of ``rows``.

    ``state`` maps each register at the fault to the register at the callee's entry whose value it holds. ``known`` has
    the values at entry. Each chain starts at a register of ``known``, as it was at the call.
    """
    row = faulting(resolution)
    access = _failed(resolution, operation(row, resolution)) if row is not None else None
    held = state.get(access.memory.base or "") if access is not None else None
    if access is None or held is None or held.register not in known:
        return ()
    offset = _signed(access.address - known[held.register])
    found = _limited(resolution._replace(disassembly=(), function=rows), call, held.register, [Hop(offset)])
    return tuple(one for one in found if one.register in known)


def _failed(resolution: Resolution, done: Operation) -> Optional[Access]:
    """The access that failed; None when several are possible and the log's fault address fits none of them."""
    found = accesses(done, Registers(resolution))
    access, fits = guilty(resolution.report, found)
    if access is None or access.memory.implied or access.memory.base == "rip" or not (fits or len(found) == 1):
        return None
    return access


def _signed(number: int) -> int:
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _divisor(resolution: Resolution, row: Instruction, done: Operation) -> Tuple[Chain, ...]:
    if done.memory:
        return _loaded(resolution, row, done.memory[0])
    name = x86.register((done.divisor or "").lstrip("%"))
    return _limited(resolution, row, name, [])


def _called(resolution: Resolution, row: Instruction) -> Tuple[Chain, ...]:
    """A call through a bad pointer: ``call *0x18(%rax)``, ``call *%rax``, ``call <__x86_indirect_thunk_rax>``."""
    done = operation(row, resolution)
    if done.kind not in ("call", "jump"):
        return ()
    memory = next((one for one in done.memory if not one.implied), None)
    if memory is not None:
        return _loaded(resolution, row, memory)
    text = " ".join((row.text, *(relocation.target for relocation in row.relocations)))
    thunk = _THUNK.search(text)
    names = [thunk["register"]] if thunk else list(done.uses)
    return _limited(resolution, row, x86.register(names[0]), []) if len(names) == 1 else ()


def _loaded(resolution: Resolution, row: Instruction, memory: Memory) -> Tuple[Chain, ...]:
    if memory.base is None or memory.indexed is not None or memory.segment is not None or memory.base == "rip":
        return ()
    return _limited(resolution, row, memory.base, [Hop(memory.displacement)])


def _limited(resolution: Resolution, row: Instruction, register: str, hops: List[Hop]) -> Tuple[Chain, ...]:
    found = dict.fromkeys(_ways(resolution, row, register, hops))
    return tuple(found)[:_MOST]


def _ways(resolution: Resolution, fault: Instruction, register: str, hops: List[Hop]) -> Iterator[Chain]:
    """The chain from ``register`` itself, then those from the registers that its value came from."""
    flow = Flow(resolution)
    several = _SEVERAL.get(flow.arch)
    wanted, at, percpu = register, fault, False
    changed: Set[str] = set()  # registers that change between here and the fault
    yield Chain(wanted, tuple(hops))
    for _ in range(REACH):
        way = flow.before(at, wanted)
        if way is None:
            return
        at, done = way.row, way.done
        if done.kind == "call":
            if is_hook(at):
                continue
            if wanted not in table.of(flow.arch).kept:
                return
            changed |= table.of(flow.arch).clobbered
            continue
        if several is not None and several.search(at.text) and done.kind in ("other", "divide"):
            return
        if done.sets != wanted:
            if done.sets is not None and done.sets not in changed and not percpu and _copied(done, flow) == wanted:
                yield Chain(done.sets, tuple(hops))
            changed |= {done.sets} if done.sets is not None else set()
            continue
        source, hops, percpu = _stepped(flow, at, done, hops, percpu)
        if source is None:
            return
        changed.add(wanted)
        wanted = source
        if wanted not in changed and not percpu:
            yield Chain(wanted, tuple(hops))


def _stepped(
    flow: Flow, row: Instruction, done: Operation, hops: List[Hop], percpu: bool
) -> Tuple[Optional[str], List[Hop], bool]:
    """The register from which ``row`` made the wanted one, the hops from there, and whether it is a per-CPU pointer.

    The register is None when it is unknown.
    """
    added = percpu_added(row, done, flow)
    if added is not None:
        return added[0], hops, True
    moved = shifted(done, flow.arch)
    if moved is not None and not percpu:
        source, distance = moved
        if not hops:
            return None, hops, percpu
        return source, [hops[0]._replace(offset=hops[0].offset + distance), *hops[1:]], percpu
    if done.memory:
        memory = done.memory[0]
        plain = memory.base is not None and memory.indexed is None and memory.segment is None and memory.base != "rip"
        whole = memory.size == 8 or not hops  # a pointer; the number that is divided by may be shorter
        if not (plain and whole and memory.access == "read" and done.mnemonic.startswith(("mov", "l"))):
            return None, hops, percpu
        first = [hops[0]._replace(percpu=percpu), *hops[1:]] if hops else hops
        return memory.base, [Hop(memory.displacement), *first], False
    return _copied(done, flow), hops, percpu


def _copied(done: Operation, flow: Flow) -> Optional[str]:
    """The register that ``done`` copies whole; None for any other operation."""
    copied = [name for name in done.uses if name != done.sets]
    if done.mnemonic not in _COPIES or done.memory or len(copied) != 1:
        return None
    half = flow.arch == "x86_64" and any(x86.width(one[1:]) != 8 for one in done.operands)
    return None if half else copied[0]
