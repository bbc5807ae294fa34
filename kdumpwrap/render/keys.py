"""The keys of every JSON object: a key is a name and the field it stands for.

Every key is always there; what is unknown is null. New keys come last.
"""

from typing import Any, List, Optional, Sequence

from kdumpwrap.model.bugs import ordered
from kdumpwrap.moment import local, utc
from kdumpwrap.octets import spaced
from kdumpwrap.render.walker import Json, address, below, key, keys

SCHEMA = "kdumpwrap/1"


def _itself(value: Any) -> Any:
    return value


def _addresses(values: Sequence[int]) -> List[Json]:
    return [address(value) for value in values]


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def _known(value: str) -> Optional[str]:
    return value or None


_SCHEMA = key("schema", lambda _: SCHEMA)

# ---------------------------------------------------------------- a crash: analyze, dmesg, batch, resolve, disasm


def _shown(finding: Any) -> Json:
    """The frame whose instruction is marked, as ``--raw`` counts: ``ip``, or its number in the trace."""
    shown = finding.resolution.shown
    if shown is None or shown is finding.resolution.ip:
        return None if shown is None else "ip"
    return next((number for number, one in enumerate(finding.resolution.trace) if one is shown), None)


def _variables(finding: Any) -> Any:
    """The rows of the variables; None when gdb was not asked or had no answer."""
    variables = finding.variables
    return None if variables is None or variables.missing is not None else variables.rows


_SAID = (key("text"), key("line", "number"))
CAPTURE = (
    *keys("cause subject"),
    key("said", of=_SAID),
    key("driver", of=_SAID),
    *keys("firmware saved memory used percent fadump file cut room"),
)
LOCATION = keys("function file line column")
FRAME = (
    key("symbol"),
    key("offset", of=address),
    key("size", of=address),
    key("module"),
    key("address", of=address),
    *keys("certain context"),
    key("locations", of=LOCATION),
    key("candidates", of=_addresses),
    key("candidate_locations", of=LOCATION),
)
INSTRUCTION = (
    key("address", of=address),
    key("bytes", "data", spaced),
    *keys("text file line fault"),
)
SOURCE = (key("file"), key("path", of=str), *keys("first lines fault_line fault_column"))
PROBLEM = keys("message hint")
CODE = (
    key("bytes", "report.code.data", spaced),
    key("trap", "report.code.trap"),
    key("check", "resolution.check.result"),
    key("detail", "resolution.check.detail"),
    key("decoded", "resolution.from_log"),
)
_MEMORY = "listed ram free anonymous shmem slab unreclaimable hugepages swap swap_free cgroup limit"
_NAMED = (key("symbol"), key("offset", of=address), key("module"))
REPORT = (
    key("kind", "report.kind"),
    key("headline", "report.headline", _known),
    *keys("panic line time cpu pid comm release taint", "report"),
    key("taints", "report.taints", keys("flag meaning")),
    key("modules", "report.modules", keys("name flags")),
    key("fault_address", "report.fault_address", address),
    key("ip", "resolution.ip", FRAME),
    key("trace", "resolution.trace", FRAME),
    key("registers", "report.registers", lambda rows: {name: address(value) for name, value in rows}),
    key("code", lambda finding: finding if finding.report.code else None, CODE),
    key("culprit", of=keys("symbol module file line why")),
    key("suspect", of=keys("module flags symbol file line")),
    key("explanation", "reasons"),
    key("disassembly", "resolution.disassembly", INSTRUCTION),
    key("source", "resolution.source", SOURCE),
    key("access", "report.access"),
    key("error_code", "report.error_code", address),
    *keys("hardware workqueue", "report"),
    key("kernel_offset", "report.kernel_offset", address),
    key("last_line", "report.last_line"),
    key("message", "report.message.text"),
    key("shown", _shown),
    key("guilty"),
    key("repeats", of=keys("first stop period times")),
    key("statements", of=keys("about what level because")),
    key("variables", _variables, keys("function inlined name type value argument guilty")),
    key("expression", "variables.expression", (*keys("text type struct"), key("offset", of=address), key("certain"))),
    key("count", "report.tasks"),
    key("named", "report.named", _NAMED),
    key("locks", "report.locks", (*keys("pid comm name"), key("instance", of=address), *below("frame", _NAMED))),
    key("works", "report.works", keys("workqueue cpus pid symbol module seconds")),
    key("blocker", "report.blocker", keys("what pid comm")),
    key("memory", "report.memory", (key("tasks", of=keys("pid comm rss")), *keys(_MEMORY))),
    key(
        "machine_checks",
        "report.machine_checks",
        (*keys("cpu bank"), key("status", of=address), key("address", of=address), *keys("socket amd said")),
    ),
    key("wall_clock", "report.wall", utc),
    key("user_ip", "report.user_ip", address),
    key("reporting"),
    key("message_origin", "report.message.origin"),
)
ANALYSIS = (
    _SCHEMA,
    key("crash", of=keys("path dmesg vmcore host time")),
    key("kernel", of=(*keys("release arch vmlinux build_id"), key("kaslr_offset", of=address))),
    key("reports", "findings", REPORT),
    key("fatal"),
    key("signature", of=keys("id text")),
    key("problems", of=PROBLEM),
    key("vmcore", lambda _: None),  # what crash(8) added: VMCORE
    key("capture", of=CAPTURE),
)
LISTING = (key("frame", of=FRAME), key("disassembly", "instructions", INSTRUCTION), key("source", of=SOURCE))

