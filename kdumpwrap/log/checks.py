"""The machine checks that a report lists: the values that the kernel prints of each bank, the EDAC driver's text.

Sources: arch/x86/kernel/cpu/mce/core.c __print_mce(), drivers/edac/mce_amd.c amd_decode_mce(), 3.10 to 6.12.
"""

from typing import List

from kdumpwrap.model.log import MachineCheck
from kdumpwrap.regex import regex

# mce: [Hardware Error]: CPU 9: Machine Check Exception: 5 Bank 5: be00000000800400
# [Hardware Error]: CPU:3 (17:1:2) MC5_STATUS[Over|UE|MiscV|AddrV|PCC|TCC|SyndV|-|-|-]: 0xbea0000000000108
_BANK = regex(
    r"CPU (?P<cpu>\d{1,6}): Machine Check[^:]{0,10}: \w{1,16} Bank (?P<bank>\d{1,3}): (?P<status>[0-9a-f]{16})"
)
_DECODED = regex(
    r"CPU:(?P<cpu>\d{1,6}) \([0-9a-f:]{1,20}\) MC(?P<bank>\d{1,3})_STATUS\[.{0,100}\]: 0x(?P<status>[0-9a-f]{16})"
)
# TSC 4d5c7e1f0a2b3 ADDR 1c01e4800 MISC 7fff                Error Addr: 0x00000001c01e4800
_ADDRESS = regex(r"(?:TSC [0-9a-f]{1,16} ADDR |Error Addr: 0x)(?P<address>[0-9a-f]{1,16})\b")
# PROCESSOR 0:306f2 TIME 1702000000 SOCKET 1 APIC 12 microcode 3a        0 is Intel, 2 AMD, 9 Hygon
_SOCKET = regex(r"PROCESSOR (?P<vendor>\d{1,3}):[0-9a-f]{1,8} .{1,40} SOCKET (?P<socket>[0-9a-f]{1,4}) ")
# Execution Unit Ext. Error Code: 0, Watchdog timeout error.              MC4 Error (node 1): DRAM ECC error detected
_SAID = regex(
    r"(?P<unit>[A-Z][\w /()-]{1,60}?) Ext\. Error Code: \d{1,3}, (?P<what>\S.{0,200}?)\.?$|"
    r"(?P<old>MC\d Error(?: \(node \d+\))?: \S.{0,200}?)\.?$"
)
_AMD = ("2", "9")
_MOST = 64


class Checks:
    """Gathers the machine checks of a report, in the order printed."""

    def __init__(self) -> None:
        self.found: List[MachineCheck] = []

    def read(self, text: str) -> bool:
        """Read one line of the log; True when it belongs to a machine check."""
        _, mark, text = text.partition("[Hardware Error]: ")
        if not mark:
            return False
        decoded = _DECODED.match(text)  # by the driver for AMD's processors
        bank = decoded or _BANK.match(text)
        if bank:
            self._add(int(bank["cpu"]), int(bank["bank"]), int(bank["status"], 16), amd=decoded is not None)
            return True
        address, socket, said = _ADDRESS.match(text), _SOCKET.match(text), _SAID.match(text)
        if not self.found or not (address or socket or said):
            return False
        last = self.found.pop()
        if address:
            last = last._replace(address=int(address["address"], 16))
        elif socket:
            last = last._replace(socket=int(socket["socket"], 16), amd=last.amd or socket["vendor"] in _AMD)
        elif said:
            last = last._replace(said=said["old"] or f"{said['unit']}: {said['what']}")
        self.found.append(last)
        return True

    def _add(self, cpu: int, bank: int, status: int, *, amd: bool) -> None:
        for known in self.found:
            if (known.cpu, known.bank, known.status) == (cpu, bank, status):  # printed, then decoded
                self.found.remove(known)
                self.found.append(known._replace(amd=known.amd or amd))
                return
        if len(self.found) < _MOST:
            self.found.append(MachineCheck(cpu, bank, status, amd=amd))
