"""Sessions with a crash that misbehaves: small programs that speak as crash(8) does until something happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Tuple

import pexpect
import pytest
from conftest import Result, environment
from fake_crash import BANNER, NEW_KERNEL, TASKS, TOO_OLD, UNMOVED, Fake

# ---------------------------------------------------------------- what is asked and shown


def test_each_answer_under_its_command(fake: Fake) -> None:
    fake.program(answer='say("answer to %s\\n" % command)')
    result = fake.run("-c", "bt -a", "-c", "log")
    assert result == Result(0, "crash> bt -a\nanswer to bt -a\n\ncrash> log\nanswer to log\n", "")
    assert fake.run("--raw", "-c", "bt -a", "-c", "log").stdout == "answer to bt -a\nanswer to log\n"


@pytest.mark.parametrize(
    ("command", "answer", "told"),  # as crash 8.0.2 answers
    [
        ("foo bar", "crash: command not found: foo\n", "command not found: foo"),
        ("sys -x", "sys: invalid option -- 'x'\nUsage:\n  sys [-c [name|number]]\n", "invalid option -- 'x'"),
        ("bt 99999", "bt: invalid task or pid value: 99999\n", None),
        ("bt", "bt: cannot transition from exception stack\nPID: 1\n", None),
        ("log", "[    1.000000] crash: command not found: foo\n", None),
    ],
)
def test_a_command_that_crash_refuses_is_a_problem(fake: Fake, command: str, answer: str, told: "str | None") -> None:
    fake.program(answer=f'say({answer!r} if command == {command!r} else "yes\\n")')
    result = fake.run("-c", command, "-c", "net")
    assert result.stdout == f"crash> {command}\n{answer}\ncrash> net\nyes\n"
    assert result.status == (3 if told else 0)
    hint = "hint: -c help, or -c 'help COMMAND'\n"
    assert result.stderr == (f"kdumpwrap: crash does not take `{command}`: {told}\n{hint}" if told else "")


def test_json_has_one_object_for_each_answer(fake: Fake) -> None:
    fake.program(answer='say("answer to %s\\n" % command)')
    rows, result = fake.answers("bt", "log")
    assert result.status == 0
    assert [list(row) for row in rows] == [["command", "output", "complete", "seconds"]] * 2
    assert [(row["command"], row["output"], row["complete"]) for row in rows] == [
        ("bt", "answer to bt\n", True),
        ("log", "answer to log\n", True),
    ]


def test_both_files_are_named_and_crashrc_is_not_read(fake: Fake) -> None:
    fake.program()
    fake.run("-c", "bt")
    words = fake.log.read_text().split()
    assert words[:2] == ["-s", "--no_crashrc"]
    assert words[-2:] == [str(fake.vmlinux), str(fake.crash / "vmcore")]


def test_without_a_terminal_the_commands_come_from_standard_input(fake: Fake) -> None:
    fake.program(answer='say("answer to %s\\n" % command)')
    result = fake.run("--raw", stdin="bt\n\n# a remark\n  log  \n")
    assert result.stdout == "answer to bt\nanswer to log\n"


@pytest.mark.parametrize(
    ("stdin", "arguments"),
    [("", ()), ("\n# nothing\n", ()), ("", ("-c", "bt\nlog")), ("", ("-c", "sym " + "x" * 1500)), ("", ("-c", "bt é"))],
    ids=["nothing", "no command", "two lines", "longer than crash takes", "not ASCII"],
)
def test_what_cannot_be_asked_is_wrong_usage(fake: Fake, stdin: str, arguments: Tuple[str, ...]) -> None:
    fake.program()
    result = fake.run(*arguments, stdin=stdin)
    assert result.status == 2
    assert fake.starts == []
    assert "Traceback" not in result.stderr


def test_an_unknown_rung_is_wrong_usage(fake: Fake) -> None:
    fake.program()
    assert fake.run("--rung", "highest", "-c", "bt").status == 2


def test_rung_forces_one(fake: Fake) -> None:
    fake.program()
    result = fake.run("--rung", "reduced", "-c", "sys")
    assert (result.status, fake.starts) == (0, ["--no_kmem_cache --no_modules"])


def test_a_prompt_in_an_answer_does_not_end_it(fake: Fake) -> None:
    text = "crash> log\ncrash> \nhexadecimal: 7\ncrash> eval 0x1\nQuit this debugging session? (y or n) "
    fake.program(answer=f"say({text!r}); time.sleep(1.5); say('the end\\n')")
    rows, result = fake.answers("log", "log")
    assert [row["output"] for row in rows] == [text + "the end\n"] * 2
    assert result.status == 0


def test_an_answer_may_end_without_a_newline_and_hold_carriage_returns(fake: Fake) -> None:
    fake.program(answer=r"say('a\r\nb\tc\x00\xff')")
    rows, _ = fake.answers("log")
    assert rows[0]["output"] == "a\r\nb\tc\0ÿ"


def test_an_answer_of_16_megabytes_arrives_whole(fake: Fake) -> None:
    fake.program(answer="for i in range(250000): sys.stdout.write('%062d\\n' % i)\nsay('crash> \\n')")
    start = time.monotonic()
    rows, result = fake.answers("rd x 1000000")
    output = str(rows[0]["output"])
    assert (result.status, len(output)) == (0, 250000 * 63 + 8)
    assert output.startswith("0" * 62 + "\n")
    assert output.endswith("249999\ncrash> \n")
    assert time.monotonic() - start < 20


def test_nothing_in_an_answer_reaches_the_terminal_as_an_escape(fake: Fake) -> None:
    fake.program(answer=r"say('\x1b]0;x\x07 [red] \x1b[31m\u202e\n')")
    for form in ((), ("--raw",), ("--json",)):
        result = fake.run(*form, "-c", "log")
        assert "\x1b" not in result.stdout + result.stderr
        assert "\u202e" not in result.stdout


# ---------------------------------------------------------------- what must not happen on the host


def test_crash_finds_no_gdbinit_and_leaves_no_core(fake: Fake, tmp_path: Path) -> None:
    """gdb reads ./.gdbinit and ~/.gdbinit in spite of --no_crashrc."""
    fake.program(answer="say('%s %s %s\\n' % (os.getcwd(), os.environ['HOME'], os.listdir('.')))")
    work = tmp_path / "work"
    work.mkdir()
    (work / ".gdbinit").write_text("shell touch here\n")
    words = fake.run("--raw", "-c", "pwd", cwd=work).stdout.split()
    assert words[0] != str(work)
    assert words[1] not in (str(work), os.environ.get("HOME"))
    assert words[2] == "[]"
    assert not Path(words[0]).exists()
    fake.program(answer="import resource; say('%s\\n' % (resource.getrlimit(resource.RLIMIT_CORE),))")
    assert fake.run("--raw", "-c", "x").stdout == "(0, 0)\n"


def test_when_memory_runs_out_the_kernel_takes_crash_first(fake: Fake) -> None:
    fake.program(answer="say(open('/proc/self/oom_score_adj').read())")
    assert fake.run("--raw", "-c", "x").stdout == "1000\n"


def test_a_file_that_a_command_wrote_is_kept_and_named(fake: Fake) -> None:
    fake.program(answer="open('log.txt', 'w').write('x')")
    result = fake.run("-c", "log > log.txt")
    path = Path(result.stderr.split("crash wrote ")[1].splitlines()[0])
    try:
        assert (result.status, path.read_text()) == (0, "x")
    finally:
        path.unlink()
        path.parent.rmdir()
        path.parent.parent.rmdir()


@pytest.mark.parametrize("name", ["a b", "x@ffff", "x|y", "x;touch z"])
def test_a_path_that_crash_would_read_as_something_else_is_linked(fake: Fake, tmp_path: Path, name: str) -> None:
    fake.program(answer="say(' '.join(os.path.realpath(a) for a in args[-2:]) + '\\n')")
    directory = tmp_path / name
    fake.crash.rename(directory)
    fake.crash = directory
    result = fake.run("--raw", "-c", "x")
    assert result.stdout == f"{fake.vmlinux} {directory / 'vmcore'}\n"
    assert not set("@|; ") & set(fake.log.read_text().split(" --no_crashrc ")[1].strip().replace(" ", "", 1))


def test_links_to_two_files_of_one_name_are_two(fake: Fake, tmp_path: Path) -> None:
    fake.program(answer="say(' '.join(os.path.realpath(a) for a in args[-2:]) + '\\n')")
    fake.vmlinux = fake.vmlinux.rename(tmp_path / "a;b")
    vmcore = tmp_path / "x y" / "a;b"
    vmcore.parent.mkdir()
    (fake.crash / "vmcore").rename(vmcore)
    fake.crash = vmcore
    assert fake.run("--raw", "-c", "x").stdout == f"{fake.vmlinux} {vmcore}\n"


# ---------------------------------------------------------------- the ladder

DIES = {
    "its message": "say('crash: cannot allocate any more memory!\\n'); sys.exit(1)",
    "gdb's question": (
        "say('utils.c:671: internal-error: virtual memory exhausted: can\\'t allocate 163066556 bytes.\\n"
        "A problem internal to GDB has been detected,\\nfurther debugging may prove unreliable.\\n"
        "Quit this debugging session? (y or n) ')\n"
        "while sys.stdin.readline().strip() != 'y': say('Please answer y or n.\\n(y or n) ')\n"
        "sys.exit(1)"
    ),
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("how", DIES)
def test_it_steps_down_when_crash_dies_of_memory_at_its_start(fake: Fake, how: str) -> None:
    lines = DIES[how].replace("\n", "\n    ")
    fake.program(start=f"if not minimal:\n    {lines}", answer="say('the log\\n')")
    rows, result = fake.answers("log", "bt")
    assert fake.starts == ["", "--no_kmem_cache --no_modules", "--minimal"]
    assert [(row["command"], row["complete"]) for row in rows] == [("log", True), ("bt", False)]
    assert result.status == 3
    assert "crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone" in result.stderr
    assert ("was killed" if how == "SIGKILL" else "not enough memory") in result.stderr.splitlines()[0]


@pytest.mark.parametrize("how", DIES)
def test_what_kills_crash_is_asked_lower_and_the_rest_once_more(fake: Fake, how: str) -> None:
    lines = DIES[how].replace("\n", "\n    ")
    fake.program(answer=f"if command == 'bt -a':\n    say('PID: 1\\n')\n    {lines}\nelse:\n    say('whole\\n')")
    rows, result = fake.answers("sys", "bt -a", "log")
    assert fake.starts == ["", "", "--no_kmem_cache --no_modules", "--minimal"]
    assert [row["complete"] for row in rows] == [True, False, True]
    assert str(rows[1]["output"]).startswith("PID: 1\n")  # the piece is kept
    assert [row["output"] for row in rows[::2]] == ["whole\n"] * 2
    assert result.status == 3
    assert "the answer to `bt -a` is cut off or not to be trusted" in result.stderr


@pytest.mark.parametrize(
    ("rung", "command", "output", "whole"),
    [
        ("plain", "bt -a", "PID: 1\n", True),
        ("reduced", "bt -a", "PID: 1\n", False),
        ("zero-excluded", "foreach bt", "PID: 1\n", False),
        ("reduced", "log", "x: symbol not found: y\n", True),
        ("reduced", "kmem -i", "TOTAL MEM\n", True),
        ("reduced", "kmem ffff888100000000", "CACHE\n", False),
        ("reduced", "kmem", "?\n", False),
        ("reduced", "dis schedule", "0xffffffff81000000 <schedule>\n", True),
        ("reduced", "dis wan_next_seq", "symbol not found: wan_next_seq\n", False),
        ("minimal", "sym ffffffffc0629512", "sym: invalid address: ffffffffc0629512\n", False),
        ("minimal", "sym -l", "ffffffff81000000 (T) _text\n", False),
        ("minimal", "sym linux_banner", "ffffffff82000000 (R) linux_banner\n", True),
        ("plain", "rd 8", 'rd: seek error: kernel virtual address: 8  type: "64-bit KVADDR"\n', True),
    ],
)
def test_an_answer_without_what_its_rung_lacks_is_not_whole(
    fake: Fake, rung: str, command: str, output: str, whole: bool
) -> None:
    fake.program(answer=f"say({output!r})")
    rows, result = fake.answers(command, options=("--rung", rung))
    assert (rows[0]["complete"], rows[0]["output"], result.status) == (whole, output, 0 if whole else 3)
    assert whole or f"the answer to `{command}` is " in result.stderr
    assert "truncated" not in result.stderr


def test_of_two_answers_that_are_not_whole_the_one_of_an_orderly_run_is_shown(fake: Fake) -> None:
    answer = "say('cut')\nif '--no_modules' not in args: os.kill(os.getpid(), signal.SIGKILL)\nsay(' not at all\\n')"
    fake.program(answer=answer)
    rows, result = fake.answers("bt")
    assert fake.starts == ["", "--no_kmem_cache --no_modules"]
    assert (rows[0]["output"], rows[0]["complete"], result.status) == ("cut not at all\n", False, 3)
    assert "the answer to `bt` is cut off or not to be trusted: crash knows nothing of modules" in result.stderr


def test_answers_of_a_broken_run_are_not_whole_even_before_it_broke(fake: Fake) -> None:
    """Every start dies at the same command, so what came before was never said by a run that ended well."""
    fake.program(answer="say('whole\\n')\nif command == 'bt': sys.exit(1)")
    rows, result = fake.answers("log", "bt", options=("--rung", "plain"))
    assert [row["complete"] for row in rows] == [True, False]  # log was asked again, alone
    assert fake.starts == ["", ""]
    fake.log.unlink()
    fake.program(answer="say('whole\\n')", start="import atexit; atexit.register(os._exit, 1)")
    rows, result = fake.answers("log", options=("--rung", "plain"))
    assert (rows[0]["output"], rows[0]["complete"]) == ("whole\n", False)
    assert result.status == 3


def test_memory_that_runs_out_in_an_answer_without_crash_dying(fake: Fake) -> None:
    fake.program(answer="say('PID: 1\\nbt: cannot allocate any more memory!\\n' if command == 'bt' else 'whole\\n')")
    rows, result = fake.answers("bt", "log")
    assert [row["complete"] for row in rows] == [False, True]
    assert result.status == 3
    assert "not enough memory" in result.stderr


INCOMPLETE = "WARNING: vmcore:\n         This dumpfile is incomplete.  This may cause the crash session\n"
MISSING = 'page incomplete: kernel virtual address: ffffffff98e39720  type: "possible"\n'


def test_an_incomplete_dump_is_read_with_zeros_but_its_answers_are_not_trusted(fake: Fake) -> None:
    """Seen: with --zero_excluded bt says "(no stack)" where the pages of the stack are missing; the log was whole."""
    dies = f"say({'crash: ' + MISSING!r}); sys.exit(1)"
    start = f"say({INCOMPLETE!r})\nif not minimal and '--zero_excluded' not in args: {dies}"
    fake.program(start=start, answer="say('of %s\\n' % ('least' if minimal else 'zeros'))")
    rows, result = fake.answers("bt", "log")
    zeros = "--no_kmem_cache --no_modules --zero_excluded"
    assert fake.starts == ["", zeros, "--minimal"]
    assert [(row["output"], row["complete"]) for row in rows] == [("of zeros\n", False), ("of least\n", True)]
    assert result.status == 3
    assert "is incomplete: it was not written to its end" in result.stderr.splitlines()[0]


def test_an_incomplete_dump_that_crash_can_start_on_is_named_all_the_same(fake: Fake) -> None:
    fake.program(start=f"say({INCOMPLETE!r})", answer=f"say('bt: ' + {MISSING!r} if command == 'bt' else 'x\\n')")
    rows, result = fake.answers("log", "bt")
    assert [row["complete"] for row in rows] == [True, False]
    assert (fake.starts, result.status) == ([""], 3)
    assert "is incomplete: it was not written to its end" in result.stderr.splitlines()[0]


def test_another_kernels_vmlinux_is_noticed_with_minimal_too(fake: Fake) -> None:
    """``crash --minimal`` itself starts with any vmlinux, and answers from wrong addresses."""
    fake.program(banner=BANNER.replace("#1", "#2"))
    rows, result = fake.answers("log", options=("--rung", "minimal"))
    assert (result.status, rows[0]["complete"], rows[0]["output"]) == (1, False, "")
    assert f"{fake.vmlinux} is another kernel's vmlinux" in result.stderr


# ---------------------------------------------------------------- causes


@pytest.mark.parametrize(
    ("start", "version", "line"),
    [
        ("crash: cannot determine length of symbol: log_end", "7.2.3", "crash 7.2.3 is too old for kernel 5.14.0"),
        ("crash: invalid structure member offset: task_struct_state", "7.3.0", "which needs 8.0.0 or newer"),
        ("crash: invalid structure size: task_struct", "8.0.4", "crash 8.0.4 does not know kernel 5.14.0"),
        ("diskdump: uncompress failed: no zstd compression support", "7.3.1", "crash 7.3.1 is too old for a zstd dump"),
        ("diskdump: uncompress failed: no lzo compression support", "8.0.4", "cannot unpack the dump"),
        ("crash: something new", "8.0.4", "crash failed: crash: something new"),
    ],
)
def test_one_line_says_why(fake: Fake, start: str, version: str, line: str) -> None:
    fake.program(start=f"say({start!r} + '\\n'); sys.exit(1)", version=version)
    result = fake.run("-c", "bt")
    assert (result.status, result.stdout) == (1, "")
    assert line in result.stderr.splitlines()[0]
    assert result.stderr.count("kdumpwrap: ") == 1


def test_a_crash_that_is_too_old_for_the_kernels_modules_starts_without_them(fake: Fake) -> None:
    fake.program(start=f"if '--no_modules' not in args:\n    say({TOO_OLD!r}); sys.exit(1)", answer="say('#0 x\\n')")
    rows, result = fake.answers("bt", "log", "mod")
    assert fake.starts == ["", "--no_kmem_cache --no_modules"]
    assert [(row["command"], row["complete"]) for row in rows] == [("bt", False), ("log", True), ("mod", False)]
    assert result.status == 3
    lines = result.stderr.splitlines()
    assert lines[0] == "kdumpwrap: crash 8.0.2 is too old for kernel 5.14.0-503.el9.x86_64, which needs 8.0.4 or newer"
    assert lines[1].startswith("hint: crash 8.0.4 or newer: ") and "crash-utility" in lines[1]
    assert "without slab caches (kmem -s) and modules" in lines[2]
    assert "the answer to `bt` is cut off or not to be trusted: crash knows nothing of modules" in result.stderr


def test_a_crash_that_is_too_old_altogether_answers_what_minimal_can(fake: Fake) -> None:
    fake.program(start=f"if not minimal:\n    say({TOO_OLD!r}); sys.exit(1)")
    rows, result = fake.answers("bt", "log", "ps -m")
    assert fake.starts == ["", "--no_kmem_cache --no_modules", "--minimal"]
    assert [(row["command"], row["complete"]) for row in rows] == [("bt", False), ("log", True), ("ps -m", False)]
    assert result.status == 3
    assert "kdumpwrap: crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone" in result.stderr
    assert "the answers to `bt`, `ps -m` are missing: not available with --minimal" in result.stderr


def test_a_kernel_that_crash_does_not_know_to_be_moved(fake: Fake) -> None:
    fake.program(start=NEW_KERNEL)
    rows, result = fake.answers("bt", "log")
    reduced, least = "--no_kmem_cache --no_modules", "--minimal"
    assert fake.starts == ["", "-d1", "--kaslr=auto", f"{reduced} --kaslr=auto", f"{least} --kaslr=auto"]
    assert [(row["command"], row["complete"]) for row in rows] == [("bt", False), ("log", True)]
    assert result.status == 3
    assert result.stderr.count("is too old for kernel") == 1
    assert "crash ran as minimal (--minimal), with log, dis, rd, sym, eval and set alone" in result.stderr


def test_a_dump_without_tasks_of_a_kernel_that_crash_knows_was_filtered_too_far(fake: Fake) -> None:
    fake.program(start=f"say({TASKS!r})", answer="say('#0 x\\n')", version="8.0.6")
    rows, result = fake.answers("bt")
    assert fake.starts == [""]
    assert [(row["output"], row["complete"]) for row in rows] == [("#0 x\n", True)]
    assert result.status == 3
    assert (
        "vmcore was filtered too far (crash: cannot read pid struct from xarray)\nhint: makedumpfile" in result.stderr
    )
    assert "too old" not in result.stderr


def test_a_dump_without_the_first_page_that_crash_reads_is_truncated(fake: Fake) -> None:
    fake.program(start=f"if not minimal:\n    say({UNMOVED!r}); sys.exit(1)")
    rows, result = fake.answers("log")
    assert fake.starts == ["", "--kaslr=auto", "--minimal --kaslr=auto"]
    assert [row["complete"] for row in rows] == [True]
    assert "vmcore is truncated (crash: seek error: kernel virtual address: ffffffff825545a8" in result.stderr


def test_a_crash_whose_gdb_breaks_down_in_an_answer_is_asked_lower(fake: Fake) -> None:
    fake.program(answer='say("   <segmentation violation in gdb>\\n\\n" if not minimal else "whole\\n")')
    rows, result = fake.answers("log", "bt")
    assert fake.starts == ["", "--minimal"]
    assert (rows[0]["output"], rows[0]["complete"]) == ("whole\n", True)
    assert not rows[1]["complete"]
    assert "crash 8.0.2 does not know kernel" in result.stderr


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGABRT, "broke down (signal 6)"), (signal.SIGKILL, "was killed")]
)
def test_an_end_of_its_own_making_is_not_put_down_to_memory(fake: Fake, number: int, said: str) -> None:
    fake.program(answer=f"os.kill(os.getpid(), {int(number)})")
    _, result = fake.answers("bt", options=("--rung", "plain"))
    assert f"kdumpwrap: crash {said}" in result.stderr
    assert ("out of memory" in result.stderr) == (number == signal.SIGKILL)


def test_crash_is_not_there(fake: Fake) -> None:
    result = fake.run_cli(
        "crash", fake.crash, "--vmlinux", fake.vmlinux, "-c", "bt", env={**fake.tools.alone, "CRASH": None}
    )
    assert result.status == 1
    assert result.stderr.startswith("kdumpwrap: crash is not installed\nhint: ")


def test_the_environment_names_another_crash(fake: Fake, tmp_path: Path) -> None:
    fake.program(answer="say('mine\\n')")
    mine = tmp_path / "tools" / "my-crash"
    (tmp_path / "tools" / "crash").rename(mine)
    args = ("crash", fake.crash, "--vmlinux", fake.vmlinux, "--raw", "-c", "x")
    assert fake.run_cli(*args, env={"CRASH": str(mine)}).stdout == "mine\n"


def test_a_command_that_never_ends_is_interrupted_and_the_others_answered(fake: Fake) -> None:
    forever = (
        "say('1\\n')\ntry:\n    while command == 'repeat 1': time.sleep(0.1)\nexcept KeyboardInterrupt: say('\\n')"
    )
    fake.program(answer=forever)
    rows, result = fake.answers("repeat 1", "log", options=("--timeout", "2"))
    assert [row["complete"] for row in rows] == [False, True]
    assert fake.starts == [""]  # it came back, nothing had to be killed
    assert str(rows[0]["output"]).startswith("1\n")
    assert result.status == 3
    assert "crash did not answer within 2 s (time limit)" in result.stderr


def test_a_command_that_ends_by_our_interrupt_has_met_the_time_limit(fake: Fake) -> None:
    fake.program(answer="say('half'); signal.signal(signal.SIGINT, signal.SIG_DFL); time.sleep(1000)")
    rows, result = fake.answers("bt", options=("--rung", "reduced", "--timeout", "1"))
    assert [(row["output"], row["complete"]) for row in rows] == [("half", False)]
    assert "kdumpwrap: crash did not answer within 1 s (time limit)\n" in result.stderr
    assert "killed" not in result.stderr


def test_a_start_that_never_ends(fake: Fake) -> None:
    fake.program(start="say('reading\\n'); time.sleep(1000)")
    result = fake.run("--timeout", "1", "-c", "bt")
    assert (result.status, result.stdout) == (1, "")
    assert "crash did not answer within 1 s (time limit)" in result.stderr.splitlines()[0]


def test_nothing_that_crash_started_outlives_it(fake: Fake, tmp_path: Path) -> None:
    """Deaf to Ctrl-C, with a child that keeps the terminal open."""
    pids = tmp_path / "pids"
    deaf = (
        "import subprocess; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        f"open({str(pids)!r}, 'a').write('%d %d ' % (os.getpid(), child.pid))\n"
        "time.sleep(1000)"
    )
    fake.program(answer=deaf)
    result = fake.run("--timeout", "1", "--rung", "plain", "-c", "x")
    assert result.status == 1
    time.sleep(0.2)
    for pid in pids.read_text().split():
        stat = Path(f"/proc/{pid}/stat")
        assert not stat.exists() or stat.read_text().split(") ")[1].startswith("Z")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "is not a kernel dump: it is empty"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0" + bytes(99), "but an ELF file of another kind"),
    ],
    ids=["empty", "an executable"],
)
def test_what_crash_would_take_for_something_else_is_not_given_to_it(fake: Fake, content: bytes, line: str) -> None:
    fake.program()
    (fake.crash / "vmcore").write_bytes(content)
    result = fake.run("-c", "bt")
    assert (result.status, fake.starts) == (1, [])
    assert line in result.stderr


def test_a_fifo_is_not_opened(fake: Fake) -> None:
    fake.program()
    (fake.crash / "vmcore").unlink()
    os.mkfifo(fake.crash / "vmcore")
    result = fake.run("-c", "bt")
    assert (result.status, fake.starts) == (1, [])


# ---------------------------------------------------------------- at a terminal


def test_a_session_at_the_terminal(fake: Fake) -> None:
    fake.program(answer="say('%s %s\\n' % (command, os.get_terminal_size().columns))")
    args = ["-m", "kdumpwrap", "crash", str(fake.crash), "--vmlinux", str(fake.vmlinux)]
    env = {**environment(fake.tools.first), "TERM": "xterm"}
    with pexpect.spawn(sys.executable, args, env=env, timeout=20, dimensions=(24, 77)) as user:
        user.expect_exact("crash> ")
        user.send("width\r")
        user.expect_exact("width 77\r\n")
        user.setwinsize(50, 133)
        time.sleep(0.3)
        user.send("width\r")
        user.expect_exact("width 133\r\n")
        user.send("quit\r")
        user.expect(pexpect.EOF)
        user.wait()
        assert user.exitstatus == 0


def test_a_session_whose_crash_breaks_down_ends_with_3(fake: Fake) -> None:
    fake.program(answer="os.kill(os.getpid(), signal.SIGKILL)")
    args = ["-m", "kdumpwrap", "crash", str(fake.crash), "--vmlinux", str(fake.vmlinux)]
    with pexpect.spawn(sys.executable, args, env=environment(fake.tools.first), timeout=20) as user:
        user.expect_exact("crash> ")
        user.send("bt\r")
        user.expect_exact("crash was killed (signal 9)")
        user.expect(pexpect.EOF)
        user.wait()
        assert user.exitstatus == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_us_takes_crash_with_it_and_leaves_nothing(
    fake: Fake, number: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C, systemd's stop, the end of an ssh session."""
    fake.program(answer=f"open({str(fake.path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(1000)")
    args = [sys.executable, "-m", "kdumpwrap", "crash", str(fake.crash), "--vmlinux", str(fake.vmlinux), "-c", "x"]
    (tmp_path / "private").mkdir()
    env = environment({**fake.tools.first, "TMPDIR": str(tmp_path / "private")})
    with subprocess.Popen(args, env=env, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as it:
        for _ in range(200):
            if (fake.path / "pid").exists() and (fake.path / "pid").read_text():
                break
            time.sleep(0.1)
        assert list((tmp_path / "private").iterdir())
        it.send_signal(number)
        _, stderr = it.communicate(timeout=20)
    assert (it.returncode, b"Traceback" in stderr) == (128 + number, False)
    assert not list((tmp_path / "private").iterdir())
    assert not Path(f"/proc/{(fake.path / 'pid').read_text()}").exists()


def test_a_crash_that_ends_in_the_middle_of_an_answer_with_status_0(fake: Fake) -> None:
    fake.program(answer="say('half an answer\\n')\nif command == 'log': sys.exit(0)")
    rows, result = fake.answers("bt", "log", options=("--rung", "plain"))
    assert [row["complete"] for row in rows] == [True, False]
    assert result.status == 3
    assert (
        "the answer to `log` is cut off or not to be trusted: crash ended in the middle of the answer" in result.stderr
    )


def test_a_crash_that_was_told_to_quit(fake: Fake) -> None:
    fake.program(answer="say('bye\\n')\nif command == 'q': sys.exit(0)")
    rows, _ = fake.answers("bt", "q", options=("--rung", "plain"))
    assert [row["complete"] for row in rows] == [True, True]


def test_an_answer_without_end(fake: Fake) -> None:
    fake.program(answer="while command == 'log': say('x' * 99999 + '\\n')\nsay('whole\\n')")
    rows, result = fake.answers("bt", "log", options=("--rung", "plain"))
    assert [row["complete"] for row in rows] == [True, False]
    assert len(str(rows[1]["output"])) <= 1 << 20
    assert result.status == 3 and "crash printed more than 64 MiB" in result.stderr
