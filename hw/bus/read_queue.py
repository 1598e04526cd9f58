"""One reader of DRAM words: its bursts to the ports, and their words back in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.bus.burst_splitter import BurstSplitter, burst_layout
from hw.bus.last_word import LastWord
from hw.config import DnaConfig
from hw.interfaces import DramReadSignature, FaultSignature
from hw.memory.buffered_fifo import BufferedFifo
from hw.status import Fault


def port_of(config: DnaConfig, offset: Value) -> Value:
    """Number of the port behind which the byte at ``offset`` of the memory window is."""
    first = ceil_log2(config.port_granule_bytes)
    return offset[first : first + ceil_log2(config.dram_ports)]


def pick(values: Sequence[Value], number: Value) -> Value:
    """The value of the port with this number."""
    return Value.cast(Array(values)[number]) if len(values) > 1 else values[0]


def queue_words(config: DnaConfig) -> int:
    """DRAM words that a reader may have under way at a port."""
    return config.burst_words * config.outstanding_bursts // config.dram_ports


def beat_layout(config: DnaConfig) -> data.StructLayout:
    """What a port brings: unsigned(8 x port_bytes), and whether it is no good."""
    return data.StructLayout({"data": unsigned(8 * config.port_bytes), "bad": 1})


class ReadQueue(wiring.Component):
    """Asks for bursts when there is room for all of their words, and hands the words on in order.

    A burst is asked of the port that its granule belongs to. Words of a port that come in several
    beats are put together, then wait in a FIFO of the port; a list of the bursts that were asked
    for says which FIFO is next. A word that the bus gave with an error is not handed on.

    Latency: a request is on ``asks`` 7 cycles after it was taken; the last beat of a word reaches
    ``client`` 4 cycles after it came. Rate: a burst in 2 cycles, a word a cycle.

    Stall: none on the ports; requests and bursts wait for room.

    Args:
        config: uses ``dram_bytes_per_cycle``, ``dram_ports``, ``port_granule_bytes``,
            ``burst_words`` and ``outstanding_bursts``.

    Ports:
        client: in, :class:`hw.interfaces.DramReadSignature`.
        window_size: in, unsigned(32), bytes that may be read.
        asks: out, stream of :func:`hw.bus.burst_splitter.burst_layout`.
        comes: in, array by port: {valid: a beat of this reader, beat: :func:`beat_layout`}.
        fault: out; a BUS_READ names the offset of its burst.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        comes = wiring.Signature({"valid": Out(1), "beat": Out(beat_layout(config))})
        super().__init__(
            {
                "client": In(DramReadSignature(config)),
                "window_size": In(unsigned(32)),
                "asks": Out(stream.Signature(burst_layout(config))),
                "comes": In(comes).array(config.dram_ports),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the splitter, the credits, the FIFOs and what puts their words in order."""
        m = Module()
        config, client, asks = self._config, self.client, self.asks
        ports, depth = config.dram_ports, queue_words(config)
        m.submodules.splitter = splitter = BurstSplitter(config)
        connect(m, flipped(client.requests), splitter.requests)
        m.d.comb += splitter.size.eq(self.window_size)
        m.submodules.order = order = BufferedFifo(
            width=burst_layout(config).size, depth=depth * ports
        )

        # What may still be asked for, and the words that came.
        free = [Signal(range(depth + 1), init=depth, name=f"free_{port}") for port in range(ports)]
        words = [self._words(m, port) for port in range(ports)]

        # A burst with room for it is asked for, and noted.
        burst = splitter.bursts.payload
        port = port_of(config, burst.offset)
        enough = Signal()
        m.d.comb += [
            enough.eq(pick(free, port) >= burst.length),
            splitter.bursts.ready.eq(enough & ~asks.valid),
            order.w_en.eq(splitter.bursts.valid & splitter.bursts.ready),
            order.w_data.eq(burst),
        ]
        with m.If(asks.ready):
            m.d.sync += asks.valid.eq(0)
        with m.If(order.w_en):
            m.d.sync += [asks.valid.eq(1), asks.payload.eq(burst)]

        # The next word is of the port of the oldest burst that has words to come.
        oldest = data.View(burst_layout(config), order.r_data)
        chosen = port_of(config, oldest.offset)
        there, moves, take = Signal(), Signal(), Signal()
        m.submodules.last_word = last_word = LastWord(config)
        word = Signal.like(client.words.payload)
        bad = Signal()
        offset = Signal(32)
        full = Signal()
        m.d.comb += [
            there.eq(order.r_rdy & pick([queue.r_rdy for queue in words], chosen)),
            moves.eq(~full | (client.words.ready & ~bad)),
            take.eq(there & moves),
            last_word.burst.eq(oldest),
            last_word.taken.eq(take),
            order.r_en.eq(take & last_word.last),
            client.words.valid.eq(full & ~bad),
            client.words.payload.eq(word),
        ]
        for number, queue in enumerate(words):
            popped = Signal(name=f"popped_{number}")
            asked = Signal(range(config.burst_words + 1), name=f"asked_{number}")
            m.d.comb += [
                popped.eq(take & (chosen == number)),
                asked.eq(Mux(order.w_en & (port == number), burst.length, 0)),
                queue.r_en.eq(popped),
            ]
            m.d.sync += free[number].eq(free[number] + popped - asked)
        with m.If(moves):
            m.d.sync += [
                full.eq(there),
                Cat(word, bad).eq(pick([queue.r_data for queue in words], chosen)),
                offset.eq(oldest.offset),
            ]

        m.d.comb += [
            self.fault.valid.eq(splitter.fault.valid | (full & bad)),
            self.fault.code.eq(Mux(splitter.fault.valid, splitter.fault.code, Fault.BUS_READ)),
            self.fault.address.eq(Mux(splitter.fault.valid, splitter.fault.address, offset)),
        ]
        return m

    def _words(self, m: Module, port: int) -> BufferedFifo:
        """The FIFO of a port, and in front of it what makes words of beats."""
        config, comes = self._config, self.comes[port]
        parts = config.dram_ports
        # One of two places takes no words in consecutive cycles.
        queue = BufferedFifo(
            width=8 * config.dram_bytes_per_cycle + 1, depth=max(queue_words(config), 3)
        )
        m.submodules[f"words_{port}"] = queue
        part = Signal(range(parts), name=f"part_{port}")
        kept = Signal(8 * config.port_bytes * (parts - 1), name=f"kept_{port}")
        bad = Signal(name=f"bad_{port}")
        m.d.comb += [
            queue.w_data.eq(Cat(kept, comes.beat.data, bad | comes.beat.bad)),
            queue.w_en.eq(comes.valid & (part == parts - 1)),
        ]
        if parts > 1:
            with m.If(comes.valid):
                m.d.sync += [
                    part.eq(part + 1),
                    kept.eq(Cat(kept, comes.beat.data)[8 * config.port_bytes :]),
                    bad.eq((bad | comes.beat.bad) & (part != parts - 1)),
                ]
        return queue
