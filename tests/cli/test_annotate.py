"""annotate: the log with what is known put in, and the log again once that is taken off."""

import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, Optional

import pytest
import recorded
from conftest import RunCli, ToolDir, environment
from hypothesis import given, settings
from hypothesis import strategies as st

from kdumpwrap import annotate as story
from kdumpwrap.debuginfo import Search
from kdumpwrap.example import worked
from kdumpwrap.log import owners, reader, reference
from kdumpwrap.model.annotation import Line, Mark
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.kernel import Instruction, Location, ResolvedFrame
from kdumpwrap.model.scope import Variable, Variables
from kdumpwrap.render import annotate as renderer

# what annotate adds, told by its looks alone
_BEHIND = re.compile(rb"(?<=[0-9a-f]) \((?:[^()\n]*:(?:\d+|\?)|\?)(?: in [^()\n]*)?(?: or [^()\n]*)?\)")
_LINE = re.compile(rb"(?:^|[\s>])(?:\S+ \([^()\n]+:\d+\) \[inline\]|(?:=>|  ) +[0-9a-f]+  (?:[0-9a-f]{2} )+.*)$")


def taken_off(text: bytes) -> bytes:
    """``text`` without what annotate adds."""
    lines = [line for line in text.split(b"\n") if not _LINE.search(line.rstrip(b"\r"))]
    return b"\n".join(_BEHIND.sub(b"", line) for line in lines)


def annotated(data: bytes, search: Search, size: Optional[int] = None) -> List[renderer.Piece]:
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    with story.Annotator(Crash("-", dmesg="-"), search) as annotator:
        return [
            piece
            for batch in story.batches(pieces)
            for line in annotator.lines(batch)
            for piece in renderer.pieces(line)
        ]


def plain(pieces: List[renderer.Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces if not piece.added)


@pytest.mark.parametrize("name", recorded.EVERY)
def test_a_log_without_debuginfo_passes_through(name: str, tmp_path: Path) -> None:
    data = recorded.data(name)
    found = annotated(data, Search(tmp_path))
    assert plain(found) == data
    assert not [piece for piece in found if piece.added and not _LINE.search(piece.data.rstrip(b"\n"))]


ALIKE = {"amd-mce-panic"}  # has "(17:1:2)" of its own where annotate would put a place
SHOWN = (
    Instruction(0xFFFFFFFF818A7103, b"\x48\x01\x50\x18", "add %rdx,0x18(%rax)", file="b/c.c", line=12, fault=True),
    Instruction(0xFFFFFFFF818A7107, b"\x90", "nop"),
)
VALUES = Variables((Variable("f", True, "s", "struct s *", "0x10", True, True),), 3)


def made_up(data: bytes, *, values: bool = False) -> Iterator[Line]:
    """Each line of ``data`` with a place and an inlined function for each reference in it, instructions for each Code:.

    With ``values`` there are variables at each reference, too.
    """
    rows = data.split(b"\n")
    for index, row in enumerate(rows):
        raw = row + b"\n" if index < len(rows) - 1 else row
        marks = tuple(
            Mark(
                one.end,
                ResolvedFrame(
                    one.frame.symbol,
                    locations=(Location("inner", "include/a.h", 7), Location(one.frame.symbol, "b/c.c", 12)),
                ),
            )
            for one in reference.references(row)
        )
        yield Line(raw, marks, VALUES if values and marks else None, SHOWN if b"Code: " in row else ())


@pytest.mark.parametrize("name", recorded.EVERY)
def test_what_is_added_can_be_taken_off_again(name: str) -> None:
    data = recorded.data(name)
    found = [piece for line in made_up(data) for piece in renderer.pieces(line)]
    text = b"".join(piece.data for piece in found)
    assert plain(found) == data
    references = owners.references(data.split(b"\n"))
    assert text.count(b" (b/c.c:12)") == sum(map(len, references.values()))
    assert text.count(b"add %rdx,0x18(%rax)") == data.count(b"add %rdx,0x18(%rax)") + data.count(b"Code: ")
    if name not in ALIKE:
        assert taken_off(text) == data
    found = [piece for line in made_up(data, values=True) for piece in renderer.pieces(line)]
    assert plain(found) == data
    added = b"".join(piece.data for piece in found if piece.added)
    assert added.count(b"s = 0x10 (struct s *)") == sum(1 for several in references.values() if several)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                b"[    1.5]  f+0x1/0x2 [m]",
                b"\xff\x00f+0x1/0x20",
                b"RIP: 0010:f+0x1/0x2\r",
                b"f+0x1/0x2 g+0x3/0x4",
                b"Code: 0f <0b> 90",
                b"",
                b"\x1b[31m ? f+0x0/0x2",
                b"---[ end trace 0 ]---",
                b"\xc3\xa4\xa0 f.part.0+0xa/0xb)",
            ]
        )
        | st.binary(max_size=40),
        max_size=12,
    ),
    st.sampled_from([b"\n", b"\r\n"]),
    st.integers(1, 64),
)
def test_any_bytes_pass_through(rows: List[bytes], end: bytes, size: int) -> None:
    data = end.join(rows)
    assert plain([piece for line in made_up(data, values=True) for piece in renderer.pieces(line)]) == data
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert b"".join(story.batches(pieces)) == data
    assert b"".join(story.batches([one for piece in pieces for one in (piece, None)])) == data


