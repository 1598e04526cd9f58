"""Verilog of LiteDRAM with its own model of an SDRAM behind it, and an AXI4 port.

    python -m tests.support.litedram_verilog ddr3|ddr4 BITS FILE

A chip of 8 or 16 bits at four clocks of the memory for each of the controller, so that a burst of
the memory is a word of the port; with few rows, which take no room in a simulation.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from litedram import modules
from litedram.core import LiteDRAMCore
from litedram.frontend.axi import LiteDRAMAXI2Native, LiteDRAMAXIPort
from litedram.phy.model import SDRAMPHYModel
from migen import Module
from migen.fhdl import verilog

from tests.support.litedram_chip import BUFFERS, CLOCK_HZ, COLUMNS, ROWS

CHIPS = {"ddr3": modules.MT41K256M16, "ddr4": modules.MT40A1G8}


class Top(Module):
    """Controller, SDRAM and port."""

    def __init__(self, kind: str, bits: int) -> None:
        chip = type(kind, (CHIPS[kind],), {"nrows": ROWS, "ncols": COLUMNS})(CLOCK_HZ, "1:4")
        self.submodules.phy = SDRAMPHYModel(chip, data_width=bits, clk_freq=CLOCK_HZ)
        self.submodules.core = LiteDRAMCore(
            phy=self.phy,
            geom_settings=chip.geom_settings,
            timing_settings=chip.timing_settings,
            clk_freq=CLOCK_HZ,
        )
        port = self.core.crossbar.get_port()
        self.axi = LiteDRAMAXIPort(port.data_width, 32, id_width=2)
        self.submodules += LiteDRAMAXI2Native(
            self.axi, port, w_buffer_depth=BUFFERS, r_buffer_depth=BUFFERS
        )
        self.chip = chip

    def pins(self) -> set[Any]:
        """All of the port, named as ``ar_valid``."""
        found = set()
        for channel in ("aw", "w", "b", "ar", "r"):
            end = getattr(self.axi, channel)
            for record in (end, end.payload, end.param):
                for name, *_ in record.layout:
                    signal = getattr(record, name)
                    if name not in ("payload", "param"):
                        signal.name_override = f"{channel}_{name}"
                        found.add(signal)
        return found

    def numbers(self) -> dict[str, Any]:
        """What it was made with: clocks of the controller, but for the latencies of the chip."""
        times = {
            name: value
            for name, value in vars(self.chip.timing_settings).items()
            if isinstance(value, int)
        }
        settings = self.phy.settings
        return times | {"cl": settings.cl, "cwl": settings.cwl, "phases": settings.nphases}


def main() -> None:
    """Write the Verilog; print the numbers as JSON."""
    kind, bits, file = sys.argv[1:]
    top = Top(kind, int(bits))
    numbers = top.numbers()
    verilog.convert(top, ios=top.pins(), name="litedram").write(file)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
