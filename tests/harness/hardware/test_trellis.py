"""What Yosys makes of the machine's memories and products on an ECP5."""

import json
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


PRODUCT = """module top(input [{a}:0] a, input [{b}:0] b, output [31:0] y);
assign y = $signed(a) * $signed(b);
endmodule
"""
MULTIPLIER = r"""design -push
read_verilog -icells <<END
(* techmap_celltype = "$__MUL18X18" *)
module multiplier (input signed [17:0] A, B, output signed [35:0] Y);
parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 0, B_WIDTH = 0, Y_WIDTH = 0;
assign Y = A * B;
endmodule
END
design -save multiplier
design -pop
"""


@pytest.mark.parametrize(("a", "b"), [(8, 8), (9, 12), (18, 5)])
def test_a_narrow_product_takes_no_wire_for_its_sign(a, b):
    script, text = trellis.script("read_verilog top.v", "top"), PRODUCT.format(a=a - 1, b=b - 1)
    netlist = json.loads(trellis.synthesise(script, "top.v", text, "synthesis", lambda step: None))
    cells = netlist["modules"]["top"]["cells"].values()
    (product,) = [cell["connections"] for cell in cells if cell["type"] == "MULT18X18D"]
    wires = [pin for pin, bits in product.items() if pin[0] in "AB" and isinstance(bits[0], int)]
    assert len(wires) == a + b


def test_a_narrow_product_is_the_product(tmp_path):
    (tmp_path / "top.v").write_text(PRODUCT.format(a=3, b=4))
    prove = """read_verilog top.v
prep -top top
wreduce
copy top mapped
techmap -map %narrow mapped/t:$mul
select -assert-count 1 mapped/t:$__MUL18X18
techmap -map %multiplier mapped
miter -equiv -flatten -make_assert top mapped proof
hierarchy -top proof
flatten
sat -verify -prove-asserts proof
"""
    yosys.run(trellis.NARROW + MULTIPLIER + prove, tmp_path)
