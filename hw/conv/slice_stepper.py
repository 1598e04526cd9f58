"""The inner half of a convolution's loop nest: which K-slices each pass reads."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.memory.row_address import RowAddress

_CONV = instruction_layout(Opcode.CONV)


def pass_layout(config: DnaConfig) -> data.StructLayout:
    """One pass over the pixels of a tile.

    Members:
        lanes: per lane {offset: feature words from the window's first word to the slice, y and x:
            its kernel row and column, enable: there is such a slice} [G].
        first, final: of the passes of its tile.
        shorter: its tile is the last one of a channel tile: ``last_pixels``, not ``tile_pixels``.
        closes: it is the last one of the instruction.
    """
    kernel = _CONV.members["kernel_height"]
    lane = data.StructLayout(
        {"offset": unsigned(config.feature_address_bits), "y": kernel, "x": kernel, "enable": 1}
    )
    return data.StructLayout(
        {
            "lanes": data.ArrayLayout(lane, config.modules),
            "first": 1,
            "final": 1,
            "shorter": 1,
            "closes": 1,
        }
    )


class SliceStepper(wiring.Component):
    """Prepares the next pass of a CONV while the pixels of the current one are read.

    Slices run over (kernel row, kernel column, word of the pixel), k to a pass. Within a kernel row
    each is one feature word after the one before, so one counter and two adders do.

    Rate: a slice a cycle, so a pass every k cycles. Latency: k + 1 cycles from an instruction to
    its first pass. Stall: a pass waits until it is taken; the slices of the next one wait with it.

    Args:
        config: uses ``modules`` and ``feature_words``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``, fields in range.
        passes: out, stream of :func:`pass_layout`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "instructions": In(stream.Signature(_CONV)),
                "passes": Out(stream.Signature(pass_layout(config))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the counters."""
        m = Module()
        new = self.instructions.payload
        running = Signal()
        in_pitch = Signal.like(new.in_pitch)
        slices = Signal.like(new.slices)
        # Numbers of the last of each, counted from 0.
        last_word = Signal.like(new.in_words)
        last_x = Signal.like(new.kernel_width)
        last_lane = Signal(range(self._config.modules))
        last_pass = Signal.like(new.passes)
        last_pixel_tile = Signal.like(new.pixel_tiles)

        # The slice on its way into a lane.
        slices_left = Signal.like(slices)
        word = Signal.like(last_word)
        x = Signal.like(last_x)
        y = Signal.like(new.kernel_height)
        offset = RowAddress(
            m, unsigned(self._config.feature_address_bits), pitch=in_pitch, name="offset"
        )
        lane = Signal.like(last_lane)
        # What comes after the pass that it belongs to.
        passes_left = Signal.like(last_pass)
        pixel_tiles_left = Signal.like(last_pixel_tile)
        channel_tiles_left = Signal.like(new.channel_tiles)

        output = self.passes.payload
        step = Signal()
        final = Signal()
        shorter = Signal()
        closes = Signal()
        m.d.comb += [
            self.instructions.ready.eq(~running),
            step.eq(running & (~self.passes.valid | self.passes.ready)),
            final.eq(passes_left == 0),
            shorter.eq(pixel_tiles_left == 0),
            closes.eq(final & shorter & (channel_tiles_left == 0)),
        ]
        rewind = [
            slices_left.eq(slices),
            word.eq(0),
            x.eq(0),
            y.eq(0),
            *offset.begin(Const(0)),
        ]

        with m.If(self.passes.ready):
            m.d.sync += self.passes.valid.eq(0)
        with m.If(step):
            m.d.sync += lane.eq(lane + 1)
            for index, target in enumerate(output.lanes):
                with m.If(lane == index):
                    m.d.sync += [
                        target.offset.eq(offset.here),
                        target.y.eq(y),
                        target.x.eq(x),
                        target.enable.eq(slices_left != 0),
                    ]
                with m.Elif(lane == 0):
                    m.d.sync += target.enable.eq(0)  # and stays so in lanes from k on
            with m.If(slices_left != 0):
                m.d.sync += [slices_left.eq(slices_left - 1), word.eq(word + 1)]
                m.d.sync += offset.advance(1)
                with m.If(word == last_word):
                    m.d.sync += [word.eq(0), x.eq(x + 1)]
                    with m.If(x == last_x):
                        m.d.sync += [x.eq(0), y.eq(y + 1), *offset.advance_row()]
            with m.If(lane == last_lane):
                m.d.sync += [
                    self.passes.valid.eq(1),
                    output.first.eq(passes_left == last_pass),
                    output.final.eq(final),
                    output.shorter.eq(shorter),
                    output.closes.eq(closes),
                    lane.eq(0),
                    passes_left.eq(passes_left - 1),
                ]
                with m.If(final):
                    m.d.sync += [*rewind, passes_left.eq(last_pass)]
                    m.d.sync += pixel_tiles_left.eq(pixel_tiles_left - 1)
                    with m.If(shorter):
                        m.d.sync += pixel_tiles_left.eq(last_pixel_tile)
                        m.d.sync += channel_tiles_left.eq(channel_tiles_left - 1)
                with m.If(closes):
                    m.d.sync += running.eq(0)

        with m.If(self.instructions.valid & ~running):
            m.d.sync += [
                running.eq(1),
                in_pitch.eq(new.in_pitch),
                slices.eq(new.slices),
                last_word.eq(new.in_words - 1),
                last_x.eq(new.kernel_width - 1),
                last_lane.eq((1 << new.split) - 1),
                last_pass.eq(new.passes - 1),
                last_pixel_tile.eq(new.pixel_tiles - 1),
                *rewind,
                slices_left.eq(new.slices),
                passes_left.eq(new.passes - 1),
                pixel_tiles_left.eq(new.pixel_tiles - 1),
                channel_tiles_left.eq(new.channel_tiles - 1),
            ]
        return m
