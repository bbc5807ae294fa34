"""Real crashes, saved by real kdump: what brought each kernel down, with no help but the module's debuginfo.

The right answers stand in the vendor's module (tests/lab/xxxwan.c) as FAULT, CALL and INLINED marks; those that lie in
the kernel's own source are statements there, of which the lab holds the files of the same version.
"""

import json
import re
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import pytest
from conftest import Lab, RunCli, without_lab

pytestmark = pytest.mark.lab

Json = Dict[str, Any]


class Case(NamedTuple):
    """What an analysis has to find. `chain`: (function, end of the file's path, mark or statement), innermost first."""

    kind: str
    headline: str
    symbol: Optional[str]  # of the instruction pointer
    module: Optional[str]
    chain: Tuple[Tuple[str, str, str], ...]
    calls: Tuple[str, ...]  # marks of the vendor's frames, outwards
    culprit: str
    suspect: Optional[str]


ANY = "CALL:any"
IPTUNNEL = (
    ("local_add", "arch/x86/include/asm/local.h", "asm volatile(_ASM_ADD"),
    ("u64_stats_add", "include/linux/u64_stats_sync.h", "local64_add(val, &p->v);"),
    ("iptunnel_xmit_stats", "include/net/ip_tunnels.h", "u64_stats_add(&tstats->tx_bytes, pkt_len);"),
    ("iptunnel_xmit", "net/ipv4/ip_tunnel_core.c", "iptunnel_xmit_stats(dev, pkt_len);"),
)
SYSRQ = ("sysrq_handle_crash", "drivers/tty/sysrq.c", 'panic("sysrq triggered crash')
CORRUPTION = "CHECK_DATA_CORRUPTION(next == LIST_POISON1,"
NULL_DEREF = (("wan_next_seq", "xxxwan.c", "FAULT:null_deref"),)

CASES = {
    "iptunnel": Case(
        "page-fault",
        "BUG: unable to handle page fault for address: ffff",
        "iptunnel_xmit",
        None,
        IPTUNNEL,
        ("CALL:iptunnel", "CALL2:iptunnel"),
        "iptunnel_xmit",
        "send4",
    ),
    "sysrq": Case(
        "panic",
        "Kernel panic - not syncing: sysrq triggered crash",
        None,
        None,
        (SYSRQ,),
        (),
        "sysrq_handle_crash",
        None,
    ),
    "null_deref": Case(
        "null-pointer",
        "BUG: kernel NULL pointer dereference, address: 0000000000000010",
        "wan_next_seq",
        "xxxwan",
        NULL_DEREF,
        ("CALL:null_deref", ANY),
        "wan_next_seq",
        "wan_next_seq",
    ),
    "bug_on": Case(
        "bug",
        "kernel BUG at ",
        "wan_spend.constprop.0",
        "xxxwan",
        (("wan_spend", "xxxwan.c", "FAULT:bug_on"),),
        ("CALL:bug_on", ANY),
        "wan_spend",
        "wan_spend",
    ),
    "list_del": Case(
        "bug",
        "kernel BUG at lib/list_debug.c:",
        "__list_del_entry_valid.cold",
        None,
        (("__list_del_entry_valid", "lib/list_debug.c", CORRUPTION),),
        ("CALL:list_del", "CALL2:list_del", ANY),
        "wan_forget",
        "wan_forget",
    ),
    "divide": Case(
        "divide-error",
        "divide error: 0000 [#1]",
        "s_show",
        "xxxwan",
        (("wan_per_usec", "xxxwan.c", "FAULT:divide"), ("s_show", "xxxwan.c", "INLINED:divide")),
        ("CALL:divide", ANY),
        "s_show",
        "s_show",
    ),
    "softlockup": Case(
        "soft-lockup",
        "watchdog: BUG: soft lockup - CPU#",
        "wan_wait",
        "xxxwan",
        (("wan_wait", "xxxwan.c", "FAULT:softlockup"),),
        ("CALL:softlockup",),
        "wan_wait",
        "wan_wait",
    ),
    "warn_then_oops": Case(
        "null-pointer",
        "BUG: kernel NULL pointer dereference, address: 0000000000000010",
        "wan_set_weight",
        "xxxwan",
        (("wan_set_weight", "xxxwan.c", "FAULT:warn_then_oops"),),
        ("CALL:warn_then_oops",),
        "wan_set_weight",
        "wan_set_weight",
    ),
    "distmod": Case(
        "general-protection",
        "general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b",
        "ip_tunnel_lookup",
        "ip_tunnel",
        (("ip_tunnel_lookup", "net/ipv4/ip_tunnel.c", "hlist_for_each_entry_rcu(t, head, hash_node)"),),
        ("CALL:distmod", ANY),
        "ip_tunnel_lookup",
        "wan_match_tunnel",
    ),
    "memcpy": Case(
        "page-fault",
        "BUG: unable to handle page fault for address: 00000000c0ffee04",
        "__memcpy",
        None,
        (("__memcpy", "arch/x86/lib/memcpy_64.S", "rep movsq"),),
        ("CALL:memcpy", "CALL2:memcpy", ANY),
        "wan_rename",
        "wan_rename",
    ),
    "uaf": Case(
        "general-protection",
        "general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b7b",
        "wan_weigh",
        "xxxwan",
        (("wan_weigh", "xxxwan.c", "FAULT:uaf"),),
        ("CALL:uaf", ANY),
        "wan_weigh",
        "wan_weigh",
    ),
    "list_poison": Case(
        "general-protection",
        "general protection fault, probably for non-canonical address 0xdead000000000122",
        "wan_unhash",
        "xxxwan",
        (
            ("__hlist_del", "include/linux/list.h", "WRITE_ONCE(*pprev, next);"),
            ("hlist_del", "include/linux/list.h", "__hlist_del(n);"),
            ("wan_unhash", "xxxwan.c", "INLINED:list_poison"),
        ),
        ("CALL:list_poison", ANY),
        "wan_unhash",
        "wan_unhash",
    ),
}

