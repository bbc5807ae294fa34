"""Many hosts: what batch --json said on each of them, put together."""

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from conftest import RunCli, ToolDir, environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import ran

from kdumpwrap.example import worked
from kdumpwrap.model import bugs as groups
from kdumpwrap.parse import ndjson


@pytest.fixture(scope="module")
def line(run_cli: RunCli) -> str:
    """What batch --json says of the crash that the package carries."""
    return run_cli("batch", "--json", "--root", worked.root()).stdout


def crash(line: str, host: Optional[str], time: str, signature: Optional[str] = None, path: str = "") -> str:
    value: Dict[str, Any] = json.loads(line)
    value["crash"].update(host=host, time=time, path=path or f"/var/crash/{host}-{time}")
    if signature:
        value["signature"].update(id=signature, text=f"bug {signature}")
    return json.dumps(value) + "\n"


def test_the_bugs_of_a_fleet(line: str, tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "a").write_text(
        crash(line, "10.0.0.1", "2024-01-02T00:00:00") + crash(line, "10.0.0.1", "2024-01-03T00:00:00", "aaaaaaaaaaaa")
    )
    (tmp_path / "b").write_text(crash(line, "10.0.0.2", "2024-01-01T00:00:00") + "\n")
    result = run_cli("merge", tmp_path / "a", tmp_path / "b")
    assert (result.status, result.stderr) == (0, "")
    head, first, second = result.stdout.split("\n\n")
    assert head == "2 bugs in 3 crashes of 2 hosts and 1 kernel"
    assert first.startswith("2 × page-fault iptunnel_xmit+0x17d → include/net/ip_tunnels.h:462\n")
    assert "seen      2024-01-01 00:00:00 to 2024-01-02 00:00:00\n" in first
    assert "hosts     10.0.0.1 (1), 10.0.0.2 (1)\n" in first
    assert "newest    /var/crash/10.0.0.1-2024-01-02T00:00:00\n" in first
    assert "signature aaaaaaaaaaaa  bug aaaaaaaaaaaa" in second


def test_as_rows_and_as_objects(line: str, run_cli: RunCli) -> None:
    text = "".join(crash(line, f"10.0.0.{number % 3}", f"2024-01-0{number + 1}T00:00:00") for number in range(6))
    (row,) = run_cli("merge", "--raw", "-", stdin=text).stdout.splitlines()
    count, first, last, kernels, hosts, kind, site, place, module, signature, path = row.split("\t")
    assert (count, first, last) == ("6", "2024-01-01T00:00:00", "2024-01-06T00:00:00")
    assert (kernels, hosts, kind, site) == ("1", "3", "page-fault", "iptunnel_xmit+0x17d")
    assert place.endswith("include/net/ip_tunnels.h:462")
    assert (module, path) == ("", "/var/crash/10.0.0.2-2024-01-06T00:00:00")
    (value,) = (json.loads(one) for one in run_cli("merge", "--json", "-", stdin=text).stdout.splitlines())
    assert (value["count"], value["signature"]["id"], value["line"]) == (6, signature, 462)
    assert value["hosts"] == [{"name": f"10.0.0.{number}", "count": 2} for number in range(3)]
    assert value["suspect"]["module"] == "XxxWan"
    assert value["newest"]["path"] == path


def test_the_same_crash_counts_once(line: str, run_cli: RunCli) -> None:
    one = crash(line, "10.0.0.1", "2024-01-02T00:00:00")
    assert run_cli("merge", "-", stdin=one * 3).stdout.startswith("1 bug in 1 crash of 1 host")


# a dump that stayed on its host is of 127.0.0.1: what names the host -> the host
NAMED = {
    "web1.example.com.ndjson": ("", "web1.example.com"),
    "web1.example.com": ("", "web1.example.com"),
    "kdumpwrap.json": ("", "127.0.0.1"),  # batch --save calls each answer so
    "fleet.ndjson": ("web2\t", "web2"),
    "fleet": ("root@web2\t", "web2"),
    "all": ("8/root@web2.example.com\t", "web2.example.com"),
    "-": (":\t", os.uname().nodename),
}


@pytest.mark.parametrize("file", NAMED)
def test_the_host_of_a_dump_that_stayed_there(file: str, line: str, tmp_path: Path, run_cli: RunCli) -> None:
    tag, host = NAMED[file]
    text = tag + crash(line, "127.0.0.1", "2024-01-02T00:00:00")
    if file != "-":
        (tmp_path / file).write_text(text)
    (value,) = run_cli("merge", "--json", file, stdin=text, cwd=tmp_path).stdout.splitlines()
    assert json.loads(value)["hosts"] == [{"name": host, "count": 1}]
    text = tag + crash(line, "10.0.0.7", "2024-01-02T00:00:00")  # an address is a name
    (value,) = run_cli("merge", "--json", "-", stdin=text).stdout.splitlines()
    assert json.loads(value)["hosts"] == [{"name": "10.0.0.7", "count": 1}]


