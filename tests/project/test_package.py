"""What is handed out: wheel, sdist, zipapp and RPM, each put in an empty place and run there; the completions."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path
from typing import Callable, Dict, Iterator, Mapping, NamedTuple, NoReturn, Optional, Sequence, Set, Tuple

import pytest
from conftest import NEWER, environment, lab_path, open_lab
from markup import pasted
from processes import ran

from kdumpwrap import __version__

TOP = Path(__file__).resolve().parent.parent.parent
SHARE = TOP / "scripts/share"

# what EPEL 9 has, or is promised to work: no rich and no Pygments among them
OLDEST = ("typer==0.10.0", "click==8.1.8", "pexpect==4.8.0", "packaging==20.9")

# what an RPM holds beside the package itself
RPM_FILES = {
    "/usr/bin/kdumpwrap",
    "/usr/share/man/man1/kdumpwrap.1",
    "/usr/share/bash-completion/completions/kdumpwrap",
    "/usr/share/zsh/site-functions/_kdumpwrap",
    "/usr/share/fish/vendor_completions.d/kdumpwrap.fish",
    "/usr/lib/systemd/system/kdumpwrap-batch.service",
    "/usr/lib/systemd/system/kdumpwrap-batch.path",
    "LICENSE",
    "README.md",
    "kdumpwrap-tell.conf",
}


def missing(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is needed (scripts/packages install tests)", pytrace=False)
    pytest.skip(f"needs {what}")


def tool(name: str) -> str:
    return shutil.which(name) or missing(name)


def run(argv: Sequence[object], env: Optional[Mapping[str, Optional[str]]] = None, cwd: Path = TOP) -> str:
    """What ``argv`` prints; a failure of it is one of the test."""
    done = ran([str(word) for word in argv], env=clean(env), cwd=cwd, timeout=600)
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def clean(env: Optional[Mapping[str, Optional[str]]] = None) -> Dict[str, str]:
    """An environment in which the source tree is not found by itself."""
    fixed = {"PYTHONPATH": None, "PYTHONDONTWRITEBYTECODE": "1", "SOURCE_DATE_EPOCH": "1700000000"}
    return environment({**fixed, **(env or {})})


def pip(python: object, *words: object) -> str:
    """pip of ``python``; where no index can be reached the test is skipped."""
    argv = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = ran([str(word) for word in argv], env=clean())
    if done.returncode and re.search("NewConnectionError|Could not find a version", done.stderr):
        missing("a package index that pip can reach")
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------- built once for all processes of the test run


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """``once("name", make)``: the directory that ``make`` filled, whichever process of this run came first."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        place = base / f"once-{name}"
        with (base / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / ".done").exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                make(place)
                (place / ".done").touch()
        return place

    return made


Once = Callable[[str, Callable[[Path], object]], Path]


class Dist(NamedTuple):
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def dist(once: Once) -> Dist:
    place = once("dist", lambda out: run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, TOP]))
    (wheel,), (sdist,) = place.glob("*.whl"), place.glob("*.tar.gz")
    return Dist(wheel, sdist)


@pytest.fixture(scope="session")
def zipapp(once: Once) -> Path:
    def make(place: Path) -> None:
        pip(sys.executable, "download", "-q", "--no-deps", "-d", place / "reached", "typer<0.29")
        # the newest builds it: what it holds must not hang on that
        run([TOP / "scripts/zipapp", place / "kdumpwrap.pyz"], {"PYTHON": str(pythons().get("newest", sys.executable))})

    return once("zipapp", make) / "kdumpwrap.pyz"


@pytest.fixture(scope="session")
def oldest(once: Once) -> Path:
    """The oldest libraries that we promise to run with, alone."""
    return once("oldest", lambda place: pip(sys.executable, "install", "-q", "--target", place, *OLDEST))


@pytest.fixture(scope="session")
def rpm(once: Once, dist: Dist, oldest: Path) -> Path:
    def make(place: Path) -> None:
        build_rpm(place, dist.sdist.parent, oldest, "--without", "pyz")

    (built,) = once("rpm", make).glob("RPMS/noarch/*.rpm")
    return built


