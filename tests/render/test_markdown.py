"""--markdown: the facts of a page in 60 lines, whatever a log holds."""

import re
from typing import Any, Dict, Optional

import handmade
import pytest
from conftest import Lab, RunCli
from handmade import ANALYSIS, COMMANDS, FACTS, FINDING, TRACE, with_report
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markup import HOSTILE, Page, poisoned

from kdumpwrap import shell
from kdumpwrap.model.crash import Crash, Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.kernel import Instruction, ResolvedFrame
from kdumpwrap.model.verdict import Culprit, Suspect
from kdumpwrap.render import markdown, view


def shown(text: str) -> Page:
    """``text`` as a forge would show it: CommonMark, HTML in it let through."""
    return Page(MarkdownIt("commonmark", {"html": True}).render(text))


@pytest.mark.parametrize(
    "words",
    [
        "Page fault in iptunnel_xmit",
        "Page fault at include/net/ip_tunnels.h:526 in iptunnel_xmit_stats(), inlined in iptunnel_xmit(),",
        "headline: BUG: unable to handle page fault for address: ffffaa1730745690",
        "the kernel said: xxxwan: tunnel went down while it was in use",
        "where: iptunnel_xmit+0x203/0x240, include/net/ip_tunnels.h:526",
        "suspect: the out-of-tree module xxxwan (send4, /home/vendor/xxxwan/xxxwan.c:90)",
        "kernel: 6.1.0-47-cloud-amd64 x86_64, tainted GOE",
        "crash: /var/crash/127.0.0.1-2024-02-05-10:51:09, 2024-02-05T10:51:09 on 127.0.0.1",
        "signature: 315d60b47671 page-fault iptunnel_xmit < send4[xxxwan] < hfunc_in4[xxxwan]",
        "dev->tstats is a per-CPU pointer",
        "send4+0x7d/0xc0 [xxxwan] <IRQ> /home/vendor/xxxwan/xxxwan.c:90",
        "=> 526 u64_stats_add(&tstats->tx_bytes, pkt_len);",
        "=> ffffffff818a7103 add %rdx,0x18(%rax)",
        "certain: It stopped at include/net/ip_tunnels.h:526",
        "missing: no debuginfo for the module xfs: dnf debuginfo-install kernel-modules",
        "nm -n /usr/lib/debug/lib/modules/6.1.0-47-cloud-amd64/vmlinux",
    ],
)
def test_it_says_what_the_page_says(words: str) -> None:
    assert words in shown(markdown.render(ANALYSIS, COMMANDS)).words


@pytest.mark.parametrize(
    "words",
    [
        "log and crash differ, call trace: log __dev_queue_xmit+0x2ff, crash not in its backtrace",
        "address: the faulting address lies 0x8 into an object of skbuff_head_cache",
        "blocked: jbd2/sda0-8, pid 700, uninterruptible for 900 s",
        "panic task: ping, pid 122 in iptunnel_xmit+0x203/0x240 < send4+0x7d/0xc0 [xxxwan] < nf_hook_slow+0x41/0xc0",
        "memory: total 309.8 MB, free 279 MB (90%)",
        "missing: crash found only 3 tasks: a newer crash",
    ],
)
def test_it_says_what_the_vmcore_knows(words: str) -> None:
    facts = FACTS._replace(blocked=FACTS.blocked[:1], other_cpus=())
    assert words in shown(markdown.render(with_report(disassembly=(), explanation=()), COMMANDS, facts)).words


def test_the_vmcore_leaves_room_for_the_trace() -> None:
    facts = FACTS._replace(blocked=FACTS.blocked * 50, other_cpus=FACTS.other_cpus * 50)
    text = markdown.render(with_report(trace=TRACE * 3)._replace(problems=()), COMMANDS, facts)
    assert text.count("\n") <= 60
    assert "more facts" in text
    assert text.count("[xxxwan] <IRQ>") >= 2
    assert "certain: The kernel is" in text
    assert "Panic" not in markdown.render(Analysis(Crash("/x"), ANALYSIS.kernel), (), facts).partition("\n")[0]
    assert markdown.render(Analysis(Crash("/x"), ANALYSIS.kernel), (), facts).count("\n") <= 60


def test_frames_that_may_be_leftovers_are_left_out() -> None:
    assert "ip_sublist_rcv" not in markdown.render(ANALYSIS)


def test_sixty_lines_are_enough_for_anything() -> None:
    crowded = with_report(
        trace=TRACE * 300,
        explanation=("a reason",) * 300,
        disassembly=FINDING.resolution.disassembly * 30,
        headline="long " * 1000,
    )._replace(
        problems=(Problem("m", shell.hint("h")),) * 300,
    )
    text = markdown.render(crowded, COMMANDS * 300, FACTS._replace(blocked=FACTS.blocked * 50))
    assert text.count("\n") <= 60
    assert len(text) < 20_000
    assert "certain: It stopped at" in text
    assert text.count("```") % 2 == 0
    assert "298 more things" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"ip": None},
        {"ip": None, "trace": (), "culprit": None, "suspect": None},
        {"source": None, "disassembly": (), "registers": (), "explanation": ()},
        {"comm": None, "taint": None, "release": None},
    ],
    ids=str,
)
def test_it_does_without_what_is_not_known(changes: Dict[str, Any]) -> None:
    text = markdown.render(with_report(**changes))
    assert text.startswith("## ")
    assert "None" not in text