# ---------------------------------------------------------------- the batches of a stream


def test_lines_of_a_stream_come_when_it_rests() -> None:
    came = iter([b"one\ntw", None, b"o\n", None, b""])
    assert [*story.batches(came)] == [b"one\n", b"two\n"]


def test_a_stream_that_never_rests_is_cut_behind_the_end_of_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 1000, 10))
    monkeypatch.setattr(story, "monotonic", lambda: next(times))
    came = [None, b"f+0x1/0x2\n---[ end trace 1 ]---\nBUG: x\ng+0x1/0x2\n", b"h+0x1/0x2\n---[ end trace 2 ]---\n"]
    assert [*story.batches(came)] == [
        b"f+0x1/0x2\n---[ end trace 1 ]---\n",
        b"BUG: x\ng+0x1/0x2\nh+0x1/0x2\n---[ end trace 2 ]---\n",
    ]


def test_a_long_log_is_cut_where_no_report_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "BATCH", 60)
    report = b"BUG: x\nf+0x1/0x2\n---[ end trace 1 ]---\n"
    found = [*story.batches([report[:20], report[20:] + report, report])]
    assert b"".join(found) == report * 3
    assert all(batch.endswith(b"]---\n") for batch in found) and len(found) > 1


# ---------------------------------------------------------------- what a line refers to


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        (b"[   1.000000]  f+0x1/0x20 [m]", [False]),
        (b"[   1.000000]  ? f+0x0/0x20", [False]),
        (b"[   1.000000] RIP: 0010:f+0x1/0x20", [True]),
        (b"pc : f+0x1/0x20", [True]),
        (b"lr : f+0x1/0x20", [False]),
        (b"NIP [c000000000123456] f+0x1/0x20", [True]),
        (b"Krnl PSW : 0704f00180000000 000003ff8086d03a (f+0x3a/0x1000 [m])", [True]),
        (b"--- interrupt: 700 at f+0x2c/0x70", [True]),
        (b" __pfx_kthread+0x10/0x10", [True]),
        (b"initcall f+0x0/0x20 returned 0 after 3 usecs", [True]),
        (b"BUG: KASAN: use-after-free in f+0x1/0x20 [m]", [False]),
        (b"(f+0x1/0x20) from (g+0x3/0x40)", [False, False]),
        (b"f+0x1", []),
    ],
)
def test_a_reference_is_exact_or_a_return_address(text: bytes, exact: List[bool]) -> None:
    found = reference.references(text)
    assert [one.frame.exact for one in found] == exact
    assert [text[: one.end].rpartition(b"/0x")[1] for one in found] == [b"/0x"] * len(found)


def test_after_the_entry_of_an_exception_comes_what_was_interrupted() -> None:
    rows = [b" g+0x1/0x2", b" el1h_64_irq+0x64/0x68", b" f+0x4/0x20", b" h+0x4/0x20"]
    (stack,) = owners.stacks(owners.references(rows), set())
    assert [frame.exact for frame in stack.frames] == [False, False, True, False]


