"""The three forms of a report: the contract's keys, its escapes, and nothing in a log that reaches a terminal."""

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Dict, Tuple

import handmade
import pytest

from kdumpwrap import shell
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Instruction, Kernel, Location, ResolvedFrame, Source
from kdumpwrap.model.log import Code, LoadedModule, TaintFlag
from kdumpwrap.model.scope import Variables
from kdumpwrap.model.verdict import Culprit, Signature, Suspect
from kdumpwrap.render import json as json_renderer
from kdumpwrap.render import markdown, raw, text
from kdumpwrap.render.html import code

IP = ResolvedFrame(
    "iptunnel_xmit",
    0x17D,
    0x1C0,
    exact=True,
    address=0xFFFFFFFF81898D7D,
    locations=(
        Location("local_add", "/b/linux-4.19.113/arch/x86/include/asm/local.h", 33, 2),
        Location("iptunnel_xmit_stats", "/b/linux-4.19.113/include/net/ip_tunnels.h", 462, 7),
        Location("iptunnel_xmit", "/b/linux-4.19.113/net/ipv4/ip_tunnel_core.c", 87),
    ),
)
CALLER = ResolvedFrame("send4", 0xF2, 0x1B0, "XxxWan", context="IRQ")
STALE = ResolvedFrame("ipt_do_table", 0x351, 0x680, certain=False, context="IRQ", candidates=(0x10, 0x20))
FINDING = handmade.finding(
    kind="page-fault",
    headline="BUG: unable to handle kernel paging request at ffffb1c0c2345688",
    line=5,
    time=1823.23581,
    cpu=0,
    pid=2147,
    comm="wan_client",
    release="4.19.113-88.8bs.el7.x86_64",
    taint="OE",
    taints=(TaintFlag("O", "out-of-tree module"),),
    modules=(LoadedModule("XxxWan", "OE"),),
    fault_address=0xFFFFB1C0C2345688,
    ip=IP,
    trace=(CALLER, STALE),
    registers=(("rax", 0xFFFFB1C0C2345678),),
    code=Code(bytes.fromhex("4863db48834010 01".replace(" ", "")), 3),
    culprit=Culprit("iptunnel_xmit", None, "include/net/ip_tunnels.h", 462, "the instruction pointer"),
    suspect=Suspect("XxxWan", "OE", "send4", None, None),
    explanation=("rax is a bad per-CPU pointer",),
    disassembly=(
        Instruction(0xFFFFFFFF81898D7A, bytes.fromhex("4863db"), "movslq %ebx,%rbx", "a.h", 461),
        Instruction(0xFFFFFFFF81898D7D, bytes.fromhex("4883401001"), "addq $0x1,0x10(%rax)", "a.h", 462, True),
    ),
    source=Source("a.h", Path("/src/a.h"), 461, ("\tbytes", "\tpackets"), 462),
)
WHOLE = Analysis(
    Crash("/var/crash/x", "/var/crash/x/vmcore-dmesg.txt", None, "127.0.0.1", "2023-12-20T10:51:07"),
    Kernel("4.19.113-88.8bs.el7.x86_64", "x86_64", "/v", None, 0x38000000),
    (FINDING,),
    0,
    Signature("3f9c0a1b2c3d", "page-fault iptunnel_xmit < send4[xxxwan]"),
    (Problem("no debuginfo for the module XxxWan", shell.hint("--module-dir DIR")),),
)


