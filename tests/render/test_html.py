"""Pages as text: what must be in them, and what must never get into them."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple, Union

import pytest
from conftest import Lab, RunCli
from crashtree import grow, kernels
from handmade import ANALYSIS, COMMANDS, FACTS, FINDING, IP, LOG, TRACE, VENDOR, change, with_report
from hypothesis import given, settings
from hypothesis import strategies as st
from markup import HOSTILE, Page, pasted, poisoned

from kdumpwrap import shell
from kdumpwrap.cli import commands, pages
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.example import worked
from kdumpwrap.model.command import Command
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import CodeCheck, Instruction, ResolvedFrame
from kdumpwrap.model.log import LoadedModule
from kdumpwrap.model.verdict import Signature
from kdumpwrap.model.vmcore import (
    Backtrace,
    BacktraceFrame,
    BlockedTask,
    Difference,
    MemoryRow,
    SlabObject,
    System,
    VmcoreFacts,
)
from kdumpwrap.render import html
from kdumpwrap.render.html import document, timeline

EXAMPLE_CRASH = worked.root() / "var/crash/127.0.0.1-2023-12-20-10:51:07"


def page(analysis: Analysis = ANALYSIS) -> Page:
    return Page(html.page(analysis, LOG, COMMANDS))


# ---------------------------------------------------------------- what is in it


@pytest.mark.parametrize(
    "words",
    [
        "Page fault in iptunnel_xmit",
        "Page fault at include/net/ip_tunnels.h:526 in iptunnel_xmit_stats(), inlined in iptunnel_xmit(),",
        "BUG: unable to handle page fault for address: ffffaa1730745690",
        "module xxxwan · out of tree",
        "0xffffffff818a7103 = 0xffffffff818a6f00 + 0x203",
        "dev->tstats is a per-CPU pointer",
        "2 functions have this name: drivers/base/core.c:12, 0xffffffff81700000",
        "xxxwan: tunnel went down while it was in use",
        "The marked instruction is local_add (arch/x86/include/asm/local.h:33), inlined in line 526.",
        "the address that faulted is 0x18 above it",
        "line 12 of the log",
        "O an out-of-tree module was loaded",
        "nm -n /usr/lib/debug/lib/modules/6.1.0-47-cloud-amd64/vmlinux",
        "no debuginfo for the module xfs dnf debuginfo-install kernel-modules",
        "WARNING: CPU: 0 PID: 7 at net/core/dev.c:12",
        "certain It stopped at include/net/ip_tunnels.h:526",
    ],
)
def test_a_page_says_all_that_is_known(words: str) -> None:
    assert words in page().words


def test_frames_are_marked_by_how_sure_they_are_and_whose_they_are() -> None:
    found = page()
    assert found.classed("unsure") == sum(not frame.certain for frame in TRACE) == 1
    assert found.classed("frame") == len(TRACE) + 1
    vendors = [a for tag, a in found.elements if tag == "li" and "vendor" in (a.get("class") or "").split()]
    assert len(vendors) == sum(frame.module == "xxxwan" for frame in TRACE) == 2
    contexts = [a["class"] for tag, a in found.elements if tag == "h3" and "context" in (a.get("class") or "")]
    assert contexts == ["context irq", "context task"]


def test_inlined_callers_are_folded_except_at_the_instruction_pointer() -> None:
    folds = [a for tag, a in page().elements if tag == "details"]
    opened = [a for a in folds if "open" in a]
    assert len(opened) == 1
    chains = re.findall(r'<ol class="chain">(.*?)</ol>', html.page(ANALYSIS).replace("<wbr>", ""))
    assert [re.findall(r"<code>([^<]*)</code>", chain) for chain in chains] == [
        ["iptunnel_xmit_stats", "include/net/ip_tunnels.h:526", "local_add", "arch/x86/include/asm/local.h:33"],
        ["nf_hook_entry_hookfn", "include/linux/netfilter.h:142"],
    ]


def test_an_endless_recursion_is_folded() -> None:
    ring = (ResolvedFrame("recurse", 0x10, 0x40, context="TASK"), ResolvedFrame("again", 0x18, 0x40, context="TASK"))
    found = page(with_report(trace=(*TRACE[:1], *ring * 200, *TRACE[1:2])))
    assert found.classed("frame") == 1 + 1 + 2 + 1
    assert "… and so on: 200 times in all, up to #400" in found.words


def test_a_trace_without_an_end_is_cut() -> None:
    frames = tuple(ResolvedFrame(f"f{number}", 1, 2) for number in range(3000))
    found = page(with_report(trace=frames))
    assert found.classed("frame") == 400
    assert "2601 more frames are not shown" in found.words


def test_the_faulting_line_is_tied_to_its_instructions() -> None:
    text = html.page(ANALYSIS)
    assert text.count('data-n="526"') == 3  # the line, the marked instruction, and the one after it
    assert re.search(r'<div class="line fault" data-n="526"><b>▶</b><i class="no">526</i>', text)
    assert re.search(r'<div class="line fault" data-n="526" title="0xffffffff818a7103: 48 01 50 18">', text)
    assert re.search(r'<div class="line tied" data-n="526" title="0xffffffff818a7107', text)
    assert re.search(r'<b class="guilty">%rax</b>', text)


@pytest.mark.parametrize(
    ("text", "arch", "kind", "names", "expected"),
    [
        ("add %rdx,0x18(%rax)", "x86_64", "page-fault", ("rax", "rdx"), {"rax"}),
        ("mov (%rax,%rbx,8),%ecx", "x86_64", "page-fault", ("rax", "rbx", "rcx"), {"rax", "rbx"}),
        ("mov 0x10(%r8),%al", "x86_64", "page-fault", ("rax", "r08"), {"r08"}),
        ("mov 0x10(%eax),%ebx", "i386", "page-fault", ("eax", "ebx"), {"eax"}),
        ("add %gs:0x7e772065(%rip),%rax", "x86_64", "page-fault", ("rax", "rip"), set()),
        ("div %ecx", "x86_64", "divide-error", ("rax", "rcx"), {"rcx"}),
        ("ldr x1, [x20, #16]", "aarch64", "null-pointer", ("x1", "x20"), {"x20"}),
        ("ld r9,16(r3)", "ppc64le", "page-fault", ("r3", "r9"), {"r3"}),
        ("lg %r2,8(%r4)", "s390x", "page-fault", ("r2", "r4"), {"r4"}),
        ("movzbl 0x8(%rdi),%eax", "x86_64", "soft-lockup", ("rdi", "rax"), set()),
        ("ud2", "x86_64", "bug", ("rax",), set()),
    ],
)
def test_the_guilty_register(text: str, arch: str, kind: str, names: Tuple[str, ...], expected: Set[str]) -> None:
    report = change(
        FINDING,
        kind=kind,
        arch=arch,
        fault_address=None,
        registers=tuple((name, 1) for name in names),
        disassembly=(Instruction(0, b"\0", text, fault=True),),
    )
    assert set(report.guilty) == expected


def test_the_guilty_register_of_a_call_through_a_bad_pointer() -> None:
    call = Instruction(0, b"\0", "call *%rax", fault=True)
    report = change(FINDING, ip=ResolvedFrame(None), registers=(("rax", 0), ("rsp", 1)), disassembly=(call,))
    assert report.guilty == ("rax",)


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"check": CodeCheck("match")}, "certain"),
        ({"check": CodeCheck("mismatch")}, "doubtful"),
        ({"check": CodeCheck("unchecked")}, "likely"),
        ({"ip": replace(IP, candidates=(1, 2))}, "open"),
        ({"ip": replace(IP, locations=())}, "open"),
    ],
    ids=["match", "mismatch", "unchecked", "namesakes", "no line"],
)
def test_how_sure_the_place_is(changes: Dict[str, Any], level: str) -> None:
    analysis = with_report(**changes)
    first = analysis.findings[1].statements[0]
    assert first.what.startswith("It stopped")
    assert first.level == level
    assert f'<span class="pill {level}">{level}</span>' in html.page(analysis)


# ---------------------------------------------------------------- what is missing in it


@pytest.mark.parametrize(
    "changes",
    [
        {"ip": None},
        {"trace": ()},
        {"ip": None, "trace": (), "culprit": None, "suspect": None},
        {"source": None},
        {"disassembly": ()},
        {"disassembly": (), "source": None},
        {"registers": ()},
        {"explanation": (), "taints": (), "modules": (), "comm": None, "pid": None, "cpu": None},
        {"last_line": None},
        {"ip": ResolvedFrame(None, runtime=0)},
        {"ip": ResolvedFrame("f"), "code": None},
    ],
    ids=str,
)
def test_a_page_does_without_what_is_not_known(changes: Dict[str, Any]) -> None:
    found = page(with_report(**changes))
    assert ("h1", {}) in found.elements
    assert "None" not in found.words


def test_a_log_without_a_report_has_a_page_that_says_so() -> None:
    analysis = Analysis(Crash("/x"), ANALYSIS.kernel, problems=(Problem("no report here", shell.hint("type this")),))
    assert "No report of a crash in /x What is missing no report here type this" in page(analysis).words


def test_a_crash_that_brought_nothing_down() -> None:
    assert "No report in this log brought the kernel down" in page(ANALYSIS._replace(fatal=None)).words


# ---------------------------------------------------------------- what only the vmcore knows


@pytest.mark.parametrize(
    "words",
    [
        "The log and crash do not agree call trace the log __dev_queue_xmit+0x2ff crash not in its backtrace",
        "System wan-gw1, up 00:00:06, load 0.08, 0.02, 2 cpus, 97 tasks, Mon Feb 5 10:51:08 UTC 2024",
        "Panic Oops: 0000",
        "Panic task ping, pid 122, cpu 1, task_struct 0xffff8f1082641800",
        "Memory total 309.8 MB, free 279 MB (90%) all of kmem -i What Pages Size Share TOTAL MEM 79301 309.8 MB",
        "Tainting xxxwan (OE)",
        "lies 0x8 into an object of skbuff_head_cache (232 bytes at 0xffff8b6e98d8e100, allocated)",
        "Blocked jbd2/sda0-8, pid 700, uninterruptible for 900 s",
        "3 more jbd2/sda5-8, pid 705",
        "Backtrace of the panic task ping, pid 122, CPU 1 IRQ",
        f"#7send4+0x7d/0xc0 xxxwan · out of tree{VENDOR}:90 crash: {VENDOR}:91",
        "TASK on the task's own stack #8nf_hook_slow",
        "The other CPUs CPUs 0, 2–3 swapper/0, pid 0 and 2 more NMI",
        "WARNING: possibly bogus exception frame",
        "Source: crash(8), started as plain",
        "crash found only 3 tasks a newer crash",
    ],
)
def test_a_page_says_what_only_the_vmcore_knows(words: str) -> None:
    assert words in Page(html.page(ANALYSIS, LOG, COMMANDS, facts=FACTS)).words


def test_the_cpus_are_folded_and_so_are_inlined_callers() -> None:
    text = html.page(ANALYSIS, facts=FACTS).partition('<section id="vmcore">')[2].partition("</section>")[0]
    found = Page(text)
    folds = [attrs for tag, attrs in found.elements if tag == "details"]
    assert sum("open" in attrs for attrs in folds) == 1  # the instruction pointer's
    assert [attrs.get("class") for attrs in folds].count("cpu") == 1
    assert found.classed("pointer") == 1
    assert found.classed("unsure") == 1
    assert found.classed("vendor") == 2  # the frame and its tag


def test_a_page_does_without_what_crash_could_not_say() -> None:
    for facts in (VmcoreFacts("minimal"), FACTS._replace(panic_task=None, system=None, slab=None, other_cpus=())):
        assert "None" not in Page(html.page(ANALYSIS, facts=facts)).words
    assert 'id="vmcore"' not in html.page(ANALYSIS)


def test_a_log_without_a_report_has_what_the_vmcore_knows() -> None:
    found = Page(html.page(Analysis(Crash("/x"), ANALYSIS.kernel), facts=FACTS))
    assert "Panic task ping, pid 122" in found.words
    assert found.classed("vendor") == 2


def test_a_thousand_cpus_and_tasks_stay_readable() -> None:
    tasks = tuple(FACTS.other_cpus[0]._replace(cpu=cpu) for cpu in range(1000))
    blocked = tuple(FACTS.blocked[0]._replace(pid=pid) for pid in range(5000))
    text = html.page(ANALYSIS, facts=FACTS._replace(other_cpus=tasks, blocked=blocked))
    assert "CPUs 0–999 swapper/0, pid 0 and 999 more" in Page(text).words
    assert len(text) < 100_000


def test_a_vmcore_without_a_log_beside_it_shows_the_log_that_crash_had() -> None:
    analysis = with_report(line=2, last_line=3)._replace(crash=Crash("/c", vmcore="/c/vmcore"))
    log = f"[1.0] before\n[2.0] {FINDING.report.headline}\n[2.1] RIP\n"
    assert pages.log(analysis, FACTS._replace(log=log))[1] == (2, f"[2.0] {FINDING.report.headline}")
    assert pages.log(analysis, FACTS._replace(log="another\nlog\n")) == ()
    assert pages.log(analysis, FACTS) == ()


# ---------------------------------------------------------------- what must not get in


def test_the_policy_lets_in_the_pages_own_style_and_script_and_nothing_else() -> None:
    for text in (html.page(ANALYSIS, LOG, COMMANDS), html.index([html.bug(ANALYSIS, "x.html", [])])):
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        assert policy
        hashes = {
            kind: "sha256-" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            for kind, body in re.findall(r"<(style|script)>(.*?)</\1>", text, re.S)
        }
        assert policy[1].startswith("default-src 'none'; ")
        assert set(policy[1].split("; ")[1:]) == {
            f"style-src '{hashes['style']}'",
            f"script-src '{hashes['script']}'",
            "base-uri 'none'",
            "form-action 'none'",
        }


def test_a_page_asks_for_nothing() -> None:
    for text in (html.page(ANALYSIS, LOG, COMMANDS), html.index([html.bug(ANALYSIS, "x.html", [])])):
        found = Page(text)
        loading = {"src", "srcset", "data", "poster", "action", "background", "style"}
        assert not [(tag, attrs) for tag, attrs in found.elements if loading & attrs.keys()]
        assert not [tag for tag, _ in found.elements if tag in ("link", "img", "iframe", "object", "embed", "base")]
        assert "url(" not in document.asset("style.css")
        assert "@import" not in document.asset("style.css")


def test_hostile_text_everywhere_stays_text() -> None:
    clean_page = Page(html.page(ANALYSIS, LOG, COMMANDS, facts=FACTS))
    text = html.page(poisoned(ANALYSIS), poisoned(LOG), poisoned(COMMANDS), facts=poisoned(FACTS))
    found = Page(text)
    assert [text.lower().count(tag) for tag in ("<script", "</script", "<style", "</style", "</title")] == [1] * 5
    assert {tag for tag, _ in found.elements} <= {tag for tag, _ in clean_page.elements}
    names = {name for _, attrs in clean_page.elements for name in attrs}
    assert {name for _, attrs in found.elements for name in attrs} <= names
    assert not [name for name in names if name.startswith("on")]
    assert found.words.count("<script>alert(1)</script>") > 60
    assert "\\x1b[31mred\\x07 \\u202eevil\\u2066" in found.words


def test_hostile_text_in_an_index_stays_text() -> None:
    case = html.Case("2024-02-05T10:51:09", HOSTILE, HOSTILE, HOSTILE)
    bugs = [html.bug(poisoned(ANALYSIS), "x.html", [case])]
    text = html.index(bugs, [Problem(HOSTILE, shell.own(HOSTILE))], HOSTILE)
    found = Page(text)
    assert sum(tag == "script" for tag, _ in found.elements) == 2  # the data and the code
    assert not [name for _, attrs in found.elements for name in attrs if name.startswith("on")]
    assert found.words.count("<script>alert(1)</script>") > 5
    island = re.search(r'id="data">(.*?)</script>', text)
    assert island
    assert "<" not in island[1]


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=60) | st.sampled_from([HOSTILE, "<script>", "<b", "&lt;"]))
def test_no_text_breaks_out(text: str) -> None:
    analysis = with_report(
        headline=text,
        comm=text,
        explanation=(text,),
        trace=(ResolvedFrame(text, 1, 2, module=text, context=text),),
        disassembly=(Instruction(1, b"\0", text, text, 1, True, text),),
    )
    facts = VmcoreFacts(
        "plain",
        (FACTS.system or System())._replace(nodename=text, panic=text),
        Backtrace(
            1, 2, 3, text, (BacktraceFrame(0, ResolvedFrame(text, 1, module=text, context=text), text, 2),), (text,)
        ),
        (Backtrace(0, 1, 2, text),),
        (MemoryRow(text, 1, text, None), MemoryRow("TOTAL MEM", 1, text, 1)),
        (BlockedTask(1, 2, 3, text, text, 4.0),),
        SlabObject(text, 1, 2, 3, True),
        (LoadedModule(text, text),),
        differences=(Difference(text, text, text),),
        problems=(Problem(text, shell.own(text)),),
    )
    written = html.page(analysis, [(1, text)], [text], facts=facts)
    assert written.count("<script") == 1
    clean_page = Page(html.page(ANALYSIS, LOG, COMMANDS, facts=FACTS))
    assert {tag for tag, _ in Page(written).elements} <= {tag for tag, _ in clean_page.elements}
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written)
    written.encode()  # no lone surrogate


# ---------------------------------------------------------------- the index


def cases(number: int) -> List[html.Case]:
    return [
        html.Case(f"2024-01-{1 + n % 28:02}T00:00:{n % 60:02}", f"10.0.0.{n % 7}", f"5.14.0-{n % 2}", f"/var/crash/{n}")
        for n in range(number)
    ]


def test_an_index_tells_bugs_most_frequent_first() -> None:
    rare, often = (ANALYSIS._replace(signature=Signature(name, name)) for name in ("rare", "often"))
    found = Page(html.index([html.bug(rare, "rare.html", cases(2)), html.bug(often, "often.html", cases(40))]))
    assert "2 bugs in 42 crashes 7 hosts, 2 kernels from 2024-01-01 00:00 to 2024-01-28 00:00." in found.words
    rows = [attrs["data-bug"] for tag, attrs in found.elements if tag == "tr" and "data-bug" in attrs]
    assert rows == ["0", "1"]
    assert found.words.index("often · often") < found.words.index("rare · rare")
    assert sum(tag == "svg" for tag, _ in found.elements) == 2


def test_crashes_of_unknown_time_and_host_are_counted_too() -> None:
    text = html.index(
        [html.bug(ANALYSIS, "x.html", [html.Case(None, None, None, "/x"), html.Case("odd", "", "", "/y")])]
    )
    assert "1 bug in 2 crashes" in Page(text).words
    assert "<svg" not in text


def test_bars_count_every_crash() -> None:
    lane = timeline.Lane("bug", "", [datetime(2024, 1, 1 + n % 9) for n in range(100)])
    by = timeline.scale(lane.times)
    assert by
    bars = re.findall(r"<title>(\d+) crash", timeline.strips([lane], by))
    assert sum(map(int, bars)) == 100
    assert len(bars) == 9


# ---------------------------------------------------------------- files


def test_a_site_has_an_index_and_a_page_for_each_bug(tmp_path: Path) -> None:
    site = pages.Site(str(tmp_path / "site"), "/var/crash")
    for number in range(10):
        told = () if number == 4 else (Problem("missing"),)
        crash = Crash(f"/var/crash/{number}", host=f"h{number}", time=f"2024-01-0{number}T00:00:00" if number else None)
        sign = Signature(f"{number % 2:012x}", "text")
        site.add(ANALYSIS._replace(crash=crash, signature=sign, problems=told))
    site.add(Analysis(Crash("/var/crash/empty"), ANALYSIS.kernel))
    site.write([Problem("of the whole")])
    assert sorted(file.name for file in (tmp_path / "site").iterdir()) == [
        "000000000000.html",
        "000000000001.html",
        "index.html",
    ]
    index = Page((tmp_path / "site/index.html").read_text()).words
    assert "2 bugs in 10 crashes" in index
    assert "of the whole /var/crash/empty: no report of a crash in its log" in index
    first = Page((tmp_path / "site/000000000000.html").read_text()).words
    assert "Directory /var/crash/4" in first  # the one of which nothing is missing
    assert "5 crashes are this bug" in first


@pytest.mark.timing
def test_1000_crashes_stay_small(tmp_path: Path) -> None:
    import time

    start = time.process_time()
    site = pages.Site(str(tmp_path))
    for number in range(1000):
        crash = Crash(
            f"/var/crash/10.0.0.{number}-2024-02-05-10:51:09", host=f"10.0.0.{number}", time="2024-02-05T10:51:09"
        )
        site.add(ANALYSIS._replace(crash=crash, signature=Signature(f"{number % 50:012x}", "text")))
    site.write()
    assert time.process_time() - start < 2
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 3_000_000


def test_a_page_is_written_whole_and_not_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / "page.html"
    link.symlink_to(victim)
    pages.write(str(link), "page", private=False)
    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert link.read_text() == "page"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["page.html", "victim"]


def test_where_no_page_can_be_written_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(KdumpwrapError, match="No such file or directory"):
        pages.write(str(tmp_path / "no/such/page.html"), "page", private=False)


def ran(line: str, **more: Any) -> Command:
    return Command(tuple(line.split()), **more)


def test_commands_can_be_pasted_after_private_directories_are_gone() -> None:
    unpacked = "/tmp/kdumpwrap-ab12_x9z/x-1.ko"
    run = (ran("nm -n /v"), ran("xz -dc /lib/x.ko.xz", sink=unpacked), ran(f"nm {unpacked}"))
    assert commands.pasteable(run) == (
        "T=$(mktemp -d)",
        "nm -n /v",
        "xz -dc /lib/x.ko.xz >$T/x-1.ko",
        "nm $T/x-1.ko",
    )
    assert commands.pasteable(run[:1]) == ("nm -n /v",)
    assert commands.pasteable([*run[:1]] * 2) == ("nm -n /v",)
    assert commands.pasteable([ran("crash", fed=("mod -s x /tmp/kdumpwrap-crash-ab12_x9z/own/x-1.ko",))]) == (
        "T=$(mktemp -d)",
        """printf '%s\\n' 'mod -s x '"$T"'/x-1.ko' | crash""",
    )


def test_of_a_batch_the_commands_that_concern_a_crash_are_shown() -> None:
    vmlinux, other = ANALYSIS.kernel.vmlinux, "/usr/lib/debug/lib/modules/5.14.0/vmlinux"
    module, mine = "/tmp/kdumpwrap-ab12cd34/xxxwan-1.ko", "0xffffffff818a7103"
    history = (
        ran(f"nm -n {vmlinux}"),
        ran(f"nm -n {other}"),
        ran(f"addr2line -a -i -f -e {vmlinux}", fed=(mine, "0xffffffff81000000", "0xffffffff818a7107")),
        ran(f"addr2line -a -i -f -e {other}", fed=(mine,)),
        ran(f"addr2line -a -i -f -e {vmlinux}", fed=("0xffffffff81000000",)),
        ran(f"objdump -d --start-address=0xffffffff818a6f00 --stop-address=0xffffffff818a7140 {vmlinux}"),
        ran(f"objdump -d --start-address=0xffffffff81000000 --stop-address=0xffffffff81000140 {vmlinux}"),
        ran("xz -dc /lib/modules/6.1/extra/xxxwan.ko.xz", sink=module),
        ran(f"addr2line -a -i -f -j .text -e {module}", fed=("0x7c", "0x999")),
        ran("nm -f sysv /tmp/kdumpwrap-ab12cd34/other_module-1.ko"),
    )
    placed = (replace(TRACE[0], address=0x7D), *TRACE[1:])
    assert commands.concerning(with_report(trace=placed), history) == (
        history[0],
        history[2]._replace(fed=(mine, "0xffffffff818a7107")),
        history[5],
        history[7],
        history[8]._replace(fed=("0x7c",)),
    )


def test_the_log_round_a_report_is_read_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\xff\x1b\n" % number for number in range(1, 5000)))
    shown = pages.log(with_report(line=3000, last_line=3010)._replace(crash=Crash(str(log), str(log))))
    assert shown[0] == (2988, "line 2988\\xff\x1b")
    assert shown[-1][0] == 3014
    long = pages.log(with_report(line=100, last_line=4000)._replace(crash=Crash(str(log), str(log))))
    assert len(long) == 400
    assert (long[0][0], long[-1][0]) == (88, 4004)
    text = html.page(with_report(line=100, last_line=4000), long)
    assert '<div class="gap">…</div>' in text
    assert "\x1b" not in text


def test_a_line_of_megabytes_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a" * 5_000_000 + b"\nsecond\n")
    shown = pages.log(with_report(line=2, last_line=2)._replace(crash=Crash(str(log), str(log))))
    assert [(number, len(text)) for number, text in shown] == [(1, 4096), (2, 6)]


# ---------------------------------------------------------------- from the command line


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_commands_of_a_page_run_in_a_shell_and_lead_to_the_line(
    run_cli: RunCli, tmp_path: Path, shell: str
) -> None:
    file = tmp_path / "page.html"
    done = run_cli("analyze", "--example", "--html", file)
    assert done.status == 3  # the module of the example has no debuginfo
    assert "include/net/ip_tunnels.h:462" in done.stdout
    assert "include/net/ip_tunnels.h:462" in pasted(file, shell)


def test_the_commands_make_again_what_was_removed(run_cli: RunCli, tmp_path: Path) -> None:
    """Without debuginfo the log's code bytes are taken apart: they lay in a file of ours."""
    file = tmp_path / "page.html"
    done = run_cli("analyze", EXAMPLE_CRASH / "vmcore-dmesg.txt", "--root", tmp_path, "--html", file)
    assert done.status == 3, done.stderr
    assert "base64 -d" in file.read_text()
    assert re.search(r"addq +\$0x1,0x10\(%rax\)", pasted(file))