@pytest.mark.parametrize(
    ("module", "caller", "words"),
    [
        ("xxxwan", None, "This is in the out-of-tree module xxxwan."),
        (None, "xxxwan", "It was called from the out-of-tree module xxxwan."),
        (None, None, "In the trace is the out-of-tree module xxxwan."),
    ],
)
def test_the_part_of_the_suspect_is_told_of_the_place_that_is_named(
    module: Optional[str], caller: Optional[str], words: str
) -> None:
    """memcpy() that a module called is not in the module, though the module is where to look first."""
    copy = handmade.frame("__memcpy", 0x10, 0x40, ("__memcpy", "arch/x86/lib/memcpy_64.S", 39), module=module)
    above = handmade.frame("helper", 0x20, 0x40, module=caller), handmade.frame("send4", 0x7D, 0xC0, module="xxxwan")
    culprit = Culprit("send4", "xxxwan", None, None, "first frame")
    suspect = Suspect("xxxwan", "OE", "send4", None, None)
    shown = view.sentence(ANALYSIS, handmade.change(FINDING, ip=copy, trace=above, culprit=culprit, suspect=suspect))
    assert "memcpy_64.S:39 in __memcpy()" in shown
    assert shown.endswith(words)


def test_a_log_without_a_report() -> None:
    analysis = Analysis(Crash("/x"), ANALYSIS.kernel, problems=(Problem("no report here", shell.hint("type this")),))
    assert shown(markdown.render(analysis)).words == "No report of a crash in /x missing: no report here: type this"


def test_hostile_text_stays_text() -> None:
    short = with_report(disassembly=(), explanation=(), source=None)  # room for all that the vmcore knows
    for analysis, facts in ((ANALYSIS, FACTS), (short, FACTS), (short, FACTS._replace(blocked=(), differences=()))):
        text = markdown.render(poisoned(analysis), [HOSTILE], poisoned(facts))
        tags = {tag for tag, _ in shown(text).elements}
        assert tags <= {"h2", "p", "ul", "li", "code", "pre"}
        assert "<script>alert(1)</script>" in shown(text).words
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "panic task: " in text


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("`~*_#<>&[]()!|\\-+=1.) \n\tax@:/\x1b\u202e"), max_size=40))
def test_no_text_becomes_markup(text: str) -> None:
    analysis = with_report(
        headline=text,
        comm=text,
        explanation=(text,),
        culprit=None,
        trace=(ResolvedFrame(text, 1, 2, module=text, context=text),),
        disassembly=(Instruction(1, b"\0", text, fault=True),),
        source=None,
    )
    page = shown(markdown.render(analysis, [text]))
    assert {tag for tag, _ in page.elements} <= {"h2", "p", "ul", "li", "code", "pre"}
    plain = shown(
        markdown.render(with_report(culprit=None, source=None, explanation=("a",), comm="a", trace=TRACE[:1]), ["a"])
    )
    assert [tag for tag, _ in page.elements].count("h2") == [tag for tag, _ in plain.elements].count("h2")


@pytest.mark.parametrize("value", ["a", "a`b", "`", "``a`` <b>x</b>", "a ``` b `c` <i>", "<script>`</script>"])
def test_a_code_span_holds_what_it_was_given(value: str) -> None:
    page = shown(f"before {markdown.code(value)} after")
    assert [tag for tag, _ in page.elements] == ["p", "code"]
    assert page.words == f"before {value} after"


def test_from_the_command_line(run_cli: RunCli) -> None:
    done = run_cli("analyze", "--example", "--markdown")
    assert done.status == 3  # the module of the example has no debuginfo
    assert done.stdout.count("\n") <= 60
    assert "include/net/ip_tunnels.h:462" in done.stdout
    assert "objdump -d --start-address=0xffffffff81898c00" in done.stdout


@pytest.mark.lab
def test_each_real_crash_fits_and_names_its_line(lab: Lab, run_cli: RunCli) -> None:
    options = ("--root", lab.root, "--module-dir", lab.module_dir, "--source-dir", lab.source.parent)
    for case, crash in lab.crashes.items():
        done = run_cli("analyze", crash, *options, "--markdown")
        assert done.stdout.count("\n") <= 60
        line = lab.marks.get(f"FAULT:{case}")
        if line is not None and "stopped at" in done.stdout and "xxxwan.c" in done.stdout:
            assert f"xxxwan.c:{line}" in done.stdout, case


def test_a_command_is_whole_or_left_out() -> None:
    """Cut within a quoted word, it would turn the quotes of the next line inside out."""
    short, long = f"nm -n '/x/$(touch RAN) {'d' * 900}'", f"nm -n '/x/$(touch RAN) {'d' * 1100}'"
    analysis = ANALYSIS._replace(problems=(Problem("m", shell.hint("ls {}", "$(touch RAN)" + "d" * 300)),))
    shown = markdown.render(analysis, [short, long, short])
    block = shown[shown.index("Found with") :].splitlines()[3:-1]
    assert block == [short, f"# a command of {len(long)} characters is left out", short]
    assert "* missing: m\n" in shown


def test_the_line_of_an_inlined_function_names_it(run_cli: RunCli) -> None:
    rows = run_cli("analyze", "--example", "--markdown").stdout.splitlines()
    (row,) = [row for row in rows if row.strip().startswith("iptunnel_xmit+0x17d/0x1c0 ")]
    assert row.split(None, 1)[1].strip() == "include/net/ip_tunnels.h:462 (iptunnel_xmit_stats, inlined)"
