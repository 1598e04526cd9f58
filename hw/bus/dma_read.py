"""DMA read: several readers of DRAM words share the AXI4 ports."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.bus.axi import ADDRESS_BITS, ID_BITS, AxiReadSignature
from hw.bus.burst_address import BurstAddress
from hw.bus.read_queue import ReadQueue, port_of, queue_words
from hw.config import DnaConfig
from hw.interfaces import DramReadSignature, FaultSignature
from hw.streams.round_robin import RoundRobin


class DmaReader(wiring.Component):
    """Bursts for ``clients`` readers, told apart by their identifier on the bus.

    A burst is asked for only when the reader's FIFO has room for all of it, so the bus never waits
    for a reader, and the memory may answer different readers in any order, also interleaved.
    At each port readers take turns; each may have ``outstanding_bursts`` bursts under way.

    Latency: a request reaches AR in the 10th cycle after it was taken; a beat reaches its
    reader in the 4th cycle after it came. ``fault`` is a register.

    Stall: none on the R channels (``ready`` is always high).

    Args:
        config: uses ``dram_bytes_per_cycle``, ``dram_ports``, ``port_granule_bytes``,
            ``burst_words`` and ``outstanding_bursts``.
        clients: how many readers, at least 1 and as many as identifiers tell apart.

    Ports:
        clients: in, array of :class:`hw.interfaces.DramReadSignature`.
        axi: out, array of :class:`hw.bus.axi.AxiReadSignature`, a port each; identifier = index of
            the reader.
        window_base: in, unsigned(64), byte address of offset 0, a multiple of 4 KiB.
        window_size: in, unsigned(32), bytes that may be read.
        halt: in, start no more bursts.
        idle: out, no burst is under way.
        fault: out; a BUS_READ names the offset of its burst.

    Raises:
        ValueError: ``clients`` is out of range.
    """

    def __init__(self, config: DnaConfig, *, clients: int) -> None:
        if not isinstance(clients, int) or not 1 <= clients <= 1 << ID_BITS:
            raise ValueError(f"clients must be from 1 to {1 << ID_BITS}, not {clients!r}")
        self._config = config
        self._count = clients
        port = AxiReadSignature(data_bytes=config.port_bytes, id_bits=ID_BITS)
        super().__init__(
            {
                "clients": In(DramReadSignature(config)).array(clients),
                "axi": Out(port).array(config.dram_ports),
                "window_base": In(unsigned(ADDRESS_BITS)),
                "window_size": In(unsigned(32)),
                "halt": In(1),
                "idle": Out(1),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a queue per reader and, per port, who is next and what is under way."""
        m = Module()
        config = self._config
        queues = [ReadQueue(config) for _ in range(self._count)]
        for index, queue in enumerate(queues):
            m.submodules[f"queue_{index}"] = queue
            connect(m, flipped(self.clients[index]), queue.client)
            m.d.comb += queue.window_size.eq(self.window_size)

        rests = []
        taken = [Signal(config.dram_ports, name=f"taken_{index}") for index in range(self._count)]
        for number in range(config.dram_ports):
            rests.append(self._port(m, number, queues, taken))
        m.d.comb += [queue.asks.ready.eq(t.any()) for queue, t in zip(queues, taken, strict=True)]
        m.d.comb += self.idle.eq(Cat(rests).all())

        m.d.sync += self.fault.valid.eq(Cat(queue.fault.valid for queue in queues).any())
        for queue in reversed(queues):
            with m.If(queue.fault.valid):
                m.d.sync += [
                    self.fault.code.eq(queue.fault.code),
                    self.fault.address.eq(queue.fault.address),
                ]
        return m

    def _port(self, m: Module, number: int, queues: list[ReadQueue], taken: list[Signal]) -> Signal:
        """Build a port; returns whether it rests."""
        config, axi = self._config, self.axi[number]
        beat = axi.r.payload
        arbiter = RoundRobin(count=self._count)
        address = BurstAddress(data_bytes=config.port_bytes, id_bits=ID_BITS)
        m.submodules[f"arbiter_{number}"] = arbiter
        m.submodules[f"address_{number}"] = address
        connect(m, address.channel, flipped(axi.ar))
        bursts = address.bursts
        length = Signal(range(config.burst_words + 1), name=f"length_{number}")
        m.d.comb += [
            address.window_base.eq(self.window_base),
            bursts.valid.eq(arbiter.requests.any() & ~self.halt),
            arbiter.serve.eq(bursts.valid & bursts.ready),
            bursts.payload.len.eq((length << ceil_log2(config.dram_ports)) - 1),
            bursts.payload.id.eq(arbiter.grant),
            axi.r.ready.eq(1),
        ]
        for index, queue in enumerate(queues):
            burst = queue.asks.payload
            here = port_of(config, burst.offset) == number
            m.d.comb += [
                arbiter.requests[index].eq(queue.asks.valid & here),
                taken[index][number].eq(arbiter.serve & (arbiter.grant == index)),
                queue.comes[number].valid.eq(axi.r.valid & (beat.id == index)),
                queue.comes[number].beat.data.eq(beat.data),
                queue.comes[number].beat.bad.eq(beat.resp[1]),
            ]
            with m.If(arbiter.grant == index):
                m.d.comb += [bursts.payload.offset.eq(burst.offset), length.eq(burst.length)]

        # Beats to come.
        most = self._count * queue_words(config) * config.dram_ports
        due = Signal(range(most + 1), name=f"due_{number}")
        asked = Signal(range(config.burst_words * config.dram_ports + 1), name=f"asked_{number}")
        m.d.comb += asked.eq(Mux(arbiter.serve, length << ceil_log2(config.dram_ports), 0))
        m.d.sync += due.eq(due + asked - axi.r.valid)
        rests = Signal(name=f"rests_{number}")
        m.d.comb += rests.eq((due == 0) & ~address.pending)
        return rests