@pytest.mark.lab
def test_the_commands_of_real_crashes_run_in_a_shell(lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    """With the vendor's module compressed, so that it has to be unpacked, and crash asked."""
    modules = tmp_path / "vendor's modules"
    modules.mkdir()
    with (modules / "xxxwan.ko.xz").open("wb") as packed:
        subprocess.run(["xz", "-1c", lab.module_dir / "xxxwan.debug.ko"], stdout=packed, check=True)
    file = tmp_path / "page.html"
    for case, options in (("null_deref", ("--with-crash",)), ("divide", ()), ("softlockup", ())):
        crash = tmp_path / f"crash of {case}"  # a name that crash would not take for one
        crash.symlink_to(lab.crashes[case])
        where = ("--root", lab.root, "--module-dir", modules)
        done = run_cli("analyze", crash, *where, *options, "--html", file, env={"CRASH": lab.crash})
        assert done.status in (0, 3), done.stderr
        said = pasted(file)
        assert f"/xxxwan.c:{lab.marks[f'FAULT:{case}']}" in said
        assert ("BACKTRACE" in said or "#0 [" in said) == bool(options)
        assert not options or re.search(r"wan_write\+0x\w+ at \w+ \[xxxwan\]\n +\S+/xxxwan.c: \d+", said)


def test_a_page_on_standard_output_stands_alone(run_cli: RunCli) -> None:
    done = run_cli("analyze", "--example", "--html", "-")
    assert done.status == 3
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert done.stdout.endswith("</html>\n")


@pytest.mark.parametrize("option", ["--raw", "--json", "--markdown"])
def test_one_format_at_a_time(run_cli: RunCli, option: str) -> None:
    done = run_cli("analyze", "--example", option, "--html", "-")
    assert (done.status, done.stdout) == (2, "")
    assert f"{option} and --html - exclude each other" in done.stderr


def test_a_page_is_of_one_crash(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("analyze", tmp_path, tmp_path, "--html", tmp_path / "x.html")
    assert (done.status, done.stdout) == (2, "")
    assert "hint: kdumpwrap batch --html DIR" in done.stderr


def test_the_report_is_printed_where_no_page_can_be_written(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("analyze", "--example", "--html", tmp_path / "no" / "page.html")
    assert done.status == 3
    assert "include/net/ip_tunnels.h:462" in done.stdout
    assert "no/page.html: No such file or directory" in done.stderr


def test_a_batch_writes_its_pages(run_cli: RunCli, tmp_path: Path) -> None:
    for host in ("10.0.0.1", "10.0.0.2"):
        crash = tmp_path / f"crash/{host}-2024-01-0{host[-1]}-10:51:07"
        crash.mkdir(parents=True)
        (crash / "vmcore-dmesg.txt").write_bytes((EXAMPLE_CRASH / "vmcore-dmesg.txt").read_bytes())
    done = run_cli("batch", tmp_path / "crash", "--root", worked.root(), "--html", tmp_path / "site")
    assert done.status == 3  # the module of the example has no debuginfo
    index = (tmp_path / "site/index.html").read_text()
    assert "1 bug in 2 crashes 2 hosts, 1 kernel" in Page(index).words
    (page,) = [file for file in (tmp_path / "site").iterdir() if file.name != "index.html"]
    found = Page(page.read_text())
    assert "Directory " + str(tmp_path / "crash/10.0.0.2-2024-01-02-10:51:07") in found.words
    assert "2 crashes are this bug" in found.words
    assert "objdump -d --start-address=0xffffffff81898c00" in found.words


@pytest.mark.lab
def test_the_page_of_a_vmcore_alone_has_its_log(lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    if shutil.which("makedumpfile") is None:
        pytest.skip("needs makedumpfile")
    (tmp_path / "crash").mkdir()
    shutil.copyfile(lab.crashes["null_deref"] / "vmcore", tmp_path / "crash/vmcore")
    file = tmp_path / "page.html"
    done = run_cli("analyze", tmp_path / "crash", "--root", lab.root, "--module-dir", lab.module_dir, "--html", file)
    assert done.status == 0, done.stderr
    found = Page(file.read_text())
    assert re.search(r"lines \d+ to \d+ of \S+/crash/vmcore .* BUG: kernel NULL pointer dereference", found.words)
    assert f"/xxxwan.c:{lab.marks['FAULT:null_deref']}" in pasted(file)


@pytest.mark.lab
def test_the_pages_of_real_crashes_are_small_and_cost_little(lab: Lab, run_cli: RunCli, tmp_path: Path) -> None:
    """Of a thousand crashes 3 MB and 2 s at most: scripts/bench measures that; here of fewer, in CPU time."""
    two, site = kernels(lab.path), tmp_path / "site"
    grow(tmp_path / "crash", two.labs, 360, size=30_000)

    def seconds(*options: Union[str, Path]) -> float:
        before = os.times()
        assert run_cli("batch", "--root", two.root, *options, tmp_path / "crash").status == 0
        after = os.times()
        return (after.children_user - before.children_user) + (after.children_system - before.children_system)

    rounds = [(seconds("--html", site), seconds()) for _ in range(3)]
    assert min(pages - alone for pages, alone in rounds) < 1
    assert min(pages / alone for pages, alone in rounds) < 1.5
    assert len([*site.iterdir()]) == 1 + len(lab.crashes)
    assert sum(file.stat().st_size for file in site.iterdir()) < 1_500_000


def test_a_batch_is_printed_where_no_page_can_be_written(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    (tmp_path / "index.html/full").touch()
    done = run_cli("batch", EXAMPLE_CRASH.parent, "--root", worked.root(), "--html", tmp_path)
    assert done.status == 3
    assert "iptunnel_xmit" in done.stdout
    assert f"kdumpwrap: {tmp_path}/index.html: Is a directory" in done.stderr
