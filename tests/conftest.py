"""What the tests share: running kdumpwrap as a user does, fake tools, and the real crashes of the lab."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Dict, Iterable, Iterator, Mapping, NamedTuple, NoReturn, Optional, Sequence, Union

import pytest

# a shell that starts us in the background has SIGINT ignored, in us and in every program that the tests interrupt
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ("fetch_hosts", "fake_crash")  # fixtures that several files share

TESTS = Path(__file__).resolve().parent
LAB_SOURCES = TESTS / "lab"
NEWER = "6.12"  # another series that scripts/test has built: with runtime constants and __pfx_ symbols

# the marks in the module's source: "/* FAULT:null_deref */", "/* CALL:null_deref, CALL2:list_del */"
MARK = re.compile(r"\b(?P<what>FAULT|CALL|WARN|INLINED)(?P<nth>\d?):(?P<case>\w+)")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write the answers recorded in tests/data anew")


# by ast.unparse or vermin, which Python 3.6 has not: what the package's source says is the same on every Python
reads_source = pytest.mark.skipif(sys.version_info < (3, 9), reason="reads the source: Python 3.9 and later do")


# ---------------------------------------------------------------- kdumpwrap, as a user runs it


class Result(NamedTuple):
    """How one run of kdumpwrap ended."""

    status: int  # exit status; -N: killed by signal N
    stdout: str  # what is not UTF-8 stands as \\xNN
    stderr: str


class RunCli:
    """``run_cli("analyze", "--raw", crash, env={"NM": "false"}, stdin="…")``: a subprocess of this Python.

    ``env`` is added to an environment without any KDUMPWRAP_… setting; ``None`` takes a variable away.
    """

    def __call__(
        self,
        *args: Union[str, Path],
        env: Optional[Mapping[str, Optional[str]]] = None,
        stdin: Union[str, bytes] = b"",
        cwd: Optional[Path] = None,
        timeout: float = 300,
        prefix: Iterable[str] = (),
    ) -> Result:
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "kdumpwrap", *map(str, args)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
        return Result(
            done.returncode,
            done.stdout.decode("utf-8", "backslashreplace"),
            done.stderr.decode("utf-8", "backslashreplace"),
        )


# Linux lets a program begin with the peak of the process that started it, and a worker of pytest may be a big one:
# started through this, ru_maxrss is the program's own. The last line of stderr is it, the tools' included, in KiB.
MEASURED = (
    sys.executable,
    "-c",
    "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(status)",
)


def environment(changes: Optional[Mapping[str, Optional[str]]] = None) -> Dict[str, str]:
    """A user's environment: nothing set that steers kdumpwrap, its package importable from any directory."""
    steers = ("NM", "OBJDUMP", "ADDR2LINE", "CRASH", "CROSS_COMPILE", "NO_COLOR", "FORCE_COLOR")
    env = {k: v for k, v in os.environ.items() if not k.startswith("KDUMPWRAP_") and k not in steers}
    env["PYTHONPATH"] = str(TESTS.parent)
    env["KDUMPWRAP_VARIABLES"] = "0"  # gdb takes longer than all else; tests of variables take this away
    for name, value in (changes or {}).items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    return env


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    return RunCli()


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that everybody may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="kdumpwrap-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


# ---------------------------------------------------------------- fake tools


