"""DMA read: several readers of DRAM words share one AXI4 port."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.axi import ADDRESS_BITS, AxiReadSignature, size_code
from hw.bus.axi_codes import BURST_INCREMENTING
from hw.bus.burst_splitter import BurstSplitter
from hw.config import DnaConfig
from hw.interfaces import DramReadSignature, FaultSignature
from hw.status import Fault
from hw.streams.round_robin import RoundRobin


class DmaReader(wiring.Component):
    """Bursts for ``clients`` readers, told apart by their identifier on the bus.

    A burst is asked for only when the reader's FIFO has room for all of it, so the bus never waits
    for a reader, and the memory may answer different readers in any order, also interleaved.
    Readers take turns; each may have ``outstanding_bursts`` bursts under way.

    Latency: a request reaches AR in the 2nd cycle after it was taken; a beat reaches its
    reader in the 2nd cycle after it came.

    Stall: none on the R channel (``axi.r.ready`` is always high).

    Args:
        config: uses ``dram_bytes_per_cycle``, ``burst_words`` and ``outstanding_bursts``.
        clients: how many readers, at least 1.

    Ports:
        clients: in, array of :class:`hw.interfaces.DramReadSignature`.
        axi: out, :class:`hw.bus.axi.AxiReadSignature`; identifier = index of the reader.
        window_base: in, unsigned(64), byte address of offset 0.
        window_size: in, unsigned(32), bytes that may be read.
        halt: in, start no more bursts.
        idle: out, no burst is under way.
        fault: out; a BUS_READ names the offset of its burst.

    Raises:
        ValueError: ``clients`` is not a positive integer.
    """

    def __init__(self, config: DnaConfig, *, clients: int) -> None:
        if not isinstance(clients, int) or clients < 1:
            raise ValueError(f"clients must be a positive integer, not {clients!r}")
        self._config = config
        self._count = clients
        self._id_bits = max(1, (clients - 1).bit_length())
        super().__init__(
            {
                "clients": In(DramReadSignature(config)).array(clients),
                "axi": Out(
                    AxiReadSignature(data_bytes=config.dram_bytes_per_cycle, id_bits=self._id_bits)
                ),
                "window_base": In(unsigned(ADDRESS_BITS)),
                "window_size": In(unsigned(32)),
                "halt": In(1),
                "idle": Out(1),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a splitter, a FIFO and a credit counter per reader, and the address channel."""
        m = Module()
        config = self._config
        ar, r, beat = self.axi.ar, self.axi.r, self.axi.r.payload
        capacity = config.burst_words * config.outstanding_bursts

        m.submodules.arbiter = arbiter = RoundRobin(count=self._count)
        want = arbiter.requests  # readers with a burst to ask for
        grant = arbiter.grant
        issue = arbiter.serve  # the granted reader's burst goes to AR now
        splitters, faults = [], []
        under_way = Signal(range(self._count * capacity + 1))

        for index in range(self._count):
            client = self.clients[index]
            m.submodules[f"splitter{index}"] = splitter = BurstSplitter(config)
            m.submodules[f"words{index}"] = words = fifo.SyncFIFOBuffered(
                width=8 * config.dram_bytes_per_cycle, depth=capacity
            )
            m.submodules[f"offsets{index}"] = offsets = fifo.SyncFIFO(
                width=32, depth=config.outstanding_bursts * config.burst_words
            )
            splitters.append(splitter)
            connect(m, flipped(client.requests), splitter.requests)

            free = Signal(range(capacity + 1), init=capacity)
            taken = Signal(range(config.burst_words + 1))
            popped = Signal()
            here = Signal()  # a beat for this reader
            m.d.comb += [
                splitter.size.eq(self.window_size),
                want[index].eq(splitter.bursts.valid & (free >= splitter.bursts.payload.length)),
                splitter.bursts.ready.eq(issue & (grant == index)),
                here.eq(r.valid & (beat.id == index)),
                words.w_data.eq(beat.data),
                words.w_en.eq(here),
                client.words.payload.eq(words.r_data),
                client.words.valid.eq(words.r_rdy),
                words.r_en.eq(client.words.ready),
                popped.eq(words.r_rdy & words.r_en),
                offsets.w_data.eq(splitter.bursts.payload.offset),
                offsets.w_en.eq(splitter.bursts.ready),
                offsets.r_en.eq(here & beat.last),
            ]
            with m.If(splitter.bursts.ready):
                m.d.comb += taken.eq(splitter.bursts.payload.length)
            m.d.sync += free.eq(free + popped - taken)
            faults += [
                (splitter.fault.valid, splitter.fault.code, splitter.fault.address),
                (here & beat.resp[1], Fault.BUS_READ, offsets.r_data),
            ]

        length = Signal(range(config.burst_words + 1))
        m.d.comb += [
            issue.eq(want.any() & ~self.halt & (~ar.valid | ar.ready)),
            ar.payload.size.eq(size_code(config.dram_bytes_per_cycle)),
            ar.payload.burst.eq(BURST_INCREMENTING),
            r.ready.eq(1),
            self.idle.eq((under_way == 0) & ~ar.valid),
        ]
        with m.If(ar.ready):
            m.d.sync += ar.valid.eq(0)
        with m.Switch(grant):
            for index, splitter in enumerate(splitters):
                with m.Case(index):
                    burst = splitter.bursts.payload
                    m.d.comb += length.eq(burst.length)
                    with m.If(issue):
                        m.d.sync += [
                            ar.valid.eq(1),
                            ar.payload.addr.eq(self.window_base + burst.offset),
                            ar.payload.len.eq(burst.length - 1),
                            ar.payload.id.eq(index),
                        ]
        came = r.valid & r.ready
        with m.If(issue):
            m.d.sync += under_way.eq(under_way + length - came)
        with m.Elif(came):
            m.d.sync += under_way.eq(under_way - 1)

        for valid, code, address in reversed(faults):
            with m.If(valid):
                m.d.comb += [
                    self.fault.valid.eq(1),
                    self.fault.code.eq(code),
                    self.fault.address.eq(address),
                ]
        return m
