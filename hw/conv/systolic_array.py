"""The R x C systolic array: processing elements with the skew that aligns what goes in and out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.conv.processing_element import MIN_SUM_WIDTH, ProcessingElement
from hw.microarchitecture import ELEMENT_LATENCY
from hw.streams.delay import delay


class SystolicArray(wiring.Component):
    """Matrix-vector products ``sums[c] = sum over r of activations[r] * weights[r][c]``.

    Rate: a vector in and a vector out per cycle. Latency: ``latency`` = R + C + 1 cycles: row r of
    the activations is delayed by r cycles on its way in, column c of the sums by C - 1 - c on its
    way out, and a product and a sum have a register each.

    Weights are written a row at a time, into the registers of the next weights, and ``swap`` with a
    vector puts them to use for it and those behind it. Column c of a row is delayed by c, as an
    activation is on its way through that row. So a row r written in cycle t is what a swap from
    cycle t - r + 1 on finds there, in all columns alike, and one before does not: rows written one
    by one, row 0 first, may begin in the very cycle of the swap before.

    Stall: none. What enters goes through.

    Args:
        rows: R, length of an activation vector.
        columns: C, length of a sum vector.

    Ports:
        activations: in, signed(8) [R].
        swap: in, the next weights are those in use from this vector on.
        weights: in, signed(8) [C], written to row ``load_row`` when ``load`` is set (all in).
        sums: out, signed(32) [C]. Exact: a partial sum has 16 + log2(R) bits inside the array.

    Raises:
        ValueError: ``rows`` or ``columns`` is not an integer of at least 2.
    """

    def __init__(self, *, rows: int, columns: int) -> None:
        for name, value in (("rows", rows), ("columns", columns)):
            if not isinstance(value, int) or value < 2:
                raise ValueError(f"{name} must be an integer of at least 2, not {value!r}")
        self.rows = rows
        self.columns = columns
        super().__init__(
            {
                "activations": In(data.ArrayLayout(signed(8), rows)),
                "swap": In(1),
                "weights": In(data.ArrayLayout(signed(8), columns)),
                "load": In(1),
                "load_row": In(range(rows)),
                "sums": Out(data.ArrayLayout(signed(32), columns)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from an activation vector to its sums."""
        return self.rows + self.columns - 2 + ELEMENT_LATENCY

    def elaborate(self, platform: Any) -> Module:
        """Build the grid and the skews around it."""
        m = Module()
        m.submodules.grid = grid = Module()

        sum_width = MIN_SUM_WIDTH + ceil_log2(self.rows)
        cells = [
            [ProcessingElement(sum_width=sum_width) for _ in range(self.columns)]
            for _ in range(self.rows)
        ]
        for r, row in enumerate(cells):
            for c, cell in enumerate(row):
                grid.submodules[f"pe_{r}_{c}"] = cell
                if c > 0:
                    grid.d.comb += [
                        cell.activation_in.eq(row[c - 1].activation_out),
                        cell.swap_in.eq(row[c - 1].swap_out),
                    ]
                if r > 0:
                    grid.d.comb += cell.sum_in.eq(cells[r - 1][c].sum_out)

        swap = self.swap
        for r, row in enumerate(cells):
            if r > 0:
                swap = delay(grid, swap, 1, f"swap_{r}")
            grid.d.comb += [
                row[0].activation_in.eq(delay(grid, self.activations[r], r, f"activation_{r}")),
                row[0].swap_in.eq(swap),
            ]

        # One bit per row rather than the row's number: no comparator in every cell.
        load_rows = Signal(self.rows)
        m.d.comb += load_rows.eq(self.load << self.load_row)
        for c in range(self.columns):
            if c > 0:
                load_rows = delay(grid, load_rows, 1, f"load_rows_{c}")
            weight = delay(grid, self.weights[c], c, f"weight_{c}")
            for r in range(self.rows):
                grid.d.comb += [
                    cells[r][c].weight.eq(weight),
                    cells[r][c].load.eq(load_rows[r]),
                ]
            bottom = cells[-1][c].sum_out
            grid.d.comb += self.sums[c].eq(delay(grid, bottom, self.columns - 1 - c, f"sum_{c}"))
        return m
