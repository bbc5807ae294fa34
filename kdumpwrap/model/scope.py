"""The variables at the instruction pointer, as gdb tells them, and the failed access in C."""

from typing import NamedTuple, Optional, Tuple


class Hop(NamedTuple):
    """One step of a chain through memory: ``offset`` bytes from the address that a pointer holds."""

    offset: int
    percpu: bool = False  # the pointer is a per-CPU one: this CPU's offset was added to it


class Chain(NamedTuple):
    """From a register through memory to what an instruction touches: ``rbx`` with (0x20, 0x10) is 0x10(0x20(%rbx))."""

    register: str  # as the log names it, "r08" and not "r8"
    hops: Tuple[Hop, ...]


class Question(NamedTuple):
    """A question to gdb: the variables that live where one crash happened."""

    section: Optional[str]  # that `address` counts from; None in a vmlinux
    address: int  # link-time, of the instruction
    registers: Tuple[Tuple[str, int], ...]  # those whose values are of that moment
    chains: Tuple[Chain, ...] = ()


class Variable(NamedTuple):
    """An argument or local whose value the registers tell."""

    function: str
    inlined: bool
    name: str
    type: str  # as gdb writes it: "struct wan_session *"
    value: str  # "0x…" of a pointer, decimal, "true", an enumerator's name
    argument: bool
    guilty: bool = False  # the failed access went through it
    register: Optional[str] = None  # in which it lives, None: it is computed from several
    added: int = 0  # to the register's value


class Member(NamedTuple):
    """The member that a chain leads to after one hop."""

    text: str  # "s->ops"
    type: str
    struct: Optional[str]  # "struct wan_session", None when it is no member
    offset: int  # in that structure, in bytes


class Reading(NamedTuple):
    """One reading of a chain in C: a union has several."""

    chain: int  # number of the question's chain
    variable: int  # number of the scope's variable in which the chain's register is
    members: Tuple[Member, ...]  # the variable itself first, then one for each hop


class Scope(NamedTuple):
    """The answer to a question, innermost function first."""

    variables: Tuple[Variable, ...] = ()
    unknown: int = 0  # variables that are optimised out, or on the stack, which no log prints
    readings: Tuple[Reading, ...] = ()
    instruction: str = ""  # at the address that was asked about, as gdb disassembles it

    def joined(self, other: "Scope") -> "Scope":
        """This scope, with those variables of ``other`` that it has no value of.

        ``other`` is the scope of another instruction of the same function.
        """
        names = {(one.function, one.name) for one in self.variables}
        more = tuple(one for one in other.variables if (one.function, one.name) not in names)
        return self._replace(variables=self.variables + more, unknown=max(self.unknown - len(more), 0))


class Expression(NamedTuple):
    """The memory that the failed instruction touched, in C."""

    text: str  # "s->ops->weight"
    type: str
    struct: Optional[str]
    offset: Optional[int]
    certain: bool


class Variables(NamedTuple):
    """The variables of one report."""

    rows: Tuple[Variable, ...] = ()  # innermost function first
    unknown: int = 0  # variables that are optimised out, or on the stack, which no log prints
    expression: Optional[Expression] = None
    sentence: Optional[str] = None  # the failed access in C
    missing: Optional[str] = None  # why gdb could not be asked
    callee: Optional[str] = None  # the assembly function that crashed: the variables are its caller's
    otherwise: Optional[str] = None  # the instruction as gdb reads it, where it differs from objdump's
