"""Start, end, stop and reset of a program, and the counters that run with it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.interfaces import FaultSignature
from hw.isa import Engine
from hw.status import ACTIVITY_BITS, Activity


class RunControl(wiring.Component):
    """Whether a program runs, how the last one ended, and how long it took.

    A fault stops the machine: ``halt`` stays high until software resets it. A reset waits until the
    bus is idle, so no answer of an old transfer meets a new program, unless software forces it,
    which is for a bus that hangs and is reset with the machine.

    Latency: ``busy`` is high from the cycle after ``start`` on, until the one of ``finished`` or of
    the fault; ``clear`` comes in the cycle after ``idle``. ``cycles`` is complete 2 cycles after
    the end. Stall: a reset waits for ``idle``, nothing else does.

    Ports:
        asks_start, asks_reset, asks_force: in, one cycle high: what software wants. A start counts
            only if not ``locked``.
        start: out, one cycle high.
        locked: out, no program can be started, and what the last one was started with must stay.
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
                "asks_force": In(1),
                "start": Out(1),
                "locked": Out(1),
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
        forced = Signal()
        m.d.comb += [
            self.locked.eq(self.busy | self.error | self.resetting),
            self.start.eq(self.asks_start & ~self.locked),
            self.halt.eq(self.error | self.resetting),
            self.fails.eq(self.fault.valid & ~self.error & ~self.resetting),
        ]
        m.d.sync += self.clear.eq(self.resetting & (self.idle | forced) & ~self.clear)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), self.done.eq(0)]
        with m.If(self.finished):
            m.d.sync += [self.busy.eq(0), self.done.eq(1)]
        with m.If(self.fails):
            m.d.sync += [
                self.busy.eq(0),
                self.error.eq(1),
                self.error_code.eq(self.fault.code),
                self.error_address.eq(self.fault.address),
            ]
        with m.If(self.asks_reset | self.asks_force):
            m.d.sync += self.resetting.eq(1)
        with m.If(self.asks_force):
            m.d.sync += forced.eq(1)
        with m.If(self.clear):
            m.d.sync += [
                self.resetting.eq(0),
                forced.eq(0),
                self.busy.eq(0),
                self.done.eq(0),
                self.error.eq(0),
                self.error_code.eq(0),
                self.error_address.eq(0),
            ]
        # A cycle counts after the one in which it is known, the upper half after the lower one.
        low, high = self.cycles[:32], self.cycles[32:]
        begins = Signal()
        counts = Signal()
        carry = Signal()
        m.d.sync += [begins.eq(self.start), counts.eq(self.busy), carry.eq(counts & low.all())]
        with m.If(counts):
            m.d.sync += low.eq(low + 1)
        with m.If(carry):
            m.d.sync += high.eq(high + 1)
        with m.If(begins):
            m.d.sync += [self.cycles.eq(0), carry.eq(0)]
        return m


class ActivityCounters(wiring.Component):
    """How many cycles of the last program each engine spent on what.

    Latency: a cycle counts from the 3rd one behind it on. Stall: none.

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
        """Build a counter for each engine and activity, and two registers in front of them."""
        m = Module()
        begins = Signal(2)
        busy = Signal()
        m.d.sync += [begins.eq(Cat(self.start, begins)), busy.eq(self.busy)]
        for engine in Engine:
            now = Signal(ACTIVITY_BITS, name=f"now_{engine.name}")
            m.d.sync += now.eq(self.activity[engine])
            for activity in Activity:
                counter = self.cycles[engine][activity]
                counts = Signal(name=f"counts_{engine.name}_{activity.name}")
                m.d.sync += counts.eq(busy & (now == activity))
                with m.If(begins[1]):
                    m.d.sync += counter.eq(0)
                with m.Elif(counts):
                    m.d.sync += counter.eq(counter + 1)
        return m