def test_raw_facts_in_their_order() -> None:
    assert raw.render(WHOLE).splitlines() == [
        "crash\t/var/crash/x",
        "dmesg\t/var/crash/x/vmcore-dmesg.txt",
        "vmcore\t",
        "release\t4.19.113-88.8bs.el7.x86_64",
        "arch\tx86_64",
        "vmlinux\t/v",
        "report\t0\t1",
        "kind\tpage-fault",
        "headline\tBUG: unable to handle kernel paging request at ffffb1c0c2345688",
        "time\t2023-12-20T10:51:07",
        "cpu\t0",
        "pid\t2147",
        "comm\twan_client",
        "taint\tOE",
        "fault_address\t0xffffb1c0c2345688",
        "culprit\tiptunnel_xmit\t\tinclude/net/ip_tunnels.h\t462",
        "suspect\tXxxWan\tsend4\t\t",
        "signature\t3f9c0a1b2c3d\tpage-fault iptunnel_xmit < send4[xxxwan]",
        "ip\tiptunnel_xmit\t0x17d\t0x1c0\t\t0xffffffff81898d7d\t/b/linux-4.19.113/arch/x86/include/asm/local.h\t33\t2",
        "inline\tip\tlocal_add\t/b/linux-4.19.113/arch/x86/include/asm/local.h\t33\t2",
        "inline\tip\tiptunnel_xmit_stats\t/b/linux-4.19.113/include/net/ip_tunnels.h\t462\t7",
        "frame\t0\tIRQ\t1\tsend4\t0xf2\t0x1b0\tXxxWan\t\t\t\t",
        "frame\t1\tIRQ\t0\tipt_do_table\t0x351\t0x680\t\t\t\t\t",
        "insn\t0xffffffff81898d7a\t48 63 db\tmovslq %ebx,%rbx\ta.h\t461\t0",
        "insn\t0xffffffff81898d7d\t48 83 40 10 01\taddq $0x1,0x10(%rax)\ta.h\t462\t1",
        "source\t461\t\\tbytes\t0",
        "source\t462\t\\tpackets\t1",
        "uptime\t1823.235810",
        "explanation\trax is a bad per-CPU pointer",
        "code_check\tunchecked\t",
        "problem\tno debuginfo for the module XxxWan\t--module-dir DIR",
    ]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""),
        (0, "0"),
        ("a\tb", "a\\tb"),
        ("a\nb", "a\\nb"),
        ("a\\tb", "a\\\\tb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m", "\\x9b31m"),
        ("\r\x00\x7f", "\\x0d\\x00\\x7f"),
        ("caf\u00e9 \u4e2d", "caf\u00e9 \u4e2d"),
        ("\udcff", "\\udcff"),
    ],
)
def test_raw_escapes(value: object, field: str) -> None:
    assert raw.escape(value) == field  # type: ignore[arg-type]


REPORT_KEYS = (
    "kind headline panic line time cpu pid comm release taint taints modules fault_address ip trace registers code "
    "culprit suspect explanation disassembly source"
).split()


def test_json_has_every_key_of_the_contract() -> None:
    line = json_renderer.render(WHOLE)
    assert line.count("\n") == 1
    found = json.loads(line)
    assert list(found)[:7] == ["schema", "crash", "kernel", "reports", "fatal", "signature", "problems"]
    assert found["vmcore"] is None
    assert found["schema"] == "kdumpwrap/1"
    assert list(found["crash"]) == ["path", "dmesg", "vmcore", "host", "time"]
    assert list(found["kernel"]) == ["release", "arch", "vmlinux", "build_id", "kaslr_offset"]
    assert list(found["reports"][0])[: len(REPORT_KEYS)] == REPORT_KEYS
    ip = found["reports"][0]["ip"]
    assert list(ip)[:9] == "symbol offset size module address certain context locations candidates".split()
    assert ip["address"] == "0xffffffff81898d7d"
    assert ip["locations"][-1] == {
        "function": "iptunnel_xmit",
        "file": "/b/linux-4.19.113/net/ipv4/ip_tunnel_core.c",
        "line": 87,
        "column": None,
    }
    assert list(found["reports"][0]["code"]) == ["bytes", "trap", "check", "detail", "decoded"]
    assert list(found["reports"][0]["disassembly"][0]) == ["address", "bytes", "text", "file", "line", "fault"]
    assert list(found["reports"][0]["source"]) == [
        "file",
        "path",
        "first",
        "lines",
        "fault_line",
        "fault_column",
    ]
    assert list(found["reports"][0]["culprit"]) == ["symbol", "module", "file", "line", "why"]
    assert list(found["reports"][0]["suspect"]) == ["module", "flags", "symbol", "file", "line"]
    assert found["problems"] == [{"message": "no debuginfo for the module XxxWan", "hint": "--module-dir DIR"}]


