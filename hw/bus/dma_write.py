"""DMA write: runs of DRAM words to AXI4, store and forward."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.axi import ADDRESS_BITS, AxiWriteSignature, size_code
from hw.bus.axi_codes import BURST_INCREMENTING
from hw.bus.burst_splitter import BurstSplitter
from hw.config import DnaConfig
from hw.interfaces import DramWriteSignature, FaultSignature
from hw.status import Fault

WRITE_ID_BITS = 1
"""Of the only identifier, 0."""


class DmaWriter(wiring.Component):
    """One writer's words to the bus, in bursts.

    A burst's address goes out only when all of its words are here, so a writer that stops in the
    middle never holds the bus. One burst is under way at a time.

    Latency: the first word of a burst of n reaches W n + 2 cycles after it was taken.

    Stall: ``words`` is ready while the FIFO of two bursts has room.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``burst_words``.

    Ports:
        client: in, :class:`hw.interfaces.DramWriteSignature`.
        axi: out, :class:`hw.bus.axi.AxiWriteSignature`.
        window_base: in, unsigned(64), byte address of offset 0.
        write_base, write_size: in, unsigned(32), the part of the window that may be written.
        halt: in, start no more bursts.
        idle: out, no burst is under way.
        fault: out; a BUS_WRITE names the offset of its burst.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "client": In(DramWriteSignature(config)),
                "axi": Out(
                    AxiWriteSignature(data_bytes=config.dram_bytes_per_cycle, id_bits=WRITE_ID_BITS)
                ),
                "window_base": In(unsigned(ADDRESS_BITS)),
                "write_base": In(unsigned(32)),
                "write_size": In(unsigned(32)),
                "halt": In(1),
                "idle": Out(1),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the splitter, the FIFO and the three-step sequence of a burst."""
        m = Module()
        config, client = self._config, self.client
        aw, w, b = self.axi.aw, self.axi.w, self.axi.b
        m.submodules.splitter = splitter = BurstSplitter(config)
        m.submodules.words = words = fifo.SyncFIFOBuffered(
            width=8 * config.dram_bytes_per_cycle, depth=2 * config.burst_words
        )
        connect(m, flipped(client.requests), splitter.requests)
        burst = splitter.bursts.payload
        left = Signal(range(config.burst_words + 1))
        offset = Signal(32)
        last = Signal()
        refused = Signal()
        m.d.comb += [
            splitter.base.eq(self.write_base),
            splitter.size.eq(self.write_size),
            words.w_data.eq(client.words.payload),
            words.w_en.eq(client.words.valid),
            client.words.ready.eq(words.w_rdy),
            aw.payload.size.eq(size_code(config.dram_bytes_per_cycle)),
            aw.payload.burst.eq(BURST_INCREMENTING),
            w.payload.data.eq(words.r_data),
            w.payload.strb.eq(-1),
            w.payload.last.eq(left == 1),
            refused.eq(b.valid & b.ready & b.payload.resp[1]),
            self.fault.valid.eq(splitter.fault.valid | refused),
            self.fault.code.eq(splitter.fault.code),
            self.fault.address.eq(splitter.fault.address),
        ]
        with m.If(refused):
            m.d.comb += [self.fault.code.eq(Fault.BUS_WRITE), self.fault.address.eq(offset)]

        with m.FSM():
            with m.State("gather"):
                m.d.comb += self.idle.eq(1)
                with m.If(splitter.bursts.valid & (words.level >= burst.length) & ~self.halt):
                    m.d.comb += splitter.bursts.ready.eq(1)
                    m.d.sync += [
                        aw.valid.eq(1),
                        aw.payload.addr.eq(self.window_base + burst.offset),
                        aw.payload.len.eq(burst.length - 1),
                        left.eq(burst.length),
                        offset.eq(burst.offset),
                        last.eq(burst.last),
                    ]
                    m.next = "send"
            with m.State("send"):
                with m.If(aw.ready):
                    m.d.sync += aw.valid.eq(0)
                m.d.comb += [
                    w.valid.eq((left != 0) & words.r_rdy),
                    words.r_en.eq(w.valid & w.ready),
                ]
                with m.If(words.r_en):
                    m.d.sync += left.eq(left - 1)
                with m.If((left == 0) & ~aw.valid):
                    m.next = "acknowledge"
            with m.State("acknowledge"):
                m.d.comb += b.ready.eq(1)
                with m.If(b.valid):
                    m.d.comb += client.done.eq(last & ~refused)
                    m.next = "gather"
        return m