def test_each_kernel_of_a_log_has_its_own_release() -> None:
    rows = [
        b" f+0x1/0x2",
        b"[    0.000000] Linux version 6.1.0-1-amd64 (a@b) (gcc) #1",
        b" f+0x1/0x2",
        b"[    0.000000] Linux version 5.10.0-2-amd64 (a@b) (gcc) #1",
    ]
    releases = owners.Releases(rows, reader.parse([b"\n".join(rows)]), None)
    assert [releases.at(line) for line in (1, 3, 4, 9)] == [
        "6.1.0-1-amd64",
        "6.1.0-1-amd64",
        "5.10.0-2-amd64",
        "5.10.0-2-amd64",
    ]
    assert releases.last == "5.10.0-2-amd64"


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def root() -> Path:
    return worked.root()


def log_of(root: Path) -> Path:
    return next(root.glob("var/crash/*/vmcore-dmesg.txt"))


def test_the_worked_example(root: Path, run_cli: RunCli) -> None:
    log = log_of(root)
    done = run_cli("annotate", "--root", str(root), "--no-variables")
    text = done.stdout.encode("utf-8")
    assert "iptunnel_xmit+0x17d/0x1c0 (" in done.stdout and "include/net/ip_tunnels.h:" in done.stdout
    assert "[inline]" in done.stdout
    assert taken_off(text) == log.read_bytes()
    assert done.status in (0, 3)


@pytest.mark.parametrize("piped", [True, False], ids=["pipe", "file"])
def test_the_arguments_of_the_script(root: Path, run_cli: RunCli, piped: bool) -> None:
    """As a CI job has them, in the script's place: the log on standard input, its lines as those of the crash."""
    vmlinux = next(root.glob("usr/lib/debug/lib/modules/*/vmlinux"))
    command = [sys.executable, "-m", "kdumpwrap", "annotate", "--vmlinux", str(vmlinux), "--module-dir", str(root)]
    command += ["--no-variables", "--root", "/nonexistent"]
    plain = run_cli("annotate", "--root", str(root), "--no-variables", "--strip-prefix", "/build").stdout
    with log_of(root).open("rb") as log:
        if piped:
            done = subprocess.run([*command, "--base-path", "/build"], input=log.read(), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=environment(), check=False)  # fmt: skip
        else:
            done = subprocess.run([*command, "--strip-prefix", "/build"], stdin=log, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=environment(), check=False)  # fmt: skip
    assert done.stdout.decode() == plain and "iptunnel_xmit+0x17d/0x1c0 (" in plain
    assert done.returncode == 3 and b"XxxWan" in done.stderr, "the maker's module is not here"


def test_paths_are_shortened_as_the_script_does_it(root: Path, run_cli: RunCli) -> None:
    top = "/usr/src/debug/kernel-alt-4.19.113/linux-4.19.113-88.8bs.el7.x86_64"
    arguments = ("annotate", "--root", str(root), "--no-variables")
    found = []
    for prefix in ("/usr/src/debug/kernel", top, f"{top}/net/"):
        text = run_cli(*arguments, "--strip-prefix", prefix).stdout
        found += re.findall(r"iptunnel_xmit\+0x17d/0x1c0 \(([^()]+)\)", text)[:1]
    file = "net/ipv4/ip_tunnel_core.c:87"
    assert found == [f"{top}/{file}", file, file[len("net/") :]]


def test_only_the_report(root: Path, run_cli: RunCli) -> None:
    whole = run_cli("annotate", "--root", str(root), "--no-variables").stdout
    part = run_cli("annotate", "--root", str(root), "--no-variables", "--only-report").stdout
    assert part in whole and 0 < part.count("\n") < whole.count("\n")


