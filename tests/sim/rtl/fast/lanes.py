"""A design of many equal cells, drawn at random, for what compiles such cells into loops."""

import random

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

ROWS, COLUMNS = 3, 5
WIDE = 90
STAGES = 9


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
            lambda: a.as_unsigned() >> b[:5].as_unsigned(),
            lambda: a.as_signed() >> b[:5].as_unsigned(),
            lambda: a[:9].as_unsigned() << b[:4].as_unsigned(),
            lambda: (Cat(a, b, c) * 5)[20:40],
        ]
    )()
    return made if len(made) <= 28 else made[:28].as_signed()


class Mixer(wiring.Component):
    """Part of a cell, in a module of its own: nothing but logic."""

    def __init__(self) -> None:
        super().__init__({"wide": In(WIDE), "a": In(signed(13)), "o": Out(13)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high = self.wide[:13], self.wide[WIDE - 13 :]
        m.d.comb += [self.o[:6].eq(low + self.a), self.o[6:].eq(high ^ self.a[3:])]
        return m


class Cell(wiring.Component):
    """Registers, one of them wider than a word, and a module inside.

    With ``passes`` its output follows from its input in the same cycle.
    """

    def __init__(self, *, seed: int, passes: bool) -> None:
        self.seed = seed
        self.passes = passes
        super().__init__(
            {
                "a": In(signed(13)),
                "b": In(6),
                "pick": In(1),
                "wide": In(WIDE),
                "x": Out(signed(13)),
                "y": Out(6),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        draw = random.Random(self.seed)
        x, y = Signal(signed(13), init=-5), Signal(6, init=9)
        past = Signal(WIDE, init=0x123456789ABCDEF01234567)
        m.submodules.mixer = mixer = Mixer()
        m.d.comb += [mixer.wide.eq(self.wide), mixer.a.eq(x)]
        m.d.sync += past.eq(Cat(mixer.o, past))
        leaves = [self.a, self.b, self.pick, x, y, past[60:70], mixer.o]
        with m.If(self.pick):
            m.d.sync += x.eq(expression(draw, leaves, 3))
        m.d.sync += y.eq(expression(draw, leaves, 3))
        m.d.comb += [self.x.eq(x ^ self.a if self.passes else x), self.y.eq(y)]
        return m


class Lanes(wiring.Component):
    """Cells in rows that hand ``x`` to the right and ``y`` down; gives the sum of all they hold.

    What a row takes comes through ``STAGES`` registers. The first cell of each of ``closed`` rows
    sees a constant on its left.
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
        entries = []
        for r in range(ROWS):
            entry = value[9 * r : 9 * r + 13]
            for stage in range(STAGES):
                late = Signal(13, name=f"entry_{r}_{stage}", reset_less=True)
                m.d.sync += late.eq(entry)
                entry = late
            entries.append(entry)
        cells = [
            [Cell(seed=self.seed, passes=self.passes) for _ in range(COLUMNS)] for _ in range(ROWS)
        ]
        for r, row in enumerate(cells):
            for c, cell in enumerate(row):
                inside.submodules[f"cell_{r}_{c}"] = cell
                first = Const(-7, signed(13)) if r < self.closed else entries[r]
                left = row[c - 1].x if c else first
                above = cells[r - 1][c].y if r else Cat(value[3 * c : 3 * c + 4], value[38:])
                inside.d.comb += [
                    cell.a.eq(left),
                    cell.b.eq(above),
                    cell.pick.eq(value[r + 7 * c]),
                    cell.wide.eq(Cat(value, value[r:], value[c:])),
                ]
        held = enumerate(cell for row in cells for cell in row)
        total = sum(cell.x * (3 * i + 1) + cell.y for i, cell in held)
        with m.If(self.sums.ready):
            m.d.sync += self.sums.valid.eq(0)
        with m.If(step):
            m.d.sync += [value.eq(self.values.p), self.sums.p.eq(total), self.sums.valid.eq(1)]
        return m
