"""Tools that answer in part or are killed: what is missing is told, what is left is right, and none of it is final."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from conftest import RunCli
from processes import ran
from test_addr2line import ASKED, TEXT

from kdumpwrap.example import worked
from kdumpwrap.parse import addr2line, nm, readelf
from kdumpwrap.parse.readelf import Elf
from kdumpwrap.tools import binutils

# runs the real tool and changes what it printed: `o`, bytes
BETWEEN = """#!{python}
import re, subprocess, sys
done = subprocess.run(["{tool}", *sys.argv[1:]], stdin=sys.stdin, stdout=subprocess.PIPE)
o = done.stdout
{body}
sys.stdout.buffer.write(o)
sys.exit(done.returncode)
"""
HALVES = ("o = o[:len(o) // 2]", "o = o[:len(o) // 10]", "o = b''.join(o.splitlines(True)[:1])", "o = o[:-2]")
HALF_THE_LINES = "l = o.splitlines(True); o = b''.join(l[:len(l) // 2])"


def between(directory: Path, tool: str, body: str) -> Dict[str, str]:
    """The environment in which ``body`` changes what ``tool`` prints."""
    path = directory / tool
    path.write_text(BETWEEN.format(python=sys.executable, tool=shutil.which(tool), body=body))
    path.chmod(0o755)
    return {tool.replace("eu-", "").upper(): str(path)}


def facts(value: Any) -> Iterator[Tuple[object, object]]:
    """What an answer says of lines and instructions, each thing by its place."""
    report = value["reports"][value["fatal"]]
    for number, frame in enumerate((report["ip"], *report["trace"])):
        yield (number, "chain"), [(one["function"], one["file"], one["line"]) for one in frame["locations"]] or None
        yield (number, "address"), frame["address"]
    for row in report["disassembly"]:
        yield (row["address"], "instruction"), (row["text"], row["bytes"])
        yield (row["address"], "place"), (row["file"], row["line"]) if row["file"] else None


@pytest.fixture(scope="module")
def truth() -> Dict[object, object]:
    argv = [sys.executable, "-m", "kdumpwrap", "analyze", "--example", "--json"]
    done = ran(argv)
    return dict(facts(json.loads(done.stdout)))


@pytest.mark.parametrize("body", [*HALVES, HALF_THE_LINES, "i = o.find(b'ip_tunnels.h:462'); o = o[:i + 15]"])
@pytest.mark.parametrize("tool", ["eu-addr2line", "addr2line", "nm", "objdump", "readelf"])
def test_a_tool_that_answers_in_part(
    run_cli: RunCli, tmp_path: Path, truth: Dict[object, object], tool: str, body: str
) -> None:
    done = run_cli("analyze", "--example", "--json", env=between(tmp_path, tool, body))
    said = dict(facts(json.loads(done.stdout)))
    assert not {key: value for key, value in said.items() if value is not None and value != truth.get(key)}
    assert done.status == 3
    untold = tool.endswith("addr2line") and body == HALVES[3]  # two bytes are the mark's own answer
    assert untold or str(tmp_path / tool) in done.stderr, "nothing is told of it"


NO_LINES = "o = re.sub(rb'(?m)^(?!0x).*:[0-9]+.*$', b'??:0', o)"


def test_an_addr2line_that_knows_no_line_though_there_are_some(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("analyze", "--example", "--json", env=between(tmp_path, "addr2line", NO_LINES))
    assert (done.status, "no tool has a line of any of " in done.stderr) == (3, True), done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["ip"]["address"] and report["ip"]["locations"] == [], "a chain without a line is no answer"


def test_an_eu_addr2line_that_knows_no_line_is_corrected(
    run_cli: RunCli, tmp_path: Path, truth: Dict[object, object]
) -> None:
    done = run_cli("analyze", "--example", "--json", env=between(tmp_path, "eu-addr2line", NO_LINES))
    assert "ip_tunnels.h:462" in run_cli("analyze", "--example", env=between(tmp_path, "eu-addr2line", NO_LINES)).stdout
    assert "no tool" not in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "o = re.sub(rb'(?m)^ffffffff8', b'ffffffff9', o)",
        "o = re.sub(rb'\\t[a-z]+ .*', b'\\t.byte 0x0', o); o = re.sub(rb'\\t(ret|nop)\\n', b'\\t.byte 0x0\\n', o)",
        "o = re.sub(rb'\\t[a-z]+ .*', b'\\t.byte 0x0', o)",
    ],
    ids=["elsewhere", "data", "data in part"],
)
def test_instructions_that_are_none_or_lie_elsewhere(run_cli: RunCli, tmp_path: Path, body: str) -> None:
    done = run_cli("analyze", "--example", "--json", env=between(tmp_path, "objdump", body))
    assert "objdump printed none of the instructions at 0xffffffff81898c00" in done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["disassembly"] == [], "this objdump can no more be believed of the log's own bytes"
    assert report["code"]["bytes"].split()[report["code"]["trap"]] == "48"
    assert report["source"]["fault_line"] == 462
    shown = run_cli("analyze", "--example", env=between(tmp_path, "objdump", body)).stdout
    assert "\nInstructions" not in shown
    assert "Source include/" not in shown, "it is on this host"


def test_symbols_that_are_all_moved(run_cli: RunCli, tmp_path: Path) -> None:
    """Nothing in nm's answer is wrong by itself: what the vmlinux holds where its banner should be tells."""
    body = "o = b''.join(b'%016x' % (int(l[:16], 16) + 16) + l[16:] + b'\\n' for l in o.splitlines())"
    done = run_cli("analyze", "--example", "--json", env=between(tmp_path, "nm", body))
    (report,) = json.loads(done.stdout)["reports"]
    sure = {one["about"]: one["level"] for one in report["statements"]}
    assert "vmlinux: linux_banner is not where nm says, so no address and no line is told" in done.stderr
    assert {sure[about] for about in ("place", "kernel")} <= {"doubtful", "open"}, report["statements"]
    assert not any(frame["address"] or frame["locations"] for frame in (report["ip"], *report["trace"]))
    assert (report["disassembly"], report["source"], report["variables"]) == ([], None, None)


