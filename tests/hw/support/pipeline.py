"""The control beside a pipeline of fixed latency that has no valid bits of its own."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class PipelineControl(wiring.Component):
    """Valid bits of a pipeline of ``latency`` cycles, and one enable for all of it.

    The pipeline is a module behind ``EnableInserter(moves)``: in a cycle with ``moves`` it takes
    what stands in front of it, a word if ``enters`` is high, and everything inside goes on.

    Rate: a word per cycle. Latency: ``latency`` cycles with ``moves`` from ``enters`` to ``valid``.

    Stall: while ``valid`` is high and ``ready`` low everything stands still and ``free`` is low. An
    empty pipeline stands still too, as what is not enabled costs nothing to simulate.

    Args:
        latency: cycles, at least 1.

    Ports:
        enters: in, a word is in front; it enters in this cycle if ``free``.
        free: out, a word may enter. Depends on ``ready`` at once.
        moves: out, the enable.
        valid: out, a word is at the end.
        ready: in, it is taken if there is one.

    Raises:
        ValueError: ``latency`` is not a positive integer.
    """

    def __init__(self, *, latency: int) -> None:
        if not isinstance(latency, int) or latency < 1:
            raise ValueError(f"latency must be a positive integer, not {latency!r}")
        self._latency = latency
        super().__init__(
            {"enters": In(1), "free": Out(1), "moves": Out(1), "valid": Out(1), "ready": In(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a shift register of valid bits."""
        m = Module()
        stages = Signal(self._latency)
        m.d.comb += [
            self.valid.eq(stages[-1]),
            self.free.eq(~self.valid | self.ready),
            self.moves.eq(self.free & (self.enters | stages.any())),
        ]
        with m.If(self.moves):
            m.d.sync += stages.eq(Cat(self.enters, stages))
        return m
