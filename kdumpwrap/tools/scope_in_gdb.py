# Run inside gdb's own Python (2.7 to 3.13): for each question, which variables live at its core file's instruction
# pointer, and which members lie at the offsets in question. Prints one JSON object a line.
import json
import os

try:
    import gdb
except ImportError:  # the arithmetic on members is tested without gdb
    gdb = None

NAMED_WHOLE = (  # typedefs and structures of which the source names no member
    "atomic_t atomic64_t atomic_long_t local_t local64_t u64_stats_t refcount_t spinlock_t raw_spinlock_t arch_spinlock_t "
    "rwlock_t seqcount_t kuid_t kgid_t ktime_t possible_net_t netdev_features_t wait_queue_head_t"
).split()
NAMED_STRUCTS = "kref mutex rw_semaphore spinlock raw_spinlock list_head hlist_node hlist_head".split()
PATHS = 16  # ways through unions that are followed at most
VARIABLES = 200  # of one function
TEXT = 200  # characters of a name or a type
NEAR = 1 << 31
NULLS = 1 << 16  # up to here a number is no pointer that two places hold only if they are the same one


def number(value):
    """The bits of a scalar ``value`` as a number."""
    return int(value) & ((1 << (8 * value.type.sizeof)) - 1)


def scalar(kind):
    return kind.code in (
        gdb.TYPE_CODE_PTR,
        gdb.TYPE_CODE_INT,
        gdb.TYPE_CODE_ENUM,
        gdb.TYPE_CODE_BOOL,
        gdb.TYPE_CODE_CHAR,
    )


def printed(value, kind):
    """A pointer as 0x..., a number as decimal, an enumerator by its name."""
    bits = number(value)
    if kind.code == gdb.TYPE_CODE_PTR:
        return "0x%x" % bits
    if kind.code == gdb.TYPE_CODE_BOOL:
        return "true" if bits else "false"
    if kind.code == gdb.TYPE_CODE_ENUM:
        return str(value)
    return "%d" % int(value)


def frames():
    """The frame at the instruction pointer and those that are inlined there, innermost first, each with its blocks."""
    frame = gdb.newest_frame()
    while frame is not None:
        blocks = []
        try:
            block = frame.block()
        except RuntimeError:
            return
        while block is not None:
            blocks.append(block)
            if block.function is not None:
                break
            block = block.superblock
        yield frame, blocks
        if frame.type() != gdb.INLINE_FRAME:
            return
        frame = frame.older()


def variables():
    """(number of the frame, function, inlined, symbol, value or None) of each argument and local, innermost first."""
    for at, (frame, blocks) in enumerate(frames()):
        inlined = frame.type() == gdb.INLINE_FRAME
        seen = set()
        for block in blocks:
            for symbol in block:
                if len(seen) > VARIABLES or symbol.name in seen or not (symbol.is_argument or symbol.is_variable):
                    continue
                if symbol.addr_class == gdb.SYMBOL_LOC_STATIC:
                    continue
                seen.add(symbol.name)
                try:
                    value = symbol.value(frame)
                    if value.is_optimized_out:
                        value = None
                except (gdb.error, gdb.MemoryError, RuntimeError, NotImplementedError):
                    value = None
                yield at, frame.name(), inlined, symbol, value


def static(bits, sections):
    """&NAME of a link-time address in ``sections``, None of another number, "" of one that has no name.

    The kernel moves when it starts, so the number would be a wrong one.
    """
    if not any(first <= bits < end for first, end, _ in sections):
        return None
    said = gdb.execute("info symbol 0x%x" % bits, to_string=True)
    if " in section " not in said or said.startswith("."):  # ".LC0": the compiler's, of many strings the first
        return ""
    return "&" + said.partition(" in section ")[0].replace(" + ", "+")


def made_up(value, kind):
    """Whether a pointer was optimised out and what it points to was not: gdb reads 0 then (DW_OP_implicit_pointer)."""
    return kind.code == gdb.TYPE_CODE_PTR and not number(value) and "synthetic pointer" in str(value)


