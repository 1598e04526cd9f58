"""The watchdog: a machine that stands still says who waits for what."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.interfaces import FaultSignature
from hw.isa import Engine
from hw.status import ACTIVITY_BITS, Fault


class Watchdog(wiring.Component):
    """Counts cycles in which nothing progresses and reports when they reach ``limit``.

    Latency: the fault is there in the 2nd cycle after the last of ``limit`` such cycles.

    Stall: none.

    Ports:
        busy: in, a program runs.
        progress: in, something moved in this cycle.
        limit: in, unsigned(32), cycles; 0 turns the watchdog off.
        activity: in, array of :class:`hw.status.Activity` by :class:`hw.isa.Engine`.
        fault: out, WATCHDOG; the address holds the activity of engine e in bits 3e to 3e + 2.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "busy": In(1),
                "progress": In(1),
                "limit": In(unsigned(32)),
                "activity": In(unsigned(ACTIVITY_BITS)).array(len(Engine)),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the counter."""
        m = Module()
        still = Signal(32)
        with m.If(~self.busy | self.progress):
            m.d.sync += still.eq(0)
        with m.Else():
            m.d.sync += still.eq(still + 1)
        m.d.sync += self.fault.valid.eq(self.busy & (self.limit != 0) & (still >= self.limit))
        m.d.comb += [
            self.fault.code.eq(Fault.WATCHDOG),
            self.fault.address.eq(Cat(self.activity[engine] for engine in Engine)),
        ]
        return m
