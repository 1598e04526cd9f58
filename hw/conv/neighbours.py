"""Which of the neighbours that an output pixel is made of each convolution module works on."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned

from hw.config import DnaConfig
from hw.isa import Opcode
from hw.isa.layout import instruction_layout

_CONV = instruction_layout(Opcode.CONV)
EXTENT = unsigned(16)
"""An input row or column modulo 2^16: those before the image are far behind it."""


class Neighbours:
    """How far each module's input is from that of the first neighbour.

    The words of an output pixel belong to its neighbours in turn, ``pixel_words`` each, and group
    j of channel tile t computes word t * g + j. So one counter goes through the groups of a tile,
    one a cycle, and goes on where it is with those of the next tile.

    Args:
        m: gets the counter and its adders.
        config: uses ``modules`` and ``feature_words``.

    Attributes:
        busy: the groups of a channel tile are not through yet.
        there: by module, there is such a neighbour.
        offsets: feature words, by module.
        columns: input columns, by module.
    """

    def __init__(self, m: Module, config: DnaConfig) -> None:
        self._modules = config.modules
        address = unsigned(config.feature_address_bits)
        modules = range(config.modules)
        self.busy = Signal(name="sharing")
        self.there = [Signal(name=f"neighbour_there_{n}") for n in modules]
        self.offsets = [Signal(address, name=f"neighbour_offset_{n}") for n in modules]
        self.columns = [Signal(EXTENT, name=f"neighbour_column_{n}") for n in modules]

        self._several = Signal(name="several_neighbours")
        self._left = Signal(_CONV.members["neighbours"], name="neighbours_left")
        self._split = Signal(_CONV.members["split"], name="neighbour_split")
        self._offset = Signal(address, name="neighbour_offset")
        self._column = Signal(EXTENT, name="neighbour_column")
        self._step = Signal(_CONV.members["neighbour_words"], name="neighbour_words")
        self._column_step = Signal(_CONV.members["neighbour_columns"], name="neighbour_columns")
        # Words of a neighbour behind the first, and behind that of the next group.
        self._words = Signal(_CONV.members["pixel_words"], name="neighbour_more_words")
        self._words_left = Signal.like(self._words, name="neighbour_words_left")
        self._group = Signal(modules, name="neighbour_group")
        self._last_group = Signal(modules, name="neighbour_last_group")
        self._walk(m)

    def _walk(self, m: Module) -> None:
        ends = Signal(name="ends_neighbour")
        m.d.comb += ends.eq(self._words_left == 0)
        with m.If(self.busy):
            m.d.sync += [
                self.busy.eq(self._group != self._last_group),
                self._group.eq(Mux(self._group == self._last_group, 0, self._group + 1)),
                self._words_left.eq(Mux(ends, self._words, self._words_left - 1)),
            ]
            with m.If(ends):
                m.d.sync += [
                    self._left.eq(self._left - (self._left != 0)),
                    self._offset.eq(self._offset + self._step),
                    self._column.eq(self._column + self._column_step),
                ]
            for module in range(self._modules):
                with m.If((Const(module, range(self._modules)) >> self._split) == self._group):
                    m.d.sync += [
                        self.there[module].eq(self._left != 0),
                        self.offsets[module].eq(self._offset),
                        self.columns[module].eq(self._column),
                    ]

    def begin(self, new: Any) -> list[Any]:
        """Statements that take an instruction."""
        first = (*self.offsets, *self.columns, self._offset, self._column, self._group)
        several = new.neighbours != 0
        return [
            *(signal.eq(0) for signal in first),
            *(there.eq(1) for there in self.there),
            self._left.eq(new.neighbours),
            self.busy.eq(several),
            self._several.eq(several),
            self._split.eq(new.split),
            self._step.eq(new.neighbour_words),
            self._column_step.eq(new.neighbour_columns),
            self._words.eq(new.pixel_words - 1),
            self._words_left.eq(new.pixel_words - 1),
            self._last_group.eq((self._modules >> new.split) - 1),
        ]

    def next_tile(self) -> list[Any]:
        """Statements that go on to the groups of the next channel tile."""
        return [self.busy.eq(self._several)]
