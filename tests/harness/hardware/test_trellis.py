"""What Yosys is told of the machine's memories before it maps them to an ECP5."""

import re

import pytest

from harness.hardware import trellis
from hw import rtlil
from hw.memory.ram import DualPortRam, Ram
from sim import yosys

VERILOG = "proc -nomux -norom\nmemory_collect\nwrite_verilog -norename design.v"


@pytest.mark.parametrize("ram", [Ram(width=36, depth=1024), DualPortRam(width=18, depth=2048)])
@pytest.mark.parametrize("form", ["rtlil", "verilog"])
def test_a_memory_is_two_block_rams_and_no_way_around_them(tmp_path, ram, form):
    (tmp_path / "design.il").write_text(rtlil.convert(ram, name=ram.module_name))
    if form == "verilog":
        yosys.run(f"read_rtlil design.il\n{VERILOG}\n", tmp_path)
    read = "read_verilog design.v" if form == "verilog" else "read_rtlil design.il"
    synthesis = f"synth_ecp5 -top {ram.module_name}\nwrite_rtlil mapped.il\n"
    yosys.run(f"{read}\n{trellis.MEMORIES}{synthesis}", tmp_path)
    cells = re.findall(r"^  cell \\(\S+)", (tmp_path / "mapped.il").read_text(), re.M)
    assert "TRELLIS_FF" not in cells and cells.count("LUT4") <= 1  # of two enables of a port
    assert cells.count("DP16KD") + cells.count("PDPW16KD") == 2
