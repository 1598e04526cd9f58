"""The machine without its registers: everything that a reset puts back."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.axi import ADDRESS_BITS, ID_BITS, AxiSignature
from hw.bus.dma_read import DmaReader
from hw.bus.dma_write import DmaWriter
from hw.config import DnaConfig
from hw.control.sequencer import WORKERS, Sequencer
from hw.conv.convolution_engine import ConvolutionEngine
from hw.depthwise.depthwise_engine import DepthwiseEngine
from hw.interfaces import FaultSignature, word_layout
from hw.isa import Engine
from hw.memory.feature_memory import FeatureMemory
from hw.pool.pool_engine import PoolEngine
from hw.post.post_engine import PostEngine
from hw.status import ACTIVITY_BITS, Activity
from hw.transfer.load import LoadEngine
from hw.transfer.store import StoreEngine
from hw.transfer.weights import WeightEngine

MEMORY_READERS = 3
"""Instruction fetch, LOAD, WEIGHTS."""

SHARING_WRITERS, SHARING_READERS = 3, 3
"""At port B of the feature memory: POST, POOL, LOAD; the residual, STORE, POOL."""


def memory_signature(config: DnaConfig) -> AxiSignature:
    """Each of the machine's ports to memory."""
    return AxiSignature(data_bytes=config.port_bytes, id_bits=ID_BITS)


class WriteTraceSignature(wiring.Signature):
    """What is written to the feature memory, for whoever checks the machine from outside.

    Members:
        valid: out, the words are written in this cycle.
        address: out, feature word of the first.
        offsets: out, unsigned [post_words], from there to each word.
        enable: out, unsigned(post_words).
        words: out, feature word [post_words].
    """

    def __init__(self, config: DnaConfig) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "address": Out(unsigned(config.feature_address_bits)),
                "offsets": Out(
                    data.ArrayLayout(unsigned(config.feature_address_bits), config.post_words)
                ),
                "enable": Out(unsigned(config.post_words)),
                "words": Out(data.ArrayLayout(word_layout(config), config.post_words)),
            }
        )


