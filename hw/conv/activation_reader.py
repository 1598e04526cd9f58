"""Reads the pixels that the convolution modules work on."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import DnaConfig
from hw.conv.pixel_walker import PixelWalker, entry_layout
from hw.conv.preparation import Preparation
from hw.conv.slice_stepper import SliceStepper
from hw.interfaces import FaultSignature, WindowReadSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.microarchitecture import WALK_LATENCY
from hw.streams.delay import delay
from hw.streams.stream_fork import StreamFork

_CONV = instruction_layout(Opcode.CONV)


class ActivationReader(wiring.Component):
    """Walks the channel tiles, pixel tiles, passes and pixels of CONV instructions.

    Every pixel of every pass is offered to whoever lets it into the modules. When it is taken, the
    feature memory is asked for its window of k words, one for each K-slice, with the input's zero
    point where the window is outside the image; the memory brings them to the modules. All
    addresses are stepped from one pixel to the next.

    Rate: one pixel per cycle, without a bubble between passes of at least k + 1 pixels. An
    instruction starts when the one before has ended, 2 cycles later at best; what it needs is
    worked out before, if it is on offer.

    Latency: max(8, k + 3) cycles from the first instruction to its first pixel, ``WALK_LATENCY``
    from a pixel to its window.

    Stall: a pixel waits until it is taken. Windows wait for nobody.

    Args:
        config: uses ``modules``, ``feature_words`` and ``accumulation_depth``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``.
        judged: out, the instruction on offer is good.
        requests: out, for windows, as in :class:`WindowReadSignature`.
        pixels: out, stream of :func:`hw.conv.pixel_walker.entry_layout`.
        running: out, high while there are pixels left of an instruction.
        done: out, one cycle high when the last window of an instruction is read.
        fault: out, :class:`FaultSignature`, as :class:`hw.conv.preparation.Preparation` has it. The
            instruction is not taken.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "instructions": In(stream.Signature(_CONV)),
                "judged": Out(1),
                "requests": Out(WindowReadSignature(config).members["requests"].signature),
                "pixels": Out(stream.Signature(entry_layout(config))),
                "running": Out(1),
                "done": Out(1),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Give an instruction to those who prepare passes and steps, and to the walker last."""
        m = Module()
        config = self._config
        m.submodules.fork = fork = StreamFork(_CONV, consumers=2)
        m.submodules.preparation = preparation = Preparation(config)
        m.submodules.stepper = stepper = SliceStepper(config)
        m.submodules.walker = walker = PixelWalker(config)
        connect(m, flipped(self.instructions), fork.input)
        connect(m, fork.outputs[0], stepper.instructions)
        connect(m, stepper.passes, walker.passes)
        connect(m, walker.pixels, flipped(self.pixels))
        connect(m, walker.requests, flipped(self.requests))
        connect(m, preparation.fault, flipped(self.fault))
        m.d.comb += [
            preparation.instruction.eq(self.instructions.payload),
            preparation.offered.eq(self.instructions.valid),
            preparation.taken.eq(self.instructions.valid & self.instructions.ready),
            self.judged.eq(preparation.judged),
            walker.instructions.payload.eq(fork.outputs[1].payload),
            walker.instructions.valid.eq(fork.outputs[1].valid & preparation.prepared),
            fork.outputs[1].ready.eq(walker.instructions.ready & preparation.prepared),
            walker.origin.eq(preparation.origin),
            walker.column_stride.eq(preparation.column_stride),
            walker.step_x.eq(preparation.step_x),
            walker.step_y.eq(preparation.step_y),
            self.running.eq(walker.running),
            self.done.eq(delay(m, walker.ends, WALK_LATENCY, "ended", reset_less=False)),
        ]
        return m