@dataclass(frozen=True)
class ToolDir:
    """A private directory of programs to put on PATH."""

    path: Path

    def fake(self, name: str, body: str) -> Path:
        """A program ``name``: ``body`` is a shell script, or any script that starts with ``#!``."""
        file = self.path / name
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        file.write_text(body if body.startswith("#!") else f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
        return file

    def real(self, *names: str) -> None:
        """The real programs of those names, so that PATH can be this directory alone."""
        for name in names:
            found = shutil.which(name)
            if found is None:
                pytest.skip(f"needs {name}")
            (self.path / name).symlink_to(found)

    @property
    def first(self) -> Dict[str, str]:
        """The environment in which these programs are found before the system's."""
        return {"PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}"}

    @property
    def alone(self) -> Dict[str, str]:
        """The environment in which there are no other programs than these."""
        return {"PATH": str(self.path)}


@pytest.fixture
def tool_dir(tmp_path: Path) -> ToolDir:
    path = tmp_path / "tools"
    path.mkdir()
    return ToolDir(path)


# ---------------------------------------------------------------- the real crashes


@dataclass(frozen=True)
class Lab:
    """What scripts/crashlab built."""

    path: Path  # the lab itself
    root: Path  # a tree like a CentOS host's: var/crash/…, usr/lib/debug/lib/modules/RELEASE/…
    module_dir: Path  # the vendor's xxxwan.ko (stripped) and xxxwan.debug.ko
    release: str
    arch: str
    crashes: Mapping[str, Path]  # by case: its crash directory
    marks: Mapping[str, int]  # "FAULT:null_deref", "CALL2:list_del": the line in source
    source: Path  # the vendor's module, as it was compiled

    def line(self, file: str, function: str, statement: str) -> int:
        """The line in which the first ``statement`` (its beginning) of a function of the kernel stands."""
        source = self.path / "source" / file
        if not source.exists():
            without_lab(f"{source} is not there (scripts/crashlab fetches it)")
        defined = re.compile(rf"^\w.*\b{function}\(|^SYM_\w+\({function}\)")  # of C; of assembly
        inside = False
        for number, line in enumerate(source.read_text().splitlines(), 1):
            inside = inside or (defined.match(line) is not None and not line.endswith(";"))
            if inside and line.lstrip().startswith(statement):
                return number
        raise AssertionError(f"no {statement} in {function} of {source}")

    @property
    def vmlinux(self) -> Path:
        return self.root / "usr/lib/debug/lib/modules" / self.release / "vmlinux"

    @property
    def crash(self) -> str:
        """The crash(8) that reads this kernel: the host's, or the newer one that the lab has for a newer kernel."""
        if self.path.name != NEWER:
            return shutil.which("crash") or without_lab("crash is not installed")
        brought = self.path.parent / "tools/crash"
        return str(brought) if brought.exists() else without_lab(f"{brought} is not there (scripts/crashlab brings it)")

    @property
    def second_vmlinux(self) -> Path:
        """The vmlinux of another build: its directory is named after the release."""
        found = sorted(self.path.glob("second/root/usr/lib/debug/lib/modules/*/vmlinux"))
        return found[0] if found else without_lab(f"{self.path}/second is empty (scripts/crashlab --second-kernel)")


def lab_path() -> Path:
    """Where scripts/crashlab puts its work: the same rule as in the script."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("KDUMPWRAP_LAB") or cache / "kdumpwrap" / "lab")


def lab_required() -> bool:
    """Whether a missing lab is a failure rather than a skipped test."""
    return os.environ.get("CI") == "true" or os.environ.get("KDUMPWRAP_REQUIRE_LAB", "0") not in ("", "0")


def without_lab(what: str) -> NoReturn:
    if lab_required():
        pytest.fail(f"real crashes are required here, but {what}", pytrace=False)
    pytest.skip(what)


def marks(source: Path) -> Mapping[str, int]:
    """The line of each mark in the module's source."""
    found: Dict[str, int] = {}
    for number, line in enumerate(source.read_text().splitlines(), 1):
        for mark in MARK.finditer(line):
            found[mark.group()] = number
    return MappingProxyType(found)


def open_lab(path: Path, arch: str) -> Lab:
    """The lab under ``path``; skips (or fails, see lab_required) when it is not there or of other sources."""
    if not (path / "crashes.tsv").exists():
        without_lab(f"there are no real crashes in {path} (scripts/crashlab builds them)")
    source = path / "module" / "xxxwan.c"
    if digest(source) != digest(LAB_SOURCES / "xxxwan.c"):
        without_lab(f"the crashes in {path} are of another xxxwan.c (scripts/crashlab builds them anew)")
    root = path / "root"
    rows = (row.split("\t")[:2] for row in (path / "crashes.tsv").read_text().splitlines())
    return Lab(
        path=path,
        root=root,
        module_dir=path / "module",
        release=(path / "release").read_text().strip(),
        arch=arch,
        crashes=MappingProxyType({case: root / "var/crash" / directory for case, directory in rows}),
        marks=marks(source),
        source=source,
    )


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Lab:
    """The real x86-64 crashes of each kernel in turn; of the older one alone where a test says ``one_kernel``."""
    return open_lab(lab_path() / getattr(request, "param", ""), "x86_64")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lab" in metafunc.fixturenames and metafunc.definition.get_closest_marker("one_kernel") is None:
        metafunc.parametrize("lab", ["", NEWER], indirect=True, ids=["6.1", NEWER], scope="session")


@pytest.fixture(scope="session")
def lab_newer() -> Lab:
    """The x86-64 crashes of the newer kernel."""
    return open_lab(lab_path() / NEWER, "x86_64")


@pytest.fixture(scope="session")
def lab_arm64() -> Lab:
    """The real aarch64 crash."""
    return open_lab(lab_path() / "arm64", "aarch64")


@pytest.fixture(scope="session")
def powerless() -> Sequence[str]:
    """What to put before a command so that a file of mode 000, or another user's, is closed to it (root or not)."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    rights = "-dac_override,-dac_read_search"
    return ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", "--")
