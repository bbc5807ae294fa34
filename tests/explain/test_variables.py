"""Variables from a log: the chains that lead to a failed access, what gdb is asked, and all that may go wrong there."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from conftest import RunCli, ToolDir

from kdumpwrap.arch import core
from kdumpwrap.example import worked
from kdumpwrap.explain import chain, variables
from kdumpwrap.model.kernel import CodeCheck, Instruction, Resolution, ResolvedFrame
from kdumpwrap.model.log import Report, ReportKind
from kdumpwrap.model.scope import Chain, Hop, Member, Question, Reading, Scope, Variable
from kdumpwrap.parse import gdb as answers
from kdumpwrap.symbolize.scope import otherwise
from kdumpwrap.tools import gdb

VMLINUX = next(worked.root().rglob("vmlinux"))
REGISTERS = (("rax", 0xFFFFB1C0C2345678), ("rbp", 0xFFFF9D3A9A1F2000), ("rbx", 84))
CRASH = Question(None, 0xFFFFFFFF81898D7D, REGISTERS, (Chain("rax", (Hop(0x10),)),))


def resolution(*texts: str, kind: ReportKind = "page-fault", fault: int = -1, **more: Any) -> Resolution:
    """A crash in the marked one of these instructions of x86-64, four bytes each."""
    place = fault % len(texts)
    rows = tuple(Instruction(0x1000 + 4 * n, b"\x90" * 4, text, fault=n == place) for n, text in enumerate(texts))
    ip = ResolvedFrame("f", 0x20, 0x100, exact=True, address=0x1000 + 4 * place)
    registers = tuple(more.pop("registers", {}).items())
    report = Report(kind, "BUG", 1, arch="x86_64", registers=registers, **more)
    return Resolution(report, ip, (), CodeCheck("match"), rows, rows)


# ---------------------------------------------------------------- chains


@pytest.mark.parametrize(
    ("texts", "chains"),
    [
        (["mov 0x10(%rdi),%rax"], [("rdi", [0x10])]),
        (["mov 0x20(%rbx),%rax", "mov 0x10(%rax),%ecx"], [("rax", [0x10]), ("rbx", [0x20, 0x10])]),
        (
            ["mov 0x20(%rbx),%rax", "mov 0x8(%rax),%rax", "mov 0x10(%rax),%ecx"],
            [("rax", [0x10]), ("rbx", [0x20, 8, 0x10])],
        ),
        (["mov %rbx,%rax", "mov 0x10(%rax),%ecx"], [("rax", [0x10]), ("rbx", [0x10])]),
        (["lea 0x18(%rbx),%rax", "mov 0x8(%rax),%ecx"], [("rax", [8]), ("rbx", [0x20])]),
        (["mov 0x20(%rbx),%rax", "mov $0x0,%ebx", "mov 0x10(%rax),%ecx"], [("rax", [0x10])]),  # rbx is another now
        (["mov 0x20(%rdi),%rax", "call 2000 <g>", "mov 0x10(%rax),%ecx"], [("rax", [0x10])]),  # g returned it
        (["mov 0x20(%rdi),%rbx", "call 2000 <g>", "mov 0x10(%rbx),%ecx"], [("rbx", [0x10])]),  # g may change rdi
        (["mov 0x20(%r12),%rbx", "call 2000 <g>", "mov 0x10(%rbx),%ecx"], [("rbx", [0x10]), ("r12", [0x20, 0x10])]),
        (["mov 0x20(%rbx),%rax", "xchg %rbx,%rcx", "mov 0x10(%rax),%ecx"], [("rax", [0x10])]),
        (["mov 0x20(%rbx),%eax", "mov 0x10(%rax),%ecx"], [("rax", [0x10])]),  # half a pointer
        (["mov 0x20(%rbx,%rcx,8),%rax", "mov 0x10(%rax),%ecx"], [("rax", [0x10])]),
        (["add $0x1,%rax", "mov (%rax),%ecx"], [("rax", [0])]),
        (["mov 0x8(%rip),%rax"], []),
        (["push %rbx"], []),
    ],
)
def test_chains(texts: List[str], chains: List[Tuple[str, List[int]]]) -> None:
    names = ("rax", "rbx", "rcx", "rdi", "r12", "rsp")
    registers = {name: 0xFFFF888000000000 + 0x10000 * n for n, name in enumerate(names)}
    found = chain.chains(resolution(*texts, registers=registers))
    assert [(one.register, [hop.offset for hop in one.hops]) for one in found] == chains


def test_the_chain_of_an_index_takes_its_value_into_the_offset() -> None:
    registers = {"rax": 0xFFFF888000000000, "rbx": 3}
    (found,) = chain.chains(resolution("mov 0x10(%rax,%rbx,8),%ecx", registers=registers))
    assert found == Chain("rax", (Hop(0x28),))


def test_the_divisor_is_a_chain_without_hops() -> None:
    found = chain.chains(resolution("mov 0x4(%rdi),%ecx", "div %ecx", kind="divide-error", registers={"rcx": 0}))
    assert found == (Chain("rcx", ()), Chain("rdi", (Hop(4),)))


# ---------------------------------------------------------------- the sentence


def scope(*readings: Tuple[int, int, Tuple[Tuple[str, str, Any, int], ...]], rows: Tuple[Variable, ...]) -> Scope:
    return Scope(
        rows, 1, tuple(Reading(at, row, tuple(Member(*one) for one in members)) for at, row, members in readings)
    )


S = Variable("f", False, "s", "struct session *", "0xffff888000010000", True, register="rbx")
FREED = {"rax": 0x6B6B6B6B6B6B6B6B, "rbx": 0xFFFF888000010000}
CODE = ("mov 0x20(%rbx),%rax", "mov 0x10(%rax),%ecx")
OPS = (("s", S.type, None, 0), ("s->ops", "struct ops *", "struct session", 0x20))
WEIGHT = (*OPS, ("s->ops->weight", "int", "struct ops", 0x10))


def said(found: Scope, sources: Dict[str, str], **more: Any) -> Any:
    crash = resolution(*CODE, registers=FREED, **more)
    return variables.said(crash, chain.chains(crash), found, sources)


def test_a_pointer_that_was_freed_is_said_in_c() -> None:
    found = said(scope((1, 0, WEIGHT), rows=(S,)), {"f": "return s->ops->weight++;"})
    assert found.expression.text == "s->ops->weight" and found.expression.certain
    assert (found.expression.struct, found.expression.offset) == ("struct ops", 0x10)
    assert found.sentence.startswith("s->ops is POISON_FREE (0x6b6b6b6b6b6b6b6b), memory that was freed")
    assert "; s (struct session *) is 0xffff888000010000. The instruction reads s->ops->weight" in found.sentence
    assert [row.guilty for row in found.rows] == [True]


def test_what_the_source_line_does_not_name_is_probable() -> None:
    found = said(scope((1, 0, WEIGHT), rows=(S,)), {"f": "return other;"})
    assert not found.expression.certain and found.sentence.startswith("Probably: ")


def test_two_readings_are_both_named() -> None:
    height = (*OPS, ("s->ops->height", "int", "struct ops", 0x10))
    found = said(scope((1, 0, WEIGHT), (1, 0, height), rows=(S,)), {})
    assert not found.expression.certain
    assert "s->ops->weight or s->ops->height" in found.sentence
    decided = said(scope((1, 0, WEIGHT), (1, 0, height), rows=(S,)), {"f": "return s->ops->height;"})
    assert decided.expression.certain and decided.expression.text == "s->ops->height"


def test_without_a_chain_the_variables_alone_are_told() -> None:
    found = said(scope(rows=(S,)), {})
    assert found.expression is None and found.sentence is None and found.unknown == 1
    assert [row.guilty for row in found.rows] == [False]


# ---------------------------------------------------------------- gdb


def file(path: Path = VMLINUX) -> gdb.File:
    return gdb.File(path, "x86_64", False, "readelf")


def test_gdb_names_the_variables_of_the_worked_example(tmp_path: Path) -> None:
    (found,) = gdb.ask(file(), [CRASH], tmp_path)
    assert found is not None
    assert {(row.name, row.value, row.register) for row in found.variables} == {
        ("dev", "0xffff9d3a9a1f2000", "rbp"),
        ("pkt_len", "84", "rbx"),
        ("mine", "0xffffb1c0c2345678", "rax"),
    }
    assert [way.members[-1] for way in found.readings] == [
        Member("mine->tx_packets", "u64", "struct pcpu_sw_netstats", 0x10)
    ]


def test_a_register_that_the_log_does_not_print_says_nothing(tmp_path: Path) -> None:
    (found,) = gdb.ask(file(), [CRASH._replace(registers=(("rbx", 84),))], tmp_path)
    assert found is not None
    assert [row.name for row in found.variables] == ["pkt_len"] and found.unknown == 2


def test_many_crashes_are_one_gdb(tmp_path: Path) -> None:
    crashes = [CRASH._replace(registers=(("rax", 0x1000 + n), ("rbp", n), ("rbx", n))) for n in range(40)]
    found = gdb.ask(file(), crashes, tmp_path)
    assert [{row.name: row.value for row in one.variables}["pkt_len"] for one in found if one] == [*map(str, range(40))]


@pytest.mark.parametrize("arch", core.LAYOUTS)
def test_each_register_has_a_mark_of_its_own_in_every_width(arch: str) -> None:
    marks = core.marks(arch).values()
    for width in (1, 2, 4, 8):
        assert len({mark & ((1 << 8 * width) - 1) for mark in marks}) == len(marks)


NAMES = {"x86_64": {"r08": "r8", "r09": "r9"}, "aarch64": {"lr": "x30"}}


@pytest.mark.parametrize("arch", core.LAYOUTS)
def test_gdb_reads_each_machine_s_core_file(tmp_path: Path, arch: str) -> None:
    marks = core.marks(arch)
    (tmp_path / "core").write_bytes(core.core(arch, marks, 0x123456))
    argv = ["gdb-multiarch", "-nx", "-batch", "-ex", f"core-file {tmp_path}/core", "-ex", "info registers"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    known = {row[0]: int(row[1], 16) for row in rows if len(row) > 1 and row[1].startswith("0x")}
    assert known["rip" if arch == "x86_64" else "pc"] == 0x123456
    names = NAMES.get(arch, {})
    assert {name: known[names.get(name, name)] for name in marks} == marks


def test_too_little_memory_is_said_and_gdb_not_started(tmp_path: Path) -> None:
    with pytest.raises(gdb.NotAsked, match="gdb wants 1024 MB of memory, 100 MB are available"):
        gdb.ask(file(), [CRASH], tmp_path, free=100 << 20)


@pytest.mark.parametrize(
    ("body", "words", "status"),
    [
        ("echo 'Python scripting is not supported in this copy of GDB.' >&2; exit 1", "has no Python", 0),
        ("kill -9 $$", "signal 9", 3),
        ("sleep 60", "did not end within 1 s", 3),
        ('echo junk; echo \'kdumpwrap: {"id": 0, "variables": 7}\'; echo no symbols >&2', "no symbols", 3),
        ("echo 'kdumpwrap: [[[['", "printed nothing that is known", 3),
        ("exit 7", "exit status 7", 3),
        ("read answer", "printed nothing that is known", 3),  # it asks, and nobody answers
    ],
)
def test_a_gdb_that_does_not_answer(
    run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path, body: str, words: str, status: int
) -> None:
    tool_dir.fake("gdb", body)
    log = worked.root() / "var/crash"
    crash = next(log.iterdir()) / "vmcore-dmesg.txt"
    copy = tmp_path / "vmcore-dmesg.txt"  # without the vendor's frames: nothing else is missing
    copy.write_text("".join(line for line in crash.read_text().splitlines(keepends=True) if "XxxWan" not in line))
    env = {**tool_dir.first, "KDUMPWRAP_VARIABLES": None, "KDUMPWRAP_TIMEOUT": "1" if "sleep" in body else None}
    done = run_cli("analyze", "--root", worked.root(), copy, env=env)
    assert "Variables" in done.stdout and words in done.stdout
    assert "iptunnel_xmit+0x17d/0x1c0 → include/net/ip_tunnels.h:462" in done.stdout
    assert done.status == status, done.stderr
    if status:
        assert done.stderr.count(words) == 1


def test_gdb_is_a_second_witness_of_the_instruction(run_cli: RunCli, tool_dir: ToolDir) -> None:
    """The bytes are those of the log either way, so nothing but another disassembler can tell a wrong text."""
    program = f'{shutil.which("objdump")} "$@" | sed "s/addq /subq /"'
    env = {"OBJDUMP": str(tool_dir.fake("objdump", program)), "KDUMPWRAP_VARIABLES": None}
    report = json.loads(run_cli("analyze", "--example", "--json", env=env).stdout)
    (found,) = report["reports"]
    assert "gdb reads addq $0x1,0x10(%rax)" in " ".join(one["message"] for one in report["problems"])
    assert (found["disassembly"], found["guilty"], found["expression"]) == ([], [], None), "one cannot read this code"
    assert "addq" not in " ".join(found["explanation"]) and "subq" not in " ".join(found["explanation"])
    levels = {one["about"]: one["level"] for one in found["statements"]}
    assert (levels["place"], levels["kernel"]) == ("certain", "certain")
    shown = run_cli("annotate", Path(report["crash"]["dmesg"]), "--root", worked.root(), env=env).stdout
    assert "mine = 0x" in shown and "subq" not in shown
    whole = json.loads(run_cli("analyze", "--example", "--json", env={"KDUMPWRAP_VARIABLES": None}).stdout)
    assert "gdb reads" not in " ".join(one["message"] for one in whole["problems"])


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("addq $0x1,0x10(%rax)", "addq   $0x1,0x10(%rax)", True),
        ("ret", "retq", True),
        ("movl $0x0,0x0(%rip)", "mov    $0x0,0x0(%rip)        # 0xffffffff81000000", True),
        ("subq $0x1,0x10(%rax)", "addq   $0x1,0x10(%rax)", False),
        ("ud2", "", True),  # gdb could not tell
    ],
)
def test_what_is_another_instruction(ours: str, theirs: str, same: bool) -> None:
    assert (otherwise(ours, " ".join(theirs.split())) is None) == same


def test_without_gdb_the_answer_says_so_and_is_whole(run_cli: RunCli, tool_dir: ToolDir) -> None:
    tool_dir.real("nm", "objdump", "addr2line", "readelf")
    env = {**tool_dir.alone, "KDUMPWRAP_VARIABLES": None}
    done = run_cli("analyze", "--example", env=env)
    assert "gdb is not installed" in done.stdout
    report = json.loads(
        run_cli("analyze", "--example", "--json", env={**tool_dir.alone, "KDUMPWRAP_VARIABLES": None}).stdout
    )
    assert report["reports"][0]["variables"] is None
    assert not [one for one in report["problems"] if "gdb" in one["message"]]


def test_the_options_that_leave_variables_out(run_cli: RunCli) -> None:
    for args, env in ((["--no-variables"], None), ([], "0")):
        done = run_cli("analyze", "--example", "--json", *args, env={"KDUMPWRAP_VARIABLES": env})
        assert json.loads(done.stdout)["reports"][0]["variables"] is None


def test_every_format_has_them(run_cli: RunCli) -> None:
    env = {"KDUMPWRAP_VARIABLES": None}
    raw = [row.split("\t") for row in run_cli("analyze", "--example", "--raw", env=env).stdout.splitlines()]
    assert ["variable", "iptunnel_xmit_stats", "mine", "struct pcpu_sw_netstats *", "0xffffb1c0c2345678", "1"] in raw
    assert ["expression", "mine->tx_packets", "u64", "struct pcpu_sw_netstats", "0x10", "1"] in raw
    report = json.loads(run_cli("analyze", "--example", "--json", env=env).stdout)["reports"][0]
    assert report["expression"]["text"] == "mine->tx_packets"
    assert report["explanation"][0].startswith(
        "mine (struct pcpu_sw_netstats *) is 0xffffb1c0c2345678, from dev->tstats"
    )
    text = run_cli("analyze", "--example", env=env).stdout
    assert text.rstrip().splitlines()[-1].startswith("=> iptunnel_xmit_stats (inlined)   mine = 0x")
    assert "mine = 0xffffb1c0c2345678" in run_cli("analyze", "--example", "--markdown", env=env).stdout
    assert "<h2>Variables</h2>" in run_cli("analyze", "--example", "--html", "-", env=env).stdout


def test_the_text_does_not_wait_for_gdb(run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    tool_dir.fake("gdb", f'until grep -q "Call trace" {tmp_path}/out; do sleep 0.05; done; touch {seen}')
    out = f'"$@" >{tmp_path}/out'
    run_cli("analyze", "--example", env={**tool_dir.first, "KDUMPWRAP_VARIABLES": None}, prefix=["sh", "-c", out, "sh"])
    assert seen.exists(), "gdb ended only once the call trace was printed"


# ---------------------------------------------------------------- the cache of gdb's indexes


def test_a_cache_that_somebody_else_prepared_is_never_used(tmp_path: Path) -> None:
    own = gdb.cache(tmp_path / "own")
    assert own is not None and own.stat().st_mode & 0o777 == 0o700
    (tmp_path / "open/kdumpwrap").mkdir(parents=True)
    (tmp_path / "open/kdumpwrap").chmod(0o777)
    assert gdb.cache(tmp_path / "open") is None
    (tmp_path / "link").mkdir()
    (tmp_path / "link/kdumpwrap").symlink_to(own.parent)
    assert gdb.cache(tmp_path / "link") is None


def test_the_cache_is_bounded_in_size_and_age(tmp_path: Path) -> None:
    directory = gdb.cache(tmp_path)
    assert directory is not None
    sizes = {"new": 300 << 20, "middle": 200 << 20, "older": 200 << 20, "ancient": 1}
    for age, (name, size) in enumerate(sizes.items()):
        with (directory / name).open("wb") as sparse:
            sparse.truncate(size)
        days = 100 if name == "ancient" else age
        stamp = (directory / name).stat().st_mtime - days * 86400
        os.utime(directory / name, (stamp, stamp))
    gdb.cache(tmp_path)
    assert sorted(file.name for file in directory.iterdir()) == ["middle", "new"]


def test_an_index_is_kept_from_the_second_time_on(run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    """To write one takes longer than to go without."""
    root = Path(shutil.copytree(str(worked.root()), str(tmp_path / "root")))  # a vmlinux that nobody has asked about
    (crash,) = (root / "var/crash").iterdir()
    tool_dir.fake("gdb", f'echo "$*" >>{tmp_path}/asked')
    env = {**tool_dir.first, "KDUMPWRAP_VARIABLES": None, "XDG_CACHE_HOME": str(tmp_path)}
    for _ in range(3):
        run_cli("analyze", "--root", root, crash, env=env)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert ["index-cache" in words for words in asked] == [False, True, True]


# ---------------------------------------------------------------- what gdb prints


@pytest.mark.parametrize(
    "line",
    [
        "",
        "kdumpwrap: ",
        "kdumpwrap: null",
        'kdumpwrap: {"id": "x"}',
        'kdumpwrap: {"id": 0, "unknown": 0, "ways": [], "variables": [{}]}',
        'kdumpwrap: {"id": 0, "error": "no"}',
        "kdumpwrap: " + "[" * 100_000,
    ],
)
def test_what_is_no_answer_is_passed_over(line: str) -> None:
    assert answers.parse(line) == {}
