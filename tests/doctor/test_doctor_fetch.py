"""Whether doctor says that fetch would work: it asks the package manager which repository has the debuginfo."""

from pathlib import Path
from typing import Mapping, Optional

import packages_made as made
import pytest
from packages_made import DEBIAN, EL, Kernel, Key

from kdumpwrap.doctor import analysis, facts
from kdumpwrap.host import distribution
from kdumpwrap.host.tree import Host
from kdumpwrap.model.host import Check

CENTOS = distribution.identify('ID="centos"\nVERSION_ID="9"\n')
BOOKWORM = distribution.identify("ID=debian\nVERSION_ID=12\n")


def said(
    on: distribution.Distribution,
    release: str,
    env: Mapping[str, Optional[str]],
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
) -> Check:
    for name, value in {**env, "XDG_CACHE_HOME": str(cache)}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    host = facts.read(Host(Path("/")))._replace(distribution=on, release=None)
    (check,) = analysis.fetching(host, analysis.Crashes("/var/crash", releases=(release,)))
    assert (check.name, check.side) == ("fetch", "analysis")
    assert (check.status == "ok") == (check.fix == ())
    return check


def test_it_works(rpms: Path, debs: Path, signer: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        check = said(CENTOS, EL, made.dnf(tmp_path / "dnf", rpms, [signer]), patch, tmp_path)
    assert (check.status, check.seen.partition(";")[0]) == ("ok", "by dnf from base-debuginfo")
    with monkeypatch.context() as patch:
        check = said(BOOKWORM, DEBIAN, made.apt(tmp_path, debs, signer), patch, tmp_path)
    assert (check.status, check.seen.partition(":")[0]) == ("ok", "by apt-get from file")


def test_a_repository_without_it(
    rpms: Path, debs: Path, signer: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "5.14.0-70.22.1.el9_0.x86_64"
    with monkeypatch.context() as patch:
        check = said(CENTOS, other, made.dnf(tmp_path / "dnf", rpms, [signer]), patch, tmp_path)
    assert (check.status, check.seen) == ("warn", f"kernel-debuginfo-{other} is in no enabled repository")
    assert check.fix[0].what.endswith(": dnf config-manager --set-enabled baseos-debuginfo")
    with monkeypatch.context() as patch:
        check = said(BOOKWORM, "6.1.0-1-amd64", made.apt(tmp_path, debs, signer), patch, tmp_path)
    assert (check.status, check.seen) == ("warn", "linux-image-6.1.0-1-amd64-dbg is in no enabled repository")


def test_no_network(signer: Key, el: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = made.dnf(tmp_path / "dnf", "http://127.0.0.1:1/", [signer])
    check = said(CENTOS, el.release, env, monkeypatch, tmp_path)
    assert check.status == "warn"
    assert check.seen.startswith(f"nothing to be had of {el.release}: dnf failed")
    assert check.fix[0].what.startswith("Let it reach its repositories; this failed: dnf ")


def test_no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {"PATH": str(tmp_path)}
    for on, release, says, install in (
        (CENTOS, EL, "neither dnf nor yumdownloader is here", "dnf install dnf"),
        (BOOKWORM, DEBIAN, "no apt-get is here", ""),
    ):
        with monkeypatch.context() as patch:
            check = said(on, release, empty, patch, tmp_path)
        assert check.status == "warn" and says in check.seen
        assert install in check.fix[0].command
