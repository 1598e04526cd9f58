"""The SoC as LiteX makes it, and what of it the driver, the simulation and the tools rely on."""

import dataclasses
import re

import pytest

from harness.board import sources
from harness.board.boards import BOARDS, ULX3S, find
from harness.board.link import simulated
from harness.board.soc import TOP, SocDescription, generate
from hw.config import PRESETS
from sw.errors import DnaError
from tests.support.fake_board import CSR, DESCRIPTION
from tests.support.processes import printed_in_every_process

CLOCK_HZ = 50_000_000


@pytest.fixture(scope="module")
def soc():
    return generate(ULX3S, PRESETS["nano"], CLOCK_HZ)


def test_the_machine_is_an_instance_with_all_its_ports(soc):
    instance = re.search(r"^dna_axi dna_axi\((.*?)^\);", soc.verilog, re.M | re.S)
    ports = set(re.findall(r"\.(\w+)\s*\(", instance[1]))
    assert {"aclk", "aresetn", "interrupt", "m_axi_araddr", "s_axil_rdata"} <= ports
    from hw.top import machine_members

    members = set(machine_members(PRESETS["nano"]))
    assert members - ports == set()


GENERATE = """
from harness.board.boards import ULX3S
from harness.board.soc import generate
from hw.config import PRESETS

print(generate(ULX3S, PRESETS["nano"], 50_000_000).verilog)
"""


def test_one_soc_is_one_text():
    """LiteX lists cells in the order of a set, which is another one in every process."""
    assert len(printed_in_every_process(GENERATE)) == 1


def test_the_driver_knows_its_registers(soc):
    assert set(CSR) <= set(soc.csr)
    assert [step.control for step in soc.init].count(True) == 1
    assert soc.init[0].bits == 14
    # Mode register: read latency 2, bursts of one.
    assert soc.init[-1].address == 0x20


def test_every_pin_has_a_place(soc):
    ports = re.findall(
        r"^\s*(?:input|output)\s+(?:wire|reg)\s+(?:\[(\d+):0\])?\s*(\w+)",
        re.search(rf"^module {TOP} \((.*?)\);", soc.verilog, re.M | re.S)[1],
        re.M,
    )
    for width, name in ports:
        pins = [name] if not width else [f"{name}[{bit}]" for bit in range(int(width) + 1)]
        for pin in pins:
            assert f'LOCATE COMP "{pin}" SITE' in soc.pins
    assert 'FREQUENCY PORT "clk25" 25.0 MHz' in soc.pins


def test_the_simulation_finds_the_data_pins_and_knows_every_cell(soc):
    header = simulated._pins(soc.verilog, DESCRIPTION)
    assert header.count("__DOT__driven") == 16
    assert "BIT_CYCLES = 50;" in header
    cells = set(re.findall(r"^([A-Z]\w+)(?: #)?\s*\(?[^\n]*\($", soc.verilog, re.M))
    modules = (simulated._FOLDER / "primitives.v").read_text()
    assert cells
    for cell in cells:
        assert f"module {cell} " in modules


def test_boards_and_machines_that_do_not_go_together():
    assert find("ulx3s") is BOARDS["ulx3s"]
    with pytest.raises(DnaError, match="no board 'ulx4'; there is: ulx3s"):
        find("ulx4")
    wide = dataclasses.replace(PRESETS["micro"], dram_ports=2)
    with pytest.raises(DnaError, match="has one memory; the configuration has 2 dram_ports"):
        generate(ULX3S, wide, CLOCK_HZ)


def test_a_description_survives_its_file():
    import msgspec

    again = msgspec.json.decode(msgspec.json.encode(DESCRIPTION), type=SocDescription)
    assert again == DESCRIPTION


def test_the_text_names_no_line_of_python(tmp_path):
    """A line more in hw/ is no other circuit."""
    sources.write(ULX3S, PRESETS["nano"], CLOCK_HZ, tmp_path)
    text = (tmp_path / sources.VERILOG).read_text()
    assert "module dna_axi(" in text
    assert "src =" not in text
    assert ".py" not in text
