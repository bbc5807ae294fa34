"""doctor on the command line: its formats, its exit status, its words."""

import json
from pathlib import Path

import doctor_hosts
import doctor_ills
import pytest
from conftest import RunCli, ToolDir
from doctor_hosts import Tree

from kdumpwrap.doctor.examination import examine
from kdumpwrap.render import doctor as renderer
from kdumpwrap.render.text import COLOUR


@pytest.fixture
def ill(tmp_path: Path) -> Tree:
    """el9, not loaded, without debuginfo, and with a setting that is not applied."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    doctor_ills.not_loaded(tree, "el9")
    doctor_ills.no_debuginfo(tree, "el9")
    doctor_ills.no_sources(tree, "el9")
    doctor_ills.sysctl_file("softlockup_panic", "1")(tree, "el9")
    return tree


def test_raw_has_four_fields_a_row(ill: Tree, run_cli: RunCli) -> None:
    result = run_cli("doctor", "--raw", "--root", ill.path)
    table = [row.split("\t") for row in result.stdout.splitlines()]
    assert {len(row) for row in table} == {4}
    assert {row[1] for row in table} == {"ok", "warn", "fail"}
    assert [
        "loaded",
        "fail",
        "/sys/kernel/kexec_crash_loaded is 0: no capture kernel is loaded",
        "systemctl restart kdump",
    ] in table
    assert all(row[3] == "" for row in table if row[1] == "ok")
    assert "sources" not in [row[0] for row in table], "it follows from debuginfo"


def test_json_has_every_key(ill: Tree, run_cli: RunCli) -> None:
    result = run_cli("doctor", "--json", "--root", ill.path)
    (line,) = result.stdout.splitlines()
    diagnosis = json.loads(line)
    assert list(diagnosis) == ["schema", "ready", "host", "checks"]
    assert diagnosis["schema"] == "kdumpwrap/1"
    assert diagnosis["ready"] is False
    assert diagnosis["host"] == {
        "root": str(ill.path),
        "distribution": "CentOS Stream 9",
        "release": "5.14.0-503.16.1.el9_5.x86_64",
        "arch": "x86_64",
        "memory": 8589405184,
    }
    assert {tuple(check) for check in diagnosis["checks"]} == {
        ("check", "side", "status", "seen", "fix", "cause", "evidence")
    }
    by_name = {check["check"]: check for check in diagnosis["checks"]}
    assert by_name["sources"]["status"] == "skip"
    assert by_name["sources"]["cause"] == "debuginfo"
    assert by_name["loaded"]["fix"] == [{"what": "Load the capture kernel", "command": "systemctl restart kdump"}]
    assert by_name["loaded"]["evidence"] == ["/sys/kernel/kexec_crash_loaded"]


@pytest.mark.parametrize("format_", [(), ("--raw",), ("--json",), ("--fix",), ("-v",)])
def test_the_exit_status_is_the_answer_in_every_format(
    format_: "tuple[str, ...]", ill: Tree, tmp_path: Path, run_cli: RunCli
) -> None:
    healthy = doctor_hosts.build("el9", tmp_path / "healthy")
    assert run_cli("doctor", *format_, "--root", ill.path).status == 3
    assert run_cli("doctor", *format_, "--root", healthy.path).status == 0
    (tmp_path / "bare/etc").mkdir(parents=True)
    (tmp_path / "bare/usr/bin").mkdir(parents=True)
    for tool in ("nm", "objdump", "addr2line", "eu-addr2line", "crash", "makedumpfile", "kdumpctl", "kexec"):
        (tmp_path / "bare/usr/bin" / tool).touch()
    (tmp_path / "bare/etc/kdump.conf").touch()
    (tmp_path / "bare/var/crash").mkdir(parents=True)
    assert run_cli("doctor", *format_, "--root", tmp_path / "bare").status == 1


def test_a_warning_does_not_make_it_unready(tmp_path: Path, run_cli: RunCli) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    doctor_ills.sysctl_file("softlockup_panic", "1")(tree, "el9")
    result = run_cli("doctor", "--root", tree.path)
    assert result.status == 0
    assert "warn  softlockup_panic" in result.stdout
    assert "Ready: this host will catch its next crash.\n" in result.stdout


@pytest.mark.parametrize("options", [("--raw", "--json"), ("--fix", "--raw"), ("--fix", "--json")])
def test_formats_exclude_each_other(options: "tuple[str, ...]", run_cli: RunCli) -> None:
    result = run_cli("doctor", *options)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("kdumpwrap: --")


def test_root_comes_from_the_environment(ill: Tree, run_cli: RunCli) -> None:
    assert (
        run_cli("doctor", "--raw", env={"KDUMPWRAP_ROOT": str(ill.path)}).stdout
        == run_cli("doctor", "--raw", "--root", ill.path).stdout
    )


def test_a_root_that_is_not_there(tmp_path: Path, run_cli: RunCli) -> None:
    result = run_cli("doctor", "--root", tmp_path / "nowhere")
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr == f"kdumpwrap: {tmp_path}/nowhere: no such directory\n"


def test_the_text_for_people(ill: Tree, run_cli: RunCli) -> None:
    result = run_cli("doctor", "--root", ill.path)
    lines = result.stdout.splitlines()
    assert lines[0] == f"CentOS Stream 9, 5.14.0-503.16.1.el9_5.x86_64, x86_64, 8.0 GiB in {ill.path}"
    position = lines.index(
        "  fail  loaded                    /sys/kernel/kexec_crash_loaded is 0: no capture kernel is loaded"
    )
    assert lines[position + 1].split() == ["systemctl", "restart", "kdump"]
    assert any(line.startswith("  -     sources") and line.endswith("(follows from debuginfo)") for line in lines)
    assert lines[-2:] == [
        "Not ready: 1 fault between this host and its next dump.",
        f"The commands as a script: kdumpwrap doctor --root {ill.path} --fix",
    ]
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_what_is_missing_to_read_it_is_told_apart(tmp_path: Path, run_cli: RunCli) -> None:
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    doctor_ills.no_debuginfo(tree, "el9")
    result = run_cli("doctor", "--root", tree.path)
    assert result.status == 3
    assert "It will catch its next crash, but one thing is missing to read it here.\n" in result.stdout


def test_verbose_names_the_evidence(ill: Tree, run_cli: RunCli) -> None:
    assert "by /sys/kernel/kexec_crash_loaded\n" in run_cli("doctor", "-v", "--root", ill.path).stdout


def test_colour_is_the_terminal_s(ill: Tree) -> None:
    text = renderer.text(examine(ill.path), COLOUR)
    assert f"{COLOUR.alarm}fail{COLOUR.reset}" in text
    assert f"{COLOUR.place}ok  {COLOUR.reset}" in text


def test_the_order_is_always_the_same(ill: Tree, run_cli: RunCli) -> None:
    first, second = (run_cli("doctor", "--raw", "--root", ill.path).stdout for _ in range(2))
    assert first == second


# ---------------------------------------------------------------- tools of this machine


@pytest.mark.parametrize(
    ("tool", "prints", "kernel", "status"),
    [
        ("crash", "\ncrash 7.2.3-11.el7_9.1\nCopyright", "5.14.0-503.16.1.el9_5.x86_64", "warn"),
        ("crash", "\ncrash 8.0.2\n", "6.12.0-55.9.1.el10_0.x86_64", "warn"),
        ("crash", "\ncrash 8.0.6-2.el10\n", "6.12.0-55.9.1.el10_0.x86_64", "ok"),
        ("crash", "what is this", "6.12.0-55.9.1.el10_0.x86_64", "ok"),
        ("makedumpfile", "makedumpfile: version 1.6.3 (released on 29 Mar 2018)", "5.14.0-503.el9.x86_64", "warn"),
        ("makedumpfile", "makedumpfile: version 1.7.2 (released on 20 Oct 2022)", "5.14.0-503.el9.x86_64", "ok"),
        ("addr2line", "GNU addr2line version 2.27-44.base.el7", "5.14.0-503.16.1.el9_5.x86_64", "warn"),
        ("addr2line", "GNU addr2line version 2.27-44.base.el7", "4.18.0-553.el8_10.x86_64", "ok"),
        ("addr2line", "GNU addr2line (GNU Binutils for Debian) 2.40", "5.14.0-503.16.1.el9_5.x86_64", "ok"),
        ("addr2line", "LLVM (http://llvm.org/):\n  LLVM version 14.0.6", "5.14.0-503.16.1.el9_5.x86_64", "ok"),
    ],
)
def test_tools_too_old_for_the_kernels_that_crashed_here(
    tool: str, prints: str, kernel: str, status: str, tool_dir: ToolDir
) -> None:

    from kdumpwrap.doctor import facts, toolchain
    from kdumpwrap.host.distribution import DEBIAN, Distribution
    from kdumpwrap.host.tree import Host

    tool_dir.fake(tool, f"cat <<'END'\n{prints}\nEND")
    known = facts.read(Host(Path("/")))._replace(distribution=Distribution("debian", DEBIAN, 12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", tool_dir.first["PATH"])
        checks = {check.name: check for check in toolchain.check(known, (kernel,))}
    assert checks[tool].status == status
    if status == "warn":
        assert kernel in checks[tool].seen


def test_memory_for_crash(tmp_path: Path) -> None:
    """crash takes what the debug information does, of which readelf tells nothing here: a sparse file."""
    tree = doctor_hosts.build("el9", tmp_path / "el9")
    vmlinux = tree.path / f"usr/lib/debug/lib/modules/{doctor_ills.RELEASES['el9']}/vmlinux"
    with vmlinux.open("wb") as file:
        file.truncate(600 << 20)
    (check,) = (check for check in examine(tree.path).checks if check.name == "memory")
    assert check.status == "ok"
    tree.write("proc/meminfo", "MemTotal: 900000 kB\nMemAvailable: 100000 kB\nSwapFree: 0 kB\n")
    (check,) = (check for check in examine(tree.path).checks if check.name == "memory")
    assert check.status == "warn"
    assert "free memory and swap leaves 97.7M" in check.seen
