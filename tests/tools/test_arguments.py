"""Every argument that any program gets, for hostile crashes too: a path, an option of ours, or a gated word."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Pattern, Sequence, Tuple

import pytest
from conftest import RunCli

PACKAGE = Path(__file__).resolve().parent.parent.parent / "kdumpwrap"
WORD = re.compile(r"[.\w][.\w-]{0,511}", re.ASCII)
TOOLS = (
    *("nm", "addr2line", "eu-addr2line", "objdump", "readelf", "makedumpfile", "crash", "xz", "gzip", "bzip2", "zstd"),
    *("lz4", "rpm", "dpkg", "debuginfod-find", "gdb", "kdumpctl", "systemctl", "llvm-objdump", "objcopy", "rpm2cpio"),
    *("cpio", "tar", "dpkg-deb", "dpkg-query"),
)
LOADERS = ("dnf", "yum", "yumdownloader", "apt-get", "apt-cache")  # they would ask a network
# writes its arguments down and then is the real program
RECORDER = """#!{python}
import json, os, sys
with open({log!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
real = {real!r}
if not real: sys.exit(1)
os.execv(real, [real, *sys.argv[1:]])
"""


# ---------------------------------------------------------------- what is ours, by the source


class Call(NamedTuple):
    """A call of ``function`` in the package; ``text`` is its first argument, None when that is no literal."""

    where: str
    function: str
    texts: Tuple[str, ...]


def literals(node: ast.expr) -> Tuple[str, ...]:
    """The literals that ``node`` may be: one, or one of two; () for what is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.IfExp) and literals(node.body) and literals(node.orelse):
        return (*literals(node.body), *literals(node.orelse))
    return ()


def calls() -> Iterator[Call]:
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(), str(file))
        names = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "kdumpwrap.tools.argv"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                texts = literals(node.args[0]) if node.args else ()
                yield Call(f"{file.name}:{node.lineno}", names[node.func.id], texts)


def ours() -> Tuple[Pattern[str], ...]:
    """What an argument that the package makes itself looks like."""
    slot = r"(?:0x[0-9a-f]+|\d+|/[^\0]*|[.\w][.\w-]*)"
    found = set()
    for call in calls():
        for text in call.texts:
            if call.function == "option":
                found.add(slot.join(map(re.escape, re.split(r"\{[^{}]*\}", text))))
            elif call.function == "options":  # in which nothing is filled in
                found |= set(map(re.escape, text.split()))
    return tuple(map(re.compile, found))


def test_options_are_literals_and_words_are_made_in_one_place() -> None:
    seen = list(calls())
    assert len(seen) > 20
    assert not [call for call in seen if call.function in ("option", "options") and not call.texts]
    assert not [call for call in seen if call.function == "Word"], "only kdumpwrap.tools.argv makes a Word"
    outside = [
        file
        for file in PACKAGE.rglob("*.py")
        if re.search(r"\bsubprocess\.|\bos\.(?:exec|spawn|popen|system)|pexpect\.", file.read_text())
        and file.relative_to(PACKAGE).as_posix() not in ("tools/run.py", "tools/crash.py")
    ]
    assert not outside, "programs are started by tools/run.py and tools/crash.py alone"


# ---------------------------------------------------------------- what arrives, by running it


LOG = """\
[    0.000000] Linux version {release} (mockbuild@x) (gcc) #1 SMP
[  100.000000] BUG: unable to handle page fault for address: ffffb1c0c2345688
[  100.000002] Oops: 0002 [#1] PREEMPT SMP NOPTI
[  100.000003] CPU: 1 PID: 112 Comm: ping Tainted: G           OE     {release} #1
[  100.000004] RIP: 0010:{symbol}+0x10/0x41 [{module}]
[  100.000004] RAX: 0000000000000001 RBX: 0000000000000002 RCX: 0000000000000003
[  100.000004] Code: 48 8b 07 48 89 45 00 <48> 83 40 10 01 c3 90 90
[  100.000005] Call Trace:
[  100.000006]  {symbol}+0x20/0x41 [{module} {build_id}]
[  100.000006]  evil_xmit+0x20/0x41 [{module}]
[  100.000006]  iptunnel_xmit+0x2/0x7
[  100.000007] Modules linked in: {module}(OE) dm_mod
[  100.000008] Kernel panic - not syncing: Fatal exception
"""
HOSTILE = (
    "@/tmp/x",
    "@c",
    "-rf",
    "--plugin=/tmp/x.so",
    "$(id)",
    ";id",
    "|id",
    "a b",
    "../../x",
    "-",
    "@",
    "--",
    "x\x1b[2J",
)


