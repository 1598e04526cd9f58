"""A place for the answer of a memory whose reader is not ready."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Turns words that come one cycle after they were asked for into a stream.

    Ask only while ``room`` is high. Then a word that its consumer does not take at once is kept
    here, and the memory is free for somebody else.

    Rate: one word per cycle. Latency: 0 cycles. Stall: ``room`` is low while the consumer keeps a
    word waiting.

    Args:
        shape: of a word.

    Ports:
        arrives: in, a word that was asked for in the cycle before is in ``word`` (in, ``shape``).
        room: out, a word may be asked for in this cycle. Depends on ``output.ready`` at once.
        output: out, stream of ``shape``.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__(
            {
                "arrives": In(1),
                "word": In(shape),
                "room": Out(1),
                "output": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the one place."""
        m = Module()
        kept = Signal()
        kept_word = Signal.like(self.word, reset_less=True)
        output = self.output
        m.d.comb += [
            output.valid.eq(self.arrives | kept),
            output.payload.eq(Mux(kept, kept_word, self.word)),
            self.room.eq(~output.valid | output.ready),
        ]
        m.d.sync += kept.eq(output.valid & ~output.ready)
        with m.If(self.arrives):
            m.d.sync += kept_word.eq(self.word)
        return m
