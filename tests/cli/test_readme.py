"""The README: what its transcripts show is what the commands print, and its one-line examples run."""

import re
import runpy
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import pytest
from conftest import environment
from processes import ran

from kdumpwrap.example import worked

TOP = Path(__file__).resolve().parent.parent.parent
README = (TOP / "README.md").read_text()
CHINESE = (TOP / "README.zh-CN.md").read_text()
RELEASE = "4.19.113-88.8bs.el7.x86_64"


class Transcript(NamedTuple):
    """A command of a console block, and what the README shows of its output: "…" stands for lines left out."""

    command: str
    shown: List[str]


def transcripts() -> Iterator[Transcript]:
    for block in re.findall(r"^```console\n(.*?)^```", README + CHINESE, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            yield Transcript(re.sub(r"\s+# .*", "", command), shown)


def examples() -> List[str]:
    """The commands in the last column of the table of commands."""
    return re.findall(r"^\| `\w+` \|.*\| `(kdumpwrap [^`]*)` \|$", README + CHINESE, re.M)


SHOWN = [one for one in transcripts() if one.shown and one.command.startswith("kdumpwrap")]
SIMPLE = [one.command for one in transcripts() if not one.shown and one.command.startswith("kdumpwrap")]


@pytest.fixture
def place(tmp_path: Path) -> Dict[str, str]:
    """A host whose only crash is the worked example, with kdumpwrap on PATH and the files that examples name."""
    script = tmp_path / "bin/kdumpwrap"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m kdumpwrap "$@"\n')
    script.chmod(0o755)
    root = tmp_path / "root"
    shutil.copytree(worked.root(), root)
    (crash,) = (root / "var/crash").iterdir()
    lately = datetime.now() - timedelta(days=1)
    log = crash.with_name(f"127.0.0.1-{lately:%Y-%m-%d-%H:%M:%S}") / "vmcore-dmesg.txt"
    crash.rename(log.parent)
    work = tmp_path / "work"
    (work / "fleet").mkdir(parents=True)
    shutil.copy(log, work / "vmcore-dmesg.txt")
    env = environment(
        {
            "PATH": f"{script.parent}:/usr/bin:/bin",
            "KDUMPWRAP_ROOT": str(root),
            "KDUMPWRAP_RELEASE": RELEASE,
            "KDUMPWRAP_VARIABLES": None,
            "HOME": str(tmp_path),
        }
    )
    said = subprocess.run(
        [script, "batch", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, check=False
    ).stdout
    for name in ("host1.ndjson", "fleet/web1.ndjson"):
        (work / name).write_bytes(said)
    return {**env, "PWD": str(work)}


def shell(command: str, env: Dict[str, str]) -> "subprocess.CompletedProcess[str]":
    argv = ["bash", "-o", "pipefail", "-c", command]
    return ran(argv, env=env, cwd=env["PWD"])


@pytest.mark.parametrize("one", SHOWN, ids=lambda one: one.command)
def test_a_transcript_is_what_its_command_prints(one: Transcript, place: Dict[str, str]) -> None:
    done = shell(one.command, place)
    lines = iter(done.stdout.splitlines())
    for wanted in one.shown:
        if wanted != "…":
            assert any(line == wanted for line in lines), f"not printed, or not in this order: {wanted!r}"


@pytest.mark.parametrize(
    "command", sorted(one for one in {*examples(), *SIMPLE} if " crash " not in one and "fetch" not in one)
)
def test_an_example_runs(command: str, place: Dict[str, str]) -> None:
    program = command.rsplit("|", maxsplit=1)[-1].split(maxsplit=1)[0]
    for name in {program, "jq" if "jq " in command else program} - {"kdumpwrap"}:
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    done = shell(command, place)
    assert "Traceback" not in done.stderr
    # 3: the module of the example has no debuginfo; 1: nothing is there but that module, or no host to examine
    honest = "no debuginfo for the module XxxWan" in done.stderr or "Cannot tell" in done.stderr
    assert done.returncode in (0, 3) or (done.returncode == 1 and honest), done.stderr
    assert done.stdout or "> " in command


def test_the_first_excerpt_leaves_no_line_out_in_silence() -> None:
    for text in (README, CHINESE):
        excerpt = text.partition("$ kdumpwrap analyze --example\n")[2]
        keys = [line.split()[0] for line in excerpt.partition("…")[0].splitlines()[2:]]
        assert keys == ["where", "address", "culprit", "suspect"]


def test_the_culprit_without_a_line_reads_well_too(place: Dict[str, str]) -> None:
    (program,) = re.findall(r"^\$ kdumpwrap analyze --raw \| (awk .*)$", README, re.M)
    rows = r"printf 'culprit\twan_rename\tXxxWan\t\t\nculprit\tf\t\tnet/f.c\t12\n'"
    assert shell(f"{rows} | {program}", place).stdout.splitlines() == ["wan_rename (no debuginfo)", "f net/f.c:12"]


@pytest.mark.parametrize("command", [one for one in examples() if " crash " in one])
def test_an_example_of_crash_is_understood(command: str, place: Dict[str, str]) -> None:
    """The worked example has no vmcore; test_crash_lab.py opens real ones."""
    done = shell(command.replace("CRASH", f"{place['KDUMPWRAP_ROOT']}/var/crash/*"), place)
    assert done.returncode == 1
    assert re.match(r"kdumpwrap: .*no vmcore", done.stderr)


def test_there_is_something_to_test() -> None:
    assert SHOWN
    assert len(examples()) >= 9
    assert len(SIMPLE) >= 6


def test_both_languages_have_the_same_commands() -> None:
    tables = [re.findall(r"^\| `(\w+)` \|.*\| `(kdumpwrap [^`]*)` \|$", text, re.M) for text in (README, CHINESE)]
    assert tables[0] == tables[1] and len(tables[0]) == 12


def test_the_picture_of_the_layers_is_what_the_package_imports() -> None:
    done = ran([sys.executable, TOP / "scripts/layers"], check=True)
    assert f"```\n{done.stdout}```\n" in README, "scripts/layers draws another picture: paste it"


@pytest.mark.skipif(sys.version_info < (3, 9), reason="scripts/bench wants Python 3.9")
def test_the_table_of_figures_is_renewed() -> None:
    """By name, whatever the figures in the names are; a new row comes last, and all else stays."""
    bench = runpy.run_path(str(TOP / "scripts/bench"))
    row = bench["Row"]
    assert bench["_HEAD"] in README
    old = row("`analyze`, memory of Python", 12.0, "limit", 60.0, 1, unit="MB")
    new = row("`analyze` of a crash", 1.0, "`drgn` 9.9, its backtrace", 2.0, 1)
    text = bench["renewed"](README, [old, new], whole=False)
    assert bench["renewed"](text, [old, new], whole=False) == text
    before, after = README.splitlines(), text.splitlines()
    assert len(after) == len(before) + 1
    assert old.measured in after and new.measured in after
    assert text.partition("| `--version`")[2].splitlines()[1:3] == [new.measured, ""]
    assert bench["renewed"](text, [old], whole=True).partition(bench["_HEAD"])[2].splitlines()[:2] == [old.measured, ""]
