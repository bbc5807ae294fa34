"""The kernel parameters of the next boot, from the boot loader's menu and its settings."""

from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from kdumpwrap.doctor import grub
from kdumpwrap.doctor.crashkernel import values
from kdumpwrap.host import release as releases
from kdumpwrap.host import variables
from kdumpwrap.host.distribution import EL, Distribution
from kdumpwrap.host.tree import Denied, Host
from kdumpwrap.literal import Literal

DEFAULTS = "/etc/default/grub"

BootKind = Literal["bls", "grub.cfg", "zipl.conf", ""]


class Boot(NamedTuple):
    """The boot loader's configuration."""

    kind: BootKind = ""  # "" when there is none
    source: str = ""  # the file or directory with the entries
    entries: Tuple[grub.Entry, ...] = ()
    next: Optional[grub.Entry] = None  # the default entry
    settings: Optional[str] = None  # the parameters of /etc/default/grub; None: there is no such file
    denied: Optional[str] = None  # the path that this user may not read


def read(host: Host, distribution: Distribution, arch: Optional[str]) -> Boot:
    """The configuration of the boot loader that this host has."""
    try:
        return _read(host, distribution, arch)
    except Denied as denied:
        return Boot(denied=denied.path)


def menu_path(host: Host, distribution: Distribution) -> str:
    """The path of the effective grub.cfg. With EFI, el7 and el8 have it on the EFI partition."""
    if distribution.family is EL and host.is_dir("/sys/firmware/efi"):
        vendor = _efi_directory(host)
        if vendor is not None:
            return f"/boot/efi/EFI/{vendor}/grub.cfg"
    elif distribution.family is EL and not host.exists("/boot/grub2/grub.cfg"):
        vendor = _efi_directory(host)
        if vendor is not None and host.exists(f"/boot/efi/EFI/{vendor}/grub.cfg"):
            return f"/boot/efi/EFI/{vendor}/grub.cfg"
    return distribution.family.menu


def crashkernel(parameters: Optional[str]) -> Tuple[str, ...]:
    """The values of crashkernel= among ``parameters``."""
    return values(parameters or "")


def default_files(host: Host) -> Iterator[str]:
    """/etc/default/grub and, where they are read (Debian, Ubuntu), the files of grub.d."""
    yield DEFAULTS
    for name in host.names(DEFAULTS + ".d"):
        if name.endswith(".cfg"):
            yield f"{DEFAULTS}.d/{name}"


def _read(host: Host, distribution: Distribution, arch: Optional[str]) -> Boot:
    settings = _settings(host)
    cfg = menu_path(host, distribution)
    environment = grub.environment(_first(host, cfg.replace("grub.cfg", "grubenv"), "/boot/grub2/grubenv") or "")
    directory = "/boot/loader/entries"
    names = [name for name in host.names(directory) if name.endswith(".conf")]
    if names:
        if "kernelopts" not in environment:
            fallback = grub.kernelopts(_first(host, cfg, "/boot/grub2/grub.cfg") or "")
            environment.update({"kernelopts": fallback} if fallback is not None else {})
        entries = [grub.loader_entry(name, host.text(f"{directory}/{name}") or "", environment) for name in names]
        entries.sort(key=lambda entry: releases.order(entry.release), reverse=True)
        return Boot("bls", directory, tuple(entries), _next(entries, environment), settings)
    text = host.text("/etc/zipl.conf") if arch == "s390x" else None
    if text is not None:
        found = grub.zipl(text)
        return Boot("zipl.conf", "/etc/zipl.conf", found, _next(found, environment), settings)
    text = host.text(cfg)
    if text is not None:
        found = grub.menu(text)
        return Boot("grub.cfg", cfg, found, _next(found, environment), settings)
    return Boot(settings=settings)


def _settings(host: Host) -> Optional[str]:
    texts = [host.text(path) for path in default_files(host)]
    if all(text is None for text in texts):
        return None
    settings = variables.assignments([text for text in texts if text is not None])
    words = (settings.get(name, "") for name in ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"))
    return " ".join(word for word in words if word)


def _next(entries: Sequence[grub.Entry], environment: Dict[str, str]) -> Optional[grub.Entry]:
    saved = environment.get("saved_entry", "").rpartition(">")[2]  # "Advanced options…>title": the title
    for entry in entries:
        if saved and entry.id == saved:
            return entry
    return next((entry for entry in entries if not entry.rescue), None)


def _efi_directory(host: Host) -> Optional[str]:
    """``centos``, ``redhat``, ``rocky``: the vendor's directory on the EFI partition."""
    try:
        names = host.names("/boot/efi/EFI")
    except Denied:
        return None
    vendors = [name for name in names if name.lower() not in ("boot", "microsoft")]
    with_menu = [name for name in vendors if host.exists(f"/boot/efi/EFI/{name}/grub.cfg")]
    return next(iter([*with_menu, *vendors]), None)


def _first(host: Host, *paths: str) -> Optional[str]:
    """The text of the first of these files that exists."""
    return next((text for text in map(host.text, paths) if text is not None), None)
