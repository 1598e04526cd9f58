"""A machine without engines: the real registers, watchdog and DMA around a few gates."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.bus import registers
from hw.bus.axi import AxiLiteSignature, connect_flat, flat_members
from hw.bus.csr import ControlRegisters
from hw.bus.dma_read import DmaReader
from hw.bus.dma_write import DmaWriter
from hw.config import DnaConfig
from hw.control.watchdog import Watchdog
from hw.core import WriteTraceSignature, memory_signature
from hw.isa import Engine
from hw.status import Activity

READERS = 3


class Copier(wiring.Component):
    """Writes the sum (modulo the word) of three runs of DRAM words to a fourth place.

    The DRAM word at ``program`` holds the length of a run, in words, and in its second 32 bits the
    byte offset of the first run; the others follow it. The result goes to ``write_base``. Every sum
    is also shown as a write of LOAD. ``layers`` of LOAD is the number of the sum divided by 8.
    A length of 0 hangs.

    Attributes:
        skew: by so many bytes its reads are beside where they belong.
    """

    skew = 0

    def __init__(self, config: DnaConfig) -> None:
        self.config = config
        trace = Out(WriteTraceSignature(config))
        registers_bus = AxiLiteSignature(address_bits=registers.ADDRESS_BITS)
        super().__init__(
            {
                **flat_members("s_axil", registers_bus.flip()),
                **flat_members("m_axi", memory_signature(config)),
                "interrupt": Out(1),
                "busy": Out(1),
                "post_trace": trace,
                "pool_trace": trace,
                "load_trace": trace,
                "depthwise_trace": trace,
                "activity": Out(3).array(len(Engine)),
                "layers": Out(16).array(len(Engine)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        top, m = Module(), Module()
        config = self.config
        top.submodules.csr = csr = ControlRegisters(config)
        top.submodules.watchdog = watchdog = Watchdog()
        top.submodules.core = ResetInserter(csr.clear)(m)
        connect_flat(top, csr.bus, self, "s_axil")
        m.submodules.reader = reader = DmaReader(config, clients=READERS)
        m.submodules.writer = writer = DmaWriter(config)
        connect_flat(m, reader.axi[0], self, "m_axi")
        connect_flat(m, writer.axi[0], self, "m_axi")
        m.d.comb += self.m_axi_araddr.eq(reader.axi[0].ar.payload.addr + self.skew)

        length, source, done = Signal(32), Signal(32), Signal(32)
        words = [client.words for client in reader.clients]
        trace, sink = self.load_trace, writer.client
        work, last, ready = Signal(), Signal(), Signal()
        m.d.comb += [
            self.interrupt.eq(csr.interrupt),
            self.busy.eq(csr.busy),
            reader.window_base.eq(csr.window_base),
            reader.window_size.eq(csr.window_size),
            reader.halt.eq(csr.halt),
            writer.window_base.eq(csr.window_base),
            writer.write_base.eq(csr.write_base),
            writer.write_size.eq(csr.write_size),
            writer.halt.eq(csr.halt),
            csr.idle.eq(reader.idle & writer.idle),
            watchdog.busy.eq(csr.busy),
            watchdog.progress.eq(work | self.m_axi_rvalid | self.m_axi_wvalid),
            watchdog.limit.eq(csr.watchdog),
            work.eq(ready & sink.words.ready),
            sink.words.payload.eq(sum(word.payload for word in words)),
            trace.valid.eq(work),
            trace.address.eq(done),
            trace.enable.eq(1),
            trace.words.as_value().eq(sink.words.payload),
            self.layers[Engine.LOAD].eq(done >> 3),
        ]
        faults = [reader.fault, writer.fault, watchdog.fault]
        for fault in reversed(faults):
            with m.If(fault.valid):
                m.d.comb += [
                    csr.fault.valid.eq(1),
                    csr.fault.code.eq(fault.code),
                    csr.fault.address.eq(fault.address),
                ]
        for engine in Engine:
            m.d.comb += [
                csr.activity[engine].eq(self.activity[engine]),
                watchdog.activity[engine].eq(self.activity[engine]),
            ]

        first = reader.clients[0]
        asked = Signal(READERS)
        with m.FSM():
            with m.State("idle"), m.If(csr.start):
                m.d.sync += [done.eq(0), asked.eq(0)]
                m.next = "ask"
            with m.State("ask"):
                m.d.comb += [
                    first.requests.valid.eq(1),
                    first.requests.payload.offset.eq(csr.program),
                    first.requests.payload.length.eq(1),
                ]
                with m.If(first.requests.ready):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += first.words.ready.eq(1)
                with m.If(first.words.valid):
                    m.d.sync += Cat(length, source).eq(first.words.payload)
                    m.next = "request"
            with m.State("request"):
                for index, client in enumerate(reader.clients):
                    step = index * config.dram_bytes_per_cycle
                    m.d.comb += [
                        client.requests.valid.eq(~asked[index] & (length != 0)),
                        client.requests.payload.offset.eq(source + length * step),
                        client.requests.payload.length.eq(length),
                    ]
                    with m.If(client.requests.valid & client.requests.ready):
                        m.d.sync += asked[index].eq(1)
                m.d.comb += [
                    sink.requests.valid.eq(asked.all()),
                    sink.requests.payload.offset.eq(csr.write_base),
                    sink.requests.payload.length.eq(length),
                ]
                with m.If(sink.requests.valid & sink.requests.ready):
                    m.next = "work"
            with m.State("work"):
                m.d.comb += [
                    ready.eq(Cat(word.valid for word in words).all() & (done != length)),
                    sink.words.valid.eq(ready),
                    last.eq(sink.done),
                    *(word.ready.eq(work) for word in words),
                    self.activity[Engine.LOAD].eq(Mux(work, Activity.BUSY, Activity.WAIT_DRAM)),
                ]
                with m.If(work):
                    m.d.sync += done.eq(done + 1)
                with m.If(last):
                    m.d.comb += csr.finished.eq(1)
                    m.next = "idle"
        return top


class LargeSkew(Copier):
    """Its longest bursts cross 4 KiB."""

    skew = 64


class SmallSkew(Copier):
    """Its bursts are not aligned."""

    skew = 4
