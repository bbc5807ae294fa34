"""Trees as CentOS has them, made of the lab's own modules: code stripped and packed, lines in a file apart."""

import json
import lzma
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import pytest
from conftest import Lab, RunCli, ToolDir
from processes import build_id, ran

from kdumpwrap.debuginfo import Search, by_build_id
from kdumpwrap.symbolize.maker import maker

pytestmark = pytest.mark.lab

FUNCTION = "wan_next_seq"  # of the vendor's module: null_deref's


class Tree(NamedTuple):
    """A host's root with the module ``xxxwan`` in CentOS's two files, and the vmlinux linked in."""

    root: Path
    debug: Path  # usr/lib/debug/lib/modules/RELEASE
    installed: Path  # lib/modules/RELEASE


def sections(file: Path) -> Dict[str, str]:
    text = ran(["readelf", "-SW", file], check=True).stdout
    return dict(re.findall(r"^ *\[ *\d+\] (\.\S+) +(\w+)", text, re.M))


def split(debug: Path, code: Path, lines: Path) -> None:
    """``debug`` as find-debuginfo leaves it: code without debug information, packed; lines without code."""
    for path in (code, lines):
        path.parent.mkdir(parents=True, exist_ok=True)
    plain = code.with_suffix("")
    subprocess.run(["objcopy", "--only-keep-debug", debug, lines], check=True)
    subprocess.run(["objcopy", "--strip-debug", debug, plain], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={lines}", plain], check=True)
    code.write_bytes(lzma.compress(plain.read_bytes(), preset=0))
    plain.unlink()


@pytest.fixture
def tree(lab: Lab, tmp_path: Path) -> Tree:
    for program in ("objcopy", "xz"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    root = tmp_path / "host"
    debug, installed = root / "usr/lib/debug/lib/modules" / lab.release, root / "lib/modules" / lab.release
    debug.mkdir(parents=True)
    (debug / "vmlinux").symlink_to(lab.vmlinux.resolve())
    split(lab.module_dir / "xxxwan.debug.ko", installed / "extra/xxxwan.ko.xz", debug / "extra/xxxwan.ko.debug")
    return Tree(root, debug, installed)


def analysed(run_cli: RunCli, lab: Lab, tree: Tree, *more: str, case: str = "null_deref") -> Tuple[int, Dict[str, Any]]:
    done = run_cli("analyze", "--json", "--root", tree.root, *more, lab.crashes[case])
    return done.status, json.loads(done.stdout)


def fatal(found: Dict[str, Any]) -> Dict[str, Any]:
    report: Dict[str, Any] = found["reports"][found["fatal"]]
    return report


def told(found: Dict[str, Any]) -> str:
    return "\n".join(f"{problem['message']} | {problem['hint']}" for problem in found["problems"])


def test_the_files_are_as_centos_has_them(tree: Tree) -> None:
    assert sections(tree.debug / "extra/xxxwan.ko.debug")[".text"] == "NOBITS"
    assert (tree.installed / "extra/xxxwan.ko.xz").read_bytes().startswith(b"\xfd7zXZ")


def test_code_from_the_packed_file_lines_from_the_other(lab: Lab, run_cli: RunCli, tree: Tree) -> None:
    status, found = analysed(run_cli, lab, tree)
    report = fatal(found)
    assert status == 0, told(found)
    assert report["ip"]["symbol"] == FUNCTION
    assert report["ip"]["locations"][0]["line"] == lab.marks["FAULT:null_deref"]
    assert [row["text"] for row in report["disassembly"] if row["fault"]] == ["mov 0x10(%rdi),%rax"]
    assert report["code"]["check"] in ("match", "patched")


def test_lines_alone_give_no_instructions_that_are_not_there(lab: Lab, run_cli: RunCli, tree: Tree) -> None:
    (tree.installed / "extra/xxxwan.ko.xz").unlink()
    report = fatal(analysed(run_cli, lab, tree)[1])
    assert report["ip"]["locations"][0]["line"] == lab.marks["FAULT:null_deref"]
    marked = [row["text"] for row in report["disassembly"] if row["fault"]]
    assert marked in ([], ["mov 0x10(%rdi),%rax"])  # those of the Code: line


def test_the_lines_of_another_build_are_refused(lab: Lab, run_cli: RunCli, tree: Tree) -> None:
    lines = tree.debug / "extra/xxxwan.ko.debug"
    other = tree.debug / "note"
    subprocess.run(["objcopy", "-O", "binary", "-j", ".note.gnu.build-id", lines, other], check=True)
    note = other.read_bytes()
    other.write_bytes(note[:-20] + bytes(byte ^ 0xFF for byte in note[-20:]))
    subprocess.run(["objcopy", f"--update-section=.note.gnu.build-id={other}", lines], check=True)
    installed = tree.installed / "extra/xxxwan.ko.xz"
    plain = tree.root / "plain.ko"
    plain.write_bytes(lzma.decompress(installed.read_bytes()))
    assert build_id(lines) != build_id(plain)
    report = fatal(analysed(run_cli, lab, tree)[1])
    lined = bool(report["ip"]["locations"])
    shown = [row["text"] for row in report["disassembly"] if row["fault"]]
    assert not (lined and shown and report["code"]["check"] in ("match", "patched")), "files of two builds were mixed"


def test_lines_are_found_by_a_build_id_link(lab: Lab, run_cli: RunCli, tree: Tree) -> None:
    lines = tree.debug / "extra/xxxwan.ko.debug"
    number = build_id(lines)
    link = tree.root / "usr/lib/debug/.build-id" / number[:2] / f"{number[2:]}.debug"
    link.parent.mkdir(parents=True)
    moved = tree.root / "usr/lib/debug/moved"
    lines.rename(moved)
    assert not fatal(analysed(run_cli, lab, tree)[1])["ip"]["locations"]
    link.symlink_to("../../moved")
    assert by_build_id(number, Search(tree.root)) == (moved,)
    assert fatal(analysed(run_cli, lab, tree)[1])["ip"]["locations"][0]["line"] == lab.marks["FAULT:null_deref"]


def test_a_vendors_module_without_lines_names_its_file(lab: Lab, run_cli: RunCli, tree: Tree) -> None:
    (tree.debug / "extra/xxxwan.ko.debug").unlink()
    status, found = analysed(run_cli, lab, tree)
    assert status == 3
    assert str(tree.installed / "extra/xxxwan.ko.xz") in told(found)
    assert "--module-dir DIR" in told(found)


def test_a_module_of_the_distribution_names_the_kernels_debuginfo(lab: Lab, run_cli: RunCli, tree: Tree) -> None:
    file = next((lab.root / "usr/lib/debug/lib/modules" / lab.release).rglob("ip_tunnel.ko"))
    place = tree.installed / "kernel/net/ipv4/ip_tunnel.ko"
    place.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--strip-debug", file, place], check=True)
    found = analysed(run_cli, lab, tree, case="distmod")[1]
    lines = [line for line in told(found).splitlines() if "ip_tunnel" in line]
    assert lines
    assert all("--module-dir" not in line and f"linux-image-{lab.release}-dbg" in line for line in lines)


@pytest.mark.parametrize("base", ["4.18.0-305.3.1.el8.x86_64", "5.14.0-55.el9.x86_64"])
def test_source_in_a_tree_with_another_dist_tag(tmp_path: Path, base: str) -> None:
    from kdumpwrap import sources

    outer = base.replace(".x86_64", "_4")
    tree = tmp_path / f"usr/src/debug/kernel-{outer}/linux-{base}"
    (tree / "net/ipv4").mkdir(parents=True)
    (tree / "net/ipv4/ip_tunnel.c").write_text("".join(f"line {n}\n" for n in range(1, 120)))
    name = f"/usr/src/debug/kernel-{outer}/linux-{base}/./net/ipv4/ip_tunnel.c"
    for release in (base, f"{base}+debug", f"{base}+rt"):
        found = sources.find(name, 97, release, Search(tmp_path))
        assert found is not None
        assert found.lines[found.fault_line - found.first] == "line 97"


def test_binutils_too_old_for_the_vmlinux_are_named(lab: Lab, run_cli: RunCli, tree: Tree, tool_dir: ToolDir) -> None:
    old = tool_dir.fake(
        "addr2line",
        '[ "$1" = --version ] && { echo "GNU addr2line version 2.27-44.base.el7"; exit; }\n'
        'while read -r address; do printf "%s\\n??\\n??:0\\n" "$address"; done',
    )
    done = run_cli("analyze", "--root", tree.root, lab.crashes["iptunnel"], env={"ADDR2LINE": str(old)})
    assert "2.27-44.base.el7 cannot read the DWARF 5 of" in done.stderr
    assert "hint: ADDR2LINE=" in done.stderr or "binutils" in done.stderr


def test_the_owner_of_a_file_is_asked_for_only_where_there_is_a_package_manager(tmp_path: Path) -> None:
    module = tmp_path / "lib/modules/5.14.0-503.el9.x86_64/extra/xxxwan.ko"
    module.parent.mkdir(parents=True)
    module.touch()
    found = maker("xxxwan", [module], "5.14.0-503.el9.x86_64", tmp_path)
    assert "belongs to no package" in found.origin
    inside: List[Path] = [tmp_path / "lib/modules/5.14.0-503.el9.x86_64/kernel/fs/xfs/xfs.ko.xz"]
    assert maker("xfs", inside, "5.14.0-503.el9.x86_64", tmp_path).hint.startswith(
        "dnf debuginfo-install kernel-5.14.0"
    )
    assert "--module-dir" in maker("ext4", [], "5.14.0-503.el9.x86_64", tmp_path).hint
    assert maker("ext4", [], "5.14.0-503.el9.x86_64", tmp_path, stranger=False).hint.startswith("dnf debuginfo-install")
