"""Files of a crash directory that are made to take all memory, disk or time: each is held, and told."""

import gc
import os
import struct
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from conftest import RunCli, environment

from kdumpwrap import annotate, shell
from kdumpwrap.crashdir import crashfile
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model.crash import Crash
from kdumpwrap.model.kernel import Symbol
from kdumpwrap.parse import alternatives, nm, objdump
from kdumpwrap.symbolize.objects import Object
from kdumpwrap.tools import binutils, unpack

SOON = 10.0  # seconds: what is linear takes one, what is quadratic minutes
LOG = """\
[    0.000000] Linux version 5.14.0-503.el9.x86_64 (mockbuild@x) (gcc) #1 SMP
[  100.000000] BUG: unable to handle page fault for address: ffffb1c0c2345688
[  100.000002] Oops: 0002 [#1] PREEMPT SMP NOPTI
[  100.000003] CPU: 1 PID: 112 Comm: ping Tainted: G           OE     5.14.0-503.el9.x86_64 #1
[  100.000004] RIP: 0010:{name}+0x10/0x41 [evilmod]
[  100.000005] Call Trace:
[  100.000006]  evil_xmit+0x20/0x41 [evilmod]
[  100.000007] Modules linked in: evilmod(OE)
[  100.000008] Kernel panic - not syncing: Fatal exception
"""


def module(name: bytes, count: int) -> bytes:
    """A relocatable ELF file with ``count`` functions that share one entry of its string table."""
    strings = b"\0evil_xmit\0" + name + b"\0"
    names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    text = b"\x90" * 256
    row = struct.Struct("<IBBHQQ")
    symbols = row.pack(0, 0, 0, 0, 0, 0) + row.pack(1, 0x12, 0, 1, 0, 16)
    symbols += b"".join(row.pack(11, 0x12, 0, 1, at + 1, 1) for at in range(count))
    parts = (text, symbols, strings, names)
    starts = [64 + sum(map(len, parts[:at])) for at in range(len(parts) + 1)]
    section = struct.Struct("<IIQQQQIIQQ")
    table = section.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    table += section.pack(1, 1, 6, 0, starts[0], len(text), 0, 0, 16, 0)
    table += section.pack(7, 2, 0, 0, starts[1], len(symbols), 3, 1, 8, 24)
    table += section.pack(15, 3, 0, 0, starts[2], len(strings), 0, 0, 1, 0)
    table += section.pack(23, 3, 0, 0, starts[3], len(names), 0, 0, 1, 0)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, starts[-1], 0, 64, 0, 0, 64, 5, 4)
    return head + b"".join(parts) + table


@pytest.fixture
def crash(tmp_path: Path) -> Path:
    directory = tmp_path / "127.0.0.1-2024-01-01-10:00:01"
    directory.mkdir()
    (directory / "vmcore-dmesg.txt").write_text(LOG.format(name="evil_xmit"))
    return directory


# ---------------------------------------------------------------- what tools print


def test_a_module_of_1_MB_of_which_nm_prints_200(run_cli: RunCli, crash: Path) -> None:
    (crash / "evilmod.ko").write_bytes(module(b"A" * (1 << 20), 200))
    done = run_cli("analyze", crash)
    assert done.status == 3
    assert "wrote more than 64 MiB and was stopped" in done.stderr


@pytest.mark.parametrize("asked", ["evil_xmit", "A"])
def test_a_module_with_100_000_functions_of_one_name(run_cli: RunCli, crash: Path, asked: str) -> None:
    (crash / "evilmod.ko").write_bytes(module(b"A", 100_000))
    (crash / "vmcore-dmesg.txt").write_text(LOG.format(name=asked))
    start = time.monotonic()
    done = run_cli("analyze", crash)
    assert time.monotonic() - start < 6 * SOON
    assert len(done.stdout) < 1 << 16
    assert ("more than 100 functions are called A: none of them is taken" in done.stderr) == (asked == "A")


# ---------------------------------------------------------------- what unpackers write


PACK = {
    ".zst": ["zstd", "-q"],
    ".xz": ["xz", "-0"],
    ".gz": ["gzip", "-1"],
    ".bz2": ["bzip2", "-1"],
    ".lz4": ["lz4", "-q"],
}


def packed(path: Path, size: int, head: bytes = b"") -> Path:
    """``size`` zeros behind ``head``; read from a pipe, so that a .zst does not tell its size."""
    with path.open("wb") as file, subprocess.Popen(PACK[path.suffix], stdin=subprocess.PIPE, stdout=file) as packer:
        assert packer.stdin is not None
        packer.stdin.write(head)
        for _ in range(size >> 20):
            packer.stdin.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("suffix", PACK)
