"""The rows of the input that DEPTHWISE works on."""

from __future__ import annotations

import itertools
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from hw.config import DEPTHWISE_SIDE, DEPTHWISE_TAPS, DnaConfig
from hw.depthwise.layouts import line_place_layout
from hw.isa import Opcode, field_widths
from hw.memory.ram import Ram
from hw.microarchitecture import (
    DEPTHWISE_COLUMNS,
    DEPTHWISE_ROW_BANKS,
    DEPTHWISE_ROWS,
    LINE_BUFFER_LATENCY,
)
from hw.streams.delay import delay

_WIDTHS = field_widths(Opcode.DEPTHWISE)

CHOICE = ("split", "stride", "pad_left")
"""The fields of DEPTHWISE that say which word of its column each tap takes."""


class LineBuffer(wiring.Component):
    """Some rows of the input, of which any block of 3 x 3 pixels can be read in a cycle.

    Row n of the sequence is in row bank n modulo 4, column x in column bank x modulo 3: a memory
    for each pair, and no two pixels of a block in one. Behind the memories each tap chooses its row
    and then its column: the switchable inputs of the buffer.

    Where 2^split pixels share the words of a column, three columns hold more of them than the
    windows of as many neighbouring results see; the first of those that are seen is where the
    padding says. So behind the columns each lane of each tap chooses its word of the three. With g
    for ``depthwise_words`` >> split, lane i is word i modulo g of result i div g, whose tap x is
    pixel (i div g) * stride + x from that first one on.

    Rate: a pixel in and a block out per cycle. Latency: ``LINE_BUFFER_LATENCY`` cycles from ``at``
    to ``taps``; what is written in a cycle can be read from the next on. Stall: none; nothing says
    that a row overwrites one that is still wanted.

    Args:
        config: uses ``rows`` and ``depthwise_words``.

    Ports:
        write: in, write ``word`` at ``place`` in this cycle.
        place: in, :func:`line_place_layout`.
        word: in, unsigned(8 x rows x ``depthwise_words``).
        read: in, read in this cycle.
        at: in, :func:`line_place_layout`, of the block's first tap.
        rows_inside, columns_inside: in, unsigned(3), in the cycle after ``read``: which rows and
            columns of the block are in the input.
        fill: in, signed(8), what the others give; constant.
        split, stride, pad_left: in, the fields of DEPTHWISE; constant.
        taps: out, unsigned(8 x rows x ``depthwise_words``) [9], row by row.
    """

    LATENCY = LINE_BUFFER_LATENCY

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        word = unsigned(8 * config.rows * config.depthwise_words)
        super().__init__(
            {
                "write": In(1),
                "place": In(line_place_layout()),
                "word": In(word),
                "read": In(1),
                "at": In(line_place_layout()),
                "rows_inside": In(DEPTHWISE_SIDE),
                "columns_inside": In(DEPTHWISE_SIDE),
                "fill": In(signed(8)),
                **{name: In(unsigned(_WIDTHS[name])) for name in CHOICE},
                "taps": Out(word).array(DEPTHWISE_TAPS),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the memories, and the two choices behind them."""
        m = Module()
        bits = ceil_log2(DEPTHWISE_ROW_BANKS)
        depth = DEPTHWISE_COLUMNS // DEPTHWISE_SIDE * (DEPTHWISE_ROWS // DEPTHWISE_ROW_BANKS)
        row, upper = self.at.row[:bits], self.at.row[bits:]
        outputs: list[list[Value]] = []
        for row_bank in range(DEPTHWISE_ROW_BANKS):
            # The bank has the block's row, or one of those below it.
            turns = Mux(row > row_bank, upper + 1, upper)[: len(upper)]
            outputs.append([])
            for column_bank in range(DEPTHWISE_SIDE):
                ram = Ram(width=len(self.word), depth=depth)
                m.submodules[f"pixels_{row_bank}_{column_bank}"] = ram
                m.d.comb += [
                    ram.write_address.eq(Cat(self.place.column, self.place.row[bits:])),
                    ram.write_data.eq(self.word),
                    ram.write.eq(
                        self.write
                        & (self.place.row[:bits] == row_bank)
                        & (self.place.third == column_bank)
                    ),
                    ram.read_address.eq(
                        Cat(
                            (self.at.column + (self.at.third > column_bank))[: len(self.at.column)],
                            turns,
                        )
                    ),
                    ram.read.eq(self.read),
                ]
                outputs[-1].append(ram.read_data)

        first_row = delay(m, row, 1, "first_row")
        third = delay(m, self.at.third, 2, "third")
        inside = [
            [delay(m, r & c, 1, f"inside_{y}_{x}") for x, c in enumerate(self.columns_inside)]
            for y, r in enumerate(self.rows_inside)
        ]
        lanes = range(self._config.depthwise_words)
        chosen_words = [[self._words(m, x, lane) for lane in lanes] for x in range(DEPTHWISE_SIDE)]
        padding = self.fill.as_unsigned().replicate(len(self.word) // 8)
        for y in range(DEPTHWISE_SIDE):
            in_row = []
            for column_bank in range(DEPTHWISE_SIDE):
                chosen = Signal(self.word.shape(), name=f"row_{y}_{column_bank}", reset_less=True)
                choices = [
                    outputs[(y + n) % DEPTHWISE_ROW_BANKS][column_bank]
                    for n in range(DEPTHWISE_ROW_BANKS)
                ]
                m.d.sync += chosen.eq(_choose(m, choices, first_row, f"rows_{y}_{column_bank}"))
                in_row.append(chosen)
            columns = []
            for x in range(DEPTHWISE_SIDE):
                pixels = Signal(self.word.shape(), name=f"pixels_{y}_{x}", reset_less=True)
                choices = [in_row[(x + n) % DEPTHWISE_SIDE] for n in range(DEPTHWISE_SIDE)]
                column = _choose(m, choices, third, f"columns_{y}_{x}")
                m.d.sync += pixels.eq(Mux(inside[y][x], column, padding))
                columns.append(pixels)
            words = Cat(columns)
            for x in range(DEPTHWISE_SIDE):
                tap = Signal(self.word.shape(), name=f"tap_{y}_{x}", reset_less=True)
                m.d.sync += tap.eq(
                    Cat(
                        _choose(
                            m,
                            [
                                words.word_select(source, 8 * self._config.rows)
                                for source in sources
                            ],
                            number,
                            f"words_{y}_{x}_{lane}",
                        )
                        for lane, (sources, number) in enumerate(chosen_words[x])
                    )
                )
                m.d.comb += self.taps[DEPTHWISE_SIDE * y + x].eq(tap)
        return m

    def _words(self, m: Module, x: int, lane: int) -> tuple[list[int], Signal]:
        """Of tap ``x``: which of the words of three columns a lane may need, and which it does."""
        count = self._config.depthwise_words
        cases = {"00" + "-" * 4: x * count + lane}
        for split in range(1, exact_log2(count) + 1):
            joint, group = 1 << split, count >> split
            pixel, word = divmod(lane, group)
            for stride, padding in itertools.product((1, 2), range(DEPTHWISE_SIDE)):
                if pixel * stride < joint:  # else it is no result
                    source = (-padding % joint + x + stride * pixel) * group + word
                    cases[f"{split:02b}{stride:02b}{padding:02b}"] = source
        sources = sorted(set(cases.values()))
        number = Signal(range(len(sources)), name=f"word_of_tap_{x}_{lane}")
        with m.Switch(Cat(self.pad_left[:2], self.stride[:2], self.split)):
            for pattern, source in cases.items():
                with m.Case(pattern):
                    m.d.sync += number.eq(sources.index(source))
        return sources, number


def _choose(m: Module, choices: list[Value], number: Value, name: str) -> Signal:
    """``choices[number]``."""
    chosen = Signal.like(choices[0], name=name)
    m.d.comb += chosen.eq(choices[0])
    with m.Switch(number):
        for index, choice in enumerate(choices[1:], 1):
            with m.Case(index):
                m.d.comb += chosen.eq(choice)
    return chosen
