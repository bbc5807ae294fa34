"""Variables of real crashes: the names that the source has, and the values that drgn reads from the vmcore."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any, Dict, List, Optional, Tuple

import dwarf_truth
import pytest
from conftest import NEWER, Lab, RunCli, ToolDir, lab_path, open_lab

pytestmark = pytest.mark.lab

Json = Dict[str, Any]
LOCALS = Path(__file__).resolve().parent.parent / "helpers" / "lab_locals.py"
ASKING = {"KDUMPWRAP_VARIABLES": None}
# case: the function, the expression, the guilty variable and what is said of it; by what the module's source says
FAILED = {
    "iptunnel": ("iptunnel_xmit_stats", "tstats->tx_bytes", "tstats", "tstats (struct pcpu_sw_netstats *) is 0x"),
    "null_deref": ("wan_next_seq", "s->seq", "s", "s (struct wan_session *) is NULL"),
    "divide": ("wan_per_usec", "usecs", "usecs", "usecs (u32) is 0; the instruction divides by it"),
    "warn_then_oops": ("wan_set_weight", "s->ops->weight", "s", "s->ops is NULL; s (struct wan_session *) is 0x"),
    "distmod": ("ip_tunnel_lookup", "itn->tunnels[", "itn", "itn (struct ip_tunnel_net *) is POISON_FREE"),
    "memcpy": ("wan_rename", "l->text[", "l", "l (struct wan_label *) is 0xc0ffee00. wan_rename called "),
    "uaf": ("wan_weigh", "s->ops->weight", "s", "s->ops is POISON_FREE (0x6b6b6b6b6b6b6b6b), memory that was freed"),
    "list_poison": ("__hlist_del", "*pprev", "pprev", "pprev (struct hlist_node **) is LIST_POISON2"),
}
# case: variables that must stand there, where nothing failed on a pointer, and those values that the source tells
STANDS: Dict[str, Dict[Tuple[str, str], Optional[str]]] = {
    "bug_on": {("wan_spend", "l"): "&wan_link0", ("wan_spend", "credits"): "3"},
    "softlockup": {("wan_wait", "l"): None},
}


@pytest.fixture(scope="session", params=["", "second", NEWER, "arm64"])
def kernel(request: pytest.FixtureRequest) -> Lab:
    """The crashes of each kernel of the lab."""
    return open_lab(lab_path() / request.param, "aarch64" if request.param == "arm64" else "x86_64")


def has(kernel: Lab, case: str) -> bool:
    """Whether the lab crashes that machine so: aarch64 has two of the cases; one that x86-64 lacks is a failure."""
    return kernel.arch != "aarch64" or case in ("iptunnel", "null_deref")


def answered(run_cli: RunCli, kernel: Lab, case: str, **env: str) -> Tuple[Json, str]:
    """The report that the answer is about, and the problems."""
    args = ("--root", kernel.root, "--module-dir", kernel.module_dir, "--source-dir", kernel.module_dir)
    done = run_cli("analyze", "--json", *args, kernel.crashes[case], env={**ASKING, **env})
    found: Json = json.loads(done.stdout)
    report: Json = found["reports"][-1 if found["fatal"] is None else found["fatal"]]
    return report, done.stderr


def analysed(run_cli: RunCli, kernel: Lab, case: str) -> Json:
    return answered(run_cli, kernel, case)[0]


@pytest.mark.parametrize("case", FAILED)
def test_the_failed_access_is_said_in_c(run_cli: RunCli, kernel: Lab, case: str) -> None:
    function, expression, guilty, words = FAILED[case]
    if not has(kernel, case):
        return
    report = analysed(run_cli, kernel, case)
    assert report["expression"]["text"].startswith(expression)
    assert report["expression"]["certain"] is True
    assert report["explanation"][0].startswith(words)
    (row,) = [one for one in report["variables"] if one["guilty"]]
    assert (row["function"], row["name"]) == (function, guilty)
    assert (row["value"] if row["value"] != "0x0" else "NULL") in report["explanation"][0]


def test_gdb_is_a_second_witness_of_the_instruction(run_cli: RunCli, kernel: Lab, tool_dir: ToolDir) -> None:
    objdump = "aarch64-linux-gnu-objdump" if kernel.arch == "aarch64" else "objdump"
    body = f"{shutil.which(objdump)} \"$@\" | sed 's/\tmov  */\tsub /; s/\tldr\t/\tldur\t/'"
    found, problems = answered(run_cli, kernel, "null_deref", OBJDUMP=str(tool_dir.fake("objdump", body)))
    assert re.search(r"objdump and gdb disagree .* objdump reads (sub|ldur) .*, gdb reads (mov|ldr) ", problems)
    assert (found["disassembly"], found["expression"], found["guilty"]) == ([], None, [])
    assert found["variables"] and not any(one["guilty"] for one in found["variables"])
    assert not re.search(r"\b(sub|ldur|instruction)\b", " ".join(found["explanation"]))


def test_gdb_agrees_with_objdump_on_every_crash(run_cli: RunCli, kernel: Lab) -> None:
    args = ("--root", kernel.root, "--module-dir", kernel.module_dir, "--variables")
    assert "disagree" not in run_cli("batch", "--json", *args, env=ASKING).stderr


@pytest.mark.parametrize("case", STANDS)
def test_what_only_stopped_has_variables_and_none_is_guilty(run_cli: RunCli, kernel: Lab, case: str) -> None:
    if not has(kernel, case):
        return
    report = analysed(run_cli, kernel, case)
    values = {(one["function"], one["name"]): one["value"] for one in report["variables"]}
    assert {key: wanted and values[key] for key, wanted in STANDS[case].items()} == STANDS[case]
    assert not any(one["guilty"] for one in report["variables"])


def test_the_functions_inlined_there_have_their_variables_each(run_cli: RunCli, kernel: Lab) -> None:
    rows = analysed(run_cli, kernel, "iptunnel")["variables"]
    named = {(row["function"], row["name"]) for row in rows}
    assert {("u64_stats_add", "p"), ("iptunnel_xmit_stats", "tstats"), ("iptunnel_xmit_stats", "dev")} <= named
    assert {function for function, _ in named} >= {"iptunnel_xmit"}


def test_a_panic_without_registers_has_none(run_cli: RunCli, kernel: Lab) -> None:
    report = analysed(run_cli, kernel, "sysrq")
    assert report["variables"] is None and report["expression"] is None


@pytest.mark.parametrize("case", [*FAILED, *STANDS])
def test_each_value_is_what_drgn_reads_from_the_vmcore(run_cli: RunCli, kernel: Lab, case: str) -> None:
    if not has(kernel, case):
        return
    report = analysed(run_cli, kernel, case)
    frames = drgn(kernel, case)
    compared = 0
    for one in report["variables"]:
        known = [values for function, values in frames if function == one["function"] and one["name"] in values]
        if known:
            assert any(same(one["value"], one["type"], *values[one["name"]]) for values in known), (one, known)
            compared += 1
    functions = {one["function"] for one in report["variables"]}
    assert compared or not any(values for function, values in frames if function in functions)


def drgn(kernel: Lab, case: str) -> List[Tuple[str, Dict[str, Tuple[int, List[str]]]]]:
    """(function, {variable: (number, symbols there)}) of each frame of the thread that crashed."""
    core = kernel.crashes[case] / "vmcore"
    modules = [
        kernel.module_dir / "xxxwan.debug.ko",
        *kernel.root.glob("usr/lib/debug/lib/modules/*/kernel/net/ipv4/*.ko"),
    ]
    argv = [sys.executable, str(LOCALS), str(core), str(kernel.vmlinux), *map(str, modules)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    return [(function, known) for function, known in json.loads(done.stdout.decode())]


def same(said: str, kind: str, value: int, symbols: List[str]) -> bool:
    if said.startswith("&"):  # its run-time address is in the vmcore alone
        return said in symbols
    if said in ("true", "false"):
        return (said == "true") == bool(value)
    return (int(said, 0) - value) % (1 << 32 if "*" not in kind else 1 << 64) == 0


def test_what_is_said_of_random_instructions_is_what_llvm_reads(lab: Lab, tmp_path: Path) -> None:
    seed = Random().getrandbits(32)
    found = dwarf_truth.compare(lab.vmlinux, 60, Random(seed), tmp_path)
    assert not found.differences, f"of seed {seed}"
    assert found.addresses == 60 and found.pairs > 30, f"of seed {seed}: {found}"


def test_a_batch_says_the_same_when_it_is_asked_for_variables(run_cli: RunCli, lab: Lab) -> None:
    args = ("--root", lab.root, "--module-dir", lab.module_dir, "--json", "--variables")
    together = run_cli("batch", *args).stdout.splitlines()
    apart = [run_cli("analyze", *args, path).stdout.rstrip("\n") for path in lab.crashes.values()]
    assert sorted(together) == sorted(apart)
    assert sum(report["variables"] is not None for line in together for report in json.loads(line)["reports"]) >= 7
    plain = run_cli("batch", *args[:-1]).stdout.splitlines()
    assert not any(report["variables"] for line in plain for report in json.loads(line)["reports"])


def test_a_batch_starts_one_gdb_for_each_object(run_cli: RunCli, lab: Lab, tool_dir: ToolDir) -> None:
    tool_dir.fake("gdb", f'echo start >>{tool_dir.path}/count; exec /usr/bin/gdb "$@"')
    args = ("--root", lab.root, "--module-dir", lab.module_dir, "--json", "--variables")
    run_cli("batch", *args, env=tool_dir.first)
    assert len((tool_dir.path / "count").read_text().splitlines()) == 3  # vmlinux, xxxwan, ip_tunnel
