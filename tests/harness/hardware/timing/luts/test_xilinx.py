"""What DESIGN says of cells, for each kind that Yosys writes."""

import re

import pytest

from harness.hardware.timing.luts import xilinx
from sw.errors import DnaError


def timing(kind, ins, outs, **parameters):
    numbers = iter(range(2, 10_000))
    pins = {pin: [next(numbers) for _ in range(width)] for pin, width in {**ins, **outs}.items()}
    ways = {**dict.fromkeys(ins, "input"), **dict.fromkeys(outs, "output")}
    return pins, xilinx.timing(kind, parameters, pins, ways)


def through(pins, found, source, sink):
    """The cost between two bits, None if there is no way."""
    costs = [cost for ins, out, cost in found.arcs if out == sink and source in ins]
    return max(costs, default=None)


@pytest.mark.parametrize(
    ("kind", "ins", "cost"),
    [("LUT6", 6, 1.0), ("LUT1", 1, 1.0), ("INV", 1, 1.0), ("MUXF7", 3, 0.25), ("MUXF8", 3, 0.25)],
)
def test_logic(kind, ins, cost):
    pins, found = timing(kind, {f"I{n}": 1 for n in range(ins)}, {"O": 1})
    assert not found.starts and not found.ends
    for pin in range(ins):
        assert through(pins, found, pins[f"I{pin}"][0], pins["O"][0]) == cost


def test_a_carry_goes_upwards_only():
    pins, found = timing("CARRY4", {"CI": 1, "CYINIT": 1, "DI": 4, "S": 4}, {"O": 4, "CO": 4})
    assert through(pins, found, pins["CI"][0], pins["CO"][3]) == 0.125  # of a CARRY8: a quarter
    assert through(pins, found, pins["S"][3], pins["O"][3]) == 0.125
    assert through(pins, found, pins["S"][3], pins["O"][2]) is None
    assert through(pins, found, pins["DI"][2], pins["O"][2]) is None
    assert through(pins, found, pins["DI"][2], pins["CO"][2]) == 0.125


def test_a_flip_flop_ends_and_begins():
    pins, found = timing("FDRE", {"C": 1, "CE": 1, "D": 1, "R": 1}, {"Q": 1})
    assert found.starts == ((pins["Q"][0], 0.0),)
    assert {pin for _, _, pin in found.ends} == {"CE", "D", "R"}
    assert not found.arcs


@pytest.mark.parametrize(
    ("kind", "out", "parameters", "cost"),
    [
        ("RAMB18E2", "DOUTADOUT", {}, 2.0),
        ("RAMB36E2", "DOUTBDOUT", {"DOA_REG": "1", "DOB_REG": "0"}, 2.0),
        ("RAMB36E2", "DOUTBDOUT", {"DOA_REG": "0", "DOB_REG": "1"}, 0.0),
        ("RAMB36E2", "DOUTPADOUTP", {"DOA_REG": "1"}, 0.0),
        ("URAM288", "DOUT_B", {"OREG_A": "TRUE", "OREG_B": "FALSE"}, 2.0),
        ("URAM288", "DOUT_B", {"OREG_B": "TRUE"}, 0.0),
    ],
)
def test_a_ram_that_is_read(kind, out, parameters, cost):
    pins, found = timing(kind, {"ADDR": 3, "CLKARDCLK": 1}, {out: 2}, **parameters)
    assert found.starts == tuple((bit, cost) for bit in pins[out])
    assert {pin for _, _, pin in found.ends} == {"ADDR"}


def test_distributed_ram_reads_through():
    ins = {"ADDRA": 5, "ADDRH": 5, "DIA": 2, "WCLK": 1, "WE": 1}
    pins, found = timing("RAM32M16", ins, {"DOA": 2})
    assert through(pins, found, pins["ADDRA"][4], pins["DOA"][1]) == 2.0
    assert through(pins, found, pins["ADDRH"][0], pins["DOA"][0]) is None
    assert {pin for _, _, pin in found.ends} == {"ADDRA", "ADDRH", "DIA", "WE"}
    pins, found = timing("RAM32X1D", {"A0": 1, "D": 1, "DPRA0": 1, "WCLK": 1}, {"SPO": 1, "DPO": 1})
    assert through(pins, found, pins["DPRA0"][0], pins["DPO"][0]) == 2.0
    assert through(pins, found, pins["A0"][0], pins["DPO"][0]) is None
    assert through(pins, found, pins["A0"][0], pins["SPO"][0]) == 2.0


REGISTERS = ("AREG", "BREG", "CREG", "DREG", "ADREG", "MREG", "PREG", "INMODEREG", "OPMODEREG")


@pytest.mark.parametrize(
    ("registers", "into", "through_it", "behind"),
    [
        ("", None, 4.0, 0.0),
        ("MREG", 2.0, None, 2.0),
        ("PREG", 4.0, None, 0.0),
        ("MREG PREG", 2.0, None, 0.0),
        ("AREG BREG", 0.0, None, 4.0),
        ("AREG BREG MREG", 0.0, None, 2.0),
        ("AREG BREG MREG PREG", 0.0, None, 0.0),
    ],
)
def test_a_dsp_block_is_cut_by_its_registers(registers, into, through_it, behind):
    parameters = {name: "1" if name in registers.split() else "0" for name in REGISTERS}
    ins = {"A": 1, "B": 1, "C": 1, "CLK": 1, "CEA1": 1}
    pins, found = timing("DSP48E2", ins, {"P": 2}, **parameters)
    assert through(pins, found, pins["A"][0], pins["P"][1]) == through_it
    assert next((cost for bit, cost, _ in found.ends if bit == pins["B"][0]), None) == into
    assert dict(found.starts)[pins["P"][0]] == behind
    p = "PREG" in registers
    assert through(pins, found, pins["C"][0], pins["P"][0]) == (None if p else 2.0)
    assert (pins["CEA1"][0], 0.0, "CEA1") in found.ends


def test_an_unknown_cell_is_refused():
    with pytest.raises(DnaError, match="a cell whose levels dna does not know: 'LATCH'"):
        timing("LATCH", {"D": 1}, {"Q": 1})


def test_the_mapper_counts_as_we_do():
    """Else it leaves more levels in quick logic where slow logic is beside it."""
    pins = {
        "LUT6": ({f"I{n}": 1 for n in range(6)}, {"O": 1}),
        "MUXF8": ({"I0": 1, "I1": 1, "S": 1}, {"O": 1}),
        "CARRY4": ({"CI": 1, "CYINIT": 1, "DI": 4, "S": 4}, {"O": 4, "CO": 4}),
    }
    modules = {
        re.search(r"module (\S+?) ?\(", line)[1]: line
        for line in xilinx.costs_of_cells().splitlines()
    }
    for kind, (ins, outs) in pins.items():
        nets, found = timing(kind, ins, outs)
        arcs = re.findall(r"\((\w+)(?:\[(\d)\])? => (\w+)(?:\[(\d)\])?\) = (\d+);", modules[kind])
        told = {
            (nets[a][int(i or 0)], nets[o][int(j or 0)]): int(cost) for a, i, o, j, cost in arcs
        }
        assert told == {
            (source, sink): round(500 * cost)
            for sources, sink, cost in found.arcs
            for source in sources
        }
    assert "specify" not in modules["FDRE"] + modules["FDSE"]
