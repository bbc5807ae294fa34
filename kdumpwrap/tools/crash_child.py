"""The process that becomes crash(8): its limits, terminal and environment."""

import os
import resource
import termios
from pathlib import Path
from typing import Dict, Optional

from kdumpwrap.tools import run


def prepare() -> None:
    """Forbid a core dump (250 MB when crash aborts), and let the OOM killer choose crash first."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(descriptor, b"1000")
        os.close(descriptor)
    except OSError:
        pass


def prepare_mute() -> None:
    """As ``prepare``, and a terminal without echo or output processing: readline follows the terminal in this."""
    prepare()
    mode = termios.tcgetattr(0)
    mode[1] &= ~termios.OPOST
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, mode)


def environment(home: Optional[Path]) -> Dict[str, str]:
    """The environment of crash with the private directory ``home``; None: with the user's home and terminal."""
    env = run.environment()
    env["MALLOC_ARENA_MAX"] = "1"  # else each thread of its gdb, one for a CPU, reserves 66 MB of address space
    if home is None:
        env["TERM"] = os.environ.get("TERM", "dumb")
    else:
        env["HOME"] = str(home)  # no ~/.gdbinit, ~/.inputrc: the same answers for everybody
    return env