def test_a_bomb_is_stopped_at_64_MB(tmp_path: Path, suffix: str) -> None:
    bomb = packed(tmp_path / f"evilmod.ko{suffix}", 100 << 20)
    form = unpack.by_name(bomb)
    assert form is not None and unpack.by_head(bomb.read_bytes()[:8]) is form
    limit = max(64, 64 * bomb.stat().st_size >> 20)
    if limit > 100:
        pytest.skip(f"{suffix} packs no zeros so tight")
    with pytest.raises(KdumpwrapError, match=r"holds (more than|100 MiB)"):
        unpack.unpack(bomb, form, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_a_size_that_is_told_is_believed_before_a_byte_is_written(tmp_path: Path) -> None:
    for suffix, tool in ((".xz", "xz -k -0"), (".zst", "zstd -q")):
        whole = tmp_path / f"m{suffix[1:]}.ko"
        whole.write_bytes(bytes(100 << 20))
        subprocess.run([*tool.split(), whole], check=True)
        bomb = whole.with_name(whole.name + suffix)
        form = unpack.by_name(bomb)
        assert form is not None
        with pytest.raises(KdumpwrapError, match="holds 100 MiB, and 64 MiB are the limit here"):
            unpack.unpack(bomb, form, tmp_path)  # where nothing can be written: it does not come to that


def test_no_more_is_unpacked_than_asked_for(tmp_path: Path) -> None:
    for suffix in PACK:
        file = packed(tmp_path / f"m{suffix}", 3 << 20)
        form = unpack.by_name(file)
        assert form is not None
        unpack.unpack(file, form, tmp_path / f"whole{suffix}", most=4 << 20)
        assert (tmp_path / f"whole{suffix}").stat().st_size == 3 << 20
        with pytest.raises(KdumpwrapError):
            unpack.unpack(file, form, tmp_path / f"cut{suffix}", most=1 << 20)


def test_a_packed_vmcore_of_zeros(run_cli: RunCli, crash: Path) -> None:
    (crash / "vmcore-dmesg.txt").unlink()
    packed(crash / "vmcore.zst", 200 << 20, b"KDUMP   ")
    done = run_cli("analyze", crash)
    assert done.status in (1, 3) and "holds more than 64 MiB, the limit here" in done.stderr


# ---------------------------------------------------------------- logs


def test_a_log_of_20_GB_is_read_at_its_ends(run_cli: RunCli, crash: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = crash / "vmcore-dmesg.txt"
    with log.open("r+b") as file:
        file.truncate(20 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + LOG.format(name="late").encode())
    done = run_cli("dmesg", log)
    assert done.status == 3
    assert f"{log}: 20480 MB long, the first and last 128 MB were read" in done.stderr
    assert "evil_xmit+0x10" in done.stdout or "late+0x10" in done.stdout
    monkeypatch.setattr(crashfile, "LARGEST", 1 << 20)
    ends = b"".join(crashfile.blocks(str(log)))
    assert len(ends) <= (2 << 20) + 2
    assert ends.startswith(LOG.encode()[:60]) and ends.endswith(LOG.format(name="late").encode())


# kdumpwrap, with a limit of a size that is quickly reached
SMALL = (
    sys.executable,
    "-c",
    "from kdumpwrap.crashdir import crashfile; crashfile.LARGEST = 1 << 20; from kdumpwrap.cli import app; app.main()",
)


def test_a_log_of_holes_is_annotated_at_its_ends(crash: Path, tmp_path: Path) -> None:
    log = crash / "vmcore-dmesg.txt"
    with log.open("r+b") as file:
        file.truncate(20 << 30)
    done = subprocess.run([*SMALL, "annotate", "--root", str(tmp_path), str(log)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment(), check=False)  # fmt: skip
    assert done.returncode in (1, 3) and len(done.stdout) == (2 << 20) + 1
    assert b"evil_xmit+0x10" in done.stdout
    told = f"kdumpwrap: {log}: 20480 MB long, the first and last 1 MB were read\n"
    told += f"hint: kdumpwrap annotate --root {tmp_path} - <{log}\n"
    assert done.stderr.startswith(told.encode())


def test_a_log_that_grows_while_it_is_read_is_read_as_long_as_it_was(crash: Path) -> None:
    """``annotate log >>log``."""
    log = crash / "vmcore-dmesg.txt"
    pieces = crashfile.blocks(str(log))
    first = next(pieces)
    with log.open("ab") as file:
        file.write(b"x" * 100)
    assert first + b"".join(pieces) == log.read_bytes()[:-100]


@pytest.mark.parametrize("command", [("annotate", "--only-report", "-"), ("pack", "-o", "-", "-")])
def test_of_a_stream_without_an_end_only_so_much_is_copied(command: Tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(LOG.format(name="evil_xmit"))
    quoted = shell.join([*SMALL, *command, "--root", str(tmp_path)])
    done = subprocess.run(["sh", "-c", f"(cat {shell.quote(log)}; yes) | {quoted}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
                          timeout=60, check=False)  # fmt: skip
    assert done.returncode in (1, 3) and b"evil_xmit+0x10" in done.stdout
    assert b"kdumpwrap: standard input: the first 2 MB were read\n" in done.stderr


def frames_without_end(count: int) -> Iterator[bytes]:
    """A stream that names a new function in each line, and a new kernel in each report."""
    for number in range(count):
        yield (
            f"[    0.000000] Linux version 5.14.{number}-1.el9.x86_64 (x) (gcc) #1 SMP\n"
            f"[    1.000000] BUG: unable to handle page fault for address: ffffb1c0c2345688\n"
            f"[    1.000000] RIP: 0010:f{number}+0x1/0x2\n[    1.000000] Call Trace:\n"
            + "".join(f"[    1.000000]  f{number}_{each}+0x1/0x2\n" for each in range(20))
            + "[    1.000000] ---[ end trace 0000000000000000 ]---\n"
        ).encode()


def test_a_stream_of_new_frames_and_kernels_without_an_end_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotate, "_PROBLEMS", 10)
    held = []
    with annotate.Annotator(Crash("-", dmesg="-"), Search(tmp_path)) as annotator:
        for data in frames_without_end(60):
            assert b"".join(line.raw for line in annotator.lines(data)) == data
            held.append(weakref.ref(annotator._symbolizer(annotator._release)))
        gc.disable()
        try:
            assert sum(one() is not None for one in held) <= 8, "and no cycle keeps one"
        finally:
            gc.enable()
        problems = annotator.problems()
    assert len(problems) == 11 and problems[-1].message == "50 more problems like these"


def test_the_frames_of_one_kernel_are_forgotten_when_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotate, "_FRAMES", 50)
    with annotate.Annotator(Crash("-", dmesg="-"), Search(tmp_path), "5.14.0-1.el9.x86_64") as annotator:
        for data in frames_without_end(20):
            list(annotator.lines(data.partition(b"\n")[2]))
            assert sum(map(len, annotator._frames.values())) <= 50
        assert [one.message for one in annotator.problems()] == ["no debuginfo for 5.14.0-1.el9.x86_64"]


# ---------------------------------------------------------------- linear time


def test_100_000_relocations_of_one_instruction() -> None:
    rows = "".join(f"\t\t\t{at:x}: R_X86_64_NONE\tf{at}\n" for at in range(200_000))
    start = time.monotonic()
    (row,) = objdump.parse(f"       0:\t90                   \tnop\n{rows}")
    assert len(row.relocations) == 200_000 and time.monotonic() - start < SOON


def test_many_names_in_a_large_table() -> None:
    table = b"".join(b"%016x T f%d\n" % (at * 16, at) for at in range(200_000))
    names = [f"f{at}" for at in range(0, 200_000, 20)]
    start = time.monotonic()
    found = nm.parse(table, names)
    assert len(found) == len(names) and time.monotonic() - start < SOON
    assert found["f20"] == nm.parse(table, ["f20"])["f20"] == (Symbol("f20", 320, 16),)


def test_a_table_without_a_next_symbol() -> None:
    """Each of many functions at one address would look through all the others for its end."""
    table = b"ffffffff81000000 T f\n" * 200_000 + b"ffffffff81000010 d data\n" * 200_000
    start = time.monotonic()
    assert len(nm.parse(table, ["f"])["f"]) == nm.NAMESAKES + 1
    for _ in range(200):
        nm.enclosing(table, 0xFFFFFFFF81000020)
    assert time.monotonic() - start < SOON


def test_the_function_around_an_address_of_a_module() -> None:
    functions: Dict[str, Tuple[Symbol, ...]] = {
        f"f{at}": (Symbol(f"f{at}", at * 16, 16, ".text"),) for at in range(50_000)
    }
    functions["alias"] = (Symbol("alias", 16, 16, ".text"), Symbol("alias", 0, None, ".init.text"))
    found = Object(binutils.toolset(None), None, None, None, functions)
    start = time.monotonic()
    names: List[object] = [symbol and symbol.name for symbol in (found.enclosing(".text", at) for at in range(20_000))]
    assert names[:17] == ["f0"] * 16 + ["f1"] and time.monotonic() - start < SOON
    known = found.enclosing(".init.text", 99)
    assert known is not None and known.name == "alias"
    assert found.enclosing(".text", -1) is None and found.enclosing(".exit.text", 0) is None


def test_replacements_with_many_relocations() -> None:
    records = dict.fromkeys(range(0, 400000, 4), ("f", 0))
    section = alternatives.Section(0, bytes(400_000), records)
    start = time.monotonic()
    ordered = sorted(records)
    for at in range(20_000):
        body = alternatives._body(section, ordered, None, at * 8 + 2, 5)
        assert body is not None and body[0] is None
    assert time.monotonic() - start < SOON