# What 6.12 has otherwise: die() says "Oops:" first, list_del() calls a function that is not inlined in any other.
CASES_NEWER = {
    **CASES,
    "divide": CASES["divide"]._replace(headline="Oops: divide error: 0000 [#1]"),
    **{
        case: CASES[case]._replace(headline="Oops: " + CASES[case].headline)
        for case in ("distmod", "uaf", "list_poison")
    },
    "list_del": CASES["list_del"]._replace(
        symbol="__list_del_entry_valid_or_report",
        chain=(("__list_del_entry_valid_or_report", "lib/list_debug.c", CORRUPTION),),
    ),
    "memcpy": CASES["memcpy"]._replace(  # this copy goes backwards: the last 8 of 33 bytes come first
        headline="BUG: unable to handle page fault for address: 00000000c0ffee1d",
        symbol="memcpy_orig",
        chain=(("memcpy_orig", "arch/x86/lib/memcpy_64.S", "movq %r8,\t\t-1*8(%rdi)"),),
    ),
}

# By the last byte of the name's address, which the length of the lab's own path moves, it may go forwards too.
FORWARDS = CASES_NEWER["memcpy"]._replace(
    headline=CASES["memcpy"].headline, chain=(("memcpy_orig", "arch/x86/lib/memcpy_64.S", "movq %r8,\t0*8(%rdi)"),)
)

# On aarch64 the trace begins with the instruction pointer; a leaf function's caller is in the link register alone.
CASES_ARM64 = {
    "iptunnel": CASES["iptunnel"]._replace(
        headline="Unable to handle kernel paging request at virtual address ffff", chain=IPTUNNEL[1:]
    ),
    "sysrq": CASES["sysrq"],
    "null_deref": CASES["null_deref"]._replace(
        headline="Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010"
    ),
}


LABS = {"lab": CASES, "lab_newer": CASES_NEWER, "lab_arm64": CASES_ARM64}
ALL = [(lab, case) for lab, cases in LABS.items() for case in cases]
X86 = ("lab", "lab_newer")


class Crash(NamedTuple):
    """One crash of a lab, what has to be found in it, and how to ask."""

    lab: Lab
    name: str
    expected: Case
    analyze: Callable[..., str]

    @property
    def path(self) -> Path:
        return self.lab.crashes[self.name]

    @property
    def json(self) -> Json:
        (line,) = self.analyze("--json").splitlines()
        found: Json = json.loads(line)
        return found

    @property
    def fatal(self) -> Json:
        found: Json = self.json["reports"][self.json["fatal"]]
        return found

    def line(self, function: str, file: str, wanted: str) -> int:
        """The line of a mark in the module's source, or of a statement in a function of the kernel's."""
        return self.lab.marks[wanted] if file == "xxxwan.c" else self.lab.line(file, function, wanted)


