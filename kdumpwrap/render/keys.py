"""The keys of every JSON object, and the one walker that fills them in: a key is a name and the field it stands for.

Every key is always there; what is unknown is null. New keys come last.
"""

import json
from operator import attrgetter
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from kdumpwrap.model.bugs import ordered
from kdumpwrap.moment import local, utc
from kdumpwrap.octets import spaced

Json = Union[None, bool, int, float, str, List["Json"], Dict[str, "Json"]]

SCHEMA = "kdumpwrap/1"


class Key(NamedTuple):
    """A key of an object, and where its value comes from."""

    name: str
    get: Callable[[Any], Any]
    of: Union[Callable[[Any], Json], "Tuple[Key, ...]", None] = None  # a table for objects, else how a value is written


Table = Tuple[Key, ...]


def walk(value: Any, table: Table) -> Dict[str, Json]:
    """The object that ``table`` makes of ``value``."""
    found: Dict[str, Json] = {}
    for name, get, of in table:
        part = get(value)
        if part is None:
            found[name] = None
        elif of is None:
            found[name] = list(part) if type(part) is tuple else part
        elif type(of) is not tuple:
            found[name] = of(part)  # type: ignore[operator]  # mypy does not see that it is the function
        else:
            found[name] = _objects(part, of) if type(part) in (tuple, list) else walk(part, of)
    return found


def _objects(rows: Sequence[Any], table: Table) -> List[Json]:
    return [_objects(row, table) if type(row) is tuple else walk(row, table) for row in rows]


