"""The origin of a bad pointer: the instructions before the fault, read backwards while one path leads to them."""

from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from kdumpwrap.arch import table, x86
from kdumpwrap.arch.operand import Operation
from kdumpwrap.arch.operation import number
from kdumpwrap.explain.access import Registers, located
from kdumpwrap.explain.flow import Flow
from kdumpwrap.model.kernel import Instruction, Resolution
from kdumpwrap.regex import regex

_NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_HOOKS = ("__fentry__", "mcount", "_mcount")  # no call: it is a no-op while tracing is off
_STEPS = 6
REACH = 64  # instructions: a value that was set further up says little
# "0x18(%rbx)": no index, not counted from the instruction itself
_PLAIN = regex(r"^(?P<distance>-?0x[0-9a-f]+)?\(%(?P<base>r(?!ip)\w+)\)$")


class Origin(NamedTuple):
    """The origin of a register's value."""

    text: str  # "rax was loaded from 0x510(%r12) (include/net/ip_tunnels.h:523)"
    argument: Optional[int] = None  # it came as the function's argument of this number, from 0
    percpu: Optional[int] = None  # the per-CPU pointer before this CPU's offset was added


def origin(resolution: Resolution, fault: Instruction, register: str) -> Optional[Origin]:
    """The origin of the value of ``register`` at ``fault``; None when the instructions do not tell."""
    flow = Flow(resolution)
    arch = flow.arch
    registers = Registers(resolution)
    steps: List[str] = []
    wanted, at = register, fault
    changed: Set[str] = set()  # registers that change between here and the fault
    percpu: Optional[int] = None
    for _ in range(REACH):
        way = flow.before(at, wanted)
        if way is None or len(steps) >= _STEPS:
            break
        at, done = way.row, way.done
        if done.kind == "call":
            if is_hook(at):
                continue
            if wanted == table.of(arch).result:
                return _told(register, [*steps, f"is what {_callee(at)} returned{_at(at)}"], percpu)
            if wanted not in table.of(arch).kept:
                break
            changed |= table.of(arch).clobbered
            continue
        if done.sets != wanted:
            if done.sets is not None:
                changed.add(done.sets)
            continue
        added = percpu_added(at, done, flow)
        if added is not None:
            pointer, source = added
            value = None if wanted in changed else registers.get(wanted)
            own = None if source is None or source in changed else registers.get(source)
            if value is not None and own is not None:
                percpu = (value - own) % (1 << 64)
            steps.append("had this CPU's per-CPU offset added")
            changed.add(wanted)
            wanted = pointer
            continue
        moved = shifted(done, arch)
        if moved is not None:
            source, distance = moved
            steps.append(f"was made from {source} by adding {distance:#x}{_at(at)}")
            changed |= {wanted} if source == wanted else set()
            wanted = source
            continue
        constant = _constant(at, done)
        if constant is not None and not steps:
            return Origin(f"The code itself put the constant {constant} in {register}{_at(at)}")
        if constant is not None:
            return _told(register, [*steps, f"was set to {constant}{_at(at)}"], percpu)
        step, following = _step(at, done, registers, changed | {wanted})
        if following is None:
            return _told(register, [*steps, step], percpu)
        steps.append(step)
        wanted = following
    if flow.is_entry(at, resolution) and wanted in table.of(arch).arguments:
        nth = table.of(arch).arguments.index(wanted)
        same = "" if wanted == register else f" ({wanted})"
        steps.append(f"came as the {_NTH[nth]} argument of the function{same}")
        return _told(register, steps, percpu)._replace(argument=nth)
    return _told(register, steps, percpu) if steps else None


def _told(register: str, steps: Sequence[str], percpu: Optional[int]) -> Origin:
    first, *earlier = steps
    text = f"{register} {first}"
    for step in earlier:
        text += f"; before that it {step}"
    return Origin(text, None, percpu)


def _constant(row: Instruction, done: Operation) -> Optional[str]:
    """The constant that ``row`` sets the register to; None where it does something else."""
    if done.memory or any(name != done.sets for name in done.uses):
        return None
    if done.mnemonic.startswith("xor"):
        return "0"
    if done.mnemonic.startswith(("mov", "li", "lghi", "lgfi", "llilf")):
        return done.operands[0 if "$" in row.text else -1].lstrip("$#")
    return None


