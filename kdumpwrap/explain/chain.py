"""The chain of pointers that an instruction followed to the memory that it touched (pure)."""

import re
from typing import Iterator, List, Optional, Set, Tuple

from kdumpwrap.arch import table
from kdumpwrap.arch.operand import Memory, Operation
from kdumpwrap.explain.access import Registers, accesses, faulting, guilty, operation
from kdumpwrap.explain.flow import Flow
from kdumpwrap.explain.origin import REACH, is_hook, percpu_added, shifted
from kdumpwrap.model.kernel import Instruction, Resolution
from kdumpwrap.model.scope import Chain, Hop

_MOST = 6  # chains of one report
_COPIES = ("mov", "movq", "movl", "mr", "lgr", "lr")
# instructions that change a register which Operation.sets does not name: a way through them proves nothing
_SEVERAL = {
    "x86_64": re.compile(
        r"^(?:rep\w* )?(?:xchg|xadd|cmpxchg|mul|imul|div|idiv|cpuid|rd|cq|cltd|cwt|stos|lods|cmps|scas|ins|outs|"
        r"loop|leave|enter|popa|sys|int)|%es:\("
    ),
    "aarch64": re.compile(r"^(?:ldp|ldxp|ldaxp|ld[1-4]|casp|swp|ldadd|msr|mrs|svc|hvc)|\]!|\],"),
    "ppc64le": re.compile(r"^(?:l[bhwdm]\w*ux?\b|st\w*ux?\b|lmw|lsw)"),
    "s390x": re.compile(r"^(?:lmg|lmh|lm|lmy|lpq|d[lrs]|dl|ml|mvcl|clcl|cksm|trt|stck|basr?|bras)"),
}
# call *%rax; call 0xffffffff81e01a40 <__x86_indirect_thunk_rax>
_THUNK = re.compile(r"__x86_indirect_(?:call_|jump_)?thunk_(?:array_)?(?P<register>r\w+)")


def chains(resolution: Resolution) -> Tuple[Chain, ...]:
    """The ways that lead to what the marked instruction failed on, the shortest first; () when none can be told.

    Each starts at a register that still has the value which it had then.
    """
    row = faulting(resolution)
    if row is not None:
        done = operation(row, resolution)
        if done.kind == "divide":
            return _divisor(resolution, row, done)
        access, _ = guilty(resolution.report, accesses(done, Registers(resolution)))
        if access is None or access.memory.implied or access.memory.base is None or access.memory.base == "rip":
            return ()
        value = Registers(resolution).get(access.memory.base)
        if value is None:
            return ()
        offset = (access.address - value + (1 << 63)) % (1 << 64) - (1 << 63)
        return _limited(resolution, row, access.memory.base, [Hop(offset)])
    called = next((row for row in resolution.disassembly if row.fault), None)
    return _called(resolution, called) if called is not None and resolution.ip is not None else ()


def _divisor(resolution: Resolution, row: Instruction, done: Operation) -> Tuple[Chain, ...]:
    if done.memory:
        return _loaded(resolution, row, done.memory[0])
    from kdumpwrap.arch.x86 import register

    name = register((done.divisor or "").lstrip("%"))
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
    from kdumpwrap.arch.x86 import register

    return _limited(resolution, row, register(names[0]), []) if len(names) == 1 else ()


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
    changed: Set[str] = set()  # registers that are not the same here and at the fault
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
    """The register that ``row`` made the wanted one from, the hops from there, whether it is a per-CPU pointer."""
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
    copied = [name for name in done.uses if name != done.sets]
    if done.mnemonic in _COPIES and len(copied) == 1:
        return copied[0], hops, percpu
    return None, hops, percpu
