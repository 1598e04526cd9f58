"""Reads the pixels that the convolution modules work on."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.conv.pixel_walker import PixelWalker
from hw.conv.slice_stepper import SliceStepper
from hw.interfaces import FaultSignature, WindowReadSignature, word_layout
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.microarchitecture import OUTSTANDING_WINDOWS
from hw.status import Fault
from hw.streams.stream_fork import StreamFork

_CONV = instruction_layout(Opcode.CONV)


def split_shape(config: DnaConfig) -> Any:
    """Shape of log2 k."""
    return range(exact_log2(config.modules) + 1)


def slices_layout(config: DnaConfig) -> data.StructLayout:
    """A pixel on its way into all modules at once.

    Members:
        words: the feature word for each module [G].
        first, last, final: as in :func:`hw.streams.layouts.pixel_layout`.
        split: log2 k of the instruction.
    """
    return data.StructLayout(
        {
            "words": data.ArrayLayout(word_layout(config), config.modules),
            "first": 1,
            "last": 1,
            "final": 1,
            "split": split_shape(config),
        }
    )


class ActivationReader(wiring.Component):
    """Walks the channel tiles, pixel tiles, passes and pixels of CONV instructions.

    For every pixel of every pass it asks the feature memory for a window of k words, one for each
    K-slice, with the input's zero point where the window is outside the image, and hands word
    m mod k to module m. All addresses are stepped from one pixel to the next.

    Rate: one pixel per cycle, without a bubble between passes of at least k pixels. An instruction
    starts when the one before has ended, 2 cycles later at best.

    Latency: 6 cycles from the first instruction to its first window; then the memory's.

    Stall: a window waits for the memory, a pixel for the modules.

    Args:
        config: uses ``modules``, ``rows``, ``feature_words`` and ``accumulation_depth``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``.
        window: out, :class:`WindowReadSignature`; tag is first, last, final from bit 0.
        pixels: out, stream of :func:`slices_layout`.
        running: out, high while an instruction is not done.
        done: out, one cycle high when the last pixel of an instruction is taken from ``pixels``.
        fault: out, :class:`FaultSignature`, about the instruction on offer, which is not taken:
            BAD_SPLIT for a ``split`` above log2 G, BAD_FIELD for a count of zero, for more pixels
            than a tile of the accumulation memory holds, or for ``passes`` that do not cover the
            slices exactly. Address: the instruction's layer.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "instructions": In(stream.Signature(_CONV)),
                "window": Out(WindowReadSignature(config)),
                "pixels": Out(stream.Signature(slices_layout(config))),
                "running": Out(1),
                "done": Out(1),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the loop nest, count what is on its way, and hand out what is answered."""
        m = Module()
        config = self._config
        self._check(m)
        m.submodules.fork = fork = StreamFork(_CONV, consumers=2)
        m.submodules.stepper = stepper = SliceStepper(config)
        m.submodules.walker = walker = PixelWalker(config)
        m.d.comb += [
            fork.input.payload.eq(self.instructions.payload),
            fork.input.valid.eq(self.instructions.valid & ~self.fault.valid),
            self.instructions.ready.eq(fork.input.ready & ~self.fault.valid),
        ]
        connect(m, fork.outputs[0], stepper.instructions)
        connect(m, fork.outputs[1], walker.instructions)
        connect(m, stepper.passes, walker.passes)

        request, response = self.window.requests, self.window.responses
        asked, answered = Signal(), Signal()
        outstanding = Signal(range(OUTSTANDING_WINDOWS + 1))
        room = outstanding != OUTSTANDING_WINDOWS
        m.d.comb += [
            request.payload.eq(walker.requests.payload),
            request.valid.eq(walker.requests.valid & room),
            walker.requests.ready.eq(request.ready & room),
            asked.eq(request.valid & request.ready),
            answered.eq(response.valid & response.ready),
            walker.ended.eq(walker.closing & answered & (outstanding == 1)),
            self.running.eq(walker.running),
            self.done.eq(walker.ended),
        ]
        m.d.sync += outstanding.eq(outstanding + asked - answered)

        pixel = self.pixels.payload
        m.d.comb += [
            self.pixels.valid.eq(response.valid),
            response.ready.eq(self.pixels.ready),
            Cat(pixel.first, pixel.last, pixel.final).eq(response.payload.tag),
            pixel.split.eq(walker.split),
        ]
        for module, word in enumerate(pixel.words):
            m.d.comb += word.eq(response.payload.words[0])
            for split in range(1, exact_log2(config.modules) + 1):
                lane = module % (1 << split)
                if lane:
                    with m.If(walker.split == split):
                        m.d.comb += word.eq(response.payload.words[lane])
        return m

    def _check(self, m: Module) -> None:
        """Refuse what would not end or not fit."""
        config = self._config
        new = self.instructions.payload
        counts = (
            new.in_words,
            new.in_height,
            new.in_width,
            new.kernel_height,
            new.kernel_width,
            new.stride,
            new.out_width,
            new.channel_tiles,
            new.pixel_tiles,
            new.tile_pixels,
            new.last_pixels,
            new.slices,
            new.passes,
        )
        rounded = new.slices + ((1 << new.split) - 1)
        bad_field = (
            Cat(count == 0 for count in counts).any()
            | (new.tile_pixels > config.accumulation_depth)
            | (new.last_pixels > config.accumulation_depth)
            | (new.passes != rounded >> new.split)
        )
        bad_split = new.split > exact_log2(config.modules)
        m.d.comb += [
            self.fault.valid.eq(self.instructions.valid & (bad_split | bad_field)),
            self.fault.code.eq(Mux(bad_split, Fault.BAD_SPLIT, Fault.BAD_FIELD)),
            self.fault.address.eq(new.layer),
        ]