def test_only_the_report_of_a_long_log_takes_no_more_memory(tmp_path: Path) -> None:
    peaks: List[int] = []
    for megabytes in (1, 120):
        log = tmp_path / "log"
        with log.open("wb") as file:
            for _ in range(megabytes):
                file.write(b"[    1.000000] nothing to tell of the network and its cards\n" * 17476)
            file.write(b"[    2.000000] kernel BUG at mm/slub.c:1!\n[    2.000000] RIP: 0010:f+0x1/0x2\n")
        code = (
            "import resource, subprocess, sys\n"
            "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.stdout.count(b'f+0x1/0x2'))\n"
        )
        argv = [sys.executable, "-m", "kdumpwrap", "annotate", str(log), "--only-report", "--root", str(tmp_path)]
        done = subprocess.run(
            [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, env=environment(), check=True
        )
        peak, found = map(int, done.stdout.split())
        assert found == 1
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 30_000, "KiB"


def test_a_log_without_a_report_passes_through(run_cli: RunCli) -> None:
    done = run_cli("annotate", "-", stdin="hello\nworld")
    assert (done.status, done.stdout, done.stderr) == (0, "hello\nworld", "")
    done = run_cli("annotate", "-", "--only-report", stdin="hello\n")
    assert (done.status, done.stdout) == (1, "") and "no report" in done.stderr


def test_without_debuginfo_the_log_is_printed_and_the_status_says_so(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("annotate", "-", "--root", str(tmp_path), stdin=" f+0x1/0x2\n")
    assert (done.status, done.stdout) == (1, " f+0x1/0x2\n") and "--vmlinux" in done.stderr


def test_reports_that_come_again_cost_no_tool(root: Path, run_cli: RunCli, tool_dir: ToolDir, tmp_path: Path) -> None:
    """40 reports at one address: each program runs as often as for one of them, and says the same of all."""
    for name in ("nm", "objdump", "addr2line", "eu-addr2line", "readelf"):
        real = shutil.which(name)
        if real is not None:
            tool_dir.fake(name, f'echo {name} >>{tmp_path}/started\nexec {real} "$@"')
    log = log_of(root).read_text()
    found: List[str] = []
    started: List[str] = []
    for times in (1, 40):
        text = "".join(log.replace("Comm: wan_client", f"Comm: task{number}") for number in range(times))
        arguments = ("annotate", "-", "--root", str(root), "--no-variables")
        found.append(run_cli(*arguments, stdin=text, env=tool_dir.first).stdout)
        started.append((tmp_path / "started").read_text())
        (tmp_path / "started").unlink()
    assert sorted(started[0].split()) == sorted(started[1].split()) and "objdump" in started[0]
    arrow = re.compile(r"=> ffffffff\w+  48 83 40 10 01  .* include/net/ip_tunnels.h:462$", re.M)
    assert [len(arrow.findall(text)) for text in found] == [1, 40]
    assert found[1].count("\n") == 40 * found[0].count("\n")


def test_of_another_build_the_instructions_are_those_of_the_log(root: Path, run_cli: RunCli) -> None:
    log = log_of(root).read_text()
    other = log.replace("<48> 83 40 10 01", "<49> 83 40 10 01")
    assert other != log
    text = run_cli("annotate", "-", "--root", str(root), "--no-variables", stdin=other).stdout
    assert re.search(r"=> .*49 83 40 10 01 +addq +\$0x1,0x10\(%r8\)", text)
    assert taken_off(text.encode()) == other.encode()


def test_a_stream_is_annotated_while_it_comes(root: Path) -> None:
    command = [sys.executable, "-m", "kdumpwrap", "annotate", "-", "--no-variables", "--root", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(log_of(root).read_bytes())
        process.stdin.flush()
        began = time.monotonic()
        found = b""
        while b"iptunnel_xmit+0x17d/0x1c0 (" not in found and time.monotonic() - began < 60:
            found += os.read(process.stdout.fileno(), 1 << 16)  # standard input is open still
        assert b"iptunnel_xmit+0x17d/0x1c0 (" in found
        process.stdin.close()
        process.stdout.read()
        process.wait(60)


def test_on_a_terminal_nothing_of_the_log_acts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\x1b]52;c;aGFsbG8=\x07 \x9b2J\xe2\x80\xae f+0x1/0x2\r\n")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kdumpwrap", "annotate", str(log), "--root", str(tmp_path)]
    subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment(), check=False)
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert not set(shown) & (set(range(32)) - set(b"\r\n")) and b"\xe2\x80\xae" not in shown
    assert b"\\x1b]52" in shown and b"f+0x1/0x2" in shown
