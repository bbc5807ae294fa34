"""What a fault of doctor's tests is: the ill, the hosts it is tried on, and the answer that doctor has to give."""

from typing import Callable, Dict, NamedTuple, Tuple, Union

from doctor_hosts import Tree
from doctor_ills import BLS, RELEASES

ALL = tuple(RELEASES)
DEBIANS = ("debian", "ubuntu")
LOAD = dict.fromkeys(RELEASES, "systemctl restart kdump")
LOAD.update(dict.fromkeys(DEBIANS, "systemctl restart kdump-tools"))


class Fault(NamedTuple):
    """``fix``: the same on every host, or by host; empty: nothing but a word by hand, given in ``by_hand``."""

    id: str
    hosts: Tuple[str, ...]
    change: Callable[[Tree, str], None]
    check: str
    fix: Union[str, Dict[str, str]]
    seen: str = ""
    status: str = "fail"


def by_manager(package: str) -> Dict[str, str]:
    """The command that installs ``package``, called so everywhere."""
    commands = {"el7": "yum install", "suse": "zypper install"}
    commands.update(dict.fromkeys(BLS, "dnf install"))
    commands.update(dict.fromkeys(DEBIANS, "apt install"))
    return {name: f"{command} {package}" for name, command in commands.items()}
