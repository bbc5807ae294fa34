"""eu-addr2line: what elfutils 0.188 printed for a 6.1 vmlinux and its module, and how it is asked."""

import os
import shlex
from pathlib import Path
from typing import Dict, Tuple

import pytest
from conftest import ToolDir

from kdumpwrap.errors import ToolFailed, ToolMissing
from kdumpwrap.model.kernel import Location
from kdumpwrap.parse import eu_addr2line
from kdumpwrap.tools import binutils, elfutils

BUILD = "debian/build/build_amd64_none_cloud-amd64"
TEXT = f"""\
0xffffffff818a7103: local_add at {BUILD}/./arch/x86/include/asm/local.h:33:2
 (inlined by) u64_stats_add at {BUILD}/include/linux/u64_stats_sync.h:89:2
 (inlined by) iptunnel_xmit at {BUILD}/net/ipv4/ip_tunnel_core.c:87:3
0x0000000000000010: ?? at ??:0
0xffffffff81000000: startup_64 at /build/reproducible-path/linux-6.1.170/arch/x86/kernel/head_64.S:65
0xffffffff810f81f6: ?? at {BUILD}/kernel/sched/wait.c:169:2
0x0000000000000720: wan_setup at ??:0
"""


def test_answers_in_the_order_of_the_questions() -> None:
    answers = eu_addr2line.parse(TEXT)
    assert [answer.address for answer in answers] == [
        0xFFFFFFFF818A7103,
        0x10,
        0xFFFFFFFF81000000,
        0xFFFFFFFF810F81F6,
        0x720,
    ]
    assert answers[0].chain == (
        Location("local_add", f"{BUILD}/arch/x86/include/asm/local.h", 33, 2),
        Location("u64_stats_add", f"{BUILD}/include/linux/u64_stats_sync.h", 89, 2),
        Location("iptunnel_xmit", f"{BUILD}/net/ipv4/ip_tunnel_core.c", 87, 3),
    )
    assert answers[1].chain == ()
    assert answers[2].chain == (
        Location("startup_64", "/build/reproducible-path/linux-6.1.170/arch/x86/kernel/head_64.S", 65, None),
    )
    assert answers[3].chain == (Location(None, f"{BUILD}/kernel/sched/wait.c", 169, 2),)
    assert answers[4].chain == (Location("wan_setup", None, None),)


def test_no_cut_text_gives_another_answer() -> None:
    """But for the last of its answers."""
    whole = eu_addr2line.parse(TEXT)
    for length in range(len(TEXT)):
        found = eu_addr2line.parse(TEXT[:length])[:-1]
        assert found == whole[: len(found)]


@pytest.mark.parametrize("broken", ["f", "f at", "f at a.c", "f at a.c:x", "a.c:3:1", " (inlined by) a.c:3:1", ""])
def test_an_answer_with_a_line_that_is_broken_is_not_whole(broken: str) -> None:
    for text in (f"0x0000000000000001: {broken}\n", f"0x0000000000000001: f at a.c:1:1\n (inlined by) {broken}\n"):
        assert [answer.chain for answer in eu_addr2line.parse(text)] == [None]
    assert [one.chain for one in eu_addr2line.parse(f"0x0000000000000001: f at a.c:1:1\n{broken}\n")] == [None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b.c:12:7", ("a/b.c", 12, 7)),
        ("a/b.S:12", ("a/b.S", 12, None)),
        ("a/b.c:12:0", ("a/b.c", 12, None)),
        ("C:odd:name.c:5:1", ("C:odd:name.c", 5, 1)),
        ("a/b.c:0", (None, None, None)),
        ("??:0", (None, None, None)),
    ],
)
def test_file_line_and_column(text: str, expected: Tuple[object, ...]) -> None:
    (answer,) = eu_addr2line.parse(f"0x0000000000000001: f at {text}\n")
    assert answer.chain == (Location("f", *expected),)  # type: ignore[arg-type]


def test_answers_without_functions() -> None:
    text = f"0xffffffff818a7103\n{BUILD}/./arch/x86/include/asm/local.h:33:2\n0x0000000000000010\n??:0\n"
    whole = [(Location(None, f"{BUILD}/arch/x86/include/asm/local.h", 33, 2),), ()]
    assert [answer.chain for answer in eu_addr2line.parse(text, functions=False)] == whole
    assert [answer.chain for answer in eu_addr2line.parse(TEXT, functions=False)][:1] == [None], (
        "those of another question"
    )


def fake(tool_dir: ToolDir, answers: str, status: int = 0) -> str:
    tool_dir.fake("eu-addr2line", f"cat >/dev/null; printf '%b' {shlex.quote(answers)}; exit {status}")
    return str(tool_dir.path / "eu-addr2line")


def answer(address: int) -> str:
    return f"0x{address:016x}: f at f.c:{address & 0xFF}:1\\n"


def test_in_a_module_all_addresses_are_moved_alike(tool_dir: ToolDir, tmp_path: Path) -> None:
    tool = fake(
        tool_dir, answer(0x725) + answer(0x730) + answer(0x725), status=1
    )  # 1: an address lies outside of its section
    found = elfutils.locations(tool, tmp_path, [0x5, 0x10], ".text.unlikely")
    assert {address: chain[0].line for address, chain in found.items()} == {0x5: 0x25, 0x10: 0x30}


def test_an_answer_that_is_missing_at_the_end_is_left_out(tool_dir: ToolDir, tmp_path: Path) -> None:
    """The one before may be cut as well."""
    tool = fake(tool_dir, answer(0x5) + answer(0x10))
    assert list(elfutils.locations(tool, tmp_path, [0x5, 0x10])) == [0x5]


BAD: Dict[str, str] = {
    "none": "",
    "unknown text": "what is this\\n",
    "one is missing in the middle": answer(0x5) + answer(0x30),
    "too many": answer(0x5) + answer(0x10) + answer(0x20) + answer(0x5) + answer(0x30),
    "another address": answer(0x6) + answer(0x11),
}


@pytest.mark.parametrize("answers", BAD.values(), ids=BAD.keys())
def test_answers_to_other_questions_are_none(answers: str, tool_dir: ToolDir, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="no answers to what it was asked"):
        elfutils.locations(fake(tool_dir, answers), tmp_path, [0x5, 0x10, 0x20])


def test_a_failure_is_one(tool_dir: ToolDir, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="exit status 2"):
        elfutils.locations(fake(tool_dir, answer(0x5), status=2), tmp_path, [0x5])
    with pytest.raises(ToolMissing) as caught:
        elfutils.locations("eu-addr2line-of-nobody", tmp_path, [0x5])
    assert "elfutils" in caught.value.hint


def test_who_is_asked(tool_dir: ToolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADDR2LINE", raising=False)
    monkeypatch.delenv("CROSS_COMPILE", raising=False)
    monkeypatch.setenv("PATH", str(tool_dir.path))
    assert binutils.toolset(os.uname().machine).eu_addr2line is None
    fake(tool_dir, "")
    assert binutils.toolset(os.uname().machine).eu_addr2line == "eu-addr2line"
    monkeypatch.setenv("ADDR2LINE", "/opt/bin/addr2line")
    chosen = binutils.toolset(os.uname().machine)
    assert (chosen.eu_addr2line, chosen.addr2line) == (None, "/opt/bin/addr2line")
    monkeypatch.setenv("ADDR2LINE", "/opt/bin/eu-addr2line")
    chosen = binutils.toolset(os.uname().machine)
    assert (chosen.eu_addr2line, chosen.addr2line) == ("/opt/bin/eu-addr2line", "addr2line")
