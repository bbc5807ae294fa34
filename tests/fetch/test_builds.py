"""Two kept builds of one release, and a crash of each: whatever is asked of a crash, its own build answers."""

import json
import os
import shutil
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

import packages_made as made
import pytest
from conftest import Result, RunCli, ToolDir
from packages_made import EL, FILE
from processes import build_id

NAMES = ("one", "two")  # as the compiler called the directory of the source
NAME = "vmcore-dmesg.txt"
# knows VMCOREINFO, and finds no log
MAKEDUMPFILE = """
echo "  OSRELEASE={release}"; echo "  BUILD-ID=$(tail -c 40 "$3")"
echo "Can't find some symbols for log_buf." >&2; exit 1
"""
# speaks as crash 8.0.3 does: its prompt, eval, log, quit
CRASH = """
case "$1" in --version) printf '\\ncrash 8.0.3\\n'; exit ;; --osrelease) echo {release}; exit ;; esac
echo "$*" >>{started}
while printf 'crash> '; read -r line; do
	case "$line" in
	quit) exit 0 ;;
	"eval 0x"*) echo "hexadecimal: ${{line#eval 0x}}  " ;;
	"rd -a"*) echo "ffffffff82000000:  Linux version {release} " ;;
	log) cat {log} ;;
	*) echo nothing ;;
	esac
done
exit 1
"""


class Host(NamedTuple):
    """A host with the two builds in its cache, and a crash of each; ``env`` has a makedumpfile and a crash for them."""

    run_cli: RunCli
    root: Path
    env: Dict[str, Optional[str]]
    build_ids: Dict[str, str]
    started: Path  # a line for each start of crash: its words

    def kept(self, name: str) -> Path:
        return self.root / "var/cache/kdumpwrap" / EL / self.build_ids[name]

    def crash(self, name: str) -> Path:
        return self.root / f"var/crash/127.0.0.1-2024-01-31-1{NAMES.index(name)}:00:00"

    def run(self, *words: object, statuses: "tuple[int, ...]" = (0,)) -> Result:
        command, *rest = map(str, words)
        done = self.run_cli(command, "--root", self.root, *rest, env=self.env)
        assert done.status in statuses, done.stderr
        return done


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, made.Kernel]:
    return {name: build(tmp_path_factory.mktemp(name), name) for name in NAMES}


def build(directory: Path, name: str) -> made.Kernel:
    """A kernel whose debug information has its sources in /NAME, with a module that has a build id, as real ones do."""
    kernel = made.kernel(directory, EL, f"/{name}", f"usr/lib/debug/lib/modules/{EL}/vmlinux", ".debug")
    module = next(kernel.tree.rglob("dm-fail.ko.debug"))
    module.rename(directory / "module.o")
    made.run("gcc", "-r", "-nostdlib", "-Wl,--build-id", "-o", module, directory / "module.o")
    return kernel


@pytest.fixture
def host(tmp_path: Path, tool_dir: ToolDir, run_cli: RunCli, builds: Dict[str, made.Kernel]) -> Host:
    started = tmp_path / "started"
    build_ids = {name: kernel.build_id for name, kernel in builds.items()}
    env: Dict[str, Optional[str]] = {
        **tool_dir.first,
        "XDG_CACHE_HOME": str(tmp_path / "host/var/cache"),  # of a user that is not root
        "DEBUGINFOD_URLS": "",
    }
    host = Host(run_cli, tmp_path / "host", env, build_ids, started)
    for number, (name, kernel) in enumerate(builds.items()):
        kept, crash = host.kept(name), host.crash(name)
        shutil.copytree(str(kernel.tree / f"usr/lib/debug/lib/modules/{EL}"), str(kept))
        (kept / "kernel").rename(kept / "modules")
        source = kept / "source" / FILE
        source.parent.mkdir(parents=True)
        shutil.copy(str(kernel.tree.parent / "build" / FILE), str(source))
        os.utime(str(kept), (1e9 + number, 1e9 + number))
        crash.mkdir(parents=True)
        (crash / NAME).write_text(kernel.log)
        (crash / "vmcore").write_bytes(b"KDUMP   " + bytes(100) + kernel.build_id.encode())
    (tmp_path / "log").write_text(builds["one"].log)
    tool_dir.fake("makedumpfile", MAKEDUMPFILE.format(release=EL))
    tool_dir.fake("crash", CRASH.format(release=EL, log=tmp_path / "log", started=started))
    return host


