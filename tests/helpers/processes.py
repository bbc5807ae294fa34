"""Programs that tests run, with what they printed as text."""

import re
import subprocess
from pathlib import Path
from typing import Mapping, Optional, Sequence, Union


def ran(
    argv: Sequence[Union[str, Path]],
    *,
    env: Optional[Mapping[str, str]] = None,
    cwd: Union[str, Path, None] = None,
    input: Optional[str] = None,
    timeout: Optional[float] = None,
    check: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """The program, when it has ended."""
    return subprocess.run(
        argv,
        env=env,
        cwd=None if cwd is None else str(cwd),
        input=input,
        timeout=timeout,
        check=check,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def build_id(file: Path) -> str:
    """The build id of an ELF file, as readelf prints it."""
    found = re.search(r"Build ID: ([0-9a-f]+)", ran(["readelf", "-n", file], check=True).stdout)
    assert found
    return found[1]
