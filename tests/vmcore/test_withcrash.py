"""``analyze --with-crash``: what is asked of crash(8) and what becomes of its answers, with recorded text."""

import json
from pathlib import Path
from typing import Dict, Tuple

import pytest
from conftest import RunCli, ToolDir
from fake_crash import RELEASE, Fake

RECORDED = Path(__file__).parent.parent / "data/crash"

# three tasks of ps -m that wait for a disk among others, in crash's order: by the time since they last ran
TASKS = """[0 00:00:00.000] [RU]  PID: 112      TASK: ffff8b6e9fe39800  CPU: 1    COMMAND: "ping"
[0 00:00:00.914] [IN]  PID: 1        TASK: ffff8b6e80a40000  CPU: 0    COMMAND: "systemd"
[0 00:02:03.500] [UN]  PID: 812      TASK: ffff8b6e80a41800  CPU: 0    COMMAND: "dd"
[1 01:00:00.250] [UN]  PID: 771      TASK: ffff8b6e80a43000  CPU: 1    COMMAND: "jbd2/sda1-8"
[0 00:00:09.125] [UN]  PID: 900      TASK: ffff8b6e80a44800  CPU: 0    COMMAND: "kworker/u4:2"
"""
LOG = f"""[    0.000000] Linux version {RELEASE} (mockbuild@x) (gcc) #1 SMP PREEMPT_DYNAMIC Thu Nov 14
[    3.500000] BUG: unable to handle page fault for address: ffff8b6e9fe39818
[    3.500001] #PF: supervisor write access in kernel mode
[    3.500002] Oops: 0003 [#1] PREEMPT SMP NOPTI
[    3.500003] CPU: 0 PID: 113 Comm: ping Tainted: G           OE     {RELEASE} #1
[    3.500004] RIP: 0010:iptunnel_xmit+0x203/0x210
[    3.500005] Call Trace:
[    3.500006]  <TASK>
[    3.500007]  send4+0x7a/0x170 [xxxwan]
[    3.500008]  vfs_write+0xbe/0x3f0
[    3.500009]  </TASK>
[    3.500010] Modules linked in: xxxwan(E) virtio
[    3.500011] CR2: ffff8b6e9fe39818
"""


@pytest.fixture
def fake(tmp_path: Path, tool_dir: ToolDir, run_cli: RunCli) -> Fake:
    return Fake(tmp_path, tool_dir, run_cli)


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.txt").read_text()


def learn(fake: Fake, changes: "Dict[str, str] | None" = None) -> "Tuple[Dict[str, object], list[str]]":
    """The facts as JSON and the commands that were asked, with recorded answers and ``changes`` to them."""
    (fake.crash / "vmcore-dmesg.txt").write_text(LOG)
    asked = fake.path / "asked"
    all_tasks = recorded("iptunnel-bt-a")
    answers = {
        "sys": recorded("iptunnel-sys"),
        "bt -s -l -x": all_tasks[all_tasks.index("PID: 112 ") :],
        "bt -a -s -l -x": all_tasks,
        "kmem -i": recorded("iptunnel-kmem-i"),
        "ps -m": TASKS,
        "kmem ffff8b6e9fe39818": recorded("iptunnel-kmem-task"),
        **(changes or {}),
    }
    modules = {"mod": recorded("iptunnel-mod"), "mod -t": recorded("iptunnel-mod-t")}
    fake.program(
        start=f"modules.update({modules!r})",
        answer=f"open({str(asked)!r}, 'a').write(command + '\\n')\nsay({answers!r}.get(command, 'crash: what?\\n'))",
    )
    args = ("analyze", "--with-crash", "--json", "--vmlinux", str(fake.vmlinux), str(fake.crash))
    result = fake.run_cli(*args, env=fake.tools.first)
    assert result.status == 3
    assert "Traceback" not in result.stderr
    value: Dict[str, object] = json.loads(result.stdout)["vmcore"]
    return value, asked.read_text().splitlines()


def test_each_question_becomes_a_fact(fake: Fake) -> None:
    facts, asked = learn(fake)
    assert asked == ["sys", "bt -s -l -x", "bt -a -s -l -x", "kmem -i", "ps -m", "kmem ffff8b6e9fe39818"]
    system, panic, slab = facts["system"], facts["panic_task"], facts["slab"]
    assert isinstance(system, dict)
    assert (system["nodename"], system["cpus"]) == ("wan-gw1", 2)
    assert isinstance(panic, dict)
    assert (panic["pid"], panic["comm"], panic["cpu"]) == (112, "ping", 1)
    assert isinstance(facts["other_cpus"], list)
    assert [task["comm"] for task in facts["other_cpus"]] == ["swapper/0"]
    assert isinstance(facts["memory"], list)
    assert {row["name"] for row in facts["memory"]} >= {"TOTAL MEM", "FREE", "SLAB", "COMMITTED"}
    assert facts["modules"] == [{"name": "xxxwan", "flags": "OE"}]
    assert isinstance(slab, dict)
    assert slab == {
        "cache": "task_struct",
        "object_size": 6144,
        "start": "0xffff8b6e9fe39800",
        "offset": "0x18",
        "allocated": True,
    }
    assert facts["log"] is None  # the log lay beside the vmcore


def test_of_the_tasks_those_in_uninterruptible_sleep_count_the_longest_first(fake: Fake) -> None:
    facts, _ = learn(fake)
    assert isinstance(facts["blocked"], list)
    assert [(task["pid"], task["comm"], task["state"], task["seconds"]) for task in facts["blocked"]] == [
        (771, "jbd2/sda1-8", "UN", 90000.25),
        (812, "dd", "UN", 123.5),
        (900, "kworker/u4:2", "UN", 9.125),
    ]


def test_where_the_log_and_crash_tell_it_differently_both_are_shown(fake: Fake) -> None:
    facts, _ = learn(fake)
    assert isinstance(facts["differences"], list)
    found = {one["what"]: (one["log"], one["crash"]) for one in facts["differences"]}
    assert found["pid"] == ("113", "112")
    assert found["cpu"] == ("0", "1")
    assert found["release"] == (RELEASE, "6.1.0-47-cloud-amd64")
    assert found["taint of xxxwan"] == ("E", "EO")
    assert found["call trace"][0] == "vfs_write+0xbe"  # send4 is in both
    assert "comm" not in found


def test_what_was_cut_off_becomes_no_fact(fake: Fake) -> None:
    cut = recorded("iptunnel-kmem-i")[:200] + "kmem: cannot allocate any more memory!\n"
    facts, _ = learn(fake, {"kmem -i": cut})
    assert facts["memory"] == []
    assert isinstance(facts["problems"], list)
    assert any("`kmem -i` is cut off" in problem["message"] for problem in facts["problems"])
    assert facts["panic_task"] is not None