@pytest.mark.parametrize("command", ["annotate", "resolve", "disasm"])
def test_no_command_tells_lines_by_moved_symbols(run_cli: RunCli, tmp_path: Path, command: str) -> None:
    body = "o = b''.join(b'%016x' % (int(l[:16], 16) + 64) + l[16:] + b'\\n' for l in o.splitlines())"
    vmlinux = next(worked.root().glob("usr/lib/debug/lib/modules/*/vmlinux"))
    asked = ("--root", worked.root()) if command == "annotate" else ("--vmlinux", vmlinux, "iptunnel_xmit+0x17d")
    done = run_cli(command, *asked, env=between(tmp_path, "nm", body))
    assert done.status in (1, 3)
    assert "linux_banner is not where nm says, so no address and no line is told" in done.stderr
    assert not [word for word in ("ip_tunnels.h", "ffffffff81898d", "=> ") if word in done.stdout], done.stdout


@pytest.mark.parametrize("lost", range(12))
@pytest.mark.parametrize(("tool", "many"), [("eu-addr2line", 2), ("addr2line", 1)])
def test_an_addr2line_that_loses_lines(
    run_cli: RunCli, tmp_path: Path, truth: Dict[object, object], tool: str, many: int, lost: int
) -> None:
    """What can be lost is one of the writes, of 4096 bytes: in that of eu-addr2line an answer begins."""
    env = between(tmp_path, tool, f"l = o.splitlines(True); del l[{lost} : {lost + many}]; o = b''.join(l)")
    done = run_cli("analyze", "--example", "--json", env=env)
    said = dict(facts(json.loads(done.stdout)))
    assert not {key: value for key, value in said.items() if value is not None and value != truth.get(key)}
    assert "addr2line" in done.stderr


# ---------------------------------------------------------------- the text itself


