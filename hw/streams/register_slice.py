"""A stream between registers, in both directions."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class RegisterSlice(wiring.Component):
    """Two places, so that neither ``valid`` and payload nor ``ready`` go through it in a cycle.

    Rate: one word per cycle. Latency: 1 cycle. Stall: ``input`` is ready while the second place is
    empty, which depends on nothing in the same cycle.

    Args:
        shape: of a word.

    Ports:
        input: in, stream of ``shape``.
        output: out, stream of ``shape``.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__(
            {"input": In(stream.Signature(shape)), "output": Out(stream.Signature(shape))}
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two places."""
        m = Module()
        kept = Signal()
        kept_word = Signal.like(self.input.payload, reset_less=True)
        m.d.comb += self.input.ready.eq(~kept)
        with m.If(~self.output.valid | self.output.ready):
            m.d.sync += [self.output.valid.eq(kept | self.input.valid), kept.eq(0)]
            with m.If(kept):
                m.d.sync += self.output.payload.eq(kept_word)
            with m.Else():
                m.d.sync += self.output.payload.eq(self.input.payload)
        with m.Elif(self.input.valid & ~kept):
            m.d.sync += [kept.eq(1), kept_word.eq(self.input.payload)]
        return m