@pytest.fixture(scope="session")
def crashes(request: pytest.FixtureRequest, run_cli: RunCli) -> Callable[[str, str], Crash]:
    """A crash by lab and case; each is analysed once for each format."""

    @lru_cache(maxsize=None)
    def crash(lab_name: str, name: str) -> Crash:
        lab: Lab = request.getfixturevalue(lab_name)
        if name not in lab.crashes:
            without_lab(f"the lab in {lab.path} has no {name} (scripts/crashlab builds it)")

        @lru_cache(maxsize=None)
        def analyze(*output: str) -> str:
            result = run_cli("analyze", *output, "--root", lab.root, "--module-dir", lab.module_dir, lab.crashes[name])
            assert (result.status, result.stderr) == (0, "")
            return result.stdout

        expected = LABS[lab_name][name]
        if (
            expected is CASES_NEWER["memcpy"]
            and FORWARDS.headline in (lab.crashes[name] / "vmcore-dmesg.txt").read_text()
        ):
            expected = FORWARDS
        return Crash(lab, name, expected, analyze)

    return crash


@pytest.fixture(params=ALL, ids="-".join)
def crash(request: pytest.FixtureRequest, crashes: Callable[[str, str], Crash]) -> Crash:
    return crashes(*request.param)


def places(frame: Json) -> List[Tuple[str, str, int]]:
    return [(place["function"], place["file"], place["line"]) for place in frame["locations"]]


def assert_chain(crash: Crash, frame: Json) -> None:
    """The frame's locations are the expected ones, innermost first (the machine's own atomic operations aside)."""
    found = places(frame)[-len(crash.expected.chain) :]
    for (function, file, line), (name, path, wanted) in zip(found, crash.expected.chain):
        assert function == name
        assert file.endswith("/" + path)
        assert "/./" not in file
        assert line == crash.line(name, path, wanted)
    assert len(found) == len(crash.expected.chain)


# ---------------------------------------------------------------- the right report, place and way


def test_fatal_report(crash: Crash) -> None:
    """What happened, in the report that brought the kernel down."""
    report, expected = crash.fatal, crash.expected
    assert report["kind"] == expected.kind
    assert report["headline"].startswith(expected.headline)
    assert report["release"] == crash.lab.release
    assert crash.json["kernel"]["arch"] == crash.lab.arch
    assert crash.json["kernel"]["vmlinux"] == str(crash.lab.vmlinux)
    assert crash.json["problems"] == []
    kinds = [each["kind"] for each in crash.json["reports"]]
    assert kinds == (["warning", "null-pointer"] if crash.name == "warn_then_oops" else [expected.kind])
    assert bool(report["panic"]) == (crash.name in ("sysrq", "softlockup"))


def test_the_faulting_statement(crash: Crash) -> None:
    """Function, file and line of the statement that failed, inside what it was inlined into."""
    report = crash.fatal
    if crash.expected.symbol is None:
        assert report["ip"] is None  # panic() was called: the caller's line is that of the call
        frames = [frame for frame in report["trace"] if frame["certain"]]
        after_panic = next(frame for last, frame in zip(frames, frames[1:]) if last["symbol"] == "panic")
        assert_chain(crash, after_panic)
    else:
        assert (report["ip"]["symbol"], report["ip"]["module"]) == (crash.expected.symbol, crash.expected.module)
        assert_chain(crash, report["ip"])


def test_every_frame_of_the_vendor_is_at_its_call(crash: Crash) -> None:
    """Each CALL mark of the case, from the fault outwards, and no other frame of the module."""
    frames = [frame for frame in crash.fatal["trace"] if frame["certain"] and frame["module"] == "xxxwan"]
    ip = crash.fatal["ip"]
    if ip and crash.lab.arch == "aarch64":  # its trace begins with the instruction pointer once more
        frames = [frame for frame in frames if (frame["symbol"], frame["offset"]) != (ip["symbol"], ip["offset"])]
    lines = [next(line for _, file, line in places(frame) if file.endswith("/xxxwan.c")) for frame in frames]
    assert lines == [crash.lab.marks[mark] for mark in crash.expected.calls]


