"""Running doctor in the tests: without root's rights, and where / looks like a tree."""

import json
import sys
from types import MappingProxyType
from typing import Dict, List, Mapping, Optional

import doctor_sandbox
from conftest import Result, ToolDir, environment
from doctor_hosts import Tree
from processes import ran

NOBODY = 65534
# run once as we are: then all is imported, also where nobody may not read the interpreter's own directory
AS_NOBODY = """
import contextlib, io, json, locale, os, resource, sys
import html, kdumpwrap.cli.app, kdumpwrap.log.reader, packaging.version  # of the tools, when they fail
sys.argv[0] = "kdumpwrap"
if os.geteuid() == 0:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            kdumpwrap.cli.app.main()
        except SystemExit:
            pass
    os.setgroups([])
    user = int(os.environ.pop("USER_ID"))
    os.setgid(user)
    os.setuid(user)
for name, value in json.loads(os.environ.pop("LIMITS")).items():
    resource.setrlimit(getattr(resource, name), (value, value))
kdumpwrap.cli.app.main()
"""
ENTER = """
set -eu
for directory in etc boot var sys proc/sys/kernel; do mount --bind "$TREE/$directory" "/$directory"; done
for file in cmdline iomem meminfo; do mount --bind "$TREE/proc/$file" "/proc/$file"; done
exec "$@"
"""


def as_nobody(
    *arguments: str,
    env: Optional[Mapping[str, Optional[str]]] = None,
    limits: Mapping[str, int] = MappingProxyType({}),  # "RLIMIT_NPROC": how many
    user: int = NOBODY,
) -> Result:
    command = [sys.executable, "-c", AS_NOBODY, *arguments]
    steers = {**environment(env), "LIMITS": json.dumps(dict(limits)), "USER_ID": str(user)}
    done = ran(command, env=steers, timeout=120)
    return Result(done.returncode, done.stdout, done.stderr)


def live(tree: Tree, tools: ToolDir) -> Dict[str, List[str]]:
    """``doctor --raw`` where / looks like the tree, with these tools first on PATH."""
    for name in ("kexec", "makedumpfile", "crash"):
        tools.fake(name, "echo 0.0")
    doctor = [sys.executable, "-m", "kdumpwrap", "doctor", "--raw"]
    command = [*doctor_sandbox.namespace(), "sh", "-c", ENTER, "enter", *doctor]
    env = {**environment(tools.first), "TREE": str(tree.path)}
    done = ran(command, env=env, timeout=60)
    assert done.stderr == ""
    return rows(Result(done.returncode, done.stdout, done.stderr))


def rows(result: Result) -> Dict[str, List[str]]:
    """``--raw`` by check; of several rows of one check the last."""
    return {row.split("\t")[0]: row.split("\t")[1:] for row in result.stdout.splitlines()}