def _step(row: Instruction, done: Operation, registers: Registers, changed: Set[str]) -> Tuple[str, Optional[str]]:
    """What ``row`` did to the register, and the register to look for further up (None: the search ends)."""
    if done.memory:
        memory = done.memory[0]
        where = ""
        if not {memory.base, memory.indexed} & changed and memory.base != "rip":
            access = located(memory, registers)
            where = f" at {access.address:#x} ({access.sum})" if access and access.terms else ""
        verb = "was loaded from" if done.mnemonic.startswith(("mov", "l")) else f"was changed by {done.mnemonic} with"
        return f"{verb} {memory.text}{where}{_comment(row)}{_at(row)}", None
    copied = [name for name in done.uses if name != done.sets]
    if done.mnemonic in ("mov", "movq", "movl", "mr", "lgr", "lr") and len(copied) == 1:
        return f"was copied from {copied[0]}{_at(row)}", copied[0]
    return f"was computed by {row.text}{_at(row)}", None


def shifted(done: Operation, arch: str) -> Optional[Tuple[str, int]]:
    """``lea 0x18(%rbx),%rax``, ``add x4, x1, #0x18``: the register it starts from and what is added; else None."""
    if arch == "x86_64":
        if done.mnemonic in ("add", "sub") and len(done.operands) == 2 and done.operands[0].startswith("$"):
            distance = number(done.operands[0])
            return (
                None
                if distance is None or not done.sets
                else (done.sets, -distance if done.mnemonic == "sub" else distance)
            )
        plain = _PLAIN.match(done.operands[0]) if done.mnemonic == "lea" and done.operands else None
        return (x86.register(plain["base"]), number(plain["distance"] or "0") or 0) if plain else None
    if arch == "s390x" and done.mnemonic in ("aghi", "agfi") and done.sets and len(done.operands) == 2:
        distance = number(done.operands[1])
        return None if distance is None else (done.sets, distance)
    if done.mnemonic in ("add", "sub", "addi") and len(done.operands) == 3:
        distance = number(done.operands[2])
        sources = [name for name in done.uses if name in done.operands[1]]
        if distance is not None and sources:
            return sources[0], -distance if done.mnemonic == "sub" else distance
    return None


def percpu_added(row: Instruction, done: Operation, flow: Flow) -> Optional[Tuple[str, Optional[str]]]:
    """The register to which ``row`` adds this CPU's per-CPU offset, and the register with the offset, if it is in one.

    None when ``row`` does something else.
    """
    arch = flow.arch
    if not done.mnemonic.startswith(("add", "ag")) or done.sets is None:
        return None
    memory = done.memory[0] if done.memory else None
    if arch == "x86_64" and memory is not None and memory.segment == "gs" and memory.base == "rip":
        # the area is linked at 0, so its base is the offset; without debuginfo the variable has no name
        return (done.sets, "gs") if row.comment is None or "this_cpu_off" in row.comment else None
    if arch == "s390x" and memory is not None and memory.base is None and memory.indexed is None:
        return done.sets, None  # lowcore.percpu_offset
    base = {"aarch64": "tpidr_el", "ppc64le": "(r13)"}.get(arch)  # ppc64le: the paca
    names = [name for name in done.operands[1:] if name in done.uses]
    for name in names if base is not None else ():
        made, at = None, flow.before(row, name)
        for _ in range(REACH):
            if at is None or at.done.sets == name or at.done.kind == "call":
                made = at
                break
            at = flow.before(at.row, name)
        if made is not None and base is not None and base in made.row.text:
            return next((other for other in names if other != name), done.sets), name
    return None


def is_hook(row: Instruction) -> bool:
    """Whether ``row`` calls ftrace's hook, which leaves every register alone."""
    target = row.text + "".join(relocation.target for relocation in row.relocations)
    return any(f"<{hook}>" in target or target.endswith(f"{hook}-0x4") or hook in target for hook in _HOOKS)


def _callee(row: Instruction) -> str:
    for relocation in row.relocations:
        return relocation.target.partition("-0x")[0].partition("+0x")[0]
    _, found, name = row.text.partition("<")
    return name.rstrip(">") if found else row.text


def _comment(row: Instruction) -> str:
    return f" ({row.comment})" if row.comment else ""


def _at(row: Instruction) -> str:
    if row.file is None or row.line is None:
        return ""
    from kdumpwrap.model.location import short

    return f", {short(row.file)}:{row.line}"