def test_each_cut_and_each_lost_line_of_addr2line_is_noticed() -> None:
    whole = addr2line.parse(TEXT, ASKED)
    assert not whole.missing and len(whole.chains) == 3
    rows = TEXT.splitlines(keepends=True)
    spoiled = [TEXT[:end] for end in range(len(TEXT))]
    spoiled += ["".join(rows[:at] + rows[at + 1 :]) for at in range(len(rows))]
    spoiled += ["".join([*rows[:at], "addr2line: DWARF error: x\n", *rows[at:]]) for at in range(1, len(rows))]
    for text in spoiled:
        found = addr2line.parse(text, ASKED)
        assert found.missing, text
        assert all(whole.chains[address] == chain for address, chain in found.chains.items()), text


def test_an_address_asked_for_twice_and_one_that_nobody_asked_for() -> None:
    text = "0x1\nf\na.c:1\n0x1\nf\na.c:1\n0x9\ng\nb.c:2\n0x2\nh\nc.c:3\n0x1\n"
    found = addr2line.parse(text, (1, 1, 2, 1))
    assert set(found.chains) == {1, 2} and not found.missing


def test_a_vmlinux_of_which_nm_prints_a_part() -> None:
    known = Elf("x86_64", False, None, True, True, True, symbols=1000, sections=20)
    rows = b"".join(b"%016x T f%d\n" % (address, address) for address in range(930))
    assert nm.is_whole(rows, known)
    assert not nm.is_whole(rows[:-1], known)
    assert not nm.is_whole(rows[: len(rows) // 2 + 1].rpartition(b"\n")[0] + b"\n", known)
    # and none of those that are not local is left out
    assert nm.is_whole(rows, known._replace(symbols=940, shared=930))
    assert not nm.is_whole(rows, known._replace(symbols=940, shared=931))
    many = rows * 20  # arm64 has symbols that nm leaves out: what counts is the end of the linker's script
    assert not nm.is_whole(many, known._replace(machine="aarch64"))
    assert nm.is_whole(many + b"ffff800009f20000 B _end\n", known._replace(machine="aarch64"))


def test_sections_are_counted() -> None:
    text = "  Number of section headers:         2\nMachine: AArch64\n  [ 0]   NULL\n  [ 1] .text  PROGBITS\n"
    assert readelf.is_whole(text)
    assert not readelf.is_whole(text[:-1])
    assert not readelf.is_whole(text.partition("  [ 1]")[0])


# ---------------------------------------------------------------- kept answers


@pytest.mark.parametrize("tool", ["addr2line", "objdump", "nm", "readelf"])
@pytest.mark.parametrize("fault", ["kill -9 $$", "exit 1", "exit 0"])
def test_an_answer_in_which_a_tool_failed_is_not_final(run_cli: RunCli, tmp_path: Path, tool: str, fault: str) -> None:
    host = tmp_path / "host"
    shutil.copytree(worked.root(), host)
    killed = tmp_path / tool
    killed.write_text(f"#!/bin/sh\n{fault}\n")
    killed.chmod(0o755)
    first = run_cli("batch", "--save", "--root", host, "--json", env={tool.upper(): str(killed)})
    (kept,) = host.glob("var/crash/*/kdumpwrap.json")
    assert str(killed) in first.stderr
    assert json.loads(kept.read_text())["saved"]["final"] is False
    again = run_cli("batch", "--save", "--root", host, "--json")
    assert again.stdout == run_cli("batch", "--root", host, "--json").stdout != first.stdout
    assert json.loads(kept.read_text())["saved"]["final"] is True
    os.utime(kept)
    assert run_cli("batch", "--save", "--root", host, "--json").stdout == again.stdout


def test_an_archive_is_no_vmlinux(tmp_path: Path) -> None:
    """A thin one is a list of files anywhere, which binutils read in its place."""
    vmlinux = next(worked.root().glob("usr/lib/debug/lib/modules/*/vmlinux"))
    thin = tmp_path / "vmlinux"
    subprocess.run(["ar", "rcT", thin, vmlinux], check=True)
    assert binutils.elf(binutils.toolset(None), vmlinux) is not None
    assert binutils.elf(binutils.toolset(None), thin) is None
