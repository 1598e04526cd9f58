import re

import msgspec
import pytest

from harness.hardware.timing.cells import memories
from harness.hardware.timing.cells.gates import FAN_OUT, Gates
from harness.hardware.timing.cells.liberty import Cell, Library
from harness.hardware.timing.cells.memories import SRAM_IN, SRAM_OUT, Sram
from sw.errors import DnaError

CELLS = {
    "BUF": Cell("BUF", 2.0, {"A": "input", "Z": "output"}, {"Z": "A"}, set()),
    "INV": Cell("INV", 1.0, {"A": "input", "Z": "output"}, {"Z": "!A"}, set()),
    "DFF": Cell("DFF", 5.0, {"D": "input", "CK": "input", "Q": "output"}, {}, {"CK"}),
}
LIBRARY = Library("toy.lib", "slow", "", CELLS, CELLS["BUF"])
BOXES = {name: box.cell(name) for name, box in memories.boxes(Sram()).items()}


def module(sinks):
    """A register that drives so many inverters, each into a register."""
    cells = {"$first": {"type": "DFF", "connections": {"D": [3], "CK": [2], "Q": [4]}}}
    for number in range(sinks):
        cells[f"$inv{number}"] = {"type": "INV", "connections": {"A": [4], "Z": [100 + 2 * number]}}
        pins = {"D": [100 + 2 * number], "CK": [2], "Q": [101 + 2 * number]}
        cells[f"$reg{number}"] = {"type": "DFF", "connections": pins}
    ports = {
        "clk": {"direction": "input", "bits": [2]},
        "i": {"direction": "input", "bits": [3, "0"]},
        "o": {"direction": "output", "bits": [101]},
    }
    return {"cells": cells, "ports": ports}


def fan_out(gates):
    """How many inputs each net drives, the clock's left out."""
    counts = {}
    for name, gate in gates.gates.items():
        for pin, bit in gate.pins.items():
            if gates.direction(name, pin) == "input" and bit != gates.clock:
                counts[bit] = counts.get(bit, 0) + 1
    return counts


@pytest.mark.parametrize(
    ("sinks", "buffers"),
    [(1, 0), (FAN_OUT, 0), (FAN_OUT + 1, 2), (FAN_OUT**2, FAN_OUT), (FAN_OUT**2 + 1, FAN_OUT + 3)],
)
def test_trees_of_buffers(sinks, buffers):
    gates = Gates(module(sinks), LIBRARY, BOXES)
    area = sum(map(gates.area, gates.gates))
    assert gates.buffer() == buffers
    assert max(fan_out(gates).values()) <= FAN_OUT
    assert sum(map(gates.area, gates.gates)) == area + 2.0 * buffers
    for name, gate in gates.gates.items():  # every inverter still hangs on the register
        net = gate.pins["A"] if gate.kind == "INV" else 4
        while net != 4:
            driver = next(g for g in gates.gates.values() if g.pins.get("Z") == net)
            assert driver.kind == "BUF", name
            net = driver.pins["A"]


def test_a_register_that_drives_much_has_a_buffer_behind_it():
    loads = {"BUF": {"A": 3.0}, "INV": {"A": 2.0}, "DFF": {"D": 1.0}}
    cells = {name: msgspec.structs.replace(cell, loads=loads[name]) for name, cell in CELLS.items()}
    library = Library("toy.lib", "slow", "", cells, cells["BUF"])
    assert Gates(module(3), library, BOXES).buffer() == 0  # 6, which is twice a buffer
    gates = Gates(module(4), library, BOXES)
    assert gates.buffer() == 1
    (buffer,) = (gate for gate in gates.gates.values() if gate.kind == "BUF")
    assert buffer.pins["A"] == 4
    taking = [gate.pins["A"] for gate in gates.gates.values() if gate.kind == "INV"]
    assert taking == [buffer.pins["Z"]] * 4
    # Behind a tree it is the tree's root; no gate has one.
    gates = Gates(module(FAN_OUT**2), library, BOXES)
    assert gates.buffer() == FAN_OUT + 1
    wide = module(4)
    wide["cells"]["$first"] = {"type": "INV", "connections": {"A": [3], "Z": [4]}}
    assert Gates(wide, library, BOXES).buffer() == 0


def test_verilog_is_plain():
    gates = Gates(module(2), LIBRARY, BOXES)
    text = gates.verilog("block")
    assert text.startswith("module block (p0, p1);\n  input p0;\n  input p1;\n")
    assert gates.clock_port() == "p0"
    assert len(re.findall(r"^  DFF c\d+ \(", text, re.M)) == 3
    assert "  DFF c0 (.D(p1), .CK(p0), .Q(n4));" in text
    assert not re.search(r"assign|signed|[{}\\$]", text)


def test_registers_at_the_borders():
    gates = Gates(module(1), LIBRARY, BOXES)
    gates.register_borders([["i", 0], ["o", 0], ["clk", 0], ["none", 0]])
    added = [gate for name, gate in gates.gates.items() if name.startswith("b")]
    assert [gate.kind for gate in added] == ["DFF", "DFF"]
    assert added[0].pins["Q"] == 3 and added[1].pins["D"] == 101
    assert all(gate.pins["CK"] == 2 for gate in added)
    assert list(gates.ports) == ["p0"]  # the input comes from the register now
    assert "(.CK(p0), .D(1'b0), .Q(n3))" in gates.verilog("block")


def test_cells_that_the_library_lacks():
    broken = module(1)
    broken["cells"]["$latch"] = {"type": "$_DLATCH_P_", "connections": {"D": [3]}}
    with pytest.raises(DnaError, match=r"\$_DLATCH_P_ is in the netlist, but not in toy\.lib"):
        Gates(broken, LIBRARY, BOXES)
    none = {"cells": {}, "ports": module(0)["ports"]}
    with pytest.raises(DnaError, match=r"no register of toy\.lib with two inputs"):
        Gates(none, LIBRARY, BOXES).register_borders([["i", 0]])


def test_a_library_of_memories_says_what_is_assumed():
    sram = Sram(access=0.75, setup=0.125)
    text = memories.library(memories.boxes(sram))
    assert f"cell ({SRAM_OUT})" in text and f"cell ({SRAM_IN})" in text
    assert text.count('values ("0.75")') == 2
    assert text.count('values ("0.125")') == 2
    assert text.count("{") == text.count("}")
    assert "0.75 ns from its clock to its output" in str(sram) and "0.125 ns" in str(sram)