# ---------------------------------------------------------------- what crash(8) added: analyze --with-crash, crash

_BACKTRACE_FRAME = (
    *below("frame", FRAME),
    key("runtime", "frame.runtime", address),
    key("number"),
    key("exact", "frame.exact"),
    key("crash", lambda row: row if row.file is not None else None, keys("file line")),
    key("warning"),
)
_BACKTRACE = (
    key("pid"),
    key("task", of=address),
    *keys("cpu comm"),
    key("frames", of=_BACKTRACE_FRAME),
    key("warnings"),
)
VMCORE = (
    key("rung"),
    key("system", of=keys("cpus date uptime load_average tasks nodename release version machine memory panic")),
    key("panic_task", of=_BACKTRACE),
    key("other_cpus", of=_BACKTRACE),
    key("memory", of=keys("name pages size percentage")),
    key("blocked", of=(key("pid"), key("task", of=address), *keys("cpu comm state seconds"))),
    key(
        "slab",
        of=(*keys("cache object_size"), key("start", of=address), key("offset", of=address), key("allocated")),
    ),
    key("modules", of=keys("name flags")),
    key("log"),
    key("differences", of=keys("what log crash")),
    key("problems", of=PROBLEM),
    key("stuck", of=keys("pid comm")),
)
ANSWER = (*keys("command output complete"), key("seconds", of=_rounded))

# ---------------------------------------------------------------- many crashes: list, merge


def _counts(names: Any) -> List[Json]:
    return [{"name": name, "count": count} for name, count in ordered(names)]


LISTED = (
    _SCHEMA,
    *keys("time host", "entry.crash"),
    key("release"),
    key("vmcore_bytes", "entry.vmcore_bytes"),
    *keys("dmesg vmcore", "entry.crash"),
    key("incomplete", "entry.incomplete"),
    key("path", "entry.crash.path"),
    *keys("dmesg_bytes missing", "entry"),
    key("capture", of=CAPTURE),
    key("why", of=_known),
    key("test", "creation", keys("outcome time")),
)
GROUP = (
    _SCHEMA,
    key("signature", "newest.signature", keys("id text")),
    *keys("count first last"),
    key("kernels", "releases", _counts),
    key("hosts", of=_counts),
    key("kind", "newest.kind"),
    key("headline", "newest.headline", _known),
    key("symbol", "newest.symbol"),
    key("offset", "newest.offset", address),
    *keys("file line", "newest"),
    key(
        "culprit",
        lambda group: group.newest if group.newest.culprit else None,
        (key("symbol", "culprit"), key("module")),
    ),
    key("suspect", "newest.suspect", keys("module flags symbol file line")),
    key("newest", of=keys("path host time")),
)

# ---------------------------------------------------------------- a host: doctor

CHECK = (
    key("check", "name"),
    *keys("side status seen"),
    key("fix", lambda check: () if check.status == "skip" else check.fix, (key("what"), key("command", of=_known))),
    *keys("cause evidence"),
)
DIAGNOSIS = (
    _SCHEMA,
    key("ready"),
    key("host", _itself, keys("root distribution release arch memory")),
    key("checks", of=CHECK),
)

# ---------------------------------------------------------------- fetch

FETCHED = (
    _SCHEMA,
    *keys("release build_id"),
    key("directory", of=str),
    key("files", of=(key("kind"), key("path", of=str), key("bytes", "size"))),
    key("commands", "steps", (key("command"), key("bytes", "size"))),
    key("problems", of=PROBLEM),
)
KEPT = (
    _SCHEMA,
    *keys("release build_id"),
    key("bytes", "size"),
    key("time", "used", local),
    key("path", of=str),
)
