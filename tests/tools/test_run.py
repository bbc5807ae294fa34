"""How programs are started: what they may be given, what they may print, how their end is told."""

import os
import sys
import time
from pathlib import Path
from typing import Callable

import pytest
from conftest import environment
from processes import ran

from kdumpwrap.errors import KdumpwrapError, ToolFailed, ToolMissing, ToolStopped, ToolTimeout
from kdumpwrap.tools.argv import Word, option, options, strings, word
from kdumpwrap.tools.run import MEMORY, run

Fake = Callable[[str, str], str]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A program of some shell lines; gives its path."""

    def make(name: str, lines: str) -> str:
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return str(path)

    return make


# ---------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "name", [".text", ".text.unlikely", "dm_mod", "5.14.0-503.el9.x86_64", "0123456789abcdef", "_"]
)
def test_a_name_passes_the_gate(name: str) -> None:
    assert word(name) == name and isinstance(word(name), Word)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-rf",
        "--plugin=/x.so",
        "@/tmp/c/text",
        "@c",
        "a b",
        "a/b",
        "../x",
        "a=b",
        "a\nb",
        "a\0b",
        "é",
        "$(id)",
        "a" * 513,
    ],
)
def test_what_a_program_could_take_for_something_else_is_held(name: str) -> None:
    with pytest.raises(KdumpwrapError, match="not passed to any program"):
        word(name)


def test_paths_are_absolute_and_plain_text_is_a_mistake_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert strings([Path("@c/vmlinux"), Path("-x")]) == [f"{tmp_path}/@c/vmlinux", f"{tmp_path}/-x"]
    assert strings([*options("-a  -i"), option("--root={}", Path("@d"))]) == ["-a", "-i", f"--root={tmp_path}/@d"]
    assert option("--start-address={:#x}", 4096) == "--start-address=0x1000"
    forgotten = ".text"
    for wrong in (forgotten, b".text", None):
        with pytest.raises(TypeError):
            strings([wrong])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        option("--section={}", forgotten)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        run("true", [forgotten])  # type: ignore[list-item]


def test_nothing_is_looked_up_where_the_crash_lies(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("nm", "echo ours")
    monkeypatch.chdir(tmp_path / "programs")
    assert run("./nm").text == "ours\n"  # a path that was named is meant from here
    assert run("pwd").text == "/\n"
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    fake("kdumpwrap-no-such-program", "echo a trap")
    with pytest.raises(ToolMissing):
        run("kdumpwrap-no-such-program")


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(ToolStopped, match="null byte"):
        run("true", [Path("a\0b")])
    with pytest.raises(ToolStopped, match="Permission denied"):
        run(str(tmp_path))


# ---------------------------------------------------------------- what they print


ENDLESS = "exec yes abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("where", ["", " >&2"])
def test_output_without_end_is_stopped(fake: Fake, where: str) -> None:
    with pytest.raises(ToolFailed, match="more than 1 MiB"):
        run(fake("nm", ENDLESS + where), limit=1 << 20)


@pytest.mark.parametrize("where", ["", " >&2"])
def test_output_without_end_is_stopped_also_where_files_may_be_of_any_size(fake: Fake, where: str) -> None:
    with pytest.raises(ToolFailed, match="more than 64 MiB"):
        run(fake("dnf", ENDLESS + where), limit=None)


@pytest.mark.skipif(
    not hasattr(os, "memfd_create"), reason="older Pythons keep the output on disk, where this cannot be"
)
def test_what_a_tool_left_behind_fills_no_memory(fake: Fake) -> None:
    with pytest.raises(ToolFailed, match="more than 64 MiB"):
        run(fake("rpm", "yes & wait"), limit=None)
    for _ in range(100):
        if not [one for one in Path("/proc").glob("[1-9]*/comm") if named(one) == "yes"]:
            return
        time.sleep(0.05)
    pytest.fail("yes goes on")


def named(comm: Path) -> str:
    """The name of a process; "" when it has ended."""
    try:
        return comm.read_text().strip()
    except OSError:
        return ""


def test_a_file_without_end_is_stopped(fake: Fake, tmp_path: Path) -> None:
    into = tmp_path / "into"
    with pytest.raises(ToolFailed, match="more than 1 MiB"):
        run(fake("xz", ENDLESS), sink=into, limit=1 << 20)
    assert into.stat().st_size <= 1 << 20


def test_a_program_that_goes_on_after_the_limit_is_noticed(fake: Fake) -> None:
    """One that takes no notice of SIGXFSZ gets EFBIG instead, and may end with 0."""
    newline = "\n"
    lines = (
        "import signal, os",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)",
        "for _ in range(99):",
        "    try: os.write(1, b'x' * 65536)",
        "    except OSError: pass",
    )
    with pytest.raises(ToolFailed, match="more than 1 MiB"):
        run(fake("objdump", f'exec {sys.executable} -c "{newline.join(lines)}"'), limit=1 << 20)


def test_memory_without_end_is_refused(fake: Fake) -> None:
    """Address space that is never touched, so that nothing but the limit refuses it."""
    lines = (
        "import mmap, sys",
        "unreserved = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000",  # MAP_NORESERVE of <linux/mman.h>
        "sys.stdin.read()",  # until it has been given its limit
        "mmap.mmap(-1, int(sys.argv[1]), flags=unreserved)",
        "print('taken')",
    )
    newline = "\n"
    program = fake("nm", f'exec {sys.executable} -c "{newline.join(lines)}" "$@"')
    assert run(program, [word(str(MEMORY // 2))], stdin=b"x").text == "taken\n"
    with pytest.raises(ToolFailed, match="exit status 1"):
        run(program, [word(str(MEMORY))], stdin=b"x")
    assert run(program, [word(str(MEMORY))], stdin=b"x", memory=4 * MEMORY).text == "taken\n"


def test_what_ended_by_itself_and_what_was_ended(fake: Fake) -> None:
    with pytest.raises(ToolStopped, match="signal 9"):
        run(fake("nm", "kill -9 $$"))
    with pytest.raises(ToolFailed, match="exit status 3") as failed:
        run(fake("nm", "exit 3"))
    assert not isinstance(failed.value, ToolStopped)
    said = run(fake("nm", "head -c 900000 /dev/zero >&2; echo done"))
    assert said.text == "done\n" and len(said.stderr) == 1 << 16


# ---------------------------------------------------------------- input and time


def test_what_a_program_is_fed_with(fake: Fake) -> None:
    """All of it, be it more than a pipe holds, and whether it reads that or not."""
    much = b"0123456789abcdef\n" * 20_000
    assert run("cat", stdin=much).stdout == much
    assert run(fake("deaf", "echo said"), stdin=much).stdout == b"said\n"
    assert run("cat").stdout == b""


def test_a_time_limit(fake: Fake) -> None:
    with pytest.raises(ToolTimeout, match=r"did not end within 0\.1 s"):
        run(fake("endless", "exec sleep 60"), timeout=0.1)


def test_little_is_loaded_before_nm_is_begun() -> None:
    """What is loaded later, while nm works, takes as long as nm."""
    code = "import sys; from kdumpwrap.symbolize import opening; print(*sys.modules)"
    loaded = ran([sys.executable, "-c", code], env=environment(), check=True).stdout.split()
    assert "kdumpwrap.tools.binutils" in loaded
    late = {"kdumpwrap.model.log", "kdumpwrap.parse.objdump", "kdumpwrap.symbolize.symbolizer", "logging"}
    late |= {"base64", "tempfile", "kdumpwrap.host.packages"}
    assert not late & {*loaded}


def test_tools_use_huge_pages_unless_glibc_is_tuned_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    ours = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1\n" in run("env").text
    assert ours == (os.uname().machine == "x86_64")  # a huge page of arm64 may have 512 MiB
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=3")
    assert "GLIBC_TUNABLES=glibc.malloc.check=3\n" in run("env").text