def test_json_of_an_empty_report_has_the_same_keys() -> None:
    empty = Analysis(Crash("-"), Kernel(), (handmade.finding(headline="x"),))
    found = json.loads(json_renderer.render(empty))
    assert set(found["reports"][0]) == set(json.loads(json_renderer.render(WHOLE))["reports"][0])
    assert found["fatal"] is None and found["signature"] is None
    assert json.loads(json_renderer.render(Analysis(Crash("-"), Kernel())))["reports"] == []


def test_a_headline_that_the_log_lacks() -> None:
    """A log that is cut off above it: unknown is null, and a person is told so."""
    cut = Analysis(Crash("-"), Kernel(), (handmade.finding(kind="page-fault"),), 0)
    assert json.loads(json_renderer.render(cut))["reports"][0]["headline"] is None
    assert "headline\t\n" in raw.render(cut)
    assert text.render(cut).startswith("(page-fault: its headline is not in the log)\n")


def test_text_says_where_and_whom() -> None:
    shown = text.render(WHOLE)
    assert "iptunnel_xmit+0x17d/0x1c0 → include/net/ip_tunnels.h:462" in shown
    assert "0xffffffff81898d7d = 0xffffffff81898c00 + 0x17d" in shown
    assert "module XxxWan, out of tree: send4" in shown
    assert "? ipt_do_table+0x351/0x680" in shown
    assert "=> ffffffff81898d7d  48 83 40 10 01  addq $0x1,0x10(%rax)" in shown
    assert shown.count("=>") == 2  # the instruction and the source line
    assert "\x1b" not in shown


SOURCES: Dict[str, Tuple[str, int, str]] = {  # the line, the character that is marked, the line and the mark as shown
    "plain": ("return s->ops->weight++;", 14, "return s->ops->weight++;\n             ^"),
    "first": ("x++;", 1, "x++;\n^"),
    "tabs": ("\t\ts->x = 1;", 4, "                s->x = 1;\n                 ^"),
    "a tab inside": ("\ta;\tb();", 5, "        a;      b();\n                ^"),
    "wide": ("名前 = s->x;", 7, "名前 = s->x;\n        ^"),
    "an accent": ("e\u0301 = s->x;", 7, "e\u0301 = s->x;\n     ^"),
    "escaped": ("/* \x07 */ s->x;", 11, "/* \\x07 */ s->x;\n             ^"),
}


@pytest.mark.parametrize(("line", "column", "expected"), SOURCES.values(), ids=SOURCES.keys())
def test_a_caret_under_the_faulting_expression(line: str, column: int, expected: str) -> None:
    found = Source("a.h", Path("/src/a.h"), 99, ("before", line, "behind"), 100, column)
    shown, mark = expected.split("\n")
    assert [*text.source(found)] == ["    99  before", f"=> 100  {shown}", f"        {mark}", "   101  behind"]
    report = handmade.change(FINDING, source=found, disassembly=())
    assert f"=> 100  {shown}\n        {mark}\n   101  behind" in markdown.render(WHOLE._replace(findings=(report,)))
    page = code.code(report)
    hidden = shown[: len(text.clean(line[: column - 1]))]
    assert f"<code><span>{html.escape(hidden, quote=False)}</span>^</code>" in page


def test_no_caret_where_the_column_is_not_known() -> None:
    assert "^" not in text.render(WHOLE) + markdown.render(WHOLE)
    assert 'class="caret"' not in code.code(FINDING)


