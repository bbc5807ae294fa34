"""kdumpwrap pack: one small file that analyze takes as it takes the crash; a hostile one is no more than a log."""

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from conftest import Lab, RunCli

from kdumpwrap.crashdir import crashfile, finder, packed
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.example import worked

LOGS = Path(__file__).parent.parent / "data/logs"
RELEASE = "4.19.113-88.8bs.el7.x86_64"


def answer(run_cli: RunCli, *words: object, stdin: str = "") -> Dict[str, Any]:
    done = run_cli(*map(str, words), stdin=stdin)
    assert done.status in (0, 3), done.stderr
    found: Dict[str, Any] = json.loads(done.stdout)
    assert found.pop("crash")
    return found


@pytest.fixture(scope="module")
def root() -> Path:
    return worked.root()


@pytest.fixture(scope="module")
def crash(root: Path) -> Path:
    return next((root / "var/crash").iterdir())


def test_what_is_packed_is_analysed_as_the_crash_is(run_cli: RunCli, root: Path, crash: Path, tmp_path: Path) -> None:
    done = run_cli("pack", "--root", root, crash, cwd=tmp_path)
    assert (done.status, done.stderr) == (0, "")
    file = tmp_path / done.stdout.strip()
    assert file.name == f"{crash.name}.kdumpwrap.json"
    assert file.stat().st_mode & 0o777 == 0o600
    log = next(crash.glob("*dmesg*"))
    assert file.stat().st_size < 2 * log.stat().st_size + 20_000
    wanted = answer(run_cli, "analyze", "--root", root, "--json", crash)
    assert answer(run_cli, "analyze", "--root", root, "--json", file) == wanted
    assert answer(run_cli, "analyze", "--root", root, "--json", "-", stdin=file.read_text()) == wanted
    told = json.loads(file.read_text())
    assert told["log"] == log.read_text()
    assert told["kernel"]["release"] == RELEASE
    assert told["code"].split()[0] == "48" or len(told["code"].split()) > 20
    assert json.loads(run_cli("analyze", "--root", root, "--json", file).stdout)["crash"]["host"] == "127.0.0.1"


def test_every_recorded_log_comes_out_as_it_went_in(tmp_path: Path) -> None:
    file = tmp_path / "pack"
    logs = sorted(LOGS.glob("*.log"))
    assert len(logs) > 90
    for log in logs:
        content = b"".join(crashfile.blocks(str(log)))
        file.write_text(json.dumps({"schema": packed.SCHEMA, "log": packed.text(content)}))
        assert b"".join(crashfile.blocks(str(file))) == content, log.name


def test_every_byte_of_a_log_survives() -> None:
    log = bytes(range(256)) * 3 + "Ω\ud7ff".encode() + b"\xed\xa0\x80\xff"
    value = {"schema": packed.SCHEMA, "log": packed.text(log)}
    assert packed.parse(json.dumps(value).encode()).log == log


def test_standard_input_is_packed_as_it_comes(run_cli: RunCli, crash: Path, tmp_path: Path) -> None:
    log = next(crash.glob("*dmesg*"))
    done = run_cli("pack", "-", "-o", tmp_path / "x", stdin=log.read_bytes())
    assert done.status == 0
    assert json.loads((tmp_path / "x").read_text())["log"] == log.read_text()


