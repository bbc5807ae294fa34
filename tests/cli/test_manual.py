"""The manual against the program: each command, option, variable, key and example of the one is in the other."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest
from conftest import RunCli, environment
from processes import ran

from kdumpwrap import __version__
from kdumpwrap.log.kinds import KINDS
from kdumpwrap.model.finding import Run
from kdumpwrap.model.log import HeldLock, MachineCheck, OutOfMemory, WorkItem
from kdumpwrap.render.keys import CAPTURE
from kdumpwrap.tools import debuginfod, run

TOP = Path(__file__).resolve().parent.parent.parent
PAGE = TOP / "scripts/share/man/man1/kdumpwrap.1"
EVERYWHERE = {"--help"}  # of every command, told once


def plain(roff: str) -> str:
    """``roff`` without what only concerns its look: ``\\-`` is a hyphen, fonts and quotes are gone."""
    text = re.sub(r"\\f[A-Z]|\\&|\\$", "", roff)
    for name, char in (("\\-", "-"), ("\\(aq", "'"), ("\\(dq", '"'), ("\\(rs", "\\"), ("\\e", "\\")):
        text = text.replace(name, char)
    return text


def sections(text: str, macro: str) -> Dict[str, str]:
    """What stands under each ``.SH`` or ``.SS`` heading."""
    parts = re.split(rf"^\.{macro} (.*)$", text, flags=re.M)
    return {plain(title).strip('"'): body for title, body in zip(parts[1::2], parts[2::2])}


SECTIONS = sections(PAGE.read_text(), "SH")
COMMANDS = sections(SECTIONS["COMMANDS"], "SS")


def items(body: str) -> List[str]:
    """The heads of a list: ``-c, --command CMD``."""
    heads = re.findall(r"^\.TP\n(.*)$", body, re.M)
    return [
        " ".join(plain(re.sub(r"^\.[A-Z]+ ", "", head)).replace('"', "").replace(" ,", ",").split()) for head in heads
    ]


def options(text: str) -> Set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


@pytest.fixture(scope="module")
def helps(run_cli: RunCli) -> Dict[str, str]:
    """What --help says: of the whole ("") and of each command."""
    whole = run_cli("--help", env={"COLUMNS": "200"}).stdout
    names = re.findall(r"^  (\w+) ", whole.partition("Commands:")[2], re.M)
    assert len(names) > 4
    return {"": whole, **{name: run_cli(name, "--help", env={"COLUMNS": "200"}).stdout for name in names}}


def declared(text: str) -> Iterator[Tuple[str, str]]:
    """Option and metavar as --help lists them: ("--vmlinux", "FILE"), ("--raw", "")."""
    listed = text.partition("Options:")[2].partition("Commands:")[0]
    for match in re.finditer(r"^  (?:-\w, )?(?P<name>--[a-z-]+)(?: (?P<value>[A-Z]+|\[=\S+\]))?(?= |$)", listed, re.M):
        yield match["name"], match["value"] or ""


def test_every_command_is_told_as_it_is_called(helps: Dict[str, str]) -> None:
    told = {title.split()[1]: " ".join(title.split()[2:]) for title in COMMANDS}
    assert set(told) == set(helps) - {""}
    for name, arguments in told.items():
        usage = re.search(rf"Usage: .* {name} \[OPTIONS\](.*)", helps[name])
        assert usage
        called = re.sub(r"\{(\S+)\}", r"\1", usage[1].strip())  # typer 0.28 writes what is required as {EXPR}
        assert arguments == called, name


def test_the_summary_of_each_command_fits_on_its_line(run_cli: RunCli) -> None:
    listed = run_cli("--help", env={"COLUMNS": "80"}).stdout.partition("Commands:\n")[2].splitlines()
    assert len(listed) == len(COMMANDS) and listed[0].split()[0] == "analyze"
    for summary in listed:
        assert summary.endswith(".") and not summary.endswith("...") and "`" not in summary


def test_every_option_is_told_with_what_it_takes(helps: Dict[str, str]) -> None:
    shared = {re.sub(r"^-\w, ", "", head) for head in items(SECTIONS["SHARED OPTIONS"])}
    for title, body in COMMANDS.items():
        name = title.split()[1]
        own = {re.sub(r"^-\w, ", "", head) for head in items(body)}
        also = options(plain(body.partition("Shared options:")[2]))
        wanted = {f"{option} {value}".strip() for option, value in declared(helps[name]) if option not in EVERYWHERE}
        assert wanted, name
        told = own | {head for head in shared if head.split()[0] in also}
        assert told == wanted, name


def test_the_options_of_no_command_are_told(helps: Dict[str, str]) -> None:
    told = options(" ".join(items(SECTIONS["SHARED OPTIONS"])))
    assert options(helps[""].partition("Commands:")[0]) <= told


def test_every_variable_is_told() -> None:
    code = "".join(file.read_text() for file in (TOP / "kdumpwrap").rglob("*.py"))
    assert set(re.findall(r"KDUMPWRAP_[A-Z]+(?:_[A-Z]+)*", code)) == set(
        re.findall(r"KDUMPWRAP_[A-Z]+(?:_[A-Z]+)*", SECTIONS["ENVIRONMENT"])
    )


def test_every_kind_of_crash_is_told() -> None:
    told = plain(SECTIONS["OUTPUT"].partition("is one of")[2].partition("for any other")[0])
    assert set(re.findall(r"[a-z]+(?:-[a-z]+)*", told.replace("and oops", "oops"))) == set(KINDS)


def test_every_key_of_raw_is_told(run_cli: RunCli) -> None:
    table = SECTIONS["OUTPUT"].partition(".TS\n")[2].partition(".TE")[0]
    told = {key for line in table.splitlines() if "@" in line for key in line.partition("@")[0].split()}
    for command in ("analyze", "dmesg"):
        crash = run_cli("list", "--raw", "--root", TOP / "kdumpwrap/example/root").stdout.rstrip().split("\t")[-1]
        printed = run_cli(command, crash, "--raw", "--root", TOP / "kdumpwrap/example/root").stdout
        assert {line.split("\t")[0] for line in printed.splitlines()} <= told
    assert {"insn", "source", "inline", "frame", "problem"} <= told


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key != "registers":
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_every_key_of_json_is_told(run_cli: RunCli) -> None:
    printed = json.loads(run_cli("analyze", "--example", "--json", "--variables").stdout)
    told = set(re.findall(r'"(\w+)"', SECTIONS["OUTPUT"].partition(".nf")[2].partition(".fi")[0]))
    assert set(keys(printed)) <= told
    # the example repeats no frame, is no hang, and its vmcore is not missing
    others = {"rax", "panic", "0x", "rss", "text"}
    for one in (Run, HeldLock, WorkItem, OutOfMemory, MachineCheck):
        others |= set(one._fields)
    assert told - set(keys(printed)) <= others | {key.name for key in CAPTURE}


def test_the_version_is_that_of_the_program() -> None:
    assert f'"kdumpwrap {__version__}"' in PAGE.read_text()


@pytest.mark.parametrize("tool", ["mandoc", "groff"])
def test_the_page_has_no_fault(tool: str) -> None:
    if shutil.which(tool) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{tool} is not installed (scripts/packages install tests)", pytrace=False)
        pytest.skip(f"needs {tool}")
    argv = (
        ["mandoc", "-T", "lint", "-W", "warning"]
        if tool == "mandoc"
        else ["groff", "-t", "-man", "-ww", "-Tutf8", "-rLL=78n"]
    )
    done = ran([*argv, str(PAGE)])
    assert (done.stderr + (done.stdout if tool == "mandoc" else "")).strip() == ""


def examples() -> List[str]:
    blocks = re.findall(r"\.nf\n\.RS\n(.*?)\.RE", SECTIONS["EXAMPLES"], re.S)
    return [plain(line) for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in examples() if "--example" in line])
def test_an_example_does_what_it_says(line: str, tmp_path: Path) -> None:
    if "jq" in line and shutil.which("jq") is None:
        pytest.skip("needs jq")
    command = line.replace("kdumpwrap ", f"{sys.executable} -m kdumpwrap ")
    done = ran(["bash", "-c", command], cwd=tmp_path, env=environment())
    assert done.returncode in (0, 3), done.stderr  # 3: the module of the example has no debuginfo
    assert "include/net/ip_tunnels.h:462" in done.stdout
    if "--html" in line:
        assert (tmp_path / "crash.html").exists()


def test_there_are_examples() -> None:
    assert sum("--example" in line for line in examples()) >= 5


@pytest.mark.parametrize(
    ("name", "value"),
    [("KDUMPWRAP_TIMEOUT", run.TIMEOUT), ("KDUMPWRAP_DEBUGINFOD_TIMEOUT", debuginfod.TIMEOUT)],
)
def test_time_limits_are_those_of_the_program(name: str, value: float) -> None:
    told = re.search(rf"^\.B {name}\n.*; (\d+) by default", SECTIONS["ENVIRONMENT"], re.M)
    assert told
    assert float(told[1]) == value