def content(value):
    """The bits of a value that registers alone tell, else None: what is on the stack was not printed."""
    try:
        kind = value.type.strip_typedefs()
        if not scalar(kind) or made_up(value, kind):
            return None
        return number(value)
    except (gdb.error, gdb.MemoryError, OverflowError, ValueError):
        return None


def home(bits, size, marks):
    """[register, what is added to it] from the value that a variable has when each register holds its mark."""
    for name, mark in marks.items():
        if size < 8:
            if bits == mark & ((1 << (8 * size)) - 1):
                return [name, 0]
        elif -NEAR < bits - mark < NEAR:
            return [name, bits - mark]
    return None


def whole(kind):
    """Whether the source names no member of ``kind``."""
    name = kind.name or ""
    return name in NAMED_WHOLE or (kind.strip_typedefs().tag or "") in NAMED_STRUCTS


def into(bits, kind, question):
    """[register, what is added to it] of a chain's register that points into what a pointer ``bits`` points to."""
    below = target(kind)
    size = below.strip_typedefs().sizeof if below is not None else 1
    for asked in question["chains"]:
        held = question["registers"].get(asked["register"])
        if held is not None and 0 <= held - bits < max(size, 1):
            return [asked["register"], bits - held]
    return None


def members(kind, offset, text, found, arrow):
    """Add to ``found`` each (text, type, structure, offset in it) at ``offset`` bytes into ``kind``."""
    plain = kind.strip_typedefs()
    if len(found) >= PATHS:
        return
    if plain.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) and not whole(kind):
        for field in plain.fields():
            if not hasattr(field, "bitpos") or getattr(field, "bitsize", 0) and field.bitpos % 8:
                continue
            start, size = field.bitpos // 8, field.type.sizeof
            if not start <= offset < start + max(size, 1):
                continue
            name = field.name
            below = text + (arrow + name if name else "")
            before = len(found)
            members(field.type, offset - start, below, found, "." if name else arrow)
            for at in range(before, len(found)):
                if found[at][2] is None and (plain.tag or kind.name):
                    found[at] = found[at][:2] + (str(kind.unqualified()), offset)
        return
    if plain.code == gdb.TYPE_CODE_ARRAY:
        element = plain.target()
        if element.sizeof:
            members(element, offset % element.sizeof, "%s[%d]" % (text, offset // element.sizeof), found, ".")
        return
    if offset == 0 or whole(kind) or offset < plain.sizeof:
        found.append((text, kind, None, offset))


def target(kind):
    """What a pointer of type ``kind`` points to, None when that is not known."""
    plain = kind.strip_typedefs()
    if plain.code != gdb.TYPE_CODE_PTR:
        return None
    below = plain.target()
    if below.strip_typedefs().code in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC):
        return None
    return below


def follow(text, kind, hops):
    """Each way from a pointer through the offsets ``hops``: [[text, type, structure, offset], ...] of its steps."""
    ways = [[(text, kind, None, 0)]]
    for hop in hops:
        further = []
        for way in ways:
            name, held = way[-1][0], way[-1][1]
            below = target(held)
            if below is None:
                continue
            plain = below.strip_typedefs()
            found = []
            if hop.get("percpu"):
                name = "this_cpu_ptr(%s)" % name
            if plain.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION) and not whole(below):
                if 0 <= hop["offset"] < plain.sizeof:
                    members(below, hop["offset"], name, found, "->")
            elif hop["offset"] == 0:
                found.append(("*" + name, below, None, 0))
            elif plain.sizeof and hop["offset"] % plain.sizeof == 0 and 0 < hop["offset"] < NEAR:
                found.append(("%s[%d]" % (name, hop["offset"] // plain.sizeof), below, None, hop["offset"]))
            further += [way + [one] for one in found]
        ways = further[:PATHS]
    return ways


def instruction():
    """What gdb reads at the instruction pointer, "" when it cannot.

    Once a region is defined (`main`) gdb takes all memory outside of regions for inaccessible, code too.
    """
    gdb.execute("set mem inaccessible-by-default off")
    try:
        frame = gdb.newest_frame()
        return frame.architecture().disassemble(frame.pc())[0]["asm"]
    except (gdb.error, gdb.MemoryError, RuntimeError, AttributeError, IndexError):
        return ""
    finally:
        gdb.execute("set mem inaccessible-by-default on")


def agrees(bits, size, place, registers):
    """Whether a value is that of its register in the crash too, and not by the marks alone: (rbp ? rbp : 1)."""
    held = registers.get(place[0])
    return held is not None and (bits - held - place[1]) % (1 << (8 * size)) == 0


def answer(question, sections):
    homes, marked, registers = {}, {}, question["registers"]
    gdb.execute("core-file %s" % question["probe"], to_string=True)
    for at, _, _, symbol, value in variables():
        bits = None if value is None else content(value)
        if bits is not None:
            marked[at, symbol.name] = bits
            homes[at, symbol.name] = home(bits, value.type.sizeof, question["marks"])
    all_known = set(registers).issuperset(question["marks"])
    gdb.execute("core-file %s" % question["core"], to_string=True)
    rows, ways, unknown = [], [], 0
    for at, function, inlined, symbol, value in variables():
        bits = None if value is None else content(value)
        place = homes.get((at, symbol.name))
        if bits is not None and place and not agrees(bits, value.type.sizeof, place, registers):
            place = None
        constant = bits == marked.get((at, symbol.name))
        if bits is None or not (constant or all_known or place):
            unknown += 1
            continue
        kind = value.type
        plain = kind.strip_typedefs()
        named = static(bits, sections) if constant and plain.code == gdb.TYPE_CODE_PTR else None
        if named == "":
            unknown += 1
            continue
        shown = named or printed(value, plain)
        if place is None and plain.code == gdb.TYPE_CODE_PTR and bits > NULLS:
            place = into(bits, kind, question)
        rows.append(
            {
                "function": (function or "?")[:TEXT],
                "inlined": inlined,
                "name": symbol.name[:TEXT],
                "type": str(kind)[:TEXT],
                "value": shown[:TEXT],
                "argument": bool(symbol.is_argument),
                "register": place[0] if place else None,
                "added": place[1] if place else 0,
            }
        )
        for chain, asked in enumerate(question["chains"]):
            if not place or place[0] != asked["register"]:
                continue
            hops = [dict(hop) for hop in asked["hops"]]
            if hops:
                hops[0]["offset"] -= place[1]
            for way in follow(symbol.name, kind, hops):
                ways.append(
                    {
                        "chain": chain,
                        "variable": len(rows) - 1,
                        "steps": [
                            {"text": text[:TEXT], "type": str(of)[:TEXT], "struct": inside and inside[:TEXT], "offset": offset}
                            for text, of, inside, offset in way
                        ],
                    }
                )
    return {
        "id": question["id"],
        "variables": rows,
        "unknown": unknown,
        "ways": ways[:64],
        "instruction": instruction()[:TEXT],
    }


def written(sections):
    """[first address, end] of what is written to, apart: there gdb would take the first value of a global for its last."""
    apart = []
    for first, end in sorted((first, end) for first, end, writable in sections if writable and first < end):
        if apart and first <= apart[-1][1]:
            apart[-1][1] = max(end, apart[-1][1])
        else:
            apart.append([first, end])
    return apart


def main(directory):
    gdb.execute("set confirm off")
    gdb.execute("set pagination off")
    gdb.execute("set width 0")
    with open(os.path.join(directory, "questions.json")) as questions:
        asked = json.load(questions)
    for first, end in written(asked["sections"]):
        gdb.execute("mem 0x%x 0x%x wo" % (first, end))
    for question in asked["questions"]:
        question["core"] = os.path.join(directory, question["core"])
        question["probe"] = os.path.join(directory, question["probe"])
        try:
            print("kdumpwrap: " + json.dumps(answer(question, asked["sections"])))
        except (gdb.error, RuntimeError, ValueError) as error:
            print("kdumpwrap: " + json.dumps({"id": question["id"], "error": str(error)[:TEXT]}))


if hasattr(gdb, "execute"):
    main(os.path.dirname(os.path.abspath(__file__)))
