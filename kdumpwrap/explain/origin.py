"""Where a bad pointer came from: the instructions before the fault, read backwards as far as they run straight."""

from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from kdumpwrap.explain.access import Registers, located
from kdumpwrap.model import Instruction, Report
from kdumpwrap.parse import operand
from kdumpwrap.parse.operand import Operation

_ARGUMENTS = {
    "x86_64": ("rdi", "rsi", "rdx", "rcx", "r08", "r09"),
    "aarch64": tuple(f"x{n}" for n in range(8)),
    "ppc64le": tuple(f"r{n}" for n in range(3, 11)),
    "s390x": tuple(f"r{n}" for n in range(2, 7)),
}
_NTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_RESULT = {"x86_64": "rax", "aarch64": "x0", "ppc64le": "r3", "s390x": "r2"}
_KEPT = {  # registers that a call leaves alone
    "x86_64": ("rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"),
    "aarch64": ("sp", *(f"x{n}" for n in range(19, 30))),
    "ppc64le": ("r1", *(f"r{n}" for n in range(14, 32))),
    "s390x": tuple(f"r{n}" for n in range(6, 16)),
}
_HOOKS = ("__fentry__", "mcount", "_mcount")  # no call: it is a no-op while nobody traces
_STEPS = 6


class Origin(NamedTuple):
    """What is known of a register's value."""

    text: str  # "rax was loaded from 0x510(%r12) (include/net/ip_tunnels.h:523)"
    argument: Optional[int] = None  # it came as the function's argument of this number, from 0
    percpu: Optional[int] = None  # the per-CPU pointer before this CPU's offset was added


def origin(report: Report, fault: Instruction, register: str) -> Optional[Origin]:
    """Where the value that ``register`` has at ``fault`` came from; None when the instructions do not tell."""
    arch = report.arch or "x86_64"
    rows = list(report.disassembly)
    before = rows[: rows.index(fault)]
    registers = Registers(report)
    steps: List[str] = []
    wanted = register
    changed: Set[str] = set()  # registers that changed between here and the fault
    percpu: Optional[int] = None
    while before and len(steps) < _STEPS:
        row = before.pop()
        done = operand.parse(row.text, arch)
        if done.kind in ("jump", "return", "trap"):
            break
        if done.kind == "call":
            if _is_hook(row):
                continue
            if wanted == _RESULT.get(arch):
                steps.append(f"is what {_callee(row)} returned{_at(row)}")
                return _told(register, steps, percpu)
            if wanted not in _KEPT.get(arch, ()):
                break
            changed.update(name for name in done.uses if name not in _KEPT.get(arch, ()))
            continue
        if done.sets == wanted:
            offset = _percpu(row, done, before, arch, registers, changed)
            if offset is not None and percpu is None and not changed and wanted == register:
                value, own = registers.get(register), offset[1]
                percpu = (value - own) % (1 << 64) if value is not None and own is not None else None
                steps.append("had this CPU's per-CPU offset added")
                wanted = offset[0]
                continue
            step, following = _step(row, done, registers, changed | {wanted})
            steps.append(step)
            if following is None:
                return _told(register, steps, percpu)
            wanted = following
        elif done.sets is not None:
            changed.add(done.sets)
    if not before and _from_start(report, rows) and wanted in _ARGUMENTS.get(arch, ()):
        number = _ARGUMENTS[arch].index(wanted)
        same = "" if wanted == register else f" ({wanted})"
        steps.append(f"came as the {_NTH[number]} argument of the function{same}")
        return _told(register, steps, percpu)._replace(argument=number)
    return _told(register, steps, percpu) if steps else None


def _told(register: str, steps: Sequence[str], percpu: Optional[int]) -> Origin:
    first, *earlier = steps
    text = f"{register} {first}"
    for step in earlier:
        text += f"; before that it {step}"
    return Origin(text, None, percpu)


def _step(row: Instruction, done: Operation, registers: Registers, changed: Set[str]) -> Tuple[str, Optional[str]]:
    """What ``row`` did to the register, and the register to look for further up (None: the end of the way)."""
    if done.memory:
        memory = done.memory[0]
        where = ""
        if not {memory.base, memory.indexed} & changed:
            access = located(memory, registers)
            where = f" at {access.address:#x} ({access.sum})" if access else ""
        verb = "was loaded from" if done.mnemonic.startswith(("mov", "l")) else f"was changed by {done.mnemonic} with"
        return f"{verb} {memory.text}{where}{_comment(row)}{_at(row)}", None
    copied = [name for name in done.uses if name != done.sets]
    if done.mnemonic in ("mov", "movq", "movl", "mr", "lgr", "lr") and len(copied) == 1:
        return f"was copied from {copied[0]}{_at(row)}", copied[0]
    if done.mnemonic.startswith("xor") and not copied:
        return f"was set to 0{_at(row)}", None
    return f"was computed by {row.text}{_at(row)}", None


def _percpu(
    row: Instruction,
    done: Operation,
    before: Sequence[Instruction],
    arch: str,
    registers: Registers,
    changed: Set[str],
) -> Optional[Tuple[str, Optional[int]]]:
    """The register that ``row`` adds this CPU's per-CPU offset to, and that offset; None when it does not."""
    if not done.mnemonic.startswith(("add", "ag")) or done.sets is None:
        return None
    if arch == "x86_64" and "this_cpu_off" in (row.comment or "") + row.text:
        return done.sets, registers.get("gs")  # the area is linked at 0: its base is the offset
    if arch == "x86_64" and done.memory and done.memory[0].segment == "gs" and done.memory[0].base == "rip":
        return done.sets, registers.get("gs")  # without debuginfo the variable has no name
    if arch == "s390x" and done.memory and done.memory[0].base is None:
        return done.sets, None  # lowcore.percpu_offset
    names = [name for name in done.operands[1:] if name in done.uses]
    for name in names:
        for earlier in reversed(before):
            made = operand.parse(earlier.text, arch)
            if made.sets != name:
                continue
            base = {"aarch64": "tpidr_el", "ppc64le": "(r13)"}.get(arch)
            if base and base in earlier.text and name not in changed:
                pointer = next((other for other in names if other != name), done.sets)
                return pointer, registers.get(name)
            break
    return None


def _from_start(report: Report, rows: Sequence[Instruction]) -> bool:
    """Whether the instructions shown begin where the function does."""
    ip = report.ip
    if ip is None or ip.offset is None or not rows:
        return False
    at = next((row.address for row in rows if row.fault), None)
    return at is not None and rows[0].address <= at - ip.offset


def _is_hook(row: Instruction) -> bool:
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
    from kdumpwrap.where import short

    return f", {short(row.file)}:{row.line}"
