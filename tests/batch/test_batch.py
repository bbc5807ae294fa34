"""Many crashes in one shot: the groups are the lab's bugs, each answer is that of analyze, the tools are asked once."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import pytest
from conftest import MEASURED, Lab, Result, RunCli, ToolDir, environment
from crashtree import Kernels, grow, kernels
from processes import ran

from kdumpwrap.crashdir import finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.model import bugs as groups
from kdumpwrap.parse import ndjson
from kdumpwrap.render import batch

pytestmark = pytest.mark.lab

PEAKS = """
import atexit, resource, sys
from kdumpwrap.cli.app import main
who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
atexit.register(lambda: print(*(resource.getrusage(one).ru_maxrss for one in who), file=sys.stderr))
main()
"""
SMALL = 30_000  # bytes of a log: a fifth of a real one's boot messages, all of its reports
BUGS = 12  # the lab's
COUNT = 20 * BUGS  # of each ten on each kernel


class Site(NamedTuple):
    """An answer of two halves: where it happened, and whom to suspect."""

    kind: str
    symbol: str  # its first place in the log is the one
    line: Tuple[str, str, str]  # file, function, statement
    suspect: Optional[str]


SITES = {
    "iptunnel": Site(
        "page-fault",
        "iptunnel_xmit",
        ("include/net/ip_tunnels.h", "iptunnel_xmit_stats", "u64_stats_add(&tstats->tx_bytes, pkt_len);"),
        "send4",
    ),
    "list_del": Site(
        "bug",
        r"__list_del_entry_valid[.\w]*",
        ("lib/list_debug.c", r"__list_del_entry_valid\w*", "CHECK_DATA_CORRUPTION(next == LIST_POISON1,"),
        "wan_forget",
    ),
    "sysrq": Site(
        "panic",
        "sysrq_handle_crash",
        ("drivers/tty/sysrq.c", "sysrq_handle_crash", 'panic("sysrq triggered crash'),
        None,
    ),
    "distmod": Site(
        "general-protection",
        "ip_tunnel_lookup",
        ("net/ipv4/ip_tunnel.c", "ip_tunnel_lookup", "hlist_for_each_entry_rcu(t, head, hash_node)"),
        "wan_match_tunnel",
    ),
}


class Server(NamedTuple):
    """A directory full of crashes, and what is in it."""

    path: Path
    cases: Dict[str, str]  # directory -> case
    kernels: Kernels
    lab: Lab

    def place(self, name: str) -> Tuple[str, str]:
        """Where the crash in the directory ``name`` happened: by its log, and by the kernel's source."""
        site = SITES[self.cases[name]]
        found = re.search(rf"\b{site.symbol}\+0x[0-9a-f]+", (self.path / name / "vmcore-dmesg.txt").read_text())
        assert found
        return found[0], f"{site.line[0]}:{self.lab.line(*site.line)}"

    def batch(self, run_cli: RunCli, *options: str) -> Result:
        return run_cli("batch", "--root", self.kernels.root, *options, self.path)


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Server:
    path = tmp_path_factory.mktemp("server") / "crash"
    two = kernels(lab.path)
    return Server(path, grow(path, two.labs, COUNT, hosts=50, size=SMALL), two, lab)


@pytest.fixture(scope="module")
def lines(server: Server, run_cli: RunCli) -> List[str]:
    """What ``--json`` says."""
    result = server.batch(run_cli, "--json")
    assert result.status == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def objects(lines: List[str]) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def rows(server: Server, run_cli: RunCli) -> List[List[str]]:
    """What ``--raw`` says."""
    result = server.batch(run_cli, "--raw")
    assert result.status == 0, result.stderr
    return [line.split("\t") for line in result.stdout.splitlines()]


# ---------------------------------------------------------------- the groups


def test_the_groups_are_the_labs_bugs(server: Server, objects: List[Dict[str, Any]]) -> None:
    cases: Dict[str, Set[str]] = defaultdict(set)
    releases: Dict[str, Set[str]] = defaultdict(set)
    for one in objects:
        cases[one["signature"]["id"]].add(server.cases[Path(one["crash"]["path"]).name])
        releases[one["signature"]["id"]].add(one["kernel"]["release"])
    assert sorted(map(len, cases.values())) == [1] * BUGS  # no two bugs in one group
    assert set().union(*cases.values()) == set(server.lab.crashes)
    assert all(seen == set(server.kernels.releases) for seen in releases.values())  # none in two
    assert len(objects) == COUNT