def test_whom_to_ask(crash: Crash) -> None:
    report, expected = crash.fatal, crash.expected
    assert report["culprit"]["symbol"] == expected.culprit
    assert (report["suspect"] or {}).get("symbol") == expected.suspect
    if expected.suspect:
        assert report["suspect"]["module"] == "xxxwan"
        assert set(report["suspect"]["flags"]) == set("OE")


def test_the_loop_of_a_stall_is_seen_where_its_log_has_no_instruction_pointer(
    lab: Lab, run_cli: RunCli, tmp_path: Path
) -> None:
    """Kernels to 4.9 print it among the frames, with a question mark, and no code bytes: the module's file has them."""
    real = lab.crashes["softlockup"].joinpath("vmcore-dmesg.txt").read_text("utf-8", "replace")
    found = re.search(r"RIP: 0010:(wan_wait\+\S+)", real)
    assert found is not None
    lines = [
        f"Linux version {lab.release} (builder@x) (gcc version 12) #1 SMP",
        "INFO: rcu_sched self-detected stall on CPU { 5}  (t=60001 jiffies g=1881 c=1880 q=412)",
        "Task dump for CPU 5:",
        "Call Trace:",
        " <IRQ>  [<ffffffff810c3ae8>] sched_show_task+0xa8/0x110",
        " [<ffffffff8113b580>] rcu_dump_cpu_stacks+0x90/0xd0",
        " [<ffffffff8113ec02>] rcu_check_callbacks+0x442/0x730",
        " [<ffffffff816b549d>] apic_timer_interrupt+0x6d/0x80",
        f" <EOI>  [<ffffffffc02a514e>] ? {found[1]} [xxxwan]",
        " [<ffffffffc02a516d>] wan_poll+0x1d/0x40 [xxxwan]",
    ]
    (tmp_path / "log").write_text("".join(f"[  812.{n:06d}] {line}\n" for n, line in enumerate(lines)))
    done = run_cli("analyze", "--json", "--root", lab.root, "--module-dir", lab.module_dir, str(tmp_path / "log"))
    (report,) = json.loads(done.stdout)["reports"]
    assert (report["culprit"]["symbol"], report["ip"]) == ("wan_wait", None)
    assert report["culprit"]["why"] == "it was in a loop that calls nothing"
    assert any(row["fault"] for row in report["disassembly"])


@pytest.mark.parametrize("lab_name", X86)
def test_the_warning_before_the_crash_is_resolved_too(crashes: Callable[[str, str], Crash], lab_name: str) -> None:
    crash = crashes(lab_name, "warn_then_oops")
    warning = crash.json["reports"][0]
    assert places(warning["ip"])[0][2] == crash.lab.marks["WARN:warn_then_oops"]
    assert (crash.json["fatal"], warning["disassembly"]) == (1, [])


def test_a_leaf_functions_caller_comes_from_the_link_register(crashes: Callable[[str, str], Crash]) -> None:
    first, second = crashes("lab_arm64", "null_deref").fatal["trace"][:2]
    assert (first["symbol"], first["context"]) == ("wan_ping_session", "LR")
    assert second["symbol"] == "wan_next_seq"


# ---------------------------------------------------------------- instructions and source


def test_one_instruction_is_marked(crash: Crash) -> None:
    """The one at the instruction pointer, or the call of panic(); its bytes are those of the log."""
    report = crash.fatal
    marked = [row for row in report["disassembly"] if row["fault"]]
    assert len(marked) == 1
    assert len(report["disassembly"]) > 3
    assert all(row["line"] for row in report["disassembly"] if row["text"] != "int3")  # addr2line was told of each
    if report["ip"] is None:
        assert re.match(r"(call|bl)\b.*<panic>", marked[0]["text"])
        return
    assert marked[0]["address"] == report["ip"]["address"]
    if report["code"] is None:  # nothing is mapped before a module's first page: the kernel could not read its own code
        assert crash.name == "distmod"
        assert "Code: Unable to access opcode bytes" in (crash.path / "vmcore-dmesg.txt").read_text()
        return
    code, printed = report["code"], marked[0]["bytes"].replace(" ", "")
    assert code["check"] in ("match", "patched")
    in_log = code["bytes"].replace(" ", "")[2 * code["trap"] :][: len(printed)]
    if crash.lab.arch == "x86_64" and not marked[0]["text"].startswith(("call", "j")):  # those are relocated
        assert in_log == printed