def test_the_release_is_the_logs_and_not_that_of_the_host_that_packed_it(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("Linux version 6.1.0-9-amd64 (builder) #1\n")
    (tmp_path / "log").write_text(LOG)
    assert run_cli("pack", "--root", tmp_path, tmp_path / "log", "-o", tmp_path / "pack").status == 0
    assert "6.1.0-9" in (tmp_path / "pack").read_text()
    assert release_of(finder.find(str(tmp_path / "pack"))) is None
    (tmp_path / "log").write_text(f"Linux version {RELEASE} (builder) #1\n{LOG}")
    assert run_cli("pack", "--root", tmp_path, tmp_path / "log", "-o", tmp_path / "pack").status == 0
    assert release_of(finder.find(str(tmp_path / "pack"))) == RELEASE


def test_what_a_pack_tells_besides_its_log_counts_on_standard_input_too(run_cli: RunCli, tmp_path: Path) -> None:
    pack = {"schema": packed.SCHEMA, "log": LOG, "kernel": {"release": RELEASE, "build_id": "ab" * 20}}
    file = tmp_path / "pack"
    file.write_text(json.dumps(pack))
    for where in (file, "-"):
        told = json.loads(run_cli("dmesg", "--json", where, stdin=file.read_text()).stdout)["kernel"]
        assert (told["release"], told["build_id"]) == (RELEASE, "ab" * 20), where


def test_the_name_that_is_printed_colours_no_terminal(run_cli: RunCli, tmp_path: Path) -> None:
    crash = tmp_path / "cr\x1b[31mred\nx"
    crash.mkdir()
    (crash / "vmcore-dmesg.txt").write_text(LOG)
    done = run_cli("pack", crash, cwd=tmp_path)
    assert done.status == 0 and "\x1b" not in done.stdout and done.stdout.count("\n") == 1


def test_the_facts_of_the_host_are_in_it(run_cli: RunCli, crash: Path, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("ro crashkernel=256M\n")
    told = json.loads(run_cli("pack", "--root", tmp_path, crash, "-o", "-").stdout)
    assert told["facts"] == {"/proc/cmdline": "ro crashkernel=256M\n"}


def test_nothing_is_written_through_a_link(run_cli: RunCli, crash: Path, tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    assert run_cli("pack", crash, "-o", link).status == 0
    assert victim.read_text() == "mine" and not link.is_symlink()
    assert run_cli("pack", crash, "-o", tmp_path).status == 1
    assert run_cli("pack", tmp_path / "nothing").status == 1


LOG = "BUG: kernel NULL pointer dereference, address: 0000000000000000\nRIP: 0010:f+0x1/0x2\n"


@pytest.mark.parametrize(
    "pack",
    [
        '{"schema": "kdumpwrap-pack/1", "log": "BUG: ',
        '{"schema": "kdumpwrap-pack/1", "log": 7}',
        '{"schema": "kdumpwrap-pack/1"}',
        '{"schema": "kdumpwrap-pack/1", "log": "", "x": ' + "[" * 100_000,
        '{"schema": "kdumpwrap-pack/1", "log": "", "x": ' + "9" * 100_000 + "}",
    ],
    ids=["cut off", "no text", "no log", "deep", "long number"],
)
def test_a_pack_that_cannot_be_read_is_one_line(run_cli: RunCli, pack: str, tmp_path: Path) -> None:
    file = tmp_path / "pack"
    file.write_text(pack)
    for command in ("analyze", "dmesg", "annotate", "pack"):
        done = run_cli(command, file)
        assert done.status == 1, command
        lines = [line for line in done.stderr.splitlines() if line.startswith("kdumpwrap: ")]
        assert len(lines) == 1 and "Traceback" not in done.stderr


def test_a_hostile_pack_names_no_file_and_no_command(run_cli: RunCli, tmp_path: Path) -> None:
    value = {
        "schema": packed.SCHEMA,
        "crash": {"path": "../../etc/passwd", "host": "\x1b]52;c;x\x07", "time": ["x"]},
        "kernel": {"release": "../../../etc", "build_id": "../../x", "kaslr_offset": "0xzz", "arch": {}},
        "code": {"a": 1},
        "modules": {"../x": "ab" * 20, "xfs": "--help", "ok": "ab" * 20, "n": 7},
        "facts": "no",
        "log": LOG + "\ud800",
    }
    file = tmp_path / "pack"
    file.write_text(json.dumps(value))
    found = packed.parse(file.read_bytes())
    assert found._replace(log=b"", modules={}) == packed.Packed(b"")
    assert dict(found.modules) == {"ok": "ab" * 20}
    before = sorted(tmp_path.iterdir())
    for words in (["analyze", "--json"], ["dmesg"], ["annotate"], ["analyze", "--markdown"]):
        done = run_cli(*words, file, cwd=tmp_path)
        assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_what_a_pack_tells_is_used(run_cli: RunCli, tmp_path: Path) -> None:
    value = {
        "schema": packed.SCHEMA,
        "kernel": {"release": "5.14.0-503.el9.x86_64", "build_id": "cd" * 20, "kaslr_offset": "0x1000000"},
        "log": LOG,
    }
    file = tmp_path / "pack"
    file.write_text(json.dumps(value))
    kernel = json.loads(run_cli("dmesg", "--json", file).stdout)["kernel"]
    assert [kernel[name] for name in ("release", "build_id", "kaslr_offset")] == [
        "5.14.0-503.el9.x86_64",
        "cd" * 20,
        "0x1000000",
    ]


@pytest.mark.lab
def test_a_real_crash_without_its_log(run_cli: RunCli, lab: Lab, tmp_path: Path) -> None:
    """The log comes out of the vmcore, with the kernel's build id."""
    vmcore = tmp_path / "vmcore"
    vmcore.symlink_to(lab.crashes["iptunnel"] / "vmcore")
    told: Dict[str, Any] = json.loads(run_cli("pack", vmcore, "--root", lab.root, "-o", "-").stdout)
    assert told["kernel"]["release"] == lab.release
    assert len(told["kernel"]["build_id"]) == 40
    names: List[str] = list(told["modules"])
    assert names == ["xxxwan"]
