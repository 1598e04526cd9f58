"""Memories and what was judged before, as cells of which only the times at their pins are known."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harness.hardware.timing.cells.liberty import Cell

SRAM_OUT, SRAM_IN = "dna_sram_out", "dna_sram_in"
LEAST_BITS = 256
"""Smaller memories, and those that are read without a clock, are registers of the library."""

_LOAD_PF = 0.002
"""Of an input of such a cell: about one of a small gate of 45 nm."""


class Sram(msgspec.Struct, frozen=True):
    """What is assumed of a static memory, in ns.

    Attributes:
        access: from the clock to its output.
        setup: of its inputs, before the clock.
    """

    access: float = 1.0
    setup: float = 0.2

    def __str__(self) -> str:
        return (
            f"an SRAM takes {self.access:g} ns from its clock to its output, and its inputs "
            f"{self.setup:g} ns before the clock; memories of {LEAST_BITS} bits or more that are "
            "read with the clock are SRAM"
        )


class Box(msgspec.Struct, frozen=True):
    """A cell with a clock: what its inputs need before it, and what its outputs take, in ns."""

    clock: str
    setups: dict[str, float]
    delays: dict[str, float]
    area: float = 0.0

    def cell(self, name: str) -> Cell:
        """As a cell of a library."""
        ways = {self.clock: "input", **dict.fromkeys(self.setups, "input")}
        return Cell(
            name, self.area, {**ways, **dict.fromkeys(self.delays, "output")}, {}, {self.clock}
        )


def boxes(sram: Sram) -> dict[str, Box]:
    """The two kinds of pins that a memory becomes."""
    return {
        SRAM_OUT: Box("CK", {}, {"Q": sram.access}),
        SRAM_IN: Box("CK", {"D": sram.setup}, {}),
    }


def library(cells: Mapping[str, Box]) -> str:
    """A Liberty file of them."""
    return "\n".join(
        [
            "library (dna_boxes) {",
            "  delay_model : table_lookup;",
            '  time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1mA";',
            '  pulling_resistance_unit : "1kohm"; leakage_power_unit : "1nW";',
            "  capacitive_load_unit (1,pf);",
            "  nom_process : 1; nom_temperature : 25; nom_voltage : 1;",
            *(
                f"  {edge}_threshold_pct_{way} : {share};"
                for edge, share in (
                    ("slew_lower", 30),
                    ("slew_upper", 70),
                    ("input", 50),
                    ("output", 50),
                )
                for way in ("rise", "fall")
            ),
            *(_cell(name, box) for name, box in cells.items()),
            "}",
            "",
        ]
    )


def _cell(name: str, box: Box) -> str:
    lines = [
        f"  cell ({name}) {{",
        "    area : 0;",
        f"    pin ({box.clock}) {{ direction : input; capacitance : {_LOAD_PF}; clock : true; }}",
    ]
    for pin, setup in box.setups.items():
        checks = "".join(
            f' timing () {{ related_pin : "{box.clock}"; timing_type : {kind}_rising; '
            f'rise_constraint(scalar) {{ values ("{value}"); }} '
            f'fall_constraint(scalar) {{ values ("{value}"); }} }}'
            for kind, value in (("setup", setup), ("hold", 0.0))
        )
        lines.append(f"    pin ({pin}) {{ direction : input; capacitance : {_LOAD_PF};{checks} }}")
    for pin, delay in box.delays.items():
        tables = " ".join(
            f'{table}(scalar) {{ values ("{value}"); }}'
            for table, value in (
                ("cell_rise", delay),
                ("cell_fall", delay),
                ("rise_transition", 0.05),
                ("fall_transition", 0.05),
            )
        )
        lines.append(
            f'    pin ({pin}) {{ direction : output; timing () {{ related_pin : "{box.clock}"; '
            f"timing_type : rising_edge; {tables} }} }}"
        )
    return "\n".join([*lines, "  }"])


# A memory whose reads all have a clock becomes its pins; the write enable of words that are written
# whole is one signal, of which `Gates` keeps one pin.
TECHMAP = f"""(* techmap_celltype = "$mem_v2" *)
module dna_memory (RD_CLK, RD_EN, RD_ARST, RD_SRST, RD_ADDR, RD_DATA,
                   WR_CLK, WR_EN, WR_DATA, WR_ADDR);
parameter MEMID = ""; parameter SIZE = 1; parameter OFFSET = 0;
parameter ABITS = 1; parameter WIDTH = 1; parameter INIT = 0;
parameter RD_PORTS = 1; parameter RD_CLK_ENABLE = 0; parameter RD_CLK_POLARITY = 0;
parameter RD_TRANSPARENCY_MASK = 0; parameter RD_COLLISION_X_MASK = 0;
parameter RD_WIDE_CONTINUATION = 0; parameter RD_CE_OVER_SRST = 0;
parameter RD_ARST_VALUE = 0; parameter RD_SRST_VALUE = 0; parameter RD_INIT_VALUE = 0;
parameter WR_PORTS = 1; parameter WR_CLK_ENABLE = 0; parameter WR_CLK_POLARITY = 0;
parameter WR_PRIORITY_MASK = 0; parameter WR_WIDE_CONTINUATION = 0;
input [RD_PORTS-1:0] RD_CLK, RD_EN, RD_ARST, RD_SRST;
input [RD_PORTS*ABITS-1:0] RD_ADDR;
output [RD_PORTS*WIDTH-1:0] RD_DATA;
input [WR_PORTS-1:0] WR_CLK;
input [WR_PORTS*WIDTH-1:0] WR_EN, WR_DATA;
input [WR_PORTS*ABITS-1:0] WR_ADDR;
wire _TECHMAP_FAIL_ = RD_CLK_ENABLE != {{RD_PORTS{{1'b1}}}} || SIZE * WIDTH < {LEAST_BITS};
genvar i;
generate
for (i = 0; i < RD_PORTS * WIDTH; i = i + 1) begin : q
  {SRAM_OUT} cell (.CK(RD_CLK[i / WIDTH]), .Q(RD_DATA[i]));
end
for (i = 0; i < RD_PORTS; i = i + 1) begin : re
  {SRAM_IN} cell (.CK(RD_CLK[i]), .D(RD_EN[i]));
end
for (i = 0; i < RD_PORTS * ABITS; i = i + 1) begin : ra
  {SRAM_IN} cell (.CK(RD_CLK[i / ABITS]), .D(RD_ADDR[i]));
end
for (i = 0; i < WR_PORTS * WIDTH; i = i + 1) begin : wd
  {SRAM_IN} cell (.CK(WR_CLK[i / WIDTH]), .D(WR_DATA[i]));
end
for (i = 0; i < WR_PORTS * WIDTH; i = i + 1) begin : we
  {SRAM_IN} cell (.CK(WR_CLK[i / WIDTH]), .D(WR_EN[i]));
end
for (i = 0; i < WR_PORTS * ABITS; i = i + 1) begin : wa
  {SRAM_IN} cell (.CK(WR_CLK[i / ABITS]), .D(WR_ADDR[i]));
end
endgenerate
endmodule
"""

DECLARATIONS = f"""(* blackbox *) module {SRAM_OUT} (input CK, output Q); endmodule
(* blackbox, keep *) module {SRAM_IN} (input CK, input D); endmodule
"""