def assemble(file: Path, section: str) -> None:
    """A module whose function evil_xmit lies in ``section``, with a line table."""
    lines = (f'.section "{section}","ax",@progbits', ".globl evil_xmit", ".type evil_xmit,@function", "evil_xmit:")
    tail = (".rept 64", "nop", ".endr", "ret", ".size evil_xmit,.-evil_xmit")
    text = "\n".join((".text", "nop", *lines, *tail, ""))
    subprocess.run(["as", "-g", "-o", file, "-"], input=text, universal_newlines=True, check=True)


@pytest.fixture
def recorded(tmp_path: Path) -> Tuple[Path, Dict[str, str]]:
    """The file in which arguments are written down, and the environment for it."""
    log, directory = tmp_path / "arguments", tmp_path / "programs"
    directory.mkdir()
    for tool in (*TOOLS, *LOADERS):
        real = shutil.which(tool) if tool in TOOLS else None
        (directory / tool).write_text(RECORDER.format(python=sys.executable, log=str(log), real=real))
        (directory / tool).chmod(0o755)
    return log, {"PATH": f"{directory}:/usr/bin:/bin", "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")}


def crash(top: Path, name: str, number: int, word: str) -> Path:
    """A crash directory ``name`` in which everything that has a name is called ``word``."""
    directory = top / name
    directory.mkdir(parents=True)
    values = {"release": "5.14.0-503.el9.x86_64", "symbol": "evil_xmit", "module": "evilmod", "build_id": "ab" * 20}
    values[list(values)[number % 4]] = word
    (directory / "vmcore-dmesg.txt").write_text(LOG.format(**values))
    for stem in ("evilmod", word.replace("/", "_")):
        assemble(directory / f"{stem}.ko", f"{word}/text")
    program = "int main(void){return 0;}\nvoid iptunnel_xmit(void){}\n"
    subprocess.run(
        ["gcc", "-g", "-x", "c", "-o", directory / "vmlinux", "-"], input=program, universal_newlines=True, check=True
    )
    return directory


def strange(arguments: Sequence[str], known: FrozenSet[Pattern[str]]) -> List[str]:
    return [
        one
        for one in arguments
        if not one.startswith("/") and not WORD.fullmatch(one) and not any(form.fullmatch(one) for form in known)
    ]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_each_argument_is_a_path_an_option_or_a_gated_word(
    run_cli: RunCli, tmp_path: Path, recorded: Tuple[Path, Dict[str, str]], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    log, env = recorded
    word = HOSTILE[number]
    top = tmp_path / "top"
    for turn, name in enumerate(("@c", "-d", "plain", "@c/@d")):
        crash(top, name, number + turn, word)
    (top / "vmcores").mkdir()
    (top / "vmcores/vmcore").write_bytes(b"KDUMP   " + bytes(9000))
    monkeypatch.chdir(top)
    for command in (
        ("analyze", "@c"),
        ("analyze", "--debuginfod", "./-d"),
        ("analyze", "--vmlinux", "@c/vmlinux", "--module-dir", "@c", "plain/vmcore-dmesg.txt"),
        ("analyze", "vmcores"),
        ("batch", "--variables", "."),
        (
            "resolve",
            "--vmlinux",
            "@c/vmlinux",
            "--module-dir",
            "@c",
            f"{word}+0x1",
            "evil_xmit+0x10/0x41 [evilmod]",
            "main+0x1",
        ),
        ("disasm", "--vmlinux", "@c/vmlinux", "--module-dir", "@c", "evil_xmit+0x10/0x41 [evilmod]"),
        ("annotate", "--vmlinux", "@c/vmlinux", "--module-dir", "@c", "@c"),
        ("analyze", "--vmlinux", "@c/vmlinux", "--with-crash", "vmcores"),
        ("fetch", "--dry-run", "plain" if number % 4 != 2 else "@c/@d"),  # whose release is one
        ("fetch", "--", word),
        ("pack", "--module-dir", "@c", "-o", "@pack", "@c"),
        ("analyze", "--fetch", "@pack"),
        ("doctor", "--fix"),
        ("crash", "--vmlinux", "@c/vmlinux", "vmcores", "-c", "bt"),
    ):
        done = run_cli(*command, env=env)
        assert done.status in (0, 1, 2, 3), done.stderr
        assert "Traceback" not in done.stderr
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    started = {row[0] for row in rows}
    assert {"nm", "readelf"} <= started and started & {*LOADERS}
    assert "gdb" in started or word == "|id"  # that is no module's name: no function of it is looked up
    known = frozenset(ours())
    found = {(row[0], *strange(row[1:], known)) for row in rows}
    assert not [one for one in found if len(one) > 1]
    # options stand only where the package wrote them: no word of the crash among them
    assert not [row for row in rows if word in row[1:]]
