"""DMA write: runs of DRAM words to the AXI4 ports, store and forward."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.bus.axi import ADDRESS_BITS, ID_BITS, AxiWriteSignature
from hw.bus.burst_address import BurstAddress
from hw.bus.burst_splitter import BurstSplitter
from hw.bus.last_word import LastWord
from hw.bus.read_queue import pick, port_of
from hw.config import DnaConfig
from hw.interfaces import DramWriteSignature, FaultSignature
from hw.memory.buffered_fifo import BufferedFifo
from hw.status import Fault


class DmaWriter(wiring.Component):
    """One writer's words to the bus, in bursts.

    Each word waits in the FIFO of the port that its granule belongs to. A burst's address goes out
    only when all of its words are here, so a writer that stops in the middle never holds the bus.
    Bursts are under way at all ports, several at each, up to ``outstanding_bursts``; a list of them
    says in which order they were given, and so which answer belongs to which.

    Latency: the first word of a burst of n reaches W n + 3 cycles after it was taken; ``done`` and
    ``fault`` come 3 cycles after the answer.

    Stall: ``words`` is ready while there is a burst that the next word belongs to, its port's FIFO
    of two bursts has room, and, if the word completes the burst, a burst may be started.

    Args:
        config: uses ``dram_bytes_per_cycle``, ``dram_ports``, ``port_granule_bytes``,
            ``burst_words`` and ``outstanding_bursts``.

    Ports:
        client: in, :class:`hw.interfaces.DramWriteSignature`.
        axi: out, array of :class:`hw.bus.axi.AxiWriteSignature`, a port each; the identifier is 0.
        window_base: in, unsigned(64), byte address of offset 0, a multiple of 4 KiB.
        write_base, write_size: in, unsigned(32), the part of the window that may be written.
        halt: in, start no more bursts.
        idle: out, no burst is under way.
        fault: out; a BUS_WRITE names the offset of its burst.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        port = AxiWriteSignature(data_bytes=config.port_bytes, id_bits=ID_BITS)
        super().__init__(
            {
                "client": In(DramWriteSignature(config)),
                "axi": Out(port).array(config.dram_ports),
                "window_base": In(unsigned(ADDRESS_BITS)),
                "write_base": In(unsigned(32)),
                "write_size": In(unsigned(32)),
                "halt": In(1),
                "idle": Out(1),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the splitter, what deals words out to the ports, and the list of bursts."""
        m = Module()
        config, client = self._config, self.client
        m.submodules.splitter = splitter = BurstSplitter(config)
        connect(m, flipped(client.requests), splitter.requests)
        burst = splitter.bursts.payload
        port = port_of(config, burst.offset)
        most = config.outstanding_bursts
        # A buffered FIFO takes its last word only when the first one has reached the output, which
        # takes a cycle; with a place more, bursts and answers may come in every cycle.
        m.submodules.order = order = BufferedFifo(width=33, depth=most + 1)

        m.submodules.last_word = last_word = LastWord(config)
        completes, taken, ends = last_word.last, last_word.taken, Signal()
        under_way = Signal(range(most + 1))
        full = Signal()
        addresses = []
        words = []
        answers = []
        for number in range(config.dram_ports):
            address, queue, answer = self._port(m, number, taken=ends & (port == number))
            addresses.append(address)
            words.append(queue)
            answers.append(answer)
            m.d.comb += [
                address.bursts.payload.offset.eq(burst.offset),
                address.bursts.payload.len.eq((burst.length << ceil_log2(config.dram_ports)) - 1),
                queue.w_data.eq(Cat(client.words.payload, completes)),
                queue.w_en.eq(taken & (port == number)),
            ]
        starts = pick([address.bursts.ready for address in addresses], port) & ~full & ~self.halt
        m.d.comb += [
            splitter.base.eq(self.write_base),
            splitter.size.eq(self.write_size),
            last_word.burst.eq(burst),
            taken.eq(client.words.valid & client.words.ready),
            client.words.ready.eq(
                splitter.bursts.valid
                & pick([queue.w_rdy for queue in words], port)
                & (~completes | starts)
            ),
            ends.eq(taken & completes),
            splitter.bursts.ready.eq(ends),
            order.w_en.eq(ends),
            order.w_data.eq(Cat(burst.offset, burst.last)),
        ]

        # The oldest burst is over when its port has an answer.
        offset, last = order.r_data[:32], order.r_data[32]
        oldest = port_of(config, offset)
        over, refused = Signal(), Signal()
        m.d.comb += [
            over.eq(order.r_rdy & pick([answer.r_rdy for answer in answers], oldest)),
            refused.eq(pick([answer.r_data[0] for answer in answers], oldest)),
            order.r_en.eq(over),
            client.done.eq(over & last & ~refused),
            self.idle.eq(under_way == 0),
        ]
        for number, answer in enumerate(answers):
            m.d.comb += answer.r_en.eq(over & (oldest == number))
        m.d.sync += [
            under_way.eq(under_way + ends - over),
            full.eq(under_way + ends - over == most),
            self.fault.valid.eq(splitter.fault.valid | (over & refused)),
            self.fault.code.eq(splitter.fault.code),
            self.fault.address.eq(splitter.fault.address),
        ]
        with m.If(over & refused):
            m.d.sync += [self.fault.code.eq(Fault.BUS_WRITE), self.fault.address.eq(offset)]
        return m

    def _port(
        self, m: Module, number: int, *, taken: Value
    ) -> tuple[BurstAddress, BufferedFifo, BufferedFifo]:
        """Build a port; returns its addresses, the FIFO of its words, and its answers."""
        config, axi = self._config, self.axi[number]
        parts = config.dram_ports
        address = BurstAddress(data_bytes=config.port_bytes, id_bits=ID_BITS)
        words = BufferedFifo(
            width=8 * config.dram_bytes_per_cycle + 1, depth=2 * config.burst_words
        )
        answers = BufferedFifo(width=1, depth=config.outstanding_bursts + 1)
        m.submodules[f"address_{number}"] = address
        m.submodules[f"words_{number}"] = words
        m.submodules[f"answers_{number}"] = answers
        connect(m, address.channel, flipped(axi.aw))

        part = Signal(range(parts), name=f"part_{number}")
        started = Signal(range(config.outstanding_bursts + 1), name=f"started_{number}")
        sends, sent = Signal(name=f"sends_{number}"), Signal(name=f"sent_{number}")
        width = 8 * config.port_bytes
        beats = [words.r_data[width * index : width * (index + 1)] for index in range(parts)]
        m.d.comb += [
            address.window_base.eq(self.window_base),
            address.bursts.valid.eq(taken),
            axi.w.valid.eq(words.r_rdy & (started != 0)),
            axi.w.payload.data.eq(pick(beats, part)),
            axi.w.payload.strb.eq(-1),
            axi.w.payload.last.eq(words.r_data[-1] & (part == parts - 1)),
            sends.eq(axi.w.valid & axi.w.ready),
            sent.eq(sends & axi.w.payload.last),
            words.r_en.eq(sends & (part == parts - 1)),
            answers.w_en.eq(axi.b.valid),
            answers.w_data.eq(axi.b.payload.resp[1]),
            axi.b.ready.eq(1),
        ]
        m.d.sync += started.eq(started + address.starts - sent)
        if parts > 1:
            with m.If(sends):
                m.d.sync += part.eq(part + 1)
        return address, words, answers
