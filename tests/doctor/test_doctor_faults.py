"""Each fault alone: exactly that one is named, with the command that is right for the release."""

from pathlib import Path
from typing import Dict

import doctor_faults_analysis
import doctor_faults_dump
import doctor_faults_memory
import doctor_faults_service
import doctor_hosts
import pytest
from doctor_fault import Fault

from kdumpwrap.doctor.examination import examine
from kdumpwrap.model.host import Diagnosis
from kdumpwrap.render import doctor as renderer

TABLES = (doctor_faults_memory, doctor_faults_service, doctor_faults_analysis, doctor_faults_dump)
FAULTS = tuple(fault for table in TABLES for fault in table.FAULTS)
CASES = [pytest.param(fault, host, id=f"{fault.id}-{host}") for fault in FAULTS for host in fault.hosts]


def complaints(diagnosis: Diagnosis) -> Dict[str, str]:
    return {check.name: check.status for check in diagnosis.checks if check.status not in ("ok", "skip")}


@pytest.mark.parametrize(("fault", "host"), CASES)
def test_exactly_this_fault_is_named_with_its_fix(fault: Fault, host: str, tmp_path: Path) -> None:
    tree = doctor_hosts.build(host, tmp_path / host)
    fault.change(tree, host)
    diagnosis = examine(tree.path)
    assert complaints(diagnosis) == {fault.check: fault.status}
    (check,) = (check for check in diagnosis.checks if check.status in ("fail", "warn"))
    assert fault.seen in check.seen
    fix = fault.fix if isinstance(fault.fix, str) else fault.fix[host]
    command = renderer.command(check.fix)
    assert command.startswith(fix) if fix.startswith("# ") else command == fix
    assert diagnosis.ready is (fault.status == "warn")


def test_every_host_has_a_fault_for_each_check_that_it_has(tmp_path: Path) -> None:
    tried = {(fault.check, host) for fault in FAULTS for host in fault.hosts}
    checks = {check.name for check in examine(doctor_hosts.build("el9", tmp_path / "el9").path).checks}
    never_a_fault = {"memory", "permissions", "hardlockup_panic", "panic_on_unrecovered_nmi", "sysrq"}
    assert checks - {name for name, _ in tried} == never_a_fault
