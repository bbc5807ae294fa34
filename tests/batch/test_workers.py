"""Work spread over processes: it ends when it is told to, whatever its processes are doing."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ToolDir, environment
from processes import ran

from kdumpwrap.batch import workers

CLOSED_EARLY = """
from kdumpwrap.batch import workers
found = workers.each(lambda number: "x" * 3000, range(20000), 2)
print(len(next(found)))
found.close()
"""


@pytest.mark.parametrize("before", ["", "trap '' TERM; "], ids=["", "SIGTERM ignored"])
def test_closed_with_full_pipes(before: str) -> None:
    argv = ["sh", "-c", f'{before}exec "$@"', "sh", sys.executable, "-c", CLOSED_EARLY]
    done = ran(argv, env=environment(), timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3000\n", "")


def test_too_few_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))
    try:
        assert list(workers.each(str, range(4000), 60)) == [*map(str, range(4000))]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_is_killed_costs_no_result() -> None:
    parent = os.getpid()

    def work(number: int) -> int:
        if number == 50 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert list(workers.each(work, range(200), 2)) == [*range(200)]


def test_sigterm_does_not_wait_for_a_tool(tool_dir: ToolDir, tmp_path: Path) -> None:
    nm = tool_dir.fake("nm", f"echo $$ >{tmp_path}/pid; exec sleep 100")
    argv = [sys.executable, "-m", "kdumpwrap", "analyze", "--example"]
    with subprocess.Popen(argv, env=environment({"NM": str(nm)}), stdout=subprocess.DEVNULL) as process:
        for _ in range(300):
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
                break
            time.sleep(0.1)
        start = time.monotonic()
        process.terminate()
        assert process.wait(60) == 143
        assert time.monotonic() - start < 20
    killed = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    for _ in range(100):
        if not killed.exists() or ") Z" in killed.read_text():  # nobody may have taken note of its end
            return
        time.sleep(0.1)
    pytest.fail("the tool goes on")