class Core(wiring.Component):
    """Sequencer, engines, memories and DMA, connected.

    Latency and stall: those of the blocks; ``fault`` and ``progress`` a cycle later.
    Where several report a fault in one cycle, sequencer, DMA and feature memory come before the
    engines.

    Args:
        config: all of it.

    Ports:
        axi: out, array of :class:`hw.bus.axi.AxiSignature`, a port to memory each.
        start, program: in; busy, finished: out; see :class:`hw.control.sequencer.Sequencer`.
        halt: in, start no more transfers and dispatch nothing.
        idle: out, no transfer is under way.
        window_base, window_size, write_base, write_size: in, what of the memory may be touched.
        activity, layers: out, arrays by :class:`hw.isa.Engine`.
        progress: out, something moved in this cycle.
        fault: out.
        post_trace, pool_trace, load_trace, depthwise_trace: out, :class:`WriteTraceSignature`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "axi": Out(memory_signature(config)).array(config.dram_ports),
                "start": In(1),
                "program": In(unsigned(32)),
                "finished": Out(1),
                "halt": In(1),
                "idle": Out(1),
                "window_base": In(unsigned(ADDRESS_BITS)),
                "window_size": In(unsigned(32)),
                "write_base": In(unsigned(32)),
                "write_size": In(unsigned(32)),
                "activity": Out(unsigned(ACTIVITY_BITS)).array(len(Engine)),
                "layers": Out(unsigned(16)).array(len(Engine)),
                "progress": Out(1),
                "fault": Out(FaultSignature()),
                "post_trace": Out(WriteTraceSignature(config)),
                "pool_trace": Out(WriteTraceSignature(config)),
                "load_trace": Out(WriteTraceSignature(config)),
                "depthwise_trace": Out(WriteTraceSignature(config)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Instantiate and connect."""
        m = Module()
        config = self._config
        has_depthwise = config.depthwise_words > 0
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.dma_read = reader = DmaReader(config, clients=MEMORY_READERS)
        m.submodules.dma_write = writer = DmaWriter(config)
        m.submodules.features = features = FeatureMemory(
            config, writers=SHARING_WRITERS, readers=SHARING_READERS, scattered=has_depthwise
        )
        m.submodules.load = load = LoadEngine(config)
        m.submodules.weights = weights = WeightEngine(config)
        m.submodules.conv = conv = ConvolutionEngine(config)
        m.submodules.post = post = PostEngine(config)
        m.submodules.pool = pool = PoolEngine(config)
        m.submodules.store = store = StoreEngine(config)
        engines: dict[Engine, Any] = {
            Engine.LOAD: load,
            Engine.WEIGHTS: weights,
            Engine.CONV: conv,
            Engine.POST: post,
            Engine.POOL: pool,
            Engine.STORE: store,
        }
        writes = [
            (post.results, self.post_trace),
            (pool.results, self.pool_trace),
            (load.results, self.load_trace),
        ]
        reads = [post.residual, store.features, pool.features]
        memory_writers, memory_readers = [*features.writers], [*features.readers]
        if has_depthwise:
            m.submodules.depthwise = depthwise = DepthwiseEngine(config)
            engines[Engine.DEPTHWISE] = depthwise
            writes.append((depthwise.results, self.depthwise_trace))
            reads.append(depthwise.features)
            memory_writers.append(features.scattered_writer)
            memory_readers.append(features.scattered_reader)

        for position, worker in enumerate(WORKERS):
            if worker in engines:
                connect(m, sequencer.engines[position], engines[worker].engine)
        connect(m, sequencer.fetch, reader.clients[0])
        connect(m, load.memory, reader.clients[1])
        connect(m, weights.memory, reader.clients[2])
        connect(m, store.memory, writer.client)
        connect(m, weights.words, conv.weights)
        connect(m, conv.parameters, post.parameters)
        for module in range(config.modules):
            connect(m, conv.pixels[module], post.pixels[module])
        connect(m, conv.window, features.window)
        for (port, trace), shared in zip(writes, memory_writers, strict=True):
            connect(m, port, shared)
            m.d.comb += [
                *(
                    offset.eq(port.offsets[word] if hasattr(port, "offsets") else word)
                    for word, offset in enumerate(trace.offsets)
                ),
                trace.valid.eq(port.requests.valid & port.requests.ready),
                trace.address.eq(port.requests.payload.address),
                trace.enable.eq(port.requests.payload.enable),
                trace.words.eq(port.requests.payload.words),
            ]
        for port, shared in zip(reads, memory_readers, strict=True):
            connect(m, port, shared)

        for number in range(config.dram_ports):
            memory = flipped(self.axi[number])
            connect(m, reader.axi[number].ar, memory.ar)
            connect(m, memory.r, reader.axi[number].r)
            connect(m, writer.axi[number].aw, memory.aw)
            connect(m, writer.axi[number].w, memory.w)
            connect(m, memory.b, writer.axi[number].b)

        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.program.eq(self.program),
            sequencer.halt.eq(self.halt),
            self.finished.eq(sequencer.finished),
            reader.window_base.eq(self.window_base),
            reader.window_size.eq(self.window_size),
            reader.halt.eq(self.halt),
            writer.window_base.eq(self.window_base),
            writer.write_base.eq(self.write_base),
            writer.write_size.eq(self.write_size),
            writer.halt.eq(self.halt),
            self.idle.eq(reader.idle & writer.idle),
        ]
        moves = Signal(len(Engine) + 2 * config.dram_ports)
        m.d.comb += [
            moves.eq(
                Cat(
                    *(sequencer.activity[engine] == Activity.BUSY for engine in Engine),
                    *(port.r.valid for port in self.axi),
                    *(port.w.valid & port.w.ready for port in self.axi),
                )
            ),
        ]
        m.d.sync += self.progress.eq(moves.any())
        for engine in Engine:
            m.d.comb += [
                self.activity[engine].eq(sequencer.activity[engine]),
                self.layers[engine].eq(sequencer.layers[engine]),
            ]

        faults = [sequencer.fault, reader.fault, writer.fault, features.fault]
        faults += [block.engine.fault for block in engines.values()]
        m.d.sync += self.fault.valid.eq(Cat(each.valid for each in faults).any())
        for fault in reversed(faults):
            with m.If(fault.valid):
                m.d.sync += [
                    self.fault.code.eq(fault.code),
                    self.fault.address.eq(fault.address),
                ]
        return m
