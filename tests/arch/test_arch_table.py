"""The table of architectures: its rows agree with each other and with the modules that are made for a machine."""

import pytest

from kdumpwrap.arch import core, operand, table
from kdumpwrap.parse import readelf

KNOWN = [name for name, row in table.ARCHES.items() if row.core is not None]


@pytest.mark.parametrize("name", KNOWN)
def test_a_row_is_whole(name: str) -> None:
    row = table.of(name)
    assert row.readelf and row.bfd and row.binutils and row.poison_delta
    assert not row.clobbered & {*row.kept, *row.stack} - {"r14"}  # s390x: the return address, which a call restores
    assert row.result in row.clobbered
    assert row.result is not None and {row.result, *row.arguments} <= {*row.clobbered, *row.kept}
    registers = {register for register in (*row.arguments, *row.kept) if register not in row.clobbered}
    assert row.core is not None
    assert set(core.spelled(name, dict.fromkeys(registers, 1))) <= set(row.core.registers)
    assert name in operand._PARSERS


def test_readelf_names_each_machine_once() -> None:
    assert readelf._MACHINES["Advanced Micro Devices X86-64"] == "x86_64"
    assert len(readelf._MACHINES) == sum(row.readelf is not None for row in table.ARCHES.values())


def test_an_architecture_without_a_row_is_one_of_which_nothing_is_known() -> None:
    assert table.of("mips64") == table.of(None) == table.Arch()
