"""Control and status registers, and the run control behind them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw import isa
from hw.bus import registers
from hw.bus.axi import AxiLiteSignature
from hw.config import DnaConfig
from hw.interfaces import FaultSignature
from hw.isa import Engine
from hw.status import ACTIVITY_BITS, Activity, Fault


class ControlRegisters(wiring.Component):
    """The registers of :mod:`hw.bus.registers` behind AXI4-Lite.

    A fault, or a start while busy, stops the machine: ``halt`` stays high until software resets it.
    A reset waits until the bus is idle, so no answer of an old transfer meets a new program.

    Latency: a read answers in the cycle after its address, a write in the cycle after both halves.

    Ports:
        bus: in, :class:`hw.bus.axi.AxiLiteSignature`.
        start: out, one cycle high.
        clear: out, one cycle high: put the machine back to its first state.
        halt: out, start no more transfers and dispatch nothing.
        busy: out, a program runs.
        interrupt: out, level.
        window_base, window_size, write_base, write_size, program, watchdog: out, register values.
        finished: in, one cycle high when the program ends.
        idle: in, no transfer is under way.
        fault: in, :class:`hw.status.FaultSignature`.
        activity: in, array of :class:`hw.status.Activity` by :class:`hw.isa.Engine`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self.config = config
        super().__init__(
            {
                "bus": In(AxiLiteSignature(address_bits=registers.ADDRESS_BITS)),
                "start": Out(1),
                "clear": Out(1),
                "halt": Out(1),
                "busy": Out(1),
                "interrupt": Out(1),
                "window_base": Out(unsigned(64)),
                "window_size": Out(unsigned(32)),
                "write_base": Out(unsigned(32)),
                "write_size": Out(unsigned(32)),
                "program": Out(unsigned(32)),
                "watchdog": Out(unsigned(32), init=registers.DEFAULT_WATCHDOG_CYCLES),
                "finished": In(1),
                "idle": In(1),
                "fault": In(FaultSignature()),
                "activity": In(unsigned(ACTIVITY_BITS)).array(len(Engine)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the bus, the registers, the run control and the counters."""
        m = Module()
        bus = self.bus
        write = Signal()
        # The two low address bits are not looked at: registers are whole words.
        write_word, read_word = bus.awaddr[2:], bus.araddr[2:]
        m.d.comb += [
            write.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready)),
            bus.awready.eq(write),
            bus.wready.eq(write),
        ]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(write):
            m.d.sync += bus.bvalid.eq(1)

        def written(name: str) -> Any:
            word = registers.BY_NAME[name].offset >> 2
            return write & (write_word == word) & bus.wstrb.all()

        enable = Signal(2)
        stores = {
            "interrupt_enable": enable,
            "window_base_low": self.window_base[:32],
            "window_base_high": self.window_base[32:],
            "window_size": self.window_size,
            "write_base": self.write_base,
            "write_size": self.write_size,
            "program": self.program,
            "watchdog": self.watchdog,
        }
        for name, store in stores.items():
            with m.If(written(name)):
                m.d.sync += store.eq(bus.wdata)

        pending = Signal(2)
        done, error, resetting = Signal(), Signal(), Signal()
        error_code, error_address = Signal(8), Signal(32)
        asked = Signal()  # start was written
        clash = Signal()
        m.d.comb += [
            asked.eq(written("control") & (bus.wdata & registers.CONTROL_START).bool()),
            clash.eq(asked & (self.busy | error | resetting)),
            self.start.eq(asked & ~clash),
            self.halt.eq(error | resetting),
            self.clear.eq(resetting & self.idle),
            self.interrupt.eq((pending & enable).any()),
        ]
        with m.If(written("interrupt")):
            m.d.sync += pending.eq(pending & ~bus.wdata)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), done.eq(0)]
        with m.If(self.finished):
            m.d.sync += [self.busy.eq(0), done.eq(1), pending[0].eq(1)]
        with m.If((clash | self.fault.valid) & ~error & ~resetting):
            m.d.sync += [
                self.busy.eq(0),
                error.eq(1),
                pending[1].eq(1),
                error_code.eq(Mux(self.fault.valid, self.fault.code, Fault.START_WHILE_BUSY)),
                error_address.eq(Mux(self.fault.valid, self.fault.address, self.program)),
            ]
        with m.If(written("control") & (bus.wdata & registers.CONTROL_RESET).bool()):
            m.d.sync += resetting.eq(1)
        with m.If(self.clear):
            m.d.sync += [
                resetting.eq(0),
                self.busy.eq(0),
                done.eq(0),
                error.eq(0),
                pending.eq(0),
                error_code.eq(0),
                error_address.eq(0),
            ]

        cycles = Signal(64)
        with m.If(self.start):
            m.d.sync += cycles.eq(0)
        with m.Elif(self.busy):
            m.d.sync += cycles.eq(cycles + 1)
        counters = self._counters(m)

        values = {
            "id": isa.MAGIC,
            "version": isa.ISA_VERSION,
            "config_low": int(self.config.digest, 16) & 0xFFFFFFFF,
            "config_high": int(self.config.digest, 16) >> 32,
            "status": Cat(self.busy | resetting, done, error),
            "error_code": error_code,
            "error_address": error_address,
            "interrupt": pending,
            "cycles_low": cycles[:32],
            "cycles_high": cycles[32:],
            **stores,
        }
        m.d.comb += bus.arready.eq(~bus.rvalid | bus.rready)
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(0)]
            with m.Switch(read_word):
                for name, value in values.items():
                    with m.Case(registers.BY_NAME[name].offset >> 2):
                        m.d.sync += bus.rdata.eq(value)
                for offset, counter in counters.items():
                    with m.Case(offset >> 2):
                        m.d.sync += bus.rdata.eq(counter)
        return m

    def _counters(self, m: Module) -> dict[int, Signal]:
        """One counter for each engine and activity, by byte offset; they run while busy."""
        counters = {}
        for engine in Engine:
            for activity in Activity:
                counter = Signal(32, name=f"{engine.name}_{activity.name}".lower())
                with m.If(self.start):
                    m.d.sync += counter.eq(0)
                with m.Elif(self.busy & (self.activity[engine] == activity)):
                    m.d.sync += counter.eq(counter + 1)
                counters[registers.counter_offset(engine, activity)] = counter
        return counters
