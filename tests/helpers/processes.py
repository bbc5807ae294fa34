"""Programs that tests run, with what they printed as text."""

import errno
import os
import re
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence, Union


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


@contextmanager
def no_file_opens() -> Iterator[None]:
    """The block, in which this process can open no file: as many are open as may be."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, before[1]))
    try:
        while True:
            try:
                held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError as error:
                assert error.errno == errno.EMFILE
                break
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in held:
            os.close(descriptor)