def test_the_text_tells_of_each_bug_how_often_since_when_and_where(server: Server, run_cli: RunCli) -> None:
    result = server.batch(run_cli)
    assert (result.status, result.stderr) == (0, "")
    head, *bugs = result.stdout.split("\n\n")
    assert head == f"{BUGS} bugs in {COUNT} crashes of 50 hosts and 2 kernels"
    assert len(bugs) == BUGS
    first, second = sorted(server.kernels.releases)
    for bug in bugs:
        assert bug.startswith("20 × ")
        (newest,) = re.findall(r"newest +(\S+)", bug)
        case = server.cases[Path(newest).name]
        assert f"kernels   {first} (10), {second} (10)\n" in bug
        of_case = sorted(name for name, one in server.cases.items() if one == case)
        times = sorted(finder.find(str(server.path / name)).time or "" for name in of_case)
        assert f"seen      {times[0]} to {times[-1]}\n".replace("T", " ") in bug
        if case in SITES:
            kind, _, _, suspect = SITES[case]
            site, place = server.place(Path(newest).name)
            assert f"{kind} {site} → {place}\n" in bug
            assert suspect is None or f"module xxxwan, out of tree: {suspect} → " in bug


def test_a_row_for_each_crash_oldest_first(server: Server, rows: List[List[str]]) -> None:
    assert {len(row) for row in rows} == {9}
    assert sorted(row[8] for row in rows) == sorted(str(server.path / name) for name in server.cases)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    for when, host, release, kind, site, place, _module, _signature, path in rows:
        name, case = Path(path).name, server.cases[Path(path).name]
        assert name == f"{host}-{when}".replace("T", "-")
        assert release in server.kernels.releases
        if case in SITES:
            assert (kind, site) == (SITES[case].kind, server.place(name)[0])
            assert place.endswith(f"/{server.place(name)[1]}")


# ---------------------------------------------------------------- the same answer as analyze


def test_each_answer_is_that_of_analyze_byte_for_byte(server: Server, lines: List[str], run_cli: RunCli) -> None:
    batched = {json.loads(line)["crash"]["path"]: line for line in lines}
    chosen = [*list(batched)[:5], *list(batched)[-5:]]  # of either kernel, of all bugs
    where = ("--root", server.kernels.root)
    analyzed = run_cli("analyze", "--json", *where, *chosen).stdout.splitlines()
    assert analyzed == [batched[path] for path in chosen]


def test_also_where_objdump_fails_for_one_of_them(
    server: Server, run_cli: RunCli, tmp_path: Path, tool_dir: ToolDir
) -> None:
    """What is missing of one crash is not said of the others of its kernel."""
    few = tmp_path / "few"
    cases = grow(few, server.kernels.labs[:1], BUGS, size=SMALL)
    where = ("--root", server.kernels.root)
    (unlucky,) = (few / name for name, case in cases.items() if case == "list_del")
    shown = run_cli("analyze", "-v", *where, unlucky).stderr
    start = re.findall(r"^\+ .*objdump -d.* (--start-address=\S+)", shown, re.M)[0]
    objdump = shutil.which("objdump")
    tool_dir.fake("objdump", f'case "$*" in *{start}*) echo no >&2; exit 1;; esac\nexec {objdump} "$@"')
    batched = run_cli("batch", "--json", *where, few, env=tool_dir.first)
    analyzed = run_cli("analyze", "--json", *where, *map(str, sorted(few.iterdir())), env=tool_dir.first)
    assert sorted(batched.stdout.splitlines()) == sorted(analyzed.stdout.splitlines())
    failed = [line for line in batched.stdout.splitlines() if json.loads(line)["problems"]]
    assert [json.loads(line)["crash"]["path"] for line in failed] == [str(unlucky)]


def test_also_where_a_list_of_modules_is_cut_off(server: Server, run_cli: RunCli, tmp_path: Path) -> None:
    """Whose a module is, is known by the log's own list alone."""
    few, root = tmp_path / "few", tmp_path / "root"
    cases = grow(few, server.kernels.labs[:1], 2 * BUGS, size=SMALL)
    cut, whole = (few / name for name, case in cases.items() if case == "distmod")
    log = cut / "vmcore-dmesg.txt"
    text, count = re.subn(r"(Modules linked in: .*?) ip_tunnel .*", r"\1", log.read_text())
    assert count
    log.write_text(text)
    batched = run_cli("batch", "--json", "--root", root, few)
    analyzed = run_cli("analyze", "--json", "--root", root, *map(str, sorted(few.iterdir())))
    assert sorted(batched.stdout.splitlines()) == sorted(analyzed.stdout.splitlines())
    answers = [json.loads(line) for line in batched.stdout.splitlines()]
    hints = {answer["crash"]["path"]: [one["hint"] for one in answer["problems"]] for answer in answers}
    assert len(hints[str(whole)]) == len(hints[str(cut)])
    assert hints[str(whole)] != hints[str(cut)]


