"""The tools on real files, and which of them is chosen for which machine."""

import os
import shutil
import sys
from pathlib import Path
from typing import Callable

import pytest

from kdumpwrap.arch import table
from kdumpwrap.errors import ToolFailed, ToolMissing, ToolTimeout
from kdumpwrap.example import worked
from kdumpwrap.parse import nm
from kdumpwrap.tools import binutils
from kdumpwrap.tools.argv import Word
from kdumpwrap.tools.run import run

VMLINUX = worked.root() / "usr/lib/debug/lib/modules/4.19.113-88.8bs.el7.x86_64/vmlinux"
TOOLS = binutils.Toolset("nm", "addr2line", "objdump", "readelf", "x86_64")


def program(directory: Path, name: str, script: str = "exit 0") -> None:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``only("nm", "objdump")``: a PATH with these programs and nothing else."""

    def make(*names: str, script: str = "exit 0") -> Path:
        directory = tmp_path / "bin"
        directory.mkdir(exist_ok=True)
        for name in names:
            program(directory, name, script)
        monkeypatch.setenv("PATH", str(directory))
        for variable in ("NM", "OBJDUMP", "ADDR2LINE", "READELF", "CROSS_COMPILE"):
            monkeypatch.delenv(variable, raising=False)
        return directory

    return make


def foreign() -> str:
    return "s390x" if os.uname().machine != "s390x" else "x86_64"


@pytest.mark.skipif(table.of(os.uname().machine).bfd is None, reason="how binutils call this machine's files")
def test_nm_is_told_the_format_of_the_files_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It then asks no plugin of a compiler. An nm that is named may be another than GNU's."""
    real, host = shutil.which("nm"), os.uname().machine
    program(tmp_path, "nm", f'echo "$*" >>{tmp_path}/asked\nexec {real} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("NM", raising=False)
    vmlinux = Path(sys.executable).resolve()
    assert binutils.nm_sorted(binutils.toolset(None), vmlinux) == run("nm", [Word("-n"), vmlinux]).stdout
    monkeypatch.setenv("NM", str(tmp_path / "nm"))
    assert binutils.nm_sorted(binutils.toolset(None), vmlinux) == run("nm", [Word("-n"), vmlinux]).stdout
    first, _, named, _ = (tmp_path / "asked").read_text().splitlines()
    assert (first, named) == (f"-n --target={table.of(host).bfd} {vmlinux}", f"-n {vmlinux}")


def test_an_nm_that_knows_no_format_is_asked_without(only: Callable[..., Path]) -> None:
    real = shutil.which("nm")
    only("nm", script=f'case "$*" in *--target*) echo unknown >&2; exit 1;; esac; exec {real} "$@"')
    assert nm.parse(binutils.symbols(TOOLS._replace(format="elf64-x86-64"), VMLINUX), ["iptunnel_xmit"])


def test_elf() -> None:
    found = binutils.elf(TOOLS, VMLINUX)
    assert found is not None
    assert (found.machine, found.relocatable, found.has_symbols, found.has_lines, found.has_code) == (
        "x86_64",
        False,
        True,
        True,
        True,
    )
    assert binutils.elf(TOOLS, Path(__file__)) is None


def test_symbols_release_lines_and_instructions() -> None:
    table = binutils.symbols(TOOLS, VMLINUX)
    (symbol,) = nm.parse(table, ["iptunnel_xmit"])["iptunnel_xmit"]
    assert (symbol.address, symbol.size) == (0xFFFFFFFF81898C00, 0x1C0)
    banner = nm.address(table, "linux_banner")
    assert banner is not None
    assert binutils.text_at(TOOLS, VMLINUX, banner).startswith("Linux version 4.19.113-88.8bs.el7.x86_64 (")
    (chain,) = binutils.locations(TOOLS, VMLINUX, [symbol.address + 0x17D]).values()
    assert [(place.function, place.line) for place in chain] == [("iptunnel_xmit_stats", 462), ("iptunnel_xmit", 87)]
    rows = binutils.instructions(TOOLS, VMLINUX, symbol.address, symbol.address + 0x1C0)
    assert [row.text for row in rows if row.address == symbol.address + 0x17D] == ["addq $0x1,0x10(%rax)"]
    assert binutils.locations(TOOLS, VMLINUX, []) == {}


def test_native_tools_for_this_machine(only: Callable[..., Path]) -> None:
    only("objdump")
    chosen = binutils.toolset(None)
    assert (chosen.objdump, chosen.arch) == ("objdump", os.uname().machine)
    assert chosen.relocates and chosen.disassembles


def test_the_environment_comes_first(only: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    only("objdump")
    monkeypatch.setenv("CROSS_COMPILE", "/opt/x-")
    monkeypatch.setenv("NM", "mynm")
    chosen = binutils.toolset(foreign())
    assert (chosen.nm, chosen.objdump, chosen.addr2line) == ("mynm", "/opt/x-objdump", "/opt/x-addr2line")
    assert chosen.relocates and chosen.disassembles


def test_an_installed_cross_set(only: Callable[..., Path]) -> None:
    prefix = table.of(foreign()).binutils or ""
    only("objdump", prefix + "objdump")
    chosen = binutils.toolset(foreign())
    assert (chosen.nm, chosen.objdump) == (prefix + "nm", prefix + "objdump")
    assert chosen.relocates


def test_binutils_built_for_many_machines(only: Callable[..., Path]) -> None:
    only("objdump", script=f"echo {table.of(foreign()).bfd}")
    chosen = binutils.toolset(foreign())
    assert chosen.objdump == "objdump" and chosen.relocates


def test_llvm_disassembles_but_native_addr2line_cannot_read_a_foreign_module(only: Callable[..., Path]) -> None:
    only("objdump", "llvm-objdump-9", "llvm-objdump-14")
    chosen = binutils.toolset(foreign())
    assert (chosen.nm, chosen.objdump, chosen.addr2line) == ("nm", "llvm-objdump-14", "addr2line")
    assert chosen.disassembles and not chosen.relocates


def test_nothing_fits(only: Callable[..., Path]) -> None:
    only("objdump")
    assert not binutils.toolset(foreign()).disassembles


def test_a_tool_that_is_missing(only: Callable[..., Path]) -> None:
    only()
    with pytest.raises(ToolMissing, match="nm is not installed"):
        binutils.symbols(TOOLS, VMLINUX)


def test_a_tool_that_fails_says_why(only: Callable[..., Path]) -> None:
    only("nm", script="echo 'nm: out of luck' >&2; exit 1")
    with pytest.raises(ToolFailed, match=r"nm failed \(exit status 1\): nm: out of luck"):
        binutils.symbols(TOOLS, VMLINUX)


def test_a_tool_that_is_killed(only: Callable[..., Path]) -> None:
    only("nm", script="kill -9 $$")
    with pytest.raises(ToolFailed, match="signal 9"):
        binutils.symbols(TOOLS, VMLINUX)


def test_a_tool_that_hangs(only: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    only("nm", script="while :; do :; done")
    monkeypatch.setenv("KDUMPWRAP_TIMEOUT", "0.3")
    with pytest.raises(ToolTimeout, match=r"0\.3 s"):
        binutils.symbols(TOOLS, VMLINUX)


def test_a_tool_that_prints_what_we_do_not_know(only: Callable[..., Path]) -> None:
    only("addr2line", script="echo hello")
    with pytest.raises(ToolFailed, match="nothing that is known"):
        binutils.locations(TOOLS, VMLINUX, [1])


def test_an_objdump_that_does_not_know_the_machine(only: Callable[..., Path]) -> None:
    only("objdump", script='echo "objdump: can\'t disassemble for architecture UNKNOWN!" >&2; exit 1')
    with pytest.raises(ToolFailed):
        binutils.instructions(TOOLS, VMLINUX, 0, 16)


def test_tools_speak_english_and_download_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    text = run("/usr/bin/env").text
    assert "LC_ALL=C\n" in text and "DEBUGINFOD_URLS" not in text
