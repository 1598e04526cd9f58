"""The inner half of a convolution's loop nest: which K-slices each pass reads."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.conv.neighbours import EXTENT, Neighbours
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.memory.row_address import RowAddress

_CONV = instruction_layout(Opcode.CONV)


def pass_layout(config: DnaConfig) -> data.StructLayout:
    """One pass over the pixels of a tile.

    Members:
        shares: what each module sees of a pixel: {offset: feature words from the window's first
            word to the slice, y and x: input rows and columns to it, enable: there is such a
            slice} [G].
        first, final: of the passes of its tile.
        shorter: its tile is the last one of a channel tile: ``last_pixels``, not ``tile_pixels``.
        closes: it is the last one of the instruction.
    """
    share = data.StructLayout(
        {
            "offset": unsigned(config.feature_address_bits),
            "y": _CONV.members["kernel_height"],
            "x": EXTENT,
            "enable": 1,
        }
    )
    return data.StructLayout(
        {
            "shares": data.ArrayLayout(share, config.modules),
            "first": 1,
            "final": 1,
            "shorter": 1,
            "closes": 1,
        }
    )


class SliceStepper(wiring.Component):
    """Prepares the next pass of a CONV while the pixels of the current one are read.

    Slices run over (kernel row, kernel column, word of the pixel), k to a pass. Within a kernel row
    each is one feature word after the one before, so one counter and two adders do. What a counter
    is compared with stands in a flag beside it. Module m sees slice m mod k of the pass, of the
    neighbour that its group m div k belongs to; what a neighbour is away from the first one is
    added to the slice's offset.

    Rate: a pass every k + 1 cycles, less than its weights take. Latency: k + 2 cycles from an
    instruction to its first pass. Where output pixels are made of neighbours, the groups of a
    channel tile get theirs before its first pass, one a cycle: that takes g - 1 cycles more. Stall:
    a pass waits until it is taken; then the slices of the next one are stepped.

    Args:
        config: uses ``modules`` and ``feature_words``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``. Of one that is not
            good there is some pass, which nobody may take.
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
        # How many there are of each behind the first.
        slices = Signal.like(new.slices)
        words = Signal.like(new.in_words)
        columns = Signal.like(new.kernel_width)
        last_lane = Signal(range(self._config.modules))
        passes = Signal.like(new.passes)
        pixel_tiles = Signal.like(new.pixel_tiles)

        # The slice on its way into a lane, and what is left behind it.
        slices_left = Signal.like(slices)
        words_left = Signal.like(words)
        there = Signal()
        ends_pixel = Signal()
        x = Signal.like(columns)
        y = Signal.like(new.kernel_height)
        offset = RowAddress(
            m, unsigned(self._config.feature_address_bits), pitch=in_pitch, name="offset"
        )
        lane = Signal.like(last_lane)
        neighbours = Neighbours(m, self._config)
        # What is left behind the pass that it belongs to. The flags are a cycle late; passes are
        # two cycles apart at least.
        passes_left = Signal.like(passes)
        pixel_tiles_left = Signal.like(pixel_tiles)
        channel_tiles_left = Signal.like(new.channel_tiles)
        first, final, shorter, last_channels, settled = (
            Signal(name=name) for name in ("first", "final", "shorter", "last_channels", "settled")
        )

        output = self.passes.payload
        step = Signal()
        ends_pass = Signal()
        closes = Signal()
        m.d.comb += [
            self.instructions.ready.eq(~running),
            step.eq(running & settled & ~neighbours.busy & ~self.passes.valid),
            ends_pass.eq(step & (lane == last_lane)),
            closes.eq(final & shorter & last_channels),
        ]
        m.d.sync += [
            settled.eq(running),
            final.eq(passes_left == 0),
            shorter.eq(pixel_tiles_left == 0),
            last_channels.eq(channel_tiles_left == 0),
        ]
        begin_pixel = [words_left.eq(words), ends_pixel.eq(words == 0)]
        rewind = [slices_left.eq(slices), there.eq(1), x.eq(0), y.eq(0), *offset.begin(Const(0))]

        with m.If(self.passes.ready):
            m.d.sync += self.passes.valid.eq(0)
        with m.If(step):
            m.d.sync += lane.eq(Mux(lane == last_lane, 0, lane + 1))
            for module, share in enumerate(output.shares):
                with m.If(lane == (module & last_lane)):
                    m.d.sync += [
                        share.offset.eq(offset.here + neighbours.offsets[module]),
                        share.y.eq(y),
                        share.x.eq(x + neighbours.columns[module]),
                        share.enable.eq(there & neighbours.there[module]),
                    ]
            m.d.sync += [
                slices_left.eq(slices_left - 1),
                there.eq(there & (slices_left != 0)),
                words_left.eq(words_left - 1),
                ends_pixel.eq(words_left == 1),
                *offset.advance(1),
            ]
            with m.If(ends_pixel):
                m.d.sync += [*begin_pixel, x.eq(x + 1)]
                with m.If(x == columns):
                    m.d.sync += [x.eq(0), y.eq(y + 1), *offset.advance_row()]
        with m.If(ends_pass):
            m.d.sync += [
                self.passes.valid.eq(1),
                output.first.eq(first),
                output.final.eq(final),
                output.shorter.eq(shorter),
                output.closes.eq(closes),
                first.eq(final),
                passes_left.eq(passes_left - 1),
            ]
            with m.If(final):
                m.d.sync += [*rewind, *begin_pixel, passes_left.eq(passes)]
                m.d.sync += pixel_tiles_left.eq(pixel_tiles_left - 1)
                with m.If(shorter):
                    m.d.sync += pixel_tiles_left.eq(pixel_tiles)
                    m.d.sync += channel_tiles_left.eq(channel_tiles_left - 1)
                    m.d.sync += neighbours.next_tile()
            with m.If(closes):
                m.d.sync += running.eq(0)

        with m.If(self.instructions.valid & ~running):
            m.d.sync += [
                running.eq(1),
                *neighbours.begin(new),
                in_pitch.eq(new.in_pitch),
                slices.eq(new.slices - 1),
                words.eq(new.in_words - 1),
                columns.eq(new.kernel_width - 1),
                last_lane.eq((1 << new.split) - 1),
                passes.eq(new.passes - 1),
                pixel_tiles.eq(new.pixel_tiles - 1),
                *rewind,
                slices_left.eq(new.slices - 1),
                words_left.eq(new.in_words - 1),
                ends_pixel.eq(new.in_words == 1),
                first.eq(1),
                passes_left.eq(new.passes - 1),
                pixel_tiles_left.eq(new.pixel_tiles - 1),
                channel_tiles_left.eq(new.channel_tiles - 1),
            ]
        return m