def first_mark(crash: Crash) -> Optional[str]:
    """Of the innermost place that lies in the module's source."""
    return next((mark for _, file, mark in crash.expected.chain if file == "xxxwan.c"), None)


def test_the_source_shows_the_faulting_statement(crash: Crash) -> None:
    """The module's source lies where it was compiled; the kernel's is not on this machine, and that is no problem."""
    source = crash.fatal["source"]
    mark = first_mark(crash)
    if mark is None:
        assert source is None
        return
    shown = source["lines"][source["fault_line"] - source["first"]]
    assert mark in shown
    assert (source["path"], source["fault_line"]) == (str(crash.lab.source), crash.lab.marks[mark])


FAULTING = {  # what faults in the statement of each mark, from its first character on
    "FAULT:null_deref": "READ_ONCE(s->seq)",
    "FAULT:bug_on": "BUG_ON(",
    "FAULT:divide": "/ usecs",
    "FAULT:softlockup": "READ_ONCE(l->ready)",
    "FAULT:warn_then_oops": "= weight",
    "FAULT:uaf": "->weight",
    "INLINED:list_poison": "hlist_del(",
}


def test_a_caret_stands_under_the_faulting_expression(crash: Crash) -> None:
    """Tabs stand before it: in the text as blanks, in the line table each as one column."""
    source = crash.fatal["source"]
    if source is None:
        return
    assert {mark for mark in crash.lab.marks if mark.startswith("FAULT:")} - {"FAULT:name"} < set(FAULTING)
    expected = FAULTING[first_mark(crash) or ""]
    statement = source["lines"][source["fault_line"] - source["first"]]
    assert statement[source["fault_column"] - 1 :].startswith(expected)
    for shown in (crash.analyze(), crash.analyze("--markdown")):
        lines = shown.splitlines()
        number = next(n for n, line in enumerate(lines) if re.match(rf"=> *{source['fault_line']}  ", line))
        assert re.fullmatch(" +\\^", lines[number + 1])
        assert lines[number][lines[number + 1].index("^") :].startswith(expected)


# ---------------------------------------------------------------- the three formats say the same


def test_raw_says_the_same(crash: Crash) -> None:
    rows = [line.split("\t") for line in crash.analyze("--raw").splitlines()]
    facts = {row[0]: row[1:] for row in rows}
    report = crash.fatal
    assert (facts["kind"], facts["headline"]) == ([report["kind"]], [report["headline"]])
    assert facts["report"] == [str(crash.json["fatal"]), "1"]
    if report["ip"]:
        first = report["ip"]["locations"][0]
        assert facts["ip"][0] == report["ip"]["symbol"]
        column = "" if first["column"] is None else str(first["column"])
        assert facts["ip"][4:] == [report["ip"]["address"], first["file"], str(first["line"]), column]
        inlined = [tuple(row[2:5]) for row in rows if row[:2] == ["inline", "ip"]]
        assert inlined == [(name, file, str(line)) for name, file, line in places(report["ip"])[:-1]]
    frames = [row for row in rows if row[0] == "frame"]
    assert [row[4] for row in frames] == [frame["symbol"] for frame in report["trace"]]
    assert [row[1] for row in frames] == [str(number) for number in range(len(frames))]
    assert [row[6] for row in rows if row[0] == "insn"].count("1") == 1
    assert not [row for row in rows if row[0] == "problem"]


def test_text_leads_to_the_line(crash: Crash) -> None:
    """A person reads headline, file:line and the marked instruction; no colour and no wrapping in a pipe."""
    text = crash.analyze()
    marked = next(row for row in crash.fatal["disassembly"] if row["fault"])
    function, path, wanted = crash.expected.chain[-1 if crash.expected.symbol is None else 0]
    assert crash.fatal["headline"] in text
    if crash.lab.arch == "x86_64":
        assert f"{path}:{crash.line(function, path, wanted)}" in text
    assert marked["text"].split()[-1] in text
    assert "\x1b" not in text


# ---------------------------------------------------------------- with nothing but the log


