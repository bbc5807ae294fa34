"""Small packages of debuginfo in the layouts of CentOS and Debian, and repositories of them, signed here."""

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Dict, Mapping, NamedTuple, NoReturn, Optional, Sequence, Union

import pytest

EL = "5.14.0-503.el9.x86_64"
DEBIAN = "6.1.0-99-amd64"
VERSION = "6.1.999-1"  # of Debian's packages
FILE = "net/core/dev.c"
FUNCTION = """
int dev_fail(int *value)
{
	int sum = *value;

	return sum * 7 + 1;
}
"""
SPEC = """
Name: kernel
Version: 5.14.0
Release: 503.el9
Summary: kernel
License: GPL
%description
kernel
%package debuginfo
Summary: debuginfo
%description debuginfo
debuginfo
%package debuginfo-common-x86_64
Summary: sources
%description debuginfo-common-x86_64
sources
%install
cp -a {tree}/. %{{buildroot}}/
%files debuginfo
/usr/lib/debug
%files debuginfo-common-x86_64
/usr/src/debug
"""


class Kernel(NamedTuple):
    """A tree with debuginfo as a package installs it, and the log of a crash of that kernel."""

    tree: Path
    release: str
    build_id: str
    log: str


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            lacking(f"{tool} (scripts/packages install tests)")


def lacking(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"needs {what}", pytrace=False)
    pytest.skip(f"needs {what}")


def run(*argv: Union[str, Path], env: Optional[Mapping[str, str]] = None, cwd: Optional[Path] = None) -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stdout[-2000:]}"
    return done.stdout


def kernel(directory: Path, release: str, source: str, vmlinux: str, suffix: str) -> Kernel:
    """A program of one function for a vmlinux, an object for a module; ``source`` is where debuginfo says they are."""
    need("gcc", "readelf")
    tree, build = directory / "tree", directory / "build"
    for place in (tree / vmlinux, tree / f"usr/lib/debug/lib/modules/{release}/kernel/net/x", build / FILE):
        place.parent.mkdir(parents=True, exist_ok=True)
    code = f"{FUNCTION}\nvoid _start(void) {{ int one = 1; dev_fail(&one); for (;;); }}\n"
    (build / FILE).write_text(code)
    flags = ["-g", "-O1", "-fno-inline", "-fcf-protection=none", f"-ffile-prefix-map={build}={source}"]
    link = ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id"]
    run("gcc", *flags, *link, "-o", tree / vmlinux, build / FILE)
    with (tree / vmlinux).open("ab") as file:
        file.write(os.urandom(1 << 20))  # as a kernel it does not become small when it is packed
    module = tree / f"usr/lib/debug/lib/modules/{release}/kernel/net/dm-fail.ko{suffix}"
    run("gcc", *flags, "-c", "-Wl,--build-id", "-o", module, build / FILE)
    (module.parent / f"other.ko{suffix}").write_bytes(module.read_bytes())
    notes = run("readelf", "-n", tree / vmlinux)
    build_id = notes.partition("Build ID: ")[2].split()[0]
    size = int(
        next(row for row in run("nm", "-S", tree / vmlinux).splitlines() if row.endswith("dev_fail")).split()[1], 16
    )
    return Kernel(tree, release, build_id, log(release, size))


def log(release: str, size: int) -> str:
    return f"""[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[    1.000000] #PF: supervisor read access in kernel mode
[    1.000000] #PF: error_code(0x0000) - not-present page
[    1.000000] Oops: 0000 [#1] SMP
[    1.000000] CPU: 0 PID: 1 Comm: sh Not tainted {release} #1
[    1.000000] RIP: 0010:dev_fail+0x0/{size:#x}
[    1.000000] Call Trace:
[    1.000000]  <TASK>
[    1.000000]  dev_fail+0x2/{size:#x} [dm_fail]
[    1.000000]  </TASK>
[    1.000000] Modules linked in: dm_fail
"""


# ---------------------------------------------------------------- keys