@pytest.fixture(scope="session")
def rpm8(once: Once, dist: Dist, oldest: Path, zipapp: Path) -> Path:
    """The RPM of el8, which holds the one file."""

    def make(place: Path) -> None:
        sources = place / "sources"
        sources.mkdir()
        for file in (dist.sdist, zipapp):
            shutil.copy(str(file), str(sources))
        build_rpm(place, sources, oldest, "--with", "pyz")

    (built,) = once("rpm8", make).glob("RPMS/noarch/*.rpm")
    return built


def build_rpm(place: Path, sources: Path, oldest: Path, *choice: str) -> None:
    rpmbuild = tool("rpmbuild")
    tool("python3")
    defines = {"_topdir": place, "_sourcedir": sources, "python3_version": "3.9"}
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # --nodeps: BuildRequires names Fedora's packages; what they stand for is in PYTHONPATH
    run(
        [rpmbuild, "-bb", "--nodeps", *choice, *words, TOP / "scripts/kdumpwrap.spec"],
        {"PYTHONPATH": str(oldest), "PATH": path},
    )


# ---------------------------------------------------------------- the Pythons


OLD = {"3.6": (3, 6), "3.7": (3, 7), "3.8": (3, 8), "3.9": (3, 9)}


def pythons() -> Dict[str, Path]:
    """Each old Python that is here, the newest, by "3.6" … "3.9" and "newest"."""
    found: Dict[Tuple[int, ...], Path] = {}
    places = [*os.environ["PATH"].split(os.pathsep), *map(str, Path.home().glob(".pyenv/versions/3.*/bin"))]
    for place in places:
        for file in Path(place).glob("python3.*"):
            match = re.fullmatch(r"python3\.(\d+)", file.name)
            if match and int(match[1]) >= 6 and (3, int(match[1])) not in found and _works(file):
                found[3, int(match[1])] = file
    chosen = {"newest": found[max(found)]} if found else {}
    return {**{name: found[key] for name, key in OLD.items() if key in found}, **chosen}


