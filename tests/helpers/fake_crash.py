"""A crash(8) that misbehaves: a small program that speaks as crash does until something happens."""

import json
import sys
from pathlib import Path
from typing import List, Tuple

import pytest
from conftest import TESTS, Result, RunCli, ToolDir

RELEASE = "5.14.0-503.el9.x86_64"
BANNER = f"Linux version {RELEASE} (mockbuild@x) (gcc) #1 SMP PREEMPT_DYNAMIC Thu Nov 14"

# speaks like crash 8.0.2: its prompt, eval, quit; `start` and `answer` say what is special about it
CRASH = """#!{python}
import os, signal, sys, time
args = sys.argv[1:]
if args == ["--version"]:
    print("\\ncrash {version}"); sys.exit(0)
if args[:1] == ["--osrelease"]:
    print("{release}"); sys.exit(0)
with open({log!r}, "a") as file:
    file.write(" ".join(args) + "\\n")
minimal = "--minimal" in args
def say(text):
    sys.stdout.write(text); sys.stdout.flush()
modules = {{"mod": "", "mod -t": ""}}
{start}
while True:
    say("crash> ")
    line = sys.stdin.readline()
    command = line.strip()
    if not line:
        sys.exit(1)
    if command == "quit":
        sys.exit(0)
    if command.startswith("eval 0x"):
        say("hexadecimal: %s  \\n    decimal: 7  \\n      octal: 7\\n     binary: 0111\\n" % command[7:])
    elif command in modules:
        say(modules[command])
    elif command == "rd -a linux_banner":
        say("ffffffff82000000:  {banner}\\n")
    elif minimal and command.split()[0] not in ("log", "sym"):
        say("crash: %s: command not available in minimal mode\\n" % command.split()[0])
    else:
{answer}
"""
ANSWER = 'say("%s of %s\\n" % (command, os.getpid()))'


class Fake:
    """A crash directory, and a crash program for it."""

    def __init__(self, path: Path, tools: ToolDir, run_cli: RunCli) -> None:
        self.path, self.tools, self.run_cli = path, tools, run_cli
        self.log = path / "starts"
        self.vmlinux = path / "vmlinux"
        self.vmlinux.write_text(f"\0{BANNER}\n\0")
        self.crash = path / "127.0.0.1-2024-11-14-10:00:00"
        self.crash.mkdir()
        (self.crash / "vmcore").write_bytes(b"KDUMP   " + bytes(100))

    def program(
        self,
        start: str = "",
        answer: str = ANSWER,
        *,
        version: str = "8.0.2",
        banner: str = BANNER,
        release: str = RELEASE,
    ) -> None:
        indented = "".join(f"        {line}\n" for line in answer.splitlines())
        body = CRASH.format(
            python=sys.executable,
            version=version,
            release=release,
            log=str(self.log),
            start=start,
            answer=indented,
            banner=banner,
        )
        self.tools.fake("crash", body)

    def run(self, *arguments: str, stdin: str = "", cwd: "Path | None" = None) -> Result:
        args = ("--vmlinux", str(self.vmlinux), *arguments)
        return self.run_cli("crash", self.crash, *args, env=self.tools.first, stdin=stdin, cwd=cwd, timeout=60)

    def answers(self, *commands: str, options: Tuple[str, ...] = ()) -> "Tuple[List[dict[str, object]], Result]":
        asked = [word for command in commands for word in ("-c", command)]
        result = self.run("--json", *options, *asked)
        return [json.loads(line) for line in result.stdout.splitlines()], result

    @property
    def starts(self) -> List[str]:
        """The options of each start."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [" ".join(line.split()[2:-2]) for line in lines]


@pytest.fixture
def fake(tmp_path: Path, tool_dir: ToolDir, run_cli: RunCli) -> Fake:
    return Fake(tmp_path, tool_dir, run_cli)


# crash 8.0.2 and 5.14.0-570.el9: struct module has no core_size, its memory is in struct module_memory
TOO_OLD = """crash: invalid structure member offset: module_core_size
       FILE: kernel.c  LINE: 3787  FUNCTION: module_init()

"""

# crash 8.0.2 and 6.12.117: it does not notice that the kernel was moved, does not know its modules, loses its tasks
UNMOVED = (TESTS / "data/crash/start-unmoved-d1.txt").read_text()
TASKS = (TESTS / "data/crash/start-tasks-unread.txt").read_text()
NEW_KERNEL = f"""if "--kaslr=auto" not in args:
    say({UNMOVED!r} if "-d1" in args else ""); sys.exit(1)
if not minimal and "--no_modules" not in args:
    say({TOO_OLD!r}); sys.exit(1)
if not minimal:
    say({TASKS!r})
"""