class Key(NamedTuple):
    """A key to sign with, in a home of its own."""

    home: Path
    public: Path


def key(home: Path, name: str) -> Key:
    need("gpg")
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home)}
    run(
        "gpg",
        "--batch",
        "-q",
        "--passphrase",
        "",
        "--quick-gen-key",
        f"{name} <{name}@example.org>",
        "rsa2048",
        env=env,
    )
    public = home / "public.asc"
    run("gpg", "--batch", "-q", "--armor", "--output", public, "--export", env=env)
    return Key(home, public)


# ---------------------------------------------------------------- RPMs


def el(directory: Path) -> Kernel:
    source = f"/usr/src/debug/kernel-5.14.0-503.el9/linux-{EL}"
    made = kernel(directory, EL, source, f"usr/lib/debug/lib/modules/{EL}/vmlinux", ".debug")
    place = made.tree / source.lstrip("/") / FILE
    place.parent.mkdir(parents=True)
    shutil.copy(str(directory / "build" / FILE), str(place))
    (place.parent / "unused.c").write_text("int unused;\n")
    return made


def rpms(made: Kernel, directory: Path, signer: Optional[Key]) -> Path:
    """A directory with the two packages of ``made``, of whose contents ``createrepo`` makes a repository."""
    need("rpmbuild", "createrepo_c", "rpmsign")
    spec = directory / "kernel.spec"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(SPEC.format(tree=made.tree))
    defines = (f"_topdir {directory}/top", "debug_package %{nil}", "__os_install_post %{nil}", "_build_id_links none")
    options = [word for define in defines for word in ("--define", define)]
    run("rpmbuild", "-bb", "--target", "x86_64", *options, spec)
    packages = directory / "packages"
    packages.mkdir()
    for file in (directory / "top/RPMS/x86_64").iterdir():
        shutil.copy(str(file), str(packages))
    if signer is not None:
        signed = (
            "--define",
            "__gpg /usr/bin/gpg",
            "--define",
            f"_gpg_path {signer.home}",
            "--define",
            "_gpg_name example.org",
        )
        run("rpmsign", *signed, "--addsign", *packages.iterdir(), env={"GNUPGHOME": str(signer.home)})
    return packages


def dnf(directory: Path, repository: Union[Path, str], trusted: Sequence[Key]) -> Dict[str, Optional[str]]:
    """The environment in which dnf knows that repository alone, and rpm those keys."""
    need("dnf", "rpm", "rpm2cpio", "cpio")
    tools, home = directory / "dnf-tools", directory / "home"
    tools.mkdir(parents=True)
    home.mkdir()
    url = f"file://{repository}" if isinstance(repository, Path) else repository
    main = f"[main]\nreposdir=/nonexistent\npluginconfpath={home}\ncachedir={directory}/dnf-cache\nlogdir={directory}\n"
    (directory / "dnf.conf").write_text(
        f"{main}[base-debuginfo]\nname=debuginfo\nbaseurl={url}\ngpgcheck=1\nmetadata_expire=0\n"
    )
    program = shutil.which("dnf")
    (tools / "dnf").write_text(f'#!/bin/sh\nexec {program} -c {directory}/dnf.conf --releasever=9 "$@"\n')
    (tools / "dnf").chmod(0o755)
    (home / ".rpmmacros").write_text(f"%_dbpath {directory}/rpmdb\n")
    env = {"HOME": str(home)}
    run("rpm", "--initdb", env=env)
    for one in trusted:
        run("rpm", "--import", one.public, env=env)
    return {**env, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "DEBUGINFOD_URLS": None}


# ---------------------------------------------------------------- Debian's packages


def debian(directory: Path) -> Kernel:
    made = kernel(directory, DEBIAN, ".", f"usr/lib/debug/boot/vmlinux-{DEBIAN}", "")
    link = made.tree / f"usr/lib/debug/lib/modules/{DEBIAN}/vmlinux"
    link.symlink_to(f"../../../boot/vmlinux-{DEBIAN}")
    return made