def test_what_is_no_crash_is_named(line: str, tmp_path: Path, run_cli: RunCli) -> None:
    reportless = json.loads(crash(line, "10.0.0.9", "2024-01-02T00:00:00"))
    reportless.update(reports=[], fatal=None, signature=None, problems=[{"message": "x: no report", "hint": ""}])
    bad = tmp_path / "bad"
    bad.write_bytes(
        b"not JSON\n[1, 2]\n{}\n\x00\xff\x1b[31m\n" + b"[" * 100_000 + b"\n" + json.dumps(reportless).encode() + b"\n"
    )
    (tmp_path / "good").write_text(crash(line, "10.0.0.1", "2024-01-02T00:00:00"))
    result = run_cli("merge", bad, tmp_path / "missing", tmp_path / "good")
    assert result.status == 3
    assert result.stdout.startswith("1 bug in 1 crash of 1 host")
    said = result.stderr.splitlines()
    assert said == [
        "kdumpwrap: 10.0.0.9: x: no report",
        *(f"kdumpwrap: {bad}, line {number}: not of batch --json" for number in range(1, 6)),
        f"kdumpwrap: {tmp_path}/missing: No such file or directory",
    ]
    assert run_cli("merge", bad).status == 1
    assert run_cli("merge", "-", stdin="").status == 1
    assert run_cli("merge").status == 2


def test_a_file_of_another_kind_is_said_once(line: str, tmp_path: Path, run_cli: RunCli) -> None:
    log = "[    0.000000] Linux version 6.1.0\n" * 300
    (tmp_path / "decoded.txt").write_text(log)
    done = run_cli("merge", tmp_path / "decoded.txt")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == (
        f"kdumpwrap: {tmp_path}/decoded.txt: no line of it is of batch --json\nhint: kdumpwrap batch --json >FILE\n"
    )
    (tmp_path / "mixed").write_text(log + crash(line, "10.0.0.1", "2024-01-02T00:00:00"))
    done = run_cli("merge", tmp_path / "mixed")
    assert done.status == 3 and len(done.stderr.splitlines()) == 6
    assert done.stderr.endswith(f"{tmp_path}/mixed: 295 more lines are not of batch --json\n")


def test_saved_answers_can_be_merged(tmp_path: Path, run_cli: RunCli) -> None:
    shutil.copytree(worked.root(), tmp_path / "host")
    run_cli("batch", "--save", "--root", tmp_path / "host")
    result = run_cli("merge", *(tmp_path / "host/var/crash").glob("*/kdumpwrap.json"))
    assert result.stdout.startswith("1 bug in 1 crash of 1 host")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["crash", "kernel", "reports", "fatal", "signature", "problems"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, json_values))
def test_a_crafted_object_does_no_harm(value: Dict[str, Any]) -> None:
    found = ndjson.parse(json.dumps({"schema": "kdumpwrap/1", "crash": {"path": "x"}, **value}))
    if found is not None:
        groups.row(found)


def readme(first: str, last: str) -> str:
    """The README's lines from one that begins so to one that ends so."""
    text = (Path(__file__).parent.parent.parent / "README.md").read_text()
    found = re.search(rf"^{first}.*?{last}$", text, re.M | re.S)
    assert found is not None
    return found[0]


def test_gnu_parallel(tmp_path: Path, tool_dir: ToolDir) -> None:
    """The README's recipe, with this host in the place of all others."""
    if shutil.which("parallel") is None:
        pytest.skip("needs GNU parallel")
    tool_dir.fake("kdumpwrap", f'exec {shlex.quote(sys.executable)} -m kdumpwrap "$@"')
    recipe = re.sub("(?<=--sshlogin )[^ ]+", ":", readme(r"\$ parallel", "merge -")[2:])
    env = environment({**tool_dir.first, "KDUMPWRAP_ROOT": str(worked.root()), "HOME": str(tmp_path)})
    done = ran(["bash", "-c", recipe], env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    lines: List[str] = done.stdout.splitlines()
    assert lines[0] == "1 bug in 1 crash of 1 host and 1 kernel"
    assert f"hosts     {os.uname().nodename}" in done.stdout


def test_ansible(tmp_path: Path, tool_dir: ToolDir, run_cli: RunCli) -> None:
    """The README's playbook: three hosts, one of which has not crashed, in the place of its own."""
    playbook = Path(sys.executable).parent / "ansible-playbook"
    if not playbook.exists():
        pytest.skip("needs ansible-core")
    tool_dir.fake("kdumpwrap", f'exec {shlex.quote(sys.executable)} -m kdumpwrap "$@"')
    for host in ("web1", "web2"):
        shutil.copytree(worked.root(), tmp_path / host)
    (tmp_path / "db1/var/crash").mkdir(parents=True)
    (tmp_path / "fleet").mkdir()
    hosts = f"  gather_facts: false\n  environment: {{KDUMPWRAP_ROOT: '{tmp_path}/{{{{ inventory_hostname }}}}'}}\n"
    (tmp_path / "play.yml").write_text(readme("- hosts", "localhost").replace("  tasks:", hosts + "  tasks:"))
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    (tmp_path / "hosts").write_text("".join(f"{host} {here}\n" for host in ("web1", "web2", "db1")))
    env = environment({**tool_dir.first, "HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "0", "LC_ALL": "C.UTF-8"})
    argv = [str(playbook), "-i", "hosts", "play.yml"]
    done = ran(argv, env=env, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(file.name for file in (tmp_path / "fleet").iterdir()) == ["web1.ndjson", "web2.ndjson"]
    merged = run_cli("merge", *sorted((tmp_path / "fleet").iterdir()))
    assert merged.stdout.splitlines()[0] == "1 bug in 2 crashes of 2 hosts and 1 kernel"
    assert re.search(r"hosts +web1 \(1\), web2 \(1\)$", merged.stdout, re.M), merged.stdout