def line(value: Json) -> str:
    """``value`` as a line of NDJSON, in ASCII: a log's control characters cannot reach a terminal through it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(", ", ": ")) + "\n"


def address(value: int) -> str:
    """``"0x…"``, since a 64-bit number does not survive jq."""
    return f"{value:#x}"


def _field(path: str) -> Callable[[Any], Any]:
    """What gets ``variables.expression``: None where a value on the way is None."""
    first, dot, rest = path.partition(".")
    get = attrgetter(first)
    if not dot:
        return get
    further = _field(rest)

    def follow(value: Any) -> Any:
        part = get(value)
        return None if part is None else further(part)

    return follow


def _key(name: str, field: Union[str, Callable[[Any], Any], None] = None, of: Any = None) -> Key:
    """``field``: a path such as ``report.time``, where it is not the name itself; or a function for what is none."""
    return Key(name, field if callable(field) else _field(field or name), of)


def _keys(names: str, under: str = "") -> Table:
    """Keys that are called like their fields, all of them below the field ``under``."""
    return tuple(_key(name, f"{under}.{name}" if under else name) for name in names.split())


def _below(field: str, table: Table) -> Table:
    """The keys of ``table``, of what the field ``field`` holds."""
    outer = attrgetter(field)

    def inner(get: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: get(outer(value))

    return tuple(key._replace(get=inner(key.get)) for key in table)


def _itself(value: Any) -> Any:
    return value


def _addresses(values: Sequence[int]) -> List[Json]:
    return [address(value) for value in values]


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _known(value: str) -> Optional[str]:
    return value or None


def _utc(seconds: float) -> Optional[str]:

    return utc(seconds)


_SCHEMA = _key("schema", lambda _: SCHEMA)

# ---------------------------------------------------------------- a crash: analyze, dmesg, batch, resolve, disasm


def _shown(finding: Any) -> Json:
    """The frame whose instruction is marked, as ``--raw`` counts: ``ip``, or its number in the trace."""
    shown = finding.resolution.shown
    if shown is None or shown is finding.resolution.ip:
        return None if shown is None else "ip"
    return next((number for number, one in enumerate(finding.resolution.trace) if one is shown), None)


def _variables(finding: Any) -> Any:
    """None also where gdb was not asked."""
    variables = finding.variables
    return None if variables is None or variables.missing is not None else variables.rows


_SAID = (_key("text"), _key("line", "number"))
CAPTURE = (
    *_keys("cause subject"),
    _key("said", of=_SAID),
    _key("driver", of=_SAID),
    *_keys("firmware saved memory used percent fadump file cut room"),
)
LOCATION = _keys("function file line column")
FRAME = (
    _key("symbol"),
    _key("offset", of=address),
    _key("size", of=address),
    _key("module"),
    _key("address", of=address),
    *_keys("certain context"),
    _key("locations", of=LOCATION),
    _key("candidates", of=_addresses),
    _key("candidate_locations", of=LOCATION),
)
INSTRUCTION = (
    _key("address", of=address),
    _key("bytes", "data", spaced),
    *_keys("text file line fault"),
)
SOURCE = (_key("file"), _key("path", of=str), *_keys("first lines fault_line fault_column"))
PROBLEM = _keys("message hint")
CODE = (
    _key("bytes", "report.code.data", spaced),
    _key("trap", "report.code.trap"),
    _key("check", "resolution.check.result"),
    _key("detail", "resolution.check.detail"),
    _key("decoded", "resolution.from_log"),
)
_MEMORY = "listed ram free anonymous shmem slab unreclaimable hugepages swap swap_free cgroup limit"
_NAMED = (_key("symbol"), _key("offset", of=address), _key("module"))
REPORT = (
    _key("kind", "report.kind"),
    _key("headline", "report.headline", _known),
    *_keys("panic line time cpu pid comm release taint", "report"),
    _key("taints", "report.taints", _keys("flag meaning")),
    _key("modules", "report.modules", _keys("name flags")),
    _key("fault_address", "report.fault_address", address),
    _key("ip", "resolution.ip", FRAME),
    _key("trace", "resolution.trace", FRAME),
    _key("registers", "report.registers", lambda rows: {name: address(value) for name, value in rows}),
    _key("code", lambda finding: finding if finding.report.code else None, CODE),
    _key("culprit", of=_keys("symbol module file line why")),
    _key("suspect", of=_keys("module flags symbol file line")),
    _key("explanation", "reasons"),
    _key("disassembly", "resolution.disassembly", INSTRUCTION),
    _key("source", "resolution.source", SOURCE),
    _key("access", "report.access"),
    _key("error_code", "report.error_code", address),
    *_keys("hardware workqueue", "report"),
    _key("kernel_offset", "report.kernel_offset", address),
    *_keys("last_line message", "report"),
    _key("shown", _shown),
    _key("guilty"),
    _key("repeats", of=_keys("first stop period times")),
    _key("statements", of=_keys("about what level because")),
    _key("variables", _variables, _keys("function inlined name type value argument guilty")),
    _key(
        "expression", "variables.expression", (*_keys("text type struct"), _key("offset", of=address), _key("certain"))
    ),
    _key("count", "report.count"),
    _key("named", "report.named", _NAMED),
    _key("locks", "report.locks", (*_keys("pid comm name"), _key("instance", of=address), *_below("frame", _NAMED))),
    _key("works", "report.works", _keys("workqueue cpus pid symbol module seconds")),
    _key("blocker", "report.blocker", _keys("what pid comm")),
    _key("memory", "report.memory", (_key("tasks", of=_keys("pid comm rss")), *_keys(_MEMORY))),
    _key(
        "machine_checks",
        "report.machine_checks",
        (*_keys("cpu bank"), _key("status", of=address), _key("address", of=address), *_keys("socket amd said")),
    ),
    _key("wall_clock", "report.wall", _utc),
    _key("user_ip", "report.user_ip", address),
    _key("reporting"),
)
ANALYSIS = (
    _SCHEMA,
    _key("crash", of=_keys("path dmesg vmcore host time")),
    _key("kernel", of=(*_keys("release arch vmlinux build_id"), _key("kaslr_offset", of=address))),
    _key("reports", "findings", REPORT),
    _key("fatal"),
    _key("signature", of=_keys("id text")),
    _key("problems", of=PROBLEM),
    _key("vmcore", lambda _: None),  # what crash(8) added: VMCORE
    _key("capture", of=CAPTURE),
)
LISTING = (_key("frame", of=FRAME), _key("disassembly", "instructions", INSTRUCTION), _key("source", of=SOURCE))

# ---------------------------------------------------------------- what crash(8) added: analyze --with-crash, crash

_BACKTRACE_FRAME = (
    *_below("frame", FRAME),
    _key("runtime", "frame.runtime", address),
    _key("number"),
    _key("exact", "frame.exact"),
    _key("crash", lambda row: row if row.file is not None else None, _keys("file line")),
    _key("warning"),
)
_BACKTRACE = (
    _key("pid"),
    _key("task", of=address),
    *_keys("cpu comm"),
    _key("frames", of=_BACKTRACE_FRAME),
    _key("warnings"),
)
VMCORE = (
    _key("rung"),
    _key("system", of=_keys("cpus date uptime load_average tasks nodename release version machine memory panic")),
    _key("panic_task", of=_BACKTRACE),
    _key("other_cpus", of=_BACKTRACE),
    _key("memory", of=_keys("name pages size percentage")),
    _key("blocked", of=(_key("pid"), _key("task", of=address), *_keys("cpu comm state seconds"))),
    _key(
        "slab",
        of=(*_keys("cache object_size"), _key("start", of=address), _key("offset", of=address), _key("allocated")),
    ),
    _key("modules", of=_keys("name flags")),
    _key("log"),
    _key("differences", of=_keys("what log crash")),
    _key("problems", of=PROBLEM),
    _key("stuck", of=_keys("pid comm")),
)
ANSWER = (*_keys("command output complete"), _key("seconds", of=_rounded))

# ---------------------------------------------------------------- many crashes: list, merge


def _counts(names: Any) -> List[Json]:
    return [{"name": name, "count": count} for name, count in ordered(names)]


LISTED = (
    _SCHEMA,
    *_keys("time host", "entry.crash"),
    _key("release"),
    _key("vmcore_bytes", "entry.vmcore_bytes"),
    *_keys("dmesg vmcore", "entry.crash"),
    _key("incomplete", "entry.incomplete"),
    _key("path", "entry.crash.path"),
    *_keys("dmesg_bytes missing", "entry"),
    _key("capture", of=CAPTURE),
    _key("why", of=_known),
    _key("test", "creation", _keys("outcome time")),
)
GROUP = (
    _SCHEMA,
    _key("signature", "newest.signature", _keys("id text")),
    *_keys("count first last"),
    _key("kernels", "releases", _counts),
    _key("hosts", of=_counts),
    _key("kind", "newest.kind"),
    _key("headline", "newest.headline", _known),
    _key("symbol", "newest.symbol"),
    _key("offset", "newest.offset", address),
    *_keys("file line", "newest"),
    _key(
        "culprit",
        lambda group: group.newest if group.newest.culprit else None,
        (_key("symbol", "culprit"), _key("module")),
    ),
    _key("suspect", "newest.suspect", _keys("module flags symbol file line")),
    _key("newest", of=_keys("path host time")),
)

# ---------------------------------------------------------------- a host: doctor

CHECK = (
    _key("check", "name"),
    *_keys("side status seen"),
    _key("fix", lambda check: () if check.status == "skip" else check.fix, (_key("what"), _key("command", of=_known))),
    *_keys("cause evidence"),
)
DIAGNOSIS = (
    _SCHEMA,
    _key("ready"),
    _key("host", _itself, _keys("root distribution release arch memory")),
    _key("checks", of=CHECK),
)

# ---------------------------------------------------------------- fetch

FETCHED = (
    _SCHEMA,
    *_keys("release build_id"),
    _key("directory", of=str),
    _key("files", of=(_key("kind"), _key("path", of=str), _key("bytes", "size"))),
    _key("commands", "steps", (_key("command"), _key("bytes", "size"))),
    _key("problems", of=PROBLEM),
)
KEPT = (
    _SCHEMA,
    *_keys("release build_id"),
    _key("bytes", "size"),
    _key("time", "used", local),
    _key("path", of=str),
)