def deb(file: Path, name: str, data: bytes) -> None:
    """A package with the tar ``data``, whatever that holds: dpkg-deb would refuse to make some."""
    control = f"Package: {name}\nVersion: {VERSION}\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("./control")
        entry.size = len(control)
        archive.addfile(entry, io.BytesIO(control.encode()))
    with file.open("wb") as out:
        out.write(b"!<arch>\n")
        for member, content in (("debian-binary", b"2.0\n"), ("control.tar.gz", packed.getvalue()), ("data.tar", data)):
            out.write(f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            out.write(content + b"\n" * (len(content) % 2))


def tar(tree: Path, extra: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """``tree`` as a tar, behind the entries ``extra``, of which files have the content "evil"."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry in extra:
            entry.size = 4 if entry.isfile() else 0
            archive.addfile(entry, io.BytesIO(b"evil"))
        archive.add(str(tree), ".")
    return made.getvalue()


def debs(made: Kernel, directory: Path, extra: Sequence[tarfile.TarInfo] = ()) -> Path:
    """A directory with the packages of ``made`` and of its sources."""
    directory.mkdir(parents=True)
    deb(directory / f"linux-image-{DEBIAN}-dbg_{VERSION}_all.deb", f"linux-image-{DEBIAN}-dbg", tar(made.tree, extra))
    source = directory.parent / f"{directory.name}-source"
    (source / "usr/src").mkdir(parents=True)
    with tarfile.open(str(source / "usr/src/linux-source-6.1.tar.xz"), "w:xz") as archive:
        archive.add(str(made.tree.parent / "build" / FILE), f"linux-source-6.1/{FILE}")
        archive.add(str(made.tree.parent / "build" / FILE), "linux-source-6.1/kernel/unused.c")
    deb(directory / f"linux-source-6.1_{VERSION}_all.deb", "linux-source-6.1", tar(source))
    return directory


def index(directory: Path, signer: Optional[Key]) -> None:
    """Make a repository of the packages in ``directory``; its list is signed."""
    rows = []
    for file in sorted(directory.glob("*.deb")):
        name, version, _ = file.stem.split("_")
        data = file.read_bytes()
        rows.append(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
            f"Filename: ./{file.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
    packages = "\n".join(rows).encode()
    (directory / "Packages").write_bytes(packages)
    digest = hashlib.sha256(packages).hexdigest()
    (directory / "Release").write_text(
        f"Suite: test\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {len(packages)} Packages\n"
    )
    (directory / "InRelease").unlink() if (directory / "InRelease").exists() else None
    if signer is not None:
        signed = ("--output", directory / "InRelease", "--clearsign", directory / "Release")
        run("gpg", "--batch", "-q", *signed, env={"GNUPGHOME": str(signer.home)})


def apt(directory: Path, repository: Path, trusted: Key, *, update: bool = True) -> Dict[str, Optional[str]]:
    """The environment in which apt knows that repository alone."""
    need("apt-get", "dpkg-deb", "tar")
    state = directory / "apt"
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (state / name).mkdir(parents=True)
    (state / "status").write_text("")
    (state / "sources.list").write_text(f"deb [signed-by={trusted.public}] file://{repository} ./\n")
    config = (
        f'Dir::State "{state}"; Dir::State::status "{state}/status"; Dir::Cache "{state}/cache";',
        f'Dir::Etc "{state}/etc";',
        f'Dir::Etc::sourcelist "{state}/sources.list"; Dir::Etc::sourceparts "-"; Dir::Etc::parts "-";',
        'APT::Sandbox::User "root"; Acquire::AllowInsecureRepositories "true"; Acquire::Languages "none";',
    )
    (state / "apt.conf").write_text("\n".join(config))
    env = {"APT_CONFIG": str(state / "apt.conf")}
    if update:
        run("apt-get", "-q", "update", env=env)
    return {**env, "DEBUGINFOD_URLS": None}