def _works(python: Path) -> bool:
    probe = "import sys, ensurepip, venv; assert sys.version_info[3] == 'final' and sys.prefix == sys.base_prefix"
    return (
        subprocess.run([python, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False).returncode
        == 0
    )


each_python = pytest.mark.parametrize("python", [*OLD, "newest"], indirect=True)


@pytest.fixture(params=["3.9", "newest"])
def python(request: pytest.FixtureRequest) -> Path:
    found = pythons().get(request.param)
    if found is None:
        pytest.skip(f"needs Python {request.param}, which Debian 12 does not have")
    return found


# ---------------------------------------------------------------- what they hold


def test_wheel_and_sdist_pass_twine(dist: Dist) -> None:
    assert run([sys.executable, "-m", "twine", "check", "--strict", *dist]).count("PASSED") == 2


def test_the_wheel_holds_manual_completions_and_the_worked_example(dist: Dist) -> None:
    names = set(zipfile.ZipFile(dist.wheel).namelist())
    data = f"kdumpwrap-{__version__}.data/data/share"
    assert {f"{data}/{file.relative_to(SHARE)}" for file in SHARE.rglob("*") if file.is_file()} <= names
    tracked = run(["git", "ls-files", "kdumpwrap"]).split() if (TOP / ".git").exists() else ["kdumpwrap/model/log.py"]
    assert set(tracked) <= names
    assert any(name.endswith("vmcore-dmesg.txt") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_builds_and_tests_it(dist: Dist) -> None:
    with tarfile.open(dist.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        links = [one.name for one in archive if one.issym() and one.linkname.startswith("/")]
    assert not links, "tar refuses to unpack these"
    assert {"pyproject.toml", "README.md", "LICENSE", "tests/conftest.py", "scripts/kdumpwrap.spec"} <= names
    assert {str(file.relative_to(TOP)) for file in SHARE.rglob("*") if file.is_file()} <= names


def test_the_rpm_holds_its_files_and_no_others(rpm: Path) -> None:
    listed = set(run([tool("rpm"), "-qlp", rpm]).split())
    inside = "/usr/lib/python3.9/site-packages/kdumpwrap"
    package = {file for file in listed if file.startswith(f"{inside}/") or file == inside}
    assert f"{inside}/cli/__init__.py" in package
    assert f"{inside}/render/html/style.css" in package
    rest = {re.sub(r"^/usr/share/(?:doc|licenses)/[^/]*/?|\.gz$", "", file) for file in listed - package} - {""}
    assert rest == RPM_FILES
    modes = run([tool("rpm"), "-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]", rpm]).splitlines()
    odd = [line for line in modes if not re.match(r"(drwxr-xr-x|-rw-r--r--) root ", line)]
    assert odd == ["-rwxr-xr-x root /usr/bin/kdumpwrap"]


def test_the_rpm_asks_for_what_the_wheel_asks_for(rpm: Path) -> None:
    asked = run([tool("rpm"), "-qp", "--requires", rpm])
    wanted = (TOP / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]")[0]
    for name, version in re.findall(r'"([a-z]+)>=([0-9.]+)[",]', wanted):
        assert f"python3-{name} >= {version}" in asked
    assert "python(abi) = 3.9" in asked
    assert re.search(r"^binutils$", asked, re.M)
    assert run([tool("rpm"), "-qp", "--qf", "%{VERSION} %{LICENSE}", rpm]) == f"{__version__} GPL-2.0-or-later"


def test_the_zipapp_holds_the_same_files_whichever_python_builds_it(zipapp: Path, tmp_path: Path) -> None:
    """The pip of old ones judges packages by the Python that runs it."""
    older = pythons().get("3.9")
    if older is None:
        return
    run([TOP / "scripts/zipapp", tmp_path / "kdumpwrap.pyz"], {"PYTHON": str(older)})
    assert sorted(zipfile.ZipFile(tmp_path / "kdumpwrap.pyz").namelist()) == sorted(zipfile.ZipFile(zipapp).namelist())


def test_the_zipapp_is_small_and_needs_nothing_that_is_compiled(zipapp: Path) -> None:
    names = zipfile.ZipFile(zipapp).namelist()
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    assert zipapp.stat().st_size < 5_000_000
    assert os.access(zipapp, os.X_OK)


# ---------------------------------------------------------------- they work


def works(argv: Sequence[object], env: Optional[Mapping[str, Optional[str]]], tmp_path: Path) -> None:
    """The example is analysed, as text and as a page; other commands start; nothing is left behind."""
    (tmp_path / "tmp").mkdir()
    env = {**(env or {}), "TMPDIR": str(tmp_path / "tmp")}

    def kdumpwrap(*words: object) -> subprocess.CompletedProcess[str]:
        whole = [str(word) for word in (*argv, *words)]
        return ran(whole, env=clean(env), cwd=tmp_path)

    assert kdumpwrap("--version").stdout == f"kdumpwrap {__version__}\n"
    done = kdumpwrap("analyze", "--example", "--html", tmp_path / "page.html")
    assert done.returncode == 3, done.stderr  # the module of the example has no debuginfo
    assert "include/net/ip_tunnels.h:462" in done.stdout
    assert "Traceback" not in done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "ip_tunnels.h:462</code></strong>" in page
    assert "<style>:root" in page
    assert "include/net/ip_tunnels.h:462" in pasted(tmp_path / "page.html")
    crash = tmp_path / "crash/127.0.0.1-2023-12-20-10:51:07"
    crash.mkdir(parents=True)
    shutil.copy(TOP / "kdumpwrap/example/root/var/crash/127.0.0.1-2023-12-20-10:51:07/vmcore-dmesg.txt", crash)
    assert "iptunnel_xmit" in kdumpwrap("dmesg", crash).stdout
    assert "4.19.113" in kdumpwrap("list", crash.parent).stdout
    batch = kdumpwrap("batch", crash.parent, "--html", tmp_path / "site")
    assert (batch.returncode, "Traceback" in batch.stderr) == (3, False), batch.stderr
    assert (tmp_path / "site/index.html").exists()
    assert "crashkernel" in kdumpwrap("doctor").stdout
    assert "Usage: kdumpwrap crash [OPTIONS]" in kdumpwrap("crash", "--help").stdout
    assert kdumpwrap("analyze", "--nosuch").returncode == 2
    assert kdumpwrap("analyze", "/nosuch").stderr.startswith("kdumpwrap: /nosuch: no such file or directory\nhint: ")
    assert not [*(tmp_path / "tmp").iterdir()]


@pytest.mark.parametrize("python", ["3.6", "3.9", "newest"], indirect=True)
def test_the_wheel_works_where_nothing_else_is(dist: Dist, python: Path, tmp_path: Path) -> None:
    run([python, "-m", "venv", tmp_path / "venv"])
    pip(tmp_path / "venv/bin/python", "install", "-q", dist.wheel)
    works([tmp_path / "venv/bin/kdumpwrap"], None, tmp_path)
    manual = tmp_path / "venv/share/man/man1/kdumpwrap.1"
    assert manual.read_text() == (SHARE / "man/man1/kdumpwrap.1").read_text()


def test_the_sdist_works_with_the_oldest_libraries(dist: Dist, oldest: Path, python: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    run([python, "-m", "venv", tmp_path / "pip"])  # a distribution's Python may come without pip
    pip(tmp_path / "pip/bin/python", "install", "-q", "--no-deps", "--target", place, dist.sdist)
    works([python, "-s", place / "bin/kdumpwrap"], {"PYTHONPATH": f"{place}{os.pathsep}{oldest}"}, tmp_path)


@each_python
def test_the_zipapp_works_with_nothing_installed(zipapp: Path, python: Path, tmp_path: Path) -> None:
    alone = shutil.copy(zipapp, tmp_path / "kdumpwrap.pyz")
    works([python, "-I", "-S", alone], None, tmp_path)  # -S: not even a site-packages


@each_python
def test_a_thread_gets_no_half_of_a_module_that_another_one_imports(zipapp: Path, python: Path, tmp_path: Path) -> None:
    other = """
        import threading, time
        def main():
            halves = []
            def read():
                import slow
                halves.append(not hasattr(slow, "read"))
            threads = [threading.Thread(target=read) for _ in range(3)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(halves)
        """
    with zipfile.ZipFile(zipapp) as real, zipfile.ZipFile(tmp_path / "one.pyz", "w") as made:
        made.writestr("__main__.py", real.read("__main__.py"))  # it starts another program, which is in place of ours
        made.writestr("kdumpwrap/__init__.py", "")
        made.writestr("kdumpwrap/__main__.py", textwrap.dedent(other))
        made.writestr("slow.py", "import time\ntime.sleep(0.3)\nread = True\n")
    assert run([python, "-I", "-S", tmp_path / "one.pyz"]) == "[False, False, False]\n"


@each_python
def test_ctrl_c_while_the_zipapp_is_loaded(zipapp: Path, python: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipapp) as real, zipfile.ZipFile(tmp_path / "one.pyz", "w") as made:
        made.writestr("__main__.py", real.read("__main__.py"))
        made.writestr("kdumpwrap/__init__.py", "import os; os.kill(os.getpid(), 2)")
        made.writestr("kdumpwrap/__main__.py", "def main(): pass")
    argv = [str(python), "-I", "-S", str(tmp_path / "one.pyz")]
    done = subprocess.run(argv, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def answers(zipapp: Path, *words: object) -> Dict[str, str]:
    """What the file prints under each Python that is here."""
    found = pythons()
    return {name: json_lines(found[name], zipapp, *words) for name in (*OLD, "newest") if name in found}


def json_lines(python: Path, zipapp: Path, *words: object) -> str:
    argv = [str(word) for word in (python, "-I", "-S", zipapp, "analyze", "--json", *words)]
    env = clean({"LC_ALL": "C"})
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, timeout=300, check=False)
    assert done.returncode in (0, 3), done.stderr.decode()
    return done.stdout.decode()


def test_every_python_says_the_same_of_the_worked_example(zipapp: Path) -> None:
    root = TOP / "kdumpwrap/example/root"
    said = answers(zipapp, "--root", root, *root.glob("var/crash/*"))
    assert all(json.loads(text)["reports"] for text in said.values())
    assert len(set(said.values())) == 1


@pytest.mark.lab
@pytest.mark.parametrize("which", ["", "second", NEWER, "arm64"])
def test_every_python_says_the_same_of_every_real_crash(which: str, zipapp: Path) -> None:
    lab = open_lab(lab_path() / which, "aarch64" if which == "arm64" else "x86_64")
    said = answers(zipapp, "--root", lab.root, "--module-dir", lab.module_dir, *sorted(lab.crashes.values()))
    assert all(len(text.splitlines()) == len(lab.crashes) for text in said.values())
    assert len(set(said.values())) == 1


@pytest.mark.timing
def test_the_zipapp_starts_fast_on_python_3_6(zipapp: Path) -> None:
    """In the time that typer alone takes out of the same file, and half of that; both are read from source."""
    python = pythons().get("3.6")
    if python is None:
        pytest.skip("needs Python 3.6")

    def seconds(*argv: object) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([str(word) for word in (python, *argv)], stdout=subprocess.PIPE, env=clean(), check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    alone = f"import sys; sys.path.insert(0, {str(zipapp)!r}); import typer"
    whole, typer = (
        min(seconds(*argv) for _ in range(5)) for argv in (("-S", zipapp, "--version"), ("-S", "-c", alone))
    )
    print(f"{whole:.3f} s, {whole / typer:.2f} times import typer")
    assert whole < 1.6 * typer


def test_an_old_python_says_that_it_is_old(zipapp: Path) -> None:
    old = [file for place in Path.home().glob(".pyenv/versions/*/bin") for file in place.glob("python[23].?")]
    old = [file for file in old if tuple(map(int, file.name[6:].split("."))) < (3, 6)]
    if not old:
        pytest.skip("needs a Python older than 3.6")
    for python in old:
        done = ran([python, zipapp, "--version"], env=clean())
        assert done.returncode == 1
        assert done.stderr.startswith(
            f"kdumpwrap: Python 3.6 or newer is needed, this is {python.name[6:]}\nhint: python3.6 "
        )


def test_the_rpm_works_with_what_epel_has(rpm: Path, oldest: Path, python: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    if os.geteuid() == 0:
        install = [tool("rpm"), "--root", root, "--install", "--nodeps", "--noscripts", "--ignorearch", "--ignoreos"]
        run([*install, rpm])
    else:
        payload = subprocess.run(
            [tool("rpm2cpio"), rpm], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True
        ).stdout
        subprocess.run([tool("cpio"), "-idm", "--quiet"], input=payload, cwd=root, check=True)
    script = root / "usr/bin/kdumpwrap"
    assert script.read_text().startswith("#!/usr/bin/python3 -s\n")
    path = f"{root}/usr/lib/python3.9/site-packages{os.pathsep}{oldest}"
    works([python, "-s", script], {"PYTHONPATH": path}, tmp_path)


def test_the_rpm_of_el8_is_the_one_file(rpm8: Path, tmp_path: Path) -> None:
    listed = set(run([tool("rpm"), "-qlp", rpm8]).split())
    assert {re.sub(r"^/usr/share/(?:doc|licenses)/[^/]*/?|\.gz$", "", file) for file in listed} - {""} == RPM_FILES
    asked = run([tool("rpm"), "-qp", "--requires", rpm8]).split("\n")
    assert {"platform-python", "binutils"} <= set(asked)
    assert not [line for line in asked if "typer" in line or "python(abi)" in line]
    payload = subprocess.run([tool("rpm2cpio"), str(rpm8)], stdout=subprocess.PIPE, check=True).stdout
    subprocess.run([tool("cpio"), "-idm", "--quiet"], input=payload, cwd=str(tmp_path), check=True)
    program = tmp_path / "usr/bin/kdumpwrap"
    assert program.read_bytes().startswith(b"#!/usr/libexec/platform-python -s\nPK")
    python = pythons().get("3.6")
    if python is None:
        pytest.skip("needs Python 3.6")
    works([python, "-s", "-S", program], None, tmp_path)


# ---------------------------------------------------------------- completion


@pytest.fixture(scope="session")
def on_path(once: Once) -> Dict[str, str]:
    """An environment in which ``kdumpwrap`` is a command."""

    def make(place: Path) -> None:
        script = place / "kdumpwrap"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m kdumpwrap "$@"\n')
        script.chmod(0o755)

    return environment({"PATH": f"{once('path', make)}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"})


def test_completions_are_those_that_typer_makes(tmp_path: Path) -> None:
    run([sys.executable, TOP / "scripts/completions", tmp_path])
    made = {file.relative_to(tmp_path): file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    assert len(made) == 3
    assert made == {name: (SHARE / name).read_text() for name in made}


COMPLETED = [
    ("kdumpwrap ana", {"analyze"}),
    ("kdumpwrap analyze --mod", {"--module-dir"}),
    ("kdumpwrap d", {"disasm", "dmesg", "doctor"}),
]


@pytest.mark.parametrize(("line", "expected"), COMPLETED)
def test_bash_completes(on_path: Dict[str, str], line: str, expected: Set[str]) -> None:
    words = line.split()
    script = f"""
        . {SHARE}/bash-completion/completions/kdumpwrap
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
        $(complete -p kdumpwrap | sed 's/.* -F \\([^ ]*\\) .*/\\1/') kdumpwrap
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = ran([tool("bash"), "--norc", "-c", script], env=on_path, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize(("line", "expected"), COMPLETED)
def test_fish_completes(on_path: Dict[str, str], tmp_path: Path, line: str, expected: Set[str]) -> None:
    script = f"set fish_complete_path {SHARE}/fish/vendor_completions.d; complete -C '{line}'"
    env = {**on_path, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = ran([tool("fish"), "-c", script], env=env, check=True)
    assert {row.split("\t")[0] for row in done.stdout.splitlines()} == expected


@pytest.fixture
def zsh(on_path: Dict[str, str], tmp_path: Path) -> Iterator["Zsh"]:
    shell = Zsh(tool("zsh"), {**on_path, "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)})
    yield shell
    shell.child.close(force=True)


class Zsh:
    """An interactive zsh, at its prompt."""

    def __init__(self, program: str, env: Dict[str, str]) -> None:
        import pexpect

        self.child = pexpect.spawn(program, ["-f", "-i"], env=env, encoding="utf-8", timeout=30, dimensions=(24, 200))
        self.child.sendline("PS1='>>'; unsetopt zle_bracketed_paste 2>/dev/null; :")
        self.child.sendline(
            f"fpath=({SHARE}/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D; print rea''dy"
        )
        self.child.expect("ready")
        self.child.expect(">>")


@pytest.mark.parametrize(
    ("typed", "completed"), [("kdumpwrap ana", "analyze"), ("kdumpwrap analyze --mod", "--module-dir")]
)
def test_zsh_completes_at_the_first_tab(zsh: Zsh, typed: str, completed: str) -> None:
    zsh.child.send(f"{typed}\t")
    zsh.child.expect(re.escape(completed[len(typed.rsplit(maxsplit=1)[-1]) :]))


@pytest.mark.parametrize("starts", ["pyproject.toml", "scripts/kdumpwrap.spec", "scripts/zipapp"])
def test_every_way_to_start_begins_in_one_place(starts: str) -> None:
    assert re.findall(r"kdumpwrap\.\w+(?=:main| import main)", (TOP / starts).read_text()) == ["kdumpwrap.__main__"]
