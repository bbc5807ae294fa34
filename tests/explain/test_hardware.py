"""Machine checks and a board's own NMI: said to be the hardware's, with what of it."""

import pytest
import recorded

from kdumpwrap.explain import hardware, reasons
from kdumpwrap.log import reader
from kdumpwrap.model.kernel import Resolution


def why(*lines: str) -> str:
    (report,) = reader.parse(["".join(f"[  9.{n:06d}] {line}\n" for n, line in enumerate(lines)).encode()]).reports
    return " ".join(reasons.explain(Resolution.of(report), None))


def test_a_machine_check_is_the_hardwares_and_no_function_is_its_cause() -> None:
    (report,) = recorded.parse("el7-mce-panic").reports
    assert reasons.explain(Resolution.of(report), None) == (
        "The hardware reported it (machine check): the internal timer ran out: an instruction did not end in time, "
        "not corrected, the processor's context is corrupt (MCi_STATUS be00000000800400).",
        "It was found by CPU 9, socket 1, bank 5, address 0xffffffff813a7b1c.",
        "The same was found by CPU 21.",
        "intel_idle ran at that time and is not the cause.",
    )


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (0x0001, "an error of no class"),
        (0x0005, "an internal parity error"),
        (0x0400, "the internal timer ran out: an instruction did not end in time"),
        (0x0402, "an internal error of the processor"),
        (0x0090, "an error of the memory or its controller"),  # 1MMMCCCC
        (0x109F, "an error of the memory or its controller"),  # with F
        (0x0135, "an error of a cache"),
        (0x0015, "an error of a TLB"),
        (0x0E0B, "an error of the bus or interconnect"),
        (0x0F0B, "an error of the bus or interconnect: a time-out"),
        (0x0000, "an error of the unknown code 0x0000"),
    ],
)
def test_the_architectural_part_of_the_status(code: int, what: str) -> None:
    assert hardware.kind(code) == what


def test_a_check_without_its_numbers() -> None:
    assert "no bug of the code" in why("mce: [Hardware Error]: Machine check events logged")


@pytest.mark.parametrize(
    "text",
    [
        "Kernel panic - not syncing: NMI IOCK error: Not continuing",
        "Kernel panic - not syncing: NMI: Not continuing",
        "Kernel panic - not syncing: An NMI occurred, please see the Integrated Management Log for details.",
    ],
)
def test_an_nmi_of_the_board_says_where_the_machines_own_log_is(text: str) -> None:
    assert "ipmitool sel elist" in why(text)


def test_other_panics_say_nothing_of_an_nmi() -> None:
    assert "NMI" not in why("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)")


def test_each_bank_is_told_the_worst_first() -> None:
    """mce_panic() prints what was corrected first; the EDAC driver decodes what was printed before."""
    (report,) = recorded.parse("amd-mce-panic").reports
    assert [(one.cpu, one.bank, one.socket, one.amd) for one in report.machine_checks] == [
        (3, 17, 0, True),
        (3, 5, 0, True),
        (19, 5, None, False),
    ]
    assert reasons.explain(Resolution.of(report), None) == (
        "The hardware reported it (machine check): an error of a cache, not corrected, the processor's context is "
        "corrupt (MCi_STATUS bea0000000000108).",
        "It was found by CPU 3, socket 0, bank 5, address 0x1ffff9a6b1c0c.",
        "The EDAC driver calls it 'Execution Unit: Watchdog timeout error'.",
        "The same was found by CPU 19.",
        "Besides, CPU 3, socket 0, bank 17: an error of a cache, corrected, earlier errors were overwritten "
        "(MCi_STATUS dc2040000000011b).",
        "native_safe_halt ran at that time and is not the cause.",
    )


def test_a_deferred_error_and_older_processors() -> None:
    text = why(
        "[Hardware Error]: Deferred error, no action required.",
        "[Hardware Error]: CPU:0 (10:4:2) MC4_STATUS[-|-|MiscV|AddrV|-|CECC|Deferred]: 0x9c00500000080a13",
        "[Hardware Error]: Error Addr: 0x00000001c01e4800",
        "[Hardware Error]: MC4 Error (node 1): DRAM ECC error detected on the NB.",
    )
    assert "deferred (MCi_STATUS 9c00500000080a13)" in text
    assert "It was found by CPU 0, bank 4, address 0x1c01e4800." in text
    assert "calls it 'MC4 Error (node 1): DRAM ECC error detected on the NB'." in text