def vmlinux_of_json(done: Result) -> List[Path]:
    return [Path(json.loads(line)["kernel"]["vmlinux"]) for line in done.stdout.splitlines()]


def analyze(host: Host, name: str) -> List[Path]:
    done = host.run("analyze", "--json", host.crash(name))
    report = json.loads(done.stdout)["reports"][0]
    of_module = report["trace"][0]["locations"][0]["file"]
    assert of_module == f"/{name}/{FILE}"
    assert report["source"]["path"] == str(host.kept(name) / "source" / FILE)
    return vmlinux_of_json(done)


def dmesg_from_vmcore(host: Host, name: str) -> List[Path]:
    """The log lies in the vmcore alone, and makedumpfile does not get at it: crash is asked."""
    (host.crash(name) / NAME).unlink()
    host.run("dmesg", host.crash(name), statuses=(0, 3))
    return of_crash(host)


def with_crash(host: Host, name: str) -> List[Path]:
    host.run("analyze", "--with-crash", host.crash(name), statuses=(0, 3))
    return of_crash(host)


def crash(host: Host, name: str) -> List[Path]:
    host.run("crash", host.crash(name), "-c", "sys", statuses=(0, 3))
    loaded = [word for word in host.started.read_text().split() if word.endswith(".ko.debug")]
    assert all(str(host.kept(name)) in word for word in loaded)
    return of_crash(host)


def of_crash(host: Host) -> List[Path]:
    """The vmlinux of each start of crash."""
    words = [line.split() for line in host.started.read_text().splitlines()]
    return [Path(word) for line in words for word in line if word.endswith("/vmlinux")]


def annotate(host: Host, name: str) -> List[Path]:
    done = host.run("annotate", "-v", "--strip-prefix", "/none", host.crash(name))
    found = [one for one in NAMES if f"/{one}/{FILE}:" in done.stdout]
    return [host.kept(one) / "vmlinux" for one in found]


def pack(host: Host, name: str) -> List[Path]:
    """A pack carries the build ids: of the kernel, and of the modules in the trace."""
    value = json.loads(host.run("pack", "-o", "-", host.crash(name)).stdout)
    of = {build_id(next(host.kept(one).rglob("dm-fail.ko.debug"))): one for one in NAMES}
    assert value["kernel"]["build_id"] == host.build_ids[name]
    return [host.kept(of[value["modules"]["dm_fail"]]) / "vmlinux"]


def fetch(host: Host, name: str) -> List[Path]:
    """All is here already."""
    said = host.run("fetch", host.crash(name)).stderr
    return [Path(said.rpartition("all is here already: ")[2].strip())]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ask", [analyze, dmesg_from_vmcore, with_crash, crash, annotate, pack, fetch])
def test_every_command_takes_the_build_that_crashed(
    ask: Callable[[Host, str], List[Path]], name: str, host: Host
) -> None:
    assert set(ask(host, name)) == {host.kept(name) / "vmlinux"}


def test_a_batch_takes_that_of_each_crash(host: Host) -> None:
    assert vmlinux_of_json(host.run("batch", "--json")) == [host.kept(name) / "vmlinux" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_answer_holds_as_long_as_its_own_build_is_unchanged(name: str, host: Host) -> None:
    other = NAMES[not NAMES.index(name)]
    host.run("batch", "--save")
    saved = host.crash(name) / "kdumpwrap.json"
    first = saved.stat().st_ino
    os.utime(str(host.kept(other) / "vmlinux"), (1e9, 1e9))
    host.run("batch", "--save")
    assert saved.stat().st_ino == first
    os.utime(str(host.kept(name) / "vmlinux"), (1e9, 1e9))
    host.run("batch", "--save")
    assert saved.stat().st_ino != first


@pytest.mark.parametrize("command", ["resolve", "disasm"])
def test_without_a_crash_the_other_build_is_named(command: str, host: Host) -> None:
    done = host.run(command, "--release", EL, "dev_fail+0x0", statuses=(3,))
    taken, other = (host.kept(name) / "vmlinux" for name in reversed(NAMES))
    assert (
        done.stderr == f"kdumpwrap: {taken}: not the only build of {EL} here\nhint: the other one: --vmlinux {other}\n"
    )
    assert host.run(command, "--vmlinux", other, "dev_fail+0x0").stderr == ""
