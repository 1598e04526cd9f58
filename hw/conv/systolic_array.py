"""The R x C systolic array: processing elements with the skew that aligns what goes in and out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import EnableInserter, Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.conv.processing_element import MIN_SUM_WIDTH, ProcessingElement


def _delay(m: Module, value: Value, cycles: int, name: str) -> Value:
    """``value`` as it was ``cycles`` cycles ago."""
    for cycle in range(cycles):
        stage = Signal(value.shape(), name=f"{name}_{cycle}", reset_less=True)
        m.d.sync += stage.eq(value)
        value = stage
    return value


class SystolicArray(wiring.Component):
    """Matrix-vector products ``sums[c] = sum over r of activations[r] * weights[plane][r][c]``.

    Rate: a vector in and a vector out per cycle. Latency: ``latency`` = R + C - 1 cycles: row r of
    the activations is delayed by r cycles on its way in, column c of the sums by C - 1 - c on its
    way out.

    Weights are written a row at a time, and column c of a row is delayed by c, as an
    activation is on its way through that row. So a row r written in cycle t is what every
    activation vector from cycle t - r + 1 on meets in that row, in all columns alike: rows written
    one by one, row 0 first, follow a vector through the array without touching it.

    Stall: with ``enable`` low nothing moves, neither sums nor weights.

    Args:
        rows: R, length of an activation vector.
        columns: C, length of a sum vector.

    Ports:
        enable: in.
        activations: in, signed(8) [R], with the ``plane`` (in) that they are to meet.
        weights: in, signed(8) [C], written to row ``load_row`` of plane ``load_plane`` when
            ``load`` is set (all in).
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
                "enable": In(1),
                "activations": In(data.ArrayLayout(signed(8), rows)),
                "plane": In(1),
                "weights": In(data.ArrayLayout(signed(8), columns)),
                "load": In(1),
                "load_row": In(range(rows)),
                "load_plane": In(1),
                "sums": Out(data.ArrayLayout(signed(32), columns)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles with ``enable`` from an activation vector to its sums."""
        return self.rows + self.columns - 1

    def elaborate(self, platform: Any) -> Module:
        """Build the grid, the skews around it, and one enable for all."""
        m = Module()
        grid = Module()
        m.submodules.grid = EnableInserter(self.enable)(grid)

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
                        cell.plane_in.eq(row[c - 1].plane_out),
                    ]
                if r > 0:
                    grid.d.comb += cell.sum_in.eq(cells[r - 1][c].sum_out)

        plane = self.plane
        for r, row in enumerate(cells):
            if r > 0:
                plane = _delay(grid, plane, 1, f"plane_{r}")
            grid.d.comb += [
                row[0].activation_in.eq(_delay(grid, self.activations[r], r, f"activation_{r}")),
                row[0].plane_in.eq(plane),
            ]

        # One bit per row rather than the row's number: no comparator in every cell.
        load_rows = Signal(self.rows)
        m.d.comb += load_rows.eq(self.load << self.load_row)
        load_plane = self.load_plane
        for c in range(self.columns):
            if c > 0:
                load_rows = _delay(grid, load_rows, 1, f"load_rows_{c}")
                load_plane = _delay(grid, load_plane, 1, f"load_plane_{c}")
            weight = _delay(grid, self.weights[c], c, f"weight_{c}")
            for r in range(self.rows):
                grid.d.comb += [
                    cells[r][c].weight.eq(weight),
                    cells[r][c].load.eq(load_rows[r]),
                    cells[r][c].load_plane.eq(load_plane),
                ]
            bottom = cells[-1][c].sum_out
            grid.d.comb += self.sums[c].eq(_delay(grid, bottom, self.columns - 1 - c, f"sum_{c}"))
        return m
