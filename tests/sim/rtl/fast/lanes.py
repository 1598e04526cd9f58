"""A design of many equal cells, drawn at random, for what compiles such cells into loops."""

import random

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

ROWS, COLUMNS = 3, 5


def expression(draw: random.Random, leaves: list[Value], depth: int) -> Value:
    """A value of all kinds of operators, at most 28 bits wide so that sums of two fit a word."""
    if depth == 0:
        return draw.choice(leaves)
    a, b, c = (expression(draw, leaves, depth - 1) for _ in range(3))
    made = draw.choice(
        [
            lambda: a + b,
            lambda: a - b,
            lambda: a[:7].as_signed() * b[:6],
            lambda: a[:9].as_signed() * b[:9].as_signed(),
            lambda: Mux(a[0], b, c),
            lambda: Mux(a < b, c, a),
            lambda: Mux(a >= b, c.any(), ~a),
            lambda: Cat(a[:3], b[1:4], c[-1]),
            lambda: (a == b) ^ (c != a) | ~(a.bool() & b.all()),
            lambda: (a & b) | (c ^ -a),
            lambda: Cat(a <= b, a > c, a.any(), b.bool()),
            lambda: a[:5].as_signed(),
        ]
    )()
    return made if len(made) <= 28 else made[:28].as_signed()


class Cell(wiring.Component):
    """Two registers; with ``passes`` its output follows from its input in the same cycle."""

    def __init__(self, *, seed: int, passes: bool) -> None:
        self.seed = seed
        self.passes = passes
        super().__init__(
            {
                "a": In(signed(13)),
                "b": In(6),
                "pick": In(1),
                "x": Out(signed(13)),
                "y": Out(6),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        draw = random.Random(self.seed)
        x, y = Signal(signed(13), init=-5), Signal(6, init=9)
        leaves = [self.a, self.b, self.pick, x, y]
        with m.If(self.pick):
            m.d.sync += x.eq(expression(draw, leaves, 3))
        m.d.sync += y.eq(expression(draw, leaves, 3))
        m.d.comb += [self.x.eq(x ^ self.a if self.passes else x), self.y.eq(y)]
        return m


class Lanes(wiring.Component):
    """Cells in rows that hand ``x`` to the right and ``y`` down; gives the sum of all they hold.

    The first cell of each of ``closed`` rows sees a constant on its left.
    """

    def __init__(self, *, seed: int, passes: int = 0, closed: int = 0) -> None:
        self.seed = seed
        self.passes = bool(passes)
        self.closed = closed
        super().__init__(
            {
                "values": In(stream.Signature(40)),
                "sums": Out(stream.Signature(40)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inside = Module()
        step = Signal()
        m.submodules.inside = EnableInserter(step)(inside)
        value = Signal(40)
        m.d.comb += [
            step.eq(self.values.valid & self.values.ready),
            self.values.ready.eq(~self.sums.valid | self.sums.ready),
        ]
        cells = [
            [Cell(seed=self.seed, passes=self.passes) for _ in range(COLUMNS)] for _ in range(ROWS)
        ]
        for r, row in enumerate(cells):
            for c, cell in enumerate(row):
                inside.submodules[f"cell_{r}_{c}"] = cell
                first = Const(-7, signed(13)) if r < self.closed else value[9 * r : 9 * r + 13]
                left = row[c - 1].x if c else first
                above = cells[r - 1][c].y if r else Cat(value[3 * c : 3 * c + 4], value[38:])
                inside.d.comb += [
                    cell.a.eq(left),
                    cell.b.eq(above),
                    cell.pick.eq(value[r + 7 * c]),
                ]
        held = enumerate(cell for row in cells for cell in row)
        total = sum(cell.x * (3 * i + 1) + cell.y for i, cell in held)
        with m.If(self.sums.ready):
            m.d.sync += self.sums.valid.eq(0)
        with m.If(step):
            m.d.sync += [value.eq(self.values.p), self.sums.p.eq(total), self.sums.valid.eq(1)]
        return m