def test_also_where_the_debuginfo_is_missing(server: Server, run_cli: RunCli, tmp_path: Path) -> None:
    chosen = sorted(server.cases)[:9]
    for name in chosen:
        (tmp_path / name).symlink_to(server.path / name)
    batched = run_cli("batch", "--json", "--root", tmp_path, tmp_path)
    analyzed = run_cli("analyze", "--json", "--root", tmp_path, *(tmp_path / name for name in chosen))
    assert batched.status == 3
    assert sorted(batched.stdout.splitlines()) == sorted(analyzed.stdout.splitlines())
    for release in {json.loads(line)["kernel"]["release"] for line in batched.stdout.splitlines()}:
        assert f"kdumpwrap: no debuginfo for {release}" in batched.stderr


def test_a_row_made_of_json_is_the_row_of_the_crash(objects: List[Dict[str, Any]], rows: List[List[str]]) -> None:
    made = [groups.row(found) for found in map(ndjson.analysis, objects) if found]
    assert [batch.row(row).rstrip("\n").split("\t") for row in made if row] == rows


# ---------------------------------------------------------------- one question for all


def commands(stderr: str) -> List[str]:
    """What ``-v`` shows of the tools: each with its file, addresses and temporary names left out."""
    shown = re.findall(r"^\+ (\S*/)?(nm|eu-addr2line|objdump|readelf) (.*)", stderr, re.M)
    return [f"{tool} {re.sub(r'(0x[0-9a-f]+ ?)+|/tmp/[^/]+', '#', rest)}" for _, tool, rest in shown]


def test_the_tools_are_asked_once_for_a_kernel_and_not_for_a_crash(
    server: Server, run_cli: RunCli, tmp_path: Path
) -> None:
    few = tmp_path / "few"  # each bug once on each kernel
    grow(few, server.kernels.labs, 2 * BUGS, size=SMALL)
    smaller = server._replace(path=few).batch(run_cli, "-v")
    larger = server.batch(run_cli, "-v")
    assert Counter(commands(larger.stderr)) == Counter(commands(smaller.stderr))
    asked = Counter(commands(larger.stderr))
    for release in server.kernels.releases:
        vmlinux = next(server.kernels.root.glob(f"usr/lib/debug/lib/modules/{release}/vmlinux"))
        assert (
            sum(count for command, count in asked.items() if command.startswith("nm") and str(vmlinux) in command) == 1
        )
        lines = sum(n for command, n in asked.items() if command.startswith("eu-addr2line") and str(vmlinux) in command)
        assert 1 <= lines <= 4  # each for some pages of code, so that memory stays bounded


def test_the_answer_is_the_same_however_many_read(server: Server, lines: List[str], run_cli: RunCli) -> None:
    assert server.batch(run_cli, "--json", "--jobs", "1").stdout.splitlines() == lines


# ---------------------------------------------------------------- which crashes


def test_no_pages_of_no_crash(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "var/crash").mkdir(parents=True)
    done = run_cli("batch", "--since", "7d", "--html", tmp_path / "week", "--root", tmp_path)
    assert done.status == 1 and "no crash here" in done.stderr
    assert not (tmp_path / "week").exists()