@pytest.mark.parametrize("lab_name", X86)
@pytest.mark.parametrize("case", sorted(CASES))
def test_without_debuginfo(
    case: str, lab_name: str, crashes: Callable[[str, str], Crash], tmp_path: Path, run_cli: RunCli
) -> None:
    """Headline, symbols, trace and the decoded instruction are there; the missing package is named with its command."""
    crash = crashes(lab_name, case)
    log = shutil.copy(crash.path / "vmcore-dmesg.txt", tmp_path)
    result = run_cli("analyze", "--json", "--root", tmp_path, log)
    assert result.status == 3
    command = f"apt install linux-image-{crash.lab.release}-dbg"
    assert re.search(rf"^kdumpwrap: .*{re.escape(crash.lab.release)}", result.stderr, re.MULTILINE)
    assert re.search(rf"^hint: .*\b{re.escape(command)}$", result.stderr, re.MULTILINE)
    found = json.loads(result.stdout)
    report = found["reports"][found["fatal"]]
    assert any(command in problem["hint"] for problem in found["problems"])
    assert found["kernel"]["vmlinux"] is None
    for key in ("kind", "headline", "panic", "comm", "pid", "fault_address", "registers", "modules", "taint"):
        assert report[key] == crash.fatal[key]
    assert names(report["trace"]) == names(crash.fatal["trace"])
    assert not [frame for frame in report["trace"] if frame["locations"]]
    if report["ip"] is None:
        return
    assert names([report["ip"]]) == names([crash.fatal["ip"]])
    if crash.fatal["code"] is None:
        assert report["disassembly"] == []
        return
    decoded = [row for row in report["disassembly"] if row["fault"]]
    wanted = next(row for row in crash.fatal["disassembly"] if row["fault"])
    assert [row["bytes"] for row in decoded] == [wanted["bytes"]]
    assert [row["text"].split()[0] for row in decoded] == [wanted["text"].split()[0]]


def names(frames: List[Json]) -> List[Tuple[Any, ...]]:
    return [
        tuple(frame[key] for key in ("symbol", "offset", "size", "module", "certain", "context")) for frame in frames
    ]


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("3.10.0-1160.119.1.el7.x86_64", "debuginfo-install kernel-3.10.0-1160.119.1.el7"),
        ("4.18.0-553.el8_10.x86_64", "dnf debuginfo-install kernel-4.18.0-553.el8_10"),
        ("5.14.0-503.11.1.el9_5.x86_64", "dnf debuginfo-install kernel-5.14.0-503.11.1.el9_5"),
        ("6.12.0-55.9.1.el10_0.x86_64", "dnf debuginfo-install kernel-6.12.0-55.9.1.el10_0"),
    ],
)
def test_the_command_that_installs_debuginfo(
    release: str, command: str, lab: Lab, tmp_path: Path, run_cli: RunCli
) -> None:
    text = (lab.crashes["null_deref"] / "vmcore-dmesg.txt").read_text().replace(lab.release, release)
    result = run_cli("analyze", "--root", tmp_path, "-", stdin=text)
    assert result.status == 3
    assert re.search(rf"(^hint:|[ ;])\s*{re.escape(command)}(\.x86_64)?$", result.stderr, re.MULTILINE)


# ---------------------------------------------------------------- what is left behind


def test_nothing_is_written_beside_the_crash(crash: Crash) -> None:
    crash.analyze("--json")
    assert {file.name for file in crash.path.iterdir()} == {"vmcore", "vmcore-dmesg.txt"}


def test_the_newest_crash_is_the_default(lab: Lab, run_cli: RunCli) -> None:
    result = run_cli("analyze", "--json", "--root", lab.root, "--module-dir", lab.module_dir)
    assert json.loads(result.stdout)["crash"]["path"] == str(max(lab.crashes.values(), key=lambda path: path.name))


def test_list_names_every_crash(lab: Lab, run_cli: RunCli) -> None:
    result = run_cli("list", "--raw", "--root", lab.root)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert result.status == 0
    assert [row[5] for row in rows] == sorted(str(path) for path in lab.crashes.values())
    assert {(row[2], row[4]) for row in rows} == {(lab.release, "1")}
    assert [int(row[3]) for row in rows] == [Path(row[5], "vmcore").stat().st_size for row in rows]
