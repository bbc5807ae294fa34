"""The worked example, as the package carries it, and the commands that take it apart."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import List

import pytest
from conftest import RunCli
from processes import ran

from kdumpwrap import resolve
from kdumpwrap.debuginfo import Search
from kdumpwrap.example import worked
from kdumpwrap.host import files

RELEASE = "4.19.113-88.8bs.el7.x86_64"
HERE = ("--root", str(worked.root()), "--release", RELEASE)


def facts(rows: str, key: str) -> List[List[str]]:
    return [row.split("\t")[1:] for row in rows.splitlines() if row.split("\t")[0] == key]


def test_the_example_is_analysed(run_cli: RunCli) -> None:
    done = run_cli("analyze", "--example", "--raw")
    assert done.status == 3  # the vendor's module has no debuginfo here
    assert "no debuginfo for the module XxxWan" in done.stderr
    (ip,) = facts(done.stdout, "ip")
    assert ip[:5] == ["iptunnel_xmit", "0x17d", "0x1c0", "", "0xffffffff81898d7d"]
    assert ip[5].endswith("/include/net/ip_tunnels.h") and ip[6] == "462"
    assert [row[2] for row in facts(done.stdout, "insn") if row[-1] == "1"] == ["addq $0x1,0x10(%rax)"]
    assert [row[0] for row in facts(done.stdout, "source") if row[-1] == "1"] == ["462"]
    assert facts(done.stdout, "frame")[0][:7] == ["0", "IRQ", "1", "send4", "0xf2", "0x1b0", "XxxWan"]
    assert facts(done.stdout, "culprit")[0][0] == "iptunnel_xmit"
    assert facts(done.stdout, "suspect")[0][:2] == ["XxxWan", "send4"]


def test_the_example_s_text(run_cli: RunCli) -> None:
    done = run_cli("analyze", "--example")
    assert "0xffffffff81898d7d = 0xffffffff81898c00 + 0x17d" in done.stdout
    assert "iptunnel_xmit+0x17d/0x1c0 → include/net/ip_tunnels.h:462" in done.stdout
    assert "send4+0xf2/0x1b0 [XxxWan]" in done.stdout


def test_the_example_s_code_bytes_are_those_of_its_vmlinux_moved_by_kaslr(run_cli: RunCli) -> None:
    report = json.loads(run_cli("analyze", "--example", "--json").stdout)["reports"][0]
    assert report["code"]["check"] == "patched"
    assert "0x38000000" in report["code"]["detail"]


def test_resolve(run_cli: RunCli) -> None:
    done = run_cli("resolve", *HERE, "--raw", "iptunnel_xmit+0x17d/0x1c0")
    assert done.status == 0
    rows = [row.split("\t") for row in done.stdout.splitlines()]
    assert [(row[1], row[2], row[3].rpartition("/")[2], row[4], row[5]) for row in rows] == [
        ("0xffffffff81898d7d", "iptunnel_xmit_stats", "ip_tunnels.h", "462", "1"),
        ("0xffffffff81898d7d", "iptunnel_xmit", "ip_tunnel_core.c", "87", "0"),
    ]


def test_resolve_says_what_it_does_not_know(run_cli: RunCli) -> None:
    done = run_cli("resolve", *HERE, "--raw", "iptunnel_xmit+0x17d", "nosuch+0x1")
    assert done.status == 3 and "no function nosuch" in done.stderr
    done = run_cli("resolve", *HERE, "nosuch+0x1")
    assert done.status == 1


OUTSIDE = "iptunnel_xmit+0x999 lies outside of iptunnel_xmit"


def test_what_lies_outside_of_its_function_has_no_line(run_cli: RunCli) -> None:
    for expression in ("iptunnel_xmit+0x999", "iptunnel_xmit+0x999/0x1c0", "iptunnel_xmit+0x1c0"):
        for command in ("resolve", "disasm"):
            done = run_cli(command, *HERE, expression)
            assert done.status == 1 and f"{expression} lies outside of iptunnel_xmit" in done.stderr
            assert ".c" not in done.stdout and "0xffff" not in done.stdout
    assert run_cli("disasm", *HERE, "iptunnel_xmit+0x999", "--all").status == 1
    done = run_cli("resolve", *HERE, "--raw", "iptunnel_xmit+0x999", "iptunnel_xmit+0x17d")
    assert done.status == 3 and OUTSIDE in done.stderr
    assert {row.split("\t")[0] for row in done.stdout.splitlines() if row.split("\t")[1]} == {"iptunnel_xmit+0x17d"}


def test_a_return_address_at_the_end_belongs_to_its_function(run_cli: RunCli) -> None:
    # a place far outside must not be handed to the tools with the others: they would refuse them all
    done = run_cli("resolve", *HERE, "--raw", "iptunnel_xmit+0xffffffffffffffff", "iptunnel_xmit+0x17d")
    assert done.status == 3 and "ip_tunnels.h\t462" in done.stdout and "addr2line" not in done.stderr
    done = run_cli("resolve", *HERE, "--caller", "--raw", "iptunnel_xmit+0x1c0/0x1c0")
    assert done.status == 0 and done.stdout.split("\t")[2] == "iptunnel_xmit"
    assert run_cli("disasm", *HERE, "--caller", "--raw", "iptunnel_xmit+0x1c0").status == 0
    done = run_cli("resolve", *HERE, "--caller", "iptunnel_xmit+0x1c1")
    assert done.status == 1 and "lies outside" in done.stderr


@pytest.mark.parametrize("command", ["resolve", "disasm"])
def test_without_a_release_the_hint_names_that_of_the_newest_crash(
    command: str, run_cli: RunCli, tmp_path: Path
) -> None:
    hint = "this asks the running kernel; for the one that crashed: --release"
    done = run_cli(command, *HERE[:2], "iptunnel_xmit+0x17d")
    assert done.status == 1 and f"{hint} {RELEASE}; or " in done.stderr
    done = run_cli(command, "--root", str(tmp_path), "iptunnel_xmit+0x17d")
    assert done.status == 1 and f"{hint} REL; or " in done.stderr
    done = run_cli(command, "--root", str(tmp_path), "--release", RELEASE, "iptunnel_xmit+0x17d")
    assert done.status == 1 and hint not in done.stderr


def test_no_debuginfo_is_told_apart_from_no_such_function(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("resolve", "--root", tmp_path, "--release", RELEASE, "iptunnel_xmit+0x17d")
    assert (done.status, done.stdout) == (1, "iptunnel_xmit+0x17d: no debuginfo\n")
    assert done.stderr.count("\n") == 4 and f"hint: kdumpwrap fetch --root {tmp_path} {RELEASE}\n" in done.stderr
    done = run_cli("resolve", *HERE, "no_such_function", "send4+0xf2 [XxxWan]")
    assert done.stdout == "no_such_function: not found\nsend4+0xf2 [XxxWan]: no debuginfo\n"
    assert "kdumpwrap fetch" not in done.stderr


def test_the_choices_of_redact_are_listed(run_cli: RunCli) -> None:
    done = run_cli("dmesg", *HERE[:2], "--redact=pointer")
    assert done.status == 2 and done.stderr.splitlines()[1] == (
        "hint: --redact; or --redact=pointers; or --redact=names; or --redact=pointers,names"
    )


@pytest.mark.parametrize("expression", ["", "+0x1", "f+", "f+0xzz", "f[", "0xffffffff81000000", "a b", "f+1/2/3"])
def test_what_is_no_expression_is_wrong_usage(run_cli: RunCli, expression: str) -> None:
    done = run_cli("resolve", *HERE, "--", expression)
    assert done.status == 2 and "Traceback" not in done.stderr


def test_disasm_marks_one_instruction(run_cli: RunCli) -> None:
    window = run_cli("disasm", *HERE, "--raw", "iptunnel_xmit+0x17d")
    whole = run_cli("disasm", *HERE, "--raw", "--all", "iptunnel_xmit+0x17d")
    for done in (window, whole):
        assert done.status == 0
        assert [row[0] for row in facts(done.stdout, "insn") if row[-1] == "1"] == ["0xffffffff81898d7d"]
    assert len(facts(window.stdout, "insn")) < len(facts(whole.stdout, "insn"))
    assert facts(whole.stdout, "insn")[0][0] == "0xffffffff81898c00"
    assert set(map(tuple, facts(window.stdout, "insn"))) <= set(map(tuple, facts(whole.stdout, "insn")))


def test_raw_and_json_exclude_each_other(run_cli: RunCli) -> None:
    done = run_cli("analyze", "--example", "--raw", "--json")
    assert done.status == 2 and done.stdout == ""


def test_the_vmlinux_is_what_its_script_makes(tmp_path: Path) -> None:
    import subprocess

    if shutil.which("as") is None or shutil.which("ld") is None:
        pytest.skip("no assembler here: binutils")
    script = Path(__file__).parent.parent.parent / "scripts/example/build"
    made = []
    for name in ("one", "two"):
        subprocess.run([str(script), str(tmp_path / name)], check=True)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    dump = ["objdump", "-d", "-l", "--section=.text", "--no-show-raw-insn"]
    carried = worked.root() / f"usr/lib/debug/lib/modules/{RELEASE}/vmlinux"
    listings = [ran([*dump, str(path)], check=True).stdout.splitlines()[4:] for path in (tmp_path / "one", carried)]
    assert listings[0] == listings[1], "run scripts/example/build"


def test_a_source_that_the_disk_does_not_give_costs_disasm_the_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FAULTS", {errno.ELOOP})  # a link to itself stands for a fault of the disk
    for parent in ("include/net", "net", "."):
        (tmp_path / parent).mkdir(parents=True, exist_ok=True)
        (tmp_path / parent / "ip_tunnels.h").symlink_to("ip_tunnels.h")
    search = Search(worked.root(), source_dirs=(tmp_path,))
    listing, problems = resolve.disassemble("iptunnel_xmit+0x17d", RELEASE, search)
    assert listing.instructions and listing.source is None
    assert [one.message.partition(": ")[2] for one in problems] == [os.strerror(errno.ELOOP)]
