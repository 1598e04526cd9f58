"""Control and status registers, and the run control behind them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw import isa
from hw.bus import registers
from hw.bus.axi import ADDRESS_BITS, AxiLiteSignature
from hw.bus.register_file import RegisterFile
from hw.config import DnaConfig
from hw.control.run_control import ActivityCounters, RunControl
from hw.interfaces import FaultSignature
from hw.isa import Engine
from hw.status import ACTIVITY_BITS, Activity


class ControlRegisters(wiring.Component):
    """The registers of :mod:`hw.bus.registers` behind AXI4-Lite.

    Latency and stall: those of :class:`hw.bus.register_file.RegisterFile`; what stops and resets
    the machine, those of :class:`hw.control.run_control.RunControl`.

    Args:
        config: uses ``digest`` and ``window_alignment``.

    Ports:
        bus: in, :class:`hw.bus.axi.AxiLiteSignature`.
        start: out, one cycle high.
        clear: out, one cycle high: put the machine back to its first state.
        halt: out, start no more transfers and dispatch nothing.
        busy: out, a program runs.
        interrupt: out, level.
        window_base: out, unsigned(64), a multiple of
            ``config.window_alignment``; window_size, write_base, write_size, program, watchdog:
            out, unsigned(32); register values.
        finished: in, one cycle high when the program ends.
        idle: in, no transfer is under way.
        fault: in, :class:`hw.interfaces.FaultSignature`.
        activity: in, array of :class:`hw.status.Activity` by :class:`hw.isa.Engine`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "bus": In(AxiLiteSignature(address_bits=registers.ADDRESS_BITS)),
                "start": Out(1),
                "clear": Out(1),
                "halt": Out(1),
                "busy": Out(1),
                "interrupt": Out(1),
                "window_base": Out(unsigned(ADDRESS_BITS)),
                "window_size": Out(unsigned(32)),
                "write_base": Out(unsigned(32)),
                "write_size": Out(unsigned(32)),
                "program": Out(unsigned(32)),
                "watchdog": Out(unsigned(32)),
                "finished": In(1),
                "idle": In(1),
                "fault": In(FaultSignature()),
                "activity": In(unsigned(ACTIVITY_BITS)).array(len(Engine)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect the registers with what they control and what they show."""
        m = Module()
        m.submodules.registers = file = RegisterFile(
            (*registers.REGISTERS, *registers.COUNTERS), address_bits=registers.ADDRESS_BITS
        )
        m.submodules.run = run = RunControl()
        m.submodules.counters = counters = ActivityCounters()
        connect(m, flipped(self.bus), file.bus)
        connect(m, flipped(self.fault), run.fault)
        fields = file.fields
        digest = int(self._config.digest, 16)
        zeros = ceil_log2(self._config.window_alignment)

        m.d.comb += [
            run.asks_start.eq(fields.control.start),
            run.asks_reset.eq(fields.control.reset),
            run.asks_force.eq(fields.control.force),
            file.locked.eq(run.locked),
            run.finished.eq(self.finished),
            run.idle.eq(self.idle),
            self.start.eq(run.start),
            self.clear.eq(run.clear),
            self.halt.eq(run.halt),
            self.busy.eq(run.busy),
            self.window_base.eq(
                Cat(
                    Const(0, zeros),
                    fields.window_base_low.value[zeros:],
                    fields.window_base_high.value,
                )
            ),
            self.window_size.eq(fields.window_size.value),
            self.write_base.eq(fields.write_base.value),
            self.write_size.eq(fields.write_size.value),
            self.program.eq(fields.program.value),
            self.watchdog.eq(fields.watchdog.value),
        ]
        m.d.comb += [
            fields.id.value.eq(isa.MAGIC),
            fields.version.value.eq(isa.ISA_VERSION),
            Cat(fields.config_low.value, fields.config_high.value).eq(digest),
            fields.status.busy.eq(run.busy | run.resetting),
            fields.status.done.eq(run.done),
            fields.status.error.eq(run.error),
            fields.error_code.value.eq(run.error_code),
            fields.error_address.value.eq(run.error_address),
            Cat(fields.cycles_low.value, fields.cycles_high.value).eq(run.cycles),
        ]

        events, enables = fields.interrupt, fields.interrupt_enable
        m.d.comb += [
            file.clear.eq(run.clear),
            events.ended.set.eq(self.finished),
            events.fault.set.eq(run.fails),
            self.interrupt.eq(
                (events.ended.pending & enables.ended) | (events.fault.pending & enables.fault)
            ),
        ]

        m.d.comb += [counters.start.eq(run.start), counters.busy.eq(run.busy)]
        for engine in Engine:
            m.d.comb += counters.activity[engine].eq(self.activity[engine])
            for activity in Activity:
                counter = file.register(registers.counter_name(engine, activity))
                m.d.comb += counter.value.eq(Value.cast(counters.cycles[engine][activity]))
        return m