def test_since_host_and_release(server: Server, rows: List[List[str]], run_cli: RunCli, tmp_path: Path) -> None:
    def paths(*options: str) -> List[str]:
        found = run_cli("batch", "--raw", "--root", tmp_path, *options, server.path)
        return [line.split("\t")[8] for line in found.stdout.splitlines()]

    middle = rows[len(rows) // 2][0]
    assert paths("--since", middle) == [row[8] for row in rows if row[0] >= middle]
    some = ("--host", "10.0.1?.7", "--host", "10.0.8.7")
    assert paths(*some) == [row[8] for row in rows if re.fullmatch(r"10\.0\.(1.|8)\.7", row[1])]
    other = server.kernels.releases[1]
    assert paths("--release", other) == [row[8] for row in rows if row[2] == other]
    assert paths("--since", "1w") == []


def test_nothing_that_fits_is_said(server: Server, run_cli: RunCli, tmp_path: Path) -> None:
    result = server.batch(run_cli, "--host", "nobody")
    assert (result.status, result.stdout) == (1, "")
    assert "no crash here that fits" in result.stderr
    assert run_cli("batch", tmp_path).status == 1
    wrong = run_cli("batch", "--since", "yesteryear", tmp_path)
    assert wrong.status == 2 and "--since yesteryear: not a time" in wrong.stderr
    assert run_cli("batch", "--raw", "--json", tmp_path).status == 2


# ---------------------------------------------------------------- on the way


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_what_was_done_and_says_what_is_left(
    number: signal.Signals, server: Server, tmp_path: Path
) -> None:
    many, out = tmp_path / "many", tmp_path / "out"
    count = len(grow(many, server.kernels.labs, 900, size=SMALL))
    argv = [sys.executable, "-m", "kdumpwrap", "batch", "--raw", "--root", str(tmp_path), str(many)]
    with out.open("wb") as file:
        process = subprocess.Popen(
            argv,
            stdout=file,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env=environment(),
            start_new_session=True,
        )
        while not out.stat().st_size and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None  # rows come while there is work left
        os.killpg(process.pid, number)  # as a terminal and systemd do: the workers get it too
        _, said = process.communicate(timeout=60)
    rows = out.read_text().splitlines()
    assert process.returncode == 128 + number
    assert 0 < len(rows) < count
    assert all(row.count("\t") == 8 for row in rows)
    assert f"interrupted: {count - len(rows)} of {count} crashes are left" in said
    assert "Traceback" not in said


@pytest.fixture
def stalled(server: Server, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts a batch whose reader does not read, and comes back when it waits for that."""
    begun: List[subprocess.Popen[bytes]] = []

    def start(*before: str, env: Optional[Dict[str, str]] = None) -> "subprocess.Popen[bytes]":
        argv = [*before, sys.executable, "-m", "kdumpwrap", "batch", "--json", "--root", str(tmp_path)]
        argv.append(str(server.path))
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(env or {}))
        begun.append(process)
        for _ in range(600):
            if "pipe_write" in Path(f"/proc/{process.pid}/wchan").read_text():
                break
            assert process.poll() is None
            time.sleep(0.05)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGHUP]], ids=["one", "two at once"])
def test_a_signal_cuts_no_line(
    signals: List[signal.Signals], unbuffered: str, stalled: Callable[..., "subprocess.Popen[bytes]"]
) -> None:
    process = stalled(env={"PYTHONUNBUFFERED": unbuffered})
    for number in signals:
        process.send_signal(number)
    time.sleep(0.2)
    lines = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode in [128 + number for number in signals]  # the kernel hands over the lower one first
    assert 0 < len([json.loads(line) for line in lines]) < 100


def test_a_signal_that_is_ignored_stays_so(server: Server, stalled: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    process = stalled("sh", "-c", 'trap "" HUP; exec "$@"', "sh")  # as nohup does
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
    lines = process.communicate(timeout=120)[0].splitlines()
    assert len([json.loads(line) for line in lines]) == len(server.cases)
    assert process.returncode in (0, 3)


def test_who_insists_need_not_wait_for_the_reader(stalled: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    process = stalled()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    assert process.wait(timeout=30) == 130


def test_memory_is_bounded(server: Server) -> None:
    def peak(command: str, target: Path) -> Tuple[int, int]:
        """Of Python, and of the largest tool; in MiB."""
        where = ["--root", str(server.kernels.root), str(target)]
        done = subprocess.run(
            [*MEASURED, sys.executable, "-c", PEAKS, command, "--json", *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            check=True,
        )
        ours, tools = done.stderr.splitlines()[-2].split()
        return int(ours) >> 10, int(tools) >> 10

    # the crash with the longest trace, on either kernel
    some = [name for name, case in server.cases.items() if case == "iptunnel"]
    releases = {release_of(finder.find(str(server.path / name))): name for name in some}
    alone = [peak("analyze", server.path / name)[1] for name in releases.values()]
    python, tool = peak("batch", server.path)
    assert python < 200
    assert len(alone) == 2
    assert tool < 1.1 * max(alone)  # eu-addr2line keeps a little of each unit that it was asked about


def test_progress_shows_on_a_terminal_only(server: Server, tmp_path: Path) -> None:
    few = tmp_path / "few"
    grow(few, server.kernels.labs, 10, size=SMALL)
    command = f"{sys.executable} -m kdumpwrap batch --root {tmp_path} {few}"
    shown = ran(["script", "-qec", f"{command} >{tmp_path}/out", "/dev/null"], env=environment())
    assert "10/10" in shown.stdout
    assert "10 bugs in 10 crashes" in (tmp_path / "out").read_text()


def test_the_pages_of_a_batch(server: Server, run_cli: RunCli, tmp_path: Path) -> None:
    assert server.batch(run_cli, "--html", str(tmp_path / "site")).status == 0
    assert len(list((tmp_path / "site").glob("*.html"))) == 1 + BUGS  # an index, and a page for each bug
