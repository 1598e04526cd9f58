"""Start, end, stop and reset of a program, and the counters that run with it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.interfaces import FaultSignature
from hw.isa import Engine
from hw.status import ACTIVITY_BITS, Activity, Fault


class RunControl(wiring.Component):
    """Whether a program runs, how the last one ended, and how long it took.

    A fault, or a start while busy, stops the machine: ``halt`` stays high until software resets it.
    A reset waits until the bus is idle, so no answer of an old transfer meets a new program.

    Latency: ``busy`` is high from the cycle after ``start`` on, until the one of ``finished`` or of
    the fault. Stall: a reset waits for ``idle``, nothing else does.

    Ports:
        asks_start, asks_reset: in, one cycle high: what software wants.
        program: in, unsigned(32), byte offset of the program, the address of START_WHILE_BUSY.
        start: out, one cycle high.
        clear: out, one cycle high: put the machine back to its first state.
        halt: out, start no more transfers and dispatch nothing.
        busy: out, a program runs.
        resetting: out, a reset waits for the bus.
        finished: in, one cycle high when the program ends.
        idle: in, no transfer is under way.
        fault: in, :class:`hw.interfaces.FaultSignature`.
        done: out, the last program ended.
        error: out, a fault stopped the machine.
        fails: out, one cycle high when it does.
        error_code, error_address: out, of that fault.
        cycles: out, unsigned(64), of the last program from start to end.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "asks_start": In(1),
                "asks_reset": In(1),
                "program": In(unsigned(32)),
                "start": Out(1),
                "clear": Out(1),
                "halt": Out(1),
                "busy": Out(1),
                "resetting": Out(1),
                "finished": In(1),
                "idle": In(1),
                "fault": In(FaultSignature()),
                "done": Out(1),
                "error": Out(1),
                "fails": Out(1),
                "error_code": Out(unsigned(8)),
                "error_address": Out(unsigned(32)),
                "cycles": Out(unsigned(64)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the flags and the counter; later statements win over earlier ones."""
        m = Module()
        clash = Signal()
        m.d.comb += [
            clash.eq(self.asks_start & (self.busy | self.error | self.resetting)),
            self.start.eq(self.asks_start & ~clash),
            self.halt.eq(self.error | self.resetting),
            self.clear.eq(self.resetting & self.idle),
            self.fails.eq((clash | self.fault.valid) & ~self.error & ~self.resetting),
        ]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), self.done.eq(0)]
        with m.If(self.finished):
            m.d.sync += [self.busy.eq(0), self.done.eq(1)]
        with m.If(self.fails):
            m.d.sync += [
                self.busy.eq(0),
                self.error.eq(1),
                self.error_code.eq(Mux(self.fault.valid, self.fault.code, Fault.START_WHILE_BUSY)),
                self.error_address.eq(Mux(self.fault.valid, self.fault.address, self.program)),
            ]
        with m.If(self.asks_reset):
            m.d.sync += self.resetting.eq(1)
        with m.If(self.clear):
            m.d.sync += [
                self.resetting.eq(0),
                self.busy.eq(0),
                self.done.eq(0),
                self.error.eq(0),
                self.error_code.eq(0),
                self.error_address.eq(0),
            ]
        with m.If(self.start):
            m.d.sync += self.cycles.eq(0)
        with m.Elif(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        return m


class ActivityCounters(wiring.Component):
    """How many cycles of the last program each engine spent on what.

    Latency: a cycle counts from the next one on. Stall: none.

    Ports:
        start: in, one cycle high: begin with 0.
        busy: in, count this cycle.
        activity: in, array of :class:`hw.status.Activity` by :class:`hw.isa.Engine`.
        cycles: out, array of unsigned(32) by engine and activity.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "busy": In(1),
                "activity": In(unsigned(ACTIVITY_BITS)).array(len(Engine)),
                "cycles": Out(unsigned(32)).array(len(Engine), len(Activity)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a counter for each engine and activity."""
        m = Module()
        for engine in Engine:
            for activity in Activity:
                counter = self.cycles[engine][activity]
                with m.If(self.start):
                    m.d.sync += counter.eq(0)
                with m.Elif(self.busy & (self.activity[engine] == activity)):
                    m.d.sync += counter.eq(counter + 1)
        return m
