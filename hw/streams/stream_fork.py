"""One stream for several consumers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamFork(wiring.Component):
    """Gives every word to every consumer once, each in its own time.

    Rate: one word per cycle. Latency: 0 cycles. Stall: ``input`` is ready in the cycle in which the
    last consumer takes the word; only then do the others see the next.

    Args:
        shape: of a word.
        consumers: how many, at least 1.

    Ports:
        input: in, stream of ``shape``.
        outputs: out, stream of ``shape`` [``consumers``].

    Raises:
        ValueError: ``consumers`` is not a positive integer.
    """

    def __init__(self, shape: ShapeLike, *, consumers: int) -> None:
        if not isinstance(consumers, int) or consumers < 1:
            raise ValueError(f"consumers must be a positive integer, not {consumers!r}")
        super().__init__(
            {
                "input": In(stream.Signature(shape)),
                "outputs": Out(stream.Signature(shape)).array(consumers),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a flag per consumer: it has the word already."""
        m = Module()
        served = Signal(len(self.outputs))
        serves = Signal.like(served)
        for index, output in enumerate(self.outputs):
            m.d.comb += [
                output.payload.eq(self.input.payload),
                output.valid.eq(self.input.valid & ~served[index]),
                serves[index].eq(served[index] | (output.valid & output.ready)),
            ]
        m.d.comb += self.input.ready.eq(serves.all())
        m.d.sync += served.eq(serves)
        with m.If(self.input.ready):
            m.d.sync += served.eq(0)
        return m