def test_copies_of_one_function_are_told_apart_by_their_addresses() -> None:
    same, other = (Location("set_pte", "paravirt.h", 441),), (Location("set_pte", "x.c", 7),)
    frame = ResolvedFrame("set_pte", 5, certain=False, candidates=(1, 2, 3), candidate_locations=(same, other, same))
    shown = text.render(WHOLE._replace(findings=(handmade.change(FINDING, trace=(frame,)),)))
    assert "3 functions have this name: paravirt.h:441 at 0x1, x.c:7, paravirt.h:441 at 0x3\n" in shown


def test_text_is_coloured_only_when_asked() -> None:
    assert "\x1b[" in text.render(WHOLE, style=text.COLOUR)


HOSTILE = "\x1b[31m[bold]x[/bold]\u202e\x07\r\n\x9b2J"


def test_a_hostile_log_stays_text() -> None:
    finding = handmade.change(
        FINDING,
        headline=HOSTILE,
        comm=HOSTILE,
        panic=HOSTILE,
        hardware=HOSTILE,
        explanation=(HOSTILE,),
        trace=(replace(CALLER, module=HOSTILE, symbol=HOSTILE, context=HOSTILE),),
        suspect=Suspect(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1),
        culprit=Culprit(HOSTILE, HOSTILE, HOSTILE, 1, HOSTILE),
    )
    hostile = WHOLE._replace(findings=(finding,), problems=(Problem(HOSTILE, shell.own(HOSTILE)),))
    shown = text.render(hostile)
    assert not set(shown) & set("\x1b\x07\r\x9b\u202e")
    assert "[bold]x[/bold]" in shown
    rows = raw.render(hostile)
    assert not set(rows) & set("\x1b\x07\r\x9b")
    assert json_renderer.render(hostile).encode("ascii")
    assert len(rows.splitlines()) == len(
        raw.render(WHOLE._replace(findings=(handmade.change(finding, trace=(CALLER,)),))).splitlines()
    )


def test_the_end_of_a_context_is_said_where_no_other_one_begins() -> None:
    """Kernels without ``<TASK>`` (to 5.15, el8): what was interrupted stands behind ``</IRQ>``."""
    made = (("do_softirq", "IRQ"), ("vfs_write", None), ("nmi", "#DF"))
    trace = tuple(ResolvedFrame(name, 1, 2, context=context) for name, context in made)
    report = handmade.finding(headline="Oops: 0000 [#1]", trace=trace)
    shown = text.render(Analysis(Crash("/c"), Kernel(), (report,), 0)).splitlines()
    rows = shown[next(number for number, line in enumerate(shown) if line.startswith("Call trace")) + 1 :]
    assert [line.split()[0] for line in rows] == ["<IRQ>", "#0", "</IRQ>", "#1", "<#DF>", "#2"]


@pytest.mark.parametrize(
    ("file", "caller", "words"),
    [
        ("arch/x86/lib/memcpy_64.S", (), "is assembly, and xxxwan, which called it, has no debug information"),
        ("arch/x86/lib/memcpy_64.S", (("send4", "/home/vendor/xxxwan.c", 90),), "is assembly"),
        ("lib/string.c", (), "gdb knows none of __memcpy"),
    ],
)
def test_a_function_without_variables_leaves_no_section_empty(
    file: str, caller: Tuple[Tuple[str, str, int], ...], words: str
) -> None:
    copy = handmade.frame("__memcpy", 0x10, 0x40, ("__memcpy", file, 39))
    above = handmade.frame("send4", 0x7D, 0xC0, *caller, module="xxxwan")
    finding = handmade.change(handmade.FINDING, ip=copy, trace=(above,), variables=Variables())
    shown = text.variables(handmade.ANALYSIS._replace(findings=(finding,), fatal=0))
    assert shown.startswith("\nVariables (innermost first)\n   none known: ") and shown.endswith(f"{words}\n")
    assert words in html.unescape(code.variables(finding))
