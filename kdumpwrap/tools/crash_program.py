"""The program crash(8): its path, its version, and the release of a dump, without a session."""

import re
import shutil
from pathlib import Path
from typing import Optional

from kdumpwrap.host.release import known
from kdumpwrap.parse import crash as parse
from kdumpwrap.tools import run
from kdumpwrap.tools.argv import options

PACKAGE = "crash"


def executable(tool: str) -> str:
    """The absolute path of ``tool``; raises ToolMissing."""
    found = shutil.which(tool)
    if found is None:
        raise run.missing(tool, PACKAGE)
    return str(Path(found).absolute())


def version(tool: str) -> Optional[str]:
    """``8.0.2``; None when the output of ``tool`` has no known form."""
    return parse.version(run.run(executable(tool), options("--version"), package=PACKAGE).text)


def osrelease(tool: str, vmcore: Path) -> Optional[str]:
    """The release of the kernel in ``vmcore``, from its header (no vmlinux is needed); None when it has none."""
    answer = run.run(executable(tool), [*options("--osrelease"), vmcore], ok=(0, 1), package=PACKAGE).text.strip()
    return known(answer) if re.match(r"\d+\.\d+", answer) else None
